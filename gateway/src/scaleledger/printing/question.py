"""Asking a printer something: the bytes to send, and how its answer is read. No answer carries a number."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """`read` makes the answer out of all bytes that came since; None while it is not complete."""

    send: bytes
    read: Callable[[bytes], T | None]

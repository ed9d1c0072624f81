"""The contract between a device's connection and whoever listens to it: links, their receivers, the ways to a device.

It stands here, below both sides, so that transports and orchestration agree without knowing each other. Nothing in it does
I/O; a driver never sees it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Monotonic(Protocol):
    """The part of a clock that a transport needs."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start, never going back; agrees with the event loop's own time."""
        ...


class Link(Protocol):
    """One live connection to a device."""

    @property
    def peer(self) -> str:
        """Who is at the other end, in words: a port name, an address."""
        ...

    def send(self, data: bytes) -> None:
        """Queue bytes for the device. Bounded: a device that takes nothing loses its link."""
        ...

    def close(self, reason: str) -> None:
        """Give the link up; the receiver is told by `lost`."""
        ...


class LinkReceiver(Protocol):
    """Who is told what happens on one link. Called on the event loop only."""

    def received(self, now: float, data: bytes) -> None:
        """Bytes arrived (`now`: monotonic seconds at which they were read)."""
        ...

    def lost(self, now: float, reason: str) -> None:
        """The link is gone; nothing more comes on it."""
        ...


class LinkState(StrEnum):
    """How a transport stands, in one word."""

    CLOSED = "closed"
    WAITING = "waiting"
    OPEN = "open"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class TransportStatus:
    """State, and what a person should know of it ("port is used by another program", "no such port")."""

    state: LinkState
    detail: str = ""


Accept = Callable[[Link], LinkReceiver | None]


class Transport(Protocol):
    """A way to a device, opened by URL. Heals by itself: `run` opens, and opens again after a loss, until cancelled."""

    @property
    def url(self) -> str: ...

    @property
    def status(self) -> TransportStatus: ...

    async def run(self, accept: Accept) -> None:
        """Serve until cancelled. `accept` is called with each new link; None refuses it (the link is closed)."""
        ...

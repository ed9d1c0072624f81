"""Check values as devices compute them: plain functions from the covered bytes to a number."""

from collections.abc import Callable
from functools import reduce
from operator import xor as _xor

Checksum = Callable[[bytes], int]


def xor(data: bytes) -> int:
    """Block check character: all bytes combined with exclusive or."""
    return reduce(_xor, data, 0)


def sum8(data: bytes) -> int:
    """The low eight bits of the sum of all bytes."""
    return sum(data) & 0xFF

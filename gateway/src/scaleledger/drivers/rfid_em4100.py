"""Readers of EM4100 tags (125 kHz), RDM6300 and its kin.

    STX  10 hex digits  2 hex digits  [CR LF]  ETX       9600 8N1
    02   62E3086CED     08            0D 0A    03

The ten digits are the tag's five bytes; the two are their exclusive or, or with another family of readers their sum
(2E00AF0EC9 gives B4): which one is a setting, for guessing would let half of all damaged frames through.
"""

import re
from functools import partial

from scaleledger.domain.inputs import CardSeen, Problem
from scaleledger.wire import checksum
from scaleledger.wire.checksum import Checksum
from scaleledger.wire.framing import between
from scaleledger.wire.listening import Listening

FRAME_MAX = 20
CHECKS: dict[str, Checksum] = {"xor": checksum.xor, "sum": checksum.sum8}

_FRAME = re.compile(rb"\x02([0-9A-Fa-f]{10})([0-9A-Fa-f]{2})\r?\n?\x03")


def driver(*, check: str = "xor") -> Listening:
    """`check` is "xor" or "sum"; ValueError for another."""
    return Listening("rfid-em4100", between(b"\x02", b"\x03", FRAME_MAX), partial(decode, check=_check(check)))


def decode(frame: bytes, check: Checksum = checksum.xor) -> CardSeen | Problem:
    """One frame with STX and ETX. The uid is the ten digits in upper case. Problems: bad-frame, bad-checksum."""
    match = _FRAME.fullmatch(frame)
    if match is None:
        return Problem("bad-frame", frame)
    uid = match[1].decode("ascii").upper()
    if check(bytes.fromhex(uid)) != int(match[2], 16):
        return Problem("bad-checksum", frame)
    return CardSeen(uid, frame)


def encode(card: CardSeen, *, check: str = "xor") -> bytes:
    """The frame a reader sends for `card`; ValueError unless its uid is ten hex digits."""
    if not re.fullmatch("[0-9A-F]{10}", card.uid):
        raise ValueError(f"an EM4100 uid has ten hex digits, not {card.uid!r}")
    return f"\x02{card.uid}{_check(check)(bytes.fromhex(card.uid)):02X}\x03".encode("ascii")


def _check(name: str) -> Checksum:
    if name not in CHECKS:
        raise ValueError(f"check is xor or sum, not {name!r}")
    return CHECKS[name]

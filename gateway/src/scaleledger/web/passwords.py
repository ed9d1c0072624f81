"""Passwords are kept as salted scrypt hashes, and one is worked out at a time: a crowd of guesses cannot slow the line."""

import asyncio
import hashlib
import hmac
import os
import threading

CHARACTERS_MIN, CHARACTERS_MAX = 10, 200
_N, _R, _P = 2**14, 8, 1
_one_at_a_time = threading.Lock()


async def hash_password(password: str) -> str:
    """`scrypt$n$r$p$salt$hash`, salt and hash in hex."""
    salt = os.urandom(16)
    found = await asyncio.to_thread(_derive, password, salt, _N, _R, _P)
    return f"scrypt${_N}${_R}${_P}${salt.hex()}${found.hex()}"


async def matches(password: str, kept: str) -> bool:
    """Whether `kept` was made from this password. Text that is no such hash takes as long, and matches nothing."""
    try:
        _, n, r, p, salt, wanted = kept.split("$")
        numbers, raw, digest = (int(n), int(r), int(p)), bytes.fromhex(salt), bytes.fromhex(wanted)
    except ValueError:
        numbers, raw, digest = (_N, _R, _P), bytes(16), b""
    found = await asyncio.to_thread(_derive, password, raw, *numbers)
    return hmac.compare_digest(found, digest)


def fault_of(password: str) -> str:
    """What is wrong with a new password, in words; empty if nothing is."""
    if len(password) < CHARACTERS_MIN:
        return f"A password needs at least {CHARACTERS_MIN} characters; this one has {len(password)}."
    if len(password) > CHARACTERS_MAX:
        return f"A password has at most {CHARACTERS_MAX} characters; this one has {len(password)}."
    return ""


def _derive(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    with _one_at_a_time:
        return hashlib.scrypt(password.encode("utf-8", "surrogatepass"), salt=salt, n=n, r=r, p=p, dklen=32)

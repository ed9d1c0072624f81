"""A claim code on its way to the gateway: a private file in the data folder, put there whether the gateway runs or not."""

import os
from contextlib import suppress
from pathlib import Path

from scaleledger.domain.errors import ClaimMistyped
from scaleledger.domain.standing import Claim, claim_of

CLAIM = "claim"
CODE_CHARS_MAX = 100


def leave_claim(folder: Path, code: str) -> None:
    """Put a claim code (`K7Q2-ABCD-EFGH-JKMN-PQRS`) into a data folder, for the gateway to use once; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = folder / f"{CLAIM}.part"
    part.unlink(missing_ok=True)
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(fd, code.strip().encode())
        os.fsync(fd)
    finally:
        os.close(fd)
    part.replace(folder / CLAIM)


def read_claim(folder: Path) -> Claim | None:
    """The code that lies there; None if there is none, or what lies there is none."""
    try:
        with (folder / CLAIM).open("rb") as file:
            text = file.read(CODE_CHARS_MAX).decode("ascii", "replace")
    except OSError:
        return None
    with suppress(ClaimMistyped):
        return claim_of(text)
    return None


def drop_claim(folder: Path, claim: Claim) -> None:
    """Take this code away, used or refused; a newer one that somebody left meanwhile stays.

    A folder that cannot be written leaves it; the centre takes no code twice.
    """
    if read_claim(folder) != claim:
        return
    with suppress(OSError):
        (folder / CLAIM).unlink(missing_ok=True)

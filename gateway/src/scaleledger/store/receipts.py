"""Receipts: the centre's signed word for how far it holds this ledger. Nothing is believed that the key does not prove."""

from dataclasses import dataclass
from datetime import datetime
from sqlite3 import Connection

from scaleledger.domain.ledger import GENESIS
from scaleledger.domain.standing import Receipt
from scaleledger.store.signing import signed_by


@dataclass(frozen=True, slots=True)
class Kept:
    """A receipt, and the centre's key (hex) that proved it."""

    receipt: Receipt
    key: str


def receipt_message(gateway: str, receipt: Receipt) -> bytes:
    """The bytes that a centre signs for a receipt."""
    return f"scaleledger-receipt-v1\n{gateway}\n{receipt.upto_seq}\n{receipt.hash}\n{receipt.at}".encode()


def doubt(receipt: Receipt, *, gateway: str, key: str, own_hash: str) -> str:
    """Why a receipt is not believed, in words; empty when it is proved. `own_hash` is "" when no such record is held."""
    if not key:
        return "no key of the centre is known that could prove it"
    if not own_hash:
        return "no record of this number is held here"
    if receipt.hash != own_hash:
        return "it names another hash than our record has"
    try:
        instant(receipt)
        proved = signed_by(key)(receipt_message(gateway, receipt), bytes.fromhex(receipt.signature))
    except ValueError:
        return "its time or signature cannot be read"
    return "" if proved else "its signature is not the centre's"


def instant(receipt: Receipt) -> datetime:
    """When it was given, aware. Raises ValueError when its text is no such time."""
    at = datetime.fromisoformat(receipt.at)
    if at.tzinfo is None:
        raise ValueError(f"{receipt.at!r} has no offset")
    return at


def regresses(new: Receipt, old: Receipt) -> bool:
    """Whether a centre that gave `old` and later gave `new` has lost what it held: it was restored from a backup."""
    return new.upto_seq < old.upto_seq and instant(new) > instant(old)


def own_hash(connection: Connection, seq: int) -> str:
    """The hash (hex) of our record or checkpoint of that number; empty when there is none. Every ledger begins with 0."""
    if seq == 0:
        return GENESIS.hex()
    row = connection.execute(
        "SELECT hash FROM weighing_records WHERE seq = ?1 UNION ALL SELECT hash FROM checkpoints WHERE seq = ?1", (seq,)
    ).fetchone()
    return bytes(row[0]).hex() if row else ""


def read_receipts(connection: Connection) -> dict[str, Kept]:
    """The stored receipts, by uplink."""
    rows = connection.execute("SELECT uplink, upto_seq, hash, at, signature, key FROM receipts")
    return {row[0]: Kept(Receipt(*row[1:5]), row[5]) for row in rows}

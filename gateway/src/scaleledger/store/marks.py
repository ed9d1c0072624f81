"""What uplinks and operators learned, written along with the next commit."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field

from scaleledger.observe.failpoints import reach
from scaleledger.store.receipts import Kept

POSITION_STEP = 50
"""A delivery position is written when it has moved this far or back, or at a quiet moment; losing one only sends records again."""

_TOLD = "UPDATE weighing_records SET is_told = 1 WHERE seq = ?"
_SENT = "UPDATE weighing_records SET is_sent = 1 WHERE seq BETWEEN ? AND ? AND is_sent = 0"
_POSITION = "INSERT INTO delivery VALUES (?, ?) ON CONFLICT (uplink) DO UPDATE SET position = excluded.position"
_UNSENT = "UPDATE weighing_records SET is_sent = 0 WHERE seq > ? AND is_sent = 1"
_RECEIPT = (
    "INSERT INTO receipts (uplink, upto_seq, hash, at, signature, key) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (uplink) "
    "DO UPDATE SET upto_seq = excluded.upto_seq, hash = excluded.hash, at = excluded.at, "
    "signature = excluded.signature, key = excluded.key"
)
_REFUSED = (
    "INSERT INTO delivery_exceptions (uplink, seq, outcome, reason, at) VALUES (?, ?, 'quarantined', ?, ?) "
    "ON CONFLICT (uplink, seq) DO UPDATE SET reason = excluded.reason, at = excluded.at"
)


@dataclass(frozen=True, slots=True)
class Mark:
    """What an uplink learned: records acked (ranges of seq, both ends in), refused (seq, reason, time), its position.

    `receipt` replaces the uplink's; with `reopened`, all above it is owed again.
    Or, without an uplink, which records an operator was told of.
    """

    uplink: str = ""
    acked: tuple[tuple[int, int], ...] = ()
    refused: tuple[tuple[int, str, str], ...] = ()
    position: int = 0
    told: tuple[int, ...] = ()
    receipt: Kept | None = None
    reopened: bool = False


@dataclass(slots=True)
class Positions:
    """Delivery positions: those on disk, and those that are due to be written."""

    written: dict[str, int] = field(default_factory=dict)
    due: dict[str, int] = field(default_factory=dict)

    def forget_written(self) -> None:
        """The transaction that wrote them may be lost: all are due again."""
        self.due = {**self.written, **self.due}
        self.written.clear()


def write_marks(connection: sqlite3.Connection, marks: Iterable[Mark], positions: Positions, *, all_due: bool) -> None:
    """Write marks in the transaction under way, and the positions that moved far enough, or all of them."""
    reached = False
    for mark in marks:
        connection.executemany(_TOLD, [(seq,) for seq in mark.told])
        if not mark.uplink:
            continue
        if not reached:
            reach("store.before-mark")
            reached = True
        connection.executemany(_SENT, mark.acked)
        connection.executemany(_REFUSED, [(mark.uplink, *refused) for refused in mark.refused])
        if mark.receipt is not None:
            found = mark.receipt.receipt
            values = (found.upto_seq, found.hash, found.at, found.signature, mark.receipt.key)
            connection.execute(_RECEIPT, (mark.uplink, *values))
            if mark.reopened:
                connection.execute(_UNSENT, (found.upto_seq,))
        positions.due[mark.uplink] = mark.position
    for uplink, position in list(positions.due.items()):
        if all_due or not 0 <= position - positions.written.get(uplink, 0) < POSITION_STEP:
            connection.execute(_POSITION, (uplink, position))
            positions.written[uplink] = position
            del positions.due[uplink]

"""What an uplink owes for a batch and what came back, item by item. A batch is never assumed and never all-or-nothing."""

from dataclasses import dataclass
from enum import StrEnum

from scaleledger.domain.weighing import Head, Record


class Outcome(StrEnum):
    """What became of one record at the centre.

    ACKED: the centre named it as held. RETRY: nothing is known, send it again with the same uuid. QUARANTINE: the centre
    refused this record for what it is; it is set aside, visible and exportable, and the others go on. NOT_OWED: the uplink's
    contract has no place for this kind of record; it is settled here, and does not count as held there.
    """

    ACKED = "acked"
    RETRY = "retry"
    QUARANTINE = "quarantine"
    NOT_OWED = "not-owed"


@dataclass(frozen=True, slots=True)
class Batch:
    """Records in order of `seq` (not empty), and the ledger's head at the time of reading."""

    records: tuple[Record, ...]
    head: Head


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """One record's outcome, with the centre's own words when it refused."""

    seq: int
    outcome: Outcome
    reason: str = ""

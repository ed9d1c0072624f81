"""Offline batches: what a device weighed while its cloud was away, as one run of the ledger's own numbers.

A batch counts nothing. It is a pair of numbers, and what it holds is what the ledger holds of that device in between.
"""

from collections.abc import Callable
from dataclasses import dataclass

from scaleledger.domain.weighing import Record


@dataclass(frozen=True, slots=True)
class EventContext:
    """How an event stands to the cloud: weighed while it was away (`offline`), and in which batch ("" for none)."""

    offline: bool = False
    batch_id: str = ""


ContextOf = Callable[[Record], EventContext]
"""Which batch a record belongs to; answers from memory."""

ONLINE = EventContext()

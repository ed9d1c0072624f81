"""Records as a list shows them: the weighing as it was measured, beside it what a person said about it later."""

from collections.abc import Iterable
from typing import NamedTuple

from scaleledger_server.weighing.evidence import Effective, effective
from scaleledger_server.weighing.models import Amendment, WeighingRecord


class Shown(NamedTuple):
    """A record and how it should be read now."""

    record: WeighingRecord
    now: Effective

    @property
    def void(self) -> bool:
        return self.now.amended == Amendment.Kind.VOID

    @property
    def other_weight(self) -> bool:
        """Whether a correction changed the weight or its unit."""
        return (self.now.weight_text, self.now.unit) != (self.record.weight_text, self.record.unit)

    @property
    def other_card(self) -> bool:
        """Whether a correction changed the card."""
        return self.now.rfid_uid != self.record.rfid_uid


def shown(records: Iterable[WeighingRecord]) -> list[Shown]:
    """The records of one page, with what became of them; two statements in all."""
    page = list(records)
    now = effective(page) if page else {}
    return [Shown(record, now[record.uuid]) for record in page]

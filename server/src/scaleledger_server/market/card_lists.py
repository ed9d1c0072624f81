"""Cards as CSV: a whole list in or nothing, each bad line named with its number and reason; and out again."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from scaleledger_server import spreadsheets
from scaleledger_server.market import queries
from scaleledger_server.market.models import RfidCard
from scaleledger_server.spreadsheets import Faults, rows_of, safe

COLUMNS = ("uid", "producer", "species")
OPTIONAL = ("producer_uuid", "is_active")
EXPORTED = ["uid", "producer", "species", "producer_uuid", "is_active", "issued_at", "last_used_at"]
YES, NO = {"1", "true", "yes", ""}, {"0", "false", "no"}
UID_CHARS_MAX, NAME_CHARS_MAX = 50, 100


@dataclass(frozen=True, slots=True)
class Line:
    """One card as the file states it. `producer` is a name, or the uuid when the file gives one."""

    number: int
    uid: str
    producer: str
    species: str
    is_active: bool


@dataclass(slots=True)
class Reading(Faults):
    """What a file holds, and what is wrong with it."""

    lines: list[Line] = field(default_factory=list)


def read(content: bytes) -> Reading:
    """The file's lines, judged by themselves: form, lengths, a card that stands twice."""
    reading = Reading()
    seen: dict[str, int] = {}
    for number, cells in rows_of(content, COLUMNS, reading):
        reason = _wrong(cells)
        if reason:
            reading.refuse(number, reason)
        elif cells["uid"] in seen:
            reading.refuse(number, f"the card {cells['uid']} stands in line {seen[cells['uid']]} already.")
        else:
            seen[cells["uid"]] = number
            active = cells.get("is_active", "").lower() in YES
            producer = cells.get("producer_uuid", "").lower() or cells["producer"]
            reading.lines.append(Line(number, cells["uid"], producer, cells["species"], active))
    return reading


def _wrong(cells: dict[str, str]) -> str:
    if empty := [name for name in COLUMNS if not cells[name]]:
        return f"{empty[0]} is empty."
    if len(cells["uid"]) > UID_CHARS_MAX:
        return f"the uid is longer than {UID_CHARS_MAX} characters."
    if len(cells["producer"]) > NAME_CHARS_MAX or len(cells["species"]) > NAME_CHARS_MAX:
        return f"a name is longer than {NAME_CHARS_MAX} characters."
    if cells.get("is_active", "").lower() not in YES | NO:
        return "is_active must be 1 or 0."
    return ""


def written() -> Iterator[str]:
    """All cards as a CSV file that `read` takes back."""
    rows = RfidCard.objects.select_related("producer", "species").order_by("uid").iterator(2_000)
    return spreadsheets.lines(
        EXPORTED,
        (
            (
                safe(card.uid),
                safe(card.producer.name),
                safe(card.species.name),
                str(card.producer.uuid),
                "1" if card.is_active else "0",
                _moment(card.issued_at),
                _moment(card.last_used_at),
            )
            for card in rows
        ),
    )


def _moment(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds") if moment else ""


def cards_of(reading: Reading) -> tuple[list[RfidCard], list[RfidCard]]:
    """(new cards, cards that change) for a reading; who is not known is added to its bad lines."""
    producers, species, held = queries.producer_ids(), queries.species_ids(), queries.cards_by_uid()
    new: list[RfidCard] = []
    changed: list[RfidCard] = []
    for line in reading.lines:
        ids = producers.get(line.producer, [])
        if len(ids) != 1:
            reason = f"{len(ids)} producers are named {line.producer}: give producer_uuid." if ids else ""
            reading.refuse(line.number, reason or f"there is no producer {line.producer}. Add it first.")
            continue
        if line.species not in species:
            reading.refuse(line.number, f"there is no species {line.species}. Add it first.")
            continue
        stated = {"producer_id": ids[0], "species_id": species[line.species], "is_active": line.is_active}
        card = held.get(line.uid)
        if card is None:
            new.append(RfidCard(uid=line.uid, **stated))
        elif any(getattr(card, name) != value for name, value in stated.items()):
            for name, value in stated.items():
                setattr(card, name, value)
            changed.append(card)
    return new, changed

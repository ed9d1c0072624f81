"""The only writer of market data. Every change raises the version in its own transaction, then tells every gateway."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import F, QuerySet

from scaleledger_server.market import card_lists
from scaleledger_server.market.models import CARDS_MAX, MarketVersion, Producer, RfidCard, Species
from scaleledger_server.notices import tell_every_gateway

VERSION_ROW = 1
IMPORT_ROWS = 500
USE_NOTED_EVERY = timedelta(minutes=1)
NOTED_MAX = 20_000
Row = Species | Producer | RfidCard


@contextmanager
def changing() -> Iterator[None]:
    """A transaction that changes market data. Raising the version first makes writers wait for each other."""
    with transaction.atomic():
        mark = secrets.token_hex(4)
        mine = MarketVersion.objects.filter(pk=VERSION_ROW)
        if not mine.update(number=F("number") + 1, mark=mark):
            MarketVersion.objects.bulk_create([MarketVersion(pk=VERSION_ROW, mark=mark)], ignore_conflicts=True)
            mine.update(number=F("number") + 1, mark=mark)  # whoever else made the very first change has committed
        yield
        tell_every_gateway("sync.market")


def save(row: Row) -> None:
    """Keep a row, new or changed. Raises ValidationError for one that cannot be kept, or when there are too many."""
    if isinstance(row, RfidCard):
        row.uid = row.uid.strip()
    else:
        row.name = row.name.strip()
    with changing():
        row.full_clean()
        row.save()


def remove(row: Row) -> None:
    """Delete a row. Raises ProtectedError for what a card still stands for."""
    with changing():
        row.delete()


def remove_all(rows: QuerySet[Any]) -> None:
    """Delete many as one change. Raises ProtectedError like `remove`, and then deletes none."""
    with changing():
        rows.delete()


_noted: dict[str, datetime] = {}


def note_uses(uses: Mapping[str, datetime]) -> None:
    """Remember when cards (by uid) were last used, to the minute; cards that are not known are passed over.

    It is no change of the market data: the version stays, and gateways see it with the next change. Costs no statement for
    cards that this process noted within the minute before, else one, and one more where there is something to write.
    """
    fresh = {uid: at for uid, at in uses.items() if uid not in _noted or at - _noted[uid] >= USE_NOTED_EVERY}
    if not fresh:
        return
    if len(_noted) + len(fresh) > NOTED_MAX:
        _noted.clear()
    _noted.update(fresh)
    with transaction.atomic():
        rows = RfidCard.objects.filter(uid__in=fresh).order_by("pk")
        if connection.features.has_select_for_update_skip_locked:  # who holds a row notes it, or edits it
            rows = rows.select_for_update(skip_locked=True)
        due = [card for card in rows if _is_later(fresh[card.uid], card.last_used_at)]
        for card in due:
            card.last_used_at = fresh[card.uid]
        RfidCard.objects.bulk_update(due, ["last_used_at"])


def _is_later(at: datetime, noted: datetime | None) -> bool:
    return noted is None or at - noted >= USE_NOTED_EVERY


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a list of cards: nothing was kept if `bad` names a line."""

    new: int = 0
    changed: int = 0
    same: int = 0
    bad: Sequence[tuple[int, str]] = ()


class NothingKept(Exception):
    """Ends the transaction of a list that holds a bad line."""


def import_cards(content: bytes) -> Imported:
    """Keep the cards of a CSV file, all of them or none. Cards that the file does not name stay as they are."""
    reading = card_lists.read(content)
    try:
        with changing():
            return _keep(reading)
    except NothingKept:
        return Imported(bad=sorted(reading.bad))


def _keep(reading: card_lists.Reading) -> Imported:
    new, changed = card_lists.cards_of(reading)
    if len(new) > CARDS_MAX - RfidCard.objects.count():
        reading.refuse(1, f"is the start of a list that would make more than {CARDS_MAX} cards.")
    if reading.bad:
        raise NothingKept
    RfidCard.objects.bulk_create(new, batch_size=IMPORT_ROWS)
    RfidCard.objects.bulk_update(changed, ["producer", "species", "is_active"], batch_size=IMPORT_ROWS)
    return Imported(len(new), len(changed), len(reading.lines) - len(new) - len(changed))

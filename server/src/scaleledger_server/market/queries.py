"""Reads of market data: what gateways fetch, as finished bytes.

A catalogue must be of one moment, but no lock may hold up a weighing. So the version is read before and after the rows:
as every change raises it in the same transaction, an equal version proves that nothing changed between.
"""

from collections.abc import Callable
from datetime import datetime
from threading import Lock
from typing import Any

import msgspec

from scaleledger_server.errors import Refusal
from scaleledger_server.market.models import MarketVersion, Producer, RfidCard, Species

NOTHING_YET = "0"
TRIES = 5
CARD_COLUMNS = ("id", "uuid", "uid", "producer_id", "species_id", "is_active", "issued_at", "last_used_at")


def version() -> str:
    """The name of what is held now; the ETag's text without quotes."""
    row = MarketVersion.objects.values_list("number", "mark").first()
    return f"{row[0]}-{row[1]}" if row else NOTHING_YET


def species() -> list[dict[str, Any]]:
    """`species` of the contract."""
    rows = Species.objects.order_by("id").values_list("id", "name")
    return [{"id": id_, "name": name} for id_, name in rows]


def producers() -> list[dict[str, Any]]:
    """`producers` of the contract."""
    rows = Producer.objects.order_by("id").values_list("id", "uuid", "name", "phone", "created_at")
    return [
        {"id": id_, "uuid": str(uuid), "name": name, "phone": phone, "created_at": created_at.isoformat()}
        for id_, uuid, name, phone, created_at in rows
    ]


def rfid_cards() -> list[dict[str, Any]]:
    """`rfid_cards` of the contract."""
    rows = RfidCard.objects.order_by("id").values_list(*CARD_COLUMNS)
    return [
        {
            "id": id_,
            "uuid": str(uuid),
            "uid": uid,
            "producer": producer,
            "species": kind,
            "is_active": is_active,
            "issued_at": issued_at.isoformat(),
            "last_used_at": _text(last_used_at),
        }
        for id_, uuid, uid, producer, kind, is_active, issued_at, last_used_at in rows
    ]


def catalogue() -> dict[str, Any]:
    """`catalogue` of the contract but for the version."""
    return {"species": species(), "producers": producers(), "rfid_cards": rfid_cards()}


READS: dict[str, Callable[[], Any]] = {
    "species": species,
    "producers": producers,
    "rfid-cards": rfid_cards,
    "catalogue": catalogue,
}


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


class Bodies:
    """The newest body of each resource, kept until the version changes. One thread makes it, the others wait for it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: dict[str, tuple[str, bytes]] = {}

    def of(self, resource: str, now: str) -> tuple[str, bytes]:
        """(version, JSON) of one resource; `now` is the version just read. Raises Refusal while it keeps changing."""
        kept = self._kept.get(resource)
        if kept is not None and kept[0] == now:
            return kept
        with self._lock:
            kept = self._kept.get(resource)
            if kept is None or kept[0] != now:
                kept = self._kept[resource] = _made(resource)
            return kept


bodies = Bodies()


def _made(resource: str) -> tuple[str, bytes]:
    before = version()
    for _ in range(TRIES):
        value = READS[resource]()
        after = version()
        if after == before:
            return before, msgspec.json.encode({"version": before, **value} if resource == "catalogue" else value)
        before = after
    raise Refusal(503, "rate_limited", "The market data is being changed. Try again.", retry_after_s=5)


def producer_ids() -> dict[str, list[int]]:
    """Producers' ids by name and by uuid; several ids where several bear the name."""
    found: dict[str, list[int]] = {}
    for id_, uuid, name in Producer.objects.values_list("id", "uuid", "name"):
        found.setdefault(name, []).append(id_)
        found[str(uuid)] = [id_]
    return found


def species_ids() -> dict[str, int]:
    """Species' ids by name."""
    return dict(Species.objects.values_list("name", "id"))


def cards_by_uid() -> dict[str, RfidCard]:
    """Every card, by what readers show."""
    return {card.uid: card for card in RfidCard.objects.all()}

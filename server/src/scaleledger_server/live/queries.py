"""Reads for the pages: which stations there are, and the last sale-ready weighing of each."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scaleledger_server.bodies import parse
from scaleledger_server.devices.models import Gateway, Station
from scaleledger_server.live.hub import Key
from scaleledger_server.market.models import RfidCard
from scaleledger_server.weighing import queries as weighing
from scaleledger_server.weighing import rows
from scaleledger_server.weighing.models import LedgerState

GATEWAYS_SHOWN_MAX = 200


@dataclass(frozen=True, slots=True)
class Shown:
    """A station of a page: whose it is, what people call it, and its last sale-ready weighing (None: none yet)."""

    gateway_id: int
    gateway_name: str
    station: str
    description: str
    last: dict[str, Any] | None

    @property
    def measured_at(self) -> datetime | None:
        """The last weighing's time."""
        return datetime.fromisoformat(self.last["measured_at"]) if self.last else None


def active_gateways() -> list[int]:
    """The ids of the gateways in use, bounded."""
    active = Gateway.objects.filter(status=Gateway.Status.ACTIVE).order_by("pk").values_list("pk", flat=True)
    return list(active[:GATEWAYS_SHOWN_MAX])


def last_weighings(gateway_ids: Collection[int]) -> dict[Key, dict[str, Any]]:
    """The last sale-ready weighing of each station of these gateways, in the page's form, read as it was amended."""
    latest = weighing.last_sale_ready(gateway_ids)
    held = dict(LedgerState.objects.filter(gateway__in=gateway_ids).values_list("gateway_id", "held_seq"))
    stated = {row.record.uuid: row for row in rows.shown(latest.values())}
    return {key: _last(key, stated[record.uuid], held.get(key[0], 0)) for key, record in latest.items()}


def _last(key: Key, row: rows.Shown, held_seq: int) -> dict[str, Any]:
    record = row.record
    details = parse(record.payload).get("details") if record.payload else None
    names = details if isinstance(details, dict) else {}
    return {
        "gateway": key[0],
        "station": key[1],
        "seq": record.seq,
        "weight": row.now.weight_text or record.weight_text,
        "unit": row.now.unit or record.unit,
        "void": row.void,
        "measured_at": record.measured_at.isoformat(),
        "card": row.now.rfid_uid or record.rfid_uid,
        "producer": str(names.get("producer", "")),
        "species": str(names.get("species", "")),
        "covered": record.seq is not None and record.seq <= held_seq,
    }


def card_names(card: str) -> tuple[str, str]:
    """The names of the producer and the species that a card stands for; "" for what is not known."""
    found = RfidCard.objects.filter(uid=card, is_active=True).values_list("producer__name", "species__name").first()
    return (found[0] or "", found[1] or "") if found else ("", "")


def shown(gateway_ids: Iterable[int]) -> list[Shown]:
    """The stations of these gateways: assigned by the centre, or known by a weighing; by gateway and name."""
    wanted = list(gateway_ids)[:GATEWAYS_SHOWN_MAX]
    names = {gateway.pk: gateway.name or gateway.hostname for gateway in Gateway.objects.filter(pk__in=wanted)}
    stations = Station.objects.filter(gateway__in=wanted, enabled=True)
    assigned = stations.values_list("gateway_id", "name", "description")
    found = {(gateway_id, name): description for gateway_id, name, description in assigned}
    lasts = last_weighings(wanted)
    return [
        Shown(
            gateway_id,
            names.get(gateway_id, ""),
            name,
            found.get((gateway_id, name), ""),
            lasts.get((gateway_id, name)),
        )
        for gateway_id, name in sorted({*found, *lasts})
    ]

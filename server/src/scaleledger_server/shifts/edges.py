"""Edges: registered, known again at every request, their scales, and their signs of life.

An edge is a gateway too (its records, alarms and approval), under a MAC address that follows from its id; so it is approved,
put out of use and watched where all gateways are. What it may do hangs on a key: its site's, or one of its own.
"""

import hashlib
import hmac
import logging
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, Max, Min

from scaleledger_server import notices, rates
from scaleledger_server.devices import services as devices
from scaleledger_server.devices.identity import token_digest
from scaleledger_server.devices.models import Gateway
from scaleledger_server.errors import Refusal
from scaleledger_server.limits import REFUSED_TOKENS_PER_MINUTE
from scaleledger_server.shifts.models import Edge, Scale, SessionChange, Site, WorkSession
from scaleledger_server.shifts.queries import ENDED_TOLD

log = logging.getLogger(__name__)

EDGES_PER_SITE_MAX = 200
SCALES_PER_EDGE_MAX = 500
KEY_CHARS_MAX = 128
UNASSIGNED = "unassigned"
SEEN_NOTED_EVERY = timedelta(seconds=20)
WAITING_NOTED_EVERY = timedelta(hours=1)
_NO_KEY = "-" * 64  # no digest is ever this


class Shown(NamedTuple):
    """What a request or a handshake shows: X-Edge-Id, Authorization, and the address that it comes from."""

    edge_id: str
    authorization: str
    address: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What an edge says of itself when it registers. `edge_id` is None before it was given one."""

    edge_id: UUID | None
    site_id: str
    site_name: str
    version: str
    capabilities: tuple[str, ...]


def unknown_edge(detail: str = "This edge is not known here, or the key is not its site's or its own.") -> Refusal:
    """What an edge is told that must register anew, or get another key."""
    return Refusal(401, "invalid_edge", detail)


def shown_key(authorization: str) -> str:
    """The key in an Authorization header, "" if there is none. Raises Refusal for another scheme, or one too long."""
    if not authorization.strip():
        return ""
    scheme, _, key = authorization.strip().partition(" ")
    key = key.strip()
    if scheme.lower() != "bearer" or not key or len(key) > KEY_CHARS_MAX:
        raise unknown_edge("Send the key as: Authorization: Bearer <key>.")
    return key


def known(shown: Shown, now: datetime) -> Edge:
    """The approved edge that a request comes from, and its sign of life noted; one statement when it spoke lately.

    Raises Refusal `invalid_edge` (401), `not_approved` (403), `rate_limited` (429).
    """
    edge = _by_id(_uuid(shown.edge_id))
    if edge is None or not _may_speak_for(edge, shown_key(shown.authorization)):
        rates.spend("refused-tokens", rates.network_of(shown.address), REFUSED_TOKENS_PER_MINUTE)
        raise unknown_edge()
    _check_approved(edge, now)
    rates.spend("edge", str(edge.pk), settings.REQUESTS_PER_MINUTE)
    if edge.last_seen_at is None or now - edge.last_seen_at >= SEEN_NOTED_EVERY:
        note_seen(edge, now)
    return edge


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if len(text) == len("00000000-0000-4000-8000-000000000000") else None
    except ValueError:
        return None


def _by_id(edge_id: UUID | None) -> Edge | None:
    return Edge.objects.select_related("gateway", "site").filter(pk=edge_id).first() if edge_id is not None else None


def _may_speak_for(edge: Edge, key: str) -> bool:
    """Whether whoever shows this key ("" for none) is believed to be this edge."""
    if not key:
        return bool(settings.PLAIN_CLIENTS) and not edge.keyed
    digest = token_digest(key)
    own = hmac.compare_digest(digest, edge.key_digest or _NO_KEY)
    of_site = hmac.compare_digest(digest, (edge.site.key_digest if edge.site else "") or _NO_KEY)
    return own or of_site


def _check_approved(edge: Edge, now: datetime) -> None:
    gateway = edge.gateway
    if gateway.status == Gateway.Status.ACTIVE:
        return
    if gateway.status == Gateway.Status.PENDING and now - gateway.updated_at >= WAITING_NOTED_EVERY:
        devices.still_waits(gateway, now)
    raise Refusal(403, "not_approved", "This edge is not in use here. An administrator approves it under Gateways.")


def register(asked: Asked, authorization: str, address: str, now: datetime) -> tuple[Edge, bool]:
    """The edge's row and whether it is new. With a site's key it is approved at once, without one it waits for a person.

    An id that is not known here is kept when a site's key comes with it: the server was put back from a copy, or is another.
    Raises Refusal `invalid_edge` (401), `not_approved` (403) for one put out of use, `rate_limited` (429) when there are
    too many edges at the site, or too many that wait.
    """
    rates.spend("registrations", rates.network_of(address), settings.REGISTRATIONS_PER_MINUTE)
    key = shown_key(authorization)
    edge = _by_id(asked.edge_id)
    site = Site.objects.filter(key_digest=token_digest(key)).first() if key else None
    if edge is not None:
        _check_same(edge, key, site, address)
        return _renew(edge, asked, site, address, now), False
    if site is None and (key or not settings.PLAIN_CLIENTS):
        rates.spend("refused-tokens", rates.network_of(address), REFUSED_TOKENS_PER_MINUTE)
        raise unknown_edge("Send the key of the site, which an administrator makes at the server's Sites page.")
    try:
        return _new(asked, site, address, now, claimed=site is not None), True
    except Refusal:
        edge = _by_id(asked.edge_id)  # it may have registered at another worker while we looked
        if edge is None:
            raise
    _check_same(edge, key, site, address)
    return _renew(edge, asked, site, address, now), False


def _check_same(edge: Edge, key: str, site: Site | None, address: str) -> None:
    """One that never showed a key may come with its site's one day; else it shows what it showed before."""
    joins = site is not None and edge.site is None and not edge.keyed
    if not joins and not _may_speak_for(edge, key):
        rates.spend("refused-tokens", rates.network_of(address), REFUSED_TOKENS_PER_MINUTE)
        raise unknown_edge()


def _renew(edge: Edge, asked: Asked, site: Site | None, address: str, now: datetime) -> Edge:
    gateway = edge.gateway
    if gateway.status in {Gateway.Status.INACTIVE, Gateway.Status.REPLACED}:
        _check_approved(edge, now)
    devices.register(_as_gateway(edge.pk, asked, edge.site or site, address), now)
    if site is not None and edge.site is None:
        edge.site = site
        devices.approve(gateway)
    edge.keyed = edge.keyed or site is not None  # from now on nobody is believed to be it without a key
    edge.version, edge.capabilities = asked.version, list(asked.capabilities)
    edge.last_seen_at = now
    edge.save(update_fields=["site", "keyed", "version", "capabilities", "last_seen_at"])
    edge.gateway.refresh_from_db()
    if edge.gateway.status == Gateway.Status.ACTIVE:
        devices.note_heartbeat(edge.gateway, {}, now)
    return edge


@transaction.atomic
def _new(asked: Asked, site: Site | None, address: str, now: datetime, *, claimed: bool) -> Edge:
    if site is not None:
        Site.objects.select_for_update().get(pk=site.pk)  # so that two at once are both counted
        used = Edge.objects.filter(site=site).exclude(gateway__status=Gateway.Status.INACTIVE).count()
        if used >= EDGES_PER_SITE_MAX:
            words = f"This site has {EDGES_PER_SITE_MAX} edges. Put those out of use that are gone."
            raise Refusal(429, "rate_limited", words, retry_after_s=600)
    edge_id = asked.edge_id or uuid4()
    gateway, created = devices.register(_as_gateway(edge_id, asked, site, address), now, claimed=claimed)
    if not created:
        raise unknown_edge("Another gateway bears the MAC address that follows from this id. Register without an id.")
    edge = Edge.objects.create(
        edge_id=edge_id,
        gateway=gateway,
        site=site,
        version=asked.version,
        capabilities=list(asked.capabilities),
        keyed=claimed,
        reported={"site": asked.site_id} if site is None and asked.site_id else {},
        registered_at=now,
        last_seen_at=now,
    )
    if site is not None:
        devices.approve(gateway)
    log.info("edge %s registered (%s)", edge_id, gateway.mac_address)
    return edge


def _as_gateway(edge_id: UUID, asked: Asked, site: Site | None, address: str) -> devices.Registration:
    name = asked.site_name or (site.name or site.site_id if site else asked.site_id)
    return devices.Registration(mac_of(edge_id), f"edge-{str(edge_id)[:8]}", address, name, "", address)


def mac_of(edge_id: UUID) -> str:
    """The locally administered address under which this edge stands among the gateways."""
    digest = bytearray(hashlib.sha256(b"scaleledger edge v1\n" + str(edge_id).encode()).digest()[:6])
    digest[0] = digest[0] & 0xFC | 0x02
    return digest.hex(":")


def activate(code: str, asked: Asked, address: str, now: datetime) -> tuple[Edge, str]:
    """A new edge by a claim code, approved, and its own key, told once. It belongs to the site if there is only one.

    Raises Refusal `claim_wrong` (403), `rate_limited` (429).
    """
    rates.spend("registrations", rates.network_of(address), settings.REGISTRATIONS_PER_MINUTE)
    claim = devices.read_claim(code, address, now)
    key = secrets.token_urlsafe(32)
    sites = list(Site.objects.all()[:2])
    with transaction.atomic():
        edge = _new(asked, sites[0] if len(sites) == 1 else None, address, now, claimed=True)
        devices.use_claim(edge.gateway, claim, now)
        edge.key_digest = token_digest(key)
        edge.save(update_fields=["key_digest"])
    edge.gateway.refresh_from_db()
    return edge, key


def make_key(site: Site, now: datetime) -> str:
    """A new key for the site's edges, told once; the one before it is worth nothing from now on."""
    key = secrets.token_urlsafe(32)
    with transaction.atomic():
        Site.objects.filter(pk=site.pk).update(key_digest=token_digest(key), key_made_at=now)
        for gateway_id in Edge.objects.filter(site=site).values_list("gateway_id", flat=True):
            notices.end_gateway(gateway_id)  # each open socket shows its key anew
    site.refresh_from_db()
    return key


def assign_site(edge: Edge, site: Site | None) -> None:
    """A person says to which plant an edge belongs; from then on it may show that site's key, and no other site's."""
    with transaction.atomic():
        Edge.objects.filter(pk=edge.pk).update(site=site)
        notices.end_gateway(edge.gateway_id)


def name_scale(scale: Scale, name: str) -> None:
    """A person's own word for a scale."""
    Scale.objects.filter(pk=scale.pk).update(name=name.strip())


def registered_body(edge: Edge) -> dict[str, Any]:
    """What an edge is told of itself: the answer to `register`, and the payload of `edge_registered`."""
    site_id = edge.site.site_id if edge.site else edge.reported.get("site") or UNASSIGNED
    site_name = edge.site.name if edge.site else ""
    return {"edgeId": str(edge.pk), "siteId": site_id, "siteName": site_name or site_id, "config": config_body()}


def config_body() -> dict[str, Any]:
    """Runtime values for edges. A session is looked for every 5 s while a scale works: a late one is a wrong animal."""
    return {
        "sessionPollIntervalIdleMs": 30_000,
        "sessionPollIntervalWaitingMs": 5_000,
        "sessionPollIntervalActiveMs": 5_000,
        "heartbeatIntervalMs": 30_000,
        "timezone": settings.TIME_ZONE,
    }


def sessions_mark(edge: Edge, device_ids: Collection[str] | None, now: datetime) -> list[int]:
    """Another list when what `queries.sessions_body` would say is another: every step of a session adds a change."""
    mine = WorkSession.objects.filter(scale__edge=edge)
    if device_ids is not None:
        mine = mine.filter(scale__device_id__in=device_ids)
    ids = mine.order_by().values("pk")
    told = ids.exclude(status=WorkSession.Status.ENDED).union(ids.filter(ended_at__gt=now - ENDED_TOLD))
    found = SessionChange.objects.filter(session__in=told).order_by().aggregate(Count("pk"), Max("pk"), Min("pk"))
    return [value or 0 for value in found.values()]


def note_seen(edge: Edge, now: datetime) -> None:
    """The edge lives, so it is not late."""
    Edge.objects.filter(pk=edge.pk).update(last_seen_at=now)
    edge.last_seen_at = now
    devices.note_heartbeat(edge.gateway, {}, now)


def note_report(edge: Edge, reported: Mapping[str, Any], now: datetime) -> None:
    """What its heartbeat said of itself; `version` and `uptime_s` are shown with the gateway."""
    kept = {**reported, **({"site": edge.reported["site"]} if "site" in edge.reported else {})}
    Edge.objects.filter(pk=edge.pk).update(last_seen_at=now, reported=kept)
    edge.last_seen_at, edge.reported = now, kept
    shown = {name: reported[name] for name in ("version", "uptime_s") if name in reported}
    devices.note_heartbeat(edge.gateway, shown, now)


@dataclass(frozen=True, slots=True)
class ScaleSaid:
    """What an edge says of one of its scales; None and "" are what it does not speak of."""

    device_id: str
    status: str = ""
    type: str = ""
    source_ip: str = ""
    heartbeat_count: int | None = None
    last_heartbeat_at: datetime | None = None
    last_event_at: datetime | None = None


def scales_of(edge: Edge, device_ids: Collection[str]) -> dict[str, Scale]:
    """The edge's scales by device id, made where they are new; those beyond 500 per edge are not in it."""
    wanted = set(device_ids)
    if not wanted:
        return {}
    mine = Scale.objects.filter(edge=edge)
    found = {scale.device_id: scale for scale in mine.filter(device_id__in=wanted)}
    missing = sorted(wanted - found.keys())
    if missing:
        with transaction.atomic():
            Edge.objects.select_for_update().get(pk=edge.pk)  # so that two at once do not both see room
            room = max(0, SCALES_PER_EDGE_MAX - mine.count())
            rows = [Scale(edge=edge, device_id=device_id) for device_id in missing[:room]]
            Scale.objects.bulk_create(rows, ignore_conflicts=True)
        found |= {scale.device_id: scale for scale in mine.filter(device_id__in=missing)}
    return found


_SAID = ("status", "type", "source_ip", "heartbeat_count", "last_heartbeat_at", "last_event_at")


def note_scales(edge: Edge, said: Sequence[ScaleSaid], now: datetime) -> None:
    """Keep what an edge says of its scales; a scale that it does not name stays as it was said to be last."""
    rows = scales_of(edge, [one.device_id for one in said])
    for one in said:
        scale = rows.get(one.device_id)
        if scale is None:
            continue
        for name in _SAID:
            value = getattr(one, name)
            if value not in (None, ""):
                setattr(scale, name, value)
        scale.seen_at = now
    if rows:
        Scale.objects.bulk_update(rows.values(), [*_SAID, "seen_at"])


def note_events(scales: Mapping[Scale, tuple[int, datetime]], now: datetime) -> None:
    """So many more events of each scale came, the last one measured then."""
    for scale, (count, last_at) in scales.items():
        newest = max(min(last_at, now), scale.last_event_at) if scale.last_event_at else min(last_at, now)
        scale.event_count, scale.last_event_at, scale.seen_at = F("event_count") + count, newest, now
    if scales:
        Scale.objects.bulk_update(scales, ["event_count", "last_event_at", "seen_at"])

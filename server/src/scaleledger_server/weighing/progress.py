"""How far a gateway's ledger is held here and proved: judged at the door, moved on in the transaction of the insert.

Whoever adds records of a gateway first locks its LedgerState, so that two workers never judge the same links at once.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from scaleledger_server.devices.models import Gateway
from scaleledger_server.weighing.items import GENESIS, Item, link
from scaleledger_server.weighing.lookups import links
from scaleledger_server.weighing.models import LedgerState, WeighingRecord

STATIONS_MAX = 256
_NOTED = ("held_seq", "held_hash", "top_seq", "absorbed", "latest")
_READ = ("gateway_id", *_NOTED)
_RECEIPT = ("receipt_seq", "receipt_hash", "receipt_at", "receipt_signature")
_LOCK = f"SELECT {', '.join(_NOTED)} FROM weighing_ledgerstate WHERE gateway_id = %s"  # noqa: S608 - our own names
WALK_SLICES = (1, 500, 1000, 1000, 1000, 1000)
"""How many rows that wait above are read at a time, so many in all per batch; the next batch goes on."""


@dataclass(slots=True)
class Judged:
    """Which offered items do not follow from the record before them, and which held records do not follow from an item."""

    broken: frozenset[str] = frozenset()
    before_others: tuple[Item, ...] = ()
    straight: bool = False


def lock(gateway: Gateway) -> LedgerState:
    """The gateway's state, ours until the transaction ends."""
    found = _locked(gateway)
    if found is None:
        LedgerState.objects.bulk_create([LedgerState(gateway=gateway)], ignore_conflicts=True)
        found = _locked(gateway)
        assert found is not None, "it was just made, and nobody deletes one"
    *_, latest = found
    return LedgerState.from_db(connection.alias, _READ, [gateway.pk, *found[:-1], json.loads(latest)])


def _locked(gateway: Gateway) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(_LOCK + (" FOR UPDATE" if connection.features.has_select_for_update else ""), [gateway.pk])
        found: tuple[Any, ...] | None = cursor.fetchone()
        return found


def judge(gateway: Gateway, state: LedgerState, items: Sequence[Item]) -> Judged:
    """How the items fit the ledger, before they are added.

    The usual batch goes on where the ledger ends, in order; that needs no look at the database.
    """
    if state.top_seq == state.held_seq and _go_straight_on(state, items):
        return Judged(straight=True)
    numbered = sorted((item for item in items if item.seq is not None), key=lambda item: item.seq or 0)
    if not numbered:
        return Judged()
    held = links(gateway, {item.seq + step for item in numbered if item.seq is not None for step in (-1, 0, 1)})
    known = {0: GENESIS, **{seq: found.hash for seq, found in held.items()}}
    offered: dict[int, str] = {}
    broken: set[str] = set()
    before_others: list[Item] = []
    for item in numbered:
        assert item.seq is not None, "only numbered items are looked at"
        prev_hash = known.get(item.seq - 1) or offered.get(item.seq - 1)
        if prev_hash is not None and not item.follows(prev_hash):
            broken.add(item.uuid)
            continue
        offered.setdefault(item.seq, item.hash)
        after = held.get(item.seq + 1)
        if after is not None and item.seq not in known and link(item.hash, after.payload) != after.hash:
            before_others.append(item)
    return Judged(frozenset(broken), tuple(before_others))


def _go_straight_on(state: LedgerState, items: Sequence[Item]) -> bool:
    seq, digest = state.held_seq, state.held_hash
    for item in items:
        seq += 1
        if item.seq != seq or link(digest, item.payload) != item.hash:
            return False
        digest = item.hash
    return True


def move_on(state: LedgerState, judged: Judged, items: Sequence[Item], created: Collection[str]) -> None:
    """Bring the state, in memory, up to what is held now that `created` have been added."""
    if judged.straight and len(created) == len(items):
        state.held_seq, state.held_hash = items[-1].seq or 0, items[-1].hash
        state.top_seq = state.held_seq
        return
    top = max((item.seq for item in items if item.seq is not None and item.uuid in created), default=0)
    state.top_seq = max(state.top_seq, top)
    if state.top_seq > state.held_seq:
        _walk(state)


def _walk(state: LedgerState) -> None:
    """Go on over records that are held already, while each is there and follows."""
    for rows_max in WALK_SLICES:
        rows = (
            WeighingRecord.objects.filter(gateway_id=state.gateway_id, seq__gt=state.held_seq)
            .order_by("seq")
            .values_list("seq", "payload", "hash")[:rows_max]
        )
        found = 0
        for seq, payload, digest in rows:
            if seq != state.held_seq + 1 or link(state.held_hash, payload) != digest:
                return
            state.held_seq, state.held_hash = seq, digest
            found += 1
        if found < rows_max:
            return


def note(
    state: LedgerState, absorbed: int, newest: Mapping[str, Item], receipt: dict[str, Any] | None, now: datetime
) -> None:
    """Write the state down, with each station's newest item and the receipt that will be given once this is committed."""
    state.absorbed += absorbed
    for station, item in newest.items():
        seq, _ = state.latest.get(station, (None, ""))
        room = station in state.latest or len(state.latest) < STATIONS_MAX
        if room and (seq is None or item.seq is None or item.seq > seq):
            state.latest[station] = [item.seq, item.uuid]
    names: tuple[str, ...] = _NOTED
    values: list[Any] = [state.held_seq, state.held_hash, state.top_seq, state.absorbed, json.dumps(state.latest)]
    if receipt is not None and receipt["upto_seq"]:
        at = connection.ops.adapt_datetimefield_value(now)
        names += _RECEIPT
        values += [receipt["upto_seq"], receipt["hash"], at, receipt["signature"]]
    settings = ", ".join(f"{name} = %s" for name in names)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE weighing_ledgerstate SET {settings} WHERE gateway_id = %s",  # noqa: S608 - our own names
            [*values, state.gateway_id],
        )

"""Outages and offline batches, kept over restarts, and what the ledger counts in them.

The outages are one small row: the first and the last number of each that is not wound up. A batch's row is written together
with the outage's end, so after a crash there is either the outage still, or all its batches.
"""

import json
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from sqlite3 import Connection

from tortoise.transactions import in_transaction

from scaleledger.domain.offline import BatchEvent, BatchStatus, OfflineBatch, Outage, Tally, whole_grams
from scaleledger.store import plant_tables as tables
from scaleledger.store.orm import Orm
from scaleledger.store.reader import Reader
from scaleledger.store.tables import Setting

OUTAGES_KEY = "outages"
SLICE = 2_000
_EVENTS = (
    "SELECT seq, uuid, station, weight, unit FROM weighing_records WHERE seq > ? AND seq <= ? "
    'AND instr(payload, \'"kind":"weighing"\') AND instr(payload, \'"listener":"\') ORDER BY seq'
)
"""Quotes are escaped inside JSON strings, so both texts can only stand where a field does."""
_WORDS = (
    'SELECT seq, uuid, CASE WHEN instr(payload, \'"kind":"correction"\') AND json_valid(payload) '
    "THEN json_extract(payload, '$.refers_to') END FROM weighing_records WHERE seq > ? AND seq <= ? ORDER BY seq"
)


class Batches:
    """Where batches are kept."""

    def __init__(self, orm: Orm, reader: Reader) -> None:
        self._orm, self._reader = orm, reader

    async def load(self) -> tuple[tuple[Outage, ...], list[OfflineBatch]]:
        """What is kept. Outages that cannot be read are none: their events count as weighed with the cloud there."""
        return await self._orm.run(_load())

    async def keep(self, outages: Sequence[Outage], batches: Sequence[OfflineBatch]) -> None:
        """Put these outages in the place of those of before, and insert or replace these batches; all or nothing."""
        await self._orm.run(_keep(outages, batches))

    async def forget(self, reconciled_before: datetime) -> None:
        """Drop batches that were confirmed before this time."""
        await self._orm.run(_forget(reconciled_before))

    async def tally(self, after_seq: int, upto_seq: int) -> dict[str, Tally]:
        """Events (no corrections) of scales that dial in with after_seq < seq <= upto_seq, by device."""
        found: dict[str, Tally] = {}
        for start in range(after_seq, upto_seq, SLICE):
            for device_id, event in await self._slice(start, min(start + SLICE, upto_seq)):
                before = found.get(device_id, Tally())
                found[device_id] = Tally(before.count + 1, before.grams + event.grams)
        return found

    async def events(self, device_id: str, after_seq: int, upto_seq: int) -> list[BatchEvent]:
        """Those of one device, in order."""
        found: list[BatchEvent] = []
        for start in range(after_seq, upto_seq, SLICE):
            events = await self._slice(start, min(start + SLICE, upto_seq))
            found += [event for device, event in events if device == device_id]
        return found

    async def words_on(self, uuids: Collection[str], after_seq: int, upto_seq: int) -> list[int]:
        """The numbers of all records that speak of these events: the first ones, and their corrections."""
        found: list[int] = []
        for start in range(after_seq, upto_seq, SLICE):
            rows = await self._reader.run(_words(start, min(start + SLICE, upto_seq)))
            found += [seq for seq, uuid, refers_to in rows if uuid in uuids or refers_to in uuids]
        return found

    async def _slice(self, after: int, upto: int) -> list[tuple[str, BatchEvent]]:
        rows = await self._reader.run(lambda connection: _read(connection, after, upto))
        return [(device_id, BatchEvent(seq, uuid, _grams(weight, unit))) for seq, uuid, device_id, weight, unit in rows]


def _words(after: int, upto: int) -> Callable[[Connection], list[tuple[int, str, str | None]]]:
    return lambda connection: connection.execute(_WORDS, (after, upto)).fetchall()


def _read(connection: Connection, after: int, upto: int) -> list[tuple[int, str, str, str, str]]:
    return connection.execute(_EVENTS, (after, upto)).fetchall()


def _grams(weight: str, unit: str) -> int:
    try:
        return whole_grams(Decimal(weight), unit)
    except InvalidOperation:
        return 0  # damaged: delivery sets it aside and says so


async def _load() -> tuple[tuple[Outage, ...], list[OfflineBatch]]:
    row = await Setting.get_or_none(key=OUTAGES_KEY)
    return _outages(row.value if row is not None else "[]"), [_batch(row) for row in await tables.OfflineBatch.all()]


async def _keep(outages: Sequence[Outage], batches: Sequence[OfflineBatch]) -> None:
    async with in_transaction():
        value = json.dumps(
            [
                [o.after_seq, o.started_at.isoformat(), o.upto_seq, o.ended_at and o.ended_at.isoformat()]
                for o in outages
            ]
        )
        await Setting.bulk_create([Setting(key=OUTAGES_KEY, value=value)], on_conflict=["key"], update_fields=["value"])
        if batches:
            rows = [_row(batch) for batch in batches]
            fields = [name for name in tables.OfflineBatch._meta.db_fields if name != "id"]  # noqa: SLF001 - Tortoise's own way
            await tables.OfflineBatch.bulk_create(rows, on_conflict=["id"], update_fields=fields)


async def _forget(reconciled_before: datetime) -> None:
    await tables.OfflineBatch.filter(reconciled_at__lt=reconciled_before).delete()


def _outages(text: str) -> tuple[Outage, ...]:
    try:
        return tuple(
            Outage(int(after), _time(started), upto, _time(ended) if ended else None)
            for after, started, upto, ended in json.loads(text)
        )
    except (ValueError, TypeError):
        return ()


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _batch(row: tables.OfflineBatch) -> OfflineBatch:
    return OfflineBatch(
        row.id,
        row.device_id,
        row.after_seq,
        row.started_at,
        row.upto_seq,
        row.ended_at,
        row.event_count,
        row.total_grams,
        BatchStatus(row.status),
        row.reconciled_at,
    )


def _row(batch: OfflineBatch) -> tables.OfflineBatch:
    return tables.OfflineBatch(
        id=batch.batch_id,
        device_id=batch.device_id,
        started_at=batch.started_at,
        ended_at=batch.ended_at,
        after_seq=batch.after_seq,
        upto_seq=batch.upto_seq,
        event_count=batch.event_count,
        total_grams=batch.total_grams,
        status=batch.status.value,
        reconciled_at=batch.reconciled_at,
    )

"""The statements that add a batch of records, in each database's own words: few, and as many for one record as for 500.

The key decides what is new (its uuid and its number are unique over all months), and only what got a key is added. Keys
are offered in the order of their uuids, so that two transactions never wait for each other in a circle.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from django.db import connection

from scaleledger_server.weighing.items import Item, time_is_suspect

COLUMNS = (
    "id", "uuid", "gateway_id", "seq", "rfid_uid", "weight", "weight_text", "unit", "station", "measured_at",
    "received_at", "payload", "hash", "kind", "refers_to", "time_suspect",
)  # fmt: skip
KEY_COLUMNS = ("uuid", "gateway_id", "seq", "record_id", "received_at")

_BY_MONTH = """
WITH offered AS MATERIALIZED (
    SELECT nextval('weighing_record_id') AS id, t.* FROM json_to_recordset(%s::json) AS t (
        uuid uuid, seq bigint, rfid_uid text, weight numeric, weight_text text, unit text, station text,
        measured_at timestamptz, payload text, hash text, kind text, refers_to text)
), fresh AS (
    INSERT INTO weighing_recordkey (uuid, gateway_id, seq, record_id, received_at)
    SELECT uuid, %s, seq, id, %s FROM offered ORDER BY uuid, id ON CONFLICT DO NOTHING RETURNING record_id
)
INSERT INTO weighing_weighingrecord (
    id, uuid, gateway_id, seq, rfid_uid, weight, weight_text, unit, station, measured_at, received_at, payload, hash, kind,
    refers_to, time_suspect)
SELECT id, uuid::text, %s, seq, rfid_uid, weight, weight_text, unit, station, measured_at, %s, payload, hash, kind,
    refers_to, measured_at > %s::timestamptz + interval '5 minutes'
FROM offered WHERE id IN (SELECT record_id FROM fresh) ORDER BY id RETURNING uuid
"""


def insert(gateway_id: int, items: Sequence[Item], now: datetime) -> set[str]:
    """Add what collides with nothing; returns the uuids that were added. Belongs into a transaction."""
    if not items:
        return set()
    if connection.vendor == "postgresql":
        return _insert_by_month(gateway_id, items, now)
    return _insert_plainly(gateway_id, items, now)


def _insert_by_month(gateway_id: int, items: Sequence[Item], now: datetime) -> set[str]:
    """Parameters travel beside the statement (Django would write them into it, a copy and an escape more)."""
    from psycopg import Cursor  # noqa: PLC0415 - only where it is used

    connection.ensure_connection()
    offered = msgspec.json.encode(items).decode()
    with connection.wrap_database_errors, Cursor(connection.connection) as cursor:
        cursor.execute(_BY_MONTH, [offered, gateway_id, now, gateway_id, now, now])
        return {row[0] for row in cursor.fetchall()}


def _insert_plainly(gateway_id: int, items: Sequence[Item], now: datetime) -> set[str]:
    moment = connection.ops.adapt_datetimefield_value
    received_at = moment(now)
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(id), 0) FROM weighing_weighingrecord")  # no other writer is at work
        first = cursor.fetchone()[0] + 1
        keys = [
            (item.uuid.replace("-", ""), gateway_id, item.seq, record_id, received_at)
            for record_id, item in enumerate(items, first)
        ]
        cursor.executemany(_KEYS, keys)
        fresh = _fresh(cursor, [key[0] for key in keys], first) if cursor.rowcount < len(keys) else None
        rows = [
            (
                record_id, item.uuid, gateway_id, item.seq, item.rfid_uid, format(item.weight, "f"), item.weight_text,
                item.unit, item.station, moment(item.measured_at), received_at, item.payload, item.hash, item.kind,
                item.refers_to, time_is_suspect(item.measured_at, now),
            )
            for record_id, item in enumerate(items, first)
            if fresh is None or record_id in fresh
        ]  # fmt: skip
        if rows:
            cursor.executemany(_RECORDS, rows)
    return {row[1] for row in rows}


def _fresh(cursor: Any, uuids: Sequence[str], first: int) -> set[int]:
    """Which of the rows numbered from `first` got their key."""
    places = ", ".join(["%s"] * len(uuids))
    query = f"SELECT record_id FROM weighing_recordkey WHERE uuid IN ({places}) AND record_id >= %s"  # noqa: S608
    cursor.execute(query, [*uuids, first])
    return {row[0] for row in cursor.fetchall()}


def _statement(table: str, columns: Sequence[str], end: str = "") -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))}){end}"  # noqa: S608


_KEYS = _statement("weighing_recordkey", KEY_COLUMNS, " ON CONFLICT DO NOTHING")
_RECORDS = _statement("weighing_weighingrecord", COLUMNS)

"""The statements that add a batch of records, in each database's own words: few, and as many for one record as for 500.

The key decides what is new (its uuid and its number are unique over all months), and only what got a key is added. Keys
are offered in the order of their uuids, so that two transactions never wait for each other in a circle.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from django.db import connection

from scaleledger_server.devices.identity import Head
from scaleledger_server.weighing.items import SUSPECT_AHEAD, Item, time_is_suspect

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


_APPENDED = f"COPY weighing_weighingrecord ({', '.join(COLUMNS[1:])}) FROM STDIN"
_KEYED = """
INSERT INTO weighing_recordkey (uuid, gateway_id, seq, record_id, received_at)
SELECT uuid::uuid, gateway_id, seq, id, received_at FROM weighing_weighingrecord
WHERE gateway_id = %s AND seq BETWEEN %s AND %s AND received_at = %s ORDER BY 1 ON CONFLICT DO NOTHING
"""
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class AlreadyThere(Exception):
    """One of the records that were to be appended collides with a record that is held, or with another of them."""


def append(gateway_id: int, items: Sequence[Item], now: datetime) -> set[str]:
    """Add items that go straight on where the ledger ends; returns their uuids, all of them.

    Raises AlreadyThere when that cannot be; the transaction must then be given up.
    """
    if connection.vendor == "postgresql":
        return _append_by_month(gateway_id, items, now)
    return insert(gateway_id, items, now)


def _append_by_month(gateway_id: int, items: Sequence[Item], now: datetime) -> set[str]:
    """COPY costs the database a third of what a statement with values costs; the keys follow from the rows."""
    from psycopg import Cursor  # noqa: PLC0415 - only where it is used

    uuids = {item.uuid for item in items}
    if len(uuids) < len(items):
        raise AlreadyThere
    connection.ensure_connection()
    with connection.wrap_database_errors, Cursor(connection.connection) as cursor:
        with cursor.copy(_APPENDED) as copy:
            copy.write(_lines(gateway_id, items, now))
        cursor.execute(_KEYED, [gateway_id, items[0].seq, items[-1].seq, now])
        if cursor.rowcount != len(items):
            raise AlreadyThere
    return uuids


def _lines(gateway_id: int, items: Sequence[Item], now: datetime) -> str:
    """Rows in COPY's text form."""
    suspect_from, gateway, received_at = now + SUSPECT_AHEAD, str(gateway_id), now.isoformat()
    rows = [
        (
            item.uuid, gateway, str(item.seq), item.rfid_uid, item.weight_text, item.weight_text, item.unit, item.station,
            item.measured_at.isoformat(), received_at, item.payload, item.hash, item.kind, item.refers_to,
            "t" if item.measured_at > suspect_from else "f",
        )
        for item in items
    ]  # fmt: skip
    text = "\n".join(map("\t".join, rows))
    plain = text.count("\t") == len(rows) * (len(COLUMNS) - 2) and text.count("\n") == len(rows) - 1
    if plain and "\\" not in text and "\r" not in text:
        return text
    return "\n".join("\t".join(cell.translate(_ESCAPES) for cell in row) for row in rows)


def keep_head(gateway_id: int, head: Head, now: datetime) -> None:
    """Keep a signed head as evidence, once."""
    at = connection.ops.adapt_datetimefield_value(now)
    with connection.cursor() as cursor:
        cursor.execute(_HEAD, [gateway_id, head.seq, head.hash, head.signature, at])


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
_HEAD = _statement(
    "weighing_signedhead", ("gateway_id", "seq", "hash", "signature", "received_at"), " ON CONFLICT DO NOTHING"
)

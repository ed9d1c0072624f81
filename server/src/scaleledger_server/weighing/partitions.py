"""The months in which PostgreSQL keeps records: made ahead, each by whichever worker needs it first.

A month that could not be made costs nothing but order: its records go to the default partition, so an insert never fails
for want of a month. SQLite knows no partitions and needs none.
"""

import logging
from datetime import UTC, datetime
from typing import Any

from django.db import OperationalError, connection, transaction

log = logging.getLogger(__name__)

TABLE = "weighing_weighingrecord"
MONTHS_AHEAD = 2
LOCK = 0x5CA1E001  # any number that no other advisory lock of ours bears
LOCK_TIMEOUT_MS = 2000
_made: set[str] = set()


def months_from(moment: datetime, count: int) -> list[datetime]:
    """The first instants (UTC) of `count` months, beginning with the one of `moment`."""
    utc = moment.astimezone(UTC)
    first = utc.year * 12 + utc.month - 1
    return [datetime((first + i) // 12, (first + i) % 12 + 1, 1, tzinfo=UTC) for i in range(count)]


def name_of(month: datetime) -> str:
    """The partition's table."""
    return f"{TABLE}_{month:%Y_%m}"


def ensure(now: datetime) -> None:
    """Have this month and the next ones; asks the database once per month and process. Call it outside a transaction."""
    wanted = months_from(now, 1 + MONTHS_AHEAD)
    newest = name_of(wanted[-1])
    if connection.vendor != "postgresql" or newest in _made:
        return
    _made.add(newest)  # also when it fails: the default partition serves, and the next month tries again
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            for month in wanted:
                add_month(cursor, month)
    except OperationalError as error:  # a lock was not to be had; nothing was changed
        log.warning("no partition for %s yet, the default one takes its records: %s", newest, error)


def add_month(cursor: Any, month: datetime) -> None:
    """Make one month's partition, unless it is there, or the default one holds records of it already."""
    name, (start, end) = name_of(month), months_from(month, 2)
    cursor.execute("SELECT to_regclass(%s)", [name])
    if cursor.fetchone()[0] is not None:
        return
    cursor.execute(
        f"SELECT EXISTS (SELECT FROM {TABLE}_rest WHERE received_at >= %s AND received_at < %s)",  # noqa: S608 - our own name
        [start, end],
    )
    if cursor.fetchone()[0]:
        log.warning("records of %s stay in the default partition", f"{month:%Y-%m}")
        return
    cursor.execute(
        f"CREATE TABLE {name} PARTITION OF {TABLE} FOR VALUES FROM ('{start.isoformat()}') TO ('{end.isoformat()}')"
    )
    refuse_truncate(cursor, name)


def refuse_truncate(cursor: Any, table: str) -> None:
    """A row's triggers come down to a partition by themselves, a statement's do not."""
    cursor.execute(f"CREATE TRIGGER weighing_no_truncate BEFORE TRUNCATE ON {table} EXECUTE FUNCTION weighing_refuse()")

"""The database's tables, brought up to date by whoever starts first."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from django.core.management import call_command
from django.db import connection

MIGRATING = 0x5CA1E  # an advisory lock's number; any would do, as long as all processes take the same
PATIENCE_S = 300.0


def bring_up_to_date() -> None:
    """Run the migrations; of processes that start together one does it and the others wait."""
    with _advisory_lock() if connection.vendor == "postgresql" else _file_lock():
        call_command("migrate", verbosity=0)


@contextmanager
def _advisory_lock() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [MIGRATING])
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [MIGRATING])


@contextmanager
def _file_lock() -> Iterator[None]:
    """SQLite's own lock on a file beside the database; it ends with its process, however that ends."""
    name = str(connection.settings_dict["NAME"])
    beside = ":memory:" if "mode=memory" in name else f"{name}.migrating"
    with closing(sqlite3.connect(beside, timeout=PATIENCE_S, isolation_level=None)) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        yield

"""The database's tables, brought up to date by whoever starts first."""

from django.core.management import call_command
from django.db import connection

MIGRATING = 0x5CA1E  # an advisory lock's number; any would do, as long as all processes take the same


def bring_up_to_date() -> None:
    """Run the migrations; of processes that start together on PostgreSQL one does it and the others wait."""
    if connection.vendor != "postgresql":
        call_command("migrate", verbosity=0)
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [MIGRATING])
        try:
            call_command("migrate", verbosity=0)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [MIGRATING])

"""What somebody with the database in hand could do, for tests that it is found out."""

from django.db import connection


def tamper(assignment, seq):
    """Change the record with this number; `assignment` is SQL. The triggers are taken away first."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("DROP TRIGGER weighing_no_update")
        else:
            cursor.execute("SET session_replication_role = replica")
        cursor.execute(f"UPDATE weighing_weighingrecord SET {assignment} WHERE seq = %s", [seq])
        if connection.vendor != "sqlite":
            cursor.execute("SET session_replication_role = DEFAULT")

"""Triggers that refuse to alter or delete a weighing, in each database's own words.

The columns are named, so that one added later (a link to a customer, say) may be filled in afterwards.
A later migration that rebuilds the table on SQLite loses its triggers and must put them back; a test looks for them.
"""

from typing import Any

from django.db import migrations

TABLE = "weighing_weighingrecord"
COLUMNS = (
    "id, uuid, gateway_id, seq, rfid_uid, weight, weight_text, unit, station, measured_at, received_at, payload, hash, "
    "kind, refers_to"
)
SQLITE = (
    f"CREATE TRIGGER weighing_no_update BEFORE UPDATE OF {COLUMNS} ON {TABLE} "
    "BEGIN SELECT RAISE(ABORT, 'a weighing is never altered'); END",
    f"CREATE TRIGGER weighing_no_delete BEFORE DELETE ON {TABLE} "
    "BEGIN SELECT RAISE(ABORT, 'a weighing is never deleted'); END",
)
SQLITE_BACK = ("DROP TRIGGER weighing_no_update", "DROP TRIGGER weighing_no_delete")
POSTGRESQL = (
    "CREATE FUNCTION weighing_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'a weighing is never altered or deleted'; END $$",
    f"CREATE TRIGGER weighing_no_update BEFORE UPDATE OF {COLUMNS} ON {TABLE} "
    "FOR EACH ROW EXECUTE FUNCTION weighing_refuse()",
    f"CREATE TRIGGER weighing_no_delete BEFORE DELETE ON {TABLE} FOR EACH ROW EXECUTE FUNCTION weighing_refuse()",
    f"CREATE TRIGGER weighing_no_truncate BEFORE TRUNCATE ON {TABLE} EXECUTE FUNCTION weighing_refuse()",
)
POSTGRESQL_BACK = (
    f"DROP TRIGGER weighing_no_truncate ON {TABLE}",
    f"DROP TRIGGER weighing_no_delete ON {TABLE}",
    f"DROP TRIGGER weighing_no_update ON {TABLE}",
    "DROP FUNCTION weighing_refuse()",
)


def _run(schema_editor: Any, by_vendor: dict[str, tuple[str, ...]]) -> None:
    for statement in by_vendor[schema_editor.connection.vendor]:
        schema_editor.execute(statement, params=None)


def put_up(_apps: Any, schema_editor: Any) -> None:
    _run(schema_editor, {"sqlite": SQLITE, "postgresql": POSTGRESQL})


def take_down(_apps: Any, schema_editor: Any) -> None:
    _run(schema_editor, {"sqlite": SQLITE_BACK, "postgresql": POSTGRESQL_BACK})


class Migration(migrations.Migration):
    dependencies = [("weighing", "0001_initial")]
    operations = [migrations.RunPython(put_up, take_down)]

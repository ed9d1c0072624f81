"""A plant: devices that dial in, lines that could not be read, sessions, offline batches, products, printers, logins."""

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("ledger", "m0003_centre")]

    operations = [
        ops.CreateModel(
            name="Device",
            fields=[
                ("device_id", fields.CharField(64, primary_key=True)),
                ("listener", fields.CharField(100)),
                ("name", fields.CharField(100, db_default="")),
                ("location", fields.CharField(100, db_default="")),
                ("type", fields.CharField(20, db_default="disassembly")),
                ("source_ip", fields.CharField(64, db_default="")),
                ("first_seen_at", fields.DatetimeField()),
                ("connected_at", fields.DatetimeField(null=True)),
                ("last_heartbeat_at", fields.DatetimeField(null=True)),
                ("last_event_at", fields.DatetimeField(null=True)),
                ("heartbeat_count", fields.BigIntField(db_default=0)),
                ("event_count", fields.BigIntField(db_default=0)),
            ],
            options={"table": "devices", "app": "ledger"},
        ),
        ops.CreateModel(
            name="RejectedLine",
            fields=[
                ("id", fields.IntField(primary_key=True)),
                ("listener", fields.CharField(100)),
                ("device_id", fields.CharField(64, db_default="")),
                ("peer", fields.CharField(100)),
                ("reason", fields.CharField(50)),
                ("line", fields.BinaryField()),
                ("first_at", fields.DatetimeField()),
                ("last_at", fields.DatetimeField()),
                ("times", fields.IntField(db_default=1)),
            ],
            options={"table": "rejected_lines", "app": "ledger"},
        ),
        ops.CreateModel(
            name="CachedSession",
            fields=[
                ("session_id", fields.CharField(100, primary_key=True)),
                ("device_id", fields.CharField(64)),
                ("animal_id", fields.CharField(100, db_default="")),
                ("animal_tag", fields.CharField(100, db_default="")),
                ("animal_species", fields.CharField(100, db_default="")),
                ("operator_id", fields.CharField(100, db_default="")),
                ("status", fields.CharField(10)),
                ("changes", fields.TextField()),
                ("confirmed_at", fields.DatetimeField()),
                ("disputed", fields.TextField(db_default="[]")),
            ],
            options={"table": "work_sessions", "app": "ledger"},
        ),
        ops.CreateModel(
            name="OfflineBatch",
            fields=[
                ("id", fields.CharField(36, primary_key=True)),
                ("device_id", fields.CharField(64)),
                ("started_at", fields.DatetimeField()),
                ("ended_at", fields.DatetimeField(null=True)),
                ("after_seq", fields.BigIntField()),
                ("upto_seq", fields.BigIntField(null=True)),
                ("event_count", fields.IntField(null=True)),
                ("total_grams", fields.BigIntField(null=True)),
                ("status", fields.CharField(12, db_default="open")),
                ("reconciled_at", fields.DatetimeField(null=True)),
            ],
            options={"table": "offline_batches", "app": "ledger"},
        ),
        ops.CreateModel(
            name="PluCatalogue",
            fields=[
                ("id", fields.IntField(primary_key=True)),
                ("version", fields.CharField(100)),
                ("items", fields.TextField()),
                ("fetched_at", fields.DatetimeField()),
            ],
            options={"table": "plu_catalogue", "app": "ledger"},
        ),
        ops.CreateModel(
            name="PluFile",
            fields=[
                ("id", fields.IntField(primary_key=True)),
                ("family", fields.CharField(30)),
                ("version", fields.CharField(100)),
                ("sha256", fields.CharField(64)),
                ("item_count", fields.IntField()),
                ("content", fields.BinaryField()),
                ("generated_at", fields.DatetimeField()),
                ("downloaded_at", fields.DatetimeField(null=True)),
            ],
            options={"table": "plu_files", "app": "ledger", "unique_together": (("family", "sha256"),)},
        ),
        ops.CreateModel(
            name="Printer",
            fields=[
                ("printer_id", fields.CharField(64, primary_key=True)),
                ("name", fields.CharField(100, db_default="")),
                ("role", fields.CharField(20, db_default="generic")),
                ("language", fields.CharField(10, db_default="tspl")),
                ("host", fields.CharField(255)),
                ("port", fields.IntField(db_default=9100)),
                ("priority", fields.IntField(db_default=100)),
                ("enabled", fields.BooleanField(db_default=True)),
                ("source", fields.CharField(10, db_default="page")),
                ("global_printer_id", fields.CharField(100, db_default="")),
                ("codepage", fields.CharField(30, db_default="")),
                ("columns", fields.IntField(db_default=32)),
                ("texts", fields.CharField(2, db_default="en")),
                ("label_width_mm", fields.IntField(db_default=58)),
                ("label_height_mm", fields.IntField(db_default=40)),
                ("label_gap_mm", fields.IntField(db_default=2)),
            ],
            options={"table": "printers", "app": "ledger"},
        ),
        ops.CreateModel(
            name="PrintJob",
            fields=[
                ("job_id", fields.CharField(36, primary_key=True)),
                ("global_job_id", fields.CharField(100, unique=True, null=True)),
                ("source", fields.CharField(12)),
                ("target_printer", fields.CharField(64, db_default="")),
                ("target_role", fields.CharField(20, db_default="")),
                ("printer_id", fields.CharField(64, db_default="")),
                ("content", fields.BinaryField()),
                ("label_count", fields.IntField(db_default=1)),
                ("is_copy", fields.BooleanField(db_default=False)),
                ("copy_of", fields.CharField(36, db_default="")),
                ("status", fields.CharField(10, db_default="waiting")),
                ("acked", fields.CharField(12, db_default="")),
                ("attempts", fields.IntField(db_default=0)),
                ("error", fields.CharField(500, db_default="")),
                ("created_at", fields.DatetimeField()),
                ("next_attempt_at", fields.DatetimeField(null=True)),
                ("printed_at", fields.DatetimeField(null=True)),
            ],
            options={"table": "print_jobs", "app": "ledger", "indexes": [Index(fields=["status"])]},
        ),
        ops.CreateModel(
            name="Login",
            fields=[
                ("name", fields.CharField(50, primary_key=True)),
                ("password", fields.CharField(200)),
                ("role", fields.CharField(10, db_default="admin")),
                ("created_at", fields.DatetimeField()),
                ("changed_at", fields.DatetimeField()),
            ],
            options={"table": "logins", "app": "ledger"},
        ),
        ops.CreateModel(
            name="ApiToken",
            fields=[
                ("name", fields.CharField(50, primary_key=True)),
                ("digest", fields.CharField(64)),
                ("role", fields.CharField(10)),
                ("created_at", fields.DatetimeField()),
            ],
            options={"table": "api_tokens", "app": "ledger"},
        ),
    ]

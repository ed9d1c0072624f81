"""The ledger, the gateway's row, delivery and cards; triggers keep what was measured."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

from scaleledger.store.tables import RowNumber


class Migration(migrations.Migration):
    atomic = False
    initial = True

    operations = [
        ops.CreateModel(
            name="Gateway",
            fields=[
                ("mac_address", fields.CharField(17, primary_key=True)),
                ("hostname", fields.CharField(255)),
                ("ip_address", fields.CharField(39, default="")),
                ("access_token", fields.CharField(1024, default="")),
                ("status", fields.CharField(20, default="")),
                ("last_heartbeat", fields.DatetimeField(null=True)),
                ("created_at", fields.DatetimeField()),
                ("updated_at", fields.DatetimeField()),
                ("public_key", fields.CharField(64)),
                ("ever_approved", fields.BooleanField(default=False)),
            ],
            options={"table": "gateway", "app": "ledger"},
        ),
        ops.CreateModel(
            name="WeighingRecord",
            fields=[
                ("seq", RowNumber(primary_key=True, generated=False)),
                ("uuid", fields.CharField(36, unique=True)),
                ("rfid_uid", fields.CharField(50)),
                ("weight", fields.CharField(64)),
                ("measured_at", fields.CharField(40)),
                ("is_sent", fields.BooleanField()),
                ("unit", fields.CharField(8)),
                ("station", fields.CharField(100)),
                ("payload", fields.TextField()),
                ("hash", fields.BinaryField()),
                ("signature", fields.BinaryField(null=True)),
                ("is_told", fields.BooleanField(db_default=False)),
            ],
            options={"table": "weighing_records", "app": "ledger"},
        ),
        ops.CreateModel(
            name="Delivery",
            fields=[
                ("uplink", fields.CharField(100, primary_key=True)),
                ("position", fields.BigIntField()),
            ],
            options={"table": "delivery", "app": "ledger"},
        ),
        ops.CreateModel(
            name="DeliveryException",
            fields=[
                ("id", fields.IntField(primary_key=True)),
                ("uplink", fields.CharField(100)),
                ("seq", fields.BigIntField()),
                ("outcome", fields.CharField(20)),
                ("reason", fields.CharField(1000)),
                ("at", fields.CharField(40)),
            ],
            options={"table": "delivery_exceptions", "app": "ledger", "unique_together": (("uplink", "seq"),)},
        ),
        ops.CreateModel(
            name="Card",
            fields=[
                ("uid", fields.CharField(50, primary_key=True)),
                ("standing", fields.CharField(10)),
                ("label", fields.CharField(200)),
            ],
            options={"table": "cards", "app": "ledger"},
        ),
        ops.CreateModel(
            name="Setting",
            fields=[
                ("key", fields.CharField(50, primary_key=True)),
                ("value", fields.TextField()),
            ],
            options={"table": "settings", "app": "ledger"},
        ),
        ops.RunSQL(
            """CREATE TRIGGER IF NOT EXISTS weighing_records_keep_measured
            BEFORE UPDATE OF seq, uuid, rfid_uid, weight, measured_at, unit, station, payload, hash ON weighing_records
            BEGIN SELECT RAISE(ABORT, 'a weighing is never rewritten; add a correction'); END""",
            atomic=False,
        ),
        ops.RunSQL(
            """CREATE TRIGGER IF NOT EXISTS weighing_records_keep_signature
            BEFORE UPDATE OF signature ON weighing_records WHEN OLD.signature IS NOT NULL
            BEGIN SELECT RAISE(ABORT, 'a signature is never rewritten'); END""",
            atomic=False,
        ),
        ops.RunSQL(
            """CREATE TRIGGER IF NOT EXISTS weighing_records_keep_rows
            BEFORE DELETE ON weighing_records
            WHEN OLD.seq > COALESCE((SELECT CAST(value AS INTEGER) FROM settings WHERE key = 'pruned_upto'), 0)
            BEGIN SELECT RAISE(ABORT, 'a weighing is not deleted before it is pruned'); END""",
            atomic=False,
        ),
        ops.RunSQL(
            """CREATE TRIGGER IF NOT EXISTS weighing_records_keep_place
            BEFORE INSERT ON weighing_records
            WHEN EXISTS (SELECT 1 FROM weighing_records WHERE seq = NEW.seq OR uuid = NEW.uuid)
            BEGIN SELECT RAISE(ABORT, 'a weighing is never replaced'); END""",
            atomic=False,
        ),
    ]

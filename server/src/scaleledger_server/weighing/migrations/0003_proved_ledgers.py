"""Records by month (PostgreSQL), keys that are unique over all months, how far each ledger is proved, heads, amendments.

The record table is made anew and filled from the old one, as neither database can turn a table into a partitioned one
(PostgreSQL) or take a constraint away (SQLite); its triggers are put up again. What 0001 and 0002 took in is kept, every row.
"""

import hashlib
import json
from typing import Any

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from scaleledger_server.weighing.partitions import MONTHS_AHEAD, add_month, months_from, refuse_truncate

TABLE = "weighing_weighingrecord"
OLD = "weighing_weighingrecord_before"
KEPT = (
    "id, uuid, gateway_id, seq, rfid_uid, weight, weight_text, unit, station, measured_at, received_at, payload, hash, "
    "kind, refers_to"
)
APPEND_ONLY = {
    TABLE: "weighing",
    "weighing_recordkey": "key",
    "weighing_signedhead": "signed head",
    "weighing_amendment": "amendment",
}
GENESIS = "0" * 64

SQLITE_TABLE = f"""CREATE TABLE {TABLE} (
    id integer NOT NULL PRIMARY KEY AUTOINCREMENT, uuid varchar(36) NOT NULL, gateway_id bigint NOT NULL, seq bigint NULL,
    rfid_uid varchar(50) NOT NULL, weight decimal NOT NULL, weight_text varchar(30) NOT NULL, unit varchar(8) NOT NULL,
    station varchar(100) NOT NULL, measured_at datetime NOT NULL, received_at datetime NOT NULL, payload text NOT NULL,
    hash varchar(64) NOT NULL, kind varchar(10) NOT NULL, refers_to varchar(100) NOT NULL, time_suspect bool NOT NULL)"""
POSTGRESQL_TABLE = f"""CREATE TABLE {TABLE} (
    id bigint NOT NULL DEFAULT nextval('weighing_record_id'), uuid varchar(36) NOT NULL, gateway_id bigint NOT NULL,
    seq bigint NULL, rfid_uid varchar(50) NOT NULL, weight numeric(20, 6) NOT NULL, weight_text varchar(30) NOT NULL,
    unit varchar(8) NOT NULL, station varchar(100) NOT NULL, measured_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL, payload text NOT NULL, hash varchar(64) NOT NULL, kind varchar(10) NOT NULL,
    refers_to varchar(100) NOT NULL, time_suspect boolean NOT NULL, PRIMARY KEY (id, received_at)
    ) PARTITION BY RANGE (received_at)"""
INDEXES = (
    f"CREATE INDEX record_by_seq ON {TABLE} (gateway_id, seq)",
    f"CREATE INDEX record_by_time ON {TABLE} (measured_at)",
    f"CREATE INDEX record_by_card ON {TABLE} (rfid_uid, measured_at)",
)


def rebuild(_apps: Any, schema_editor: Any) -> None:
    vendor = schema_editor.connection.vendor
    with schema_editor.connection.cursor() as cursor:
        if vendor == "postgresql":
            cursor.execute(f"DROP TRIGGER weighing_no_truncate ON {TABLE}")
        on_table = f" ON {TABLE}" if vendor == "postgresql" else ""
        for name in ("weighing_no_update", "weighing_no_delete"):
            cursor.execute(f"DROP TRIGGER {name}{on_table}")
        cursor.execute(f"ALTER TABLE {TABLE} RENAME TO {OLD}")
        if vendor == "postgresql":
            _rebuild_by_month(cursor)
        else:
            cursor.execute(SQLITE_TABLE)
            cursor.execute(
                f"INSERT INTO {TABLE} ({KEPT}, time_suspect) SELECT {KEPT}, "
                f"julianday(measured_at) > julianday(received_at) + 5.0 / 1440 FROM {OLD} ORDER BY id"
            )
        cursor.execute(f"DROP TABLE {OLD}")
        for statement in INDEXES:
            cursor.execute(statement)


def _rebuild_by_month(cursor: Any) -> None:
    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    cursor.execute("CREATE SEQUENCE weighing_record_id")
    cursor.execute(POSTGRESQL_TABLE)
    cursor.execute(f"ALTER SEQUENCE weighing_record_id OWNED BY {TABLE}.id")
    cursor.execute(f"CREATE TABLE {TABLE}_rest PARTITION OF {TABLE} DEFAULT")
    cursor.execute(f"SELECT DISTINCT date_trunc('month', received_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' FROM {OLD}")
    months = {row[0] for row in cursor.fetchall()}
    cursor.execute("SELECT now()")
    for month in sorted(months | set(months_from(cursor.fetchone()[0], 1 + MONTHS_AHEAD))):
        add_month(cursor, month)
    refuse_truncate(cursor, f"{TABLE}_rest")
    cursor.execute(
        f"INSERT INTO {TABLE} ({KEPT}, time_suspect) SELECT {KEPT}, measured_at > received_at + interval '5 minutes' "
        f"FROM {OLD} ORDER BY id"
    )
    cursor.execute(f"SELECT setval('weighing_record_id', coalesce(max(id), 0) + 1, false) FROM {TABLE}")


def fill(_apps: Any, schema_editor: Any) -> None:
    """A key for every record, and how far each gateway's ledger is held and proved."""
    vendor = schema_editor.connection.vendor
    uuid = "uuid::uuid" if vendor == "postgresql" else "replace(uuid, '-', '')"
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO weighing_recordkey (uuid, gateway_id, seq, record_id, received_at) "
            f"SELECT {uuid}, gateway_id, seq, id, received_at FROM {TABLE} ORDER BY id"
        )
        cursor.execute(f"SELECT gateway_id, coalesce(max(seq), 0) FROM {TABLE} GROUP BY gateway_id")
        for gateway_id, top_seq in cursor.fetchall():
            held_seq, held_hash = _proved(cursor, gateway_id)
            cursor.execute(
                "INSERT INTO weighing_ledgerstate (gateway_id, held_seq, held_hash, top_seq, absorbed, receipt_seq, "
                "receipt_hash, receipt_signature, latest) VALUES (%s, %s, %s, %s, 0, 0, '', '', %s)",
                [gateway_id, held_seq, held_hash, top_seq, json.dumps(_latest(cursor, gateway_id))],
            )


def _latest(cursor: Any, gateway_id: int) -> dict[str, Any]:
    cursor.execute(
        f"SELECT station, seq, uuid FROM {TABLE} WHERE id IN "
        f"(SELECT max(id) FROM {TABLE} WHERE gateway_id = %s GROUP BY station)",
        [gateway_id],
    )
    return {station: [seq, uuid] for station, seq, uuid in cursor.fetchall()}


def _proved(cursor: Any, gateway_id: int) -> tuple[int, str]:
    """The last record up to which all are there and every hash follows; rows are fetched a thousand at a time."""
    held_seq, held_hash = 0, GENESIS
    while True:
        cursor.execute(
            f"SELECT seq, payload, hash FROM {TABLE} WHERE gateway_id = %s AND seq > %s ORDER BY seq LIMIT 1000",
            [gateway_id, held_seq],
        )
        rows = cursor.fetchall()
        for seq, payload, digest in rows:
            follows = hashlib.sha256(bytes.fromhex(held_hash) + payload.encode()).hexdigest()
            if seq != held_seq + 1 or digest != follows:
                return held_seq, held_hash
            held_seq, held_hash = seq, digest
        if not rows:
            return held_seq, held_hash


def put_up(_apps: Any, schema_editor: Any) -> None:
    """The triggers that refuse to alter or delete, on the new tables and on the one made anew."""
    with schema_editor.connection.cursor() as cursor:
        for table, what in APPEND_ONLY.items():
            short = table.removeprefix("weighing_").replace("weighingrecord", "weighing")
            for act, past in (("update", "altered"), ("delete", "deleted")):
                name = f"{short}_no_{act}" if table != TABLE else f"weighing_no_{act}"
                if schema_editor.connection.vendor == "postgresql":
                    body = "FOR EACH ROW EXECUTE FUNCTION weighing_refuse()"
                else:
                    body = f"BEGIN SELECT RAISE(ABORT, 'a {what} is never {past}'); END"
                cursor.execute(f"CREATE TRIGGER {name} BEFORE {act.upper()} ON {table} {body}")
            if schema_editor.connection.vendor == "postgresql":
                refuse_truncate(cursor, table)


def key(model: str, **options: Any) -> Any:
    return models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to=model, **options)


class Migration(migrations.Migration):
    dependencies = [
        ("devices", "0002_anchor_signature"),
        ("weighing", "0002_append_only"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(rebuild)],
            state_operations=[
                migrations.RemoveConstraint(model_name="weighingrecord", name="one_record_per_seq"),
                migrations.AddField("weighingrecord", "time_suspect", models.BooleanField(default=False)),
                migrations.AlterField("weighingrecord", "uuid", models.CharField(max_length=36)),
                migrations.AlterField(
                    "weighingrecord",
                    "gateway",
                    key("devices.gateway", db_constraint=False, db_index=False, related_name="records"),
                ),
                migrations.AddIndex(
                    "weighingrecord", models.Index(fields=["gateway", "seq"], name="record_by_seq")
                ),
                migrations.AddIndex("weighingrecord", models.Index(fields=["measured_at"], name="record_by_time")),
                migrations.AddIndex(
                    "weighingrecord", models.Index(fields=["rfid_uid", "measured_at"], name="record_by_card")
                ),
            ],
        ),
        migrations.CreateModel(
            name="RecordKey",
            fields=[
                ("uuid", models.UUIDField(primary_key=True, serialize=False)),
                ("seq", models.BigIntegerField(null=True)),
                ("record_id", models.BigIntegerField()),
                ("received_at", models.DateTimeField()),
                (
                    "gateway",
                    key("devices.gateway", db_constraint=False, db_index=False, related_name="record_keys"),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=["gateway", "seq"], name="one_record_per_seq")],
            },
        ),
        migrations.CreateModel(
            name="LedgerState",
            fields=[
                (
                    "gateway",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, primary_key=True, serialize=False,
                        related_name="ledger_state", to="devices.gateway",
                    ),
                ),
                ("held_seq", models.BigIntegerField(default=0)),
                ("held_hash", models.CharField(default="0" * 64, max_length=64)),
                ("top_seq", models.BigIntegerField(default=0)),
                ("absorbed", models.BigIntegerField(default=0)),
                ("receipt_seq", models.BigIntegerField(default=0)),
                ("receipt_hash", models.CharField(blank=True, default="", max_length=64)),
                ("receipt_at", models.DateTimeField(null=True)),
                ("receipt_signature", models.CharField(blank=True, default="", max_length=128)),
                ("latest", models.JSONField(default=dict)),
            ],
        ),
        migrations.CreateModel(
            name="SignedHead",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("seq", models.BigIntegerField()),
                ("hash", models.CharField(max_length=64)),
                ("signature", models.CharField(max_length=128)),
                ("received_at", models.DateTimeField()),
                ("gateway", key("devices.gateway", db_index=False, related_name="signed_heads")),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=["gateway", "seq"], name="one_signed_head_per_seq")],
            },
        ),
        migrations.CreateModel(
            name="Amendment",
            fields=[
                ("number", models.BigIntegerField(primary_key=True, serialize=False)),
                ("kind", models.CharField(choices=[("void", "Void"), ("correction", "Correction")], max_length=10)),
                ("record_uuid", models.CharField(db_index=True, max_length=36)),
                ("weight_text", models.CharField(blank=True, max_length=30)),
                ("unit", models.CharField(blank=True, max_length=8)),
                ("rfid_uid", models.CharField(blank=True, max_length=50)),
                ("reason", models.CharField(max_length=500)),
                ("made_at", models.DateTimeField()),
                ("text", models.TextField()),
                ("prev_hash", models.CharField(max_length=64)),
                ("hash", models.CharField(max_length=64)),
                ("signature", models.CharField(max_length=128)),
                ("gateway", key("devices.gateway", related_name="amendments")),
                ("user", key(settings.AUTH_USER_MODEL, related_name="+")),
            ],
            options={"ordering": ["number"]},
        ),
        migrations.RunPython(fill),
        migrations.RunPython(put_up),
    ]

"""What the centre gives: what a card stands for, stations, receipts, its key, and a token that ends."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("ledger", "m0002_salvage")]

    operations = [
        ops.AddField(model_name="Card", name="producer", field=fields.CharField(100, db_default="")),
        ops.AddField(model_name="Card", name="species", field=fields.CharField(100, db_default="")),
        ops.AddField(model_name="Gateway", name="token_expires_at", field=fields.DatetimeField(null=True)),
        ops.AddField(model_name="Gateway", name="server_key", field=fields.CharField(64, db_default="")),
        ops.CreateModel(
            name="AssignedStations",
            fields=[
                ("id", fields.IntField(primary_key=True)),
                ("version", fields.CharField(64)),
                ("stations", fields.TextField()),
            ],
            options={"table": "assigned_stations", "app": "ledger"},
        ),
        ops.CreateModel(
            name="DeliveryReceipt",
            fields=[
                ("uplink", fields.CharField(100, primary_key=True)),
                ("upto_seq", fields.BigIntField()),
                ("hash", fields.CharField(64)),
                ("at", fields.CharField(40)),
                ("signature", fields.CharField(128)),
                ("key", fields.CharField(64)),
            ],
            options={"table": "receipts", "app": "ledger"},
        ),
    ]

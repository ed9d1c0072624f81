"""What a damaged database leaves: signed checkpoints over the gaps, and rows that could be read but not proved."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

from scaleledger.store.tables import RowNumber


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("ledger", "m0001_ledger")]

    operations = [
        ops.CreateModel(
            name="LedgerCheckpoint",
            fields=[
                ("seq", RowNumber(primary_key=True, generated=False)),
                ("gateway", fields.CharField(17)),
                ("hash", fields.BinaryField()),
                ("reason", fields.CharField(200)),
                ("signature", fields.BinaryField()),
            ],
            options={"table": "checkpoints", "app": "ledger"},
        ),
        ops.CreateModel(
            name="SalvagedRow",
            fields=[
                ("id", fields.IntField(primary_key=True)),
                ("seq", fields.BigIntField()),
                ("columns", fields.TextField()),
                ("why", fields.TextField()),
                ("source", fields.CharField(255)),
            ],
            options={"table": "salvaged", "app": "ledger"},
        ),
    ]

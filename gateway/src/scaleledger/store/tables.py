"""The tables, with the names and columns of the product's requirements, and what the ledger adds to them.

`weighing_records` is written by the writer thread only; its number `seq` is SQLite's own row number, so the order of the
chain is the order on disk and costs no index. The unique index on `uuid` is the one index on that table: it keeps the
promise that a repeated request finds the record it made. Weights are text as printed.
"""

from typing import Any

from tortoise import fields
from tortoise.models import Model


class RowNumber(fields.IntField[int]):
    """A 64-bit integer that SQLite keeps as the row's own number (its type must read INTEGER)."""

    SQL_TYPE = "INTEGER"

    @property
    def constraints(self) -> dict[str, Any]:
        """From one on."""
        return {"ge": 1}


class Gateway(Model):
    """The row of the gateway itself. `access_token` is sealed; `public_key` is hex, as is the centre's `server_key`."""

    mac_address = fields.CharField(17, primary_key=True)
    hostname = fields.CharField(255)
    ip_address = fields.CharField(39, default="")
    access_token = fields.CharField(1024, default="")
    status = fields.CharField(20, default="")
    last_heartbeat = fields.DatetimeField(null=True)
    created_at = fields.DatetimeField()
    updated_at = fields.DatetimeField()
    public_key = fields.CharField(64)
    ever_approved = fields.BooleanField(default=False)
    token_expires_at = fields.DatetimeField(null=True)
    server_key = fields.CharField(64, db_default="")

    class Meta:
        table = "gateway"


class WeighingRecord(Model):
    """One record of the ledger. `is_sent`: a centre has named it as held. `signature`: on the last one of a commit.

    `is_told`: the operator was told; may lag behind the truth by a moment, never run ahead of it.
    """

    seq = RowNumber(primary_key=True, generated=False)
    uuid = fields.CharField(36, unique=True)
    rfid_uid = fields.CharField(50)
    weight = fields.CharField(64)
    measured_at = fields.CharField(40)
    is_sent = fields.BooleanField()
    unit = fields.CharField(8)
    station = fields.CharField(100)
    payload = fields.TextField()
    hash = fields.BinaryField()
    signature = fields.BinaryField(null=True)
    is_told = fields.BooleanField(db_default=False)

    class Meta:
        table = "weighing_records"


class Delivery(Model):
    """How far an uplink has come: every record up to `position` is acked or quarantined."""

    uplink = fields.CharField(100, primary_key=True)
    position = fields.BigIntField()

    class Meta:
        table = "delivery"


class DeliveryException(Model):
    """A record that a centre refused for what it is."""

    id = fields.IntField(primary_key=True)
    uplink = fields.CharField(100)
    seq = fields.BigIntField()
    outcome = fields.CharField(20)
    reason = fields.CharField(1000)
    at = fields.CharField(40)

    class Meta:
        table = "delivery_exceptions"
        unique_together = (("uplink", "seq"),)


class Card(Model):
    """One card of the cached list, and what it stands for."""

    uid = fields.CharField(50, primary_key=True)
    standing = fields.CharField(10)
    label = fields.CharField(200)
    producer = fields.CharField(100, db_default="")
    species = fields.CharField(100, db_default="")

    class Meta:
        table = "cards"


class AssignedStations(Model):
    """The stations that the centre assigned, as last taken (JSON): one row."""

    id = fields.IntField(primary_key=True)
    version = fields.CharField(64)
    stations = fields.TextField()

    class Meta:
        table = "assigned_stations"


class DeliveryReceipt(Model):
    """The newest receipt that an uplink's centre gave, and the key that it was proved with; all as written by the centre."""

    uplink = fields.CharField(100, primary_key=True)
    upto_seq = fields.BigIntField()
    hash = fields.CharField(64)
    at = fields.CharField(40)
    signature = fields.CharField(128)
    key = fields.CharField(64)

    class Meta:
        table = "receipts"


class Setting(Model):
    """Small facts about the ledger itself, such as `pruned_upto`."""

    key = fields.CharField(50, primary_key=True)
    value = fields.TextField()

    class Meta:
        table = "settings"


class LedgerCheckpoint(Model):
    """Signed: the chain goes on after this number and hash, though the record itself is not held."""

    seq = RowNumber(primary_key=True, generated=False)
    gateway = fields.CharField(17)
    hash = fields.BinaryField()
    reason = fields.CharField(200)
    signature = fields.BinaryField()

    class Meta:
        table = "checkpoints"


class SalvagedRow(Model):
    """A row read from a damaged database that could not be proved; kept as it was read, for people."""

    id = fields.IntField(primary_key=True)
    seq = fields.BigIntField()
    columns = fields.TextField()
    why = fields.TextField()
    source = fields.CharField(255)

    class Meta:
        table = "salvaged"

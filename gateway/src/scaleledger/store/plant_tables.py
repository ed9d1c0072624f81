"""The tables of a plant: devices that dial in, sessions of the cloud, offline batches, products, printers, logins.

None of them holds a weighing: those are in the ledger alone (`tables`). What is here may be lost and told anew, except
rejected lines, which are the only trace of what could not be read.
"""

from tortoise import fields
from tortoise.models import Model


class Device(Model):
    """One scale that dialled in under this name."""

    device_id = fields.CharField(64, primary_key=True)
    listener = fields.CharField(100)
    name = fields.CharField(100, db_default="")
    location = fields.CharField(100, db_default="")
    type = fields.CharField(20, db_default="disassembly")
    source_ip = fields.CharField(64, db_default="")
    first_seen_at = fields.DatetimeField()
    connected_at = fields.DatetimeField(null=True)
    last_heartbeat_at = fields.DatetimeField(null=True)
    last_event_at = fields.DatetimeField(null=True)
    heartbeat_count = fields.BigIntField(db_default=0)
    event_count = fields.BigIntField(db_default=0)

    class Meta:
        table = "devices"


class RejectedLine(Model):
    """A line that could not be taken as a weighing, with its bytes as they came; the same one again only counts."""

    id = fields.IntField(primary_key=True)
    listener = fields.CharField(100)
    device_id = fields.CharField(64, db_default="")
    peer = fields.CharField(100)
    reason = fields.CharField(50)
    line = fields.BinaryField()
    first_at = fields.DatetimeField()
    last_at = fields.DatetimeField()
    times = fields.IntField(db_default=1)

    class Meta:
        table = "rejected_lines"


class CachedSession(Model):
    """A work session as the cloud told it last; `changes` is JSON: [[time, status, reason], …].

    `disputed` is JSON, [[device, since, until or null], …]: events in these times are still to be looked at.
    """

    session_id = fields.CharField(100, primary_key=True)
    device_id = fields.CharField(64)
    animal_id = fields.CharField(100, db_default="")
    animal_tag = fields.CharField(100, db_default="")
    animal_species = fields.CharField(100, db_default="")
    operator_id = fields.CharField(100, db_default="")
    status = fields.CharField(10)
    changes = fields.TextField()
    confirmed_at = fields.DatetimeField()
    disputed = fields.TextField(db_default="[]")

    class Meta:
        table = "work_sessions"


class OfflineBatch(Model):
    """One device's events while the cloud was away: those of the ledger's records after `after_seq`, up to `upto_seq`.

    `status` is open, closed, announced or reconciled.
    """

    id = fields.CharField(36, primary_key=True)
    device_id = fields.CharField(64)
    started_at = fields.DatetimeField()
    ended_at = fields.DatetimeField(null=True)
    after_seq = fields.BigIntField()
    upto_seq = fields.BigIntField(null=True)
    event_count = fields.IntField(null=True)
    total_grams = fields.BigIntField(null=True)
    status = fields.CharField(12, db_default="open")
    reconciled_at = fields.DatetimeField(null=True)

    class Meta:
        table = "offline_batches"


class PluCatalogue(Model):
    """The product list as last fetched (`items` is JSON): one row."""

    id = fields.IntField(primary_key=True)
    version = fields.CharField(100)
    items = fields.TextField()
    fetched_at = fields.DatetimeField()

    class Meta:
        table = "plu_catalogue"


class PluFile(Model):
    """A file made for one family of scales out of one version of the list."""

    id = fields.IntField(primary_key=True)
    family = fields.CharField(30)
    version = fields.CharField(100)
    sha256 = fields.CharField(64)
    item_count = fields.IntField()
    content = fields.BinaryField()
    generated_at = fields.DatetimeField()
    downloaded_at = fields.DatetimeField(null=True)

    class Meta:
        table = "plu_files"
        unique_together = (("family", "sha256"),)


class Printer(Model):
    """A network printer; from the configuration (`source` config) or added by a person (`source` page)."""

    printer_id = fields.CharField(64, primary_key=True)
    name = fields.CharField(100, db_default="")
    role = fields.CharField(20, db_default="generic")
    language = fields.CharField(10, db_default="tspl")
    host = fields.CharField(255)
    port = fields.IntField(db_default=9100)
    priority = fields.IntField(db_default=100)
    enabled = fields.BooleanField(db_default=True)
    source = fields.CharField(10, db_default="page")
    global_printer_id = fields.CharField(100, db_default="")
    codepage = fields.CharField(30, db_default="")
    columns = fields.IntField(db_default=32)
    texts = fields.CharField(2, db_default="en")
    label_width_mm = fields.IntField(db_default=58)
    label_height_mm = fields.IntField(db_default=40)
    label_gap_mm = fields.IntField(db_default=2)

    class Meta:
        table = "printers"


class PrintJob(Model):
    """One print job. `status` is waiting, printing, printed, doubtful, replaced, failed or cancelled; `acked` the last status
    that the cloud has acknowledged. A doubtful one may or may not have come out: it is never sent again without a person,
    and then as a new job that is a copy of it (`copy_of`), which replaces it.
    """

    job_id = fields.CharField(36, primary_key=True)
    global_job_id = fields.CharField(100, unique=True, null=True)
    source = fields.CharField(12)
    target_printer = fields.CharField(64, db_default="")
    target_role = fields.CharField(20, db_default="")
    printer_id = fields.CharField(64, db_default="")
    content = fields.BinaryField()
    label_count = fields.IntField(db_default=1)
    is_copy = fields.BooleanField(db_default=False)
    copy_of = fields.CharField(36, db_default="")
    status = fields.CharField(10, db_default="waiting")
    acked = fields.CharField(12, db_default="")
    attempts = fields.IntField(db_default=0)
    error = fields.CharField(500, db_default="")
    created_at = fields.DatetimeField()
    next_attempt_at = fields.DatetimeField(null=True)
    printed_at = fields.DatetimeField(null=True)

    class Meta:
        table = "print_jobs"
        indexes = (("status",),)


class Login(Model):
    """Who may use the dashboard; `password` is a salted scrypt hash."""

    name = fields.CharField(50, primary_key=True)
    password = fields.CharField(200)
    role = fields.CharField(10, db_default="admin")
    created_at = fields.DatetimeField()
    changed_at = fields.DatetimeField()

    class Meta:
        table = "logins"


class ApiToken(Model):
    """A token of a program that uses the dashboard's API; `digest` is the token's SHA-256, in hex."""

    name = fields.CharField(50, primary_key=True)
    digest = fields.CharField(64)
    role = fields.CharField(10)
    created_at = fields.DatetimeField()

    class Meta:
        table = "api_tokens"

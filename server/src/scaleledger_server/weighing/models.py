"""Weighings at the centre. Rows are only ever added: triggers refuse the rest, whoever asks (migrations 0002, 0003).

On PostgreSQL the records lie in one partition per month of `received_at`. What must be unique over all months stands in
the slim RecordKey, which also finds a record without searching the months. Only LedgerState is renewed.
"""

from typing import Any, NoReturn

from django.conf import settings
from django.db import models
from django.db.models import Q

from scaleledger_server.devices.models import Gateway
from scaleledger_server.shifts.models import Scale, WorkSession


class AppendOnly(models.Model):
    """Rows that services add with their own statements, and that nobody alters."""

    class Meta:
        abstract = True

    def save(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise TypeError(f"A {self._meta.verbose_name} is written by weighing.services and never altered.")

    def delete(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise TypeError(f"A {self._meta.verbose_name} is never deleted.")


class WeighingRecord(AppendOnly):
    """One record as a gateway delivered it.

    `weight_text` holds the printed digits and is what comparisons use; `weight` is for sorting and sums. `seq`,
    `payload` and `hash` are the ledger's (None and "" from a client that keeps none). `measured_at` is the gateway's
    time, `received_at` ours, both UTC; `time_suspect` marks a weighing from the future. Never made through the ORM:
    ingest writes a batch with one statement. The gateway's row is kept in being by its LedgerState.
    """

    class Kind(models.TextChoices):
        WEIGHING = "weighing"
        VOID = "void"
        CORRECTION = "correction"

    uuid = models.CharField(max_length=36)
    gateway = models.ForeignKey(
        Gateway, on_delete=models.PROTECT, related_name="records", db_index=False, db_constraint=False
    )
    seq = models.BigIntegerField(null=True)
    rfid_uid = models.CharField(max_length=50, blank=True)
    weight = models.DecimalField(max_digits=20, decimal_places=6)
    weight_text = models.CharField(max_length=30)
    unit = models.CharField(max_length=8, blank=True)
    station = models.CharField(max_length=100, blank=True)
    measured_at = models.DateTimeField()
    received_at = models.DateTimeField()
    payload = models.TextField(blank=True)
    hash = models.CharField(max_length=64, blank=True)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.WEIGHING)
    refers_to = models.CharField(max_length=100, blank=True)
    time_suspect = models.BooleanField(default=False)

    class Meta:
        indexes = [
            models.Index(fields=["gateway", "seq"], name="record_by_seq"),
            models.Index(fields=["measured_at"], name="record_by_time"),
            models.Index(fields=["rfid_uid", "measured_at"], name="record_by_card"),
        ]

    def __str__(self) -> str:
        return f"{self.weight_text} {self.unit} at {self.measured_at:%Y-%m-%d %H:%M:%S}"


class RecordKey(AppendOnly):
    """That a record is held, and where: uuid and (gateway, seq) are unique over all months."""

    uuid = models.UUIDField(primary_key=True)
    gateway = models.ForeignKey(
        Gateway, on_delete=models.PROTECT, related_name="record_keys", db_index=False, db_constraint=False
    )
    seq = models.BigIntegerField(null=True)
    record_id = models.BigIntegerField()
    received_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["gateway", "seq"], name="one_record_per_seq")]

    def __str__(self) -> str:
        return str(self.uuid)


class LedgerState(models.Model):
    """How far a gateway's ledger is held here without a gap, every link proved; ingest's own account.

    Records 1 to `held_seq` are all held and `held_hash` is the last one's hash (64 zeros before the first). `top_seq` is
    the highest number held at all; `absorbed` counts deliveries of what was held already. `receipt_*` tell the last
    receipt given with a batch; `latest` names each station's newest record: {station: [seq or None, uuid]}.
    """

    gateway = models.OneToOneField(Gateway, on_delete=models.PROTECT, primary_key=True, related_name="ledger_state")
    held_seq = models.BigIntegerField(default=0)
    held_hash = models.CharField(max_length=64, default="0" * 64)
    top_seq = models.BigIntegerField(default=0)
    absorbed = models.BigIntegerField(default=0)
    receipt_seq = models.BigIntegerField(default=0)
    receipt_hash = models.CharField(max_length=64, blank=True, default="")
    receipt_at = models.DateTimeField(null=True)
    receipt_signature = models.CharField(max_length=128, blank=True, default="")
    latest = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"held 1 to {self.held_seq}"


class SignedHead(AppendOnly):
    """A head that came with a batch and bears the gateway's own signature: evidence for every record up to `seq`."""

    gateway = models.ForeignKey(Gateway, on_delete=models.PROTECT, related_name="signed_heads", db_index=False)
    seq = models.BigIntegerField()
    hash = models.CharField(max_length=64)
    signature = models.CharField(max_length=128)
    received_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["gateway", "seq"], name="one_signed_head_per_seq")]

    def __str__(self) -> str:
        return f"head {self.seq}"


class Amendment(AppendOnly):
    """A person's later word on a record, which itself stays as it is: it is void, or its values should read otherwise.

    All amendments form one chain: `hash` = SHA-256(prev_hash ‖ `text`), `text` being this amendment's canonical JSON, and
    `signature` is the server's over number and hash. `weight_text`, `unit` and `rfid_uid` are "" in a void.
    """

    class Kind(models.TextChoices):
        VOID = "void"
        CORRECTION = "correction"

    number = models.BigIntegerField(primary_key=True)
    kind = models.CharField(max_length=10, choices=Kind)
    record_uuid = models.CharField(max_length=36, db_index=True)
    gateway = models.ForeignKey(Gateway, on_delete=models.PROTECT, related_name="amendments")
    weight_text = models.CharField(max_length=30, blank=True)
    unit = models.CharField(max_length=8, blank=True)
    rfid_uid = models.CharField(max_length=50, blank=True)
    reason = models.CharField(max_length=500)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField()
    text = models.TextField()
    prev_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)
    signature = models.CharField(max_length=128)

    class Meta:
        ordering = ["number"]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.record_uuid}"


class IngestConflict(models.Model):
    """Something offered as a weighing that contradicts what is held; kept as it came, beside the held record."""

    class Kind(models.TextChoices):
        UUID = "uuid", "same uuid, other content"
        SEQ = "seq", "same number, other uuid"
        CHAIN = "chain", "hash does not follow"
        SUCCESSOR = "successor", "the record held after it does not follow"

    gateway = models.ForeignKey(Gateway, on_delete=models.PROTECT, related_name="ingest_conflicts")
    kind = models.CharField(max_length=9, choices=Kind)
    uuid = models.CharField(max_length=36)
    seq = models.BigIntegerField(null=True)
    content = models.TextField()
    digest = models.CharField(max_length=64)
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    times = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["-last_seen"]
        constraints = [
            models.UniqueConstraint(fields=["gateway", "kind", "digest"], name="one_row_per_offered_content")
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.uuid}"


class OfflineBatch(models.Model):
    """Events that one scale made while its edge had no contact. Counts are the edge's own words; `received` is what is here.

    `animal_tag` and `resolved_by` are set when a person said what the orphaned ones belong to.
    """

    batch_id = models.UUIDField(primary_key=True)
    scale = models.ForeignKey(Scale, on_delete=models.PROTECT, related_name="offline_batches")
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    event_count = models.PositiveIntegerField(null=True)
    total_grams = models.BigIntegerField(null=True)
    first_seen_at = models.DateTimeField()
    completed_at = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        ordering = ["-first_seen_at"]

    def __str__(self) -> str:
        return str(self.batch_id)


class Cut(models.Model):
    """What an edge's event says beside its weight, which is the record's: product, session, batch. Grams are whole.

    `session` is the one that the event belongs to now; `told_session` what the edge said, kept even where it is unknown
    here. A new attribution is a CutChange and leaves the record as it is.
    """

    record_uuid = models.UUIDField(primary_key=True)
    scale = models.ForeignKey(Scale, on_delete=models.PROTECT, related_name="cuts")
    session = models.ForeignKey(WorkSession, on_delete=models.PROTECT, related_name="cuts", null=True)
    told_session = models.CharField(max_length=100, blank=True, default="")
    batch = models.ForeignKey(OfflineBatch, on_delete=models.PROTECT, related_name="cuts", null=True, db_index=False)
    offline = models.BooleanField(default=False)
    plu_code = models.CharField(max_length=13, blank=True)
    product_name = models.CharField(max_length=100, blank=True)
    barcode = models.CharField(max_length=64, blank=True)
    net_grams = models.BigIntegerField()
    gross_grams = models.BigIntegerField(null=True)
    tare_grams = models.BigIntegerField(null=True)
    operator = models.CharField(max_length=100, blank=True)
    extras = models.JSONField(default=dict)
    measured_at = models.DateTimeField()
    edge_received_at = models.DateTimeField(null=True)
    received_at = models.DateTimeField()
    revision = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["measured_at"]
        indexes = [
            models.Index(fields=["session", "measured_at"], name="cut_by_session"),
            models.Index(fields=["scale", "measured_at"], name="cut_by_scale"),
            models.Index(fields=["batch"], condition=Q(batch__isnull=False), name="cut_by_batch"),
            models.Index(
                fields=["told_session"],
                condition=Q(session__isnull=True) & ~Q(told_session=""),
                name="cut_of_unknown_session",
            ),
            models.Index(
                fields=["scale", "measured_at"], condition=Q(session__isnull=True), name="cut_without_session"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.product_name} {self.net_grams} g"


class CutChange(AppendOnly):
    """A cut was attributed anew: by its edge (a later revision of the event) or by a person."""

    cut = models.ForeignKey(Cut, on_delete=models.PROTECT, related_name="changes")
    session_before = models.CharField(max_length=100, blank=True)
    session_after = models.CharField(max_length=100, blank=True)
    reason = models.CharField(max_length=200)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", null=True)
    at = models.DateTimeField()

    class Meta:
        ordering = ["at", "pk"]
        indexes = [models.Index(fields=["at"], name="cut_change_by_time")]

    def __str__(self) -> str:
        return f"{self.session_before or 'none'} to {self.session_after or 'none'}"

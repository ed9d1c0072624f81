"""A weighing at the centre. Rows are only ever added: triggers refuse the rest, whoever asks (migration 0002)."""

from typing import Any, NoReturn

from django.db import models

from scaleledger_server.devices.models import Gateway


class WeighingRecord(models.Model):
    """One record as a gateway delivered it.

    `weight_text` holds the printed digits and is what comparisons use; `weight` is for sorting and sums. `seq`,
    `payload` and `hash` are the ledger's (None and "" from a client that keeps none). `measured_at` is the gateway's
    time, `received_at` ours, both UTC. Never made through the ORM: ingest writes a batch with one statement.
    """

    class Kind(models.TextChoices):
        WEIGHING = "weighing"
        VOID = "void"
        CORRECTION = "correction"

    uuid = models.CharField(max_length=36, unique=True)
    gateway = models.ForeignKey(Gateway, on_delete=models.PROTECT, related_name="records", db_index=False)
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

    class Meta:
        constraints = [models.UniqueConstraint(fields=["gateway", "seq"], name="one_record_per_seq")]

    def __str__(self) -> str:
        return f"{self.weight_text} {self.unit} at {self.measured_at:%Y-%m-%d %H:%M:%S}"

    def save(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise TypeError("Weighings are taken in by weighing.services.ingest and never altered.")

    def delete(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise TypeError("Weighings are never deleted.")


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

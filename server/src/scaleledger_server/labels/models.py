"""Printers that edges told of, and print jobs for them. A job is bytes in the printer's own language."""

import uuid

from django.conf import settings
from django.db import models

from scaleledger_server.shifts.models import Edge


class Printer(models.Model):
    """A printer at an edge. `printer_id` is the edge's name for it, `global_id` ours."""

    global_id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    edge = models.ForeignKey(Edge, on_delete=models.CASCADE, related_name="printers")
    printer_id = models.CharField(max_length=64)
    role = models.CharField(max_length=20, blank=True)
    host = models.CharField(max_length=255, blank=True)
    port = models.PositiveIntegerField(default=9100)
    model = models.CharField(max_length=100, blank=True)
    status = models.CharField(max_length=10, blank=True)
    warnings = models.JSONField(default=list, blank=True)
    last_error = models.CharField(max_length=500, blank=True)
    last_seen_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["edge_id", "printer_id"]
        constraints = [models.UniqueConstraint(fields=["edge", "printer_id"], name="one_printer_per_edge_and_name")]

    def __str__(self) -> str:
        return self.printer_id


class PrintJob(models.Model):
    """One job for an edge. What the edge said of it last stands in `status`; a completed or failed one stays so."""

    class Status(models.TextChoices):
        WAITING = "waiting"
        DISPATCHED = "dispatched"
        COMPLETED = "completed"
        FAILED = "failed"
        CANCELLED = "cancelled"

    job_id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    edge = models.ForeignKey(Edge, on_delete=models.PROTECT, related_name="print_jobs")
    target_role = models.CharField(max_length=20, blank=True)
    target_printer = models.ForeignKey(Printer, on_delete=models.PROTECT, null=True, blank=True)
    content = models.TextField()
    label_count = models.PositiveIntegerField(default=1)
    status = models.CharField(max_length=10, choices=Status, default=Status.WAITING)
    resolved_printer = models.CharField(max_length=64, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=500, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField()
    printed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["created_at"]
        indexes = [models.Index(fields=["edge", "status"], name="print_job_by_edge")]

    def __str__(self) -> str:
        return str(self.job_id)

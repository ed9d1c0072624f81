"""The only writer of printers and print jobs."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from scaleledger_server.labels.models import Printer, PrintJob
from scaleledger_server.notices import tell_edge
from scaleledger_server.shifts.models import Edge

PRINTERS_PER_EDGE_MAX = 64
WAITING_PER_EDGE_MAX = 500
CONTENT_CHARS_MAX = 500_000
LABELS_MAX = 500
OVER = (PrintJob.Status.COMPLETED, PrintJob.Status.FAILED, PrintJob.Status.CANCELLED)
RANK = {PrintJob.Status.WAITING: 0, PrintJob.Status.DISPATCHED: 1}


def judge(job: PrintJob) -> None:
    """Raises ValidationError, beside its field, for a job that cannot be printed."""
    if not (job.target_role or job.target_printer_id):
        raise ValidationError({"target_role": "Name a role or a printer."})
    if job.target_printer is not None and job.target_printer.edge_id != job.edge_id:
        raise ValidationError({"target_printer": "This printer belongs to another edge."})
    if not job.content.strip() or len(job.content) > CONTENT_CHARS_MAX:
        raise ValidationError({"content": f"Between 1 and {CONTENT_CHARS_MAX} characters."})
    if not 1 <= job.label_count <= LABELS_MAX:
        raise ValidationError({"label_count": f"Between 1 and {LABELS_MAX}."})


def order(job: PrintJob) -> PrintJob:
    """Keep a new job and tell its edge. Raises ValidationError as `judge`, or when too many wait."""
    judge(job)
    with transaction.atomic():
        waiting = PrintJob.objects.filter(edge_id=job.edge_id, status=PrintJob.Status.WAITING).count()
        if waiting >= WAITING_PER_EDGE_MAX:
            raise ValidationError(f"{waiting} jobs wait for this edge already. Is it there?")
        job.created_at = timezone.now()
        job.full_clean()
        job.save(force_insert=True)
        tell_edge(job.edge.gateway_id, "print_jobs_waiting", {})
    return job


def cancel(job: PrintJob) -> bool:
    """Take a job back; only one that no edge has begun."""
    mine = PrintJob.objects.filter(pk=job.pk, status=PrintJob.Status.WAITING)
    return bool(mine.update(status=PrintJob.Status.CANCELLED))


def note_outcome(edge: Edge, job_id: str, told: Mapping[str, Any]) -> bool:
    """What the edge says of a job: `status` dispatched, completed or failed, `printed_at`, `printer`, `attempts`, `error`.

    A later word replaces an earlier one, an earlier one that comes late changes nothing. False: no such job at this edge.
    """
    with transaction.atomic():
        job = PrintJob.objects.select_for_update().filter(pk=job_id, edge=edge).first()
        if job is None:
            return False
        status = PrintJob.Status(told["status"])
        if job.status not in OVER and RANK.get(status, 2) >= RANK.get(PrintJob.Status(job.status), 2):
            job.status = status
            job.printed_at = told.get("printed_at")
            job.resolved_printer = told.get("printer", "")[:64]
            job.attempts = told.get("attempts", 0)
            job.error = told.get("error", "")[:500]
            job.save()
    return True


def take_inventory(edge: Edge, printers: Sequence[Mapping[str, Any]], now: datetime) -> list[tuple[str, str]]:
    """The printers that an edge has, each kept under its name; (its name, our id) of each, in order."""
    known = {printer.printer_id: printer for printer in Printer.objects.filter(edge=edge)}
    answer = []
    with transaction.atomic():
        for told in printers:
            printer = known.get(told["printer_id"])
            if printer is None:
                if len(known) >= PRINTERS_PER_EDGE_MAX:
                    continue
                printer = known[told["printer_id"]] = Printer(edge=edge, printer_id=told["printer_id"])
            for key in ("role", "host", "port", "model", "status", "warnings", "last_error"):
                if key in told:
                    setattr(printer, key, told[key])
            printer.last_seen_at = now
            printer.save()
            answer.append((printer.printer_id, str(printer.global_id)))
    return answer

"""Print jobs as edges fetch them."""

import base64
import hashlib
from typing import Any

from scaleledger_server.labels.models import PrintJob
from scaleledger_server.shifts.models import Edge

PENDING_MAX = 100
PRN_CODE_PAGE = "cp1254"


def pending(edge: Edge) -> tuple[str, list[dict[str, Any]]]:
    """(tag, jobs): what waits for this edge, oldest first; a job that it began is offered until it says how it ended."""
    under_way = [PrintJob.Status.WAITING, PrintJob.Status.DISPATCHED]
    rows = PrintJob.objects.filter(edge=edge, status__in=under_way).select_related("target_printer")[:PENDING_MAX]
    jobs = [
        {
            "jobId": str(job.pk),
            "targetRole": job.target_role or None,
            "targetPrinter": job.target_printer.printer_id if job.target_printer else None,
            "prnContent": job.content,
            "prnBase64": base64.b64encode(as_bytes(job.content)).decode(),
            "labelCount": job.label_count,
            "createdAt": job.created_at.isoformat(),
            "attempts": job.attempts,
        }
        for job in rows
    ]
    named = hashlib.sha256(" ".join(str(job["jobId"]) for job in jobs).encode()).hexdigest()[:16]
    return f"print-jobs-{named}", jobs


def as_bytes(content: str) -> bytes:
    """A job's text as the printers take it: Windows-1254, lines ended by CR LF."""
    text = content.replace("\r\n", "\n").replace("\n", "\r\n")
    return text.encode(PRN_CODE_PAGE, "replace")

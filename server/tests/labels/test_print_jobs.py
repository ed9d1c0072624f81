"""Print jobs at the centre: ordered in words that can be printed, offered until they are over, never begun again by a late word."""

import uuid
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils import timezone

from scaleledger_server.devices.models import Gateway
from scaleledger_server.labels import queries, services
from scaleledger_server.labels.models import Printer, PrintJob
from scaleledger_server.shifts.models import Edge

LABEL = 'SIZE 40 mm,30 mm\nTEXT 10,10,"3",0,1,1,"KUŞBAŞI"\nPRINT 1\n'


def new_edge(number):
    gateway = Gateway.objects.create(
        mac_address=f"02:00:00:00:09:{number:02x}", status="active", name=f"Plant {number}"
    )
    return Edge.objects.create(gateway=gateway, registered_at=timezone.now())


@pytest.fixture
def edge(db):
    return new_edge(1)


def ordered(edge, **others):
    return services.order(PrintJob(**{"edge": edge, "target_role": "meat_cut", "content": LABEL, **others}))


def outcome(edge, job, status, **others):
    return services.note_outcome(edge, str(job.pk), {"status": status, **others})


def test_the_edge_is_told_that_a_job_waits(edge, monkeypatch):
    told = []
    monkeypatch.setattr(services, "tell_edge", lambda *words: told.append(words))
    ordered(edge)
    assert told == [(edge.gateway_id, "print_jobs_waiting", {})]


def test_a_job_is_offered_in_the_printers_bytes_until_it_is_over(edge):
    job = ordered(edge)
    tag, [offered] = queries.pending(edge)
    assert (offered["jobId"], offered["targetRole"], offered["targetPrinter"]) == (str(job.pk), "meat_cut", None)
    assert queries.as_bytes(job.content).count(b"\r\n") == 3
    assert "KUŞBAŞI".encode("cp1254") in queries.as_bytes(job.content)
    assert outcome(edge, job, "dispatched", printer="tsc-1", attempts=1)
    assert [same["jobId"] for same in queries.pending(edge)[1]] == [str(job.pk)]
    assert outcome(edge, job, "completed", printer="tsc-1", attempts=1, printed_at=timezone.now())
    assert queries.pending(edge)[1] == []
    assert queries.pending(edge)[0] != tag


@pytest.mark.parametrize("last", ["completed", "failed"])
def test_a_late_word_changes_nothing(edge, last):
    job = ordered(edge)
    outcome(edge, job, last, error="out of paper")
    for late in ("dispatched", "completed", "failed"):
        assert outcome(edge, job, late)
    job.refresh_from_db()
    assert (job.status, job.error) == (last, "out of paper")


def test_no_edge_says_anything_of_anothers_job(edge):
    job = ordered(edge)
    assert not outcome(new_edge(2), job, "completed")
    assert not services.note_outcome(edge, str(uuid.uuid4()), {"status": "completed"})
    job.refresh_from_db()
    assert job.status == "waiting"


@pytest.mark.parametrize(
    "others",
    [
        {"target_role": ""},
        {"content": "  "},
        {"content": "x" * 500_001},
        {"label_count": 0},
        {"label_count": 501},
    ],
)
def test_what_cannot_be_printed_is_refused(edge, others):
    with pytest.raises(ValidationError):
        ordered(edge, **others)
    assert not PrintJob.objects.exists()


def test_another_edges_printer_is_refused(edge):
    services.take_inventory(new_edge(2), [{"printer_id": "tsc-1", "role": "generic"}], timezone.now())
    with pytest.raises(ValidationError):
        ordered(edge, target_printer=Printer.objects.get())


def test_too_many_waiting_jobs_are_refused(edge, monkeypatch):
    monkeypatch.setattr(services, "WAITING_PER_EDGE_MAX", 3)
    for _ in range(3):
        ordered(edge)
    with pytest.raises(ValidationError, match="3 jobs wait"):
        ordered(edge)


def test_only_what_waits_is_taken_back(edge):
    begun, waiting = ordered(edge), ordered(edge)
    outcome(edge, begun, "dispatched")
    assert [services.cancel(begun), services.cancel(waiting)] == [False, True]


def test_an_inventory_keeps_its_ids_and_its_bound(edge, monkeypatch):
    monkeypatch.setattr(services, "PRINTERS_PER_EDGE_MAX", 2)
    now = timezone.now()
    first = services.take_inventory(edge, [{"printer_id": "a", "role": "meat_cut", "host": "10.0.0.9"}], now)
    told = [{"printer_id": name, "status": "warning", "warnings": ["paper_low"]} for name in ("a", "b", "c")]
    again = services.take_inventory(edge, told, now + timedelta(seconds=1))
    assert again[0] == first[0]
    assert [name for name, _ in again] == ["a", "b"]
    kept = Printer.objects.get(printer_id="a")
    assert (kept.role, kept.host, kept.status, kept.warnings) == ("meat_cut", "10.0.0.9", "warning", ["paper_low"])


def test_an_administrator_orders_and_takes_back(administrator, edge):
    add = reverse("admin:labels_printjob_add")
    form = {"edge": edge.pk, "target_role": "", "target_printer": "", "label_count": 1, "content": LABEL}
    assert "Name a role or a printer" in administrator.post(add, form).text
    assert administrator.post(add, {**form, "target_role": "carcass"}).status_code == 302
    job = PrintJob.objects.get()
    assert (job.status, job.created_by.is_staff) == ("waiting", True)
    page = reverse("admin:labels_printjob_changelist")
    administrator.post(page, {"action": "cancel", "_selected_action": [str(job.pk)]})
    job.refresh_from_db()
    assert job.status == "cancelled"

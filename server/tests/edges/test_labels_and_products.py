"""Print jobs, printers and products over the REST carrier: offered with a tag, answered for, nobody else's."""

import base64
import uuid

import pytest

from edge_api import joined
from scaleledger_server.labels import services as labels
from scaleledger_server.labels.models import Printer, PrintJob
from scaleledger_server.plu import services as plu
from scaleledger_server.plu.models import Product

pytestmark = pytest.mark.django_db

LABEL = 'TEXT 10,10,"3",0,1,1,"KUŞBAŞI"\nPRINT 1\n'


def ordered(api):
    return labels.order(PrintJob(edge=api.row, target_role="meat_cut", content=LABEL))


def acked(api, job_id, **body):
    return api.post(f"print-jobs/{job_id}/ack", {"status": "completed", "attempts": 1, **body})


def test_a_job_is_fetched_printed_and_answered_for():
    api = joined()
    job = ordered(api)
    status, body = api.get("print-jobs/pending")
    [offered] = body["jobs"]
    assert (status, offered["jobId"], offered["prnContent"]) == (200, str(job.pk), LABEL)
    assert base64.b64decode(offered["prnBase64"]).decode("cp1254") == LABEL.replace("\n", "\r\n")
    tag = api.answer["ETag"]
    assert api.get("print-jobs/pending", **{"If-None-Match": tag})[0] == 304
    assert acked(api, job.pk, status="dispatched")[0] == 200
    said = {"printedAt": "2026-11-21T09:00:00+00:00", "resolvedPrinter": "tsc-1"}
    assert acked(api, job.pk, **said) == (200, {"ok": True})
    assert acked(api, job.pk, **said) == (200, {"ok": True}), "an answer that was lost is given again"
    job.refresh_from_db()
    assert (job.status, job.resolved_printer, job.printed_at.isoformat()) == (
        "completed",
        "tsc-1",
        "2026-11-21T09:00:00+00:00",
    )
    assert api.get("print-jobs/pending", **{"If-None-Match": tag}) == (200, {"jobs": []})


def test_anothers_job_is_not_there():
    mine, other = joined(), joined("plant-2")
    job = ordered(mine)
    assert other.get("print-jobs/pending")[1] == {"jobs": []}
    assert acked(other, job.pk)[0] == 404
    assert acked(mine, uuid.uuid4())[0] == 404


@pytest.mark.parametrize("body", [{"status": "lost"}, {"attempts": -1}, {"errorText": "x" * 501}, {"printedAt": "now"}])
def test_what_cannot_be_read_is_refused_and_changes_nothing(body):
    api = joined()
    job = ordered(api)
    status, answer = acked(api, job.pk, **body)
    assert status == 422
    assert answer["error"] == "invalid"
    job.refresh_from_db()
    assert job.status == "waiting"


def test_an_inventory_is_answered_with_ids_and_a_heartbeat_tells_the_state():
    api = joined()
    told = {"localPrinterId": "tsc-1", "role": "meat_cut", "host": "10.0.0.9", "port": 9100, "model": "TE210"}
    _, answer = api.post("printers/inventory", {"printers": [told]})
    [named] = answer["printers"]
    assert named["localPrinterId"] == "tsc-1"
    state = {"localPrinterId": "tsc-1", "status": "warning", "warnings": ["paper_low"], "lastError": ""}
    assert api.post("heartbeat", {"version": "0.3.0", "printers": [state]})[0] == 200
    printer = Printer.objects.get()
    assert (str(printer.global_id), printer.role, printer.warnings) == (
        named["globalPrinterId"],
        "meat_cut",
        ["paper_low"],
    )
    assert api.post("printers/inventory", {"printers": [told]})[1]["printers"] == [named]


@pytest.mark.parametrize("field", ["localPrinterId", "role", "host", "model", "status"])
def test_an_inventory_with_what_no_database_keeps_is_refused(field):
    api = joined()
    told = {"localPrinterId": "tsc-1", "role": "meat_cut", "host": "10.0.0.9", "model": "TE210", "status": "online"}
    status, answer = api.post("printers/inventory", {"printers": [told | {field: "a\0b"}]})
    assert (status, answer["error"]) == (422, "invalid")
    assert not Printer.objects.exists()


def test_the_list_of_products_is_sent_once_for_each_version(django_assert_max_num_queries):
    api = joined()
    plu.save(Product(number="7", name="Minced beef", label_name="KIYMA", barcode="000000000007", price=1500))
    status, body = api.get("plu")
    assert status == 200
    assert [(item["number"], item["name"], item["price"]) for item in body["items"]] == [("00007", "KIYMA", 1500)]
    tag = api.answer["ETag"]
    with django_assert_max_num_queries(3):
        assert api.get("plu", **{"If-None-Match": tag})[0] == 304
    plu.save(Product(number="8", name="X", label_name="X"))
    status, newer = api.get("plu", **{"If-None-Match": tag})
    assert (status, len(newer["items"])) == (200, 2)
    assert newer["version"] != body["version"]

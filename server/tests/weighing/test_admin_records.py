"""Records in the administration: found, filtered, handed out as CSV with the printed digits, and changed by nobody."""

import csv
import io

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import AsyncClient, Client
from django.urls import reverse
from django.utils import timezone

from scaleledger_server.market import services as market
from scaleledger_server.market.models import Producer, RfidCard, Species
from scaleledger_server.weighing import services
from scaleledger_server.weighing.models import WeighingRecord

EVIL = "<script>alert(1)</script>"
LIST, EXPORT = "/admin/weighing/weighingrecord/", "/admin/weighing/weighingrecord/export/"


def deliver(api, ledger, *cards, **inner):
    records = [ledger.record(card=card, **inner) for card in cards]
    api.deliver_batch({"records": records, "head": ledger.head()})
    return [record["uuid"] for record in records]


def listed(client, **query):
    page = client.get(LIST, query)
    assert page.status_code == 200, page
    return {record.rfid_uid for record in page.context["cl"].result_list}


def exported(client, **query):
    content = b"".join(client.get(EXPORT, query).streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(content)))


def test_it_works(administrator, joined, ledger):
    gateway, api = joined
    deliver(api, ledger, "A1", "B2", weight="-0.50")
    assert listed(administrator) == {"A1", "B2"}
    rows = exported(administrator)
    assert [(row["card"], row["weight"], row["number"]) for row in rows] == [("B2", "-0.50", "2"), ("A1", "-0.50", "1")]
    assert rows[0]["gateway"] == gateway.mac_address


def test_a_record_is_found_by_all_that_people_know_of_it(administrator, joined, ledger):
    _, api = joined
    uuid, _, _ = deliver(api, ledger, "A1", "B2", "C3", station="quay-7")
    for row in (Species(name="Squid"), Producer(name="North boat")):
        market.save(row)
    market.save(RfidCard(uid="B2", producer=Producer.objects.get(), species=Species.objects.get()))
    assert listed(administrator, q=uuid) == {"A1"}
    assert listed(administrator, q=uuid.upper()) == {"A1"}
    assert listed(administrator, q="C") == {"C3"}
    assert listed(administrator, q="north") == {"B2"}
    assert listed(administrator, q="3") == {"C3"}
    assert listed(administrator, q="quay") == {"A1", "B2", "C3"}
    assert listed(administrator, q="00000000-0000-0000-0000-000000000000") == set()
    assert listed(administrator, q="'; --") == set()


def test_filters_hold_for_the_list_and_the_file(administrator, joined, ledger):
    gateway, api = joined
    voided, corrected, _ = deliver(api, ledger, "A1", "B2", "C3")
    now = timezone.now()
    services.void(voided, administrator.user, "weighed twice", now)
    services.correct(corrected, administrator.user, "wrong card", now, weight_text="152.50", unit="kg", rfid_uid="B9")
    for query, cards in (
        ({"amended": "void"}, {"A1"}),
        ({"amended": "correction"}, {"B2"}),
        ({"amended": "nonsense"}, {"A1", "B2", "C3"}),
        ({"gateway__id__exact": gateway.pk}, {"A1", "B2", "C3"}),
        ({"station__icontains": "nowhere"}, set()),
        ({"kind__exact": "void"}, set()),
        ({"measured_at_from": "2026-11-21", "measured_at_to": "2026-11-21"}, {"A1", "B2", "C3"}),
        ({"measured_at_from": "2026-11-22"}, set()),
        ({"measured_at_to": "2026-11-20"}, set()),
        ({"measured_at_from": "yesterday", "measured_at_to": "9999-12-31"}, {"A1", "B2", "C3"}),
        ({"time_suspect__exact": "0", "q": "C3"}, {"C3"}),
    ):
        assert listed(administrator, **query) == cards, query
        assert {row["card"] for row in exported(administrator, **query)} == cards, query


def test_what_was_said_later_is_shown_beside_what_was_measured(administrator, joined, ledger):
    _, api = joined
    voided, corrected = deliver(api, ledger, "A1", "B2")
    services.void(voided, administrator.user, "twice", timezone.now())
    services.correct(corrected, administrator.user, "typo", timezone.now(), weight_text="9.5", unit="kg", rfid_uid="B9")
    text = administrator.get(LIST).content.decode()
    for words in ("<del>152.50 kg</del> void", "<del>152.50 kg</del> 9.5 kg", "<del>B2</del> B9"):
        assert words in text
        assert words.split("</del>")[0] in administrator.get("/lists/").content.decode().replace("<code>", "")
    later, earlier = exported(administrator)
    assert (later["weight"], later["weight_now"], later["card_now"]) == ("152.50", "9.5", "B9")
    assert (earlier["amended"], earlier["weight"], earlier["weight_now"]) == ("void", "152.50", "")


@pytest.mark.parametrize("evil", ["=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "'=1", EVIL])
def test_no_cell_of_the_file_is_a_formula(administrator, joined, ledger, evil):
    _, api = joined
    deliver(api, ledger, evil, station=evil)
    [row] = exported(administrator)
    for cell in (row["card"], row["station"]):
        assert cell == (evil if evil == EVIL else f"'{evil}")
    assert EVIL not in administrator.get(LIST).content.decode()


@pytest.mark.parametrize("count", [10, 100])
def test_the_number_of_queries_is_constant(administrator, joined, ledger, django_assert_num_queries, count):
    _, api = joined
    uuids = deliver(api, ledger, *[f"card {n}" for n in range(count)])
    for uuid in uuids[:10]:
        services.void(uuid, administrator.user, "test", timezone.now())
    administrator.get(LIST)
    with django_assert_num_queries(7):  # session, person, factor; gateways to filter by, count, records, amendments
        assert administrator.get(LIST, {"all": ""}).status_code in {200, 302}
    with django_assert_num_queries(10):  # a page as above to know the filters, then all records and amendments
        assert len(exported(administrator)) == count


def test_a_file_of_many_slices_is_whole(administrator, joined, ledger, monkeypatch):
    monkeypatch.setattr("scaleledger_server.weighing.exports.SLICE_ROWS", 7)
    _, api = joined
    deliver(api, ledger, *[f"card {n}" for n in range(50)])
    assert [row["number"] for row in exported(administrator)] == [str(n) for n in range(50, 0, -1)]


@pytest.mark.django_db(transaction=True)
async def test_the_file_is_sent_in_pieces_by_the_real_kind_of_server(joined, ledger, monkeypatch):
    from asgiref.sync import sync_to_async

    monkeypatch.setattr("scaleledger_server.spreadsheets.LINES_PER_PIECE", 10)
    _, api = joined
    await sync_to_async(deliver)(api, ledger, *[f"card {n}" for n in range(25)])
    client = AsyncClient()
    await client.aforce_login(await User.objects.acreate_superuser("admin", password="x"))
    answer = await client.get(EXPORT)
    pieces = [piece async for piece in answer.streaming_content]
    assert [piece.count(b"\r\n") for piece in pieces] == [10, 10, 6]
    await sync_to_async(connections.close_all)()  # the connection of the thread that asynchronous code borrows


@pytest.mark.parametrize("path", [LIST, EXPORT])
def test_records_are_for_those_who_may(db, path):
    client = Client()
    assert client.get(path).status_code == 302
    client.force_login(User.objects.create_user("clerk", is_staff=True))
    assert client.get(path).status_code == 403


def test_a_records_own_page_is_its_evidence_and_nothing_is_changed(administrator, joined, ledger):
    _, api = joined
    [uuid] = deliver(api, ledger, "A1")
    row = WeighingRecord.objects.get()
    page = reverse("admin:weighing_weighingrecord_change", args=[row.pk])
    assert administrator.get(page)["Location"] == reverse("evidence", args=[uuid])
    assert administrator.post(page, {"weight_text": "1"}).status_code == 403
    assert administrator.get(page.replace(str(row.pk), "999"))["Location"] == LIST
    for act in ("add/", f"{row.pk}/delete/"):
        assert administrator.get(LIST + act).status_code == 403

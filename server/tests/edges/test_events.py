"""Events become records and cuts, once, each with its own answer; later words move a cut and leave its record alone."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import DatabaseError, OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from edge_api import event, joined, session
from scaleledger_server.edges import events
from scaleledger_server.limits import BATCH_RECORDS_MAX
from scaleledger_server.shifts import edges
from scaleledger_server.shifts.models import Scale
from scaleledger_server.weighing import cuts
from scaleledger_server.weighing.models import Cut, CutChange, IngestConflict, OfflineBatch, WeighingRecord

STATEMENTS_MAX = 24
pytestmark = pytest.mark.django_db


@pytest.fixture
def api():
    return joined()


def held():
    return WeighingRecord.objects.count(), Cut.objects.count()


def test_it_works(api):
    began = session(api.scale())
    told = event(cloudSessionId=str(began.pk))
    status, body = api.post("events", told)
    assert (status, body["status"], body["localEventId"]) == (200, "accepted", told["localEventId"])
    assert body["cloudEventId"]
    record = WeighingRecord.objects.get()
    assert (record.uuid, record.weight_text, record.unit, record.station, record.seq) == (
        told["localEventId"], "9676", "g", "SCALE-01", None,
    )  # fmt: skip
    cut = Cut.objects.get()
    assert (cut.session, cut.scale.device_id, cut.net_grams, cut.product_name) == (began, "SCALE-01", 9676, "KIYMA")
    assert cut.measured_at == record.measured_at == datetime.fromisoformat(told["scaleTimestamp"])
    assert cuts.totals([began.pk]) == {began.pk: cuts.Total(1, 9676)}


def test_what_is_repeated_is_held_once_and_says_so(api):
    told = event()
    answers = [api.post("events", told)[1] for _ in range(3)]
    assert [answer["status"] for answer in answers] == ["accepted", "duplicate", "duplicate"]
    assert len({answer["cloudEventId"] for answer in answers}) == 1
    assert api.deliver(told, event()) == ["duplicate", "accepted"]
    assert held() == (2, 2)
    assert api.scale().event_count == 2


def test_two_equal_cuts_are_two(api):
    first = event()
    assert api.deliver(first, {**first, "localEventId": str(uuid.uuid4())}) == ["accepted", "accepted"]
    assert held() == (2, 2)


def test_gross_tare_operator_and_all_else_that_the_scale_printed_arrives(api):
    """In the first programs they never left the edge."""
    api.post(
        "events",
        event(
            grossGrams=72091, tareGrams=62415, operator="KAĞAN", code="0000", company="KORKUT", flags=["2", "0", "N"],
            notes=["possible-copy"], barcode="2000001025004", pluCode="2000001025004",
        ),
    )  # fmt: skip
    cut = Cut.objects.get()
    assert (cut.gross_grams, cut.tare_grams, cut.net_grams, cut.operator) == (72091, 62415, 9676, "KAĞAN")
    assert (cut.barcode, cut.plu_code) == ("2000001025004", "2000001025004")
    assert {name: cut.extras[name] for name in ("code", "company", "flags", "notes")} == {
        "code": "0000", "company": "KORKUT", "flags": ["2", "0", "N"], "notes": ["possible-copy"],
    }  # fmt: skip


@pytest.mark.parametrize(("exact", "grams"), [("9676.4", 9676), ("0.5", 0), ("1.5", 2), ("-2.50", -2)])
def test_a_weight_that_is_no_whole_number_of_grams_is_held_as_it_was_weighed(api, exact, grams):
    told = event(weightGrams=grams, netExact=exact)
    assert api.deliver(told, told) == ["accepted", "duplicate"]
    record = WeighingRecord.objects.get()
    assert (record.weight_text, str(record.weight.normalize())) == (exact, str(Decimal(exact).normalize()))
    assert (Cut.objects.get().net_grams, Cut.objects.get().extras["net_exact"]) == (grams, exact)
    assert api.deliver({**told, "netExact": None}) == ["failed"]


def test_rejected_events_hold_nothing_back(api):
    """Fifty that are always refused stood before all newer ones, for ever."""
    bad = [event(weightGrams="heavy") for _ in range(50)]
    good = [event() for _ in range(25)]
    assert api.deliver(*bad, *good) == ["failed"] * 50 + ["accepted"] * 25
    assert held() == (25, 25)


BAD = [
    {"localEventId": "not a uuid"}, {"deviceId": ""}, {"deviceId": "a b"}, {"deviceId": "x" * 65}, {"deviceId": 1},
    {"weightGrams": 9.5}, {"weightGrams": True}, {"weightGrams": None}, {"weightGrams": 10**12 + 1}, {"weightGrams": "1"},
    {"offlineMode": 1}, {"offlineBatchId": "x"}, {"cloudSessionId": 5}, {"pluCode": "1" * 14}, {"productName": "x" * 101},
    {"productName": "a\0b"}, {"operator": "\ud800"}, {"revision": "\ud800"}, {"weightGrams": "\udfff"}, {"offlineMode": "\ud800"}, {"flags": "2,0"}, {"flags": ["x"] * 21}, {"revision": -1},
    {"netExact": "9676.6"}, {"netExact": "NaN"}, {"netExact": "9676.0000001"}, {"netExact": 9676.4}, {"netExact": ""},
    {"revision": True}, {"measuredAt": "yesterday"}, {"measuredAt": "2026-11-21T10:00:00"}, {"receivedAt": "2126-01-01T00:00:00Z"},
    {"scaleTimestamp": "soon", "receivedAt": None}, {"notes": [None]}, {"grossGrams": "1"}, {"reason": "x" * 101},
]  # fmt: skip


@pytest.mark.parametrize("change", BAD, ids=json.dumps)
def test_what_breaks_the_contract_is_refused_for_good_and_alone(api, change):
    told = event(**change)
    status, body = api.post("events/batch", {"events": [event(), told, event()]})
    assert (status, [one["status"] for one in body["results"]]) == (200, ["accepted", "failed", "accepted"])
    refused = body["results"][1]
    assert refused["error"]
    assert (refused["localEventId"], refused["cloudEventId"]) == (told["localEventId"], None)
    assert api.post("events", told)[0] == 422


@pytest.mark.parametrize("value", [None, 5, [], "x", {}, {"localEventId": 7}])
def test_an_event_that_is_none_is_refused(api, value):
    status, body = api.post("events/batch", {"events": [value, event()]})
    assert (status, [one["status"] for one in body["results"]]) == (200, ["failed", "accepted"])


@pytest.mark.parametrize("body", [{}, {"events": []}, {"events": None}, [], {"events": [{}] * (BATCH_RECORDS_MAX + 1)}])
def test_a_broken_envelope_is_refused_whole(api, body):
    assert api.post("events/batch", body)[0] == 422


def test_fields_that_nobody_knows_are_passed_over(api):
    assert api.deliver(event(newInVersion9={"x": 1})) == ["accepted"]


def test_an_event_counts_for_its_own_time(api):
    told = event(measuredAt="2026-11-20T09:00:00+03:00", scaleTimestamp="2020-01-01T00:00:00Z")
    api.post("events", told)
    assert Cut.objects.get().measured_at == datetime(2026, 11, 20, 6, tzinfo=UTC)


@pytest.mark.parametrize("stamp", ["0026-01-30T10:30:00Z", "2099-01-01T00:00:00Z", "", None, "31.02.2026"])
def test_a_scale_whose_clock_is_absurd_loses_no_event(api, stamp):
    told = event(scaleTimestamp=stamp)
    assert api.deliver(told) == ["accepted"]
    cut = Cut.objects.get()
    assert cut.measured_at == datetime.fromisoformat(told["receivedAt"])
    assert cut.extras["notes"] == ["clock-suspect"]


def test_a_weighing_from_the_future_is_kept_and_marked(api):
    api.deliver(event(scaleTimestamp=(timezone.now() + timedelta(hours=3)).isoformat()))
    assert WeighingRecord.objects.get().time_suspect


def test_the_same_id_with_another_weight_is_a_conflict_and_alters_nothing(api):
    told = event()
    assert api.deliver(told, told, {**told, "weightGrams": 1}) == ["accepted", "duplicate", "failed"]
    assert (Cut.objects.get().net_grams, IngestConflict.objects.count()) == (9676, 1)


def test_another_edges_event_id_is_a_conflict(api):
    told = event()
    api.deliver(told)
    assert joined("plant-2").deliver(told) == ["failed"]
    assert held() == (1, 1)


def test_an_event_of_an_unknown_session_keeps_what_it_was_told_and_is_linked_when_the_session_appears(api):
    later, other = uuid.uuid4(), uuid.uuid4()
    told = [event(cloudSessionId=str(later)), event(cloudSessionId="no uuid at all"), event(cloudSessionId=str(other))]
    assert api.deliver(*told) == ["accepted"] * 3
    assert not Cut.objects.filter(session__isnull=False).exists()
    found = session(api.scale(), session_id=later)
    session(api.scale("SCALE-02"), session_id=other)
    linked = Cut.objects.get(session__isnull=False)
    assert (str(linked.pk), linked.session) == (told[0]["localEventId"], found)
    assert CutChange.objects.get().session_after == str(later)
    assert {cut.told_session for cut in Cut.objects.all()} == {str(later), "no uuid at all", str(other)}


def test_a_session_of_another_scale_is_not_believed(api):
    other = session(api.scale("SCALE-02"))
    api.deliver(event(cloudSessionId=str(other.pk)))
    cut = Cut.objects.get()
    assert (cut.session, cut.told_session) == (None, str(other.pk))


def test_an_ended_session_still_takes_its_late_events(api):
    """In the first programs the end of a session erased it from all its events."""
    over = session(api.scale(), status="ended", ended_at=timezone.now())
    assert api.deliver(event(cloudSessionId=str(over.pk))) == ["accepted"]
    assert cuts.totals([over.pk])[over.pk] == (1, 9676)


def test_a_later_word_moves_the_cut_and_leaves_the_record(api):
    told = event()
    late = session(api.scale())
    api.deliver(told)
    before = WeighingRecord.objects.values().get()
    moved = {**told, "cloudSessionId": str(late.pk), "revision": 2, "reason": "late-session"}
    assert api.deliver(moved) == ["accepted"]
    assert api.deliver(moved, {**moved, "revision": 1, "cloudSessionId": None}, told) == ["duplicate"] * 3
    cut = Cut.objects.get()
    assert (cut.session, cut.revision, cut.net_grams) == (late, 2, 9676)
    [change] = CutChange.objects.all()
    assert (change.session_before, change.session_after, change.reason) == ("", str(late.pk), "late-session")
    assert WeighingRecord.objects.values().get() == before


def test_a_later_word_may_come_first(api):
    told = event()
    late = session(api.scale())
    assert api.deliver({**told, "cloudSessionId": str(late.pk), "revision": 1}) == ["accepted"]
    assert api.deliver(told) == ["duplicate"]
    assert Cut.objects.get().session == late


def test_both_words_may_come_in_one_batch(api):
    told, late = event(), session(api.scale())
    assert api.deliver(told, {**told, "cloudSessionId": str(late.pk), "revision": 1}) == ["accepted", "accepted"]
    assert (Cut.objects.get().session, held()) == (late, (1, 1))


def test_a_scale_that_named_itself_late_gets_what_it_weighed_before(api):
    told = event(deviceId="unregistered")
    api.deliver(told)
    assert api.deliver({**told, "deviceId": "SCALE-07", "revision": 1, "reason": "registered-late"}) == ["accepted"]
    assert Cut.objects.get().scale.device_id == "SCALE-07"
    assert WeighingRecord.objects.get().station == "unregistered"


@pytest.mark.parametrize("together", [False, True])
def test_a_scale_that_named_itself_late_may_tell_its_time_in_its_own_zone(api, together):
    """Its record keeps the first time; that its cut is another scale's and session's is not refused for it."""
    told, late = event(deviceId="unregistered"), session(api.scale("SCALE-07"))
    own_time = (datetime.fromisoformat(told["scaleTimestamp"]) - timedelta(hours=1)).isoformat()
    corrected = {**told, "deviceId": "SCALE-07", "cloudSessionId": str(late.pk), "measuredAt": own_time}
    words = [told, {**corrected, "revision": 7, "reason": "registered-late"}]
    answers = api.deliver(*words) if together else [api.deliver(word)[0] for word in words]
    assert answers == ["accepted", "accepted"]
    assert api.deliver(*words) == ["duplicate", "duplicate"]
    cut = Cut.objects.get()
    assert (cut.session, cut.scale.device_id, cut.extras["measured_at"]) == (late, "SCALE-07", own_time)
    assert cut.measured_at == WeighingRecord.objects.get().measured_at == datetime.fromisoformat(told["scaleTimestamp"])
    assert not IngestConflict.objects.exists()


def test_a_later_word_cannot_change_the_weight(api):
    told = event()
    assert api.deliver(told, {**told, "weightGrams": 1, "revision": 1}) == ["accepted", "failed"]
    assert Cut.objects.get().net_grams == 9676


def test_what_a_person_decided_stays_when_the_edge_says_otherwise_later(api, administrator):
    told, chosen, other = event(), session(api.scale("SCALE-01"), "TR-1", status="ended", ended_at=timezone.now()), None
    api.deliver(told)
    cuts.assign([uuid.UUID(told["localEventId"])], chosen, "seen on the camera", administrator.user, timezone.now())
    other = session(api.scale(), "TR-2")
    assert api.deliver({**told, "cloudSessionId": str(other.pk), "revision": 1}) == ["accepted"]
    cut = Cut.objects.get()
    assert (cut.session, cut.told_session, cut.revision) == (chosen, str(other.pk), 1)


def test_what_a_crash_left_half_done_is_completed_by_the_repetition(api, monkeypatch):
    told = [event() for _ in range(3)]
    with monkeypatch.context() as torn:
        torn.setattr(cuts, "keep", lambda *_: (_ for _ in ()).throw(OperationalError("the disk is full")))
        status, body = api.post("events/batch", {"events": told})
    assert (status, body["code"], api.answer["Retry-After"]) == (503, "busy", "5")
    assert held() == (3, 0)
    assert api.deliver(*told) == ["accepted"] * 3
    assert held() == (3, 3)


def test_a_database_that_is_away_is_no_answer(api, monkeypatch):
    monkeypatch.setattr(events, "ingest", lambda *_: (_ for _ in ()).throw(OperationalError("away")))
    for path, body in (("events", event()), ("events/batch", {"events": [event()]})):
        status, refusal = api.post(path, body)
        assert (status, refusal["code"], api.answer["Retry-After"]) == (503, "busy", "5")


def test_scales_are_made_as_they_come_up_to_a_bound(api, monkeypatch):
    monkeypatch.setattr(edges, "SCALES_PER_EDGE_MAX", 2)
    told = [event(deviceId=f"SCALE-0{n}") for n in range(1, 5)]
    assert api.deliver(*told) == ["accepted", "accepted", "failed", "failed"]
    assert Scale.objects.count() == 2
    assert held() == (2, 2), "nothing is held that could not be shown with its scale"


def test_scales_of_the_same_name_at_two_sites_are_two(api):
    other = joined("plant-2")
    assert (api.deliver(event()), other.deliver(event())) == (["accepted"], ["accepted"])
    assert Scale.objects.count() == 2
    assert {cut.scale.edge.site.site_id for cut in Cut.objects.all()} == {"plant-1", "plant-2"}


def test_a_batch_that_mixes_scales_is_one_batch_and_each_cut_its_own_scales(api):
    """In the first programs one global batch took the events of all scales."""
    batch = str(uuid.uuid4())
    told = [event(deviceId=f"SCALE-0{n}", offlineMode=True, offlineBatchId=batch) for n in (1, 2, 2)]
    assert api.deliver(*told) == ["accepted"] * 3
    assert (OfflineBatch.objects.get().scale.device_id, Cut.objects.filter(batch=batch, offline=True).count()) == (
        "SCALE-01",
        3,
    )
    assert sorted(cut.scale.device_id for cut in Cut.objects.all()) == ["SCALE-01", "SCALE-02", "SCALE-02"]


def test_another_edges_batch_takes_nothing_in(api):
    batch = str(uuid.uuid4())
    api.deliver(event(offlineBatchId=batch))
    assert joined("plant-2").deliver(event(offlineBatchId=batch)) == ["accepted"]
    assert Cut.objects.filter(batch=batch).count() == 1


def test_the_facts_of_a_cut_cannot_be_altered_nor_what_was_said_of_it_later(api):
    told, late = event(), session(api.scale())
    api.deliver(told, {**told, "cloudSessionId": str(late.pk), "revision": 1})
    for statement in (
        "UPDATE weighing_cut SET net_grams = 1",
        "DELETE FROM weighing_cut",
        "UPDATE weighing_cutchange SET reason = 'x'",
        "DELETE FROM weighing_cutchange",
    ):
        with pytest.raises(DatabaseError, match="never"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    with pytest.raises(TypeError, match="never"):
        CutChange.objects.get().save()


@pytest.mark.parametrize("count", [2, BATCH_RECORDS_MAX])
def test_a_batch_costs_the_same_few_statements_however_long_it_is(api, count):
    began, batch = session(api.scale()), str(uuid.uuid4())
    api.deliver(event(cloudSessionId=str(began.pk)))
    told = [event(cloudSessionId=str(began.pk), offlineMode=True, offlineBatchId=batch) for _ in range(count)]
    with CaptureQueriesContext(connection) as made:
        assert set(api.deliver(*told)) == {"accepted"}
    assert len(made) <= STATEMENTS_MAX, [query["sql"][:90] for query in made.captured_queries]
    with CaptureQueriesContext(connection) as made:
        assert set(api.deliver(*told)) == {"duplicate"}
    assert len(made) <= STATEMENTS_MAX, [query["sql"][:90] for query in made.captured_queries]

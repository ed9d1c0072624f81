"""Records as events of the CarniTrack contract: exact, complete, under one id for ever."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.outbox import weighing
from fakes.plant_records import START, event_uuid, record_of, scale_event
from scaleledger.domain.delivery import ItemOutcome, Outcome
from scaleledger.domain.errors import Disbelieved, LinkError
from scaleledger.domain.offline import ONLINE, EventContext
from scaleledger.domain.weighing import Draft, Kind
from scaleledger.uplinks.carnitrack.protocol import (
    BatchUnfit,
    Event,
    event_of,
    events_text,
    exact_grams,
    parts,
    read_batch,
    read_single,
    whole_grams,
)
from scaleledger.uplinks.exchange import Answer

TEXTS = st.text(st.characters(blacklist_categories=["Cs"]), max_size=60)


def event(record, context=ONLINE, site="site-001"):
    found = event_of(record, context, site)
    assert isinstance(found, Event), found
    return found, json.loads(found.body)


def answer(status, said, kind="application/json"):
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    return Answer(status, {"content-type": kind}, body, START)


@pytest.mark.parametrize(
    ("weight", "unit", "grams", "exact"),
    [
        ("1250", "g", 1250, None),
        ("1.250", "kg", 1250, None),
        ("0.0005", "kg", 0, "0.5000"),
        ("0.0015", "kg", 2, "1.5000"),
        ("0.0025", "kg", 2, "2.5000"),
        ("12.5", "g", 12, "12.5"),
        ("-14", "g", -14, None),
        ("0", "g", 0, None),
        ("999", "g", 999, None),
        ("38319.201", "kg", 38319201, None),
    ],
)
def test_weights_are_whole_grams_and_what_is_none_is_told_exactly_too(weight, unit, grams, exact):
    _, said = event(scale_event(1, weight=weight, unit=unit))
    assert said["weightGrams"] == grams
    assert said.get("netExact") == exact


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=6), st.sampled_from(["g", "kg"]))
def test_no_weight_is_further_from_its_grams_than_half_a_gram(weight, unit):
    exact = exact_grams(weight, unit)
    assert exact == weight * (1000 if unit == "kg" else 1)
    assert abs(Decimal(whole_grams(exact)) - exact) <= Decimal("0.5")


@pytest.mark.parametrize(("weight", "unit"), [("1", "lb"), ("1", ""), ("9" * 30, "kg")])
def test_a_weight_that_cannot_be_said_in_grams_is_set_aside_and_never_guessed(weight, unit):
    found = event_of(scale_event(1, weight=weight, unit=unit), ONLINE, "")
    assert isinstance(found, ItemOutcome)
    assert found.outcome is Outcome.QUARANTINE


def test_gross_tare_operator_flags_and_company_leave_the_edge():
    _, said = event(scale_event(1, notes="possible-copy,net-mismatch", code="7"))
    assert (said["grossGrams"], said["tareGrams"], said["operator"]) == (1300, 50, "Ayşe")
    assert (said["flags"], said["company"], said["code"]) == (["2", "0", "N"], "Örnek Et", "7")
    assert said["notes"] == ["possible-copy", "net-mismatch"]
    assert (said["pluCode"], said["barcode"]) == ("000000000001", "000000000001")


def test_what_was_not_printed_is_null_and_never_zero():
    _, said = event(scale_event(1, gross="", tare="ABC"))
    assert (said["grossGrams"], said["tareGrams"]) == (None, None)


def test_a_site_that_is_known_only_later_names_the_device_beyond_it_from_then_on():
    assert event(scale_event(1), site="")[1]["globalDeviceId"] == "SCALE-01"
    assert event(scale_event(1), site="site-9")[1]["globalDeviceId"] == "site-9-SCALE-01"


def test_a_scale_whose_clock_is_not_believed_is_told_with_both_times():
    at = START + timedelta(hours=5)
    record = replace(scale_event(1, notes="clock-suspect", received_at=at.isoformat()), measured_at=at)
    _, said = event(record)
    assert datetime.fromisoformat(said["measuredAt"]) == datetime.fromisoformat(said["receivedAt"]) == at
    assert datetime.fromisoformat(said["scaleTimestamp"]) == START + timedelta(seconds=1)


def test_a_correction_is_a_revision_of_the_first_event():
    found, said = event(scale_event(9, number=4, kind=Kind.CORRECTION, session="s-2", reason="late-session"))
    assert (found.local_id, found.seq) == (event_uuid(4), 9)
    assert (said["localEventId"], said["revision"], said["reason"]) == (event_uuid(4), 9, "late-session")
    assert (said["cloudSessionId"], said["weightGrams"]) == ("s-2", 1250)


def test_the_event_itself_has_no_revision():
    assert "revision" not in event(scale_event(1))[1]


def test_the_offline_batch_is_the_one_it_was_weighed_in():
    _, said = event(scale_event(1), EventContext(offline=True, batch_id="b-1"))
    assert (said["offlineMode"], said["offlineBatchId"]) == (True, "b-1")


@pytest.mark.parametrize("record", [weighing(1), scale_event(1, kind=Kind.VOID)])
def test_what_the_contract_has_no_place_for_is_not_owed(record):
    assert event_of(record, ONLINE, "").outcome is Outcome.NOT_OWED


@given(st.dictionaries(TEXTS, TEXTS, max_size=8), TEXTS, st.binary(max_size=40))
def test_whatever_the_details_hold_the_event_is_json_and_keeps_weight_and_id(details, product, raw):
    draft = Draft(
        event_uuid(1), "SCALE-01", "dp401-csv", "event", Decimal(1250), "g", START, raw=raw,
        details=tuple((details | {"product": product, "device": "SCALE-01"}).items()),
    )  # fmt: skip
    found, said = event(record_of(draft, 1))
    assert (said["weightGrams"], said["localEventId"], said["productName"]) == (1250, event_uuid(1), product)
    assert found.device_id == "SCALE-01"


@given(st.lists(st.integers(1, 6), max_size=60), st.integers(1, 10))
def test_parts_keep_the_order_and_never_hold_an_id_twice(ids, most):
    events = [Event(seq, f"id-{n}", "SCALE-01", "{}") for seq, n in enumerate(ids, 1)]
    found = list(parts(events, most))
    assert [e for part in found for e in part] == events
    for part in found:
        assert len(part) <= most
        assert len({e.local_id for e in part}) == len(part)


def test_parts_are_bounded_in_bytes():
    events = [Event(n, f"id-{n}", "SCALE-01", "x" * 16_000) for n in range(100)]
    assert all(len(events_text(part)) < 600_000 for part in parts(events, 500))


ONE = Event(1, event_uuid(1), "SCALE-01", "{}")
TWO = Event(2, event_uuid(2), "SCALE-01", "{}")


@pytest.mark.parametrize(
    ("status", "said", "outcome"),
    [
        (200, {"localEventId": event_uuid(1), "status": "accepted"}, Outcome.ACKED),
        (201, {"cloudEventId": "c-1", "status": "accepted"}, Outcome.ACKED),
        (200, {"local_event_id": event_uuid(1).upper(), "status": "duplicate"}, Outcome.ACKED),
        (200, {"status": "failed", "error": "no such product"}, Outcome.QUARANTINE),
        (422, {"error": "no such product"}, Outcome.QUARANTINE),
    ],
)
def test_an_answer_to_one_event(status, said, outcome):
    assert read_single(answer(status, said), ONE).outcome is outcome


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (200, {"status": "ok"}),
        (200, {"localEventId": event_uuid(2), "status": "accepted"}),
        (200, b"<html>"),
        (200, []),
        (400, b"<html>Bad Request</html>"),
        (302, b""),
    ],
)
def test_what_does_not_name_the_event_as_held_settles_nothing(status, said):
    with pytest.raises(Disbelieved):
        read_single(answer(status, said), ONE)


def test_one_failed_event_does_not_fail_its_batch():
    results = [{"localEventId": event_uuid(1), "status": "failed", "error": "x"}, {"status": "accepted"}]
    found = read_batch(answer(200, {"results": results}), [ONE, TWO])
    assert [o.outcome for o in found] == [Outcome.QUARANTINE, Outcome.ACKED]


def test_results_that_are_too_few_count_where_they_name_the_event():
    results = [{"localEventId": event_uuid(2), "status": "accepted"}]
    found = read_batch(answer(200, {"results": results}), [ONE, TWO])
    assert [o.outcome for o in found] == [Outcome.RETRY, Outcome.ACKED]
    unnamed = read_batch(answer(200, {"results": [{"status": "accepted"}]}), [ONE, TWO])
    assert {o.outcome for o in unnamed} == {Outcome.RETRY}


def test_results_in_another_order_are_not_believed_by_their_place():
    results = [{"localEventId": event_uuid(n), "status": "accepted"} for n in (2, 1)]
    assert {o.outcome for o in read_batch(answer(200, {"results": results}), [ONE, TWO])} == {Outcome.RETRY}


def test_a_batch_that_is_refused_as_a_whole_blames_no_event():
    with pytest.raises(BatchUnfit):
        read_batch(answer(413, {"error": "too large"}), [ONE, TWO])


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=20)
    | st.sampled_from([event_uuid(1), "accepted", "failed"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["results", "status", "localEventId", "error", "code", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(
    st.sampled_from([200, 201, 204, 302, 400, 401, 403, 404, 413, 422, 429, 500, 503]), JSON | st.binary(max_size=60)
)
def test_hostile_answers_end_in_an_outcome_or_a_typed_error(status, said):
    for read, about in ((read_single, ONE), (read_batch, [ONE, TWO])):
        try:
            found = read(answer(status, said), about)
        except (LinkError, BatchUnfit):
            continue
        assert all(o.outcome in Outcome for o in (found if isinstance(found, list) else [found]))

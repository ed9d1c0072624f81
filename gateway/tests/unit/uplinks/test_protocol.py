import hashlib
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.contract import answer, body_of, example, html, text_of
from fakes.outbox import MAC, START, batch_of, weighing
from scaleledger.domain.delivery import Batch, Outcome
from scaleledger.domain.errors import CredentialsRefused, Disbelieved, LinkError, RegistrationRefused
from scaleledger.domain.standing import (
    Alive,
    HostReport,
    Introduction,
    Receipt,
    SignOfLife,
    Standing,
    StationRefused,
    StationReport,
    Status,
)
from scaleledger.domain.weighing import Head, Record
from scaleledger.uplinks.central import enrolment, protocol
from scaleledger.uplinks.central.enrolment import Offer
from scaleledger.uplinks.central.protocol import BatchNotOffered, BatchRefused, BatchTooLarge
from scaleledger.uplinks.exchange import Answer


def recorded(stated):
    """The Record that an example of `weighing_record` was made from."""
    payload = json.loads(stated["ledger"]["payload"])
    return Record(
        stated["ledger"]["seq"],
        stated["uuid"],
        stated["rfid_uid"],
        Decimal(payload["weight"]),
        payload["unit"],
        payload["station"],
        datetime.fromisoformat(stated["measured_at"]),
        stated["ledger"]["payload"],
        stated["ledger"]["hash"],
        "",
    )


def test_every_request_example_is_what_we_send():
    stated = example("weighing_record.ledger")
    record = recorded(stated)
    assert body_of(protocol.post_record(record, "t"), "weighing_record") == stated
    plain = protocol.post_record(record, "t", ledger=False)
    assert body_of(plain, "weighing_record") == example("weighing_record.plain")
    two = example("weighing_batch.two")
    batch = Batch(tuple(recorded(r) for r in two["records"]), Head(**two["head"]))
    assert body_of(protocol.post_batch(batch, "p/", "t"), "weighing_batch") == two
    keyed, unkeyed = example("gateway_registration.with-key"), example("gateway_registration.plain")
    assert body_of(enrolment.ask_registration(Introduction(**keyed)), "gateway_registration") == keyed
    assert body_of(enrolment.ask_registration(Introduction(**unkeyed)), "gateway_registration") == unkeyed
    alive = example("heartbeat.full")
    times = {k: datetime.fromisoformat(alive[k]) for k in ("sent_at", "oldest_queued_at")}
    sent = body_of(protocol.say_alive(SignOfLife(**alive | times | {"head": Head(**alive["head"])}), "t"), "heartbeat")
    assert sent | times == {**sent, **{k: datetime.fromisoformat(sent[k]) for k in times}}
    assert {k: v for k, v in sent.items() if k not in times} == {k: v for k, v in alive.items() if k not in times}


def test_the_full_heartbeat_is_the_contracts_example():
    stated = example("heartbeat.stations")
    host = HostReport(*(stated[k] for k in HostReport.__slots__))
    sign = SignOfLife(
        stated["version"],
        datetime.fromisoformat(stated["sent_at"]),
        host=host,
        clock_offset_ms=stated["clock_offset_ms"],
        receipt_seq=stated["receipt_seq"],
        stations=tuple(StationReport(**s) for s in stated["stations"]),
        stations_refused=tuple(StationRefused(**s) for s in stated["stations_refused"]),
    )
    sent = body_of(protocol.say_alive(sign, "t"), "heartbeat")
    assert sent | {"sent_at": stated["sent_at"]} == stated
    older = body_of(protocol.say_alive(sign, "t", reports=False), "heartbeat")
    assert set(older) == {"version", "queued", "quarantined", "oldest_queued_at", "sent_at"}


@given(st.text(), st.integers(0, 300))
def test_whatever_the_stations_are_called_the_heartbeat_is_the_contracts(text, count):
    report = StationReport(f"s{text}", "file", text * 9, text * 99, "up", text * 9, text * 99)
    refused = StationRefused(text * 20, text * 99)
    host = HostReport(text * 9, text * 30, 0, 0, 0)
    sign = SignOfLife(text * 9, START, host=host, stations=(report,) * count, stations_refused=(refused,) * count)
    body_of(protocol.say_alive(sign, "t"), "heartbeat")


@pytest.mark.parametrize("name", ["heartbeat_answer.receipt", "heartbeat_answer.receipt-of-nothing"])
def test_what_the_centre_says_with_a_heartbeat_is_read(name):
    stated = example(name)
    alive = protocol.read_heartbeat(answer(200, text_of(name).encode()))
    assert alive == Alive(
        receipt=Receipt(**stated["receipt"]),
        server_time=datetime.fromisoformat(stated["server_time"]),
        stations_version="4",
        market_version="17",
    )


RECEIPT = {"upto_seq": 2, "hash": "9f" * 32, "at": "2026-11-21T02:10:03+00:00", "signature": "5c" * 64}


@pytest.mark.parametrize(
    "receipt",
    [
        None,
        7,
        [],
        {},
        RECEIPT | {"upto_seq": True},
        RECEIPT | {"upto_seq": 0},
        RECEIPT | {"upto_seq": False, "hash": "0" * 64},
        RECEIPT | {"upto_seq": -1, "hash": "0" * 64},
        RECEIPT | {"upto_seq": 2**53},
        RECEIPT | {"upto_seq": "2"},
        RECEIPT | {"hash": "9F" * 32},
        RECEIPT | {"at": "yesterday"},
        RECEIPT | {"at": "2026-11-21T02:10:03"},
        RECEIPT | {"at": 7},
        RECEIPT | {"signature": ""},
    ],
)
def test_a_receipt_that_is_none_is_not_taken_for_one(receipt):
    assert protocol.read_heartbeat(answer(200, {"status": "active", "receipt": receipt})).receipt is None
    taken = protocol.read_batch(answer(200, {"results": [entry(1)], "receipt": receipt}), [weighing(1)])
    assert taken.receipt is None
    assert taken.outcomes[0].outcome is Outcome.ACKED


def test_a_receipt_comes_with_a_batch():
    records = [recorded(r) for r in example("weighing_batch.two")["records"]]
    taken = protocol.read_batch(answer(200, text_of("batch_result.receipt").encode()), records)
    assert taken.receipt == Receipt(**example("batch_result.receipt")["receipt"])


@pytest.mark.parametrize("said", [{"versions": 3}, {"versions": {"stations": 4, "market": None}}, {"server_time": 5}])
def test_odd_words_with_a_heartbeat_are_none(said):
    assert protocol.read_heartbeat(answer(200, {"status": "active"} | said)) == Alive()


def test_what_is_signed_for_a_delivery_is_what_the_contract_says():
    request = protocol.post_batch(batch_of(weighing(1)), "p/", "t")
    digest = hashlib.sha256(request.body).hexdigest()
    assert protocol.body_message(MAC, request.body) == f"scaleledger-body-v1\n{MAC}\n{digest}".encode()
    assert request.signed
    assert protocol.post_record(weighing(1), "t").signed


def test_a_signature_that_is_refused_leaves_the_records_where_they_are():
    for code in ("signature_missing", "signature_wrong"):
        refusal = answer(403, {"code": code, "detail": "words"})
        with pytest.raises(Disbelieved, match=code):
            protocol.read_record(refusal, RECORD)
        with pytest.raises(Disbelieved, match=code):
            protocol.read_batch(refusal, [RECORD])


def test_a_heartbeat_of_an_empty_ledger_has_no_head():
    sign = SignOfLife("0.1.0", START, head=Head(0, "0" * 64, ""))
    assert "head" not in body_of(protocol.say_alive(sign, "t"), "heartbeat")


def test_every_answer_example_is_accepted():
    status, offer = enrolment.read_status(answer(200, json.loads(text_of("gateway_status.active"))), MAC)
    assert status == Status(Standing.ACTIVE, example("gateway_status.active")["access_token"])
    assert offer == Offer("api/weighing/records/batch/", 500, gateway_id=1)
    pending, _ = enrolment.read_status(answer(200, json.loads(text_of("gateway_status.pending"))), MAC)
    assert pending == Status(Standing.PENDING)
    assert protocol.read_heartbeat(answer(200, json.loads(text_of("heartbeat_answer.ok")))).anchor is None
    assert protocol.read_heartbeat(answer(200, json.loads(text_of("heartbeat_answer.anchor")))).anchor.seq == 2
    stored = json.loads(text_of("stored_record.ledger"))
    for code in (200, 201):
        outcome = protocol.read_record(answer(code, stored), recorded(example("weighing_record.ledger")))
        assert outcome.outcome is Outcome.ACKED
    records = [recorded(r) for r in example("weighing_batch.two")["records"]]
    created, invalid = protocol.read_batch(answer(200, json.loads(text_of("batch_result.mixed"))), records).outcomes
    assert (created.outcome, invalid.outcome) == (Outcome.ACKED, Outcome.QUARANTINE)
    assert "measured_at is no time" in invalid.reason
    with pytest.raises(CredentialsRefused):
        protocol.read_heartbeat(answer(401, json.loads(text_of("error.token_unknown"))))


ANCHOR = {"seq": 2, "hash": "9f" * 32, "signature": "5c" * 64}


@pytest.mark.parametrize(
    "anchor",
    [
        None,
        7,
        {"seq": 2},
        ANCHOR | {"seq": True},
        ANCHOR | {"seq": 0},
        ANCHOR | {"seq": 2**53},
        ANCHOR | {"hash": "9F" * 32},
        ANCHOR | {"signature": "5c"},
    ],
)
def test_an_anchor_that_is_none_is_not_taken_for_one(anchor):
    assert protocol.read_heartbeat(answer(200, {"status": "active", "anchor": anchor})).anchor is None


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9))
def test_a_weight_is_a_json_number_with_its_own_digits(weight):
    text = protocol.post_record(weighing(1, str(weight)), "t").body.decode()
    number = text.partition('"weight":')[2].partition(",")[0]
    assert number == format(weight, "f")
    assert json.loads(number, parse_float=Decimal, parse_int=Decimal) == weight


@given(st.text())
def test_any_card_survives_the_way(card):
    record = weighing(1)
    odd = Record(**{name: getattr(record, name) for name in record.__slots__} | {"card": card, "payload": card})
    sent = json.loads(protocol.post_record(odd, "t").body)
    assert (sent["rfid_uid"], sent["ledger"]["payload"]) == (card, card)


RECORD = weighing(7)
NAMED = {"uuid": RECORD.uuid}


@pytest.mark.parametrize(
    "given_answer",
    [
        answer(201),
        answer(201, {}),
        answer(201, [1]),
        answer(201, NAMED),
        answer(200, NAMED),
        answer(200, {"uuid": RECORD.uuid.replace("-", "").upper()}),
    ],
)
def test_a_record_is_acked_by(given_answer):
    assert protocol.read_record(given_answer, RECORD).outcome is Outcome.ACKED


@pytest.mark.parametrize(
    ("given_answer", "words"),
    [
        (answer(400, {"detail": "no"}), "no"),
        (answer(409, {"code": "uuid_conflict", "detail": "held with other content"}), "uuid_conflict: held with"),
        (answer(413), "413"),
        (answer(422, b"weight?\x00\n", "text/plain"), "422: weight?"),
        (answer(418, {"weight": ["odd"]}), "odd"),
    ],
)
def test_a_record_is_quarantined_with_the_centres_words_by(given_answer, words):
    outcome = protocol.read_record(given_answer, RECORD)
    assert outcome.outcome is Outcome.QUARANTINE
    assert words in outcome.reason
    assert outcome.reason.isprintable()


@pytest.mark.parametrize(
    "given_answer",
    [
        *(html(status) for status in (200, 201, 302, 400, 401, 403, 404, 409, 422, 500)),
        answer(200),
        answer(200, {}),
        answer(200, {"uuid": weighing(8).uuid}),
        answer(201, {"uuid": weighing(8).uuid}),
        answer(200, b'{"uuid": "' + RECORD.uuid.encode()[:10]),
        answer(201, b'{"uu'),
        answer(200, b"[" * 100_000),
        answer(204),
        answer(302),
        answer(401),
        answer(401, {"detail": "bare"}),
        answer(401, {"code": "uuid_conflict", "detail": "odd"}),
        answer(401, {"code": ["token_unknown"], "detail": "odd"}),
        answer(404, {"code": "not_found", "detail": "no such path"}),
        answer(404, {"code": "token_unknown", "detail": "odd"}),
        answer(405),
        answer(408),
        answer(425),
        answer(429),
        answer(500),
        answer(503),
        answer(200, b"\xff\xfe<html>"),
    ],
)
def test_nothing_is_known_of_a_record_after(given_answer):
    with pytest.raises(LinkError):
        protocol.read_record(given_answer, RECORD)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "token_unknown"),
        (401, "token_missing"),
        (401, "token_expired"),
        (403, "gateway_inactive"),
        (404, "gateway_unknown"),
    ],
)
def test_credentials_are_refused_only_in_the_contracts_form(status, code):
    refusal = answer(status, {"code": code, "detail": "words"})
    for read in (
        protocol.read_heartbeat,
        lambda a: protocol.read_record(a, RECORD),
        lambda a: protocol.read_batch(a, [RECORD]),
    ):
        with pytest.raises(CredentialsRefused, match="words"):
            read(refusal)
    with pytest.raises(Disbelieved):
        protocol.read_heartbeat(answer(status))


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        ("120", 120),
        ("0", 0),
        ("999999999999999", 3600),
        ("Sat, 21 Nov 2026 02:11:00 GMT", 60),
        ("Sat, 21 Nov 2020 02:11:00 GMT", 0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("٣", None),
    ],
)
def test_retry_after(text, wait_s):
    with pytest.raises(LinkError) as caught:
        protocol.read_record(answer(429, retry_after=text), RECORD)
    assert caught.value.retry_after_s == wait_s


def test_a_retry_after_date_is_read_by_the_centres_own_clock():
    wrong = START - timedelta(days=400)
    said = answer(503, retry_after="Sat, 21 Nov 2026 02:11:00 GMT", date="Sat, 21 Nov 2026 02:10:30 GMT")
    with pytest.raises(LinkError) as caught:
        protocol.read_record(Answer(said.status, said.headers, said.body, wrong.astimezone(UTC)), RECORD)
    assert caught.value.retry_after_s == 30


def entry(seq, outcome="created"):
    return {"uuid": weighing(seq).uuid, "outcome": outcome}


ACK, RETRY, OUT = Outcome.ACKED, Outcome.RETRY, Outcome.QUARANTINE


@pytest.mark.parametrize(
    ("results", "outcomes"),
    [
        ([entry(1), entry(2, "held"), entry(3, "conflict")], [ACK, ACK, OUT]),
        ([entry(1)], [ACK, RETRY, RETRY]),
        ([], [RETRY] * 3),
        ([entry(2), entry(1), entry(3)], [RETRY, RETRY, ACK]),
        ([entry(1), None, entry(3, "odd")], [ACK, RETRY, RETRY]),
        ([entry(1), {"uuid": None, "outcome": "invalid"}, entry(3)], [ACK, OUT, ACK]),
        ([entry(1), {"uuid": None, "outcome": "invalid"}], [ACK, RETRY, RETRY]),
        ([{"uuid": None, "outcome": "created"}, {}, {"uuid": 3, "outcome": ["held"]}], [RETRY] * 3),
        ([entry(1), entry(2), entry(3), entry(4)], [ACK] * 3),
    ],
)
def test_a_batch_is_answered_item_by_item(results, outcomes):
    records = [weighing(1), weighing(2), weighing(3)]
    found = protocol.read_batch(answer(200, {"results": results}), records).outcomes
    assert [o.outcome for o in found] == outcomes
    assert [o.seq for o in found] == [1, 2, 3]


@pytest.mark.parametrize(
    ("given_answer", "error"),
    [
        (answer(404), BatchNotOffered),
        (html(404), BatchNotOffered),
        (answer(405), BatchNotOffered),
        (answer(413), BatchTooLarge),
        (html(413), BatchTooLarge),
        (answer(400), BatchRefused),
        (answer(422, {"code": "invalid", "detail": "x"}), BatchRefused),
        (answer(409), BatchRefused),
        (html(400), LinkError),
        (html(200), Disbelieved),
        (answer(200, {"results": {}}), Disbelieved),
        (answer(200, b'{"results": ['), Disbelieved),
        (answer(201, {"results": [entry(1)]}), LinkError),
        (answer(502), LinkError),
        (answer(302), LinkError),
        (answer(401), LinkError),
    ],
)
def test_a_batch_as_a_whole(given_answer, error):
    with pytest.raises(error):
        protocol.read_batch(given_answer, [weighing(1)])


STATUS = {"mac_address": MAC, "access_token": None}


@pytest.mark.parametrize(
    ("given_answer", "status"),
    [
        (answer(200, STATUS), Status(Standing.PENDING)),
        (answer(200, {"mac_address": MAC}), Status(Standing.PENDING)),
        (answer(200, STATUS | {"mac_address": MAC.upper(), "access_token": "t"}), Status(Standing.ACTIVE, "t")),
        (answer(200, STATUS | {"status": "active"}), Status(Standing.ACTIVE)),
        (answer(200, STATUS | {"status": "inactive", "access_token": "t"}), Status(Standing.PENDING)),
        (answer(404, {"code": "gateway_unknown", "detail": "x"}), Status(Standing.NOT_REGISTERED)),
        (answer(404, {"detail": "Not found."}), Status(Standing.NOT_REGISTERED)),
    ],
)
def test_status(given_answer, status):
    assert enrolment.read_status(given_answer, MAC)[0] == status


@pytest.mark.parametrize(
    "given_answer",
    [
        html(404),
        html(200),
        answer(404),
        answer(404, {"code": "not_found", "detail": "wrong address"}),
        answer(404, [1]),
        answer(200, {"mac_address": "02:00:00:00:00:00", "access_token": "t"}),
        answer(200, STATUS | {"access_token": "a\nb"}),
        answer(200, STATUS | {"access_token": 5}),
        answer(200, STATUS | {"access_token": "x" * 10_000}),
        answer(401, {"code": "token_unknown", "detail": "x"}),
        answer(500),
    ],
)
def test_nothing_is_known_of_the_status_after(given_answer):
    with pytest.raises(LinkError):
        enrolment.read_status(given_answer, MAC)


@pytest.mark.parametrize(
    "batch",
    [None, {}, {"path": "/x", "max_records": 5}, {"path": "http://elsewhere/", "max_records": 5}, {"path": "x"}, [1]],
)
def test_an_odd_offer_is_none(batch):
    _, offer = enrolment.read_status(answer(200, STATUS | {"batch": batch, "status": "pending"}), MAC)
    assert offer == Offer()


def test_an_offer_is_bounded_and_a_plain_server_gets_no_ledger():
    offered = {"path": "many/", "max_records": 10_000}
    _, offer = enrolment.read_status(answer(200, STATUS | {"batch": offered, "status": "active"}), MAC)
    assert offer == Offer("many/", 500)
    assert not enrolment.read_status(answer(200, STATUS), MAC)[1].ledger


@pytest.mark.parametrize("given_answer", [answer(201), answer(201, {}), answer(200, STATUS)])
def test_registered(given_answer):
    enrolment.read_registration(given_answer)


@pytest.mark.parametrize(
    ("given_answer", "error"),
    [
        (answer(409, {"code": "mac_conflict", "detail": "another key"}), RegistrationRefused),
        (answer(422, {"detail": "hostname"}), RegistrationRefused),
        (html(200), Disbelieved),
        (html(201), Disbelieved),
        (html(409), LinkError),
        (answer(200), Disbelieved),
        (answer(404, {"code": "gateway_unknown", "detail": "odd"}), LinkError),
        (answer(500), LinkError),
    ],
)
def test_not_registered(given_answer, error):
    with pytest.raises(error):
        enrolment.read_registration(given_answer)


@pytest.mark.parametrize("given_answer", [answer(200), answer(204), answer(200, {}), answer(201, {"status": "active"})])
def test_a_heartbeat_is_taken_with_or_without_words(given_answer):
    protocol.read_heartbeat(given_answer)


@pytest.mark.parametrize(
    "given_answer", [html(200), answer(200, b"{"), answer(302), answer(401, {"detail": "x"}), answer(500)]
)
def test_a_heartbeat_is_not_taken(given_answer):
    with pytest.raises(LinkError):
        protocol.read_heartbeat(given_answer)


def test_the_batch_carries_the_head_of_the_whole_ledger():
    batch = Batch((weighing(1),), batch_of(weighing(9)).head)
    assert json.loads(protocol.post_batch(batch, "p/", "t").body)["head"]["seq"] == 9

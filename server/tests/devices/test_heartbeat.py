"""What a sign of life leaves behind, and the anchor that never goes back."""

import pytest

from gateway_ledgers import LedgerOf
from scaleledger_server.devices.models import HeadAlarm
from server_api import example

HEARTBEAT = "/devices/api/gateways/heartbeat/"


def test_it_works(joined, ledger):
    gateway, api = joined
    ledger.records(3)
    assert api.post(HEARTBEAT, {**example("heartbeat.full"), "head": ledger.head()})[0] == 200
    gateway.refresh_from_db()
    assert gateway.reported["queued"] == 3
    assert (gateway.anchor_seq, gateway.anchor_hash) == (3, ledger.hash)


def test_an_empty_one_keeps_the_last_report(joined):
    gateway, api = joined
    api.post(HEARTBEAT, {"queued": 7})
    api.post(HEARTBEAT)
    gateway.refresh_from_db()
    assert gateway.reported == {"queued": 7}


def test_the_anchor_never_goes_back(joined, ledger):
    gateway, api = joined
    ledger.record()
    early = ledger.head()
    ledger.record()
    late = ledger.head()
    for head in (late, early):
        api.post(HEARTBEAT, {"head": head})
    gateway.refresh_from_db()
    assert gateway.anchor_seq == 2
    assert not HeadAlarm.objects.exists()


def test_the_answer_gives_the_anchor_back_as_the_gateway_signed_it(joined, ledger):
    _, api = joined
    assert api.post(HEARTBEAT)[1]["anchor"] is None
    ledger.records(2)
    late = ledger.head()
    assert api.post(HEARTBEAT, {"head": late})[1]["anchor"] == late
    assert example("heartbeat_answer.anchor").keys() <= api.post(HEARTBEAT)[1].keys()


def test_a_forged_head_is_an_alarm_and_not_believed(joined):
    gateway, api = joined
    forged = LedgerOf(signed=True)
    forged.record()
    assert api.post(HEARTBEAT, {"head": forged.head()})[0] == 200
    gateway.refresh_from_db()
    assert gateway.anchor_seq == 0
    assert HeadAlarm.objects.get().kind == "signature"


def test_another_hash_at_the_same_number_is_an_alarm(joined, ledger):
    gateway, api = joined
    ledger.record()
    first = ledger.head()
    ledger.seq, ledger.hash = 0, "0" * 64
    ledger.record(weight="1.00")
    for head in (first, ledger.head(), ledger.head()):
        api.post(HEARTBEAT, {"head": head})
    alarm = HeadAlarm.objects.get()
    assert (alarm.kind, alarm.times, alarm.held_hash) == ("conflict", 2, first["hash"])
    gateway.refresh_from_db()
    assert gateway.anchor_hash == first["hash"]


@pytest.mark.parametrize(
    "bad",
    [
        {"queued": -1}, {"queued": True}, {"queued": 1.0}, {"queued": 10**400}, {"version": "x" * 41}, {"head": []},
        {"head": {"seq": 0, "hash": "0" * 64, "signature": "0" * 128}}, {"oldest_queued_at": "yesterday"}, {"more": 1},
        [], "text", 5, False,
    ],
)  # fmt: skip
def test_a_bad_one_is_refused_and_leaves_nothing(joined, bad):
    gateway, api = joined
    status, body = api.post(HEARTBEAT, bad)
    assert (status, body["code"]) == (422, "invalid")
    gateway.refresh_from_db()
    assert gateway.last_heartbeat is None

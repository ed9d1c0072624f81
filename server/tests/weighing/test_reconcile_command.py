"""`reconcile` says at a glance whether a gateway's account is whole, and exits so that a script can tell."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command


def told(*words):
    out = StringIO()
    try:
        call_command("reconcile", *words, "--json", stdout=out)
    except SystemExit as end:
        return end.code, json.loads(out.getvalue())
    return 0, json.loads(out.getvalue())


def test_a_whole_ledger_is_complete_and_its_repetitions_are_counted(joined, ledger):
    gateway, api = joined
    batch = ledger.batch(3)
    api.deliver_batch(batch)
    api.deliver_batch(batch)
    code, found = told(gateway.mac_address)
    [account] = found["gateways"]
    assert (code, found["duplicates"]) == (0, 0)
    assert (account["records"], account["missing"], account["pending"], account["absorbed"]) == (3, 0, 0, 3)
    assert account["complete"] is True


def test_a_gap_is_named_and_fails(joined, ledger):
    _, api = joined
    records = ledger.records(4)
    api.deliver(records[0])
    api.deliver(records[3])
    code, found = told()
    assert code == 1
    assert found["gateways"][0]["gaps"] == [[2, 3]]
    assert found["gateways"][0]["complete"] is False


def test_an_unknown_gateway_is_said(db):
    with pytest.raises(CommandError, match="No gateway"):
        call_command("reconcile", "02:00:00:00:00:99")

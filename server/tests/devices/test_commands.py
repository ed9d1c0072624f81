"""The commands that scripts use."""

import json

import pytest
from django.core.management import CommandError, call_command

from gateway_ledgers import MAC, LedgerOf
from scaleledger_server.devices import queries
from scaleledger_server.devices.models import Gateway
from scaleledger_server.devices.services import enrolment
from server_api import Api


def test_it_works(db, capsys):
    Gateway.objects.create(mac_address=MAC, name="dock")
    call_command("approve", "--all")
    call_command("gateways", "--json")
    approved, _, listed = capsys.readouterr().out.partition("\n")
    assert approved == f"approved {MAC} dock"
    [row] = json.loads(listed)
    assert (row["status"], row["mac_address"]) == ("active", MAC)
    assert "access_token" not in row


def test_one_is_approved_by_its_address(db):
    for mac in (MAC, "02:00:00:00:00:02"):
        Gateway.objects.create(mac_address=mac)
    call_command("approve", MAC.upper().replace(":", "-"))
    assert list(Gateway.objects.filter(status="active").values_list("mac_address", flat=True)) == [MAC]


@pytest.mark.parametrize("words", [["--all"], [MAC], ["no-mac"], [], [MAC, "--all"]])
def test_what_cannot_be_approved_is_said(db, words):
    with pytest.raises(CommandError):
        call_command("approve", *words)


def test_an_empty_list_is_said(db, capsys):
    call_command("gateways")
    assert "No gateway" in capsys.readouterr().out


def test_a_claim_code_is_printed_and_works(db, capsys, monkeypatch):
    call_command("claim_code", "Dock two")
    code = capsys.readouterr().out.strip()
    assert Api().prove(LedgerOf(signed=True), code)[1]["name"] == "Dock two"
    monkeypatch.setattr(enrolment, "OPEN_CLAIMS_MAX", 0)
    for words in ([], ["x" * 101]):
        with pytest.raises(CommandError):
            call_command("claim_code", *words)


def test_a_token_is_printed_for_an_active_gateway_only(db, capsys):
    Gateway.objects.create(mac_address=MAC)
    for words in ([MAC], ["02:00:00:00:00:02"], ["no-mac"]):
        with pytest.raises(CommandError):
            call_command("token", *words)
    call_command("approve", MAC)
    capsys.readouterr()
    call_command("token", MAC)
    assert queries.by_authorization(f"Bearer {capsys.readouterr().out.strip()}").mac_address == MAC

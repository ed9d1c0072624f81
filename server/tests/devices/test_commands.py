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
    assert approved == f"approved {MAC}  no key  dock  heard from nowhere yet"
    [row] = json.loads(listed)
    assert (row["status"], row["mac_address"]) == ("active", MAC)
    assert "access_token" not in row


def test_one_is_approved_by_its_address(db):
    for mac in (MAC, "02:00:00:00:00:02"):
        Gateway.objects.create(mac_address=mac)
    call_command("approve", MAC.upper().replace(":", "-"))
    assert list(Gateway.objects.filter(status="active").values_list("mac_address", flat=True)) == [MAC]


def test_it_says_whom_it_approved_and_no_name_writes_on_the_screen(db, capsys):
    gateway = Gateway.objects.create(
        mac_address=MAC, name="a\x1b[2J\napproved", public_key="d7" * 32, remote_network="192.0.2.9"
    )
    call_command("approve", "--all")
    call_command("gateways")
    said = capsys.readouterr().out
    assert said.count("\n") == 2
    assert "\x1b" not in said
    assert f"{MAC}  {gateway.fingerprint}" in said
    assert "heard from 192.0.2.9" in said


def test_one_that_others_claim_to_be_is_not_approved_with_all(api, ledger, capsys):
    api.prove(ledger)
    Gateway.objects.create(mac_address="02:00:00:00:00:02")
    api.prove(LedgerOf(signed=True))
    with pytest.raises(CommandError, match=MAC):
        call_command("approve", "--all")
    assert list(Gateway.objects.filter(status="active").values_list("mac_address", flat=True)) == ["02:00:00:00:00:02"]
    with pytest.raises(CommandError, match="claimed by others"):
        call_command("approve", "--all")
    call_command("approve", MAC)
    assert Gateway.objects.filter(status="active").count() == 2


def test_nothing_but_the_fingerprint_that_was_named_is_approved(db):
    gateway = Gateway.objects.create(mac_address=MAC, public_key="d7" * 32)
    with pytest.raises(CommandError, match=gateway.fingerprint):
        call_command("approve", MAC, "--fingerprint", "0000 1111 2222 3333")
    gateway.refresh_from_db()
    assert gateway.status == "pending"
    call_command("approve", MAC, "--fingerprint", gateway.fingerprint.upper().replace(" ", ""))
    gateway.refresh_from_db()
    assert gateway.status == "active"


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

"""A gateway proves that it holds its key; a claim code lets it be active at once."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from gateway_ledgers import LedgerOf
from scaleledger_server import signing
from scaleledger_server.devices import services
from scaleledger_server.devices.identity import claim_text, make_challenge, read_challenge, split_claim
from scaleledger_server.devices.models import AccessToken, ClaimCode, Gateway, IdentityConflict, UsedChallenge
from scaleledger_server.devices.services import enrolment
from scaleledger_server.errors import Refusal
from server_api import as_contract, proved

GATEWAYS = "/devices/api/gateways/"
CHALLENGE = f"{GATEWAYS}challenge/"


def test_it_works(api, ledger):
    status, body = api.prove(ledger)
    assert (status, as_contract(body, "gateway_status")["status"], body["access_token"]) == (201, "pending", None)
    gateway = Gateway.objects.get()
    assert body["fingerprint"] == gateway.fingerprint
    assert body["server_key"] == signing.server_key()
    services.approve(gateway)
    status, body = api.prove(ledger)
    assert (status, as_contract(body, "gateway_status")["status"]) == (200, "active")
    assert body["token_expires_at"] is not None
    api.token = body["access_token"]
    assert api.post(f"{GATEWAYS}heartbeat/")[0] == 200


def test_nothing_is_kept_of_a_challenge_until_it_is_answered(api):
    for body in ({}, b""):
        status, given = api.post(CHALLENGE, body)
        assert status == 200
        as_contract(given, "challenge")
    assert not UsedChallenge.objects.exists()
    assert api.post(CHALLENGE, {"more": 1})[1]["code"] == "invalid"


def test_a_replayed_proof_is_refused_even_when_the_first_was_a_conflict(api, ledger):
    body = proved(ledger, api.challenge())
    assert api.post(GATEWAYS, body)[0] == 201
    status, refusal = api.post(GATEWAYS, body)
    assert (status, refusal["code"]) == (409, "challenge_used")

    other = proved(LedgerOf(signed=True), api.challenge())
    assert [api.post(GATEWAYS, other)[1]["code"] for _ in range(2)] == ["mac_conflict", "challenge_used"]
    assert IdentityConflict.objects.get().proved


def test_a_claimed_identity_that_is_proved_later_is_shown_as_proved(api, joined, settings):
    settings.PLAIN_CLIENTS = True
    other = LedgerOf(signed=True)
    assert api.post(GATEWAYS, other.registration())[1]["code"] == "mac_conflict"
    assert not IdentityConflict.objects.get().proved
    api.prove(other)
    assert IdentityConflict.objects.get().proved


def test_an_answer_with_a_token_is_kept_by_no_cache(api, joined):
    _, own = joined
    answer = api.client.get(f"{GATEWAYS}self/", headers=own.headers())
    assert answer["Cache-Control"] == "no-store"


def test_a_challenge_is_good_for_a_minute_and_only_from_here():
    now = timezone.now()
    given = make_challenge(b"secret", b"0" * 16, now)
    assert read_challenge(b"secret", given.text, now + timedelta(seconds=58)) == given
    assert read_challenge(b"secret", given.text, now + timedelta(seconds=61)) is None
    assert read_challenge(b"other", given.text, now) is None
    later = str(int(given.text[:10]) + 60) + given.text[10:]
    assert read_challenge(b"secret", later, now) is None


@pytest.mark.parametrize("text", ["MTc5NTIyNTgwMA.8a3f0e9b7c6d5e4f.Zt0_3b9S1kqWm4xY", "9" * 20, "." * 200])
def test_what_is_no_challenge_of_ours_is_unknown(api, ledger, text):
    status, body = api.post(GATEWAYS, proved(ledger, text))
    assert (status, body["code"]) == (403, "challenge_unknown")
    assert not Gateway.objects.exists()


def test_a_proof_with_another_key_or_for_another_mac_is_wrong_and_spends_nothing(api, ledger):
    challenge = api.challenge()
    good = proved(ledger, challenge)
    thief = proved(LedgerOf(signed=True), challenge)
    moved = proved(LedgerOf("02:00:00:00:00:02", signed=True), challenge)
    for bad in (
        {**good, "proof": thief["proof"]},
        {**moved, "mac_address": ledger.mac},
        {**good, "public_key": "00" * 32},
    ):
        status, body = api.post(GATEWAYS, bad)
        assert (status, body["code"]) == (403, "proof_wrong")
    assert not Gateway.objects.exists()
    assert api.post(GATEWAYS, good)[0] == 201


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"proof": {"challenge": "x" * 20}}, "signature"),
        ({"proof": {"challenge": "short", "signature": "0" * 128}}, "proof.challenge"),
        ({"proof": {"challenge": "x" * 20, "signature": "0" * 127}}, "proof.signature"),
        ({"proof": []}, "proof"),
        ({"proof": None}, "proof"),
        ({"claim": {"id": "K7QU", "mac": "0" * 64}}, "claim.id"),
        ({"claim": {"id": "K7Q2", "mac": "0" * 63}}, "claim.mac"),
        ({"claim": {"id": "K7Q2"}}, "mac"),
    ],
)
def test_a_bad_proof_names_its_field(api, ledger, change, field):
    status, body = api.post(GATEWAYS, {**proved(ledger, "x" * 30), **change})
    assert (status, body["code"], body["field"]) == (422, "invalid", field)


def test_a_claim_without_a_proof_and_a_proof_without_a_key_are_invalid(api, ledger):
    body = proved(ledger, "x" * 30)
    without_key = {name: value for name, value in body.items() if name != "public_key"}
    assert api.post(GATEWAYS, without_key)[1]["field"] == "public_key"
    bare = {**ledger.registration(), "claim": {"id": "K7Q2", "mac": "0" * 64}}
    assert api.post(GATEWAYS, bare)[1]["field"] == "proof"


def test_a_claimed_gateway_is_active_at_once_under_its_name(api, ledger):
    maker = User.objects.create_user("maker")
    code = services.make_claim(maker, "Dock two", timezone.now())
    status, body = api.prove(ledger, code.lower().replace("-", " "))
    assert (status, body["status"], body["name"]) == (201, "active", "Dock two")
    assert AccessToken.objects.get().how == "claim"
    api.token = body["access_token"]
    assert api.get(f"{GATEWAYS}self/")[0] == 200
    row = ClaimCode.objects.get()
    assert (row.created_by, row.used_by, row.tries) == (maker, Gateway.objects.get(), 0)
    assert code.replace("-", "")[4:] not in str(row.__dict__)


def test_every_claim_that_cannot_be_taken_answers_alike(api, ledger, monkeypatch):
    now = timezone.now()
    used = services.make_claim(None, "", now)
    assert api.prove(LedgerOf("02:00:00:00:00:02", signed=True), used)[1]["status"] == "active"
    old = services.make_claim(None, "", now - timedelta(minutes=16))
    tried = services.make_claim(None, "", now)
    ClaimCode.objects.filter(code_id=tried[:4]).update(tries=enrolment.CLAIM_TRIES_MAX)
    wrong = services.make_claim(None, "", now)[:4] + claim_text(bytes(20))[4:]
    unknown = claim_text(bytes(range(20)))
    answers = [api.prove(ledger, code) for code in (used, old, tried, wrong, unknown)]
    assert answers[0][0] == 403
    assert answers[0][1]["code"] == "claim_wrong"
    assert all(answer == answers[0] for answer in answers)
    assert not Gateway.objects.filter(mac_address=ledger.mac).exists()


def test_five_wrong_tries_end_a_code(api, ledger):
    code = services.make_claim(None, "", timezone.now())
    wrong = code[:4] + claim_text(bytes(20))[4:]
    for tries in range(1, 6):
        assert api.prove(ledger, wrong)[1]["code"] == "claim_wrong"
        assert ClaimCode.objects.get().tries == tries, "it counts although the request was refused"
    assert api.prove(ledger, code)[1]["code"] == "claim_wrong"


def test_a_conflict_leaves_the_code_unused(api, joined):
    code = services.make_claim(None, "", timezone.now())
    assert api.prove(LedgerOf(signed=True), code)[1]["code"] == "mac_conflict"
    row = ClaimCode.objects.get()
    assert (row.used_at, row.tries) == (None, 0)


def test_only_so_many_codes_are_open(db, monkeypatch):
    monkeypatch.setattr(enrolment, "OPEN_CLAIMS_MAX", 1)
    services.make_claim(None, "", timezone.now())
    with pytest.raises(Refusal):
        services.make_claim(None, "", timezone.now())


def test_a_code_is_read_as_people_write_it():
    code = claim_text(bytes([0, 1, 2, 3, *range(16)]))
    assert code == "0123-0123-4567-89AB-CDEF"
    assert split_claim("OI23-ol23-4567 89ab CDEF") == split_claim(code)
    assert split_claim("0123-0123-4567-89AB-CDEU") is None
    assert split_claim(code[:-1]) is None


def test_what_is_over_is_forgotten(api, ledger):
    now = timezone.now()
    api.prove(ledger)
    services.make_claim(None, "", now)
    services.watch(now + timedelta(hours=23))
    assert (UsedChallenge.objects.count(), Gateway.objects.count()) == (0, 1)
    services.watch(now + timedelta(days=31))
    assert (ClaimCode.objects.count(), Gateway.objects.count()) == (0, 0)

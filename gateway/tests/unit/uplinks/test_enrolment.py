import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.contract import answer, body_of, check, example, html, names_of, text_of
from fakes.outbox import MAC
from fakes.proved_books import GATEWAY_KEY, is_signed
from scaleledger.domain.errors import (
    ClaimRefused,
    CredentialsRefused,
    Disbelieved,
    LinkError,
    NotOffered,
    RegistrationRefused,
)
from scaleledger.domain.standing import Claim, Introduction, Standing, Status
from scaleledger.uplinks.central import enrolment
from scaleledger.uplinks.central.enrolment import ChallengeSpent, Offer

CHALLENGE = example("challenge.fresh")["challenge"]
DOCK = Introduction(MAC, "dock-pc", "192.0.2.10", "Dock", GATEWAY_KEY.public)
CLAIM = Claim("K7Q2", "ABCDEFGHJKMNPQRS")
STATUS = {"mac_address": MAC, "access_token": None, "status": "pending"}


def refusal(status, code):
    return answer(status, {"code": code, "detail": "words"})


def test_a_challenge_is_asked_for_and_read():
    assert json.loads(enrolment.ask_challenge().body) == {}
    assert enrolment.read_challenge(answer(200, text_of("challenge.fresh").encode())) == CHALLENGE


@pytest.mark.parametrize(
    ("given_answer", "error"),
    [
        (refusal(404, "not_found"), NotOffered),
        (refusal(405, "not_found"), NotOffered),
        (answer(404, {"detail": "Not found."}), NotOffered),
        (answer(405, {"detail": "Method not allowed."}), NotOffered),
        (html(404), NotOffered),
        (html(405), NotOffered),
        (answer(404, b"gone", "text/plain"), NotOffered),
        (html(200), Disbelieved),
        (answer(200, {"challenge": "short"}), Disbelieved),
        (answer(200, {"challenge": "a" * 201}), Disbelieved),
        (answer(200, {"challenge": "blank and newline\n" * 2}), Disbelieved),
        (answer(200, {"challenge": 7}), Disbelieved),
        (answer(200, [1]), Disbelieved),
        (answer(429, {"code": "rate_limited", "detail": "x"}, retry_after="7"), LinkError),
        (answer(503), LinkError),
    ],
)
def test_no_challenge(given_answer, error):
    with pytest.raises(error) as caught:
        enrolment.read_challenge(given_answer)
    assert isinstance(caught.value, NotOffered) is (error is NotOffered)


def test_the_proof_signs_who_we_are_and_what_was_asked():
    sent = body_of(enrolment.ask_proved(DOCK, CHALLENGE, GATEWAY_KEY.sign), "gateway_registration")
    message = f"scaleledger-proof-v1\n{MAC}\n{GATEWAY_KEY.public}\n{CHALLENGE}".encode()
    assert is_signed(GATEWAY_KEY.public, message, sent["proof"]["signature"])
    assert sent["proof"]["challenge"] == CHALLENGE
    assert "claim" not in sent


def test_a_claim_proves_that_its_secret_is_known_without_showing_it():
    request = enrolment.ask_proved(DOCK, CHALLENGE, GATEWAY_KEY.sign, CLAIM)
    sent = body_of(request, "gateway_registration")
    message = f"scaleledger-claim-v1\n{MAC}\n{GATEWAY_KEY.public}\n{CHALLENGE}".encode()
    key = hashlib.sha256(b"ABCDEFGHJKMNPQRS").digest()
    assert sent["claim"] == {"id": "K7Q2", "mac": hmac.digest(key, message, "sha256").hex()}
    assert CLAIM.secret.encode() not in request.body


@pytest.mark.parametrize("name", ["gateway_registration.with-proof", "gateway_registration.with-claim"])
def test_the_examples_are_what_we_send_but_for_the_signatures(name):
    stated = example(name)
    about = Introduction(*(stated[k] for k in ("mac_address", "hostname", "ip_address", "name", "public_key")))
    claim = Claim(stated["claim"]["id"], "0" * 16) if "claim" in stated else None
    sent = body_of(
        enrolment.ask_proved(about, stated["proof"]["challenge"], lambda _: stated["proof"]["signature"], claim),
        "gateway_registration",
    )
    if claim is not None:
        sent["claim"]["mac"] = stated["claim"]["mac"]
    assert sent == stated


@given(st.text(max_size=255), st.text(max_size=39), st.text(max_size=100))
def test_whatever_the_host_is_called_the_registration_is_the_contracts(hostname, ip_address, name):
    about = Introduction(MAC, hostname, ip_address, name, GATEWAY_KEY.public)
    body_of(enrolment.ask_proved(about, CHALLENGE, GATEWAY_KEY.sign, CLAIM), "gateway_registration")


def test_the_answer_to_a_proof_tells_all():
    stated = example("gateway_status.proved")
    status, offer = enrolment.read_proved(answer(200, text_of("gateway_status.proved").encode()), MAC)
    assert (status.standing, status.token) == (Standing.ACTIVE, stated["access_token"])
    assert status.token_expires_at.isoformat() == stated["token_expires_at"]
    assert status.server_key == stated["server_key"]
    assert offer == Offer("api/weighing/records/batch/", 500, ledger=True, reports=True, gateway_id=3)


@pytest.mark.parametrize("name", names_of("gateway_status"))
def test_every_example_of_a_status_is_understood_in_each_place(name):
    said = answer(200, text_of(name).encode())
    check(json.loads(said.body), "gateway_status")
    found = {read(said, MAC)[0] for read in (enrolment.read_proved, enrolment.read_status, enrolment.read_self)}
    assert len(found) == 1


@pytest.mark.parametrize(
    ("given_answer", "error"),
    [
        (refusal(409, "challenge_used"), ChallengeSpent),
        (refusal(403, "challenge_unknown"), ChallengeSpent),
        (refusal(403, "claim_wrong"), ClaimRefused),
        (refusal(403, "proof_wrong"), RegistrationRefused),
        (refusal(409, "mac_conflict"), RegistrationRefused),
        (refusal(422, "invalid"), RegistrationRefused),
        (answer(429, {"code": "rate_limited", "detail": "x"}, retry_after="9"), LinkError),
        (answer(403), Disbelieved),
        (answer(403, {"detail": "the proxy does not like this"}), Disbelieved),
        (html(403), Disbelieved),
        (html(409), Disbelieved),
        (html(200), Disbelieved),
        (answer(200, {}), Disbelieved),
        (answer(200, STATUS | {"mac_address": "02:00:00:00:00:00"}), Disbelieved),
        (answer(200, STATUS | {"access_token": "a\r\nb", "status": "active"}), Disbelieved),
        (answer(500), LinkError),
    ],
)
def test_a_proof_is_not_taken(given_answer, error):
    with pytest.raises(error, match=r"words|answered"):
        enrolment.read_proved(given_answer, MAC)


@pytest.mark.parametrize(
    "odd", [{"server_key": "9D" * 32}, {"server_key": 7}, {"token_expires_at": "soon"}, {"token_expires_at": 5}]
)
def test_what_is_odd_about_a_key_or_an_end_is_none(odd):
    said = answer(200, STATUS | {"status": "active", "access_token": "t"} | odd)
    assert enrolment.read_proved(said, MAC)[0] == Status(Standing.ACTIVE, "t")


@pytest.mark.parametrize(
    ("given_answer", "error"),
    [
        (refusal(401, "token_unknown"), CredentialsRefused),
        (refusal(401, "token_expired"), CredentialsRefused),
        (refusal(403, "gateway_inactive"), CredentialsRefused),
        (refusal(404, "gateway_unknown"), NotOffered),
        (refusal(404, "not_found"), NotOffered),
        (answer(401, {"detail": "bare"}), Disbelieved),
        (html(404), Disbelieved),
        (html(200), Disbelieved),
    ],
)
def test_whose_the_token_is_stays_open(given_answer, error):
    with pytest.raises(error):
        enrolment.read_self(given_answer, MAC)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ["status", "access_token", "token_expires_at", "server_key", "batch", "id", "code", "detail", "challenge"]


@given(
    st.sampled_from([200, 201, 304, 400, 401, 403, 404, 405, 409, 422, 429, 500]),
    st.dictionaries(st.sampled_from(FIELDS), ANYTHING) | ANYTHING,
)
def test_no_answer_breaks_the_readers(status, said):
    body = {"mac_address": MAC} | said if isinstance(said, dict) else said
    for read in (
        enrolment.read_challenge,
        enrolment.read_registration,
        lambda a: enrolment.read_proved(a, MAC),
        lambda a: enrolment.read_status(a, MAC),
        lambda a: enrolment.read_self(a, MAC),
    ):
        try:
            read(answer(status, body))
        except (LinkError, ClaimRefused, CredentialsRefused, RegistrationRefused) as error:
            assert str(error).isprintable()  # noqa: PT017 - any of them is right


@pytest.mark.parametrize("token", ["blank inside", " leading", "trailing ", "new\nline", "열쇠", "t" * 513, 7])
def test_a_token_that_no_header_can_carry_is_not_taken_and_not_told(token):
    with pytest.raises(Disbelieved) as caught:
        enrolment.read_status(answer(200, STATUS | {"status": "active", "access_token": token}), MAC)
    assert str(token) not in str(caught.value)


@pytest.mark.parametrize(
    "path",
    ["../batch/", "a/../../b/", "/batch/", "//elsewhere/", "http://elsewhere/", "a b/", "a?b=c", "a#b", "", "a" * 201],
)
def test_a_batch_path_that_leads_elsewhere_is_not_taken(path):
    stated = STATUS | {"batch": {"path": path, "max_records": 100}}
    _, offer = enrolment.read_status(answer(200, stated), MAC)
    assert (offer.batch_path, offer.max_records) == ("", 1)


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "9999-12-31T23:59:59Z"])
def test_a_token_that_ends_at_an_end_of_the_calendar_has_no_end(at):
    stated = STATUS | {"status": "active", "access_token": "a", "token_expires_at": at}
    status, _ = enrolment.read_status(answer(200, stated), MAC)
    assert status == Status(Standing.ACTIVE, "a")

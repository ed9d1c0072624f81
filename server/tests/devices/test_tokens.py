"""Who may write: tokens that are told once, used, counted, ended."""

from datetime import timedelta

import pytest
from django.utils import timezone

from gateway_ledgers import LedgerOf
from scaleledger_server.devices import queries, services
from scaleledger_server.devices.models import AccessToken
from scaleledger_server.devices.services.tokens import LIVE_TOKENS_MAX
from scaleledger_server.errors import Refusal
from server_api import Api, as_contract, example, join

HEARTBEAT = "/devices/api/gateways/heartbeat/"
SELF = "/devices/api/gateways/self/"


def test_it_works(joined):
    gateway, api = joined
    assert api.post(HEARTBEAT, example("heartbeat.empty"))[0] == 200
    gateway.refresh_from_db()
    assert gateway.last_heartbeat is not None


@pytest.mark.parametrize("header", ["Bearer {}", "Gateway {}", "bearer   {}"])
def test_both_scheme_words_are_known(joined, header):
    _, api = joined
    answer = api.client.post(
        HEARTBEAT, b"", content_type="application/json", headers={"Authorization": header.format(api.token)}
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", "token_missing"),
        ("Bearer", "token_missing"),
        ("Basic dTpw", "token_missing"),
        ("Bearer x", "token_unknown"),
        ("Bearer " + "A" * 43, "token_unknown"),
        ("Bearer " + "A" * 5000, "token_unknown"),
        ("Bearer ١" + "A" * 42, "token_unknown"),
    ],
)
def test_a_strange_token_is_turned_away(joined, header, code):
    _, api = joined
    api.headers = lambda: {"Authorization": header}
    status, body = api.post(HEARTBEAT)
    assert (status, body["code"]) == (401, code)
    assert "AAAA" not in body["detail"]


def test_a_token_is_kept_as_a_hash_only(joined):
    _, api = joined
    row = AccessToken.objects.get()
    assert len(api.token) == 43
    assert api.token not in str(row.__dict__)
    assert len(row.digest) == 64


def test_rotated_tokens_end_at_once(joined, ledger):
    gateway, api = joined
    services.rotate(gateway)
    assert api.post(HEARTBEAT)[1]["code"] == "token_unknown"
    api.token = api.prove(ledger)[1]["access_token"]
    assert api.post(HEARTBEAT)[0] == 200


def test_a_revoked_gateway_is_refused_and_its_tokens_never_live_again(joined, ledger):
    gateway, api = joined
    services.revoke(gateway)
    status, body = api.post(HEARTBEAT)
    assert (status, body["code"]) == (403, "gateway_inactive")
    status, body = api.prove(ledger)
    assert (status, body["status"], body["access_token"]) == (200, "inactive", None)
    services.approve(gateway)
    assert api.post(HEARTBEAT)[1]["code"] == "token_unknown"


def test_a_deleted_gateway_is_unknown(joined):
    gateway, api = joined
    gateway.delete()
    assert api.post(HEARTBEAT)[1]["code"] == "token_unknown"


@pytest.mark.parametrize(("how", "ends"), [("proof", True), ("claim", True), ("shown", False)])
def test_a_proved_token_ends_by_itself(joined, how, ends):
    gateway, api = joined
    long_ago = timezone.now() - timedelta(hours=25)
    api.token = services.issue_token(gateway, how, long_ago)
    status, body = api.get(SELF)
    assert (status, body.get("code")) == ((401, "token_expired") if ends else (200, None))


def test_the_oldest_unused_tokens_make_room(joined):
    gateway, _ = joined
    AccessToken.objects.all().delete()
    began = timezone.now() - timedelta(hours=1)
    tokens = [
        services.issue_token(gateway, "shown", began + timedelta(seconds=number)) for number in range(LIVE_TOKENS_MAX)
    ]
    used = [tokens[0], *tokens[3:]]
    for number, token in enumerate(used):
        services.note_use(queries.known_token(f"Bearer {token}"), began + timedelta(minutes=number))
        AccessToken.objects.filter(digest=queries.token_digest(token)).update(
            last_used_at=began + timedelta(minutes=number)
        )
    tokens += [services.issue_token(gateway, "shown", timezone.now()) for _ in range(3)]

    def lives(token):
        return AccessToken.objects.filter(digest=queries.token_digest(token)).exists()

    assert [lives(token) for token in tokens[:3]] == [True, False, False], "the two that were never used went first"
    assert not lives(tokens[-2]) or not lives(tokens[-3]), "then again one that was never used"
    assert lives(tokens[-1]), "the newest is always there"
    assert AccessToken.objects.count() == LIVE_TOKENS_MAX


def test_of_used_tokens_the_one_unused_for_longest_makes_room(joined):
    gateway, _ = joined
    AccessToken.objects.all().delete()
    now = timezone.now()
    tokens = [services.issue_token(gateway, "shown", now) for _ in range(LIVE_TOKENS_MAX)]
    for number, token in enumerate(tokens):
        AccessToken.objects.filter(digest=queries.token_digest(token)).update(
            last_used_at=now - timedelta(minutes=abs(3 - number))
        )
    services.issue_token(gateway, "shown", now)
    left = set(AccessToken.objects.values_list("digest", flat=True))
    assert queries.token_digest(tokens[7]) not in left
    assert len(left) == LIVE_TOKENS_MAX


def test_who_knows_the_mac_address_ends_no_token_that_an_administrator_gave(db, settings):
    settings.PLAIN_CLIENTS = True
    gateway, api = join(LedgerOf())
    for _ in range(LIVE_TOKENS_MAX + 1):
        thief = Api()
        thief.token = thief.get(f"/devices/api/gateways/{gateway.mac_address}/")[1]["access_token"]
        assert thief.post(HEARTBEAT)[0] == 200
    assert api.post(HEARTBEAT)[0] == 200


def test_a_use_is_noted_once_a_minute_and_costs_one_query_otherwise(joined, django_assert_num_queries):
    _, api = joined
    header = f"Bearer {api.token}"
    with django_assert_num_queries(1):
        queries.by_authorization(header)
    AccessToken.objects.update(last_used_at=timezone.now() - timedelta(seconds=61))
    with django_assert_num_queries(2):
        queries.by_authorization(header)
    with django_assert_num_queries(1):
        queries.by_authorization(header)


def test_self_echoes_the_token_and_shows_every_field(joined):
    gateway, api = joined
    status, body = api.get(SELF)
    assert (status, as_contract(body, "gateway_status")["access_token"]) == (200, api.token)
    wanted = {"id", "mac_address", "hostname", "ip_address", "name", "description", "access_token"}
    assert wanted | {"last_heartbeat", "created_at", "updated_at"} <= set(body)
    assert body["id"] == gateway.pk
    assert set(example("gateway_status.proved")) == set(body)


def test_what_a_mac_address_alone_obtained_ends_with_the_setting(db, settings):
    gateway, api = join(LedgerOf())
    api.token = services.issue_token(gateway, "plain", timezone.now())
    settings.PLAIN_CLIENTS = True
    assert api.get(SELF)[0] == 200
    settings.PLAIN_CLIENTS = False
    assert api.get(SELF)[1]["code"] == "token_unknown"


def test_one_token_cannot_flood(joined, settings):
    settings.REQUESTS_PER_MINUTE = 3
    _, api = joined
    assert [api.get(SELF)[0] for _ in range(4)] == [200, 200, 200, 429]
    with pytest.raises(Refusal, match="Too many"):
        queries.by_authorization(f"Bearer {api.token}")
    _, other = join(LedgerOf("02:00:00:00:00:02"))
    assert other.get(SELF)[0] == 200


def test_unknown_tokens_are_counted_by_address_and_hinder_nobody_who_is_known(joined, monkeypatch):
    monkeypatch.setattr(queries, "REFUSED_TOKENS_PER_MINUTE", 3)
    _, api = joined
    guesser = Api()
    said = []
    for number in range(5):
        guesser.token = f"guess-{number}"
        said.append((guesser.post(HEARTBEAT)[0], guesser.get("/market/api/species/")[0]))
    assert said == [(401, 401), (401, 429), (429, 429), (429, 429), (429, 429)]
    assert api.post(HEARTBEAT)[0] == 200
    answer = guesser.client.post(HEARTBEAT, headers=guesser.headers())
    assert (answer.json()["code"], int(answer["Retry-After"])) == ("rate_limited", 60)
    elsewhere = guesser.client.post(HEARTBEAT, headers=guesser.headers(), REMOTE_ADDR="192.0.2.77")
    assert elsewhere.status_code == 401

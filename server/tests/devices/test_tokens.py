"""Who may write: tokens that are shown, rotated, refused."""

import pytest

from gateway_ledgers import LedgerOf
from scaleledger_server.devices import queries, services
from scaleledger_server.devices.identity import gateway_id_of, token_of
from server_api import example, join

HEARTBEAT = "/devices/api/gateways/heartbeat/"


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
        ("Bearer 1." + "A" * 43, "token_unknown"),
        ("Bearer 999999999999999999999." + "A" * 43, "token_unknown"),
        ("Bearer ١." + "A" * 43, "token_unknown"),
    ],
)
def test_a_strange_token_is_turned_away(joined, header, code):
    _, api = joined
    api.headers = lambda: {"Authorization": header}
    status, body = api.post(HEARTBEAT)
    assert (status, body["code"]) == (401, code)


def test_a_rotated_token_ends_at_once(joined):
    gateway, api = joined
    services.rotate_token(gateway)
    assert api.post(HEARTBEAT)[1]["code"] == "token_unknown"
    api.token = api.get(f"/devices/api/gateways/{gateway.mac_address}/")[1]["access_token"]
    assert api.post(HEARTBEAT)[0] == 200


def test_a_deactivated_gateway_is_refused_and_its_token_not_shown(joined):
    gateway, api = joined
    services.deactivate(gateway)
    status, body = api.post(HEARTBEAT)
    assert (status, body["code"]) == (403, "gateway_inactive")
    assert api.get(f"/devices/api/gateways/{gateway.mac_address}/")[1]["access_token"] is None


def test_a_deleted_gateway_is_unknown(joined):
    gateway, api = joined
    gateway.delete()
    assert api.post(HEARTBEAT)[1]["code"] == "token_unknown"


def test_a_token_is_for_one_gateway_only(joined):
    gateway, api = joined
    other, _ = join(LedgerOf("02:00:00:00:00:02"))
    api.token = queries.token(gateway).replace(f"{gateway.pk}.", f"{other.pk}.")
    assert api.post(HEARTBEAT)[1]["code"] == "token_unknown"


def test_a_token_depends_on_everything_and_fits_its_column():
    tokens = {
        token_of(secret, number, generation, mac)
        for secret in (b"a", b"b")
        for number in (1, 10**17)
        for generation in (1, 2)
        for mac in ("02:5a:1e:d6:e4:01", "02:5a:1e:d6:e4:02")
    }
    assert len(tokens) == 16
    assert {gateway_id_of(token) for token in tokens} == {1, 10**17}
    assert max(map(len, tokens)) <= 64

"""Nothing of one gateway is to be had by another, whatever it asks, and no answer echoes what was tried."""

import json

import pytest
from django.utils import timezone

from gateway_ledgers import LedgerOf
from openapi_paths import operations
from scaleledger_server.devices import services
from scaleledger_server.devices.models import AccessToken, Gateway, Station
from scaleledger_server.weighing.models import WeighingRecord
from server_api import join, proved

OTHER_MAC = "02:00:00:00:00:02"
MARK = "only-the-others"
TABLE = operations()


@pytest.fixture
def other(db):
    """(gateway, api, ledger, its record): a gateway all of whose texts are marked."""
    ledger = LedgerOf(OTHER_MAC, signed=True)
    gateway, api = join(ledger)
    services.describe(gateway, MARK, MARK)
    services.save_station(Station(gateway=gateway, name=MARK, driver=MARK, url=MARK))
    services.note_heartbeat(gateway, {"version": MARK}, timezone.now())
    record = ledger.record(station=MARK, card=MARK)
    assert api.deliver(record)[0] == 201
    gateway.refresh_from_db()
    return gateway, api, ledger, record


def bodies(path, ledger, record, api):
    """What somebody who knows the other's ids, MAC address and records would send there."""
    plain = {"uuid": record["uuid"], "rfid_card_uid": "guess", "weight": 1, "measured_at": record["measured_at"]}
    yield b""
    yield {}
    if path.endswith("records/"):
        yield from (record, plain)
    elif path.endswith("batch/"):
        yield {"records": [record], "head": ledger.head()}
    elif path.endswith("gateways/"):
        yield ledger.registration()
        yield proved(LedgerOf(OTHER_MAC, signed=True), api.challenge())
        stolen = {**ledger.registration(), "public_key": api.ledger.public_key}
        yield {**stolen, "proof": proved(api.ledger, api.challenge())["proof"]}
    elif path.endswith("heartbeat/"):
        yield {"head": ledger.head()}


def state(gateway):
    """Everything that is kept of it, but for what tells that it was asked after."""
    row = Gateway.objects.filter(pk=gateway.pk).values().get()
    tokens = list(AccessToken.objects.filter(gateway=gateway).values_list("digest", flat=True))
    stations = list(Station.objects.filter(gateway=gateway).values())
    return (
        row,
        tokens,
        stations,
        list(WeighingRecord.objects.filter(gateway=gateway).values_list("uuid", "weight_text")),
    )


@pytest.mark.parametrize("who", ["nobody", "a stranger", "another gateway", "another gateway, unsigned"])
@pytest.mark.parametrize("found", TABLE, ids=lambda found: f"{found.method} {found.path}")
def test_no_path_gives_or_changes_anything_of_another(joined, other, found, who):
    _, api = joined
    gateway, _, ledger, record = other
    before = state(gateway)
    own = api.token
    api.token = {"nobody": "", "a stranger": "Z" * 43}.get(who, own)
    api.signing = who != "another gateway, unsigned"
    path = found.path.replace("{mac_address}", OTHER_MAC)
    for body in bodies(path, ledger, record, api) if found.method == "post" else [None]:
        status, answer = api.get(path) if body is None else api.post(path, body)
        text = json.dumps(answer)
        assert status < 500
        assert MARK not in text
        assert api.token == "" or api.token not in text or (path.endswith("/self/") and status == 200)
        if who in {"nobody", "a stranger"} and found.details.get("security"):
            assert status == 401, path
    assert state(gateway) == before


def test_the_table_is_walked_whole():
    assert {found.path for found in TABLE} >= {
        "/devices/api/gateways/", "/devices/api/gateways/challenge/", "/devices/api/gateways/heartbeat/",
        "/devices/api/gateways/self/", "/devices/api/gateways/self/stations/", "/devices/api/gateways/{mac_address}/",
        "/api/weighing/records/", "/api/weighing/records/batch/", "/weighing/api/records/", "/market/api/species/",
        "/market/api/producers/", "/market/api/rfid-cards/", "/market/api/catalogue/",
    }  # fmt: skip

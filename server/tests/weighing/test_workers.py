"""Several workers take one gateway's batches in at the same time, and one ledger comes out."""

import itertools
import json

import pytest
from django.db import connection
from django.utils import timezone

from databases import on_postgresql
from gateway_ledgers import LedgerOf
from racing import together
from scaleledger_server.bodies import parse
from scaleledger_server.devices.models import Gateway
from scaleledger_server.weighing import lookups, partitions, services
from scaleledger_server.weighing.items import read_item

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("not config.getoption('--database') == 'postgresql'", reason="SQLite has one writer"),
]


def items_of(records, mac):
    return [read_item(parse(json.dumps(record)), mac, timezone.now()) for record in records]


def test_it_works_and_every_record_is_held_once():
    ledger = LedgerOf()
    gateway = Gateway.objects.create(mac_address=ledger.mac, status="active")
    batches = [items_of(ledger.records(20), ledger.mac) for _ in range(12)]
    outcomes = []

    def deliver(order):
        for place in order:
            verdicts, _ = services.ingest(gateway, batches[place], None, timezone.now())
            outcomes.extend(verdict.outcome for verdict in verdicts)

    together(
        lambda: deliver(range(12)),
        lambda: deliver(range(11, -1, -1)),
        lambda: deliver(itertools.chain(range(6, 12), range(6))),
    )
    assert (outcomes.count("created"), outcomes.count("held")) == (240, 480)
    gateway.ledger_state.refresh_from_db()
    state = gateway.ledger_state
    assert (state.held_seq, state.held_hash, state.absorbed) == (240, ledger.hash, 480)


def test_the_same_uuids_from_two_gateways_in_opposite_orders_do_not_deadlock():
    macs = ["02:00:00:00:00:01", "02:00:00:00:00:02"]
    gateways = [Gateway.objects.create(mac_address=mac, status="active") for mac in macs]
    uuids = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(300)]

    def plain(uuid):
        return {"uuid": uuid, "rfid_uid": "", "weight": 1, "measured_at": "2026-11-21T02:10:01+00:00"}

    offers = [items_of(map(plain, order), "") for order in (uuids, uuids[::-1])]
    together(*(lambda i=i: services.ingest(gateways[i], offers[i], None, timezone.now()) for i in (0, 1)))
    assert len(lookups.held(uuids)) == 300


def test_a_months_partition_is_made_by_one_worker_while_others_want_it_too():
    far = timezone.now().replace(year=2041, day=1)

    def make():
        partitions._made.clear()
        partitions.ensure(far)

    together(*[make] * 4)
    with connection.cursor() as cursor:
        for month in partitions.months_from(far, 3):
            cursor.execute(f"DROP TABLE {partitions.name_of(month)}")


def test_the_suite_is_on_the_database_that_was_asked_for():
    assert on_postgresql()

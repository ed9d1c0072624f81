"""What pages ask for: evidence of one record, a gateway's account, the newest of each station; at a fixed price."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from databases import append_only_lifted
from gateway_ledgers import START, LedgerOf
from scaleledger_server.weighing import queries, services
from scaleledger_server.weighing.models import WeighingRecord
from server_api import example, join


def alter(statement):
    with append_only_lifted(connection), connection.cursor() as cursor:
        cursor.execute(statement)


def uuid_of(seq):
    return WeighingRecord.objects.get(seq=seq).uuid


def test_it_works(joined, ledger):
    gateway, api = joined
    api.deliver_batch(ledger.batch(3))
    api.deliver_batch(ledger.batch(2))
    found = queries.evidence(uuid_of(2))
    assert (found.record.seq, found.gateway, found.head.seq, found.receipt.upto_seq) == (2, gateway, 3, 5)
    assert (found.follows, found.agrees, found.signed, found.reaches, found.receipt.holds) == (True,) * 5
    assert found.effective.weight_text == "152.50"
    assert queries.evidence("0192f0c1-7a00-7000-8000-000000000009") is None


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ("SET payload = replace(payload, '152.50', '152.51') WHERE seq = 2", "follows"),
        ("SET weight_text = '9' WHERE seq = 2", "agrees"),
        ("SET hash = 'zz' WHERE seq = 3", "reaches"),
    ],
)
def test_what_was_altered_shows_in_its_check(joined, ledger, change, check):
    _, api = joined
    api.deliver_batch(ledger.batch(3))
    uuid = uuid_of(2)
    alter(f"UPDATE weighing_weighingrecord {change}")
    assert getattr(queries.evidence(uuid), check) is False


def test_altered_heads_and_receipts_show_too(joined, ledger):
    _, api = joined
    api.deliver_batch(ledger.batch(3))
    alter(f"UPDATE weighing_signedhead SET signature = '{'ab' * 64}'")
    alter("UPDATE weighing_ledgerstate SET receipt_seq = 9")
    found = queries.evidence(uuid_of(2))
    assert (found.signed, found.receipt.holds) == (False, False)


def test_a_record_without_a_ledger_has_nothing_to_check(joined):
    _, api = joined
    api.deliver(example("weighing_record.plain"))
    found = queries.evidence(example("weighing_record.plain")["uuid"])
    assert (found.follows, found.agrees, found.head, found.receipt, found.amendments) == (None, None, None, None, [])


def test_a_gateways_account_names_every_gap(joined, ledger):
    gateway, api = joined
    empty = queries.reconcile(gateway)
    assert (empty.records, empty.gaps, empty.complete) == (0, [], True)
    records = ledger.records(9)
    head = ledger.head()
    api.deliver_batch({"records": [records[i] for i in (0, 1, 4, 7)], "head": head})
    api.deliver_batch({"records": [records[0]], "head": head})
    gateway.refresh_from_db()
    account = queries.reconcile(gateway)
    assert (account.records, account.last_seq, account.gaps) == (4, 8, [(3, 4), (6, 7)])
    assert (account.missing, account.pending, account.proved_seq, account.absorbed) == (4, 1, 2, 1)
    assert not account.complete
    api.deliver_batch({"records": records, "head": head})
    gateway.refresh_from_db()
    whole = queries.reconcile(gateway)
    assert (whole.gaps, whole.missing, whole.receipt_seq, whole.proved_hash, whole.complete) == (
        [], 0, 9, ledger.hash, True,
    )  # fmt: skip


def test_a_page_costs_as_much_for_many_as_for_few(db):
    gateways = []
    for number in range(1, 4):
        ledger = LedgerOf(f"02:00:00:00:00:0{number}", signed=True)
        gateway, api = join(ledger)
        gateways.append(gateway.pk)
        records = [ledger.record(station=f"dock-{i % (number * 4)}") for i in range(30)]
        api.deliver_batch({"records": records, "head": ledger.head()})
    costs = []
    for asked in (gateways[:1], gateways):
        with CaptureQueriesContext(connection) as spent:
            newest = queries.last_sale_ready(asked)
            [record.gateway.mac_address for record in newest.values()]
        costs.append(len(spent))
    assert (len(newest), costs) == (4 + 8 + 12, [3, 3])
    assert {record.seq for (pk, _), record in newest.items() if pk == gateways[0]} == {27, 28, 29, 30}


def test_a_late_batch_does_not_become_the_newest(joined, ledger):
    gateway, api = joined
    first, second = ledger.batch(2), ledger.batch(2)
    for batch in (second, first):
        api.deliver_batch(batch)
    assert queries.last_sale_ready([gateway.pk])[gateway.pk, "dock-1"].seq == 4


def test_records_are_found_by_what_people_know(joined, ledger):
    gateway, api = joined
    records = [ledger.record(station=f"dock-{i}", card=f"card-{i}") for i in range(4)]
    api.deliver_batch({"records": records, "head": ledger.head()})
    user = User.objects.create_user("ada")
    services.void(records[3]["uuid"], user, "why", timezone.now())

    def seqs(**asked):
        return sorted(queries.search(**asked).values_list("seq", flat=True))

    assert seqs(text=" card-2 ") == [3]
    assert seqs(text=records[1]["uuid"].upper()) == [2]
    assert seqs(text="0192f0c1-7a00-7000-8000-000000000009") == []
    assert seqs(text="4") == [4]
    assert seqs(station="dock-0", gateway_id=gateway.pk) == [1]
    assert seqs(measured_from=START + timedelta(seconds=2), measured_to=START + timedelta(seconds=4)) == [2, 3]
    assert (seqs(voided=True), seqs(voided=False), seqs(suspect=True)) == ([4], [1, 2, 3], [])


def test_viewers_hear_of_each_stations_newest_once(joined, ledger, monkeypatch, django_capture_on_commit_callbacks):
    from scaleledger_server import notices

    told = []
    monkeypatch.setattr(notices, "_send", lambda group, message: told.append((group, message)))
    _, api = joined
    names = {"producer": "Kim", "species": "cod"}
    records = [ledger.record(station=f"dock-{i % 2}", details=names) for i in range(6)]
    with django_capture_on_commit_callbacks(execute=True):
        api.deliver_batch({"records": records, "head": ledger.head()})
        api.deliver_batch({"records": records, "head": ledger.head()})
    [(_, message)] = [(group, message) for group, message in told if group == notices.VIEWERS]
    shown = message["event"]["records"]
    assert message["event"]["type"] == "weighings"
    assert [(r["seq"], r["station"], r["producer"], r["species"]) for r in shown] == [
        (5, "dock-0", "Kim", "cod"), (6, "dock-1", "Kim", "cod"),
    ]  # fmt: skip

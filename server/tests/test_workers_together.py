"""Several workers as a proxy sees them: started at the same moment, asked for their health, told who the client is."""

import http.client

import pytest

from databases import on_postgresql
from server_processes import ServerProcess


@pytest.fixture
def worker(tmp_path):
    found = ServerProcess(tmp_path, SCALELEDGER_SERVER_TLS_PROXY="1", SCALELEDGER_SERVER_REGISTRATIONS_PER_MINUTE="3")
    found.start()
    yield found
    found.stop()


def ask(worker, method, path, **headers):
    line = http.client.HTTPConnection("127.0.0.1", worker.port, timeout=20)
    line.request(method, path, headers=headers)
    answer = line.getresponse()
    answer.read()
    line.close()
    return answer.status


def test_a_health_check_is_answered_whatever_name_and_scheme_it_comes_with(worker):
    assert ask(worker, "GET", "/healthz", Host="worker-1:8000") == 200
    assert ask(worker, "GET", "/", Host="worker-1:8000") in {301, 400}


def test_rates_count_the_client_that_the_proxy_names(worker):
    challenge = "/devices/api/gateways/challenge/"

    def from_address(address):
        return ask(worker, "POST", challenge, **{"X-Forwarded-For": address, "X-Forwarded-Proto": "https"})

    assert [from_address("192.0.2.1") for _ in range(4)] == [200, 200, 200, 429]
    assert from_address("192.0.2.2") == 200


@pytest.mark.skipif(not on_postgresql(), reason="one worker serves an SQLite file")
def test_workers_that_start_together_on_an_empty_database_all_serve(tmp_path):
    workers = []
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        workers.append(ServerProcess(folder))
        workers[-1].database_url = workers[0].database_url
    for worker in workers:
        worker.begin()
    for worker in workers:
        worker.wait()
    assert [ask(worker, "GET", "/healthz") for worker in workers] == [200, 200, 200]
    assert [worker.stop()[0] for worker in workers] == [0, 0, 0]

"""The server behind the pages: TLS beyond this machine, a taken port, strangers that hold connections, and what it costs."""

import socket
import ssl
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx2

from fakes.served_gateway import LISTENER, PASSWORD, ServedGateway, free_port, post, wait_for
from scaleledger.web import server, tls


def test_beyond_this_machine_tls_is_spoken_with_a_private_certificate_that_stays(tmp_path):
    for _ in range(2):
        with ServedGateway(tmp_path, dashboard='address = "0.0.0.0:0"\nhosts = ["scales.plant"]') as served:
            served.scheme = "https"
            for name in (tls.CERTIFICATE, tls.KEY):
                assert stat.S_IMODE((served.data / name).stat().st_mode) == 0o600
            seen = tls.fingerprint(served.data / tls.CERTIFICATE)
            trust = ssl.create_default_context(cafile=served.data / tls.CERTIFICATE)
            with httpx2.Client(verify=trust) as client:
                assert client.get(f"{served.url}/healthz").json() == {"status": "ok"}
                answer = client.get(f"{served.url}/healthz", headers={"host": "scales.plant"})
                assert answer.status_code == 200
                told = {"code": served.setup_code} if (served.data / "setup-code").exists() else {}
                told |= {"name": "ayse", "password": PASSWORD, "again": PASSWORD}
                page = "/setup" if "code" in told else "/login"
                answer = client.post(f"{served.url}{page}", data=told, headers={"origin": served.url})
                assert "; secure" in answer.headers["set-cookie"].lower()
                assert answer.headers["set-cookie"].startswith("__Host-")
            with socket.create_connection(("127.0.0.1", served.port), timeout=10) as plain:
                plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert b"200" not in plain.recv(100)
    assert seen == tls.fingerprint(tmp_path / "data" / tls.CERTIFICATE)


def test_a_taken_port_stops_nothing_and_is_taken_when_it_is_free(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with ServedGateway(tmp_path, dashboard=f'address = "127.0.0.1:{port}"') as served:
            assert served.port == 0
            taken.close()
            served.port = port

            def answers():
                try:
                    return httpx2.get(f"{served.url}/healthz").status_code == 200
                except httpx2.TransportError:
                    return False

            wait_for(answers, 40.0)


def test_strangers_that_say_nothing_are_hung_up_on_and_others_are_served_meanwhile(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "HEADERS_S", 1.0)
    with ServedGateway(tmp_path) as served:
        held = [socket.create_connection(("127.0.0.1", served.port), timeout=10) for _ in range(50)]
        try:
            for one in held[:20]:
                one.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
            over = sum(1 for one in held[server.PER_ADDRESS_MAX :] if _hung_up(one))
            assert over == len(held) - server.PER_ADDRESS_MAX
            assert all(_hung_up(one) for one in held)
        finally:
            for one in held:
                one.close()
        assert httpx2.get(f"{served.url}/healthz").status_code == 200


def test_strangers_that_speak_no_tls_hold_no_more_files_than_there_are_places(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "HEADERS_S", 2.0)
    with ServedGateway(tmp_path, dashboard='address = "0.0.0.0:0"') as served:
        served.scheme = "https"
        before = _files()
        held = [socket.create_connection(("127.0.0.1", served.port), timeout=10) for _ in range(120)]
        try:
            assert all(_hung_up(one) for one in held[server.PER_ADDRESS_MAX :])
            assert _files() - before <= len(held) + server.PER_ADDRESS_MAX
            assert all(_hung_up(one) for one in held[: server.PER_ADDRESS_MAX]), "and nobody keeps a place for long"
        finally:
            for one in held:
                one.close()
        trust = ssl.create_default_context(cafile=served.data / tls.CERTIFICATE)
        with httpx2.Client(verify=trust) as client:
            assert client.get(f"{served.url}/healthz").status_code == 200


def _files():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _hung_up(connection):
    try:
        return connection.recv(10) == b""
    except ConnectionError:
        return True


def test_the_gateway_stops_while_somebody_watches(tmp_path):
    with (
        ServedGateway(tmp_path) as served,
        closing(served.admin()) as client,
        client.stream("GET", "/live/stream") as stream,
    ):
        assert stream.status_code == 200
        served.stop()
        served.wait_stopped(10)


def test_without_a_dashboard_its_libraries_are_not_even_loaded():
    code = (
        "import sys, scaleledger.bootstrap;"
        "print([m for m in ('fastapi', 'uvicorn', 'jinja2', 'starlette', 'scaleledger.dashboard') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "[]"


def test_changing_the_password_ends_every_login_and_asks_for_the_new_one(tmp_path):
    with ServedGateway(tmp_path) as served, closing(served.admin()) as client, closing(served.admin()) as elsewhere:
        new = "a much better one"
        answer = post(client, "/account/password", old=PASSWORD, new=new, again=new)
        assert answer.headers["location"] == "/login?done=password"
        assert elsewhere.get("/", headers={"accept": "*/*"}).status_code == 401
        assert client.post("/login", data={"name": "ayse", "password": PASSWORD}).status_code == 422
        assert client.post("/login", data={"name": "ayse", "password": new}).status_code == 303


def test_with_a_cloud_that_is_away_the_pages_are_served_and_say_so(tmp_path):
    away = f'[[uplink]]\ntype = "carnitrack"\nurl = "http://127.0.0.1:{free_port()}"'
    with ServedGateway(tmp_path, more=f"{LISTENER}\n{away}") as served, closing(served.admin()) as client:
        (uplink,) = client.get("/api/status").json()["uplinks"]
        assert uplink["up"] is False
        assert f"{uplink['name']}: " in client.get("/").text

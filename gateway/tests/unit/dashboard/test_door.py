"""The door as it stands: what a request must be to reach a page, on a real gateway and a real port."""

import socket

import pytest
from starlette.routing import Mount

from fakes.served_gateway import PASSWORD, csrf_of, post
from scaleledger.app.overview import Overview
from scaleledger.app.viewers import Viewers
from scaleledger.dashboard import create_application
from scaleledger.web.access import Access, declared
from scaleledger.web.doorkeeper import Doorkeeper

OPEN = {"/healthz", "/health", "/setup", "/login", "/static/{name}"}


@pytest.fixture
def application(tmp_path):
    overview = Overview(lambda: type("Named", (), {"name": "Dock"}), None, None, None)
    return create_application(overview, Doorkeeper(None, tmp_path, lambda: 0.0), Viewers(overview.shown, None), None)


def test_every_route_declares_who_may_use_it_and_few_are_open(application):
    assert application.routes
    for route in application.routes:
        assert not isinstance(route, Mount), f"{route.path}: a mount would be a door of its own"
        assert declared(route) is not None, f"{route.path} declares nothing"
        assert (declared(route) is Access.OPEN) == (route.path in OPEN), route.path


def test_every_route_that_changes_something_is_for_admins_but_for_ones_own_login(application):
    own = {"/login", "/setup", "/logout", "/account/password", "/plu/{number:int}/download"}
    for route in application.routes:
        if route.methods & {"POST", "PUT", "PATCH", "DELETE"} and route.path not in own:
            assert declared(route) is Access.ADMIN, route.path


def concrete(path):
    for name, value in (
        ("{name}", "devices"), ("{seq:int}", "1"), ("{seq}", "1"), ("{number:int}", "1"), ("{device_id}", "SCALE-01"),
        ("{kind}", "sessions"), ("{job_id}", "1"),
    ):  # fmt: skip
        path = path.replace(name, value)
    return path


def test_the_guard_keeps_strangers_and_viewers_out_of_every_route_that_is_not_theirs(application, served, viewer):
    with served.client() as stranger:
        for route in application.routes:
            for method in route.methods - {"HEAD"}:
                access, path = declared(route), concrete(route.path)
                headers = {"accept": "*/*"}
                if method != "GET":
                    api = path.startswith("/api/")
                    headers["content-type"] = "application/json" if api else "application/x-www-form-urlencoded"
                if access is not Access.OPEN:
                    answer = stranger.request(method, path, headers=headers)
                    assert answer.status_code == 401, (method, path)
                if access is Access.ADMIN:
                    answer = viewer.request(method, path, headers=headers)
                    assert answer.status_code == 403, (method, path)
                    assert "admin" in answer.text


def test_a_stranger_learns_nothing_of_which_addresses_exist(served, admin):
    with served.client() as stranger:
        assert stranger.get("/nowhere", headers={"accept": "*/*"}).status_code == 401
    assert admin.get("/nowhere").status_code == 404


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "",
        "10.0.0.1",
        "user@localhost",
        "evil#localhost",
    ],
)
def test_a_foreign_host_name_reaches_nothing(served, host):
    with served.client() as client:
        assert client.get("/healthz", headers={"host": host}).status_code in {400, 421}


def test_the_names_of_this_machine_are_good(served):
    with served.client() as client:
        for host in ("localhost", f"127.0.0.1:{served.port}", f"[::1]:{served.port}", socket.gethostname()):
            assert client.get("/healthz", headers={"host": host, "origin": f"http://{host}"}).status_code == 200, host


def test_two_hosts_are_none(served):
    raw = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        connection.sendall(raw.encode())
        assert b"200" not in connection.recv(100).split(b"\r\n")[0]


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://[", "//[::1", "https://127.0.0.1", "http://127.0.0.1:1"]
)
def test_a_page_of_another_place_can_write_nothing_even_with_the_cookie_and_the_token(served, admin, origin):
    told = {"csrf": csrf_of(admin), "name": "mallory", "password": PASSWORD, "role": "admin"}
    answer = admin.post("/account/logins", data=told, headers={"origin": origin})
    assert answer.status_code == 403
    assert "mallory" not in admin.get("/account").text


def test_a_write_that_does_not_say_where_it_comes_from_is_refused(served, admin):
    told = {"csrf": csrf_of(admin), "name": "mallory", "password": PASSWORD}
    del admin.headers["origin"]
    try:
        assert admin.post("/account/logins", data=told).status_code == 403
        crossed = {"sec-fetch-site": "cross-site", "origin": served.url}
        assert admin.post("/account/logins", data=told, headers=crossed).status_code == 403
    finally:
        admin.headers["origin"] = served.url


@pytest.mark.parametrize("shown", [None, "", "wrong", "x" * 300])
def test_a_write_without_the_token_of_the_page_is_refused(admin, shown):
    told = {"name": "mallory", "password": PASSWORD} | ({"csrf": shown} if shown is not None else {})
    assert admin.post("/account/logins", data=told).status_code == 403
    told_json = {"sql": "SELECT 1"}
    assert admin.post("/api/database/query", json=told_json, headers={"x-csrf-token": shown or ""}).status_code == 403


@pytest.mark.parametrize(
    "kind", ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", ""]
)
def test_the_api_takes_json_only(admin, kind):
    answer = admin.post("/api/print-jobs", content=b'{"prnContent": "x"}', headers={"content-type": kind})
    assert answer.status_code == 415


def test_too_much_content_is_refused_whether_it_says_so_or_not(served, admin):
    headers = {"content-type": "application/json", "x-csrf-token": csrf_of(admin)}
    assert admin.post("/api/print-jobs", content=b"x" * 300_000, headers=headers).status_code == 413

    def streamed():
        for _ in range(300):
            yield b"x" * 1024

    assert admin.post("/api/print-jobs", content=streamed(), headers=headers).status_code == 413
    with served.client() as stranger:
        assert stranger.post("/login", data={"name": "x" * 5000, "password": "y"}).status_code == 413


def test_every_answer_forbids_foreign_scripts_framing_guessing_and_keeping(served, admin):
    for path in ("/", "/login", "/nowhere", "/api/status", "/healthz"):
        headers = admin.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers


def test_no_page_has_a_script_or_a_style_or_a_foreign_address_in_itself(admin):
    for path in (
        "/",
        "/live",
        "/devices",
        "/events",
        "/sessions",
        "/printers",
        "/plu",
        "/database",
        "/account",
        "/rejected",
    ):
        text = admin.get(path).text
        assert "<script>" not in text
        assert " style=" not in text
        assert "<style" not in text
        assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
        assert "https://" not in text


def test_the_cookie_is_for_this_place_only_and_no_script_reads_it(served):
    with served.client() as client:
        post_login = client.post("/login", data={"name": "ayse", "password": PASSWORD})
        cookie = post_login.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie


def test_a_login_leads_back_to_where_it_was_asked_for_and_nowhere_else(served, admin):
    for after, goes in (
        ("/events?device=x", "/events?device=x"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
        ("/\\evil", "/"),
    ):
        with served.client() as client:
            answer = client.post("/login", data={"name": "ayse", "password": PASSWORD, "next": after})
            assert answer.headers["location"] == goes


def test_after_logging_out_the_old_cookie_opens_nothing(served, admin):
    with served.client() as client:
        client.post("/login", data={"name": "ayse", "password": PASSWORD})
        kept = dict(client.cookies)
        assert post(client, "/logout").status_code == 303
        client.cookies.update(kept)
        assert client.get("/", headers={"accept": "*/*"}).status_code == 401


def test_a_websocket_is_not_spoken_and_opens_nothing(served):
    raw = (
        f"GET /live/stream HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://evil.example\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        connection.sendall(raw.encode())
        assert b" 403 " in connection.recv(200).split(b"\r\n")[0]


async def test_the_guard_closes_a_websocket_of_a_stranger_before_it_is_accepted(application):
    sent = []

    async def send(message):
        sent.append(message)

    for origin in (b"http://localhost", b"http://evil.example"):
        headers = [(b"host", b"localhost"), (b"origin", origin)]
        scope = {"type": "websocket", "path": "/live/stream", "headers": headers, "scheme": "ws", "server": ("::1", 1)}
        await application.guard(scope, None, send)
    assert [message["type"] for message in sent] == ["websocket.close"] * 2

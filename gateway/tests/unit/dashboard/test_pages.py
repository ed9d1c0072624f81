"""What the pages and the API say, asked without a browser."""

import base64
import json

import pytest

from fakes.served_gateway import PASSWORD, DialledScale, csrf_of, post, wait_for

HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)</script>{{7*7}}'


@pytest.fixture(scope="module")
def weighed(served, admin, listening_at):
    with DialledScale(listening_at, "SCALE-01") as scale:
        for n in range(5):
            scale.weigh(time=f"10:30:{n:02}", net=9676 + n, product="<b>KIYMA")
        scale.send(b"00001,10:31:01,30.01.2026,KIYMA,000000000004,0000,KAAN,abc,1,2,2,0,2,1,N,<i>KORKUT\r\n")
        wait_for(lambda: served.data.exists() and admin.get("/api/rejected").json()["rejected"])
        yield scale


def write(client, method, path, body):
    return client.request(method, path, json=body, headers={"x-csrf-token": csrf_of(client)})


@pytest.mark.parametrize("path", ["/healthz", "/health"])
def test_health_says_ok_and_nothing_else(served, path):
    with served.client() as stranger:
        assert stranger.get(path).json() == {"status": "ok"}


def test_hostile_text_is_text_on_every_page(admin, weighed):
    told = {"name": HOSTILE, "location": HOSTILE, "kind": "retail"}
    assert post(admin, "/devices/SCALE-01", "/devices/SCALE-01", **told).status_code == 303
    searched = f"/events?device={HOSTILE}&session={HOSTILE}"
    for path in (
        "/",
        "/devices",
        "/devices/SCALE-01",
        "/events",
        "/events/1",
        "/rejected",
        searched,
        f"/devices/{HOSTILE}",
        f"/database/{HOSTILE}",
    ):
        text = admin.get(path).text
        for harm in ("<img", "<script>", "<b>KIYMA", "<i>KORKUT", "49</"):
            assert harm not in text, (path, harm)
    assert "&lt;script&gt;" in admin.get("/devices").text


def test_a_name_that_is_too_long_or_cannot_be_shown_is_refused_in_words(admin, weighed):
    for name in ("x" * 101, "a\x00b", "line\nbreak"):
        answer = post(admin, "/devices/SCALE-01", "/devices/SCALE-01", name=name, location="", kind="retail")
        assert answer.status_code == 422
        assert 'role="alert"' in answer.text
    assert write(admin, "PUT", "/api/devices/SCALE-01", {"name": "x", "kind": "rocket"}).status_code == 422
    assert write(admin, "PUT", "/api/devices/SCALE-99", {"name": "x"}).status_code == 404


def test_a_device_is_described_by_the_api_too(admin, weighed):
    told = {"name": "Mince", "location": "Hall 1", "kind": "disassembly"}
    assert write(admin, "PUT", "/api/devices/SCALE-01", told).status_code == 204
    (device,) = [d for d in admin.get("/api/devices").json()["devices"] if d["device_id"] == "SCALE-01"]
    assert (device["name"], device["location"], device["event_count"]) == ("Mince", "Hall 1", 5)


def test_events_are_found_by_device_and_paged_without_a_gap(admin, weighed):
    seen, before = [], 0
    while before is not None:
        page = admin.get("/api/events", params={"device": "SCALE-01", "limit": 2, "before": before}).json()
        seen += [event["seq"] for event in page["events"]]
        before = page["next_before"]
    assert len(seen) == 5
    assert seen == sorted(seen, reverse=True)
    one = admin.get(f"/api/events/{seen[0]}").json()
    assert one["weight"] == "9680"
    assert b"KIYMA" in bytes.fromhex(one["raw"])
    assert admin.get("/api/events", params={"state": "sent"}).json()["events"] == []
    assert admin.get("/api/events", params={"limit": "many"}).status_code == 422
    assert admin.get("/api/events/999999").status_code == 404


def test_rejected_lines_are_exported_byte_by_byte(admin, weighed):
    lines = [json.loads(line) for line in admin.get("/rejected.jsonl").text.splitlines()]
    assert any(b",abc,1,2," in bytes.fromhex(line["line"]) for line in lines)


def test_the_api_describes_itself_behind_the_login_only(served, admin):
    paths = admin.get("/api/openapi.json").json()["paths"]
    assert {"/api/events", "/api/print-jobs", "/api/devices/{device_id}"} <= set(paths)
    with served.client() as stranger:
        assert stranger.get("/api/openapi.json").status_code == 401


def test_a_program_with_a_token_orders_a_print_and_sees_what_becomes_of_it(served, admin):
    added = post(
        admin,
        "/printers",
        "/printers",
        printer="label-1",
        host="10.255.255.1",
        port="9",
        role="meat_cut",
        language="tspl",
    )
    assert added.headers["location"] == "/printers?done=added"
    shown = post(admin, "/account/tokens", name="label program", role="admin").text
    token = shown.split('<pre id="token">')[1].split("<")[0]
    with served.client(authorization=f"Bearer {token}") as program:
        order = {
            "prnBase64": base64.b64encode(b"CLS\r\nPRINT 1\r\n").decode(),
            "targetRole": "meat_cut",
            "globalJobId": "j-1",
        }
        first = program.post("/api/print-jobs", json=order)
        assert first.status_code == 202, first.text
        assert program.post("/api/print-jobs", json=order).json() == first.json()
        job = program.get(f"/api/print-jobs/{first.json()['jobId']}").json()
        assert job["status"] == "waiting"
        assert len(program.get("/api/print-jobs").json()["jobs"]) == 1
        for wrong in (
            {},
            {"prnContent": "x"},
            {"prnContent": "x", "targetRole": "a", "targetPrinter": "b"},
            {"prnBase64": "!", "targetRole": "meat_cut"},
            [1],
            "x",
        ):
            assert program.post("/api/print-jobs", json=wrong).status_code == 422
        settled = post(admin, "/printers/jobs", "/printers", job=first.json()["jobId"], action="cancel")
        assert settled.headers["location"] == "/printers?done=settled"
        post(admin, "/account/tokens/remove", name="label program")
        assert program.get("/api/print-jobs").status_code == 401
    assert post(admin, "/printers/remove", "/printers", printer="label-1").status_code == 303


def test_a_printer_that_cannot_be_one_and_a_foreign_network_are_refused_in_words(admin):
    good = {"printer": "p", "host": "10.0.0.9", "port": "9100", "role": "meat_cut", "language": "tspl"}
    beyond = ("127.0.0.1", "localhost", "::1", "169.254.169.254", "8.8.8.8", "0.0.0.0", "::ffff:127.0.0.1", "x.example")
    for told in ({"printer": "a b"}, {"port": "0"}, *({"host": host} for host in ("http://10.0.0.9", *beyond))):
        answer = post(admin, "/printers", "/printers", **good | told)
        assert answer.status_code == 422, told
        assert "printer" in answer.text
    assert 'name="printer" value="p"' not in admin.get("/printers").text
    for network in ("8.8.8.0/24", "10.0.0.0/8", "hello"):
        assert "not" in post(admin, "/printers/discover", "/printers", network=network).text
        assert post(admin, "/printers/discover", "/printers", network=network).status_code == 422


def test_a_stream_of_a_program_ends_with_its_token(served, admin):
    shown = post(admin, "/account/tokens", name="screen", role="viewer").text
    token = shown.split('<pre id="token">')[1].split("<")[0]
    with (
        served.client(authorization=f"Bearer {token}") as program,
        program.stream("GET", "/live/stream") as stream,
    ):
        lines = stream.iter_lines()
        assert next(lines).startswith("data:")
        post(admin, "/account/tokens/remove", name="screen")
        assert sum(1 for _ in lines) < 100


def test_a_body_that_no_text_can_be_made_of_is_refused_and_is_no_fault_of_ours(served, admin):
    headers = {"content-type": "application/json", "x-csrf-token": csrf_of(admin)}
    half, deep = rb'"\ud800"', b"[" * 100_000
    for path, body in (
        ("/api/database/query", b'{"sql": ' + half + b"}"),
        ("/api/database/query", b'{"sql": NaN}'),
        ("/api/database/query", b'{"sql": "SELECT 1", "more": ' + half + b"}"),
        ("/api/database/query", deep),
        ("/api/print-jobs", b'{"prnContent": ' + half + b', "targetRole": "meat_cut"}'),
        ("/api/print-jobs", b'{"prnContent": "x", "targetPrinter": ' + half + b"}"),
        ("/api/print-jobs", b'{"prnContent": "x", "targetPrinter": "p", "globalJobId": ' + half + b"}"),
    ):
        answer = admin.post(path, content=body, headers=headers)
        assert 400 <= answer.status_code < 500, (path, body[:60], answer.status_code)
        assert len(answer.content) < 1000, "what was sent is not sent back"


def test_the_live_stream_gives_values_and_ends_with_the_login(served, admin):
    with served.client() as client:
        client.post("/login", data={"name": "ayse", "password": PASSWORD})
        with client.stream("GET", "/live/stream") as stream:
            lines = (line for line in stream.iter_lines() if line.startswith("data:"))
            shown = {live["station"]: live for live in json.loads(next(lines)[5:])}
            assert shown["belt-1"]["unit"] == "kg"
            with served.client() as same:
                same.cookies.update(dict(client.cookies))
                assert post(same, "/logout").status_code == 303
            assert sum(1 for _ in lines) < 100

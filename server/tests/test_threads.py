"""The API on its own threads: every middleware at work, anything else handed on, nothing lost on the way."""

import asyncio
import json
import threading

import pytest
from django.core import signals

from scaleledger_server.limits import API_THREADS
from scaleledger_server.threads import OnThreads
from server_api import as_contract

CHALLENGE = "/devices/api/gateways/challenge/"


class Handed:
    """An application that notes which paths it was asked for."""

    def __init__(self):
        self.paths = []

    async def __call__(self, scope, _receive, _send):
        self.paths.append(scope["path"])


def scope_of(path, method="POST", host=b"localhost", **others):
    headers = [(b"host", host), (b"content-type", b"application/json")]
    found = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": headers, "root_path": ""}
    return {**found, "client": ("192.0.2.1", 5), "server": ("127.0.0.1", 80), "scheme": "http", **others}


async def asked(application, scope, body=b"", kind="http.request"):
    sent = []

    async def receive():
        return {"type": kind, "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    await application(scope, receive, send)
    return sent


async def refused(application, scope, body=b""):
    begin, content = await asked(application, scope, body)
    return begin["status"], as_contract(json.loads(content["body"]), "error")["code"]


async def test_it_works_and_every_middleware_is_passed():
    begin, content = await asked(OnThreads(Handed()), scope_of(CHALLENGE), b"{}")
    headers = dict(begin["headers"])
    assert (begin["status"], headers[b"Content-Type"]) == (200, b"application/json")
    assert headers[b"X-Content-Type-Options"] == b"nosniff"
    assert b"Content-Security-Policy" in headers
    as_contract(json.loads(content["body"]), "challenge")


@pytest.mark.parametrize(
    ("scope", "answer"),
    [
        (scope_of(CHALLENGE, host=b"evil.example"), (400, "invalid")),
        (scope_of(CHALLENGE, method="DELETE"), (405, "not_found")),
        (scope_of("/api/nothing/"), (404, "not_found")),
        (scope_of("/api/weighing/records/"), (401, "token_missing")),
        (scope_of("/api/\ufffd/"), (404, "not_found")),
        (scope_of(CHALLENGE, query_string=b"\xff"), (400, "invalid")),
    ],
    ids=["host", "method", "path", "token", "no text", "no query"],
)
async def test_a_refusal_has_the_contracts_form(scope, answer):
    assert await refused(OnThreads(Handed()), scope, b"{}") == answer


@pytest.mark.parametrize("path", ["/", "/admin/", "/static/x.css"])
async def test_what_is_no_path_of_the_api_is_handed_on(path):
    handed = Handed()
    await asked(OnThreads(handed), scope_of(path))
    assert handed.paths == [path]


async def test_who_has_gone_before_the_body_is_not_answered():
    assert await asked(OnThreads(Handed()), scope_of(CHALLENGE), kind="http.disconnect") == []


async def test_requests_share_a_few_threads_and_each_is_ended():
    ended = []

    def receive(**_):
        ended.append(threading.current_thread().name)

    signals.request_finished.connect(receive)
    try:
        application = OnThreads(Handed())
        await asyncio.gather(*(asked(application, scope_of(CHALLENGE), b"{}") for _ in range(4 * API_THREADS)))
    finally:
        signals.request_finished.disconnect(receive)
    assert len(ended) == 4 * API_THREADS
    assert len(set(ended)) <= API_THREADS
    assert all(name.startswith("api") for name in ended)

"""Whatever follows from the description, and whatever does not: no 5xx, and each refusal in the contract's form.

In this process, without a socket. What the description tells is kept to by the answers; that is checked on the way.
"""

import json

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode

from gateway_ledgers import LedgerOf
from openapi_paths import operations
from scaleledger_server.urls import api as described
from server_api import Api, as_contract, join, sign_body

EXAMPLES, NIGHTLY_EXAMPLES = 12, 300
OPEN = {"challenge", "register", "sync"}
OPERATIONS = [(found.method.upper(), found.path) for found in operations()]
WHO = ["nobody", "a gateway", "a client without a key"]
SETTLED = {
    "deadline": None,
    "database": None,
    "phases": (Phase.explicit, Phase.generate),
    "suppress_health_check": list(HealthCheck),
}


@pytest.fixture(scope="module")
def schema():
    # Through JSON, as a client reads it.
    return schemathesis.openapi.from_dict(json.loads(json.dumps(described.get_openapi_schema(path_prefix=""))))


class Caller:
    """Sends what was generated, by Django's own client, and checks each answer."""

    def __init__(self, api):
        self.api = api
        self.ledger = api.ledger

    def send(self, method, case):
        body = self._body(case)
        headers = {name: value for name, value in (case.headers or {}).items() if fits(value)}
        headers = {name: value for name, value in headers.items() if name.lower() not in {"authorization", "cookie"}}
        headers |= self.api.headers()
        if self.ledger and self.ledger.key:
            headers["Scaleledger-Signature"] = sign_body(self.ledger, body)
        path = case.formatted_path
        answer = self.api.client.generic(
            method, path, body, content_type="application/json", headers=headers, query_params=case.query or None
        )
        assert answer.status_code < 500, (method, path, body, answer.content)
        if answer.status_code >= 400:
            assert answer["Content-Type"].startswith("application/json"), (path, answer.content)
            as_contract(answer.json(), "error")
        return answer

    @staticmethod
    def _body(case):
        if isinstance(case.body, bytes):
            return case.body
        if case.body is None or isinstance(case.body, type(schemathesis.core.NOT_SET)):
            return b""
        return json.dumps(case.body).encode()


def fits(value):
    return isinstance(value, str) and value.isprintable() and value.isascii()


def caller_of(who):
    if who == "nobody":
        return Caller(Api())
    return Caller(join(LedgerOf(signed=who == "a gateway"))[1])


def fuzz(schema, who, method, path, examples):
    """The statuses that were answered."""
    operation = schema[path][method]
    caller = caller_of(who)
    seen = set()

    @settings(max_examples=examples, **SETTLED)
    @given(data=st.data())
    def run(data):
        mode = data.draw(st.sampled_from([GenerationMode.POSITIVE, GenerationMode.NEGATIVE]))
        seen.add(caller.send(method, data.draw(operation.as_strategy(generation_mode=mode))).status_code)

    run()
    return seen


@pytest.fixture
def _open_door(settings):
    """Of the limits only those that make an answer are under test here."""
    settings.REGISTRATIONS_PER_MINUTE = settings.REQUESTS_PER_MINUTE = 10_000_000
    settings.PLAIN_CLIENTS = True


@pytest.mark.django_db
@pytest.mark.usefixtures("_open_door")
@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=[f"{method} {path}" for method, path in OPERATIONS])
def test_no_answer_breaks_the_contract(schema, who, method, path):
    seen = fuzz(schema, who, method, path, EXAMPLES)
    if who == "nobody" and schema[path][method].definition.raw["operationId"] not in OPEN:
        assert seen == {401}


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.django_db
@pytest.mark.usefixtures("_open_door")
@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=[f"{method} {path}" for method, path in OPERATIONS])
def test_no_answer_breaks_the_contract_for_long(schema, who, method, path):
    assert fuzz(schema, who, method, path, NIGHTLY_EXAMPLES)

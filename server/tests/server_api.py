"""The contract and the API, for tests: without a socket, every refusal checked on the way."""

import json
from pathlib import Path

from django.test import Client as DjangoClient
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from scaleledger_server.devices import queries, services

CONTRACTS = Path(__file__).resolve().parents[2] / "contracts"
SCHEMAS = {path.name: json.loads(path.read_text()) for path in CONTRACTS.glob("*.schema.json")}
REGISTRY = Registry().with_resources((name, Resource.from_contents(schema)) for name, schema in SCHEMAS.items())


def as_contract(body, message):
    """`body`, once it is proved to be the contract's `message`."""
    schema = SCHEMAS[f"{message}.schema.json"]
    Draft202012Validator(schema, registry=REGISTRY, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(body)
    return body


def example(name):
    return json.loads((CONTRACTS / "examples" / f"{name}.json").read_text())


class Api:
    """The API without a socket. Every refusal is checked against the contract on the way."""

    def __init__(self):
        self.client = DjangoClient(raise_request_exception=True)
        self.token = ""

    def _checked(self, answer):
        body = json.loads(answer.content)
        if answer.status_code >= 400:
            as_contract(body, "error")
        return answer.status_code, body

    def headers(self):
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def get(self, path):
        return self._checked(self.client.get(path, headers=self.headers()))

    def post(self, path, value=b""):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return self._checked(self.client.post(path, body, content_type="application/json", headers=self.headers()))

    def deliver(self, record):
        return self.post("/api/weighing/records/", record)

    def deliver_batch(self, batch):
        """(outcomes, whole answer)."""
        status, body = self.post("/api/weighing/records/batch/", batch)
        assert status == 200, body
        as_contract(body, "batch_result")
        return [result["outcome"] for result in body["results"]], body


def join(ledger):
    """An approved gateway for a ledger, and an Api that holds its token."""
    api = Api()
    status, _ = api.post("/devices/api/gateways/", ledger.registration())
    assert status == 201
    gateway = queries.by_mac(ledger.mac)
    services.approve(gateway)
    api.token = queries.token(gateway)
    return gateway, api

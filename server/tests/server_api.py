"""The contract and the API, for tests: without a socket, every refusal checked on the way."""

import hashlib
import hmac
import json
from pathlib import Path

from django.test import Client as DjangoClient
from django.utils import timezone
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from scaleledger_server.devices import services
from scaleledger_server.devices.identity import split_claim
from scaleledger_server.devices.models import AccessToken

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
    """The API without a socket. Every refusal is checked against the contract on the way.

    With a `ledger` that has a key, what is posted is signed as a gateway signs it; `signing = False` leaves that out.
    """

    def __init__(self, ledger=None):
        self.client = DjangoClient(raise_request_exception=True)
        self.token = ""
        self.ledger = ledger
        self.signing = True

    def _checked(self, answer):
        body = json.loads(answer.content) if answer.content else None
        if answer.status_code >= 400:
            as_contract(body, "error")
        return answer.status_code, body

    def headers(self):
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def _signature(self, body):
        if not (self.signing and self.ledger and self.ledger.key):
            return {}
        return {"Scaleledger-Signature": sign_body(self.ledger, body)}

    def get(self, path):
        return self._checked(self.client.get(path, headers=self.headers()))

    def post(self, path, value=b""):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        headers = self.headers() | self._signature(body)
        return self._checked(self.client.post(path, body, content_type="application/json", headers=headers))

    def deliver(self, record):
        return self.post("/api/weighing/records/", record)

    def deliver_batch(self, batch):
        """(outcomes, whole answer)."""
        status, body = self.post("/api/weighing/records/batch/", batch)
        assert status == 200, body
        as_contract(body, "batch_result")
        return [result["outcome"] for result in body["results"]], body

    def challenge(self):
        status, body = self.post("/devices/api/gateways/challenge/", {})
        assert status == 200, body
        return as_contract(body, "challenge")["challenge"]

    def prove(self, ledger, claim=""):
        """Register as the ledger's gateway, by its key, perhaps with a claim code: (status, body)."""
        return self.post("/devices/api/gateways/", proved(ledger, self.challenge(), claim))


def sign_body(ledger, body):
    """Scaleledger-Signature over a body."""
    return ledger.key.sign(f"scaleledger-body-v1\n{ledger.mac}\n{hashlib.sha256(body).hexdigest()}".encode()).hex()


def proved(ledger, challenge, claim=""):
    """`gateway_registration` with the proof, and the claim if there is a code."""
    signature = ledger.key.sign(f"scaleledger-proof-v1\n{ledger.mac}\n{ledger.public_key}\n{challenge}".encode())
    body = {**ledger.registration(), "proof": {"challenge": challenge, "signature": signature.hex()}}
    if claim:
        code_id, digest = split_claim(claim)
        message = f"scaleledger-claim-v1\n{ledger.mac}\n{ledger.public_key}\n{challenge}".encode()
        body["claim"] = {"id": code_id, "mac": hmac.digest(bytes.fromhex(digest), message, "sha256").hex()}
    return as_contract(body, "gateway_registration")


def join(ledger):
    """An approved gateway for a ledger, and an Api that holds its token and signs with its key."""
    now = timezone.now()
    asked = services.Registration(**{"public_key": "", "remote_address": "192.0.2.1"} | ledger.registration())
    gateway, created = services.register(asked, now)
    assert created
    services.approve(gateway)
    api = Api(ledger)
    api.token = services.issue_token(gateway, AccessToken.How.SHOWN, now)
    AccessToken.objects.update(last_used_at=now)  # so that the first request costs what every other does
    return gateway, api

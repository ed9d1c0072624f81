"""The contract's schemas and examples, for tests of what is sent and what is understood."""

import json
from decimal import Decimal
from pathlib import Path

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from fakes.outbox import START
from scaleledger.uplinks.exchange import Answer

CONTRACTS = Path(__file__).resolve().parents[3] / "contracts"
SCHEMAS = {p.name: json.loads(p.read_text(encoding="utf-8")) for p in CONTRACTS.glob("*.schema.json")}
REGISTRY = Registry().with_resources((name, Resource.from_contents(s)) for name, s in SCHEMAS.items())


def text_of(name):
    return (CONTRACTS / "examples" / f"{name}.json").read_text(encoding="utf-8")


def example(name):
    return json.loads(text_of(name), parse_float=Decimal)


def names_of(message):
    """The examples of one message."""
    return sorted(p.name.removesuffix(".json") for p in (CONTRACTS / "examples").glob(f"{message}.*.json"))


def check(stated, schema):
    """Hold a JSON value against its schema."""
    Draft202012Validator(SCHEMAS[f"{schema}.schema.json"], registry=REGISTRY).validate(stated)


def body_of(request, schema):
    """The request's body as JSON, after it was held against its schema."""
    check(json.loads(request.body), schema)
    return json.loads(request.body, parse_float=Decimal)


def answer(status, body=b"", kind="application/json", **headers):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {k.replace("_", "-"): v for k, v in headers.items()}
    return Answer(status, {"content-type": kind, **named}, raw, START)


def html(status):
    return answer(status, b"<!doctype html><title>Log in</title>", "text/html; charset=utf-8")

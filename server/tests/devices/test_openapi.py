"""The description for machines: made from the contract, and what is committed is what the server says."""

import importlib.util
import json

from openapi_paths import operations
from scaleledger_server import schemas
from scaleledger_server.shifts.api import api as shifts
from server_api import CONTRACTS, SCHEMAS

TOOL = CONTRACTS.parent / "tools" / "contracts.py"
AGAIN = "is out of date: run `python tools/dev.py python tools/contracts.py`"


def tool():
    spec = importlib.util.spec_from_file_location("contracts_tool", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_description_is_what_the_server_says(client):
    said = client.get("/api/openapi.json").json()
    committed = (CONTRACTS / "openapi.json").read_text()
    assert tool().as_text(said) == committed, f"contracts/openapi.json {AGAIN}"


def test_the_committed_description_of_the_phone_pages_api_is_what_the_server_says():
    committed = (CONTRACTS / "openapi-shifts.json").read_text()
    assert tool().as_text(shifts.get_openapi_schema()) == committed, f"contracts/openapi-shifts.json {AGAIN}"


def test_the_servers_copy_is_the_contract():
    assert schemas.CONTRACT.read_text() == tool().copied(), f"contract.json {AGAIN}"
    assert {f"{name}.schema.json" for name in schemas.components()} == set(SCHEMAS)


def test_every_operation_says_what_it_takes_and_answers():
    listed = operations()
    assert len(listed) == 13
    for found in listed:
        answers = found.details["responses"]
        told = "$ref" in json.dumps(answers["200"])
        assert told or found.path == "/weighing/api/records/", found.path  # the first clients' answer has no message
        assert found.method == "get" or "challenge" in found.path or found.details["requestBody"], found.path
        assert answers["default"]["content"]["application/json"]["schema"]["$ref"].endswith("/error")


def test_every_reference_leads_somewhere(client):
    text = client.get("/api/openapi.json").content.decode()
    described = json.loads(text)
    known = set(described["components"]["schemas"])
    used = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert used <= known

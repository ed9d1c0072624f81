"""The API described for machines: each operation with the contract's own shapes, from the copy of them in contract.json.

The copy is made from `contracts/*.schema.json` by tools/contracts.py, because an installed server has no such folder; a test
compares the two, and `contracts/openapi.json` with what the server would say now.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema

CONTRACT = Path(__file__).with_name("contract.json")
TOKEN = "token"  # noqa: S105 - the scheme's name
SIGNATURE = {
    "in": "header",
    "name": "Scaleledger-Signature",
    "required": False,
    "description": "Ed25519 over the body, for a gateway whose key is known.",
    "schema": {"type": "string", "pattern": "^[0-9a-f]{128}$"},
}


@cache
def components() -> dict[str, Any]:
    """The contract's messages by name, as OpenAPI's schemas."""
    read: dict[str, Any] = json.loads(CONTRACT.read_text(encoding="utf-8"))
    return read


def _content(message: str) -> dict[str, Any]:
    assert message in components(), f"{message} is no message of the contract"
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{message}"}}}


def operation(
    answers: dict[int, str], *, request: str = "", empty: bool = False, bearer: bool = True, signed: bool = False
) -> dict[str, Any]:
    """What ninja's `openapi_extra` takes, for an operation that answers these messages by status ("": no body).

    `request` is the message it takes, `empty` says that no body will do as well, `bearer` that a token is needed, `signed`
    that a gateway with a key signs the body.
    """
    words = {200: "OK", 201: "Created", 304: "Not modified: the client holds this version"}
    told: dict[str, Any] = {
        str(status): {"description": words.get(status, "A refusal"), **({"content": _content(name)} if name else {})}
        for status, name in answers.items()
    }
    told["default"] = {"description": "A refusal; the codes are in contracts/README.md", "content": _content("error")}
    extra: dict[str, Any] = {"responses": told}
    if request:
        extra["requestBody"] = {"required": not empty, "content": _content(request)}
    if bearer:
        extra["security"] = [{TOKEN: []}]
    if signed:
        extra["parameters"] = [SIGNATURE]
    return extra


class ContractApi(NinjaAPI):
    """An API whose description carries the contract's messages."""

    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None
    ) -> OpenAPISchema:
        described = super().get_openapi_schema(path_prefix=path_prefix, path_params=path_params)
        described["components"]["schemas"].update(components())
        described["components"]["securitySchemes"] = {
            TOKEN: {"type": "http", "scheme": "bearer", "description": "The scheme word Gateway means the same."}
        }
        return described

"""The server's table of operations, for tests that walk it."""

from typing import NamedTuple

from scaleledger_server.urls import api


class Operation(NamedTuple):
    """One method of one path, as the API describes it."""

    method: str
    path: str
    details: dict


def operations():
    """Every operation that gateways can call."""
    paths = api.get_openapi_schema(path_prefix="")["paths"]
    return [
        Operation(method, "/" + path.lstrip("/"), details)
        for path, methods in sorted(paths.items())
        for method, details in sorted(methods.items())
    ]

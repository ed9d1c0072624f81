"""Every route says who may use it; one that says nothing is used by nobody."""

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any, TypeVar

from starlette.routing import BaseRoute, Match

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
_DECLARED = "__scaleledger_access__"


class Access(StrEnum):
    """OPEN: anybody that reaches the port. VIEWER: everybody with a login or a token. ADMIN: those who may change things."""

    OPEN = "open"
    VIEWER = "viewer"
    ADMIN = "admin"


def allow(access: Access) -> Callable[[Endpoint], Endpoint]:
    """Declare who may use an endpoint; stands below the route's own decorator."""

    def declare(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _DECLARED, access)
        return endpoint

    return declare


def declared(route: BaseRoute) -> Access | None:
    """What a route's endpoint declared; None for one that declared nothing, and for mounts."""
    return getattr(getattr(route, "endpoint", None), _DECLARED, None)


def matching(routes: Iterable[BaseRoute], scope: Any) -> BaseRoute | None:
    """The route that answers this request: the first whole match, else the first whose path alone fits (405), else None."""
    partial = None
    for route in routes:
        match, _ = route.matches(scope)
        if match is Match.FULL:
            return route
        if match is Match.PARTIAL and partial is None:
            partial = route
    return partial

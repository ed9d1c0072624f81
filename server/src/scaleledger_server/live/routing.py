"""The paths of the sockets."""

from typing import Any, cast

from channels.routing import URLRouter
from django.urls import path, re_path

from scaleledger_server.limits import Application
from scaleledger_server.live.door import BoundedSockets, turn_away
from scaleledger_server.live.edge_socket import edge_socket
from scaleledger_server.live.gateway_socket import gateway_socket
from scaleledger_server.live.page_socket import page_socket
from scaleledger_server.live.provisioning_socket import provisioning_socket

_ROUTES: list[Any] = [
    path("ws/devices/gateways/provisioning/", cast("Any", provisioning_socket)),
    path("ws/devices/gateways/<int:gateway_id>/", cast("Any", gateway_socket)),
    path("ws/devices/<int:gateway_id>/", cast("Any", gateway_socket)),
    path("ws/live/", cast("Any", page_socket)),
    re_path(r"^(?:edge(?:/ws)?/?)?$", cast("Any", edge_socket)),
    re_path("", cast("Any", turn_away)),
]
sockets = BoundedSockets(cast("Application", URLRouter(_ROUTES)))

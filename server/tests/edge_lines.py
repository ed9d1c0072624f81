"""An edge at a server's WebSocket, as a client in tests, written from the contract alone."""

import json
import time

from live_sockets import PATIENCE_S, Centre, Line


class PlantCentre(Centre):
    """A server process with a site of a known key, and a person who may do everything."""

    KEY = "a site's key of the tests"
    NAME, PASSWORD = "admin", "a password of the tests"

    def __enter__(self):
        centre = super().__enter__()
        centre.shell(
            "from hashlib import sha256; from scaleledger_server.shifts.models import Site;"
            f"Site.objects.create(site_id='kayseri-1', name='Kayseri', key_digest=sha256({self.KEY!r}.encode()).hexdigest());"
            "from django.contrib.auth.models import User;"
            f"User.objects.create_superuser({self.NAME!r}, password={self.PASSWORD!r})"
        )
        return centre

    def shell(self, code):
        return self.command("shell", "-c", code)

    def edge(self, edge_id=None, **others):
        return EdgeLine(self.port, self.KEY, edge_id, **others)


class EdgeLine(Line):
    """An edge's socket; `hear_type` gives the payload of the next message of a type and keeps what came before it."""

    def __init__(self, port, key, edge_id=None, path="/edge/ws", *, registers=True):
        headers = {"X-Client-Type": "carnitrack-edge", "X-Client-Version": "0.3.0"}
        headers |= {"Authorization": f"Bearer {key}"} if key else {}
        headers |= {"X-Edge-Id": edge_id} if edge_id else {}
        super().__init__(port, path, headers)
        self.number = 0
        self.passed = []
        self.edge_id = edge_id
        if registers:
            self.register(edge_id)

    def register(self, edge_id=None):
        """Say `register`; keeps the id that the server gives and the list of sessions."""
        body = {"edgeId": edge_id, "siteId": None, "siteName": None, "version": "0.3.0", "capabilities": ["events"]}
        self.tell("register", body)
        self.edge_id = self.hear_type("edge_registered")["edgeId"]
        self.sessions = self.hear_type("session_list")

    def tell(self, type_, payload):
        self.number += 1
        at = "2026-11-21T08:00:00.000Z"
        self.say({"type": type_, "payload": payload, "timestamp": at, "messageId": f"edge-1-{self.number}"})

    def hear_type(self, *types, timeout=PATIENCE_S):
        end = time.monotonic() + timeout
        while True:
            message = json.loads(self.socket.recv(timeout=max(0.0, end - time.monotonic())))
            assert {"type", "payload", "timestamp", "messageId"} <= message.keys(), message
            if message["type"] in types:
                return message["payload"]
            self.passed.append(message)

    def acknowledged(self, count):
        """The answers to so many events, in the order they came: (id, status or the reason)."""
        heard = [self.hear_type("event_ack", "event_rejected") for _ in range(count)]
        return [(one["localEventId"], one.get("status") or one["reason"]) for one in heard]

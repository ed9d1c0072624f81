"""Gateways and pages at a server's sockets, as clients in tests; what is said to a gateway is checked against the contract."""

import contextlib
import json
import time

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from server_api import as_contract
from server_processes import Client, ServerProcess

PATIENCE_S = 15


class Centre(ServerProcess):
    """A server process with settings of its own; as a context, it runs in there and is gone afterwards."""

    def __init__(self, folder, **stated):
        super().__init__(folder)
        self.stated = stated

    def environment(self):
        return {**super().environment(), **{f"SCALELEDGER_SERVER_{name}": value for name, value in self.stated.items()}}

    def __enter__(self):
        try:
            self.start()
        except AssertionError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.kill()

    def enrol(self, ledger):
        """(gateway id, token) of a new gateway that proves its key and is approved."""
        with Client(self.port, ledger=ledger) as client:
            assert client.prove()[0] == 201
            self.command("approve", ledger.mac)
            status, body = client.prove()
            assert status == 200
            return body["id"], body["access_token"]

    def deliver(self, ledger, token, *records):
        with Client(self.port, token, ledger) as client:
            status, body = client.post("/api/weighing/records/batch/", {"records": records, "head": ledger.head()})
        assert status == 200, body
        assert [result["outcome"] for result in body["results"]] == ["created"] * len(records)


class Line:
    """One socket. `hear` gives the next message, or fails after a while."""

    def __init__(self, port, path, headers=None, origin=None):
        url = f"ws://127.0.0.1:{port}{path}"
        self._opened = contextlib.ExitStack()
        self.socket = self._opened.enter_context(
            connect(url, additional_headers=headers or {}, origin=origin, compression=None)
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._opened.close()

    def hear(self, timeout=PATIENCE_S):
        return json.loads(self.socket.recv(timeout=timeout))

    def hear_until(self, wanted):
        """The messages up to and with the first for which `wanted` is true."""
        heard, end = [], time.monotonic() + PATIENCE_S
        while not heard or not wanted(heard[-1]):
            assert time.monotonic() < end, heard
            heard.append(self.hear())
        return heard

    def hears_nothing(self, seconds):
        with contextlib.suppress(TimeoutError):
            raise AssertionError(f"heard {self.hear(seconds)}")

    def say(self, message):
        self.socket.send(message if isinstance(message, str | bytes) else json.dumps(message))

    def closed_with(self):
        """Wait for the end; the server's code."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            try:
                self.socket.recv(timeout=PATIENCE_S)
            except ConnectionClosed as closed:
                return closed.rcvd.code if closed.rcvd else None
        raise AssertionError("the socket was not closed")


def shows(station, weight, **others):
    """One station of a `weight_update`."""
    stated = {"unit": "kg", "stable": True, "state": "idle", "link": "up", "card": ""}
    return {"station": station, "weight": weight, **stated, **others}


class GatewayLine(Line):
    """A gateway's own socket."""

    def __init__(self, port, gateway_id, token="", path="/ws/devices/gateways/{}/", scheme="Bearer"):
        headers = {"Authorization": f"{scheme} {token}"} if token else {}
        super().__init__(port, path.format(gateway_id), headers)

    def hear(self, timeout=PATIENCE_S):
        return as_contract(super().hear(timeout), "channel_to_gateway")

    def show(self, *stations):
        payload = {"at": "2026-11-21T02:10:01.250000+00:00", "stations": list(stations)}
        self.say(as_contract({"type": "weight_update", "payload": payload}, "channel_from_gateway"))


class PageLine(Line):
    """A page's socket; without a session it sees only what OPEN_PAGES opens."""

    def __init__(self, port, session="", origin=None):
        cookies = {"Cookie": f"sessionid={session}"} if session else {}
        super().__init__(port, "/ws/live/", cookies, origin or f"http://127.0.0.1:{port}")

    def watch(self, *stations):
        """Watch these (gateway, name) or, without any, everything; returns the snapshot."""
        named = [{"gateway": gateway, "station": name} for gateway, name in stations]
        self.say({"type": "watch", "stations": named} if named else {"type": "watch", "all": True})
        return self.hear_until(lambda message: message["type"] == "snapshot")[-1]

    def hear_live(self, station, weight):
        """Wait for a live value; the station as it was told."""
        found = self.hear_until(
            lambda message: (
                message["type"] == "live"
                and any((one["station"], one["weight"]) == (station, weight) for one in message["stations"])
            )
        )[-1]
        return next(one for one in found["stations"] if one["station"] == station)

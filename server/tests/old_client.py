"""A client as it exists today, written from its description alone: its own HTTP and WebSocket code, its own demands.

It proves nothing and signs nothing: a MAC address is all it shows. What it needs in an answer it reads with `[...]`, and so
fails where the real one would: a missing key, an empty body, a text that is null, a socket closed with 1000.
"""

import base64
import json
import os
import socket
import struct
from urllib.parse import urlsplit

TIMEOUT_S = 10.0
GATEWAY_KEYS = (
    "id", "mac_address", "hostname", "ip_address", "name", "description", "access_token", "last_heartbeat", "created_at",
    "updated_at",
)  # fmt: skip
STATION_TEXTS = (
    "name", "description", "serial_port", "serial_description", "serial_location", "serial_number", "serial_manufacturer",
)  # fmt: skip


class Deaf(Exception):
    """The server closed the socket with 1000: this client never connects again."""


class Closed(Exception):
    """The socket ended with another code; this client comes back."""

    def __init__(self, code):
        super().__init__(f"closed with {code}")
        self.code = code


def http(base, method, path, token="", body=None):
    """One request on a connection of its own; (status, parsed body). Redirects are not followed."""
    where = urlsplit(base)
    data = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} /{path} HTTP/1.1", f"Host: {where.netloc}", "Connection: close", f"Content-Length: {len(data)}"]
    if token:
        lines.append(f"Authorization: Gateway {token}")
    if body is not None:
        lines.append("Content-Type: application/json")
    with socket.create_connection((where.hostname, where.port), timeout=TIMEOUT_S) as line:
        line.sendall("\r\n".join([*lines, "", ""]).encode() + data)
        answer = b""
        while chunk := line.recv(65536):
            answer += chunk
    head, _, rest = answer.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    if b"transfer-encoding: chunked" in head.lower():
        rest = _unchunked(rest)
    return status, json.loads(rest)


def _unchunked(rest):
    whole = b""
    while True:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            return whole
        whole, rest = whole + rest[:length], rest[length + 2 :]


class WebSocket:
    """RFC 6455 as far as a client of text messages needs it. No Authorization header is sent."""

    def __init__(self, base, path):
        where = urlsplit(base)
        self.line = socket.create_connection((where.hostname, where.port), timeout=TIMEOUT_S)
        key = base64.b64encode(os.urandom(16)).decode()
        self.line.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {where.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self.read = self.line.makefile("rb")
        self.status = int(self.read.readline().split(b" ", 2)[1])
        while self.read.readline() not in (b"\r\n", b""):
            pass

    def send(self, type_, payload=None):
        message = {"type": type_} if payload is None else {"type": type_, "payload": payload}
        self._frame(0x1, json.dumps(message).encode())

    def _frame(self, opcode, data):
        mask = os.urandom(4)
        size = len(data)
        head = bytes([0x80 | opcode])
        head += bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + struct.pack("!H", size)
        self.line.sendall(head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))

    def receive(self):
        """The next message. Raises Deaf or Closed when there is none any more."""
        while True:
            opcode, data = self._read_frame()
            if opcode == 0x9:
                self._frame(0xA, data)
            elif opcode == 0x8:
                code = struct.unpack("!H", data[:2])[0] if len(data) >= 2 else 1005
                raise Deaf if code == 1000 else Closed(code)
            elif opcode == 0x1:
                return json.loads(data)

    def _read_frame(self):
        first, second = self._exactly(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", self._exactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self._exactly(8))
        return first & 0x0F, self._exactly(size)

    def _exactly(self, size):
        data = self.read.read(size)
        if len(data) < size:
            raise Closed(1006)
        return data

    def close(self):
        self._frame(0x8, struct.pack("!H", 1000))
        self.drop()

    def drop(self):
        self.read.close()
        self.line.close()


class OldClient:
    """The client's life: provisioning, its gateway, stations, market data, records, heartbeat, its socket."""

    def __init__(self, base, mac_address):
        self.base, self.mac_address = base, mac_address
        self.token, self.gateway, self.stations, self.cards = "", None, {}, {}
        self.queue = []
        self.socket = None

    def ask_to_be_provisioned(self):
        """The socket on which it waits, once it has said who it is."""
        waiting = WebSocket(self.base, "/ws/devices/gateways/provisioning/")
        assert waiting.status == 101, waiting.status
        assert waiting.receive() == {"type": "identify"}
        waiting.send("identity", {"mac_address": self.mac_address, "hostname": "dock-pc", "ip_address": "192.0.2.11"})
        return waiting

    def take_token(self, waiting):
        message = waiting.receive()
        assert message["type"] == "gateway.registered", message
        self.token = message["payload"]["access_token"]
        assert self.token
        waiting.close()

    def call(self, method, path, body=None):
        return http(self.base, method, path, self.token, body)

    def fetch_itself(self):
        status, found = self.call("GET", "devices/api/gateways/self/")
        assert status == 200, found
        self.gateway = {key: found[key] for key in GATEWAY_KEYS}
        self.token = self.gateway["access_token"]

    def fetch_stations(self):
        status, found = self.call("GET", "devices/api/gateways/self/stations/")
        assert status == 200, found
        assert isinstance(found, list), "a bare array"
        for station in found:
            assert all(isinstance(station[key], str) for key in STATION_TEXTS), station
        self.stations = {station["id"]: (station["gateway"], station["serial_port"]) for station in found}

    def fetch_market(self):
        tables = {}
        for name in ("species", "producers", "rfid-cards"):
            status, found = self.call("GET", f"market/api/{name}/")
            assert status == 200, found
            assert isinstance(found, list), "a bare array"
            tables[name] = {row["id"]: row for row in found}
        for producer in tables["producers"].values():
            assert {"uuid", "name", "phone", "created_at"} <= producer.keys()
        self.cards = {
            card["uid"]: (
                card["is_active"],
                tables["producers"][card["producer"]]["name"],
                tables["species"][card["species"]]["name"],
            )
            for card in tables["rfid-cards"].values()
            if card["uuid"] and card["issued_at"]
        }

    def upload(self):
        """Offer everything that is queued; what was taken (any 2xx with a JSON body) is deleted here, for good."""
        for record in list(self.queue):
            status, found = self.call("POST", "weighing/api/records/", record)
            assert found is not None
            if 200 <= status < 300:
                self.queue.remove(record)

    def beat(self):
        """A heartbeat has no body; the answer must have one."""
        return self.call("POST", "devices/api/gateways/heartbeat/")

    def connect(self):
        self.socket = WebSocket(self.base, f"/ws/devices/gateways/{self.gateway['id']}/")
        return self.socket.status

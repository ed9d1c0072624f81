"""An edge as it exists today, written from its description alone: its own HTTP code, its own demands, no key.

It takes any 2xx or 304 for a sign of life, loses its identity on the words it knows, and looks in an answer only for what it
needs, with `[...]`, so it fails where the real one would.
"""

import http.client
import json
import uuid
from urllib.parse import urlsplit

TIMEOUT_S = 10
BATCH = 50
LOSING_WORDS = ("missing", "invalid edge", "unknown edge", "invalid_edge", "unknown_edge", "x-edge-id")


class Disconnected(Exception):
    """Any other 4xx: this edge takes the whole cloud for away."""


class OldEdge:
    """Registers with no id, polls sessions, posts one event or fifty, tells of its scales."""

    def __init__(self, url):
        where = urlsplit(url)
        self.host, self.port = where.hostname, where.port
        self.base = f"{where.path.rstrip('/').removesuffix('/edge')}/edge"
        self.edge_id = self.site_id = None
        self.tag = ""
        self.sessions = []
        self.lost = 0

    def call(self, method, path, body=None, headers=()):
        """(status, parsed body or None, headers)."""
        sent = {"Content-Type": "application/json", "X-Client-Type": "carnitrack-edge", "X-Client-Version": "0.3.0"}
        if self.edge_id and path != "register":
            sent["X-Edge-Id"] = self.edge_id
        if self.site_id:
            sent["X-Site-Id"] = self.site_id
        line = http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT_S)
        try:
            data = None if body is None else json.dumps(body).encode()
            line.request(method, f"{self.base}/{path}", data, sent | dict(headers))
            answer = line.getresponse()
            text = answer.read().decode()
        finally:
            line.close()
        told = json.loads(text) if text else None
        if 200 <= answer.status < 300 or answer.status == 304:
            return answer.status, told, answer.headers
        if answer.status in {401, 404} and any(word in text.lower() for word in LOSING_WORDS):
            self.edge_id = None
            self.lost += 1
        raise Disconnected(f"{answer.status} {text}")

    def register(self):
        body = {
            "edgeId": self.edge_id,
            "siteId": self.site_id,
            "siteName": None,
            "version": "0.3.0",
            "capabilities": ["rest", "tcp"],
        }
        _, told, _ = self.call("POST", "register", body)
        assert uuid.UUID(told["edgeId"]).version in {1, 2, 3, 4, 5}
        assert uuid.UUID(told["edgeId"]).variant == uuid.RFC_4122
        self.edge_id, self.site_id = told["edgeId"], told["siteId"]

    def is_live(self):
        _, told, _ = self.call("GET", "config")
        return isinstance(told["sessionPollIntervalActiveMs"], int)

    def poll(self, *devices):
        """Whether the list was another than before."""
        shown = {"If-None-Match": self.tag} if self.tag else {}
        status, told, headers = self.call("GET", f"sessions?device_ids={','.join(devices)}", headers=shown)
        if status == 304:
            assert told is None
            return False
        self.tag = headers["ETag"]
        for one in told["sessions"]:
            assert one["status"] in {"active", "pending", "paused"}
            assert isinstance(one["cloudSessionId"], str)
        self.sessions = told["sessions"]
        return True

    def session_of(self, device):
        return next((one["cloudSessionId"] for one in self.sessions if one["deviceId"] == device), None)

    def post(self, event):
        _, told, _ = self.call("POST", "events", event)
        assert told["status"] in {"accepted", "duplicate"}
        assert told["cloudEventId"]
        return told["status"]

    def post_batch(self, events):
        """Fifty at a time; a batch whose answer is not as long as it counts as failed."""
        statuses = []
        for at in range(0, len(events), BATCH):
            some = events[at : at + BATCH]
            _, told, _ = self.call("POST", "events/batch", {"events": some})
            assert len(told["results"]) == len(some)
            by_id = {one["localEventId"]: one for one in told["results"]}
            statuses += [by_id[one["localEventId"]]["status"] for one in some]
        return statuses

    def end_batch(self, batch_id, device, events):
        body = {
            "batchId": batch_id, "deviceId": device, "eventIds": [one["localEventId"] for one in events],
            "eventCount": len(events), "totalWeightGrams": sum(one["weightGrams"] for one in events),
            "startedAt": events[0]["receivedAt"], "endedAt": events[-1]["receivedAt"],
        }  # fmt: skip
        _, told, _ = self.call("POST", "offline-batches/ack", body)
        assert told["batchId"] == batch_id
        assert told["receivedAt"]
        return told["status"]

    def tell_status(self, device, status):
        body = {
            "deviceId": device,
            "status": status,
            "heartbeatCount": 1,
            "eventCount": 0,
            "globalDeviceId": f"{self.site_id}-{device}",
        }
        assert self.call("POST", "devices/status", body)[1]["ok"] is True

    def beat(self, *devices):
        states = [
            {
                "deviceId": device,
                "globalDeviceId": device,
                "deviceType": "disassembly",
                "status": "online",
                "lastHeartbeatAt": None,
            }
            for device in devices
        ]
        self.call(
            "POST", "heartbeat", {"version": "0.3.0", "uptimeSec": 5, "health": "ok", "devices": states, "printers": []}
        )

"""An edge of the server's tests: the REST carrier without a socket, every refusal checked on the way."""

import json
import uuid
from datetime import timedelta

from django.test import Client
from django.utils import timezone

from scaleledger_server.shifts import edges
from scaleledger_server.shifts.models import Edge, Scale, SessionChange, Site, WorkSession

BASE = "/api/v1/edge"


def site(site_id="plant-1", name="Plant 1"):
    """(site, its key)."""
    row = Site.objects.create(site_id=site_id, name=name)
    return row, edges.make_key(row, timezone.now())


def event(**fields):
    """An EventPayload as the first programs send it, in their words alone."""
    now = timezone.now()
    told = {
        "localEventId": str(uuid.uuid4()),
        "deviceId": "SCALE-01",
        "globalDeviceId": "plant-1-SCALE-01",
        "cloudSessionId": None,
        "offlineMode": False,
        "offlineBatchId": None,
        "pluCode": "000000000004",
        "productName": "KIYMA",
        "weightGrams": 9676,
        "barcode": "000000000004",
        "scaleTimestamp": (now - timedelta(seconds=2)).isoformat(),
        "receivedAt": now.isoformat(),
    }
    return told | fields


class EdgeApi:
    """One edge. `edge_id` and `key` are what it shows; (status, body) of every call."""

    def __init__(self, key="", edge_id=""):
        self.client = Client()
        self.key, self.edge_id = key, edge_id
        self.answer = None

    def headers(self):
        shown = {"X-Client-Type": "carnitrack-edge", "X-Client-Version": "0.3.0"}
        if self.key:
            shown["Authorization"] = f"Bearer {self.key}"
        if self.edge_id:
            shown["X-Edge-Id"] = self.edge_id
        return shown

    def _checked(self, answer):
        self.answer = answer
        body = json.loads(answer.content) if answer.content else None
        if answer.status_code >= 400:
            assert {"error", "code", "detail"} <= body.keys() <= {"error", "code", "detail", "field"}, body
            assert all(isinstance(text, str) and text for text in body.values()), body
        return answer.status_code, body

    def get(self, path, **headers):
        return self._checked(self.client.get(f"{BASE}/{path}", headers=self.headers() | headers))

    def post(self, path, value):
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        where = path if path.startswith("/") else f"{BASE}/{path}"
        return self._checked(self.client.post(where, data, content_type="application/json", headers=self.headers()))

    def register(self, edge_id=None, **said):
        told = {
            "edgeId": edge_id,
            "siteId": None,
            "siteName": None,
            "version": "0.3.0",
            "capabilities": ["rest", "tcp"],
        }
        status, body = self.post("register", told | said)
        if status == 200:
            self.edge_id = body["edgeId"]
        return status, body

    def deliver(self, *events):
        """The statuses of a batch, in order."""
        status, body = self.post("events/batch", {"events": list(events)})
        assert status == 200, body
        assert [one["localEventId"] for one in body["results"]] == [one["localEventId"] for one in events]
        return [one["status"] for one in body["results"]]

    @property
    def row(self):
        return Edge.objects.select_related("gateway", "site").get(pk=self.edge_id)

    def scale(self, device_id="SCALE-01"):
        """The row of one of its scales, made where it is new."""
        return edges.scales_of(self.row, [device_id])[device_id]


def joined(site_id="plant-1"):
    """An edge that registered with its site's key."""
    api = EdgeApi(site(site_id)[1])
    status, body = api.register()
    assert status == 200, body
    return api


def session(scale, tag="TR-0001", **fields):
    """A session under way on this scale since an hour ago, or as `fields` say."""
    assert isinstance(scale, Scale)
    began = timezone.now() - timedelta(hours=1)
    row = WorkSession.objects.create(scale=scale, animal_tag=tag, **{"started_at": began} | fields)
    SessionChange.objects.create(session=row, at=row.started_at, status=WorkSession.Status.ACTIVE)
    if row.ended_at:
        SessionChange.objects.create(session=row, at=row.ended_at, status=WorkSession.Status.ENDED)
    return row

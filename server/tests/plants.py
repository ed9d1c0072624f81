"""A plant for tests: a site with its key, an edge of it, and a scale."""

from uuid import UUID

from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from scaleledger_server.shifts import edges
from scaleledger_server.shifts.models import Site

CALF = UUID("5f6c1a52-3f5e-4a57-9d0e-0d6d8f3b1c11")
LAMB = UUID("7a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d")


class Plant:
    """One site, one edge, and its scales by name."""

    def __init__(self, site_id="kayseri-1"):
        now = timezone.now()
        self.site = Site.objects.create(site_id=site_id, name=f"Plant {site_id}")
        self.key = edges.make_key(self.site, now)
        asked = edges.Asked(None, site_id, "", "0.3.0", ())
        self.edge, _ = edges.register(asked, f"Bearer {self.key}", "192.0.2.7", now)

    def scale(self, device_id="SCALE-01"):
        edges.note_scales(self.edge, [edges.ScaleSaid(device_id, "online")], timezone.now())
        return self.edge.scales.get(device_id=device_id)


def operator_browser(name="Ayse"):
    """A browser in which a person is logged in who may operate scales and nothing else; the person is its `user`."""
    client = Client(enforce_csrf_checks=True)
    client.user = User.objects.create_user(name, password="x")
    client.user.user_permissions.add(Permission.objects.get(codename="operate"))
    client.force_login(client.user)
    return client


class Phone:
    """The phone page's requests in such a browser, with the CSRF token that its page bears."""

    def __init__(self, client):
        self.client = client
        self.client.get("/shifts/")
        self.token = client.cookies["csrftoken"].value

    def get(self, path):
        answer = self.client.get(f"/shifts/api/{path}")
        return answer.status_code, answer.json()

    def post(self, path, body, **headers):
        sent = {"X-CSRFToken": self.token, **headers}
        answer = self.client.post(f"/shifts/api/{path}", body, content_type="application/json", headers=sent)
        return answer.status_code, answer.json()

    def start(self, scale, tag, session_id, **others):
        body = {"session_id": str(session_id), "scale": scale.pk, "animal_tag": tag, **others}
        return self.post("sessions/", body)


def event(number, device_id="SCALE-01", **others):
    """EventPayload number so-and-so: its uuid and weight follow from the number."""
    at = f"2026-11-21T08:{number // 60 % 60:02}:{number % 60:02}+00:00"
    body = {
        "localEventId": f"00000000-0000-8000-8000-{number:012}",
        "deviceId": device_id,
        "globalDeviceId": f"kayseri-1-{device_id}",
        "cloudSessionId": None,
        "offlineMode": False,
        "offlineBatchId": None,
        "pluCode": "000000000004",
        "productName": "KIYMA",
        "weightGrams": 1000 + number,
        "barcode": "000000000004",
        "scaleTimestamp": at,
        "receivedAt": at,
    }
    return {**body, **others}

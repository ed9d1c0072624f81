"""Edges (sites' gateways that speak the CarniTrack contract), their scales, and the work sessions on them.

A session is the list of its changes; its row repeats the present state so that it can be found. Nothing here is ever
rewritten by the end of a session: a cut names the session that it belongs to for good, or until a person says otherwise.
"""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from scaleledger_server.devices.models import Gateway


class Site(models.Model):
    """A plant. `key_digest` is the SHA-256 of the key that its edges show; "" while it has none."""

    site_id = models.CharField("site id", max_length=100, unique=True)
    name = models.CharField(max_length=100, blank=True)
    key_digest = models.CharField(max_length=64, blank=True, default="")
    key_made_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["site_id"]

    def __str__(self) -> str:
        return self.name or self.site_id


class Edge(models.Model):
    """One edge, named by the uuid that this server gave it. Its records, alarms and approval are those of `gateway`.

    `keyed`: it showed a key once, so it is not believed without one again. `key_digest` is that of a key of its own, "" if
    it shows its site's. A gateway that was never approved is forgotten after a day, and its edge with it.
    """

    edge_id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    gateway = models.OneToOneField(Gateway, on_delete=models.CASCADE, related_name="edge")
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="edges", null=True, blank=True)
    version = models.CharField(max_length=30, blank=True, default="")
    capabilities = models.JSONField(default=list, blank=True)
    key_digest = models.CharField(max_length=64, blank=True, default="")
    keyed = models.BooleanField("shows a key", default=False)
    reported = models.JSONField(default=dict, blank=True)
    registered_at = models.DateTimeField()
    last_seen_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["registered_at"]

    def __str__(self) -> str:
        return f"{self.gateway.name or self.edge_id}"


class Scale(models.Model):
    """A scale of an edge, under the name that it registers with there. `status` is what the edge said last."""

    class Status(models.TextChoices):
        ONLINE = "online"
        IDLE = "idle"
        STALE = "stale"
        DISCONNECTED = "disconnected"
        UNKNOWN = "unknown"

    edge = models.ForeignKey(Edge, on_delete=models.CASCADE, related_name="scales")
    device_id = models.CharField("device", max_length=64)
    name = models.CharField(max_length=100, blank=True)
    type = models.CharField(max_length=20, blank=True, default="")
    status = models.CharField(max_length=12, choices=Status, default=Status.UNKNOWN)
    source_ip = models.CharField("IP address", max_length=64, blank=True, default="")
    heartbeat_count = models.BigIntegerField(default=0)
    event_count = models.BigIntegerField(default=0)
    last_heartbeat_at = models.DateTimeField(null=True, blank=True)
    last_event_at = models.DateTimeField(null=True, blank=True)
    seen_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["edge_id", "device_id"]
        constraints = [models.UniqueConstraint(fields=["edge", "device_id"], name="one_scale_per_edge_and_device")]
        permissions = [("operate", "Can start, pause and end sessions on scales")]

    def __str__(self) -> str:
        return self.name or self.device_id


class OfferedSpecies(models.Model):
    """A kind of animal that the phone page offers. While there is none, it offers those that most plants work on."""

    name = models.CharField(max_length=100, unique=True)
    place = models.PositiveSmallIntegerField(default=0, help_text="Lower ones are offered first.")

    class Meta:
        ordering = ["place", "name"]
        verbose_name = "species offered"
        verbose_name_plural = "species offered"

    def __str__(self) -> str:
        return self.name


class WorkSession(models.Model):
    """Work on one animal at one scale. At most one that is not over per scale."""

    class Status(models.TextChoices):
        PENDING = "pending"
        ACTIVE = "active"
        PAUSED = "paused"
        ENDED = "ended"

    class Reason(models.TextChoices):
        COMPLETED = "completed"
        CANCELLED = "cancelled"
        TIMEOUT = "timeout"

    session_id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    scale = models.ForeignKey(Scale, on_delete=models.PROTECT, related_name="sessions")
    animal_id = models.CharField(max_length=100, blank=True)
    animal_tag = models.CharField("ear tag", max_length=100)
    animal_species = models.CharField("species", max_length=100, blank=True)
    operator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", null=True)
    status = models.CharField(max_length=8, choices=Status, default=Status.ACTIVE)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=10, choices=Reason, blank=True, default="")

    class Meta:
        ordering = ["-started_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["scale"], condition=~Q(status="ended"), name="one_session_under_way_per_scale"
            )
        ]
        indexes = [
            models.Index(fields=["scale", "started_at"], name="session_by_scale_and_time"),
            models.Index(fields=["started_at"], name="session_by_start"),
            models.Index(fields=["scale", "ended_at"], name="session_by_scale_and_end"),
        ]

    def __str__(self) -> str:
        return f"{self.animal_tag} at {self.scale}"


class SessionChange(models.Model):
    """One step in a session's life, and who took it; never altered."""

    session = models.ForeignKey(WorkSession, on_delete=models.PROTECT, related_name="changes")
    at = models.DateTimeField()
    status = models.CharField(max_length=8, choices=WorkSession.Status)
    reason = models.CharField(max_length=10, blank=True, default="")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", null=True)

    class Meta:
        ordering = ["at", "pk"]

    def __str__(self) -> str:
        return f"{self.status} at {self.at:%Y-%m-%d %H:%M:%S}"

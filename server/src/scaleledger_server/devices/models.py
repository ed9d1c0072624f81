"""A gateway as the centre knows it, and the alarms about who it claims to be and what it claims to hold."""

import hashlib

from django.db import models


class Gateway(models.Model):
    """One gateway, named by its MAC address (lower case, colons).

    `public_key` is its Ed25519 key in hex, "" for a plain client that has none. No token is stored: it follows from the
    server's secret, this row and `token_generation`. `anchor_seq` (0 = none yet) and `anchor_hash` are the highest head
    of its ledger ever seen here, with the gateway's `anchor_signature`; they never go back. `reported` is what its last sign of life said.
    """

    class Status(models.TextChoices):
        PENDING = "pending"
        ACTIVE = "active"
        INACTIVE = "inactive"

    mac_address = models.CharField("MAC address", max_length=17, unique=True)
    hostname = models.CharField(max_length=255, blank=True)
    ip_address = models.CharField("IP address", max_length=39, blank=True)
    name = models.CharField(max_length=100, blank=True)
    description = models.TextField(blank=True, default="")
    status = models.CharField(max_length=8, choices=Status, default=Status.PENDING)
    public_key = models.CharField(max_length=64, blank=True, default="")
    token_generation = models.PositiveIntegerField(default=1)
    last_heartbeat = models.DateTimeField(null=True, blank=True)
    anchor_seq = models.BigIntegerField(default=0)
    anchor_hash = models.CharField(max_length=64, blank=True, default="")
    anchor_signature = models.CharField(max_length=128, blank=True, default="")
    reported = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["mac_address"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status__in=["pending", "active", "inactive"]), name="gateway_status"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name or self.hostname} ({self.mac_address})"

    @property
    def fingerprint(self) -> str:
        """The first 16 hex digits of SHA-256 over the key, in groups of four; "" without a key."""
        if not self.public_key:
            return ""
        digits = hashlib.sha256(bytes.fromhex(self.public_key)).hexdigest()[:16]
        return " ".join(digits[i : i + 4] for i in range(0, 16, 4))


class IdentityConflict(models.Model):
    """Somebody asked to be registered under a known MAC address with another key (or with none). A person decides."""

    gateway = models.ForeignKey(Gateway, on_delete=models.CASCADE, related_name="identity_conflicts")
    public_key = models.CharField(max_length=64, blank=True)
    hostname = models.CharField(max_length=255, blank=True)
    ip_address = models.CharField("IP address", max_length=39, blank=True)
    remote_address = models.CharField(max_length=64, blank=True)
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    times = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["-last_seen"]
        constraints = [models.UniqueConstraint(fields=["gateway", "public_key"], name="one_row_per_claimed_key")]

    def __str__(self) -> str:
        return f"{self.gateway.mac_address} claimed with another key"


class HeadAlarm(models.Model):
    """A gateway's ledger head that cannot be believed: its signature is wrong, or another hash stands at its number."""

    class Kind(models.TextChoices):
        CONFLICT = "conflict", "another hash at this number"
        SIGNATURE = "signature", "not signed with the gateway's key"

    gateway = models.ForeignKey(Gateway, on_delete=models.PROTECT, related_name="head_alarms")
    kind = models.CharField(max_length=9, choices=Kind)
    seq = models.BigIntegerField()
    hash = models.CharField(max_length=64)
    held_hash = models.CharField(max_length=64, blank=True)
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    times = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["-last_seen"]
        constraints = [models.UniqueConstraint(fields=["gateway", "kind", "seq", "hash"], name="one_row_per_head")]

    def __str__(self) -> str:
        return f"{self.gateway.mac_address} head {self.seq}: {self.get_kind_display()}"

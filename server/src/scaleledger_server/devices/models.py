"""A gateway as the centre knows it: its key and tokens, its stations and ports, and the alarms about it."""

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q

from scaleledger_server.devices.identity import fingerprint_of

SECONDS_BOUNDS = [MinValueValidator(0.1), MaxValueValidator(3600)]
PLAIN_DECIMAL = RegexValidator(r"\A[0-9]{1,14}(\.[0-9]{1,6})?\Z", "Write a plain number such as 0.5 or 1500.")


class Gateway(models.Model):
    """One gateway, named by its MAC address (lower case, colons), which only one row that was not replaced may bear.

    `public_key` is its Ed25519 key in hex, "" for a plain client that has none. `anchor_seq` (0 = none yet) and
    `anchor_hash` are the highest head of its ledger ever seen here, with the gateway's `anchor_signature`; they never go
    back. `reported` is what its last sign of life said; `stations_version` rises with every change of its stations, and
    `stations_mark` is new each time. `remote_network` is where it was last heard from, unlike `ip_address`, which it says.
    A gateway that was replaced keeps its records and is never found by its MAC address again.
    """

    class Status(models.TextChoices):
        PENDING = "pending"
        ACTIVE = "active"
        INACTIVE = "inactive"
        REPLACED = "replaced"

    mac_address = models.CharField("MAC address", max_length=17)
    hostname = models.CharField(max_length=255, blank=True)
    ip_address = models.CharField("IP address", max_length=39, blank=True)
    name = models.CharField(max_length=100, blank=True)
    description = models.TextField(blank=True, default="", max_length=2000)
    status = models.CharField(max_length=8, choices=Status, default=Status.PENDING)
    public_key = models.CharField(max_length=64, blank=True, default="")
    last_heartbeat = models.DateTimeField(null=True, blank=True)
    anchor_seq = models.BigIntegerField(default=0)
    anchor_hash = models.CharField(max_length=64, blank=True, default="")
    anchor_signature = models.CharField(max_length=128, blank=True, default="")
    reported = models.JSONField(default=dict, blank=True)
    stations_version = models.PositiveBigIntegerField(default=1)
    stations_mark = models.CharField(max_length=8, blank=True, default="")
    remote_network = models.CharField("heard from", max_length=64, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["mac_address", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["pending", "active", "inactive", "replaced"]), name="gateway_status"
            ),
            models.UniqueConstraint(
                fields=["mac_address"], condition=~Q(status="replaced"), name="one_gateway_per_mac_address"
            ),
        ]
        indexes = [models.Index(fields=["mac_address"], name="gateway_mac_address")]

    def __str__(self) -> str:
        return f"{self.name or self.hostname} ({self.mac_address})"

    @property
    def stations_tag(self) -> str:
        """The name of what its stations are now: the ETag's text."""
        return f"{self.stations_version}-{self.stations_mark}" if self.stations_mark else str(self.stations_version)

    @property
    def fingerprint(self) -> str:
        """What both screens show of the key; "" without a key."""
        return fingerprint_of(self.public_key)


class AccessToken(models.Model):
    """A token that was handed out, as its SHA-256. `expires_at` is null for those that last until they are ended."""

    class How(models.TextChoices):
        PROOF = "proof", "the gateway proved its key"
        CLAIM = "claim", "claim code"
        PLAIN = "plain", "MAC address alone"
        SHOWN = "shown", "shown to an administrator"

    gateway = models.ForeignKey(Gateway, on_delete=models.CASCADE, related_name="tokens")
    digest = models.CharField(max_length=64, unique=True)
    how = models.CharField(max_length=5, choices=How)
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-issued_at"]

    def __str__(self) -> str:
        return f"token of {self.gateway.mac_address}, {self.get_how_display()}"


class UsedChallenge(models.Model):
    """The nonce of a challenge that was answered, kept until the challenge would be too old anyway."""

    nonce = models.CharField(max_length=32, primary_key=True)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.nonce


class ClaimCode(models.Model):
    """A code that lets one gateway be active at once. Only the SHA-256 of its secret part is kept."""

    code_id = models.CharField("first group", max_length=4, unique=True)
    digest = models.CharField(max_length=64)
    name = models.CharField("name for the gateway", max_length=100, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    tries = models.PositiveSmallIntegerField("wrong tries", default=0)
    used_by = models.ForeignKey(Gateway, on_delete=models.CASCADE, null=True, blank=True)
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.code_id}-…"


class Station(models.Model):
    """A weighing station that the centre assigns to a gateway: where its indicator is, and how it is weighed there.

    The `serial_*` texts say which port (never null: plain clients need them). Without `driver` only plain clients run
    it. Numbers are text with the digits a person wrote.
    """

    class Mode(models.TextChoices):
        AUTO = "auto", "auto: the load alone"
        TAG = "tag", "tag: a card, then the load"

    class Rearm(models.TextChoices):
        ZERO = "zero"
        DROP = "drop"
        DELTA = "delta"
        MANUAL = "manual"

    gateway = models.ForeignKey(Gateway, on_delete=models.CASCADE, related_name="stations")
    name = models.CharField(max_length=100)
    description = models.TextField(blank=True, default="", max_length=2000)
    serial_port = models.CharField(max_length=100, blank=True, default="")
    serial_description = models.CharField(max_length=100, blank=True, default="")
    serial_location = models.CharField(max_length=100, blank=True, default="")
    serial_number = models.CharField(max_length=100, blank=True, default="")
    serial_manufacturer = models.CharField(max_length=100, blank=True, default="")
    driver = models.CharField(max_length=40, blank=True, default="")
    url = models.CharField("URL", max_length=200, blank=True, default="", help_text="Empty: the serial port.")
    options = models.JSONField(default=dict, blank=True, help_text="The driver's options, as a JSON object.")
    mode = models.CharField(max_length=4, choices=Mode, default=Mode.AUTO)
    unit = models.CharField(max_length=8, blank=True, default="")
    division = models.CharField(max_length=21, blank=True, default="", validators=[PLAIN_DECIMAL])
    min_weight = models.CharField(max_length=21, blank=True, default="", validators=[PLAIN_DECIMAL])
    max_weight = models.CharField(max_length=21, blank=True, default="", validators=[PLAIN_DECIMAL])
    rearm = models.CharField(max_length=6, choices=Rearm, blank=True, default="")
    stability = models.JSONField(default=dict, blank=True, help_text='A JSON object such as {"frames": 3}.')
    reader_driver = models.CharField(max_length=40, blank=True, default="")
    reader_url = models.CharField("reader URL", max_length=200, blank=True, default="")
    timeout_s = models.FloatField("timeout in s", null=True, blank=True, validators=SECONDS_BOUNDS)
    stale_s = models.FloatField("stale after s", null=True, blank=True, validators=SECONDS_BOUNDS)
    enabled = models.BooleanField(default=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["gateway_id", "name"]
        constraints = [models.UniqueConstraint(fields=["gateway", "name"], name="one_station_per_name")]

    def __str__(self) -> str:
        return f"{self.name} at {self.gateway}"


class ScannedPort(models.Model):
    """A serial port that the gateway found at its last scan; numbers as text, "" for what it could not say."""

    gateway = models.ForeignKey(Gateway, on_delete=models.CASCADE, related_name="ports")
    device = models.CharField(max_length=200)
    name = models.CharField(max_length=200, blank=True)
    description = models.CharField(max_length=200, blank=True)
    hwid = models.CharField("hardware id", max_length=200, blank=True)
    vid = models.CharField("vendor id", max_length=20, blank=True)
    pid = models.CharField("product id", max_length=20, blank=True)
    serial_number = models.CharField(max_length=200, blank=True)
    location = models.CharField(max_length=200, blank=True)
    manufacturer = models.CharField(max_length=200, blank=True)
    product = models.CharField(max_length=200, blank=True)
    interface = models.CharField(max_length=200, blank=True)
    seen_at = models.DateTimeField()

    class Meta:
        ordering = ["device"]
        constraints = [models.UniqueConstraint(fields=["gateway", "device"], name="one_row_per_port")]

    def __str__(self) -> str:
        return self.device


class GatewayAlarm(models.Model):
    """Something about a gateway that a person should look at; one open alarm per gateway and kind.

    `told_at` is when a mail about it was handed over, so that none is sent twice.
    """

    class Kind(models.TextChoices):
        LATE = "late", "no sign of life"
        CLOCK = "clock", "its clock is wrong"
        DISK = "disk", "its disk is nearly full"
        QUARANTINED = "quarantined", "records were refused and set aside"
        STATIONS_REFUSED = "stations_refused", "it could not take its stations over"
        IDENTITY = "identity", "somebody claims to be it with another key"

    gateway = models.ForeignKey(Gateway, on_delete=models.CASCADE, related_name="alarms")
    kind = models.CharField(max_length=16, choices=Kind)
    detail = models.CharField(max_length=500)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    told_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-opened_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["gateway", "kind"], condition=Q(closed_at__isnull=True), name="one_open_alarm_per_kind"
            )
        ]

    def __str__(self) -> str:
        return f"{self.gateway.mac_address}: {self.get_kind_display()}"


class IdentityConflict(models.Model):
    """Somebody asked to be registered under a known MAC address with another key (or with none). A person decides.

    `proved` says whether that somebody showed that it holds the key.
    """

    gateway = models.ForeignKey(Gateway, on_delete=models.CASCADE, related_name="identity_conflicts")
    public_key = models.CharField(max_length=64, blank=True)
    proved = models.BooleanField(default=False)
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

    @property
    def fingerprint(self) -> str:
        """Of the key that was shown; "" when none was."""
        return fingerprint_of(self.public_key)


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

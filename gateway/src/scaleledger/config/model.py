"""What can be configured, and every default. Unknown keys are errors; weights are decimal text.

The sections of the file are the fields of `Config`; docs/reference/configuration.md is written from these descriptions.
"""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import Discriminator, Field, Tag, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from scaleledger.config.plant import (
    CarnitrackSection,
    DashboardSection,
    ListenerSection,
    PluSection,
    PrinterSection,
    Section,
    kind_of_uplink,
)
from scaleledger.domain.rearm import RearmRule
from scaleledger.domain.stability import Evidence
from scaleledger.domain.station import Mode
from scaleledger.drivers import takes

Assignable = Literal["none", "serial", "any"]
Weight = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]


class GatewaySection(Section):
    """Who this gateway is, and where its data is."""

    data_dir: Path = Field(description="Folder for the ledger, the key and the lock; made with mode 0700.")
    name: str = Field("", max_length=100, description="A name for people; the host's name if empty.")
    mac_address: str = Field(
        "",
        pattern=r"^$|^[0-9a-f]{2}(:[0-9a-f]{2}){5}$",
        description="The gateway's label in URLs; the first network card's address if empty.",
    )
    timezone: str = Field("", description="The site's zone (\"Asia/Seoul\"); the machine's own if empty.")
    require_registration: bool = Field(
        default=False,
        description="True: a gateway that was never approved by the centre refuses to weigh. False: it weighs, and keeps.",
    )

    @field_validator("timezone")
    @classmethod
    def zone_exists(cls, value: str) -> str:
        """Only a zone this machine knows."""
        if value and value not in available_timezones():
            raise ValueError(f"no such time zone: {value!r}")
        return value


class LogSection(Section):
    """What is written about the gateway's work."""

    format: Literal["auto", "json", "pretty"] = Field(
        "auto", description="auto: pretty on a terminal, else JSON lines."
    )
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least that is written.")
    file: Path | None = Field(None, description="Also write to this file, rotated at 5 MB, five kept.")


class StoreSection(Section):
    """The ledger's disk."""

    reserve_mb: int = Field(64, ge=1, le=4096, description="Room kept free inside the database for a full disk, in MB.")


class StabilitySection(Section):
    """When a weight is at rest. Leave out what the indicator's own flag decides."""

    evidence: Evidence | None = Field(None, description='"flag" or "computed"; by the protocol if left out.')
    frames: int = Field(3, ge=2, le=100, description="Flag: so many stable frames in a row.")
    cover_s: float = Field(0.3, ge=0, le=10, description="Flag: over at least this time.")
    band_d: int = Field(1, ge=1, le=100, description="Within so many divisions.")
    window_s: float = Field(1.0, gt=0, le=30, description="Computed: in the band for this long.")
    samples: int = Field(5, ge=3, le=1000, description="Computed: and at least so many frames.")
    trust_motion: bool = Field(default=True, description="False only for a flag known to stick; doubles the window.")


class ReaderSection(Section):
    """A card reader of its own beside the indicator."""

    driver: str = Field(description="The reader's protocol.")
    url: str = Field(description="The reader's port.")
    options: dict[str, Any] = Field(default_factory=dict, description="Options of the driver.")


class StationSection(Section):
    """One weighing station."""

    name: str = Field(min_length=1, max_length=100, description="Its name; unique; stands in every record.")
    driver: str = Field(description="The indicator's protocol.")
    url: str = Field(description="serial:///dev/…?baud=9600, tcp://host:port, tcp-listen://address:port, replay:file")
    mode: Mode = Field(Mode.AUTO, description='"tag": a card arms, the stable load commits. "auto": the load alone.')
    options: dict[str, Any] = Field(default_factory=dict, description="Options of the driver.")
    reader: ReaderSection | None = Field(None, description="A card reader on a port of its own.")
    unit: str | None = Field(
        None, max_length=8, description="Only this unit is captured; completes frames without one."
    )
    division: Weight | None = Field(
        None, gt=0, description="The scale interval d; by the printed decimals if left out."
    )
    min_weight: Weight | None = Field(None, description="The smallest load; 20 divisions if left out.")
    max_weight: Weight | None = Field(None, description="The largest load.")
    rearm: RearmRule = Field(RearmRule.ZERO, description="What ends one load: zero, drop, delta, manual.")
    stability: StabilitySection = Field(default_factory=StabilitySection, description="When a weight is at rest.")
    timeout_s: float = Field(
        30.0, ge=1, le=600, description="A load that does not come to rest is told after this time."
    )
    stale_s: float = Field(2.0, ge=0.5, le=86400, description="A value is unknown when no frame came for this long.")

    @property
    def driver_options(self) -> dict[str, Any]:
        """The driver's options, with the station's unit for a driver that has to be told one."""
        told = {"unit": self.unit} if self.unit is not None and takes(self.driver, "unit") else {}
        return told | self.options


class UplinkSection(Section):
    """One centre that records are delivered to."""

    type: Literal["central"] = Field("central", description="The contract spoken.")
    url: str = Field(pattern=r"^https?://[^/\s]+", description="The centre's address.")
    ca_file: Path | None = Field(None, description="A private certificate authority to trust.")
    heartbeat_interval_s: float = Field(30.0, gt=0, le=3600, description="Between two signs of life.")
    pending_interval_s: float = Field(
        10.0, gt=0, le=3600, description="Between two questions while approval is pending."
    )
    server_key: str = Field(
        "",
        pattern=r"^$|^[0-9a-f]{64}$",
        description="The centre's key that receipts are proved with, in hex; the first one it shows if empty.",
    )
    stations: Assignable = Field(
        "serial",
        description='What the centre may assign: "none", "serial" (serial ports that the scan shows), "any" address.',
    )
    ports: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = Field(
        (), max_length=16, description='More device paths for the scan, as "/dev/serial/by-id/*".'
    )
    sweep_interval_s: float = Field(5.0, gt=0, le=3600, description="The fallback look for undelivered records.")


class CardsSection(Section):
    """Cards known here. They go before the centre's list; with neither, every card is taken and its text kept."""

    known: tuple[str, ...] = Field((), max_length=100_000, description="Known cards.")
    file: Path | None = Field(None, description="A file with one card per line; the rest of a line is ignored.")


AnyUplink = Annotated[
    Annotated[UplinkSection, Tag("central")] | Annotated[CarnitrackSection, Tag("carnitrack")],
    Discriminator(kind_of_uplink),
]


class Config(BaseSettings):
    """The whole file; SCALELEDGER_<SECTION>__<KEY> in the environment overrides what it says."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix="SCALELEDGER_",
        env_nested_delimiter="__",
        nested_model_default_partial_update=True,
    )

    gateway: GatewaySection
    log: LogSection = Field(default_factory=LogSection)
    store: StoreSection = Field(default_factory=StoreSection)
    station: tuple[StationSection, ...] = Field((), max_length=256)
    listener: tuple[ListenerSection, ...] = Field((), max_length=16)
    uplink: tuple[AnyUplink, ...] = Field((), max_length=2)
    cards: CardsSection = Field(default_factory=CardsSection)
    printer: tuple[PrinterSection, ...] = Field((), max_length=32)
    plu: PluSection | None = None
    dashboard: DashboardSection | None = None

    @property
    def central(self) -> UplinkSection | None:
        """The uplink that speaks the central contract."""
        return next((section for section in self.uplink if isinstance(section, UplinkSection)), None)

    @property
    def carnitrack(self) -> CarnitrackSection | None:
        """The uplink that speaks the CarniTrack contract."""
        return next((section for section in self.uplink if isinstance(section, CarnitrackSection)), None)

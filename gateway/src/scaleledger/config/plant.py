"""What a plant adds to the configuration: scales that dial in, printers, product files, the dashboard, a CarniTrack cloud."""

import ipaddress
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

DeviceId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
DeviceType = Literal["disassembly", "retail", "receiving"]
Role = Literal["carcass", "meat_cut", "offal", "by_product", "animal", "generic"]


class Section(BaseModel):
    """A part of the file: unknown keys are refused, values cannot be changed later."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ScaleSection(Section):
    """One scale of a listener, known by the name that it registers with. What is left out is as for the listener."""

    id: DeviceId = Field(description='The name the scale registers with ("SCALE-01").')
    name: str = Field("", max_length=100, description="A name for people, until somebody changes it on the dashboard.")
    location: str = Field("", max_length=100, description="Where it stands.")
    type: DeviceType = Field("disassembly", description="What it is used for.")
    unit: Literal["g", "kg"] | None = Field(None, description="The unit of its numbers.")
    decimals: int | None = Field(None, ge=0, le=4, description="So many of its digits stand behind the point.")
    codepage: str | None = Field(None, max_length=30, description="The code page of its texts.")
    timezone: str | None = Field(None, description="The zone of its clock.")


class ListenerSection(Section):
    """A port on which scales dial in and send finished weighings by themselves."""

    name: str = Field(min_length=1, max_length=100, description="Its name; unique among listeners and stations.")
    driver: str = Field("dp401-csv", description="The scales' protocol.")
    url: str = Field("tcp-listen://0.0.0.0:8899", description="Where they dial in: tcp-listen://address:port?allow=…")
    unit: Literal["g", "kg"] = Field(description="The unit of the scales' numbers: the line itself does not say it.")
    decimals: int = Field(0, ge=0, le=4, description="So many of the scales' digits stand behind the point.")
    codepage: str = Field("windows-1254", max_length=30, description="The code page of the scales' texts.")
    timezone: str = Field("", description="The zone of the scales' clocks; the gateway's if empty.")
    scale: tuple[ScaleSection, ...] = Field((), max_length=256, description="Scales that differ, or have a name.")
    only_listed: bool = Field(default=False, description="True: a scale that is not listed here is turned away.")
    registration_s: float = Field(
        60.0, ge=1, le=3600, description="A link that has not named itself by then is closed."
    )
    idle_s: float = Field(300.0, ge=1, le=86400, description="Without a weighing for this long, a scale is idle.")
    stale_s: float = Field(75.0, ge=1, le=86400, description="Without any byte for this long, a scale is stale.")
    lost_s: float = Field(150.0, ge=1, le=86400, description="Without any byte for this long, its link is closed.")
    clock_tolerance_s: float = Field(
        120.0, ge=1, le=86400, description="A scale's time is believed when it is no further from ours than this."
    )

    @field_validator("codepage")
    @classmethod
    def codepage_exists(cls, value: str) -> str:
        """Only a code page that Python knows."""
        return _known_codepage(value)

    @field_validator("timezone")
    @classmethod
    def zone_exists(cls, value: str) -> str:
        """Only a zone this machine knows."""
        return _known_zone(value)


class CarnitrackSection(Section):
    """A cloud that speaks the CarniTrack contract: WebSocket v3 (ws, wss) or REST v1 (http, https), by the address."""

    type: Literal["carnitrack"] = Field(description="The contract spoken.")
    url: str = Field(pattern=r"^(wss?|https?)://[^/\s]+", description="The cloud's address.")
    api_url: str = Field(
        "",
        pattern=r"^$|^https?://[^/\s]+",
        description="Its REST address, for products and print jobs beside a WebSocket; made from `url` if empty.",
    )
    api_key: SecretStr = Field(SecretStr(""), description="The site's key; better in the environment or in a file.")
    api_key_file: Path | None = Field(None, description="A file that holds the site's key and nothing else.")
    site_id: str = Field("", max_length=100, description="The site's id at the cloud.")
    site_name: str = Field("", max_length=100, description="The site's name for people.")
    ca_file: Path | None = Field(None, description="A private certificate authority to trust.")
    idle_poll_s: float = Field(120.0, gt=0, le=3600, description="REST: between two looks while no scale is connected.")
    waiting_poll_s: float = Field(5.0, gt=0, le=3600, description="REST: while a connected scale has no session.")
    active_poll_s: float = Field(5.0, gt=0, le=3600, description="REST: while sessions are active.")
    heartbeat_interval_s: float = Field(30.0, gt=0, le=3600, description="Between two signs of life.")
    session_age_s: float = Field(
        86_400.0, ge=60, le=30 * 86_400, description="A cached session older than this is shown as old; it still holds."
    )
    sweep_interval_s: float = Field(5.0, gt=0, le=3600, description="The fallback look for undelivered records.")


class PrinterSection(Section):
    """A network printer."""

    id: DeviceId = Field(description="Its name, unique.")
    url: str = Field(pattern=r"^tcp://[^/\s]+:\d+$", description="tcp://host:9100")
    language: Literal["tspl", "escpos"] = Field("tspl", description="What it understands.")
    role: Role | Literal["slip"] = Field(
        "generic", description="Which labels it prints. slip: a slip of every weighing, as soon as it is saved."
    )
    name: str = Field("", max_length=100, description="A name for people.")
    priority: int = Field(100, ge=0, le=1000, description="Of several printers for a role, the lowest number first.")
    codepage: str = Field(
        "", max_length=30, description="The code page of texts; cp949 for escpos, windows-1254 for tspl."
    )
    columns: int = Field(32, ge=16, le=64, description="Characters on a line of a slip printer.")
    texts: Literal["en", "ko", "tr"] = Field("en", description="The language of slips and test labels.")
    label_width_mm: int = Field(58, ge=20, le=200, description="Its labels' width.")
    label_height_mm: int = Field(40, ge=15, le=300, description="Its labels' height.")
    label_gap_mm: int = Field(2, ge=0, le=30, description="The gap between two labels.")

    @field_validator("codepage")
    @classmethod
    def codepage_exists(cls, value: str) -> str:
        """Only a code page that Python knows."""
        return _known_codepage(value) if value else value


class PluSection(Section):
    """Product files for the scales."""

    families: tuple[Literal["dp401"], ...] = Field(("dp401",), description="Which families of scales get a file.")
    folder: Path = Field(Path("generated"), description="Where the files are written, below the data folder.")


class DashboardSection(Section):
    """The gateway's own pages. They need a login; beyond this machine they need TLS too."""

    address: str = Field("127.0.0.1:3000", description="address:port; 0.0.0.0:3000 for the whole network, with TLS.")
    hosts: tuple[str, ...] = Field((), max_length=32, description="More host names by which it may be called.")
    cert_file: Path | None = Field(None, description="TLS certificate; one is made if empty and TLS is needed.")
    key_file: Path | None = Field(None, description="The certificate's key.")
    session_hours: float = Field(12.0, ge=0.1, le=720, description="A login lasts so long.")

    @field_validator("address")
    @classmethod
    def address_is_one(cls, value: str) -> str:
        """An IP address and a port."""
        host, colon, port = value.rpartition(":")
        ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
        if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise ValueError("needs address:port, as 127.0.0.1:3000")
        return value

    @model_validator(mode="after")
    def both_or_none(self) -> Self:
        """A certificate without its key is of no use."""
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file go together")
        return self


def kind_of_uplink(value: Any) -> str:
    """Which contract an uplink section speaks: its `type`, "central" if left out."""
    told = value.get("type", "central") if isinstance(value, dict) else getattr(value, "type", "central")
    return str(told)


def _known_codepage(value: str) -> str:
    try:
        "".encode(value)
    except LookupError:
        raise ValueError(f"no such code page: {value!r}") from None
    return value


def _known_zone(value: str) -> str:
    if value and value not in available_timezones():
        raise ValueError(f"no such time zone: {value!r}")
    return value

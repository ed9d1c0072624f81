"""The real clock, and the two facts that make a time provable later: the boot it belongs to and the site's zone."""

import time
import uuid
from datetime import UTC, datetime, tzinfo
from pathlib import Path

_KERNEL_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class SystemClock:
    """The machine's own time. `monotonic` is the event loop's time as well."""

    def monotonic(self) -> float:
        return time.monotonic()

    def now(self) -> datetime:
        return datetime.now(UTC)


def boot_id(kernel: Path = _KERNEL_BOOT_ID) -> str:
    """The kernel's id of this boot; where there is none, a random one, so ask once per process and keep it."""
    try:
        return kernel.read_text(encoding="ascii").strip()
    except OSError:
        return str(uuid.uuid4())


def utc_offset_min(zone: tzinfo | None = None) -> int:
    """The site's offset from UTC now, minutes east; `zone` None takes the machine's."""
    offset = datetime.now(UTC).astimezone(zone).utcoffset()
    assert offset is not None, "an aware time has an offset"
    return round(offset.total_seconds() / 60)

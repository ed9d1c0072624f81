"""The real clock, and the two facts that make a time provable later: the boot it belongs to and the site's zone."""

import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class SystemClock:
    """The machine's own time. `monotonic` is the event loop's time as well."""

    def __init__(self) -> None:
        self.boot_id = _read_boot_id()

    def monotonic(self) -> float:
        return time.monotonic()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def utc_offset_min(self) -> int:
        """The site's offset from UTC now, minutes east."""
        offset = datetime.now(UTC).astimezone().utcoffset()
        assert offset is not None, "an aware time has an offset"
        return round(offset.total_seconds() / 60)


def _read_boot_id() -> str:
    """The kernel's id of this boot; where there is none, a random one that is this process's own."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return str(uuid.uuid4())

"""Drafts, and a store in a folder."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from scaleledger.domain.weighing import Draft
from scaleledger.store import Store

MAC = "02:5a:1e:d6:e4:01"
START = datetime(2026, 11, 21, 2, 10, tzinfo=UTC)


class StoppedClock:
    """Always the same time."""

    def now(self):
        return START


def draft(number, **changed):
    """The draft of that number, the same each time it is asked for."""
    fields = {
        "uuid": f"0192f0c1-7a00-7000-8000-{number:012d}",
        "station": "dock-1",
        "driver": "suwol-1000",
        "mode": "tag",
        "weight": Decimal("152.50") + number,
        "unit": "kg",
        "measured_at": START + timedelta(seconds=number),
        "card": "00345678",
        "raw": b"\x02152.50 kg\x03",
        "evidence": (("frames", "3"), ("mode", "flag")),
    }
    return Draft(**(fields | changed))


async def open_store(folder, **changed):
    """A store in `folder` with no reserve."""
    settings = {"clock": StoppedClock(), "mac_address": MAC, "hostname": "gate", "reserve_mb": 0, "software": "0.1.0"}
    return await Store.open(folder, **(settings | changed))

"""The demonstration: a small plant at work, told as it happens, and its books at the end."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scaleledger.simulators.plant import Plant, Report
from scaleledger.simulators.yard import StationSpec

CARDS = ("A1B2C3D4", "00345678", "5F00C0DE", "1234ABCD")
STATIONS = (
    StationSpec("auction-1", "suwol-1000", cards=CARDS[:2], rest_s=0.3),
    StationSpec("auction-2", "suwol-1000", cards=CARDS[2:], rest_s=0.6),
    StationSpec("yard", "fg-150kal", on="tcp-listen://127.0.0.1:0", scenario="pallet"),
    StationSpec("belt", "st-gs-comma", scenario="bench", rate_hz=20.0, pieces=2),
)
TOLD = {"net.approved", "net.registered", "net.quarantined", "net.link_error", "sys.part_failed", "sys.store_full"}

Say = Callable[[str], None]


async def demonstrate(folder: Path, seconds: float, say: Say, *, stop: asyncio.Event, port: int = 0) -> Report:
    """Run until `seconds` are over (0: until `stop` is set), drain, and compare the books. `folder` holds everything.

    Raises PlantError if the server or the gateway does not start.
    """

    def tell(event: dict[str, Any]) -> None:
        words = in_words(event)
        if words:
            say(words)

    async with Plant(folder, STATIONS, port=port, watch=tell) as plant:
        say(f"server       {plant.server.address}/   gateways and newest weighings, live")
        say(f"gateway      {plant.gateway.config}")
        await plant.gateway.start()
        say(f"approved     {await plant.server.approve()}, as an administrator would")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds or None)
        say("stopping     the operators finish their boxes, the gateway delivers what is queued")
        await plant.yard.finish()
        await plant.gateway.drained(plant.gateway.saved)
        await plant.gateway.stop()
        return await plant.compare()


def in_words(event: dict[str, Any]) -> str:
    """A log line of the gateway as a person wants to see it; empty for most."""
    name = event.get("event")
    if name == "biz.saved":
        card = f"  card {event['card']}" if event.get("card") else ""
        return f"saved        #{event['seq']:<5} {event['station']:<10} {event['weight']:>9} {event['unit']}{card}"
    if name == "net.delivered":
        return f"on server    up to #{event['upto']}"
    return f"{name:<12} {event.get('error', '')}" if name in TOLD else ""

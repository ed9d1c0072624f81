"""The demonstration: a fishery's hall and a meat plant at work, told as it happens, and their books at the end.

An administrator does at the centre's pages what one does on the first day: compares the gateway's fingerprint and approves it,
assigns stations to the ports that the gateway found, enters producers, goods and cards. Then boxes are weighed. In the plant
butchers start sessions on the phone page and print labels at their scales; in the middle the plant's way to the server is cut.
"""

import asyncio
import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scaleledger.simulators.administrator import Administrator
from scaleledger.simulators.books import Report
from scaleledger.simulators.butchery import Butchery
from scaleledger.simulators.plant import START_WITHIN_S, Plant, PlantError
from scaleledger.simulators.yard import StationSpec

CARDS = {
    "A1B2C3D4": ("North Star", "Mackerel"),
    "00345678": ("North Star", "Squid"),
    "5F00C0DE": ("Blue Bay", "Mackerel"),
    "1234ABCD": ("Blue Bay", "Hairtail"),
}
UIDS = tuple(CARDS)
STATIONS = (
    StationSpec("auction-1", "suwol-1000", cards=UIDS[:2], rest_s=0.3, patience_s=4.0),
    StationSpec("auction-2", "suwol-1000", cards=UIDS[2:], rest_s=0.6, patience_s=4.0),
    StationSpec("yard", "fg-150kal", on="tcp-listen://127.0.0.1:0", scenario="pallet"),
    StationSpec("belt", "st-gs-comma", scenario="bench", rate_hz=20.0, pieces=2),
)
LABEL_SCALES = (
    StationSpec("scale-01", "dp401-csv", device="SCALE-01", rest_s=0.4),
    StationSpec("scale-02", "dp401-csv", device="SCALE-02", rest_s=0.7),
)
ANIMALS = {"SCALE-01": "TR-35-0001", "SCALE-02": "TR-35-0002"}
CUT_OFF_S = 10.0
ASSIGNED = {"auction-1": {"mode": "tag", "division": "0.5"}, "auction-2": {"mode": "tag", "division": "0.5"}}
TOLD = {"net.approved", "net.quarantined", "net.link_error", "sys.part_failed", "sys.store_full"}
PERSON = "demo"
PAUSE_S = 0.2

Say = Callable[[str], None]


async def demonstrate(folder: Path, seconds: float, say: Say, *, stop: asyncio.Event, port: int = 0) -> Report:
    """Run until `seconds` are over (0: until `stop` is set), drain, and compare the books. `folder` holds everything.

    Raises PlantError or AdministratorError if the server or the gateway does not start or refuses what it should take.
    """
    pending = asyncio.Event()
    seen: dict[str, str] = {}

    def tell(event: dict[str, Any]) -> None:
        if event.get("event") == "net.pending":
            seen["fingerprint"] = str(event["fingerprint"])
            pending.set()
        words = in_words(event)
        if words:
            say(words)

    async with Plant(folder, STATIONS, port=port, watch=tell, assigned=frozenset(ASSIGNED)) as plant:
        password = await plant.server.administrator(PERSON)
        say(f"live page    {plant.server.address}/auction/   as the hall sees it")
        say(f"server       {plant.server.address}/   gateways and newest weighings")
        say(f"admin        {plant.server.address}/admin/   user {PERSON}, password {password}")
        say(f"gateway      {plant.gateway.config}")
        await plant.gateway.start()
        async with asyncio.timeout(START_WITHIN_S):
            await pending.wait()
        person = await asyncio.to_thread(Administrator, plant.server.address, PERSON, password)
        await _first_day(plant, person, seen["fingerprint"], say)
        async with Butchery(folder / "meat-plant", plant.server, LABEL_SCALES, watch=tell) as butchery:
            await butchery.gateway.start()
            await _work(butchery, person, seconds, say, stop)
            say("stopping     the operators finish their boxes and cuts, the gateways deliver what is queued")
            await asyncio.gather(plant.yard.finish(), butchery.yard.finish())
            for shift in butchery.shifts:
                await butchery.end(person, shift)
            await plant.gateway.drained(plant.gateway.saved)
            cuts = await butchery.settled()
            await asyncio.gather(plant.gateway.stop(), butchery.gateway.stop())
            report = await plant.compare()
            report.add(cuts)
            return report


async def _work(butchery: Butchery, person: Administrator, seconds: float, say: Say, stop: asyncio.Event) -> None:
    """The plant's shift: sessions are started on the phone page, and for a while the server is out of reach."""
    for device, animal in ANIMALS.items():
        await butchery.begin(person, device, animal)
        say(f"session      {animal} at {device}, started on the phone page {butchery.server.address}/shifts/")
    away_s = min(CUT_OFF_S, seconds / 2) if seconds else CUT_OFF_S
    before_s = (seconds - away_s) / 2 if seconds else away_s
    if await _passes(before_s, stop):
        return
    await butchery.way.cut()
    say(f"cut off      the meat plant has no way to the server for {away_s:.0f} s; the scales go on")
    stopped = await _passes(away_s, stop)
    await butchery.way.mend()
    say("mended       what was weighed meanwhile is delivered")
    if not stopped:
        await _passes(before_s if seconds else 0, stop)


async def _passes(seconds: float, stop: asyncio.Event) -> bool:
    """Wait for that long (0: without end), or until `stop`; whether it was that."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds or None):
            await stop.wait()
    return stop.is_set()


async def _first_day(plant: Plant, person: Administrator, fingerprint: str, say: Say) -> None:
    """Everything that an administrator does before the first box."""
    gateway_id = await asyncio.to_thread(_asking, person, fingerprint)
    say(f"approving    the gateway whose screen and whose row at the centre show {fingerprint}")
    await asyncio.to_thread(_enter_cards, person)
    say(f"entered      {len(CARDS)} cards of {len({name for name, _ in CARDS.values()})} producers")
    await asyncio.to_thread(person.approve, gateway_id)
    ports = [plant.yard.urls[name].removeprefix("pty:") for name in ASSIGNED]
    await _scanned(person, gateway_id, ports)
    for (name, settings), port in zip(ASSIGNED.items(), ports, strict=True):
        fields = {"gateway": str(gateway_id), "name": name, "serial_port": port, "driver": "suwol-1000", "unit": "kg"}
        await asyncio.to_thread(lambda given: person.add("devices/station", **given), {**fields, **settings})
        say(f"assigned     {name} to {port}")


def _asking(person: Administrator, fingerprint: str) -> int:
    """The number of the gateway that asks with this fingerprint."""
    row = re.search(r"/admin/devices/gateway/(\d+)/change/", person.read("/admin/devices/gateway/"))
    if row is None:
        raise PlantError("no gateway asks to be approved")
    if fingerprint not in person.read(f"/admin/devices/gateway/{row[1]}/change/"):
        raise PlantError("the centre shows another fingerprint than the gateway: nobody should approve it")
    return int(row[1])


def _enter_cards(person: Administrator) -> None:
    producers = {name: person.add("market/producer", name=name) for name in sorted({n for n, _ in CARDS.values()})}
    species = {name: person.add("market/species", name=name) for name in sorted({n for _, n in CARDS.values()})}
    for uid, (producer, kind) in CARDS.items():
        given = {"uid": uid, "producer": str(producers[producer]), "species": str(species[kind]), "is_active": "on"}
        person.add("market/rfidcard", **given)


async def _scanned(person: Administrator, gateway_id: int, ports: list[str]) -> None:
    """Ask for the gateway's ports until its page shows them. Raises PlantError."""
    try:
        async with asyncio.timeout(START_WITHIN_S):
            while True:
                await asyncio.to_thread(person.scan_ports, gateway_id)
                await asyncio.sleep(PAUSE_S)
                page = await asyncio.to_thread(person.read, f"/admin/devices/gateway/{gateway_id}/change/")
                if all(port in page for port in ports):
                    return
    except TimeoutError:
        raise PlantError("the gateway did not tell the centre its ports") from None


def in_words(event: dict[str, Any]) -> str:
    """A log line of the gateway as a person wants to see it; empty for most."""
    name = event.get("event")
    if name == "biz.saved":
        card = f"  card {event['card']}" if event.get("card") else ""
        return f"saved        #{event['seq']:<5} {event['station']:<10} {event['weight']:>9} {event['unit']}{card}"
    if name == "net.delivered":
        return f"on server    up to #{event['upto']}"
    return f"{name:<12} {event.get('error', '')}" if name in TOLD else ""

"""`scaleledger check`: open everything once and say what a run would find, without weighing and without writing."""

import asyncio
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from scaleledger.config.load import ConfigError, known_cards, load_config
from scaleledger.config.model import Config, UplinkSection
from scaleledger.config.plant import CarnitrackSection
from scaleledger.observe import log

WAIT_S = 3.0
UPLINK_WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    what: str
    good: bool
    words: str


@click.command()
@click.option("--config", "-c", "path", type=click.Path(path_type=Path), required=True, help="The TOML file.")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
def command(path: Path, *, as_json: bool) -> None:
    """Say what a configuration would do. Exit 2: the file is wrong; 3: something it names is not there."""
    try:
        config = load_config(path)
        cards = known_cards(path, config)
    except ConfigError as wrong:
        click.echo(json.dumps({"faults": wrong.faults}) if as_json else "\n".join(wrong.faults), err=not as_json)
        sys.exit(2)
    log.configure(as_json=False, level="error")  # to standard error; the findings say the rest
    findings = [
        Finding("cards", good=True, words="every card is taken" if cards is None else f"{len(cards)} known cards"),
        _data_folder(path.parent / config.gateway.data_dir),
        *([_assignable(config.central)] if config.central is not None else []),
        *asyncio.run(_ports(path, config)),
    ]
    if as_json:
        click.echo(json.dumps([asdict(f) for f in findings]))
    else:
        for finding in findings:
            click.echo(f"{'ok  ' if finding.good else 'FAIL'}  {finding.what}: {finding.words}")
    sys.exit(0 if all(f.good for f in findings) else 3)


def _data_folder(folder: Path) -> Finding:
    place = folder
    while not place.exists():
        place = place.parent
    if not os.access(place, os.W_OK | os.X_OK):
        return Finding("data_dir", good=False, words=f"{place} cannot be written by this user")
    return Finding("data_dir", good=True, words=f"{folder} {'is there' if place == folder else 'will be made'}")


def _assignable(uplink: UplinkSection) -> Finding:
    from scaleledger.transports.serial_ports import look

    if uplink.stations == "none":
        words = "none: every station stands in this file"
    elif uplink.stations == "any":
        words = "at any address"
    else:
        words = f"on serial ports of this machine, now {len(look(uplink.ports))}; scaleledger scan lists them"
    return Finding("stations the centre may assign", good=True, words=words)


async def _ports(path: Path, config: Config) -> list[Finding]:
    jobs = []
    for station in config.station:
        jobs.append(_port(f"station {station.name}: {station.driver}", station.url))
        if station.reader is not None:
            jobs.append(_port(f"station {station.name}: reader {station.reader.driver}", station.reader.url))
    jobs += [_port(f"listener {listener.name}: {listener.driver}", listener.url) for listener in config.listener]
    jobs += [_server(uplink.url) for uplink in config.uplink if uplink.type == "central" or uplink.url.startswith("ws")]
    if config.carnitrack is not None:
        jobs.append(_cloud(path, config, config.carnitrack))
    return list(await asyncio.gather(*jobs))


async def _port(what: str, url: str) -> Finding:
    from scaleledger.app.clock import SystemClock
    from scaleledger.transports import SerialReader, open_transport
    from scaleledger.wire.link import Link, LinkState

    clock = SystemClock()
    reader = SerialReader(clock)
    transport = open_transport(url, clock=clock, reader=reader)
    seen: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    class FirstBytes:
        """Remembers whether anything came."""

        def received(self, now: float, data: bytes) -> None:  # noqa: ARG002 - the contract's signature
            if not seen.done():
                seen.set_result(f"open, bytes come: {data[:32]!r}")

        def lost(self, now: float, reason: str) -> None:
            pass

    def accept(_: Link) -> FirstBytes:
        return FirstBytes()

    task = asyncio.create_task(transport.run(accept))
    try:
        waited: set[asyncio.Future[Any]] = {task, seen}
        await asyncio.wait(waited, timeout=WAIT_S, return_when=asyncio.FIRST_COMPLETED)
        status = transport.status
        words = seen.result() if seen.done() else f"{url}: {status.detail or status.state.value}"
        good = seen.done() or status.state in {LinkState.OPEN, LinkState.WAITING}
    finally:
        task.cancel()
        await asyncio.wait({task})
        seen.cancel()
        reader.stop()
    return Finding(what, good, words)


async def _cloud(path: Path, config: Config, section: CarnitrackSection) -> Finding:
    """Whether the cloud answers and knows us. Asks for its configuration only: nothing is registered, nothing kept."""
    from scaleledger.bootstrap.cloud import KeyUnreadable, cloud_settings
    from scaleledger.domain.errors import LinkError, NotOffered
    from scaleledger.store.edge_identity import read_kept
    from scaleledger.uplinks.carnitrack import answers, calls
    from scaleledger.uplinks.carnitrack.identity import API_KEY, EDGE_ID
    from scaleledger.uplinks.carnitrack.resources import Resources

    class Kept:
        """The name as a run has kept it."""

        async def load(self, key: str) -> str:
            return read_kept(folder, key)

        async def keep(self, key: str, text: str) -> None:
            pass

    folder = path.parent / config.gateway.data_dir
    what = "CarniTrack cloud"
    try:
        settings = cloud_settings(path, section)
    except KeyUnreadable as failure:
        return Finding(what, good=False, words=str(failure))
    url = settings.rest_url
    if not settings.api_key and not read_kept(folder, API_KEY):
        url += " (no api_key is configured)"
    cloud = Resources(settings, Kept())
    try:
        known = await cloud.knows_us(UPLINK_WAIT_S)
    except answers.EdgeUnknown as refused:
        return Finding(what, good=False, words=f"{url}: {refused}")
    except NotOffered:
        return Finding(what, good=True, words=f"{url} answers, and has no {calls.config().what}")
    except LinkError as failure:
        return Finding(what, good=False, words=f"{url}: {failure}; weighing goes on without it, events wait")
    finally:
        await cloud.close()
    named = read_kept(folder, EDGE_ID)
    words = f"knows this gateway as {named}" if known else "answers; the first run registers this gateway there"
    return Finding(what, good=True, words=f"{url} {words}")


async def _server(url: str) -> Finding:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme in {"https", "wss"} else 80)
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(parts.hostname, port), UPLINK_WAIT_S)
    except (OSError, TimeoutError) as failure:
        words = f"{url} cannot be reached ({str(failure) or 'no answer'}); weighing goes on without it, records wait"
        return Finding("uplink", good=False, words=words)
    writer.close()
    return Finding("uplink", good=True, words=f"{url} answers")

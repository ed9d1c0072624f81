"""`scaleledger simulate`: one piece of weighing hardware on a real port, worked by a scripted hand, told in words."""

import asyncio
import contextlib
import signal
import sys
import tempfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import click

from scaleledger.drivers import NAMES
from scaleledger.simulators.dp401 import Exchange
from scaleledger.simulators.faults import FAULTS
from scaleledger.simulators.journal import Journal, Tally
from scaleledger.simulators.ports import open_port
from scaleledger.simulators.scenario import SCENARIOS
from scaleledger.simulators.yard import Simulation, StationSpec

LAST_BOX_S = 60.0
"""How long an operator may take over the box that was begun when the time was up."""


@click.command("simulate", short_help="Play a scale or a reader on a real port.")
@click.argument("device", type=click.Choice(sorted(NAMES)))
@click.option(
    "--on", "place", required=True, metavar="URL", help="pty:PATH, tcp-listen://HOST:PORT or tcp://HOST:PORT."
)
@click.option("--rate", "rate_hz", default=10.0, type=click.FloatRange(0.2, 200), help="Lines per second of a talker.")
@click.option(
    "--scenario", default="bench", type=click.Choice(list(SCENARIOS)), help="What happens on a talker's platform."
)
@click.option("--cards", default="", metavar="A,B", help="Cards to tap in turn (suwol-1000, rfid-em4100).")
@click.option("--fault", "faults", multiple=True, type=click.Choice(list(FAULTS)), help="What is broken (suwol-1000).")
@click.option(
    "--boxes", default=0, type=click.IntRange(0), help="How many to weigh (suwol-1000, dp401-csv); 0 is no end."
)
@click.option("--device", "device_id", default="SCALE-01", metavar="SCALE-NN", help="How it registers (dp401-csv).")
@click.option(
    "--exchange",
    default="confirmed",
    type=click.Choice([exchange.value for exchange in Exchange]),
    help="How it tells a cut (dp401-csv).",
)
@click.option("--pace", default=1.0, type=click.FloatRange(0, 10), help="1 sends as slowly as 9600 baud, 0 at once.")
@click.option("--seed", default=0, help="The same seed plays the same loads.")
@click.option(
    "--seconds", default=0.0, type=click.FloatRange(0), help="End after this time, and the box at hand; 0: on Ctrl-C."
)
@click.option(
    "--journal",
    "journal_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write what happens as JSON lines.",
)
@click.option("--quiet", is_flag=True, help="Print only the place and the totals.")
def command(  # noqa: PLR0913 - one argument per option
    *,
    device: str,
    place: str,
    rate_hz: float,
    scenario: str,
    cards: str,
    faults: tuple[str, ...],
    boxes: int,
    device_id: str,
    exchange: str,
    pace: float,
    seed: int,
    seconds: float,
    journal_path: Path | None,
    quiet: bool,
) -> None:
    """Play DEVICE until Ctrl-C, or for --seconds.

    \b
    scaleledger simulate suwol-1000 --on pty:/tmp/dock-1 --cards A1B2C3D4,00000042
    scaleledger simulate fg-150kal --on tcp-listen://127.0.0.1:4001 --rate 5 --scenario pallet
    scaleledger simulate rfid-em4100 --on pty:/tmp/reader --cards 62E3086CED
    scaleledger simulate dp401-csv --on tcp://127.0.0.1:8899 --device SCALE-07
    """  # noqa: D301 - click looks for the backspace character itself
    spec = StationSpec(
        device,
        device,
        on=place,
        cards=tuple(filter(None, (card.strip() for card in cards.split(",")))),
        scenario=scenario,
        rate_hz=rate_hz,
        faults=faults,
        boxes=boxes,
        pace=pace,
        device=device_id,
        exchange=exchange,
    )
    if device == "dp401-csv":
        spec = replace(spec, division=Decimal(1), unit="g")
    try:
        open_port(place)
        journal = Journal(journal_path, say=None if quiet else click.echo)
        asyncio.run(_play(spec, seed, seconds, journal))
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        click.echo(f"Cannot play {device} on {place}: {error}", err=True)
        sys.exit(3)


async def _play(spec: StationSpec, seed: int, seconds: float, journal: Journal) -> None:
    stop = asyncio.Event()
    with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C ends asyncio.run by itself
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with tempfile.TemporaryDirectory() as folder:
        async with Simulation([spec], seed=seed, directory=Path(folder), journal=journal) as yard:
            click.echo(f"{spec.driver} is found at {yard.urls[spec.name]}")
            work = asyncio.create_task(_work(yard, spec, seconds))
            stopped = asyncio.create_task(stop.wait())
            done, waiting = await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            for task in done:
                task.result()
    totals = journal.counts.get(spec.name, Tally())
    click.echo(
        f"{totals.emitted} shown, {totals.saved} told saved, {totals.refused} refused, {totals.unknown} unknown,"
        f" {totals.doubtful} doubtful"
    )


async def _work(yard: Simulation, spec: StationSpec, seconds: float) -> None:
    """Until the time is up or all boxes are carried, and then until the box or load at hand is done."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds or None):
            await (yard.wait_done() if spec.boxes else asyncio.Event().wait())
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LAST_BOX_S):
            await yard.finish()

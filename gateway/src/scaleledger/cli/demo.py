"""`scaleledger demo`: the whole product on one machine, live in the terminal."""

import asyncio
import signal
import sys
import tempfile
from pathlib import Path

import click

from scaleledger.simulators.administrator import AdministratorError
from scaleledger.simulators.books import Report
from scaleledger.simulators.demo import demonstrate
from scaleledger.simulators.plant import PlantError


@click.command()
@click.option("--seconds", type=click.FloatRange(min=0), default=0.0, help="End after this time; 0: at Ctrl-C.")
@click.option("--report", "report_file", type=click.Path(path_type=Path), help="Write the three books' totals there.")
@click.option("--port", default=0, help="The server's port; 0: a free one.")
@click.option("--keep", type=click.Path(path_type=Path), help="Keep everything in this folder.")
def command(seconds: float, report_file: Path | None, port: int, keep: Path | None) -> None:
    """Server, gateway and simulated hardware. Exit 0 only if nothing was lost or doubled and the ledger verifies."""
    click.echo("ScaleLedger: simulated scales, a real gateway, a real server. Ctrl-C ends it.\n")
    try:
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            report = asyncio.run(_demo(keep.resolve(), seconds, port))
        else:
            with tempfile.TemporaryDirectory(prefix="scaleledger-demo-") as folder:
                report = asyncio.run(_demo(Path(folder), seconds, port))
    except (PlantError, AdministratorError) as failure:
        click.echo(str(failure), err=True)
        sys.exit(3)
    if report_file is not None:
        report_file.write_text(report.as_json(), encoding="utf-8")
    _print(report)
    sys.exit(0 if report.good else 1)


async def _demo(folder: Path, seconds: float, port: int) -> Report:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return await demonstrate(folder, seconds, click.echo, stop=stop, port=port)


def _print(report: Report) -> None:
    click.echo(f"\n{'station':<12} {'driver':<14} {'mode':<5} {'emitted':>8} {'saved':>8} {'on server':>10}")
    for name, books in report.stations.items():
        click.echo(
            f"{name:<12} {books.driver:<14} {books.mode:<5} {books.emitted:>8} {books.saved:>8} {books.on_server:>10}"
        )
    ledger = "verify" if report.ledger_ok else "DO NOT VERIFY"
    click.echo(
        f"\nlost {report.lost}, doubled {report.duplicates}, in a wrong session {report.astray}; the ledgers {ledger}."
    )
    click.echo(f"{report.offline} cuts were weighed while the meat plant had no way to the server.")

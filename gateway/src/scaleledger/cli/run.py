"""`scaleledger run`: the gateway, until SIGTERM or Ctrl-C."""

import asyncio
import contextlib
import os
import signal
import sys
import threading
from pathlib import Path

import click

from scaleledger.config.load import ConfigError, load_config
from scaleledger.config.model import Config
from scaleledger.domain.errors import StoreDamaged, StoreError
from scaleledger.observe import failpoints, log

SALVAGES_MAX = 3
DRAIN_S = 4.5  # asked to stop, the gateway has ended after this time in any case


@click.command()
@click.option("--config", "-c", "path", type=click.Path(path_type=Path), required=True, help="The TOML file.")
@click.option(
    "--ready-file", type=click.Path(path_type=Path), help="Written when the gateway is up; holds its process id."
)
def command(path: Path, ready_file: Path | None) -> None:
    """Run the gateway. Exit 2: the configuration is wrong; 3: the data folder cannot be used; 4: it did not drain in time."""
    try:
        config = load_config(path)
    except ConfigError as wrong:
        click.echo("\n".join(wrong.faults), err=True)
        sys.exit(2)
    try:
        failpoints.arm_from_environment(os.environ)
    except ValueError as wrong:
        click.echo(f"SCALELEDGER_FAILPOINTS: {wrong}", err=True)
        sys.exit(2)
    os.umask(0o077)
    as_json = config.log.format == "json" or (config.log.format == "auto" and not sys.stderr.isatty())
    file = path.parent / config.log.file if config.log.file is not None else None
    try:
        log.configure(as_json=as_json, file=file, level=config.log.level)
    except OSError as failure:
        click.echo(f"{path}: log.file: {file} cannot be written: {failure.strerror}", err=True)
        sys.exit(2)
    try:
        _run(path, config, ready_file)
    except ConfigError as wrong:
        click.echo("\n".join(wrong.faults), err=True)
        sys.exit(2)
    except StoreError as failure:
        click.echo(str(failure), err=True)
        sys.exit(3)


def _run(path: Path, config: Config, ready_file: Path | None) -> None:
    """A store that was damaged while in use is opened anew, which salvages it; the line goes on."""
    for left in reversed(range(SALVAGES_MAX)):
        try:
            asyncio.run(_serve(path, config, ready_file))
        except StoreDamaged as damage:
            if not left:
                raise
            log.get_logger().error("sys.store_failed", error=str(damage))
        else:
            return


async def _serve(path: Path, config: Config, ready_file: Path | None) -> None:
    from scaleledger.bootstrap import Gateway, run_gateway

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    patience = threading.Timer(DRAIN_S, _give_up)
    patience.daemon = True

    def asked_to_stop(*_: object) -> None:
        if patience.ident is None:
            patience.start()
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            loop.call_soon_threadsafe(stop.set)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, asked_to_stop)  # heard also while the loop is busy, and on Windows

    def ready(_: Gateway) -> None:
        if ready_file is not None:
            ready_file.write_text(str(os.getpid()))

    try:
        await run_gateway(path, config, stop, ready)
    finally:
        patience.cancel()


def _give_up() -> None:
    """A disk that stands still cannot be waited for. What was told as saved is durable; the rest was told nothing."""
    log.get_logger().error("sys.not_drained", after_s=DRAIN_S)
    os._exit(4)

"""`scaleledger capture URL FILE`: see and keep what is on the wire, before anyone guesses at a protocol."""

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click

from scaleledger.observe.log import configure
from scaleledger.transports import open_transport
from scaleledger.transports.capture_file import Chunk, line, open_for_append, remark
from scaleledger.wire.link import Link, LinkReceiver, LinkState, Transport

LOOK_S = 0.05  # how often the transport's state is looked at
WIDTH = 16


class Recorder:
    """Writes what arrives on every link, and remarks for the links themselves."""

    def __init__(self, write: Callable[[str], object], *, show: bool) -> None:
        self._write = write
        self._show = show
        self._start = time.monotonic()
        self.opened = False
        self.bytes_in = 0
        self.fault: OSError | None = None

    def accept(self, link: Link) -> LinkReceiver:
        """Take every link."""
        self.opened = True
        self._remark(f"connected: {link.peer}")
        return self

    def received(self, now: float, data: bytes) -> None:
        """Keep one chunk."""
        chunk = Chunk(max(0.0, now - self._start), sent=False, data=data)
        self.bytes_in += len(data)
        self._keep(line(chunk))
        if self._show:
            click.echo("\n".join(hex_and_text(chunk)))

    def lost(self, now: float, reason: str) -> None:  # noqa: ARG002 - the contract's signature
        """Remark it."""
        self._remark(f"lost: {reason}")

    def _remark(self, text: str) -> None:
        click.echo(text, err=True)
        self._keep(remark(text))

    def _keep(self, text: str) -> None:
        try:
            self._write(text)
        except OSError as fault:
            self.fault = fault


def hex_and_text(chunk: Chunk) -> list[str]:
    """Sixteen bytes a line: hex, and the printable ones as text."""
    shown = []
    for start in range(0, len(chunk.data), WIDTH):
        part = chunk.data[start : start + WIDTH]
        text = "".join(chr(b) if 0x20 <= b < 0x7F else "." for b in part)
        shown.append(f"{chunk.at_s:12.6f} {'>' if chunk.sent else '<'} {part.hex(' '):<{3 * WIDTH}} |{text}|")
    return shown


async def record(transport: Transport, recorder: Recorder, seconds: float | None) -> str:
    """Run until the time is over or the transport ends; what went wrong, or an empty text."""
    click.echo(f"listening on {transport.url}; Ctrl-C ends")
    running = asyncio.ensure_future(transport.run(recorder.accept))
    try:
        async with asyncio.timeout(seconds):
            while not running.done():
                if recorder.fault is not None:
                    return f"the capture cannot be written: {recorder.fault}"
                if transport.status.state is LinkState.FAILED and not recorder.opened:
                    return transport.status.detail
                await asyncio.wait({running}, timeout=LOOK_S)
    except TimeoutError:
        return ""
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    return ""


@click.command
@click.argument("url")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Stop after so long; else with Ctrl-C.")
@click.option("--show", is_flag=True, help="Show the bytes as they come, in hex and as text.")
def command(url: str, file: Path, seconds: float | None, show: bool) -> None:  # noqa: FBT001 - click passes by keyword
    """Write what arrives at URL to FILE, with times; appends to an older capture.

    URL is as in a configuration: serial:///dev/ttyUSB0?baud=9600, tcp-listen://0.0.0.0:4001, tcp://10.0.0.5:4001
    """
    configure(as_json=False, level="error")  # what the log would warn of is said here
    try:
        transport = open_transport(url, clock=time)
    except ValueError as fault:
        raise click.UsageError(str(fault)) from None
    try:
        out = open_for_append(file, url)
    except ValueError as fault:
        raise click.UsageError(str(fault)) from None
    except OSError as fault:
        click.echo(f"{file} cannot be written: {fault.strerror}", err=True)
        sys.exit(3)
    recorder = Recorder(out.write, show=show)
    wrong = ""
    with out, contextlib.suppress(KeyboardInterrupt):
        wrong = asyncio.run(record(transport, recorder, seconds))
    if wrong:
        click.echo(wrong, err=True)
        sys.exit(3)
    click.echo(f"{recorder.bytes_in} bytes kept in {file}")


if __name__ == "__main__":
    command()

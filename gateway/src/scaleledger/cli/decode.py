"""Show what a driver makes of bytes: from the command line, from a file, or line by line for a script."""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import Any, cast

import click

from scaleledger.domain.inputs import DeviceState, Fact, SpeechEnded
from scaleledger.drivers import open_driver
from scaleledger.wire.driver import Driver
from scaleledger.wire.facts_json import fact_to_json

CHUNK_BYTES = 65536
RAW_SHOWN_BYTES = 32


@click.command(help=__doc__)
@click.argument("driver_name", metavar="DRIVER")
@click.argument("file", required=False, metavar="[FILE]")
@click.option("--hex", "hex_text", metavar="HEX", help="The bytes, in hexadecimal; blanks may stand between them.")
@click.option("--hex-lines", metavar="FILE|-", help="Hexadecimal, one stream per line; prints a JSON array per line.")
@click.option("--option", "-o", "options", multiple=True, metavar="NAME=VALUE", help="An option of the driver.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per fact.")
@click.option("--all", "every", is_flag=True, help="Also what the device says of itself: lamps, voice, printer.")
def command(
    driver_name: str,
    file: str | None,
    hex_text: str | None,
    hex_lines: str | None,
    options: tuple[str, ...],
    *,
    as_json: bool,
    every: bool,
) -> None:
    """Exit 0 when the bytes were read, whatever was found in them; 2 for bad usage; 3 if the file cannot be read."""
    if [file, hex_text, hex_lines].count(None) != 2:
        raise click.UsageError("give one of --hex HEX, --hex-lines FILE or a FILE of raw bytes (- is standard input)")
    settings = dict(_option(text) for text in options)
    driver = _open(driver_name, settings)
    if hex_lines is not None:
        with _opened(hex_lines) as stream:
            for line in stream:
                print(json.dumps(_decode_hex_line(_open(driver_name, settings), line, every=every)), flush=True)
        return
    if hex_text is not None:
        try:
            facts: Iterable[Fact] = _decode(driver, [bytes.fromhex(hex_text)], every=every)
        except ValueError as error:
            raise click.UsageError(f"--hex is not hexadecimal: {error}") from None
        _show(facts, as_json=as_json)
    elif file is not None:
        with _opened(file) as stream:
            _show(_decode(driver, iter(lambda: stream.read1(CHUNK_BYTES), b""), every=every), as_json=as_json)


def _open(name: str, settings: dict[str, Any]) -> Driver:
    try:
        return open_driver(name, **settings)
    except (ValueError, TypeError) as error:
        raise click.UsageError(str(error)) from None


def _option(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--option is NAME=VALUE, not {text!r}")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


@contextmanager
def _opened(name: str) -> Iterator[BufferedIOBase]:
    if name == "-":
        yield cast("BufferedIOBase", sys.stdin.buffer)
        return
    try:
        stream = Path(name).open("rb")  # noqa: SIM115 - closed below, where reading may fail too
    except OSError as error:
        print(f"scaleledger decode: cannot read {name}: {error.strerror}", file=sys.stderr)
        raise click.exceptions.Exit(3) from None
    with stream:
        yield stream


def _decode(driver: Driver, pieces: Iterable[bytes], *, every: bool) -> Iterator[Fact]:
    for piece in pieces:
        yield from _told(driver.receive(0.0, piece), every=every)
        sys.stdout.flush()  # whoever watches a live pipe sees each line as it comes
    yield from _told(driver.finish(), every=every)


def _told(facts: Iterable[Fact], *, every: bool) -> Iterator[Fact]:
    return (fact for fact in facts if every or not isinstance(fact, DeviceState | SpeechEnded))


def _decode_hex_line(driver: Driver, line: bytes, *, every: bool) -> list[dict[str, Any]]:
    try:
        data = bytes.fromhex(line.decode("ascii"))
    except ValueError:
        return [{"type": "problem", "reason": "bad-hex"}]
    return [fact_to_json(fact) for fact in _decode(driver, [data], every=every)]


def _show(facts: Iterable[Fact], *, as_json: bool) -> None:
    for fact in facts:
        said = fact_to_json(fact)
        print(json.dumps(said) if as_json else _in_words(said))


def _in_words(said: dict[str, Any]) -> str:
    match said:
        case {"type": "reading", "status": "ok", "weight": weight, "unit": unit, "stable": stable, "role": role}:
            motion = {True: "stable", False: "moving", None: "motion unknown"}[stable]
            return ", ".join(filter(None, (f"reading       {weight} {unit or '(no unit)'}", motion, role)))
        case {"type": "reading", "status": status, "role": role}:
            return ", ".join(filter(None, (f"reading       no weight: {status}", role)))
        case {"type": "problem", "reason": reason, "raw": raw}:
            more = " …" if len(raw) > 2 * RAW_SHOWN_BYTES else ""
            return f"problem       {reason}: {bytes.fromhex(raw[: 2 * RAW_SHOWN_BYTES]).hex(' ')}{more}"
        case {"type": "weighing", "gross": gross, "tare": tare, "net": net, "unit": unit, "fields": named}:
            weights = f"net {net}, gross {gross}, tare {tare} {unit or '(no unit)'}"
            return ", ".join([f"weighing      {weights}", *(f"{name} {text}" for name, text in named.items() if text)])
    fields = ", ".join(f"{name} {value}" for name, value in said.items() if name != "type" and value is not None)
    return f"{said['type']:<13} {fields}".rstrip()

"""Writes the reference pages from the code they describe: `python tools/dev.py python tools/pages.py`.

A page that is written by hand ages; these cannot, because a test compares them with what this file would write now.
"""

import importlib
import inspect
import json
import re
import sys
import types
from collections.abc import Callable, Iterator
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import click
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from scaleledger import cli, transports
from scaleledger.cli.decode import _in_words as fact_in_words
from scaleledger.config.model import Config
from scaleledger.domain import guidance
from scaleledger.domain.station_table import TABLE, Do, Event, State
from scaleledger.drivers import NAMES, WITH_CARDS
from scaleledger.observe.log import EVENTS, SECRETS

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "reference"
VECTORS = ROOT / "gateway" / "tests" / "vectors"
HELP_COLUMNS = 100
VECTORS_SHOWN = 6

BOUNDS = {"ge": "≥ {}", "gt": "> {}", "le": "≤ {}", "lt": "< {}", "max_length": "at most {} long"}

EVENT_WORDS = {
    Event.USABLE: "The indicator is linked, and the gateway may weigh.",
    Event.NOT_ALLOWED: "The gateway was never approved and `require_registration` is set.",
    Event.NO_LINK: "The indicator's link is down.",
    Event.CARD: "A known card was presented.",
    Event.CARD_REPEATED: "The same card again, for the same load.",
    Event.PRESS_ANSWERED: "The card of a weighing whose *saved* may not have been told, with its load still on the scale.",
    Event.CARD_OTHER: "Another card while one is held.",
    Event.CARD_TOO_EARLY: "A card, but the last load has not left the scale, or the load was there at the start.",
    Event.CARD_REFUSED: "A card that is not in the list.",
    Event.LOAD_ON: "Mode `auto`: a load of at least the smallest weight came on.",
    Event.LOAD_STABLE: "The load is at rest and may be captured.",
    Event.LOAD_OFF: "Mode `auto`: the load left before it came to rest.",
    Event.LOAD_UNEXPLAINED: "A load that was there before the station was armed.",
    Event.REARMED: "The re-arm rule is met: the next load is another one.",
    Event.OVERLOAD: "The indicator shows overload.",
    Event.STALE: "No frame for `stale_s`.",
    Event.WEIGHT_BACK: "A valid weight after overload or silence.",
    Event.TIMED_OUT: "Mode `tag`: no weight at rest within `timeout_s` of the card.",
    Event.RESTLESS: "Mode `auto`: no weight at rest within `timeout_s` of the load.",
    Event.COMMITTED: "The weighing is durable.",
    Event.COMMIT_FAILED: "The weighing was not kept.",
    Event.SLOW: "The commit takes long.",
}
DO_WORDS = {
    Do.NOTHING: "",
    Do.BEGIN: "start the time limit; mode `tag` tells *wait*",
    Do.COMMIT: "ask for the commit",
    Do.CONFIRM: "tell *saved*",
    Do.CONFIRM_AGAIN: "tell *saved* again, at most every 3 s; nothing is recorded",
    Do.KEEP_WAITING: "tell *wait*, again and again",
    Do.FAIL: "tell *system-fault*; the load may be tried again",
    Do.GIVE_UP: "tell *unstable*, or *card-again* if nothing is on the scale",
    Do.END: "forget the card",
}


def main() -> int:
    """Write every page; with --check only name those that would change. The exit code: 1 if there are any."""
    if "--check" in sys.argv:
        aged = [name for name, page in PAGES.items() if (FOLDER / name).read_text(encoding="utf-8") != page()]
        for name in aged:
            print(f"docs/reference/{name} has aged. Run: python tools/dev.py python tools/pages.py")
        return bool(aged)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")
        print(f"docs/reference/{name}")
    return 0


def _page(title: str, source: str, *parts: str) -> str:
    note = f"<!-- Written by tools/pages.py from {source}. Change that, then run: python tools/dev.py python tools/pages.py -->"
    return "\n\n".join([f"# {title}", note, *(part.strip("\n") for part in parts)]) + "\n"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)


# --- configuration.md -------------------------------------------------------------------------------------------------


def configuration() -> str:
    """Every section and key of the TOML file."""
    urls = "\n".join(
        line for line in inspect.cleandoc(transports.__doc__ or "").splitlines() if line.startswith("    ")
    )
    environment = (
        "`SCALELEDGER_<SECTION>__<KEY>` in the environment overrides the file, for example\n"
        "`SCALELEDGER_GATEWAY__DATA_DIR=/data` or `SCALELEDGER_LOG__LEVEL=debug`. A section that may be given more than once\n"
        "(`[[station]]`, `[[uplink]]`) is overridden as a whole: `SCALELEDGER_STATION` holds a JSON array. An unknown key\n"
        'is an error, in the file and in the environment. Weights are written in quotes, so that they stay exact: `min_weight = "0.5"`.'
    )
    parts = [part for _, part in _sections(Config, "")]
    return _page(
        "Configuration",
        "gateway/src/scaleledger/config/model.py",
        "One TOML file. `scaleledger check -c FILE` says what is wrong with it, and what a run would find.\n"
        "Complete, commented files are in [examples](../../examples/README.md).",
        environment,
        *parts,
        "## Addresses of devices",
        "The `url` of a station or a reader, with its options. Those of a serial port are its defaults; without `allow` every\n"
        "address may dial in; `idle_s=0` lets a peer be silent for ever.",
        "```text\n" + inspect.cleandoc(urls) + "\n```",
        "On POSIX a stable name as `serial:///dev/serial/by-id/…` survives replugging. `tcp-listen` also takes `max_per_address`\n"
        "(8); it and `tcp` take `rate` and `burst`, the bytes per second and the burst that one peer may send (65536, 262144).",
    )


def _sections(model: type[BaseModel], path: str) -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        place = f"{path}.{name}" if path else name
        many = get_origin(field.annotation) is tuple
        limit = next((m.max_length for m in field.metadata if hasattr(m, "max_length")), None) if many else None
        count = f" At most {limit}." if limit else ""
        inners = _models_of(field)
        for inner in inners:
            rows = [_row(place, key, inner.model_fields[key]) for key in inner.model_fields]
            heading = f"## `[[{place}]]`" if many else f"## `[{place}]`"
            if len(inners) > 1:
                heading += f" of type {' or '.join(get_args(inner.model_fields['type'].annotation))}"
            yield (
                place,
                f"{heading}\n\n{inspect.cleandoc(inner.__doc__ or '')}{count}\n\n"
                + _table(["key", "value", "default", "meaning"], rows),
            )
            yield from _sections(inner, place)


def _row(place: str, key: str, field: FieldInfo) -> list[str]:
    inners = _models_of(field)
    if inners:
        kind = "tables" if get_origin(field.annotation) is tuple else "a table"
        return [
            f"`{key}`",
            f"{kind}, see `[{place}.{key}]`",
            "" if field.is_required() else "none",
            field.description or "",
        ]
    return [f"`{key}`", _kind(field), _default(field), field.description or ""]


def _models_of(field: FieldInfo) -> list[type[BaseModel]]:
    """The sections that a key may hold, its alternatives in order."""
    found: list[type[BaseModel]] = []
    waiting = [field.annotation]
    while waiting:
        candidate = waiting.pop(0)
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            found.append(candidate)
        waiting += get_args(candidate)
    return found


def _kind(field: FieldInfo) -> str:
    annotation = field.annotation
    if get_origin(annotation) in {Union, types.UnionType}:
        annotation = next(a for a in get_args(annotation) if a is not type(None))
    bounds = [text.format(getattr(m, key)) for m in field.metadata for key, text in BOUNDS.items() if _has(m, key)]
    words = _kind_of(annotation)
    return ", ".join([words, *bounds])


def _has(metadata: Any, key: str) -> bool:
    return getattr(metadata, key, None) is not None


def _kind_of(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " or ".join(f'`"{word}"`' for word in get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(f'`"{member.value}"`' for member in annotation)
    if get_origin(annotation) is tuple:
        return "list of texts"
    if get_origin(annotation) is dict:
        return "a table"
    known = {
        str: "text",
        SecretStr: "text",
        Path: "path",
        bool: "true or false",
        int: "whole number",
        float: "number",
        Decimal: "weight",
    }
    if annotation in known:
        return known[annotation]
    return _kind_of(get_args(annotation)[0])  # Annotated


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value in ((), {}, "") or value is PydanticUndefined:
        return "none"
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, SecretStr):
        return "none"
    if isinstance(value, Path):
        value = str(value)
    return f"`{json.dumps(value)}`"


# --- cli.md -----------------------------------------------------------------------------------------------------------


def commands() -> str:
    """The help of every command, as it is printed."""
    context = click.Context(cli.main, info_name="scaleledger", **cli.main.context_settings)
    codes = inspect.cleandoc(cli.__doc__ or "").split("\n\n", 1)[1]
    parts = []
    for name in cli.main.list_commands(context):
        command = cli.main.get_command(context, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=context, terminal_width=HELP_COLUMNS)
        parts.append(f"## `scaleledger {name}`\n\n{cli.COMMANDS[name]}\n\n```text\n{command.get_help(inner)}\n```")
    return _page(
        "Command line",
        "the commands' own help",
        codes,
        "The server's command is `scaleledger-server`: see [its page](../../server/README.md).",
        *parts,
    )


# --- events.md --------------------------------------------------------------------------------------------------------


def events() -> str:
    """The list of event names in the log."""
    rows = [[f"`{name}`", meaning] for name, meaning in EVENTS.items()]
    hidden = ", ".join(f"`{name}`" for name in SECRETS)
    return _page(
        "Events in the log",
        "gateway/src/scaleledger/observe/log.py",
        "Every line of the log is one of these events with its fields. As JSON (in service) a line has `event`, `level`,\n"
        "`timestamp` (UTC) and the fields; on a terminal the same is set for reading. Filter by `event`: the names are kept.",
        "`sys` is the gateway itself, `hw` devices, `biz` weighing, `net` the centre.",
        _table(["event", "when"], rows),
        f"A field with one of these names is written as `***`: {hidden}.",
    )


# --- station.md -------------------------------------------------------------------------------------------------------


def station() -> str:
    """The station's table as a diagram and as tables."""
    return _page(
        "The weighing station",
        "gateway/src/scaleledger/domain/station_table.py and guidance.py",
        "What happens to a station is named as one event; the table says, for the present state, the next state, what is done\n"
        "and what the operator is told. An event that is not in a state's table changes nothing.\n"
        "[Stability and re-arm](../explanation/stability-and-rearm.md) tells how events are found.",
        "```mermaid\n" + _diagram() + "\n```",
        "The diagram leaves out what does not change the state.",
        "## Events",
        _table(["event", "when"], [[f"`{event}`", EVENT_WORDS.get(event, "")] for event in Event]),
        "## Transitions",
        _table(["state", "event", "next", "done", "told"], list(_transitions())),
        "## What the operator is told",
        "Lamps and clips are those of a SUWOL-1000. Clip 01 and the green lamp are told only after the commit.",
        _table(["notice", "lamp", "clip", "lamps stay"], list(_notices())),
    )


def _diagram() -> str:
    lines = ["stateDiagram-v2", f"    [*] --> {State.BOOT}"]
    for state, row in TABLE.items():
        labels: dict[State, list[str]] = {}
        for event, step in row.items():
            if step.state is not state:
                labels.setdefault(step.state, []).append(str(event))
        lines += [f"    {state} --> {target}: {', '.join(names)}" for target, names in labels.items()]
    return "\n".join(lines)


def _transitions() -> Iterator[list[str]]:
    for state, row in TABLE.items():
        for event, step in row.items():
            told = f"*{step.tell}*" if step.tell else ""
            yield [f"`{state}`", f"`{event}`", f"`{step.state}`", DO_WORDS[step.do], told]


def _notices() -> Iterator[list[str]]:
    said = dict(re.findall(r"Notice\.(\w+): Guidance\(.*\),  # (.+)", inspect.getsource(guidance)))
    for notice in guidance.Notice:
        told = guidance.GUIDANCE[notice]
        lamp = "green" if told.lamps.green else "red" if told.lamps.red else "dark"
        clip = f"{told.clip:02}: {said[notice.name]}" if told.clip else ""
        yield [f"*{notice}*", lamp, clip, f"{told.hold_s} s" if told.hold_s else "until the next notice"]


# --- drivers.md -------------------------------------------------------------------------------------------------------


def drivers() -> str:
    """Every driver: its frames, its options, and samples that the tests decode."""
    return _page(
        "Drivers",
        "gateway/src/scaleledger/drivers and gateway/tests/vectors",
        "A driver is named in a station's or a reader's `driver`. `scaleledger decode DRIVER --hex …` shows what it makes of\n"
        "bytes. Another scale is [about twenty lines](../how-to/add-a-scale.md).",
        *(_driver(name) for name in NAMES),
    )


def _driver(name: str) -> str:
    module = importlib.import_module(NAMES[name])
    parts = [f"## `{name}`", inspect.cleandoc(module.__doc__ or "")]
    if name in WITH_CARDS:
        parts.append("Reports cards.")
    options = list(inspect.signature(module.driver).parameters.values())
    if options:
        shown = ", ".join(f"`{o.name}` (default {json.dumps(o.default)})" for o in options)
        parts.append(f"Options: {shown}. {inspect.cleandoc(module.driver.__doc__ or '')}")
    rows = [json.loads(line) for line in (VECTORS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
    sources = sorted({row["source"] for row in rows if not row["source"].startswith("same")})
    parts.append(f"{len(rows)} sample frames are decoded by the tests; some of them:")
    parts.append("```text\n" + "\n".join(_samples(rows)) + "\n```")
    parts.append("They come from:")
    parts.append("\n".join(f"- {source}" for source in sources))
    return "\n\n".join(parts)


def _samples(rows: list[dict[str, Any]]) -> Iterator[str]:
    kinds = set()
    shown = 0
    for row in rows:
        kind = json.dumps([[f["type"], f.get("status"), f.get("stable"), f.get("reason")] for f in row["facts"]])
        if kind in kinds or shown == VECTORS_SHOWN or not row["facts"]:
            continue
        kinds.add(kind)
        shown += 1
        yield _readable(bytes.fromhex(row["hex"]))
        for fact in row["facts"]:
            yield "    " + (f"problem       {fact['reason']}" if fact["type"] == "problem" else fact_in_words(fact))


def _readable(data: bytes) -> str:
    return "".join(chr(b) if 0x20 <= b < 0x7F else f"<{b:02X}>" for b in data)


PAGES: dict[str, Callable[[], str]] = {
    "configuration.md": configuration,
    "cli.md": commands,
    "events.md": events,
    "station.md": station,
    "drivers.md": drivers,
}

if __name__ == "__main__":
    sys.exit(main())

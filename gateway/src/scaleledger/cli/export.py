"""`scaleledger export`: the records as CSV for a spreadsheet, or as JSON lines with the proof in them."""

import csv
import json
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import click

from scaleledger.cli.verify import database_path
from scaleledger.domain.errors import StoreError

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
NUMERIC = {"seq", "weight", "is_sent"}


@click.command()
@click.option("--db", "database", type=click.Path(path_type=Path), help="The database file, also a copy.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="The gateway's data folder, in place of --db.")
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True)
@click.option("--since", help="Only what was measured at or after this time (ISO 8601; without a zone: UTC).")
@click.option("--quarantined", is_flag=True, help="Only what a centre refused, with its reason, and what was salvaged.")
@click.option("--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="A file; else standard output.")
def command(
    database: Path | None,
    data_dir: Path | None,
    form: str,
    since: str | None,
    output: Path | None,
    *,
    quarantined: bool,
) -> None:
    """Write the records out, in order, as they are held. Exit 0: done; 2: bad usage; 3: a file cannot be read or written.

    In CSV a text that a spreadsheet would take for a formula gets a ' before it; JSON lines are exact.
    """
    from scaleledger.store.offline import exported

    path = database_path(database, data_dir)
    after = _utc_text(since) if since else None
    try:
        with ExitStack() as files:
            rows = files.enter_context(exported(path, since=after, quarantined=quarantined))
            target = files.enter_context(output.open("w", encoding="utf-8", newline="")) if output else sys.stdout
            (_write_csv if form == "csv" else _write_lines)(rows, target)
    except (StoreError, OSError) as error:
        click.echo(str(error), err=True)
        sys.exit(3)


def _utc_text(text: str) -> str:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is not a time; write 2026-11-21 or 2026-11-21T08:00", param_hint="--since"
        ) from None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _write_csv(rows: Iterable[dict[str, object]], target: TextIO) -> None:
    writer = csv.writer(target)
    header: list[str] = []
    for row in rows:
        if not header:
            header = list(row)
            writer.writerow(header)
        writer.writerow([value if name in NUMERIC else neutral(value) for name, value in row.items()])


def _write_lines(rows: Iterable[dict[str, object]], target: TextIO) -> None:
    target.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def neutral(value: object) -> object:
    """The value, with a ' before a text that a spreadsheet would run."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value

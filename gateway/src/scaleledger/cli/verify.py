"""`scaleledger verify`: prove a ledger, on the gateway or on a copy far away from it; no configuration, no network."""

import json
import re
import sys
import time
from pathlib import Path

import click

from scaleledger.domain.errors import ChainBroken, StoreError
from scaleledger.domain.weighing import Head

DATABASE = "scaleledger.db"


@click.command()
@click.argument("database", metavar="[DB]", required=False, type=click.Path(path_type=Path))
@click.option("--data-dir", type=click.Path(path_type=Path), help="The gateway's data folder, in place of DB.")
@click.option("--key", metavar="PUBKEY_HEX", help="The gateway's public key as you know it (64 hex digits).")
@click.option("--head", metavar="SEQ:HASH", help="A number and hash kept elsewhere that the ledger must hold.")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
def command(database: Path | None, data_dir: Path | None, key: str | None, head: str | None, *, as_json: bool) -> None:
    """Prove a ledger: chain, numbers, signatures, and that every column says what was hashed.

    DB is a database file, also a copy (take the -wal file along). Without --key the key in the file is believed, without
    --head a cut tail cannot be seen. Exit 0: proved; 1: names the first bad record; 2: bad usage; 3: cannot be read.
    """
    from scaleledger.store.offline import verify_file

    path = database_path(database, data_dir)
    if key is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", key):
        raise click.BadParameter("a public key has 64 hex digits", param_hint="--key")
    anchor = head_of(head)
    started = time.perf_counter()
    try:
        found = verify_file(path, key, anchor)
    except ChainBroken as broken:
        said = {"ok": False, "database": str(path), "seq": broken.seq, "why": broken.why}
        click.echo(json.dumps(said) if as_json else f"BROKEN  {path}\nfirst bad record: {broken.seq}\n{broken.why}")
        sys.exit(1)
    except StoreError as error:
        click.echo(
            json.dumps({"ok": None, "database": str(path), "why": str(error)}) if as_json else str(error), err=True
        )
        sys.exit(3)
    took_s = time.perf_counter() - started
    if as_json:
        said = {
            "ok": True,
            "database": str(path),
            "records": found.records,
            "head": {"seq": found.seq, "hash": found.hash},
            "signed_heads": found.signed_heads,
            "checkpoints": found.checkpoints,
            "seconds": round(took_s, 3),
        }
        click.echo(json.dumps(said))
        return
    click.echo(f"PROVED  {path}\n{found.records} records, {found.signed_heads} signed heads, {took_s:.1f} s")
    click.echo(f"head {found.seq}:{found.hash}")
    if found.checkpoints:
        click.echo(f"{found.checkpoints} gaps are declared by signed checkpoints (records lost to damage, or pruned)")
    if key is None:
        click.echo("the key was taken from the file itself; give --key to prove whose ledger it is")


def database_path(database: Path | None, data_dir: Path | None) -> Path:
    """The file that was meant. Raises UsageError unless exactly one of the two was given."""
    if (database is None) == (data_dir is None):
        raise click.UsageError("give a database file, or --data-dir")
    if database is not None:
        return database / DATABASE if database.is_dir() else database
    assert data_dir is not None
    return data_dir / DATABASE


def head_of(text: str | None) -> Head | None:
    """SEQ:HASH parsed. Raises BadParameter."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,16}):([0-9a-f]{64})", text)
    if match is None:
        raise click.BadParameter("a head is a number, a colon and 64 hex digits", param_hint="--head")
    return Head(int(match[1]), match[2], "")

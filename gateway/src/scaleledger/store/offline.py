"""Proving and reading a ledger file without a gateway: a copy from a stick, or the file of one that runs."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from scaleledger.domain.errors import ChainBroken, StoreUnusable
from scaleledger.domain.ledger import Signed, Verified, verify
from scaleledger.domain.weighing import Head
from scaleledger.store.connection import UNREADABLE, checkpoints, connect_readonly, entries
from scaleledger.store.folder import companions
from scaleledger.store.signing import signed_by


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A read-only connection to a ledger file, its log included. Where the folder cannot be written, to a private copy.

    Raises StoreUnusable when there is no ledger in it.
    """
    if not path.is_file():
        raise StoreUnusable(f"there is no file {path}")
    with TemporaryDirectory(prefix="scaleledger-") as scratch:
        try:
            connection = _connect(path)
        except sqlite3.OperationalError:
            copy = Path(scratch) / path.name
            for source, target in zip((path, companions(path)[0]), (copy, companions(copy)[0]), strict=True):
                if source.exists():
                    shutil.copyfile(source, target)
            try:
                connection = _connect(copy)
            except sqlite3.Error as error:
                raise StoreUnusable(f"{path} cannot be opened as a ledger: {error}") from error
        except UNREADABLE as error:
            raise StoreUnusable(f"{path} cannot be opened as a ledger: {error}") from error
        with closing(connection):
            yield connection


def verify_file(path: Path, public_key: str | None = None, head: Head | None = None) -> Verified:
    """Prove the ledger in a file: chain, numbers, columns, signatures.

    Without `public_key` (hex) the one written in the file is believed, which a forger of the whole file could have changed;
    `head` is one kept elsewhere that the ledger must hold. Raises ChainBroken, or StoreUnusable when it cannot be read.
    """
    with opened(path) as connection:
        try:
            keys = [public_key] if public_key else [r[0] for r in connection.execute("SELECT public_key FROM gateway")]
            signed = signed_by(keys[0]) if keys else None
            return _prove(connection, signed, head)
        except UNREADABLE as error:
            raise StoreUnusable(f"{path} cannot be read to its end: {error}") from error
        except ValueError as error:
            raise StoreUnusable(f"no public key: {error}") from error


def _prove(connection: sqlite3.Connection, signed: Signed | None, head: Head | None) -> Verified:
    """Once with the newest signature; when that fails, once more with all of them, to name the first bad record."""
    declared = checkpoints(connection)
    try:
        return verify(entries(connection), signed=signed, checkpoints=declared, head=head, every_signature=False)
    except ChainBroken:
        verify(entries(connection), signed=signed, checkpoints=declared, head=head)
        raise


def _connect(path: Path) -> sqlite3.Connection:
    connection = connect_readonly(path)
    try:
        connection.execute("SELECT count(*) FROM weighing_records WHERE seq = 1").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


@contextmanager
def exported(
    path: Path, *, since: str | None = None, quarantined: bool = False
) -> Iterator[Iterator[dict[str, object]]]:
    """The records of a file one at a time, as named columns; texts as stored, hash and signature in hex.

    `since` is a time in the ledger's own form. `quarantined` gives what a centre refused and what was salvaged unproved,
    each with a reason, in place of the rest. Raises StoreUnusable when the file cannot be read.
    """
    with opened(path) as connection:
        yield _rows(connection, path, since or "", quarantined=quarantined)


def _rows(connection: sqlite3.Connection, path: Path, since: str, *, quarantined: bool) -> Iterator[dict[str, object]]:
    chosen = (
        "SELECT r.seq, r.uuid, r.station, r.rfid_uid, r.weight, r.unit, r.measured_at, r.is_sent, lower(hex(r.hash)) AS hash, "
        "r.payload{more} FROM weighing_records r {join} WHERE r.measured_at >= ? ORDER BY r.seq"
    )
    try:
        if not quarantined:
            yield from _named(connection, chosen.format(more="", join=""), (since,))
            return
        join = "JOIN delivery_exceptions e ON e.seq = r.seq"
        yield from _named(connection, chosen.format(more=", e.uplink, e.reason, e.at", join=join), (since,))
        yield from _salvaged(connection)
    except sqlite3.Error as error:
        raise StoreUnusable(f"{path} cannot be read to its end: {error}") from error


def _named(connection: sqlite3.Connection, statement: str, values: tuple[object, ...]) -> Iterator[dict[str, object]]:
    cursor = connection.execute(statement, values)
    names = [column[0] for column in cursor.description]
    for row in cursor:
        yield dict(zip(names, row, strict=True))


def _salvaged(connection: sqlite3.Connection) -> Iterator[dict[str, object]]:
    for columns, why, source in connection.execute("SELECT columns, why, source FROM salvaged ORDER BY id"):
        seq, uuid, card, weight, unit, station, at, payload, digest, _, sent = json.loads(columns)
        yield {
            "seq": seq,
            "uuid": uuid,
            "station": station,
            "rfid_uid": card,
            "weight": weight,
            "unit": unit,
            "measured_at": at,
            "is_sent": sent,
            "hash": digest,
            "payload": payload,
            "uplink": "",
            "reason": f"salvaged: {why}",
            "at": source,
        }

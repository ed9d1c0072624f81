"""Bringing a database to this version's tables without losing a row.

The steps are applied to a copy, as several statements make a step and a process may be killed between them: with foreign
keys off (a table rebuilt with them on would empty its children). Then the checks: foreign keys, integrity, and that every
index and trigger of before is still there, as a rebuild drops them silently. Then the copy takes the place of the original.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from tortoise.migrations.executor import MigrationExecutor, MigrationTarget, PlanStep

from scaleledger.domain.errors import StoreUnusable
from scaleledger.store.connection import connect, require
from scaleledger.store.folder import companions, sync_folder
from scaleledger.store.orm import APP, Orm, settings

LATEST = "__latest__"
MIGRATING = ".migrating"
TRIGGERS = {
    "weighing_records_keep_measured",
    "weighing_records_keep_signature",
    "weighing_records_keep_rows",
    "weighing_records_keep_place",
}


async def migrate(path: Path, target: str = LATEST) -> list[str]:
    """Apply the steps that are missing, up to `target`; returns their names. Raises StoreUnusable when a check fails.

    Nothing else may have the database open. Cut short anywhere, it leaves the database of before or the new one.
    """
    steps = await planned(path, target)
    if not steps:
        return []
    before = _objects(path)
    if "weighing_records" not in before:  # a new one, not in use under this name yet
        await _apply(path, target)
        check(path, before)
        return steps
    new = path.with_name(path.name + MIGRATING)
    for left in (new, *companions(new)):
        left.unlink(missing_ok=True)
    back_up(path, new)
    await _apply(new, target)
    check(new, before)
    _put_in_place(new, path, path.with_name(f"{path.name}.before-{steps[0]}"))
    return steps


async def planned(path: Path, target: str = LATEST) -> list[str]:
    """The steps that are missing."""
    orm = Orm()
    await orm.open(path)
    try:
        return [step.migration.name for step in await orm.run(_plan(orm, path, target))]
    finally:
        await orm.close()


async def _plan(orm: Orm, path: Path, target: str) -> list[PlanStep]:
    return await _executor(orm, path).plan(_targets(target))


async def _apply(path: Path, target: str) -> None:
    orm = Orm()
    await orm.open(path, foreign_keys="OFF")
    try:
        await orm.run(_executor(orm, path).migrate(_targets(target), direction="forward"))
    finally:
        await orm.close()


def _executor(orm: Orm, path: Path) -> MigrationExecutor:
    return MigrationExecutor(orm.client, settings(path)["apps"])


def _targets(target: str) -> list[MigrationTarget]:
    return [MigrationTarget(app_label=APP, name=target)]


def _put_in_place(new: Path, path: Path, kept: Path) -> None:
    """`path` becomes `kept`, `new` becomes `path`, at every moment one of them is there; no log is left that is another's."""
    for database in (new, path):
        with closing(sqlite3.connect(database)) as connection:
            (mode,) = connection.execute("PRAGMA journal_mode=DELETE").fetchone()
            require("journal_mode", mode, "delete")
    kept.unlink(missing_ok=True)
    kept.hardlink_to(path)
    new.replace(path)
    sync_folder(path.parent)


def back_up(path: Path, copy: Path) -> None:
    """A copy of an open database, complete and durable. An older copy of that name is replaced."""
    part = copy.with_name(copy.name + ".part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_CREAT | os.O_EXCL, 0o600))
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(part)) as target:
        source.backup(target)
    fd = os.open(part, os.O_RDWR)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    part.replace(copy)
    sync_folder(copy.parent)


def check(path: Path, before: set[str]) -> None:
    """Raise StoreUnusable unless the database is sound and still has every object in `before` and what the ledger needs."""
    with closing(connect(path)) as connection:
        orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
        (sound,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        unique = [
            [column[2] for column in connection.execute(f"PRAGMA index_info({row[1]!r})")]
            for row in connection.execute("PRAGMA index_list(weighing_records)")
            if row[2]
        ]
    gone = (before | TRIGGERS) - _objects(path)
    if orphans or sound != "ok" or gone or ["uuid"] not in unique:
        what = ", ".join(sorted(gone)) or ("the unique index on uuid" if sound == "ok" else sound)
        raise StoreUnusable(
            f"after the migration of {path} something is wrong: {what}. The database of before is kept beside it as "
            f"{path.name}.before-*; put it back and report this."
        )


def _objects(path: Path) -> set[str]:
    if not path.exists():
        return set()
    with closing(connect(path)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}

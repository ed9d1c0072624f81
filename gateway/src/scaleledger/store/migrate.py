"""Bringing a database to this version's tables without losing a row.

An online copy first, the steps with foreign keys off (a table rebuilt with them on would empty its children), then the
checks: foreign keys, integrity, and that every index and trigger of before is still there, as a rebuild drops them silently.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from tortoise.migrations.executor import MigrationExecutor, MigrationTarget

from scaleledger.domain.errors import StoreUnusable
from scaleledger.store.connection import connect
from scaleledger.store.folder import sync_folder
from scaleledger.store.orm import APP, Orm, settings

LATEST = "__latest__"
TRIGGERS = {
    "weighing_records_keep_measured",
    "weighing_records_keep_signature",
    "weighing_records_keep_rows",
    "weighing_records_keep_place",
}


async def migrate(path: Path, target: str = LATEST) -> list[str]:
    """Apply the steps that are missing, up to `target`; returns their names. Raises StoreUnusable when a check fails."""
    before = _objects(path)
    orm = Orm()
    await orm.open(path, foreign_keys="OFF")
    try:
        steps = await orm.run(_apply(orm, path, target, copy="weighing_records" in before))
    finally:
        await orm.close()
    if steps:
        check(path, before)
    return steps


async def _apply(orm: Orm, path: Path, target: str, *, copy: bool) -> list[str]:
    executor = MigrationExecutor(orm.client, settings(path)["apps"])
    targets = [MigrationTarget(app_label=APP, name=target)]
    steps = [step.migration.name for step in await executor.plan(targets)]
    if steps:
        if copy:
            back_up(path, path.with_name(f"{path.name}.before-{steps[0]}"))
        await executor.migrate(targets, direction="forward")
    return steps


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

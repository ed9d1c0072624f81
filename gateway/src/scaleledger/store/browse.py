"""Questions in SQL that can read what may be shown, change nothing, and never take long.

Each question gets a connection of its own that is read-only to SQLite, to its own pragma and to an authorizer that knows four
kinds of action; it has a second, a megabyte and a thousand rows. Secrets are left out by table and by column. Only functions
whose work grows no faster than their text are known: within one call SQLite looks at no clock.
"""

import asyncio
import mmap
import sqlite3
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaleledger.store.connection import connect_readonly

HIDDEN = frozenset({"logins", "api_tokens", "settings"})
BLANK = frozenset({("gateway", "access_token")})
"""Columns that always read as NULL."""
ROWS_MAX = 1000
BYTES_MAX = 1_000_000
CELL_CHARACTERS_MAX = 2000
SECONDS_MAX = 1.0
SQL_CHARACTERS_MAX = 20_000
_ALLOWED = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})
_FUNCTIONS = frozenset({
    "->", "->>", "abs", "acos", "asin", "atan", "atan2", "avg", "ceil", "ceiling", "changes", "char", "coalesce", "cos",
    "count", "cume_dist", "current_date", "current_time", "current_timestamp", "date", "datetime", "degrees", "dense_rank",
    "exp", "first_value", "floor", "format", "glob", "group_concat", "hex", "ifnull", "iif", "json", "json_array_length",
    "json_extract", "json_quote", "json_type", "json_valid", "julianday", "lag", "last_value", "lead", "length", "like",
    "likelihood", "likely", "ln", "log", "log10", "log2", "lower", "max", "min", "mod", "nth_value", "ntile", "nullif",
    "octet_length", "percent_rank", "pi", "pow", "power", "printf", "quote", "radians", "random", "rank", "round",
    "row_number", "sign", "sin", "sqrt", "strftime", "string_agg", "substr", "substring", "sum", "tan", "time", "timediff",
    "total", "trunc", "typeof", "unicode", "unixepoch", "unlikely", "upper", "zeroblob",
})  # fmt: skip
_STEPS = 1000  # of SQLite's machine between two looks at the time and at the memory
_MEMORY_BYTES_MAX = 64_000_000
_MEMORY = Path("/proc/self/statm")
_LIMITS = {
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LENGTH: 1_000_000,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: SQL_CHARACTERS_MAX,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 20,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 200,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 25_000,
}


class QueryRefused(Exception):
    """The question was not answered; the words say why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows of texts, None for NULL. `cut`: there were more rows, or longer ones, than are shown."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]
    took_ms: int
    cut: bool


class Browser:
    """Answers questions about the database at `path`, one after another in a thread of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store-browser")
        self._waiting = 0

    async def ask(self, sql: str, arguments: Sequence[int | str] = (), *, rows_max: int = ROWS_MAX) -> Answer:
        """The answer. Raises QueryRefused."""
        if self._waiting >= 4:
            raise QueryRefused("Other questions are being answered. Ask again in a moment.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._ask, sql, arguments, rows_max)
        finally:
            self._waiting -= 1

    async def tables(self) -> list[str]:
        """The tables that may be read."""
        answer = await self.ask("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        return [row[0] for row in answer.rows if row[0] and row[0] not in HIDDEN and not row[0].startswith("sqlite_")]

    async def table(self, name: str, before: int | None, limit: int) -> Answer:
        """Rows of a table from the newest on, the rowid as the first column; `before` is the rowid to go on below.

        Raises QueryRefused, also for a table that is not among `tables`.
        """
        if name not in await self.tables():
            raise QueryRefused(f"There is no table {name!r} to be read here.")
        where = "WHERE rowid < ? " if before is not None else ""
        arguments = (before, limit) if before is not None else (limit,)
        sql = f'SELECT rowid AS "row", * FROM "{name}" {where}ORDER BY rowid DESC LIMIT ?'  # noqa: S608 - from the list
        return await self.ask(sql, arguments)

    def close(self) -> None:
        """End the thread, after the question under way."""
        self._thread.shutdown()

    def _ask(self, sql: str, arguments: Sequence[int | str], rows_max: int) -> Answer:
        if len(sql) > SQL_CHARACTERS_MAX:
            raise QueryRefused(f"A question has at most {SQL_CHARACTERS_MAX} characters.")
        began = time.monotonic()
        try:
            connection = _open(self._path)
        except sqlite3.Error as error:
            raise QueryRefused(f"The database cannot be read: {error}") from error
        try:
            most = _memory_bytes() + _MEMORY_BYTES_MAX

            def is_too_much() -> bool:
                return time.monotonic() - began > SECONDS_MAX or _memory_bytes() > most

            connection.set_progress_handler(is_too_much, _STEPS)
            return _answer(connection.execute(sql, arguments), began, rows_max)
        except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError, MemoryError) as error:
            raise QueryRefused(_words(error)) from error
        finally:
            connection.close()


def _memory_bytes() -> int:
    """What this program holds of the machine's memory; 0 where the system does not say."""
    try:
        with _MEMORY.open("rb", buffering=0) as file:
            return int(file.read(100).split()[1]) * mmap.PAGESIZE
    except (OSError, IndexError, ValueError):
        return 0


def _open(path: Path) -> sqlite3.Connection:
    found = connect_readonly(path)
    try:
        found.execute("PRAGMA cell_size_check=ON")
        found.execute("PRAGMA temp_store=MEMORY")
        for limit, value in _LIMITS.items():
            found.setlimit(limit, value)
        found.set_authorizer(_authorize)
    except sqlite3.Error:
        found.close()
        raise
    return found


def _authorize(action: int, first: str | None, second: str | None, _: str | None, __: str | None) -> int:
    if action not in _ALLOWED:
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_READ:
        if (first or "").lower() in HIDDEN:
            return sqlite3.SQLITE_DENY
        if ((first or "").lower(), (second or "").lower()) in BLANK:
            return sqlite3.SQLITE_IGNORE
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() not in _FUNCTIONS:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def _answer(cursor: sqlite3.Cursor, began: float, rows_max: int) -> Answer:
    if cursor.description is None:
        raise QueryRefused("Only questions that give rows are answered here: SELECT …")
    columns = tuple(str(column[0])[:100] for column in cursor.description)
    rows: list[tuple[str | None, ...]] = []
    size, cut = 0, False
    for row in cursor:
        shown = tuple(_cell(value) for value in row)
        size += sum(len(cell or "") for cell in shown) + len(shown)
        if len(rows) >= rows_max or size > BYTES_MAX:
            cut = True
            break
        rows.append(shown)
    return Answer(columns, tuple(rows), round((time.monotonic() - began) * 1000), cut)


def _cell(value: Any) -> str | None:
    if value is None:
        return None
    shown = f"x'{value[: CELL_CHARACTERS_MAX // 2].hex()}'" if isinstance(value, bytes) else str(value)
    if len(shown) > CELL_CHARACTERS_MAX:
        shown = shown[:CELL_CHARACTERS_MAX] + "…"
    return shown.encode("utf-8", "backslashreplace").decode()


def _words(error: Exception) -> str:
    said = str(error)
    if said == "interrupted":
        return (
            f"This took longer than {SECONDS_MAX:g} s, or too much memory, and was stopped. Ask for less, as with LIMIT or a "
            "range of seq."
        )
    if "not authorized" in said or "prohibited" in said:
        return f"Only reading is allowed here, and nothing that holds a secret ({said})."
    return f"The database did not take it: {said}"

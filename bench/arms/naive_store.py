"""The store that comes to mind first: a table with a random uuid as key, one commit per weighing, another one to mark it sent."""

import sqlite3
import uuid
from pathlib import Path


class NaiveStore:
    """SQLite as it comes, in WAL mode with synchronous=FULL."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir()
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute(
            "CREATE TABLE weighing_records (uuid TEXT PRIMARY KEY, rfid_uid TEXT, weight TEXT, measured_at TEXT, "
            "is_sent INTEGER DEFAULT 0, payload TEXT)"
        )
        self._connection.execute("CREATE INDEX unsent ON weighing_records (is_sent)")

    def append(self, payload: str) -> str:
        """One weighing, durable; its uuid."""
        made = str(uuid.uuid4())
        values = (made, "00345678", "152.50", "2026-01-01T00:00:00.000000+00:00", payload)
        self._connection.execute("INSERT INTO weighing_records VALUES (?, ?, ?, ?, 0, ?)", values)
        return made

    def mark_sent(self, made: str) -> None:
        """The centre holds it."""
        self._connection.execute("UPDATE weighing_records SET is_sent = 1 WHERE uuid = ?", (made,))

    def close(self) -> None:
        """Let the file go."""
        self._connection.close()

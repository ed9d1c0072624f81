"""The upload that comes to mind first: read one unsent row, POST it, mark it sent, take the next."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import httpx2

Row = tuple[int, str]


class PostEach:
    """A table of unsent records, and one client that is kept."""

    def __init__(self, database: Path, url: str, token: str) -> None:
        self._connection = sqlite3.connect(database, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute("CREATE TABLE records (id INTEGER PRIMARY KEY, body TEXT, is_sent INTEGER DEFAULT 0)")
        self._client = httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, trust_env=False)

    def queue(self, bodies: list[str]) -> None:
        """Records to be sent."""
        self._connection.execute("BEGIN")
        self._connection.executemany("INSERT INTO records (body) VALUES (?)", [(body,) for body in bodies])
        self._connection.execute("COMMIT")

    def drain(self, believe: Callable[[int], bool]) -> int:
        """Send all; how many. Raises RuntimeError when the centre refuses one."""
        count = 0
        while row := self._next():
            number, body = row
            answer = self._client.post(
                "api/weighing/records/", content=body, headers={"Content-Type": "application/json"}
            )
            if not believe(answer.status_code):
                raise RuntimeError(f"the centre answered {answer.status_code}: {answer.text[:200]}")
            json.loads(answer.content)
            self._connection.execute("UPDATE records SET is_sent = 1 WHERE id = ?", (number,))
            count += 1
        return count

    def close(self) -> None:
        """Give connection and file up."""
        self._client.close()
        self._connection.close()

    def _next(self) -> Row | None:
        row: Row | None = self._connection.execute(
            "SELECT id, body FROM records WHERE is_sent = 0 ORDER BY id LIMIT 1"
        ).fetchone()
        return row

"""An edge for label scales as it comes to mind first: one asyncio thread that writes each event to SQLite by itself.

    python bench/rivals/plain_edge.py PORT DATABASE READY_FILE

SQLite in WAL mode with synchronous=FULL, every statement its own commit: the batch's counters, the event, the device, the
event's state. The events table has a text key, a unique index against doubles, and one index for each question a page asks:
nine trees for one row. An OK is sent when the last statement has returned, so it is as durable as the product's.
"""

import asyncio
import sqlite3
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path

SCHEMA = """
PRAGMA journal_mode=WAL;
PRAGMA synchronous=FULL;
PRAGMA foreign_keys=ON;
CREATE TABLE devices (device_id TEXT PRIMARY KEY, status TEXT, source_ip TEXT, last_event_at TEXT, event_count INTEGER DEFAULT 0);
CREATE INDEX devices_status ON devices (status);
CREATE TABLE offline_batches (id TEXT PRIMARY KEY, device_id TEXT REFERENCES devices, started_at TEXT, event_count INTEGER
    DEFAULT 0, total_weight_grams INTEGER DEFAULT 0, reconciliation_status TEXT DEFAULT 'pending');
CREATE TABLE events (id TEXT PRIMARY KEY, device_id TEXT NOT NULL REFERENCES devices, cloud_session_id TEXT,
    offline_mode INTEGER, offline_batch_id TEXT REFERENCES offline_batches, plu_code TEXT, product_name TEXT,
    weight_grams INTEGER, tare_grams INTEGER, barcode TEXT, scale_timestamp TEXT, received_at TEXT, source_ip TEXT,
    raw_data TEXT, sync_status TEXT DEFAULT 'pending', sync_attempts INTEGER DEFAULT 0, last_sync_error TEXT);
CREATE INDEX events_device ON events (device_id);
CREATE INDEX events_session ON events (cloud_session_id);
CREATE INDEX events_batch ON events (offline_batch_id);
CREATE INDEX events_sync ON events (sync_status);
CREATE INDEX events_pending ON events (sync_status) WHERE sync_status IN ('pending', 'failed');
CREATE INDEX events_offline ON events (offline_mode) WHERE offline_mode = 1;
CREATE INDEX events_received ON events (received_at);
CREATE UNIQUE INDEX events_once ON events (device_id, scale_timestamp, plu_code, weight_grams);
"""
BATCH = (
    "UPDATE offline_batches SET event_count = event_count + 1, total_weight_grams = total_weight_grams + ? WHERE id = ?"
)
EVENT = (
    "INSERT INTO events (id, device_id, offline_mode, offline_batch_id, plu_code, product_name, weight_grams, tare_grams, "
    "barcode, scale_timestamp, received_at, source_ip, raw_data) VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
DEVICE = "UPDATE devices SET status = 'online', last_event_at = ?, event_count = event_count + 1 WHERE device_id = ?"
STATE = "UPDATE events SET sync_status = 'pending', sync_attempts = 0 WHERE id = ?"


class Edge:
    """The database and what is done for each event."""

    def __init__(self, path: str) -> None:
        self._sql = sqlite3.connect(path, isolation_level=None)
        self._sql.executescript(SCHEMA)
        self._batch = ""

    def register(self, device: str, host: str) -> None:
        """A scale named itself."""
        self._sql.execute("INSERT OR IGNORE INTO devices (device_id, source_ip) VALUES (?, ?)", (device, host))
        if not self._batch:
            self._batch = str(uuid.uuid4())
            begun = (self._batch, device, datetime.now(UTC).isoformat())
            self._sql.execute("INSERT INTO offline_batches (id, device_id, started_at) VALUES (?, ?, ?)", begun)

    def keep(self, device: str, host: str, line: str) -> None:
        """One event, durable when it returns."""
        parts = [part.strip() for part in line.split(",")]
        event, now = str(uuid.uuid4()), datetime.now(UTC).isoformat()
        net, tare = int(parts[9]), int(parts[8])
        stamp = datetime.strptime(f"{parts[2]} {parts[1]}", "%d.%m.%Y %H:%M:%S").astimezone(UTC).isoformat()
        self._sql.execute(BATCH, (net, self._batch))
        row = (event, device, self._batch, parts[4], parts[3], net, tare, parts[4], stamp, now, host, line)
        self._sql.execute(EVENT, row)
        self._sql.execute(DEVICE, (now, device))
        self._sql.execute(STATE, (event,))


class Scale(asyncio.Protocol):
    """One connection."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._held = ""
        self._device = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._host = transport.get_extra_info("peername")[0]

    def data_received(self, data: bytes) -> None:
        self._held += data.decode("utf-8", "replace")
        if self._held.startswith("SCALE-"):
            self._device, self._held = self._held[:8], self._held[8:]
            self._edge.register(self._device, self._host)
        *lines, self._held = self._held.split("\n")
        for line in lines:
            self._edge.keep(self._device, self._host, line.rstrip("\r"))
            self._transport.write(b"OK\n")


async def main(port: int, database: str, ready: str) -> None:
    """Serve until ended."""
    edge = Edge(database)
    server = await asyncio.get_running_loop().create_server(lambda: Scale(edge), "127.0.0.1", port)
    Path(ready).write_text("ready")
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3]))

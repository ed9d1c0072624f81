"""The floor of durability: the same hand-off to a thread and back, with nothing in between but the disk.

A queue, one thread that takes all that waits, one write into a file that already has its size, one fdatasync, one wake-up of
the loop. What the product adds to this is its driver, its state machine, its ledger and its database.
"""

import asyncio
import os
import queue
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FILE_BYTES = 16 * 1024 * 1024
Waiting = tuple[bytes, "asyncio.Future[None]"]


class HandOff:
    """A durable append of bytes. Use on one loop; `close` ends the thread.

    `seal` makes in the thread of all that waits what is written: nothing is changed without it.
    """

    def __init__(self, path: Path, flush_lasts_s: float = 0.0, seal: Callable[[list[bytes]], bytes] = b"".join) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.posix_fallocate(self._fd, 0, FILE_BYTES)
        zeros = bytes(1024 * 1024)
        for at in range(0, FILE_BYTES, len(zeros)):
            os.pwrite(self._fd, zeros, at)
        os.fsync(self._fd)
        self._at = 0
        self._flush_lasts_s = flush_lasts_s
        self._seal = seal
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def append(self, data: bytes) -> "asyncio.Future[None]":
        """Done when the bytes are on the disk."""
        future = self._loop.create_future()
        self._queue.put((data, future))
        return future

    def close(self) -> None:
        """Write what waits, and end."""
        self._queue.put(None)
        self._thread.join()
        os.close(self._fd)

    def _run(self) -> None:
        while True:
            group: list[Waiting] = []
            item = self._queue.get()
            while item is not None:
                group.append(item)
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
            if group:
                self._write(self._seal([data for data, _ in group]))
                self._loop.call_soon_threadsafe(self._resolve, [future for _, future in group])
            if item is None:
                return

    def _write(self, data: bytes) -> None:
        if self._at + len(data) > FILE_BYTES:
            self._at = 0
        os.pwrite(self._fd, data, self._at)
        os.fdatasync(self._fd)
        if self._flush_lasts_s:
            time.sleep(self._flush_lasts_s)
        self._at += len(data)

    @staticmethod
    def _resolve(futures: "list[asyncio.Future[None]]") -> None:
        for future in futures:
            future.set_result(None)


class Chain:
    """The least a tamper-evident ledger computes: a hash over each entry and the one before, a signature per group."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self._hash = bytes(32)

    def seal(self, entries: list[bytes]) -> bytes:
        """The entries, each with its hash, and the signature of the last hash."""
        parts: list[bytes] = []
        for entry in entries:
            self._hash = sha256(self._hash + entry).digest()
            parts += [entry, self._hash]
        return b"".join([*parts, self._key.sign(self._hash)])


class BareAppend:
    """One write at a file's end and one fdatasync, in the calling thread."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)

    def append(self, data: bytes) -> None:
        """Returns when the bytes are on the disk."""
        os.write(self._fd, data)
        os.fdatasync(self._fd)

    def close(self) -> None:
        """Let the file go."""
        os.close(self._fd)

"""What SQLite asks of the disk, counted in this process: the unix VFS with its writes and flushes wrapped.

Counts are by folder, so that two arms can work side by side. `blocks` are the 4 KiB blocks that were dirty at each flush: what
a disk has to write, however small the writes were. A flush can be made to last longer, as it does on an SD card.
"""

import ctypes as c
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.sqlite_vfs import OPEN, SYNC, WRITE, Methods, Vfs, library

BLOCK_BYTES = 4096


@dataclass(slots=True)
class Tally:
    """Counts of one folder. `written` is bytes as SQLite hands them over."""

    flushes: int = 0
    writes: int = 0
    written: int = 0
    blocks: int = 0
    dirty: dict[str, set[int]] = field(default_factory=dict)

    def copy(self) -> "Tally":
        """The counts so far."""
        return Tally(self.flushes, self.writes, self.written, self.blocks)

    def since(self, before: "Tally", count: int) -> dict[str, float]:
        """What came since `before`, for each of `count`."""
        return {
            "flushes": (self.flushes - before.flushes) / count,
            "written_bytes": (self.written - before.written) / count,
            "block_bytes": (self.blocks - before.blocks) * BLOCK_BYTES / count,
        }


class CountedDisk:
    """`tally(folder)` tells the counts of what lies under it; everything must be closed before `counted` ends."""

    def __init__(self, flush_lasts_s: float) -> None:
        self.flush_lasts_s = flush_lasts_s
        self.tallies: dict[str, Tally] = {}
        self.keep: list[Any] = []
        self._tables: dict[int, Methods] = {}
        self._names: dict[int, str] = {}

    def tally(self, folder: Path) -> Tally:
        """The counts of a folder."""
        return self.tallies.setdefault(str(folder), Tally())

    def opened(self, name: bytes | None, file: Any) -> None:
        """A file was opened; from now on its writes and flushes are seen."""
        methods = file.contents.methods
        if name is None or not methods:
            return
        self._names[c.addressof(file.contents)] = os.fsdecode(name)
        address = c.addressof(methods.contents)
        if address not in self._tables:
            self._tables[address] = self._wrap(methods.contents)
        file.contents.methods = c.pointer(self._tables[address])

    def _wrap(self, methods: Methods) -> Methods:
        table = Methods()
        c.memmove(c.byref(table), c.byref(methods), c.sizeof(Methods))
        plain_write, plain_sync = WRITE(table.xWrite), SYNC(table.xSync)

        def x_write(file: Any, data: int, size: int, offset: int) -> int:
            self._wrote(self._names[c.addressof(file.contents)], size, offset)
            return int(plain_write(file, data, size, offset))

        def x_sync(file: Any, flags: int) -> int:
            self._flushed(self._names[c.addressof(file.contents)])
            return int(plain_sync(file, flags))

        self.keep += [calls := (WRITE(x_write), SYNC(x_sync)), plain_write, plain_sync]
        table.xWrite, table.xSync = (c.cast(call, c.c_void_p) for call in calls)
        return table

    def _wrote(self, path: str, size: int, offset: int) -> None:
        tally = self.tally(Path(path).parent)
        tally.writes += 1
        tally.written += size
        blocks = range(offset // BLOCK_BYTES, (offset + size - 1) // BLOCK_BYTES + 1)
        tally.dirty.setdefault(path, set()).update(blocks)

    def _flushed(self, path: str) -> None:
        tally = self.tally(Path(path).parent)
        tally.flushes += 1
        tally.blocks += len(tally.dirty.pop(path, ()))
        if self.flush_lasts_s:
            time.sleep(self.flush_lasts_s)


@contextmanager
def counted(flush_lasts_s: float = 0.0) -> Iterator[CountedDisk]:
    """Every database opened in this block is counted; each of its flushes lasts longer by `flush_lasts_s`."""
    lib = library()
    lib.sqlite3_vfs_find.restype = c.POINTER(Vfs)
    base = lib.sqlite3_vfs_find(None)
    disk = CountedDisk(flush_lasts_s)
    vfs = Vfs()
    c.memmove(c.byref(vfs), base, c.sizeof(Vfs))
    vfs.zName, vfs.pNext = b"counted", None
    plain_open = OPEN(base.contents.xOpen)

    def x_open(_: Any, name: int, file: Any, flags: int, out: Any) -> int:
        code = int(plain_open(c.cast(base, c.c_void_p), name, file, flags, out))
        if code == 0:
            disk.opened(c.cast(name, c.c_char_p).value if name else None, file)
        return code

    disk.keep += [opening := OPEN(x_open), plain_open, vfs]
    vfs.xOpen = c.cast(opening, c.c_void_p)
    assert lib.sqlite3_vfs_register(c.byref(vfs), 1) == 0, "SQLite refused the counting disk"
    with _python_counted(disk):
        try:
            yield disk
        finally:
            lib.sqlite3_vfs_unregister(c.byref(vfs))
            lib.sqlite3_vfs_register(base, 1)


@contextmanager
def _python_counted(disk: CountedDisk) -> Iterator[None]:
    """Flushes asked for by Python itself count too, under the folder "."."""
    plain: dict[str, Callable[[int], None]] = {"fsync": os.fsync, "fdatasync": os.fdatasync}

    def counting(name: str) -> Callable[[int], None]:
        def call(fd: int) -> None:
            disk.tally(Path()).flushes += 1
            plain[name](fd)

        return call

    for name in plain:
        setattr(os, name, counting(name))
    try:
        yield
    finally:
        for name, call in plain.items():
            setattr(os, name, call)

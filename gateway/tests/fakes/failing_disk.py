"""A disk that refuses, under the SQLite that Python itself uses: the unix VFS with its writes and flushes wrapped.

    with FailingDisk() as disk:            # before any connection is opened
        disk.fail("sync", IOERR_FSYNC)     # from now on, until `heal`
        disk.syncs, disk.written           # counts since `count`

Everything opened meanwhile must be closed before the block ends.
"""

import ctypes as c

from bench.sqlite_vfs import OPEN, SYNC, WRITE, Methods, Vfs, library

FULL, IOERR_WRITE, IOERR_FSYNC = 13, 10 | 3 << 8, 10 | 4 << 8


class FailingDisk:
    """Register the wrapped VFS as the default one; `fail` and `heal` steer it."""

    def __init__(self):
        self._lib = library()
        self._lib.sqlite3_vfs_find.restype = c.POINTER(Vfs)
        self._faults = {}
        self._kept = []
        self._tables = {}
        self.count()

    def count(self):
        """Start counting flushes and written bytes anew."""
        self.syncs = self.written = 0

    def fail(self, call, code, *, after=0):
        """Let `call` ("write" or "sync") answer `code` from the pass after the next `after` ones on."""
        self._faults[call] = [code, after]

    def heal(self):
        self._faults.clear()

    def __enter__(self):
        self._base = self._lib.sqlite3_vfs_find(None)
        self._vfs = Vfs()
        c.memmove(c.byref(self._vfs), self._base, c.sizeof(Vfs))
        self._vfs.zName, self._vfs.pNext = b"failing", None
        plain_open = OPEN(self._base.contents.xOpen)

        def x_open(_, name, file, flags, out):
            code = plain_open(c.cast(self._base, c.c_void_p), name, file, flags, out)
            if code == 0 and file.contents.methods:
                file.contents.methods = c.pointer(self._wrapped(file.contents.methods))
            return code

        self._kept.append(OPEN(x_open))
        self._vfs.xOpen = c.cast(self._kept[-1], c.c_void_p)
        assert self._lib.sqlite3_vfs_register(c.byref(self._vfs), 1) == 0
        return self

    def __exit__(self, *_):
        self._lib.sqlite3_vfs_unregister(c.byref(self._vfs))
        self._lib.sqlite3_vfs_register(self._base, 1)

    def _fault(self, call):
        fault = self._faults.get(call)
        if fault is None:
            return 0
        fault[1] -= 1
        return fault[0] if fault[1] < 0 else 0

    def _wrapped(self, methods):
        address = c.addressof(methods.contents)
        if address in self._tables:
            return self._tables[address]
        table = Methods()
        c.memmove(c.byref(table), methods, c.sizeof(Methods))
        plain_write, plain_sync = WRITE(table.xWrite), SYNC(table.xSync)

        def x_write(file, data, size, offset):
            code = self._fault("write") or plain_write(file, data, size, offset)
            self.written += 0 if code else size
            return code

        def x_sync(file, flags):
            code = self._fault("sync") or plain_sync(file, flags)
            self.syncs += 0 if code else 1
            return code

        self._kept += [WRITE(x_write), SYNC(x_sync)]
        table.xWrite, table.xSync = (c.cast(call, c.c_void_p) for call in self._kept[-2:])
        self._tables[address] = table
        return table

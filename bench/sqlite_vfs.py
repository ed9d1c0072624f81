"""SQLite's virtual file system as ctypes see it (sqlite3.h), for those who stand between SQLite and the disk."""

import _sqlite3
import ctypes as c
import re
from pathlib import Path

VFS_CALLS = [
    "xOpen",
    "xDelete",
    "xAccess",
    "xFullPathname",
    "xDlOpen",
    "xDlError",
    "xDlSym",
    "xDlClose",
    "xRandomness",
    "xSleep",
    "xCurrentTime",
    "xGetLastError",
    "xCurrentTimeInt64",
    "xSetSystemCall",
    "xGetSystemCall",
    "xNextSystemCall",
]
FILE_CALLS = [
    "xClose",
    "xRead",
    "xWrite",
    "xTruncate",
    "xSync",
    "xFileSize",
    "xLock",
    "xUnlock",
    "xCheckReservedLock",
    "xFileControl",
    "xSectorSize",
    "xDeviceCharacteristics",
    "xShmMap",
    "xShmLock",
    "xShmBarrier",
    "xShmUnmap",
    "xFetch",
    "xUnfetch",
]


class Vfs(c.Structure):
    """sqlite3_vfs."""

    _fields_ = [
        ("iVersion", c.c_int), ("szOsFile", c.c_int), ("mxPathname", c.c_int), ("pNext", c.c_void_p),
        ("zName", c.c_char_p), ("pAppData", c.c_void_p), *((name, c.c_void_p) for name in VFS_CALLS),
    ]  # fmt: skip


class Methods(c.Structure):
    """sqlite3_io_methods."""

    _fields_ = [("iVersion", c.c_int), *((name, c.c_void_p) for name in FILE_CALLS)]


class File(c.Structure):
    """sqlite3_file, as far as all kinds share it."""

    _fields_ = [("methods", c.POINTER(Methods))]


OPEN = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_void_p, c.POINTER(File), c.c_int, c.c_void_p)
WRITE = c.CFUNCTYPE(c.c_int, c.POINTER(File), c.c_void_p, c.c_int, c.c_int64)
SYNC = c.CFUNCTYPE(c.c_int, c.POINTER(File), c.c_int)


def library() -> c.CDLL:
    """The very SQLite that Python itself uses."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        if match := re.search(r"(/\S*libsqlite3\.so\S*)", line):
            return c.CDLL(match[1])
    return c.CDLL(_sqlite3.__file__)

"""The gateway's name plate: what its own row says of it, read from the file, whether a gateway runs on it or not."""

import sqlite3
from pathlib import Path

from scaleledger.domain.errors import StoreUnusable
from scaleledger.domain.gateway import Credentials
from scaleledger.store.connection import UNREADABLE
from scaleledger.store.folder import DATABASE
from scaleledger.store.offline import opened


def read_nameplate(folder: Path) -> Credentials:
    """Who the gateway of a data folder is, and how it stood at its centre when it was last told. Its token is left out.

    Raises StoreUnusable when no gateway has run on this folder, or its file cannot be read.
    """
    path = folder / DATABASE
    try:
        with opened(path) as connection:
            connection.row_factory = sqlite3.Row
            found = connection.execute("SELECT * FROM gateway").fetchone()
    except UNREADABLE as error:
        raise StoreUnusable(f"{path} cannot be read: {error}") from error
    if found is None:
        raise StoreUnusable(f"{path} names no gateway")
    row = dict(found)
    return Credentials(
        mac_address=row["mac_address"],
        hostname=row["hostname"],
        ip_address=row["ip_address"],
        status=row["status"],
        ever_approved=bool(row["ever_approved"]),
        public_key=row["public_key"],
        server_key=row.get("server_key", ""),
    )

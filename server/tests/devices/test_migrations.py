"""A database of the first release is brought up to date with its rows."""

import contextlib
import sqlite3

from gateway_ledgers import MAC
from server_processes import ServerProcess


class OnSqlite(ServerProcess):
    """A server on its own file, whatever database the other tests use."""

    def environment(self):
        return {name: value for name, value in super().environment().items() if "DATABASE_URL" not in name}


def test_gateways_and_their_anchors_stay_and_derived_tokens_end(tmp_path):
    server = OnSqlite(tmp_path)
    server.command("migrate", "weighing", "0002_append_only")
    server.command("migrate", "devices", "0002_anchor_signature")
    with contextlib.closing(sqlite3.connect(tmp_path / "server.sqlite3")) as database:
        database.execute(
            "INSERT INTO devices_gateway (mac_address, hostname, ip_address, name, description, status, public_key,"
            " token_generation, anchor_seq, anchor_hash, anchor_signature, reported, created_at, updated_at)"
            " VALUES (?, 'h', 'i', 'n', 'd', 'active', '', 3, 7, 'a', 's', '{}', '2026-01-01', '2026-01-01')",
            [MAC],
        )
        database.execute(
            "INSERT INTO devices_identityconflict (gateway_id, public_key, hostname, ip_address, remote_address,"
            " first_seen, last_seen, times) VALUES (1, '', 'h', 'i', 'r', '2026-01-01', '2026-01-01', 2)"
        )
        database.commit()
    server.command("migrate")
    with contextlib.closing(sqlite3.connect(tmp_path / "server.sqlite3")) as database:
        [gateway] = database.execute("SELECT mac_address, status, anchor_seq, stations_version FROM devices_gateway")
        assert gateway == (MAC, "active", 7, 1)
        assert list(database.execute("SELECT times, proved FROM devices_identityconflict")) == [(2, 0)]
        assert list(database.execute("SELECT count(*) FROM devices_accesstoken")) == [(0,)]

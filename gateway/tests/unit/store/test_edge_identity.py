"""The name a cloud gave this gateway outlives restarts, and a copied database does not tell it."""

import sqlite3

from fakes.weighings import open_store
from scaleledger.store.edge_identity import read_kept

EDGE = "7f1c6f0a-2f4b-4b43-9a65-0d6a5a1c9b11"


async def test_a_text_is_kept_over_a_restart_and_replaced_by_the_next(tmp_path):
    store = await open_store(tmp_path)
    assert await store.edge_identity.load("carnitrack.edge_id") == ""
    await store.edge_identity.keep("carnitrack.edge_id", "the first")
    await store.edge_identity.keep("carnitrack.edge_id", EDGE)
    await store.close()
    again = await open_store(tmp_path)
    assert await again.edge_identity.load("carnitrack.edge_id") == EDGE
    await again.close()
    assert read_kept(tmp_path, "carnitrack.edge_id") == EDGE


async def test_a_copied_database_names_nobody(tmp_path):
    store = await open_store(tmp_path / "ours")
    await store.edge_identity.keep("carnitrack.edge_id", EDGE)
    await store.close()
    with sqlite3.connect(tmp_path / "ours" / "scaleledger.db") as database:
        rows = database.execute("SELECT value FROM settings WHERE key LIKE 'carnitrack%'").fetchall()
    database.close()
    assert len(rows) == 1
    assert EDGE not in rows[0][0]
    other = await open_store(tmp_path / "other")
    await other.edge_identity.keep("carnitrack.edge_id", "another")
    await other.close()
    with sqlite3.connect(tmp_path / "other" / "scaleledger.db") as database:
        database.execute("UPDATE settings SET value = ? WHERE key LIKE 'carnitrack%'", rows[0])
    database.close()
    assert read_kept(tmp_path / "other", "carnitrack.edge_id") == ""


def test_of_a_folder_in_which_no_gateway_ran_nothing_is_read(tmp_path):
    assert read_kept(tmp_path, "carnitrack.edge_id") == ""

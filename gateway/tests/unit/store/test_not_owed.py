"""A record that an uplink's contract has no place for is settled, and is not called sent."""

import sqlite3
from contextlib import closing

from fakes.weighings import draft, open_store
from scaleledger.domain.delivery import ItemOutcome, Outcome
from scaleledger.domain.viewing import EventFilter
from scaleledger.store.reader import Reader
from scaleledger.store.views import Views


async def test_it_is_not_offered_again_and_not_marked_as_held_by_a_centre(tmp_path):
    store = await open_store(tmp_path)
    records = [await store.ledger.append(draft(n)) for n in (1, 2, 3)]
    outcomes = [
        ItemOutcome(records[0].seq, Outcome.NOT_OWED),
        ItemOutcome(records[1].seq, Outcome.ACKED),
        ItemOutcome(records[2].seq, Outcome.NOT_OWED),
    ]
    await store.outbox.settle("carnitrack", outcomes)
    counts = await store.outbox.counts("carnitrack")
    assert (counts.queued, counts.quarantined) == (0, 0)
    await store.ledger.append(draft(4))
    batch = await store.outbox.next_batch("carnitrack", 10)
    assert [record.seq for record in batch.records] == [4]
    await store.close()  # what was learned is durable at the latest now
    with closing(Reader(tmp_path / "scaleledger.db")) as reader:
        shown = Views(reader)
        page, kept = await shown.events(EventFilter()), await shown.events(EventFilter(state="kept"))
    assert [event.state for event in page.events] == ["queued", "kept", "sent", "kept"]
    assert [event.entry.seq for event in kept.events] == [3, 1]
    with sqlite3.connect(tmp_path / "scaleledger.db") as database:
        sent = [row[0] for row in database.execute("SELECT is_sent FROM weighing_records ORDER BY seq")]
        position = database.execute("SELECT position FROM delivery WHERE uplink = 'carnitrack'").fetchone()
    database.close()
    assert sent == [0, 1, 0, 0]
    assert position == (3,)

"""What a look at a session's cuts finds: everything once, also what was committed late, moved here or moved away."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from plants import CALF, LAMB, Plant
from scaleledger_server.live.cut_queries import CUTS_SHOWN_MAX, look
from scaleledger_server.shifts import services
from scaleledger_server.shifts.services import Animal
from scaleledger_server.weighing.models import Cut, CutChange

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def later(seconds):
    return NOON + timedelta(seconds=seconds)


@pytest.fixture
def plant(db):
    plant = Plant()
    services.start(plant.scale(), Animal("TR-12"), None, NOON, CALF)
    services.end(CALF, "completed", None, later(1))
    services.start(plant.scale(), Animal("TR-13"), None, later(2), LAMB)
    return plant


def keep(plant, number, session=CALF, received_s=0, **others):
    """A cut's row, received so many seconds after noon."""
    stated = {"net_grams": 100, "measured_at": later(number), "received_at": later(received_s), **others}
    row = Cut(record_uuid=UUID(int=number), scale=plant.scale(), session_id=session, **stated)
    Cut.objects.bulk_create([row])
    return str(row.pk)


def shown(seen):
    return [cut["id"] for cut in seen.cuts]


def test_the_newest_weighed_come_first_whenever_they_came(plant):
    second = keep(plant, 2, received_s=10)
    first = keep(plant, 1, received_s=20)
    seen = look(CALF, None)
    assert (shown(seen), seen.count, seen.grams, seen.whole, seen.until) == ([second, first], 2, 200, True, later(20))
    assert look(UUID(int=7), None) is None
    assert look(LAMB, None).count == 0


def test_a_cut_that_was_committed_after_later_ones_is_found_by_the_next_look(plant):
    keep(plant, 1, received_s=100)
    until = look(CALF, None).until
    late = keep(plant, 2, received_s=70)
    assert late in shown(look(CALF, until))


def test_a_look_tells_no_more_than_what_is_new_and_a_little_before(plant):
    old = keep(plant, 1, received_s=0)
    keep(plant, 2, received_s=1000)
    seen = look(CALF, look(CALF, None).until)
    assert old not in shown(seen)
    assert (seen.whole, seen.count) == (False, 2)


def test_a_cut_that_moves_is_new_where_it_comes_to_and_gone_where_it_was(plant):
    moved = keep(plant, 1, received_s=0, revision=1)
    keep(plant, 2, received_s=1000)
    until = look(CALF, None).until
    Cut.objects.update(session=LAMB)
    CutChange.objects.bulk_create(
        [CutChange(cut_id=UUID(int=1), session_before=str(CALF), session_after=str(LAMB), reason="x", at=later(1001))]
    )
    assert look(CALF, until).gone == [moved]
    assert moved in shown(look(LAMB, until))
    assert look(CALF, None).gone == []


def test_more_than_is_shown_is_told_anew(plant):
    for number in range(CUTS_SHOWN_MAX + 1):
        keep(plant, number + 1)
    seen = look(CALF, NOON)
    assert (seen.whole, len(seen.cuts), seen.count) == (True, CUTS_SHOWN_MAX, CUTS_SHOWN_MAX + 1)

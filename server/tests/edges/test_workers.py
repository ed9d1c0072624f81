"""One edge's events at several workers at the same moment, and a person who attributes what they bring."""

import uuid

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from edge_api import event, joined, session, site
from racing import together
from scaleledger_server.edges import events
from scaleledger_server.errors import Refusal
from scaleledger_server.shifts import edges
from scaleledger_server.shifts.models import Edge
from scaleledger_server.weighing import cuts
from scaleledger_server.weighing.models import Cut, WeighingRecord

ROUNDS = 12
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("not config.getoption('--database') == 'postgresql'", reason="SQLite has one writer"),
]


def test_the_same_events_at_several_workers_are_each_one_record_and_one_cut():
    api = joined()
    edge, told = api.row, [event(deviceId=f"SCALE-0{n % 3}") for n in range(60)]

    def deliver(sent):
        return [one.status for one in events.take(edge, sent, timezone.now())]

    found = together(lambda: deliver(told), lambda: deliver(told[::-1]), lambda: deliver(told[20:] + told[:20]))
    assert sum(statuses.count("accepted") for statuses in found) == len(told)
    assert sum(statuses.count("duplicate") for statuses in found) == 2 * len(told)
    assert (WeighingRecord.objects.count(), Cut.objects.count()) == (len(told), len(told))
    assert sum(api.scale(f"SCALE-0{n}").event_count for n in range(3)) == len(told)


def test_what_a_person_decides_while_the_edge_says_otherwise_is_refused_or_stays():
    api, user = joined(), User.objects.create_user("Ayse")
    edge = api.row
    chosen = session(api.scale(), "TR-1", status="ended", ended_at=timezone.now())
    other = session(api.scale(), "TR-2")

    def assign(cut):
        try:
            return cuts.assign([cut], chosen, "seen on the camera", user, timezone.now())
        except Refusal as refusal:
            return refusal.code

    for _ in range(ROUNDS):
        told = event()
        api.deliver(told)
        later, cut = {**told, "cloudSessionId": str(other.pk), "revision": 1}, uuid.UUID(told["localEventId"])
        _, said = together(lambda: events.take(edge, [later], timezone.now()), lambda: assign(cut))  # noqa: B023 - both end here
        assert Cut.objects.get(pk=cut).session_id == (chosen.pk if said == 1 else other.pk), said
        assert said in (1, "cut_elsewhere")


def test_an_edge_that_registers_twice_at_once_at_a_server_that_lost_it_keeps_its_id():
    """Told that it is not known, it would give its id up, and be another edge from then on."""
    _, key = site()
    for _ in range(5):
        asked = edges.Asked(uuid.uuid4(), "", "", "1", ())
        found = together(*[lambda: edges.register(asked, f"Bearer {key}", "192.0.2.1", timezone.now())] * 3)  # noqa: B023 - all end here
        assert {edge.pk for edge, _ in found} == {asked.edge_id}
        assert sorted(new for _, new in found) == [False, False, True]
    assert Edge.objects.count() == 5

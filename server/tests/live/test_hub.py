"""The hub alone: leases on first and last watcher, newest values only, and one page's slowness is its own."""

import json

import pytest

from live_sockets import shows
from scaleledger_server.live.hub import FLUSH_S, LEASE_S, Hub

GATEWAY = 7


class WireOfOneWorker:
    """Keeps what is posted; delivers what the test says."""

    def __init__(self):
        self.posted, self.callbacks = [], {}

    def join(self, group, callback):
        self.callbacks[group] = callback

    def leave(self, group, _callback):
        del self.callbacks[group]

    def post(self, group, message):
        self.posted.append((group, message))

    def leases(self):
        taken, self.posted = self.posted, []
        return [message["stations"] for _, message in taken if message["type"] == "watch.lease"]


class PageThatKeepsAll:
    def __init__(self):
        self.keys, self.everything, self.offered = frozenset(), False, []

    def offer_live(self, _at, values):
        self.offered.append({key: json.loads(text)["weight"] for key, text in values.items()})

    def offer_weighings(self, values):
        self.offered.append(dict(values))

    def offer_presence(self, gateway_id, *, online):
        self.offered.append((gateway_id, online))

    def offer_snapshot(self):
        self.offered.append("snapshot")

    def taken(self):
        taken, self.offered = self.offered, []
        return taken


class World:
    """A hub, its wire, and a clock that stands still until it is moved."""

    def __init__(self):
        self.now, self.later, self.news = 1000.0, [], []
        self.wire = WireOfOneWorker()
        self.hub = Hub("a", self.wire, lambda: self.now, self.call_later, self.news.append, lambda card: (card, ""))

    def call_later(self, delay, callback):
        self.later.append((self.now + delay, callback))

    def move(self, seconds):
        self.now += seconds
        due = [callback for at, callback in self.later if at <= self.now + 1e-9]
        self.later = [(at, callback) for at, callback in self.later if at > self.now + 1e-9]
        for callback in due:
            callback()

    def page(self, *names):
        page = PageThatKeepsAll()
        self.hub.enter(page)
        self.hub.watch(page, frozenset((GATEWAY, name) for name in names))
        return page

    def heard(self, type_, connection="c1", **facts):
        message = {"type": type_, "gateway": GATEWAY, "connection": connection, **facts}
        self.wire.callbacks[f"live.{GATEWAY}"](message)

    def update(self, *stations):
        self.heard("live.update", stations=list(stations))


@pytest.fixture
def world():
    return World()


def test_a_lease_is_taken_for_the_first_watcher_changed_with_the_set_and_ended_after_the_last(world):
    first = world.page("dock-1")
    assert world.wire.leases() == [["dock-1"]]
    second = world.page("dock-1")
    assert world.wire.leases() == []
    third = world.page("*")
    assert world.wire.leases() == [["*"]]
    world.hub.exit(third)
    world.hub.exit(first)
    assert world.wire.leases() == [["dock-1"]]
    world.hub.exit(second)
    assert world.wire.leases() == [[]]
    assert f"live.{GATEWAY}" not in world.wire.callbacks


def test_of_many_values_within_a_tenth_of_a_second_only_the_newest_is_offered(world):
    page, other = world.page("dock-1"), world.page("dock-2")
    for step in range(50):
        world.update(shows("dock-1", f"{step}.0"), shows("hall", "1.0"))
    world.move(0)
    assert page.taken() == [(GATEWAY, True), {(GATEWAY, "dock-1"): "49.0"}]
    world.update(shows("dock-1", "50.0"))
    world.move(FLUSH_S / 2)
    assert page.taken() == []
    world.update(shows("dock-1", "51.0"))
    world.move(FLUSH_S / 2)
    assert page.taken() == [{(GATEWAY, "dock-1"): "51.0"}]
    assert other.taken() == [(GATEWAY, True)]


def test_when_nothing_is_heard_no_timer_is_set(world):
    world.page("dock-1")
    assert world.later == []
    world.update(shows("dock-1", "1"))
    world.move(FLUSH_S)
    assert world.later == []


def test_the_end_of_an_older_connection_does_not_make_the_gateway_offline(world):
    page = world.page("dock-1")
    world.heard("live.online", "c1")
    world.heard("live.online", "c2")
    world.heard("live.offline", "c1")
    assert world.hub.online(GATEWAY)
    world.heard("live.offline", "c2")
    assert page.taken() == [(GATEWAY, True), (GATEWAY, False)]


def test_what_was_offline_leaves_no_value_behind(world):
    page = world.page("dock-1")
    world.update(shows("dock-1", "1"))
    world.heard("live.offline")
    world.move(FLUSH_S)
    assert page.taken() == [(GATEWAY, True), (GATEWAY, False)]
    assert world.hub.fresh(GATEWAY) == {}


def test_a_gateway_whose_worker_was_killed_is_offline_when_it_answers_no_lease(world):
    page = world.page("dock-1")
    world.heard("live.online")
    world.move(LEASE_S)
    world.hub.renew()
    assert page.taken() == [(GATEWAY, True)]
    world.move(1)
    world.hub.renew()
    assert page.taken() == [(GATEWAY, False)]
    assert world.wire.leases() == [["dock-1"]] * 3


def test_a_value_is_fresh_for_two_seconds(world):
    world.page("*")
    world.update(shows("dock-1", "1"))
    world.move(2.0)
    assert world.hub.fresh(GATEWAY)["dock-1"][0] == pytest.approx(2.0)
    world.move(0.1)
    assert world.hub.fresh(GATEWAY) == {}


def test_a_gateway_that_connects_is_leased_again_and_shown_to_who_watches_all(world):
    named, everything = world.page("dock-1"), world.page()
    everything.everything = True
    world.wire.leases()
    world.wire.callbacks["hubs"]({"type": "watch.who", "gateway": GATEWAY})
    assert world.wire.leases() == [["dock-1"], ["*"]]
    assert (named.taken(), everything.taken()) == ([], ["snapshot"])
    world.wire.callbacks["hubs"]({"type": "watch.who", "gateway": GATEWAY})
    assert (world.wire.leases(), everything.taken()) == ([["*"]], [])


def test_news_of_weighings_is_looked_up_only_for_gateways_that_are_watched(world):
    world.page("dock-1")
    tell = world.wire.callbacks["viewers"]
    tell({"type": "viewers.event", "gateway": GATEWAY, "event": {"type": "weighings"}})
    tell({"type": "viewers.event", "gateway": 8, "event": {"type": "weighings"}})
    tell({"type": "viewers.event", "gateway": GATEWAY, "event": {"type": "something.new"}})
    assert world.news == [GATEWAY]


def test_what_was_lost_between_the_workers_is_said_again(world):
    page = world.page("dock-1")
    world.wire.leases()
    world.hub.restored()
    assert (world.wire.leases(), page.taken()) == ([["dock-1"]], ["snapshot"])

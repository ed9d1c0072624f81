"""Which stations a gateway is asked to stream, over any history of leases."""

from hypothesis import given
from hypothesis import strategies as st

from scaleledger_server.live.leases import ALL, LEASES_MAX, STATIONS_MAX, Leases, changes
from server_api import as_contract

names = st.sampled_from(["dock-1", "dock-2", "dock-3", "hall", ALL])
sets = st.frozensets(names, max_size=5)


def streaming(told, spoken):
    """What a gateway that was told `told` streams after these messages."""
    for message in spoken:
        stations = message.get("payload", {}).get("stations")
        if message["type"] == "START_STREAM":
            told = told | set(stations) if stations else frozenset({ALL})
        else:
            told = told - set(stations) if stations else frozenset()
    return told


@given(sets, sets)
def test_after_what_is_said_the_gateway_streams_exactly_what_is_wanted(said, wanted):
    said, wanted = (frozenset({ALL}) if ALL in one else one for one in (said, wanted))
    spoken = changes(said, wanted)
    for message in spoken:
        as_contract(message, "channel_to_gateway")
    assert streaming(said, spoken) == wanted
    assert bool(spoken) == (said != wanted)


def test_a_lease_runs_out_by_itself_and_is_renewed_by_its_worker():
    leases = Leases()
    leases.hold("a", ["dock-1"], until=30)
    leases.hold("b", ["dock-2"], until=20)
    assert leases.next_end() == 20
    assert leases.wanted(now=19) == {"dock-1", "dock-2"}
    leases.hold("a", ["dock-1"], until=40)
    assert leases.wanted(now=20) == {"dock-1"}
    assert leases.wanted(now=40) == frozenset()
    assert leases.next_end() is None


def test_an_empty_lease_ends_it_at_once_and_one_for_all_covers_the_rest():
    leases = Leases()
    leases.hold("a", [ALL], until=30)
    leases.hold("b", ["dock-2"], until=30)
    assert leases.wanted(now=0) == {ALL}
    leases.hold("a", [], until=30)
    assert leases.wanted(now=0) == {"dock-2"}


def test_workers_and_stations_are_bounded():
    leases = Leases()
    for number in range(LEASES_MAX + 10):
        leases.hold(str(number), [f"station-{number}"], until=30)
    assert len(leases.wanted(now=0)) == LEASES_MAX
    leases.hold("0", [f"station-{number}" for number in range(STATIONS_MAX + 1)], until=30)
    assert leases.wanted(now=0) == {ALL}

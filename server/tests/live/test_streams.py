"""Live weights through a real server: nothing is sent until somebody watches, and what is shown is never old."""

import time

import pytest
from websockets.exceptions import InvalidStatus

from gateway_ledgers import LedgerOf
from live_sockets import GatewayLine, Line, PageLine, shows

VIEWERS = 200


def test_a_gateway_is_asked_when_the_first_page_watches_and_released_after_the_last(centre, enrolled):
    _, gateway_id, token = enrolled
    with GatewayLine(centre.port, gateway_id, token) as gateway:
        gateway.hears_nothing(0.3)
        with PageLine(centre.port) as first:
            first.watch((gateway_id, "dock-1"))
            assert gateway.hear() == {"type": "START_STREAM", "payload": {"stations": ["dock-1"]}}
            with PageLine(centre.port) as second:
                second.watch((gateway_id, "dock-1"), (gateway_id, "dock-2"))
                assert gateway.hear() == {"type": "START_STREAM", "payload": {"stations": ["dock-2"]}}
                gateway.show(shows("dock-1", "152.50", card="A1B2"), shows("dock-2", "7.00"))
                seen = first.hear_live("dock-1", "152.50")
                assert (seen["card"], seen["producer"], seen["stable"]) == ("A1B2", "", True)
                second.hear_live("dock-2", "7.00")
            assert gateway.hear() == {"type": "STOP_STREAM", "payload": {"stations": ["dock-2"]}}
        assert gateway.hear() == {"type": "STOP_STREAM", "payload": {"stations": ["dock-1"]}}
        gateway.hears_nothing(0.3)


def test_two_hundred_pages_cost_the_gateway_one_stream(centre, enrolled):
    _, gateway_id, token = enrolled
    with GatewayLine(centre.port, gateway_id, token) as gateway:
        pages = [PageLine(centre.port) for _ in range(VIEWERS)]
        for page in pages:
            page.watch((gateway_id, "dock-1"))
        assert gateway.hear() == {"type": "START_STREAM", "payload": {"stations": ["dock-1"]}}
        gateway.hears_nothing(0.3)
        gateway.show(shows("dock-1", "33.20"))
        for page in pages:
            page.hear_live("dock-1", "33.20")
        for page in pages:
            page.__exit__()
        assert gateway.hear() == {"type": "STOP_STREAM", "payload": {"stations": ["dock-1"]}}
        gateway.hears_nothing(0.3)


def test_a_page_hears_at_most_ten_frames_a_second_and_the_newest_value_last(centre, enrolled):
    _, gateway_id, token = enrolled
    with GatewayLine(centre.port, gateway_id, token) as gateway, PageLine(centre.port) as page:
        page.watch((gateway_id, "dock-1"))
        gateway.hear()
        began = time.monotonic()
        for step in range(60):
            gateway.show(shows("dock-1", f"{step}.00"))
        heard = page.hear_until(
            lambda message: message["type"] == "live" and message["stations"][0]["weight"] == "59.00"
        )
        frames = [message for message in heard if message["type"] == "live"]
        assert len(frames) <= 2 + 10 * (time.monotonic() - began)


def test_a_gateway_that_comes_back_is_asked_again_and_pages_are_told_both(centre, enrolled):
    _, gateway_id, token = enrolled
    with PageLine(centre.port) as page:
        snapshot = page.watch((gateway_id, "dock-1"))
        assert snapshot["gateways"] == [{"gateway": gateway_id, "online": False}]
        for _ in range(2):
            with GatewayLine(centre.port, gateway_id, token) as gateway:
                assert gateway.hear()["type"] == "START_STREAM"
                assert page.hear() == {"type": "online", "gateway": gateway_id}
                gateway.show(shows("dock-1", "1.00"))
                page.hear_live("dock-1", "1.00")
            assert page.hear() == {"type": "offline", "gateway": gateway_id}


def test_a_page_that_connects_anew_is_right_at_once_and_no_old_weight_is_shown_as_live(centre, enrolled):
    _, gateway_id, token = enrolled
    with GatewayLine(centre.port, gateway_id, token) as gateway, PageLine(centre.port) as staying:
        staying.watch((gateway_id, "dock-1"))
        gateway.hear()
        gateway.show(shows("dock-1", "88.10"))
        staying.hear_live("dock-1", "88.10")
        with PageLine(centre.port) as page:
            snapshot = page.watch((gateway_id, "dock-1"))
        assert snapshot["gateways"] == [{"gateway": gateway_id, "online": True}]
        live = next(one["live"] for one in snapshot["stations"] if one["station"] == "dock-1")
        assert live["weight"] == "88.10"
        assert 0 <= live["age_ms"] <= 2000
        time.sleep(2.1)  # the value itself has to grow old
        with PageLine(centre.port) as page:
            snapshot = page.watch((gateway_id, "dock-1"))
        assert all(one["live"] is None for one in snapshot["stations"])


def test_a_page_that_watches_all_sees_every_gateway_also_a_later_one(centre, enrolled):
    _, gateway_id, token = enrolled
    with PageLine(centre.port) as page, GatewayLine(centre.port, gateway_id, token) as gateway:
        page.watch()
        assert gateway.hear() == {"type": "START_STREAM"}
        later = LedgerOf("02:5a:1e:d6:e4:77", signed=True)
        later_id, later_token = centre.enrol(later)
        with GatewayLine(centre.port, later_id, later_token) as other:
            assert other.hear() == {"type": "START_STREAM"}
            other.show(shows("hall", "5.5"))
            assert page.hear_live("hall", "5.5")["gateway"] == later_id
    with GatewayLine(centre.port, gateway_id, token) as gateway:
        gateway.hears_nothing(0.3)


def test_the_first_descriptions_one_value_reaches_who_watches_all_of_a_gateway(centre, enrolled):
    _, gateway_id, token = enrolled
    first_path = "/ws/devices/{}/"
    with GatewayLine(centre.port, gateway_id, token, first_path, "Gateway") as gateway, PageLine(centre.port) as page:
        page.watch()
        gateway.hear()
        gateway.say({"type": "weight_update", "value": 10.5})
        assert page.hear_live("", "10.5")["stable"] is None


def test_a_weighing_is_told_with_its_names_and_that_it_is_covered(centre, enrolled):
    ledger, gateway_id, token = enrolled
    with PageLine(centre.port) as page:
        page.watch((gateway_id, "dock-1"))
        names = {"producer": "<b>Kim</b>", "species": "Croaker"}
        centre.deliver(ledger, token, ledger.record(weight="61.30", station="dock-1", details=names))
        told = page.hear_until(lambda message: message["type"] == "weighing")[-1]["stations"][0]
        assert (told["weight"], told["unit"], told["seq"], told["covered"]) == ("61.30", "kg", ledger.seq, True)
        assert (told["producer"], told["species"], told["void"]) == ("<b>Kim</b>", "Croaker", False)
    with PageLine(centre.port) as page:
        snapshot = page.watch((gateway_id, "dock-1"))
        assert snapshot["stations"][0]["last"]["weight"] == "61.30"


@pytest.mark.parametrize("origin", ["http://elsewhere.example", "null", "https://127.0.0.1.elsewhere.example"])
def test_a_page_of_another_site_gets_no_socket(centre, origin):
    with pytest.raises(InvalidStatus):
        PageLine(centre.port, origin=origin)


@pytest.mark.parametrize(
    "message",
    [
        "no json",
        '{"type":"watch"}',
        '{"type":"watch","stations":[{"gateway":"1"}]}',
        '{"type":"watch","stations":{}}',
        "[]",
    ],
)
def test_a_page_that_says_what_cannot_be_read_is_closed(centre, message):
    with PageLine(centre.port) as page:
        page.say(message)
        assert page.closed_with() == 4400


def test_there_is_no_socket_at_another_path(centre):
    with pytest.raises(InvalidStatus):
        Line(centre.port, "/ws/devices/abc/")

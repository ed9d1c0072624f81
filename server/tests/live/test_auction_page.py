"""The auction page in a real browser, with a real server and a gateway at its socket. Screenshots are kept for people."""

import threading
import time

import pytest
from playwright.sync_api import expect

from browsers import PHONE, WALL, chromium, kept, needs_browser
from gateway_ledgers import LedgerOf
from live_sockets import Centre, GatewayLine, shows

NAMES = {"producer": "Kim Min-jun", "species": "Yellow croaker"}

pytestmark = needs_browser


class Showing(threading.Thread):
    """A gateway that shows its stations as long as they are watched, each value again and again as scales do."""

    PERIOD_S = 0.2

    def __init__(self, port, gateway_id, token, stations):
        super().__init__(daemon=True)
        self.line = GatewayLine(port, gateway_id, token)
        self.stations = stations
        self._ended = threading.Event()
        self.start()

    def run(self):
        while not self._ended.wait(self.PERIOD_S):
            self.line.show(*self.stations)

    def end(self):
        self._ended.set()
        self.join()
        self.line.__exit__()


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def page_at(browser, centre):
    """Opens the auction page; at the end nothing may have been wrong in the browser's eyes."""
    contexts, wrong = [], []

    def open_page(size=WALL, scheme="light", path="/auction/", **others):
        context = browser.new_context(viewport=size, color_scheme=scheme, **others)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "console",
            lambda line: wrong.append(line.text) if "Content Security Policy" in line.text else None,
        )
        page.goto(f"http://127.0.0.1:{centre.port}{path}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong


@pytest.fixture
def showing(centre, enrolled):
    begun = []

    def show(*stations):
        _, gateway_id, token = enrolled
        begun.append(Showing(centre.port, gateway_id, token, stations))
        return begun[-1]

    yield show
    for one in begun:
        one.end()


def station(page, name):
    return page.locator("article.station", has=page.get_by_role("heading", name=name, exact=True))


def test_a_scale_is_shown_live_and_its_weighing_below_it_as_soon_as_it_is_held(page_at, showing, centre, enrolled):
    ledger, _, token = enrolled
    gateway = showing(shows("dock-1", "152.50"))
    page = page_at()
    dock = station(page, "dock-1")
    expect(dock.locator(".now .weight")).to_have_text("152.50")
    expect(dock.locator(".now .unit")).to_have_text("kg")
    expect(dock.locator(".words")).to_have_text("Ready · stable")
    gateway.stations = [shows("dock-1", "153.00", stable=False, state="measuring", card="A1B2C3D4")]
    expect(dock.locator(".words")).to_have_text("Weighing · moving")
    expect(dock.locator(".card")).to_have_text("Card A1B2C3D4")
    centre.deliver(ledger, token, ledger.record(weight="153.00", station="dock-1", details=NAMES))
    expect(dock.locator(".sold")).to_have_text("153.00kg✓")
    expect(dock.locator(".seq")).to_have_text(f"No. {ledger.seq}")
    expect(dock.locator(".whose")).to_have_text("Kim Min-junYellow croaker")
    expect(page.locator("[aria-live]")).to_have_text(f"dock-1: 153.00 kg, Kim Min-jun, number {ledger.seq}")
    expect(page.locator("#state")).to_have_text("Connected")


def test_a_silent_scale_shows_no_signal_and_a_gone_gateway_shows_offline_never_an_old_weight(page_at, showing):
    gateway = showing(shows("dock-1", "70.00"))
    page = page_at()
    dock = station(page, "dock-1")
    expect(dock.locator(".now .weight")).to_have_text("70.00")
    gateway.stations = [shows("elsewhere", "1.00")]
    expect(dock.locator(".words")).to_have_text("No signal")
    expect(dock.locator(".now .weight")).to_have_text("–")
    gateway.stations = [shows("dock-1", None, unit="", stable=None, link="down", state="disconnected")]
    expect(dock.locator(".words")).to_have_text("Scale does not answer")
    kept(page, "auction-no-signal")
    gateway.end()
    expect(dock.locator(".words")).to_have_text("Offline")
    expect(dock.locator(".link")).to_have_text("Gateway offline")
    expect(dock.locator(".now .weight")).to_have_text("–")
    kept(page, "auction-offline")


def test_text_from_outside_is_text(page_at, showing, centre, enrolled):
    ledger, _, token = enrolled
    evil = "<img src=x onerror=document.title='evil'>"
    showing(shows("dock-1", "1.00", card=evil[:50], state="<i>busy</i>"))
    centre.deliver(ledger, token, ledger.record(station="dock-1", details={"producer": evil, "species": "<b>eel</b>"}))
    page = page_at()
    dock = station(page, "dock-1")
    expect(dock.locator(".whose")).to_have_text(f"{evil}<b>eel</b>")
    expect(dock.locator(".words")).to_have_text("<i>busy</i> · stable")
    assert page.locator("img").count() == 0
    plain = page_at(java_script_enabled=False)
    expect(plain.locator("tbody")).to_contain_text("<b>eel</b>")
    assert "evil" not in page.title() + plain.title()


def test_without_javascript_the_page_is_a_table_that_reloads(page_at, centre, enrolled):
    ledger, _, token = enrolled
    centre.deliver(ledger, token, ledger.record(weight="44.10", station="dock-1", details=NAMES))
    page = page_at(java_script_enabled=False)
    expect(page.locator("tbody tr").first).to_contain_text("44.10 kg")
    kept(page, "auction-without-javascript")
    assert page.locator("noscript meta[http-equiv=refresh]").count() == 1 or "refresh" in page.content()


def test_after_the_server_was_away_the_page_is_right_again(browser, tmp_path):
    with Centre(tmp_path, OPEN_PAGES="1") as centre:
        ledger = LedgerOf(signed=True)
        gateway_id, token = centre.enrol(ledger)
        centre.deliver(ledger, token, ledger.record(weight="10.00", station="dock-1"))
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{centre.port}/auction/")
        dock = station(page, "dock-1")
        expect(dock.locator(".sold .weight")).to_have_text("10.00")
        centre.kill()
        expect(page.locator("#state")).to_contain_text("No connection to the server")
        expect(dock.locator(".words")).to_have_text("Offline")
        centre.start()
        centre.deliver(ledger, token, ledger.record(weight="20.00", station="dock-1"))
        gateway = Showing(centre.port, gateway_id, token, [shows("dock-1", "21.00")])
        expect(dock.locator(".sold .weight")).to_have_text("20.00", timeout=20_000)
        expect(dock.locator(".now .weight")).to_have_text("21.00")
        expect(page.locator("#state")).to_have_text("Connected")
        gateway.end()
        page.close()


def test_it_is_good_to_look_at_on_a_wall_and_a_phone_by_day_and_by_night(page_at, showing, centre, enrolled):
    ledger, gateway_id, token = enrolled
    docks = ["dock-1", "dock-2", "dock-3", "hall"]
    for name, weight in zip(docks, ["152.50", "12.3", "1204.0", "8.75"], strict=True):
        centre.deliver(ledger, token, ledger.record(weight=weight, station=name, details=NAMES))
    showing(
        shows("dock-1", "152.50"),
        shows("dock-2", "12.34", stable=False, state="measuring", card="A1B2C3D4"),
        shows("dock-3", "-1204.0", state="saved"),
        shows("hall", None, unit="", stable=None, link="down", state="disconnected"),
    )
    for size_name, size in (("wall", WALL), ("phone", PHONE)):
        for scheme in ("light", "dark"):
            page = page_at(size, scheme)
            expect(station(page, "dock-1").locator(".now .weight")).to_have_text("152.50")
            expect(station(page, "hall").locator(".words")).to_have_text("Scale does not answer")
            time.sleep(0.3)  # the highlight of a new weighing fades
            kept(page, f"auction-{size_name}-{scheme}")
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "it scrolls sideways"
            if size == WALL:
                fits = page.evaluate("document.documentElement.scrollHeight <= window.innerHeight")
                assert fits, "a wall has nobody who scrolls"
            for name in docks:
                box = station(page, name).locator(".now").bounding_box()
                assert box["x"] >= 0
                assert box["x"] + box["width"] <= size["width"], f"{name} is cut"
    page = page_at(WALL, "light", f"/auction/?gateway={gateway_id}")
    expect(page.locator("article.station")).to_have_count(4)
    page = page_at(WALL, "light", "/auction/?gateway=4711")
    expect(page.locator("main")).to_contain_text("There is no gateway of this number")
    expect(page.locator("article.station")).to_have_count(0)

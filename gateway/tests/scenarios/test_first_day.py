"""The first day at a centre, in a browser: approve, scan, assign, enter a card; then a box is weighed and the hall sees it.

Everything is real: server, gateway and simulated hardware are processes and ports of their own; a person works in Chromium.
"""

import asyncio
import re
import threading
from contextlib import contextmanager

import pytest
from playwright.sync_api import expect

from browsers import DESK, PHONE, chromium, fits, kept, needs_browser
from scaleledger.simulators.plant import Plant
from scaleledger.simulators.yard import StationSpec

STATION = StationSpec("dock-1", "suwol-1000", cards=("A1B2C3D4",), rest_s=0.3, patience_s=3.0)
PENDING_S = 60_000


class Site(threading.Thread):
    """A plant in a thread of its own, since the browser's calls block."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        self.folder = folder
        self.up, self._over = threading.Event(), None
        self.fingerprint, self.saved = "", []
        self.report = None

    def run(self):
        asyncio.run(self._run())

    async def _run(self):
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with Plant(
                self.folder, (STATION,), seed=7, watch=self._hear, assigned=frozenset({"dock-1"})
            ) as self.plant:
                self.password = await self.plant.server.administrator("admin")
                await self.plant.gateway.start()
                self.up.set()
                await self._over.wait()
                await self.plant.yard.finish()
                await self.plant.gateway.drained(self.plant.gateway.saved)
                await self.plant.gateway.stop()
                self.report = await self.plant.compare()
        finally:
            self.up.set()

    def _hear(self, event):
        if event.get("event") == "net.pending":
            self.fingerprint = event["fingerprint"]

    def end(self):
        if self.is_alive():
            self._loop.call_soon_threadsafe(self._over.set)
        self.join(60)


@contextmanager
def site(folder):
    running = Site(folder)
    running.start()
    assert running.up.wait(90)
    assert running.is_alive(), "the plant did not start"
    try:
        yield running
    finally:
        running.end()


def log_in(page, base, password):
    page.goto(f"{base}/admin/")
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", password)
    page.click("button[type=submit]")
    expect(page.get_by_text("Site administration").or_(page.get_by_text("Dashboard")).first).to_be_visible()


def approve(page, base, fingerprint):
    page.goto(f"{base}/admin/devices/gateway/")
    expect(page.locator("tr", has_text=fingerprint)).to_be_visible()
    kept(page, "first-day-1-pending")
    page.check("input[name=_selected_action]")
    page.select_option("select[name=action]", "approve")
    page.get_by_role("button", name=re.compile("run|go", re.IGNORECASE)).first.click()
    expect(page.get_by_text(fingerprint).first).to_be_visible()
    expect(page.get_by_text("says its address is 127.0.0.1").first).to_be_visible()
    kept(page, "first-day-2-compare")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("Approved.").first).to_be_visible()


def scan_and_assign(page, base, port):
    page.goto(f"{base}/admin/devices/gateway/1/change/")
    for _ in range(30):
        page.get_by_role("button", name="Scan ports").click()
        row = page.locator("tr", has_text=port)
        try:
            expect(row).to_be_visible(timeout=1_000)
            break
        except AssertionError:
            page.reload()
    kept(page, "first-day-3-ports", full_page=True)
    row.get_by_role("link", name="add a station here").click()
    page.fill("input[name=name]", "dock-1")
    page.fill("input[name=driver]", "suwol-1000")
    page.select_option("select[name=mode]", "tag")
    page.fill("input[name=unit]", "kg")
    page.fill("input[name=division]", "0.5")
    kept(page, "first-day-4-station", full_page=True)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was added successfully").first).to_be_visible()


def enter_card(page, base):
    for what, name in (("producer", "North Star"), ("species", "Mackerel")):
        page.goto(f"{base}/admin/market/{what}/add/")
        page.fill("input[name=name]", name)
        page.get_by_role("button", name="Save", exact=True).click()
    page.goto(f"{base}/admin/market/rfidcard/add/")
    page.fill("input[name=uid]", "A1B2C3D4")
    for field, name in (("producer", "North Star"), ("species", "Mackerel")):
        page.locator(f"#id_{field} + .select2").click()
        page.get_by_role("option", name=name).click()
    kept(page, "first-day-5-card")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was added successfully").first).to_be_visible()


@needs_browser
@pytest.mark.timeout(240)
def test_a_person_sets_up_a_gateway_in_the_browser_and_the_hall_sees_the_first_box(tmp_path):
    with site(tmp_path) as plant, chromium() as browser:
        base = plant.plant.server.address
        page = browser.new_context(viewport=DESK).new_page()
        wrong = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        log_in(page, base, plant.password)
        enter_card(page, base)
        approve(page, base, plant.fingerprint)
        scan_and_assign(page, base, plant.plant.yard.urls["dock-1"].removeprefix("pty:"))
        hall = browser.new_context(viewport=DESK).new_page()
        hall.on("pageerror", lambda error: wrong.append(str(error)))
        hall.goto(f"{base}/auction/")
        dock = hall.locator("article.station", has=hall.get_by_role("heading", name="dock-1", exact=True))
        expect(dock.locator(".now .unit")).to_have_text("kg", timeout=20_000)
        expect(dock.locator(".whose")).to_have_text("North StarMackerel", timeout=30_000)
        kept(hall, "first-day-6-hall")
        look_around(browser, page, base)
        assert not wrong
    assert plant.report.good, plant.report
    assert plant.report.saved >= 1


def look_around(browser, page, base):
    """Every page of ours, as a person sees it; on a phone nothing sticks out."""
    page.goto(f"{base}/admin/weighing/weighingrecord/")
    evidence = page.get_by_role("link", name="show").first.get_attribute("href")
    cookies = page.context.cookies()
    paths = {
        "overview": "/",
        "auction": "/auction/",
        "evidence": evidence,
        "account": "/admin/devices/gateway/1/reconcile/",
    }
    for scheme in ("light", "dark"):
        for size, place in ((DESK, "desk"), (PHONE, "phone")):
            context = browser.new_context(viewport=size, color_scheme=scheme)
            context.add_cookies(cookies)
            one = context.new_page()
            for name, path in paths.items():
                answer = one.goto(f"{base}{path}")
                assert answer.ok, (name, answer.status)
                assert fits(one), f"{name} sticks out on a {place}"
                kept(one, f"page-{name}-{place}-{scheme}", full_page=True)
            context.close()

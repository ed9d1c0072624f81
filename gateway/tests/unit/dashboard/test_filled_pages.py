"""The pages of a plant at work in a real browser: sessions of its cloud, a product file, printers, and what the scales show."""

import re
from contextlib import asynccontextmanager

import pytest
from playwright.sync_api import expect

from browsers import DESK, PHONE, chromium, fits, kept, needs_browser
from fakes.carnitrack_cloud import AT, KEY, SITE, CloudBooks, carnitrack_cloud
from fakes.served_gateway import PASSWORD, DialledScale, ServedGateway, free_port
from scaleledger.simulators.printer import PrinterFaults, PrinterSimulator
from scaleledger.simulators.yard import StationSpec

EVIL = "<img src=x onerror=\"document.title='owned'\">"
CALF = "5f6c1a52-3f5e-4a57-9d0e-0d6d8f3b1c11"
LAMB = "7a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"
PAGES = ("", "live", "devices", "devices/SCALE-01", "events", "sessions", "printers", "plu", "rejected")

pytestmark = needs_browser


def session(session_id, device, tag, status="active", species="Dana"):
    return {
        "cloudSessionId": session_id, "deviceId": device, "animalId": None, "animalTag": tag, "animalSpecies": species,
        "operatorId": "Ayşe", "status": status, "startedAt": AT, "changes": [{"at": AT, "status": status}],
    }  # fmt: skip


class Plant(ServedGateway):
    """A gateway with a cloud that opened sessions and sent products, and a printer whose line breaks in its first job."""

    def __init__(self, folder):
        self.listening_at = free_port()
        self.books = CloudBooks()
        self.books.sessions = [session(CALF, "SCALE-01", "TR 33 0001234"), session(LAMB, "SCALE-02", EVIL, "paused")]
        items = [("00001", "KIYMA", "2000001"), ("00002", "KUŞBAŞI", "2000002"), ("00003", EVIL[:16], "2000003")]
        self.books.plu = {
            "version": "v7",
            "items": [dict(zip(("number", "name", "barcode"), one, strict=True)) for one in items],
        }
        self.printer = PrinterSimulator("tspl", PrinterFaults(dies_after=20))
        super().__init__(folder, [StationSpec("belt-1", "st-gs-comma", rate_hz=20.0)])

    @asynccontextmanager
    async def around(self):
        async with carnitrack_cloud(self.books) as cloud, self.printer:
            self._more = f"""
[plu]
[[listener]]
name = "cutting"
url = "tcp-listen://127.0.0.1:{self.listening_at}"
unit = "g"
[[uplink]]
type = "carnitrack"
url = "{cloud.url("ws")}"
api_url = "{cloud.rest_url}"
api_key = "{KEY}"
site_id = "{SITE}"
[[printer]]
id = "P1"
name = "Packing"
url = "tcp://127.0.0.1:{self.printer.port}"
"""
            yield


@pytest.fixture(scope="module")
def plant(tmp_path_factory):
    with (
        Plant(tmp_path_factory.mktemp("plant")) as found,
        DialledScale(found.listening_at, "SCALE-01") as scale,
        DialledScale(found.listening_at, "SCALE-02") as other,
    ):
        for n, product in enumerate(("KIYMA", "BIFTEK", "KUŞBAŞI")):
            scale.weigh(time=f"10:30:{n:02}", net=9676 + 137 * n, product=product)
        other.weigh(time="10:31:00", net=1240)
        other.send(b"00001,10:31:01,30.01.2026,KIYMA,000000000004,0000,KAAN,no-weight,1,2,2,0,2,1,N,KORKUT\r\n")
        found.scale = scale
        yield found


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def state(plant, browser):
    plant.admin().close()
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{plant.url}/login")
    page.get_by_label("Name").fill("ayse")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("navigation")).to_be_visible()
    found = context.storage_state()
    context.close()
    return found


@pytest.fixture
def open_page(plant, browser, state):
    contexts, complaints = [], []

    def opened(path="", **options):
        contexts.append(browser.new_context(storage_state=state, **{"viewport": DESK} | options))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.goto(f"{plant.url}/{path}")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not complaints


def row(page, text):
    return page.locator("tbody tr", has_text=text)


def test_sessions_of_the_cloud_are_shown_and_lead_to_their_events(plant, open_page):
    page = open_page("sessions")
    expect(row(page, "TR 33 0001234")).to_contain_text("SCALE-01")
    expect(row(page, "TR 33 0001234").locator(".state")).to_have_text("active")
    expect(row(page, LAMB).locator(".state")).to_have_text("paused")
    expect(row(page, LAMB)).to_contain_text(EVIL)
    assert page.locator("img").count() == 0
    plant.scale.weigh(time="10:32:00", net=4321, product="BONFILE")
    page.get_by_role("link", name=CALF).click()
    expect(row(page, "BONFILE")).to_contain_text("4321 g")
    assert page.title() != "owned"


def test_a_product_file_is_downloaded_and_said_to_be(plant, open_page):
    page = open_page("plu")
    newest = row(page, "v7").first
    expect(newest).to_contain_text("not yet")
    with page.expect_download() as download:
        newest.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "plu.txt"
    content = download.value.path().read_bytes()
    assert "KUŞBAŞI".encode("windows-1254") in content
    assert content == (plant.data / "generated" / "dp401" / "plu.txt").read_bytes()
    page.reload()
    expect(row(page, "v7").first).not_to_contain_text("not yet")
    expect(row(page, "v7").first.locator("td").nth(5)).to_have_text(re.compile(r"2\d{3}-\d\d-\d\d "))


def test_a_person_says_what_became_of_a_doubtful_label(plant, open_page):
    page = open_page("printers")
    row(page, "Packing").get_by_role("button", name="Test label").click()
    expect(page.get_by_role("status")).to_have_text("The print job is waiting for its printer.")
    job = page.locator("table").nth(1).locator("tbody tr").first
    for _ in range(100):
        if job.locator(".state").inner_text() == "doubtful":
            break
        page.wait_for_timeout(100)
        page.goto(f"{plant.url}/printers")
    expect(job.locator(".state")).to_have_text("doubtful")
    kept(page, "edge-printers-doubtful-desk-light", full_page=True)
    page.goto(plant.url)
    expect(page.get_by_role("region", name="Problems")).to_contain_text("nobody knows whether they came out")
    page.goto(f"{plant.url}/printers")
    expect(job.get_by_role("button")).to_have_text(["It came out", "Print as copy", "Cancel"])
    job.get_by_role("button", name="It came out").click()
    expect(page.get_by_role("status")).to_have_text("Noted.")
    expect(job.locator(".state")).to_have_text("printed")
    assert plant.printer.printed == [], "nothing was sent again"


def test_a_line_that_could_not_be_read_is_told_on_the_first_page(plant, open_page):
    page = open_page("")
    expect(page.get_by_role("region", name="Problems")).to_contain_text("SCALE-02 sent a line that could not be read")
    expect(page.get_by_text("Everything works.")).to_have_count(0)


def test_a_dialled_in_scale_shows_its_last_event_and_a_talker_its_curve(plant, open_page):
    page = open_page("live")
    plant.scale.weigh(time="10:33:00", net=7777, product="ANTRIKOT")
    card = page.locator('[data-station="SCALE-01"]')
    expect(card.locator(".value")).to_have_text("7777")
    expect(card.locator(".unit")).to_have_text("g")
    expect(card.locator(".standing")).to_contain_text("ANTRIKOT")
    heights = """() => {
      const c = document.querySelector('[data-station="belt-1"] canvas'), p = c.getContext('2d');
      const found = new Set(), image = p.getImageData(0, 0, c.width, c.height).data;
      for (let i = 3; i < image.length; i += 4) if (image[i] > 200) found.add(Math.floor(i / 4 / c.width));
      return found.size > 20; }"""
    page.wait_for_function(heights)  # a line that goes up and down, not only the ground under it


def test_every_page_of_a_plant_fits(plant, open_page):
    for size, scheme, viewport in (("desk", "light", DESK), ("phone", "light", PHONE), ("phone", "dark", PHONE)):
        page = open_page("", viewport=viewport, color_scheme=scheme)
        for path in PAGES:
            page.goto(f"{plant.url}/{path}")
            assert fits(page), (size, path)
            links = page.locator("nav a").all()
            assert all(
                link.bounding_box()["x"] + link.bounding_box()["width"] <= viewport["width"] for link in links
            ), path
            kept(page, f"plant-{path.replace('/', '-') or 'status'}-{size}-{scheme}", full_page=True)

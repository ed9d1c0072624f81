"""The pages in a real browser: first setup, login, a hostile device name, a weight that moves, the database."""

import pytest
from playwright.sync_api import expect

from browsers import DESK, PHONE, chromium, fits, kept, needs_browser
from fakes.served_gateway import PASSWORD, DialledScale, ServedGateway, free_port
from scaleledger.simulators.yard import StationSpec

HOSTILE = "\"><img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>{{7*7}}"
PAGES = (
    "",
    "live",
    "devices",
    "devices/SCALE-01",
    "events",
    "events/1",
    "sessions",
    "printers",
    "plu",
    "database",
    "account",
    "rejected",
)

pytestmark = needs_browser


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    port = free_port()
    more = f'[plu]\n[[listener]]\nname = "cutting"\nurl = "tcp-listen://127.0.0.1:{port}"\nunit = "g"'
    specs = [StationSpec(name, "st-gs-comma", rate_hz=20.0) for name in ("belt-1", "belt-2")]
    with ServedGateway(tmp_path_factory.mktemp("browsed"), specs, more) as found:
        found.listening_at = port
        yield found


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def state(gateway, browser):
    """A login, made by the setup page."""
    context = browser.new_context(viewport=DESK)
    page = context.new_page()
    page.goto(gateway.url)
    expect(page).to_have_url(f"{gateway.url}/setup")
    kept(page, "edge-setup-desk-light")
    page.get_by_label("Setup code").fill("0000-0000-0000")
    page.get_by_label("Your name").fill("Ayşe")
    page.get_by_label("Password, at least").fill(PASSWORD)
    page.get_by_label("The same password").fill(PASSWORD)
    page.get_by_role("button", name="Set up").click()
    expect(page.get_by_role("alert")).to_contain_text("not the setup code")
    page.get_by_label("Setup code").fill(gateway.setup_code)
    page.get_by_label("Password, at least").fill(PASSWORD)
    page.get_by_label("The same password").fill(PASSWORD)
    page.get_by_role("button", name="Set up").click()
    expect(page.get_by_role("navigation")).to_be_visible()
    found = context.storage_state()
    context.close()
    return found


@pytest.fixture
def open_page(gateway, browser, state):
    """Open a page as somebody who is logged in; what the browser complains of fails the test."""
    contexts, complaints = [], []

    def opened(path="", **options):
        contexts.append(browser.new_context(storage_state=state, **{"viewport": DESK} | options))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda said: complaints.append(said.text) if said.type == "error" and " 422 " not in said.text else None,
        )
        page.goto(f"{gateway.url}/{path}")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not complaints


@pytest.fixture(scope="module")
def weighed(gateway, state):
    """Scales that dialled in and weighed, and one that sent nonsense."""
    with (
        DialledScale(gateway.listening_at, "SCALE-01") as scale,
        DialledScale(gateway.listening_at, "SCALE-02") as other,
    ):
        for n in range(8):
            scale.weigh(time=f"10:30:{n:02}", net=9676 + 137 * n, product=("KIYMA", "BIFTEK", "KUŞBAŞI")[n % 3])
        other.weigh(time="10:31:00", net=1240, product="<script>alert(1)")
        other.send(b"00001,10:31:01,30.01.2026,KIYMA<b>,000000000004,0000,KAAN,not-a-weight,1,2,2,0,2,1,N,KORKUT\r\n")
        yield


def test_a_login_is_asked_for_and_a_wrong_password_is_told(gateway, browser, state):
    context = browser.new_context(viewport=PHONE)
    page = context.new_page()
    page.goto(f"{gateway.url}/devices")
    expect(page).to_have_url(f"{gateway.url}/login?next=/devices")
    kept(page, "edge-login-phone-light")
    page.get_by_label("Name").fill("Ayşe")
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not go together")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(f"{gateway.url}/devices")
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(f"{gateway.url}/login?done=out")
    page.goto(f"{gateway.url}/events")
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    context.close()


def test_a_device_is_renamed_with_hostile_text_and_no_script_runs_anywhere(gateway, open_page, weighed):
    page = open_page("devices/SCALE-01")
    page.get_by_label("Name").fill(HOSTILE)
    page.get_by_label("Location").fill(HOSTILE)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("Saved.")
    expect(page.get_by_label("Name")).to_have_value(HOSTILE)
    for path in PAGES:
        page.goto(f"{gateway.url}/{path}")
        page.wait_for_load_state("load")
        assert page.title() != "owned", path
        assert page.locator("img").count() == 0, path
        assert page.locator("main script").count() == 0, path
    page.goto(f"{gateway.url}/devices")
    expect(page.get_by_text(HOSTILE).first).to_be_visible()
    page.goto(f"{gateway.url}/devices/SCALE-01")
    page.get_by_label("Name").fill("Kıyma hattı")
    page.get_by_label("Location").fill("Hall 2")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_be_visible()


def test_a_live_weight_moves_and_draws_a_curve(gateway, open_page, weighed):
    page = open_page("live")
    value = page.locator('[data-station="belt-1"] .value')
    expect(value).not_to_have_text("–")
    seen = {value.inner_text()}
    page.wait_for_function(
        "before => document.querySelector('[data-station=\"belt-1\"] .value').textContent !== before", arg=seen.pop()
    )
    drawn = (
        "() => { const c = document.querySelector('[data-station=\"belt-1\"] canvas');"
        " return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v) => v > 0); }"
    )
    page.wait_for_function(drawn)
    expect(page.locator("#live-link")).to_have_text("live")
    expect(page.locator('[data-station="SCALE-01"] .value')).not_to_have_text("–")
    kept(page, "edge-live-desk-light")


def test_one_records_page_shows_its_bytes_its_details_and_its_hash(gateway, open_page, weighed):
    page = open_page("events?device=SCALE-02")
    page.get_by_role("link", name="9", exact=True).or_(page.locator("tbody a").first).first.click()
    expect(page.get_by_text("1240 g")).to_be_visible()
    expect(page.get_by_text("<script>alert(1)").first).to_be_visible()
    expect(page.locator("pre").first).to_contain_text("0000  ")
    kept(page, "edge-event-desk-light", full_page=True)


def test_a_rejected_line_is_shown_with_its_reason_and_its_bytes(gateway, open_page, weighed):
    page = open_page("rejected")
    expect(page.locator("pre").first).to_contain_text("KAAN,not-a-")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export").click()
    assert b"6e6f742d612d776569676874" in download.value.path().read_bytes()


def test_the_database_page_answers_a_question_and_refuses_a_change(gateway, open_page, weighed):
    page = open_page("database")
    page.get_by_label("Question in SQL").fill(
        "SELECT station, count(*) AS records FROM weighing_records GROUP BY station"
    )
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("td", has_text="SCALE-01").first).to_be_visible()
    kept(page, "edge-database-desk-light")
    page.get_by_label("Question in SQL").fill("DELETE FROM devices")
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_role("alert")).to_contain_text("Only reading is allowed")


@pytest.mark.nightly
def test_every_page_fits_on_a_phone_and_on_a_desktop_by_day_and_by_night(gateway, open_page, weighed):
    for size, scheme, viewport in (("desk", "light", DESK), ("phone", "light", PHONE), ("phone", "dark", PHONE)):
        page = open_page("", viewport=viewport, color_scheme=scheme)
        for path in PAGES if scheme == "light" else ("", "live", "devices/SCALE-01"):
            page.goto(f"{gateway.url}/{path}")
            if path == "live":
                expect(page.locator("#live-link")).to_have_text("live")
            assert fits(page), (size, path)
            kept(page, f"edge-{path.replace('/', '-') or 'status'}-{size}-{scheme}", full_page=True)

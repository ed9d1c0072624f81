"""The phone page in a real browser, with a real server and an edge at its socket. Screenshots are kept for people."""

from uuid import uuid4

import pytest
from playwright.sync_api import expect

from browsers import PHONE, chromium, fits, kept, needs_browser
from edge_lines import PlantCentre
from plants import event

pytestmark = needs_browser


@pytest.fixture(scope="module")
def centre(tmp_path_factory):
    with PlantCentre(tmp_path_factory.mktemp("plant")) as centre:
        yield centre


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def edge(centre):
    with centre.edge() as line:
        line.device = f"SCALE-{uuid4().hex[:6]}"
        line.tell("device_connected", {"deviceId": line.device, "sourceIp": "192.0.2.9", "deviceType": "disassembly"})
        line.tell("event", event(uuid4().int % 10**12, line.device))
        line.acknowledged(1)
        yield line


@pytest.fixture
def phone_at(browser, centre):
    """Opens a page on a phone of a person who is logged in; at the end nothing may have been wrong in the browser's eyes."""
    contexts, wrong = [], []

    def open_page(scheme="light", path="/shifts/", size=PHONE, language="en-US"):
        context = browser.new_context(
            viewport=size, locale=language, color_scheme=scheme, has_touch=True, is_mobile=True
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda line: wrong.append(line.text) if "Content Security Policy" in line.text else None)
        page.goto(f"http://127.0.0.1:{centre.port}{path}")
        page.locator("#id_username").fill(PlantCentre.NAME)
        page.locator("#id_password").fill(PlantCentre.PASSWORD)
        page.locator("form .big").tap()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong


def card(page, edge):
    return page.locator("#scales li", has_text=edge.device)


def cut(edge, session, **others):
    edge.tell("event", event(uuid4().int % 10**11, edge.device, cloudSessionId=session, **others))
    assert edge.acknowledged(1)[0][1] == "accepted"


def started(page, edge, tag="TR 4711 0815"):
    """Start a session with thumbs; its id, as the edge hears it."""
    card(page, edge).tap()
    page.get_by_label("Ear tag").fill(tag)
    page.get_by_text("Calf", exact=True).tap()
    page.get_by_role("button", name="Start").tap()
    expect(page.locator(".status")).to_have_text("At work")
    told = edge.hear_type("session_started")
    assert (told["deviceId"], told["animalTag"], told["animalSpecies"]) == (edge.device, tag, "Calf")
    return told["cloudSessionId"]


def test_a_session_from_login_to_end(phone_at, edge):
    page = phone_at()
    expect(card(page, edge).locator(".animal")).to_have_text("Free")
    session = started(page, edge)
    expect(page.locator("#state")).to_have_text("Live")
    expect(page.locator("#none")).to_be_visible()
    cut(edge, session, weightGrams=12345, productName="KUŞBAŞI")
    expect(page.locator("#cuts li")).to_have_count(1)
    expect(page.locator("#cuts .net")).to_have_text("12.345 kg")
    expect(page.locator("#cuts .product")).to_have_text("KUŞBAŞI")
    cut(edge, session, weightGrams=55)
    expect(page.locator("#count")).to_have_text("2")
    expect(page.locator("#grams")).to_have_text("12.400")
    page.get_by_role("button", name="Pause").tap()
    expect(page.locator(".status")).to_have_text("Paused")
    assert edge.hear_type("session_paused")["cloudSessionId"] == session
    page.get_by_role("button", name="Go on").tap()
    expect(page.locator(".status")).to_have_text("At work")
    assert edge.hear_type("session_resumed")["cloudSessionId"] == session
    page.get_by_role("button", name="End").tap()
    expect(page.locator("dialog .summary")).to_have_text("2 cuts, 12.400 kg")
    page.get_by_role("button", name="Work is finished").tap()
    expect(page.locator(".status")).to_contain_text("Ended")
    ended = edge.hear_type("session_ended")
    assert (ended["cloudSessionId"], ended["reason"]) == (session, "completed")
    page.get_by_role("link", name="Next animal").tap()
    page.get_by_role("button", name="TR 4711 0815").tap()
    expect(page.get_by_label("Ear tag")).to_have_value("TR 4711 0815")
    expect(page.get_by_label("Calf", exact=True)).to_be_checked()
    assert [message["type"] for message in edge.passed if message["type"].startswith("session_")] == []


def test_taps_that_are_repeated_start_one_session(phone_at, edge, centre):
    page = phone_at()
    card(page, edge).tap()
    page.get_by_label("Ear tag").fill("TR-TWICE")
    button = page.get_by_role("button", name="Start")
    button.dblclick()
    expect(page.locator(".status")).to_have_text("At work")
    assert [
        tuple(row) for row in centre.rows("SELECT count(*) FROM shifts_worksession WHERE animal_tag = 'TR-TWICE'")
    ] == [(1,)]
    pause = page.get_by_role("button", name="Pause")
    pause.evaluate("button => { button.click(); button.click(); button.click(); }")
    expect(page.locator(".status")).to_have_text("Paused")


def test_a_start_whose_answer_was_lost_is_tried_again_and_is_one_session(phone_at, edge, centre):
    page = phone_at()
    card(page, edge).tap()
    page.get_by_label("Ear tag").fill("TR-LOST")
    lost = []

    def lose_the_answer(route):
        if lost:
            route.continue_()
            return
        lost.append(route.fetch().status)  # the server did it
        route.abort()

    page.route("**/shifts/api/sessions/", lose_the_answer)
    page.get_by_role("button", name="Start").tap()
    expect(page.locator("#state")).to_contain_text("No answer from the server")
    expect(page.locator(".status")).to_have_text("At work")
    assert lost == [200]
    assert [
        tuple(row) for row in centre.rows("SELECT count(*) FROM shifts_worksession WHERE animal_tag = 'TR-LOST'")
    ] == [(1,)]


def test_after_a_lost_network_nothing_is_missing_and_nothing_double(phone_at, edge):
    page = phone_at()
    session = started(page, edge, "TR-NET")
    for grams in (100, 200):
        cut(edge, session, weightGrams=grams)
    expect(page.locator("#cuts li")).to_have_count(2)
    page.context.set_offline(True)
    expect(page.locator("#state")).to_contain_text("No connection since")
    page.get_by_role("button", name="Pause").tap()
    expect(page.get_by_role("alert")).to_contain_text("No answer from the server")
    kept(page, "phone-no-network")
    for grams in (300, 400):
        cut(edge, session, weightGrams=grams)
    page.context.set_offline(False)
    expect(page.locator("#state")).to_have_text("Live", timeout=20_000)
    expect(page.locator("#cuts li")).to_have_count(4)
    expect(page.locator("#count")).to_have_text("4")
    expect(page.locator("#grams")).to_have_text("1.000")
    assert sorted(page.locator("#cuts .net").all_text_contents()) == [f"0.{grams} kg" for grams in (100, 200, 300, 400)]


def test_a_second_phone_sees_the_session_and_what_is_done_on_the_first(phone_at, edge):
    first, second = phone_at(), phone_at("dark")
    second_start = card(second, edge).locator("a").get_attribute("href")
    session = started(first, edge, "TR-TWO")
    expect(card(second, edge).locator(".animal")).to_have_text("TR-TWO")
    expect(card(second, edge).locator(".since")).to_contain_text("at work since")
    second.goto(first.url.partition("/shifts/")[0] + second_start)
    expect(second.get_by_text("At work on TR-TWO, started by admin.")).to_be_visible()
    second.get_by_role("link", name="Open this session").tap()
    expect(second.locator(".status")).to_have_text("At work")
    first.get_by_role("button", name="Pause").tap()
    expect(second.locator(".status")).to_have_text("Paused")
    cut(edge, session, weightGrams=1)
    for page in (first, second):
        expect(page.locator("#cuts li")).to_have_count(1)


def test_text_from_outside_is_text(phone_at, edge):
    evil = "<img src=x onerror=document.title='evil'>"
    page = phone_at()
    session = started(page, edge, evil)
    cut(edge, session, productName=evil)
    expect(page.locator("#cuts .product")).to_have_text(evil)
    page.get_by_role("link", name="Scales").tap()
    expect(card(page, edge).locator(".animal")).to_have_text(evil)
    assert page.locator("img").count() == 0
    assert page.title() == "Scales · ScaleLedger"


def test_it_is_good_to_look_at_by_day_and_by_night(phone_at, edge):
    products = ["KIYMA", "KUŞBAŞI", "BONFİLE", "Dana kontrfile, kemikli", "ANTRİKOT"]
    edge.tell("device_connected", {"deviceId": "SCALE-41"})
    edge.tell("device_heartbeat", {"deviceId": "SCALE-42", "status": "idle"})
    edge.tell("device_disconnected", {"deviceId": "SCALE-43"})
    page = phone_at()
    expect(page.locator("#scales li", has_text="SCALE-43").locator(".standing")).to_have_text("Disconnected")
    session = started(page, edge)
    for number, product in enumerate(products * 2):
        cut(edge, session, weightGrams=900 + 4321 * number, productName=product)
    for scheme in ("light", "dark"):
        page = phone_at(scheme)
        expect(card(page, edge).locator(".since")).to_contain_text("at work since")
        kept(page, f"phone-scales-{scheme}")
        assert fits(page)
        page.locator("#scales li", has_text="SCALE-41").tap()
        page.get_by_label("Ear tag").fill("TR 33 0001234")
        kept(page, f"phone-start-{scheme}")
        assert fits(page)
        page.get_by_role("link", name="Scales").tap()
        card(page, edge).tap()
        expect(page.locator("#cuts li")).to_have_count(10)
        kept(page, f"phone-session-{scheme}")
        assert fits(page)
        for button in page.locator(".bar .big:visible").all():
            assert button.bounding_box()["height"] >= 60, "a wet thumb needs more"
        page.get_by_role("button", name="End").tap()
        expect(page.get_by_role("button", name="Work is finished")).to_be_visible()
        kept(page, f"phone-end-{scheme}")
        page.get_by_role("button", name="Go back").tap()
        expect(page.locator(".status")).to_have_text("At work")
    page.get_by_role("button", name="Pause").tap()
    expect(page.locator(".status")).to_have_text("Paused")
    kept(page, "phone-paused-dark")


def test_a_turkish_phone_speaks_turkish_from_start_to_end(phone_at, edge):
    page = phone_at(language="tr-TR")
    expect(card(page, edge).locator(".standing")).to_have_text("Bağlı")
    kept(page, "phone-scales-turkish")
    card(page, edge).tap()
    page.get_by_label("Küpe numarası").fill("TR 33 0009")
    page.get_by_text("Dana", exact=True).tap()
    kept(page, "phone-start-turkish")
    page.get_by_role("button", name="Başlat").tap()
    expect(page.locator(".status")).to_have_text("Çalışıyor")
    told = edge.hear_type("session_started")
    assert told["animalSpecies"] == "Calf", "what is told has no language"
    cut(edge, told["cloudSessionId"], weightGrams=12345, productName="KUŞBAŞI", offlineMode=True)
    expect(page.locator("#cuts .net")).to_have_text("12,345 kg")
    expect(page.locator("#cuts time")).to_contain_text("bağlantısız tartıldı")
    page.get_by_role("button", name="Bitir").tap()
    expect(page.locator("dialog .summary")).to_have_text("1 parça, 12,345 kg")
    kept(page, "phone-end-turkish")
    page.get_by_role("button", name="İş tamamlandı").tap()
    expect(page.locator(".status")).to_contain_text("Bitti")
    expect(page.locator(".status")).to_contain_text("tamamlandı")
    kept(page, "phone-ended-turkish")
    assert fits(page)

"""The phone page's requests: who may ask, what is answered, and what a repeated or a wrong one does."""

from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client

from plants import CALF, LAMB, Phone, Plant, operator_browser
from scaleledger_server.shifts.api import api
from scaleledger_server.shifts.models import WorkSession


@pytest.fixture
def plant(db):
    return Plant()


@pytest.fixture
def phone(plant):
    return Phone(operator_browser())


def test_a_session_from_start_to_end(phone, plant):
    scale = plant.scale()
    status, session = phone.start(scale, "  TR-12 ", CALF, species="Calf")
    assert (status, session["animal_tag"], session["status"], session["operator"]) == (200, "TR-12", "active", "Ayse")
    [listed] = phone.get("scales/")[1]["scales"]
    assert (listed["standing"], listed["session"]["id"], listed["site"]) == ("online", str(CALF), "Plant kayseri-1")
    assert phone.post(f"sessions/{CALF}/pause/", {})[1]["status"] == "paused"
    assert phone.post(f"sessions/{CALF}/resume/", {})[1]["status"] == "active"
    assert phone.post(f"sessions/{CALF}/end/", {"reason": "cancelled"})[1]["end_reason"] == "cancelled"
    assert phone.get(f"sessions/{CALF}/")[1]["status"] == "ended"
    told = phone.get("scales/")[1]
    assert told["scales"][0]["session"] is None
    assert told["recent"] == [{"tag": "TR-12", "species": "Calf"}]


def test_a_second_phone_is_told_who_works_there(phone, plant):
    phone.start(plant.scale(), "TR-12", CALF)
    status, body = Phone(operator_browser("Mehmet")).start(plant.scale(), "TR-13", LAMB)
    assert (status, body["code"]) == (409, "session_under_way")
    assert "started by Ayse" in body["detail"]


def test_every_request_needs_a_login_the_right_and_a_token(phone, plant, settings):
    settings.OPEN_PAGES = True  # opens pages that show, not these
    stranger = Client()
    assert stranger.get("/shifts/api/scales/").status_code == 401
    assert stranger.get("/shifts/").headers["Location"].startswith("/shifts/login/")
    visitor = Client()
    visitor.force_login(User.objects.create_user("visitor"))
    assert visitor.get("/shifts/api/scales/").json()["code"] == "no_right"
    page = visitor.get("/shifts/")
    assert (page.status_code, b"You may not operate scales" in page.content) == (403, True)
    for path in ("sessions/", f"sessions/{CALF}/pause/", f"sessions/{CALF}/resume/", f"sessions/{CALF}/end/"):
        status, body = phone.post(path, {}, **{"X-CSRFToken": "x" * 32})
        assert (status, body["code"]) == (403, "csrf")
    assert not WorkSession.objects.exists()


def test_no_operation_answers_a_stranger(db):
    described = api.get_openapi_schema(path_prefix="/shifts/api/")["paths"]
    asked = [
        (method, path.replace("{session_id}", str(CALF))) for path, methods in described.items() for method in methods
    ]
    assert len(asked) == 6
    for method, path in asked:
        answer = Client().generic(method.upper(), path)
        assert (answer.status_code, answer.json()["code"]) == (401, "login_needed"), path


def test_a_person_without_the_second_factor_that_is_required_gets_nowhere(phone, settings):
    settings.SECOND_FACTOR = "required"
    assert phone.get("scales/")[0] == 401
    assert "second-factor/setup" in phone.client.get("/shifts/").headers["Location"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"animal_tag": ""}, {"animal_tag": "   "}, {"animal_tag": "x" * 101}, {"animal_tag": "a\x00b"}, {"animal_tag": 7},
        {"session_id": "7"}, {"scale": "one"}, {"species": "x" * 101}, {"unknown": 1},
    ],
)  # fmt: skip
def test_what_is_no_start_is_refused_with_the_field(phone, plant, wrong):
    body = {"session_id": str(CALF), "scale": plant.scale().pk, "animal_tag": "TR-12", **wrong}
    status, answer = phone.post("sessions/", body)
    assert (status, answer["code"], answer["field"]) == (422, "invalid", next(iter(wrong)))
    assert not WorkSession.objects.exists()


@pytest.mark.parametrize("scale", [0, -1, 4711, 2**63, 2**70])
def test_a_scale_that_there_is_not_is_refused(phone, scale):
    body = {"session_id": str(CALF), "scale": scale, "animal_tag": "TR-12"}
    assert phone.post("sessions/", body)[1]["code"] == "scale_unknown"


def test_an_end_without_a_known_reason_is_refused(phone, plant):
    phone.start(plant.scale(), "TR-12", CALF)
    for reason in ("timeout", "because", "", None):
        assert phone.post(f"sessions/{CALF}/end/", {"reason": reason})[0] == 422
    assert phone.get(f"sessions/{CALF}/")[1]["status"] == "active"


def test_no_json_is_refused_in_words(phone):
    answer = phone.client.post(
        "/shifts/api/sessions/", b"{", content_type="application/json", headers={"X-CSRFToken": phone.token}
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")


def test_a_scale_whose_gateway_is_silent_or_out_of_use_says_so(phone, plant):
    plant.scale()
    plant.edge.last_seen_at = None
    plant.edge.save()
    assert phone.get("scales/")[1]["scales"][0]["standing"] == "silent"
    plant.edge.gateway.status = "inactive"
    plant.edge.gateway.save()
    assert phone.get("scales/")[1]["scales"] == []


def test_pages_show_text_from_outside_as_text(phone, plant):
    evil = "<img src=x onerror=alert(1)>"
    scale = plant.scale()
    scale.name = evil
    scale.save()
    assert phone.start(scale, evil, CALF, species=evil)[0] == 200
    paths = ("/shifts/", f"/shifts/scales/{scale.pk}/", f"/shifts/sessions/{CALF}/")
    for path in paths:
        page = phone.client.get(path)
        assert page.status_code == 200
        assert "default-src 'self'" in page.headers["Content-Security-Policy"]
        assert b"<img" not in page.content
        assert b"&lt;img" in page.content
    phone.post(f"sessions/{CALF}/end/", {})
    assert b"<img" not in phone.client.get(paths[1]).content


def test_pages_of_what_there_is_not_lead_back(phone):
    for path in ("/shifts/scales/4711/", f"/shifts/sessions/{uuid4()}/"):
        page = phone.client.get(path)
        assert page.status_code == 404
        assert b"To the scales" in page.content


def test_an_operator_who_is_no_administrator_can_log_in(plant, db):
    User.objects.create_user("Ayse", password="a long password")
    browser = Client()
    sent = {"username": "Ayse", "password": "a long password", "next": "/shifts/"}
    assert browser.post("/shifts/login/", sent).headers["Location"] == "/shifts/"
    wrong = browser.post("/shifts/login/", {**sent, "password": "no"})
    assert b"Please enter" in wrong.content
    away = browser.post("/shifts/login/", {**sent, "next": "https://elsewhere.example/"})
    assert away.headers["Location"] == "/shifts/"

"""The administration opens with two factors, each code once; guessing gets slower; a session left alone ends."""

import logging
import re
from ipaddress import ip_network

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.cache.backends.locmem import LocMemCache
from django.test import Client
from django.urls import URLPattern, get_resolver, reverse
from django_otp.oath import totp
from django_otp.plugins.otp_static.models import StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from scaleledger_server.people import factors, lockout

PASSWORD = "a password of the tests"
VERIFY, SETUP = "/admin/second-factor/verify/", "/admin/second-factor/setup/"


@pytest.fixture
def admin(db):
    return User.objects.create_superuser("admin", password=PASSWORD)


@pytest.fixture(autouse=True)
def now(monkeypatch):
    """The lock-out's clock, which stands still: [seconds]."""
    now = [1_000_000.0]
    monkeypatch.setattr(lockout, "time", lambda: now[0])
    return now


@pytest.fixture
def required(settings):
    settings.SECOND_FACTOR = "required"


def log_in(password=PASSWORD, name="admin", path="/admin/login/", **options):
    client = Client(**options)
    answer = client.post(path, {"username": name, "password": password, "next": "/admin/"})
    return client, answer


def code_of(device, step=0):
    return f"{totp(device.bin_key, drift=step):06d}"


def set_up(client, user):
    client.get(SETUP)
    device = TOTPDevice.objects.get(user=user, confirmed=False)
    page = client.post(SETUP, {"code": code_of(device)}).content.decode()
    return device, re.findall(r"<li><code>([-a-z0-9]{19})</code>", page)


def test_it_works(admin, required):
    client, _ = log_in()
    assert client.get("/admin/")["Location"] == f"{SETUP}?next=/admin/"
    page = client.get(SETUP).content.decode()
    assert "<svg" in page
    device, codes = set_up(client, admin)
    assert len(set(codes)) == 10
    assert client.get("/admin/").status_code == 200

    client, _ = log_in()
    assert client.get("/admin/")["Location"] == f"{VERIFY}?next=/admin/"
    answer = client.post(VERIFY, {"code": code_of(device, 1), "next": "/admin/"})
    assert (answer.status_code, answer["Location"]) == (302, "/admin/")
    assert client.get("/admin/").status_code == 200


def test_no_page_of_the_administration_opens_without_the_second_factor(admin, required):
    from django.contrib import admin as pages

    client, _ = log_in()
    for model in pages.site._registry:
        answer = client.get(reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"))
        assert answer["Location"].startswith(SETUP), model
    assert client.get("/")["Location"].startswith(SETUP)
    assert client.post("/admin/market/species/add/", {"name": "x"})["Location"].startswith(SETUP)


def test_who_has_one_shows_it_even_where_it_is_optional(admin):
    client, _ = log_in()
    assert client.get("/admin/").status_code == 200
    set_up(client, admin)
    client, _ = log_in()
    assert client.get("/admin/")["Location"].startswith(VERIFY)
    assert client.get(SETUP)["Location"].startswith(VERIFY)  # a password alone replaces no authenticator
    assert TOTPDevice.objects.filter(user=admin).count() == 1


def test_a_code_is_good_once(admin, required):
    client, _ = log_in()
    device, codes = set_up(client, admin)
    used = code_of(device, 1)
    for code, words in ((used, ""), (used, "used already"), (codes[0], ""), (codes[0], "used already")):
        client, _ = log_in()
        TOTPDevice.objects.update(throttling_failure_count=0)
        cache.clear()
        page = client.post(VERIFY, {"code": code})
        assert page.status_code == (200 if words else 302)
        assert words in page.content.decode()
    assert StaticToken.objects.count() == 9


@pytest.mark.parametrize("code", ["", "000000", "abc", "²²²²²²", "9" * 40, "x" * 41, "\0"])
def test_a_wrong_code_opens_nothing(admin, required, code):
    client, _ = log_in()
    set_up(client, admin)
    client, _ = log_in()
    assert client.post(VERIFY, {"code": code}).status_code == 200
    assert client.get("/admin/").status_code == 302


def test_codes_are_guessed_ever_more_slowly(admin, required):
    client, _ = log_in()
    set_up(client, admin)
    client, _ = log_in()
    for _ in range(lockout.PAIR.tries):
        client.post(VERIFY, {"code": "000000"})
    assert "Too many tries" in client.post(VERIFY, {"code": "000000"}).content.decode()


def test_logging_in_again_gives_no_fresh_tries_at_the_code(admin, required):
    client, _ = log_in()
    set_up(client, admin)
    for _ in range(lockout.PAIR.tries):
        client, _ = log_in()
        page = client.post(VERIFY, {"code": "000000"})
    assert "not right" in page.content.decode()
    client, _ = log_in()
    assert "Too many tries" in client.post(VERIFY, {"code": "000000"}).content.decode()


def paths(patterns, before="/"):
    for pattern in patterns:
        path = before + re.sub(r"\(\?P<\w+>[^)]*\)|<[^>]*>", "1", str(pattern.pattern)).strip("^$")
        if isinstance(pattern, URLPattern):
            yield path
        else:
            yield from paths(pattern.url_patterns, path)


def test_every_path_but_the_api_asks_for_a_login(db):
    logins = ("/admin/login/", "/shifts/login/")
    open_to_all = ("/devices/api/", "/api/", "/weighing/api/", "/market/api/", "/shifts/api/", *logins)
    asked = [path for path in paths(get_resolver().url_patterns) if not path.startswith(open_to_all)]
    assert len(asked) > 100
    for path in asked:
        for ask in (Client().get, Client().post):
            answer = ask(path)
            assert answer.status_code in (302, 404, 405), path
            if answer.status_code == 302:
                assert "/admin/" in answer["Location"] or answer["Location"].startswith(logins), path


@pytest.mark.parametrize("away", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_the_way_back_stays_here(admin, required, away):
    client, _ = log_in()
    set_up(client, admin)
    assert client.post(VERIFY, {"code": "1", "next": away})["Location"] == "/admin/"


def test_another_authenticator_ends_the_first_and_its_codes(admin):
    client, _ = log_in()
    first, codes = set_up(client, admin)
    set_up(client, admin)
    assert not TOTPDevice.objects.filter(pk=first.pk).exists()
    assert factors.verified(admin, codes[0].replace("-", "")) is None


def test_the_keys_are_shown_to_no_administrator(admin):
    client, _ = log_in()
    device, _ = set_up(client, admin)
    for name in ("list", "one"):
        path = reverse("admin:otp_totp_totpdevice_changelist") + ("" if name == "list" else f"{device.pk}/change/")
        page = client.get(path).content.decode()
        assert device.key not in page
        assert factors.secret_text(device) not in page
    client.post(reverse("admin:otp_totp_totpdevice_delete", args=[device.pk]), {"post": "yes"})
    assert not TOTPDevice.objects.exists()
    assert not StaticToken.objects.exists()


def test_passwords_are_guessed_ever_more_slowly(admin, now):
    waits = []
    for _ in range(lockout.PAIR.tries + 6):
        _, page = log_in("wrong")
        locked = re.search(r"Wait (\d+) s", page.content.decode())
        waits.append(int(locked[1]) if locked else 0)
        now[0] += waits[-1]
    assert waits[: lockout.PAIR.tries] == [0] * lockout.PAIR.tries
    grown = [wait for wait in waits if wait]
    assert grown == sorted(grown)
    assert grown[-1] > grown[0]


def test_the_right_password_ends_the_wait_for_the_account(admin):
    for _ in range(lockout.PAIR.tries - 1):
        log_in("wrong")
    assert log_in()[1].status_code == 302
    assert all("Too many" not in log_in("wrong")[1].content.decode() for _ in range(lockout.PAIR.tries - 1))


def test_while_locked_the_right_password_is_refused_too(admin):
    for _ in range(lockout.PAIR.tries):
        log_in("wrong")
    assert "Too many tries" in log_in()[1].content.decode()


def test_nobody_is_locked_out_by_tries_from_elsewhere(admin):
    for _ in range(lockout.PAIR.tries + 1):
        log_in("wrong", REMOTE_ADDR="203.0.113.9")
    assert log_in(REMOTE_ADDR="203.0.113.10")[1].status_code == 302


def test_an_address_that_tries_many_names_is_slowed(admin):
    for n in range(lockout.ADDRESS.tries):
        log_in("wrong", name=f"name-{n}")
    assert "Too many tries" in log_in()[1].content.decode()


class AwayCache(LocMemCache):
    def get(self, *_args, **_kwargs):
        raise ConnectionError("the cache is away")


def test_a_cache_that_is_away_shuts_nobody_out(admin, monkeypatch):
    monkeypatch.setattr(lockout, "cache", AwayCache("away", {}))
    assert log_in()[1].status_code == 302


def test_logins_are_in_the_log_and_no_secret_is(admin, caplog):
    caplog.set_level(logging.INFO, logger="scaleledger_server")
    log_in("s3cret-typed-wrong")
    log_in("x", name=PASSWORD)
    client, _ = log_in()
    client.post(reverse("admin:logout"))
    text = caplog.text
    for words in ("login refused: admin from 127.0.0.1", "login refused: an unknown account", "login: admin", "logout"):
        assert words in text
    assert "s3cret" not in text
    assert PASSWORD not in text


@pytest.mark.parametrize(
    ("address", "status"), [("192.0.2.9", 302), ("::ffff:192.0.2.9", 302), ("198.51.100.1", 404), ("", 404)]
)
def test_elsewhere_there_is_no_administration(db, settings, address, status):
    settings.ADMIN_NETWORKS = [ip_network("192.0.2.0/24")]
    client = Client(REMOTE_ADDR=address)
    assert client.get("/admin/").status_code == status
    assert client.get("/administrators").status_code == 404
    assert client.get(VERIFY).status_code == status


def test_an_idle_session_ends_and_a_pages_own_refreshing_does_not_keep_it(admin, settings, monkeypatch):
    settings.SESSION_IDLE_S = 1800
    now = [1_000_000]
    monkeypatch.setattr("scaleledger_server.people.door.time", lambda: now[0])
    client, _ = log_in()
    for _ in range(3):
        now[0] += 1700
        assert client.get("/admin/").status_code == 200
    now[0] += 1700
    assert client.get("/lists/", headers={"X-Refresh": "1"}).status_code == 200
    now[0] += 200
    assert client.get("/admin/").status_code == 302

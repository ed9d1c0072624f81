"""Alarms open and close by what gateways say and do not say, and are mailed once."""

from datetime import timedelta

import django
import pytest
from django.core import mail
from django.core.management import call_command
from django.utils import timezone

from gateway_ledgers import MAC, LedgerOf
from scaleledger_server.devices import queries, services
from scaleledger_server.devices.models import GatewayAlarm
from server_api import as_contract, example, join

HEARTBEAT = "/devices/api/gateways/heartbeat/"


def open_kinds():
    return [alarm.kind for alarm in queries.open_alarms()]


@pytest.fixture
def managers(settings):
    address = "dock@centre.example"
    settings.MANAGERS = [address] if django.VERSION >= (6, 0) else [("", address)]


def test_it_works(joined, managers, settings):
    gateway, api = joined
    api.post(HEARTBEAT)
    now = timezone.now()
    assert services.watch(now + timedelta(seconds=settings.LATE_S - 5)) == 0
    for _ in range(2):
        assert services.watch(now + timedelta(seconds=settings.LATE_S + 5)) == 1
    [alarm] = queries.open_alarms()
    assert (alarm.gateway, alarm.kind) == (gateway, "late")
    assert len(mail.outbox) == 1, "told once"
    assert MAC in mail.outbox[0].body
    api.post(HEARTBEAT)
    assert open_kinds() == []
    services.watch(now + timedelta(hours=1))
    assert (len(mail.outbox), GatewayAlarm.objects.count()) == (2, 2), "a new silence is a new alarm"


@pytest.mark.parametrize(
    ("bad", "good", "kind"),
    [
        ({"clock_offset_ms": -60_001}, {"clock_offset_ms": 30_000}, "clock"),
        (
            {"disk_free_bytes": 99, "disk_total_bytes": 1000},
            {"disk_free_bytes": 120, "disk_total_bytes": 1000},
            "disk",
        ),
        ({"quarantined": 1}, {"quarantined": 0}, "quarantined"),
        (
            {"stations_refused": [{"name": "a", "reason": "no such driver"}]},
            {"stations_refused": []},
            "stations_refused",
        ),
    ],
)
def test_an_alarm_follows_what_a_gateway_says_of_itself(joined, bad, good, kind):
    _, api = joined
    for said, wanted in ((bad, [kind]), (bad, [kind]), ({}, [kind]), ({"uptime_s": 1}, [kind]), (good, []), (good, [])):
        assert api.post(HEARTBEAT, said)[0] == 200
        assert open_kinds() == wanted, said
    assert GatewayAlarm.objects.count() == 1


def test_the_words_keep_up(joined):
    _, api = joined
    for count in (1, 7):
        api.post(HEARTBEAT, {"quarantined": count})
    assert queries.open_alarms()[0].detail.startswith("7 records")


def test_who_is_not_in_use_is_not_late(joined):
    gateway, api = joined
    api.post(HEARTBEAT, {"quarantined": 1})
    services.revoke(gateway)
    assert services.watch(timezone.now() + timedelta(days=1)) == 0
    join(LedgerOf("02:00:00:00:00:02"))
    assert services.watch(timezone.now() + timedelta(days=1)) == 0, "one that never spoke is not late yet"


class AwayMailServer:
    def __init__(self):
        self.asked = 0

    def __call__(self, *_):
        self.asked += 1
        raise ConnectionRefusedError("no mail server")


@pytest.fixture
def pause(monkeypatch):
    """When a mail server that was away is asked again, in monotonic seconds."""
    pause = {"at": 0.0}
    monkeypatch.setattr(services.alarms, "_mail_again_s", pause)
    return pause


def test_a_mail_server_that_is_away_stops_nothing_and_is_told_later(joined, managers, monkeypatch, pause):
    away = AwayMailServer()
    _, api = joined
    api.post(HEARTBEAT, {"quarantined": 1})
    with monkeypatch.context() as patch:
        patch.setattr(services.alarms, "mail_managers", away)
        for _ in range(3):
            assert services.watch(timezone.now()) == 1
    assert away.asked == 1, "it is left in peace for a while"
    services.watch(timezone.now())
    assert mail.outbox == []
    pause["at"] = 0.0
    for _ in range(2):
        services.watch(timezone.now())
    assert len(mail.outbox) == 1


@pytest.mark.parametrize(
    ("bad", "good"),
    [
        ({"quarantined": 1}, {"quarantined": 0}),
        ({"clock_offset_ms": 60_001}, {"clock_offset_ms": 59_999}),
        ({"disk_free_bytes": 99, "disk_total_bytes": 1000}, {"disk_free_bytes": 101, "disk_total_bytes": 1000}),
    ],
)
def test_what_goes_to_and_fro_is_one_alarm_and_one_mail(joined, managers, bad, good):
    _, api = joined
    for _ in range(5):
        for said in (bad, good):
            api.post(HEARTBEAT, said)
            services.watch(timezone.now())
    assert GatewayAlarm.objects.count() == 1
    assert len(mail.outbox) == 1


def test_after_a_rest_of_the_server_itself_nobody_is_late_at_once(joined, settings):
    gateway, _ = joined
    began = timezone.now()
    services.note_heartbeat(gateway, {}, began - timedelta(hours=2))
    assert services.watch(began + timedelta(seconds=10), began) == 0
    assert services.watch(began + timedelta(seconds=settings.LATE_S + 1), began) == 1


def test_an_alarm_that_opens_while_its_gateway_is_put_out_of_use_does_not_stay(joined):
    gateway, _ = joined
    services.revoke(gateway)
    services.note_heartbeat(gateway, {"quarantined": 1}, timezone.now())  # was let in just before
    assert open_kinds() == ["quarantined"]
    assert services.watch(timezone.now()) == 0


def test_who_claims_to_be_a_gateway_is_still_to_be_decided_when_it_is_put_out_of_use(joined, ledger):
    gateway, api = joined
    api.prove(LedgerOf(signed=True))
    services.revoke(gateway)
    assert services.watch(timezone.now()) == 1
    assert open_kinds() == ["identity"]


def test_nobody_is_mailed_where_nobody_is_named(joined):
    _, api = joined
    api.post(HEARTBEAT, {"quarantined": 1})
    services.watch(timezone.now())
    assert mail.outbox == []
    assert GatewayAlarm.objects.get().told_at is None


def test_many_late_gateways_cost_few_queries(db, django_assert_max_num_queries):
    now = timezone.now()
    for number in range(20):
        gateway, _ = join(LedgerOf(f"02:00:00:00:00:{number:02x}"))
        services.note_heartbeat(gateway, {}, now)
    services.watch(now + timedelta(hours=1))
    assert len(open_kinds()) == 20
    with django_assert_max_num_queries(10):
        services.watch(now + timedelta(hours=1))


def test_the_command_looks_once_and_lists(joined, capsys):
    gateway, api = joined
    call_command("watch", "--once")
    assert "No alarm is open." in capsys.readouterr().out
    api.post(HEARTBEAT, {"quarantined": 2})
    call_command("watch", "--once")
    assert f"{gateway.mac_address}  quarantined: 2 records" in capsys.readouterr().out


def test_a_sign_of_life_is_kept_for_people_and_answered_with_versions(joined):
    gateway, api = joined
    said = example("heartbeat.stations")
    status, body = api.post(HEARTBEAT, said)
    assert (status, as_contract(body, "heartbeat_answer")["versions"]["stations"]) == (200, "1")
    gateway.refresh_from_db()
    kept = {name: value for name, value in said.items() if value is not None}
    assert gateway.reported == kept


def test_other_apps_put_their_part_into_the_answer(joined, monkeypatch):
    told = {"receipt": None, "versions": {"market": "17"}}
    monkeypatch.setattr(services, "on_heartbeat_answer", [lambda _gateway: told])
    _, api = joined
    for _ in range(2):
        body = as_contract(api.post(HEARTBEAT)[1], "heartbeat_answer")
        assert body["versions"] == {"stations": "1", "market": "17"}
        assert body["receipt"] is None


STATION = example("heartbeat.stations")["stations"][0]


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({"clock_offset_ms": 2**60}, "clock_offset_ms"),
        ({"clock_offset_ms": 0.5}, "clock_offset_ms"),
        ({"platform": "x" * 101}, "platform"),
        ({"stations": [STATION] * 257}, "stations"),
        ({"stations": {}}, "stations"),
        ({"stations": [{**STATION, "link": "sideways"}]}, "stations.link"),
        ({"stations": [{**STATION, "source": ["file"]}]}, "stations.source"),
        ({"stations": [{**STATION, "name": ""}]}, "stations.name"),
        ({"stations": [{**STATION, "detail": "a\0"}]}, "stations.detail"),
        ({"stations": [{**STATION, "saved": -1}]}, "stations.saved"),
        ({"stations": [5]}, "stations"),
        ({"stations_refused": [{"name": "a"}]}, "reason"),
        ({"disk_free_bytes": 10**30}, "disk_free_bytes"),
    ],
)
def test_a_bad_report_names_its_field_and_leaves_nothing(joined, bad, field):
    gateway, api = joined
    status, body = api.post(HEARTBEAT, bad)
    assert (status, body["code"], body["field"]) == (422, "invalid", field)
    gateway.refresh_from_db()
    assert (gateway.last_heartbeat, gateway.reported) == (None, {})

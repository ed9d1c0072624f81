"""What several workers do with one gateway at the same moment comes out as if one had done it after the other."""

from datetime import timedelta
from functools import partial

import django
import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.utils import timezone

from gateway_ledgers import MAC, LedgerOf
from racing import together
from scaleledger_server.devices import services
from scaleledger_server.devices.models import AccessToken, Gateway, GatewayAlarm, IdentityConflict
from scaleledger_server.errors import Refusal
from scaleledger_server.market import queries as market
from scaleledger_server.market import services as market_services
from scaleledger_server.market.models import Species
from server_api import Api, join, proved

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("not config.getoption('--database') == 'postgresql'", reason="SQLite has one writer"),
]
GATEWAYS = "/devices/api/gateways/"
ROUNDS = 8


def asked(ledger):
    said = {"public_key": "", "remote_address": "192.0.2.1", "proved": bool(ledger.public_key)}
    return services.Registration(**said | ledger.registration())


def refused(work):
    """The code of the refusal, or "" when it went well."""
    try:
        work()
    except Refusal as refusal:
        return refusal.code
    return ""


def test_a_proof_that_is_shown_to_several_workers_is_good_at_one():
    ledger = LedgerOf(signed=True)
    gateway, _ = join(ledger)
    before = AccessToken.objects.filter(gateway=gateway).count()
    body = proved(ledger, Api().challenge())
    answers = together(*[partial(Api().post, GATEWAYS, body)] * 4)
    assert sorted(status for status, _ in answers) == [200, 409, 409, 409]
    assert AccessToken.objects.filter(gateway=gateway).count() == before + 1


def test_one_claim_code_makes_one_gateway_active():
    code = services.make_claim(User.objects.create_user("maker"), "", timezone.now())
    ledgers = [LedgerOf(f"02:00:00:00:00:{number:02x}", signed=True) for number in range(4)]
    bodies = [proved(ledger, Api().challenge(), code) for ledger in ledgers]
    together(*[partial(Api().post, GATEWAYS, body) for body in bodies])
    assert Gateway.objects.filter(status="active").count() == 1


def test_of_two_keys_that_come_at_once_one_waits_and_one_is_a_conflict():
    for number in range(ROUNDS):
        mac = f"02:00:00:00:00:{number:02x}"
        both = [asked(LedgerOf(mac, signed=True)) for _ in range(2)]
        codes = together(*[partial(refused, partial(services.register, each, timezone.now())) for each in both])
        assert sorted(codes) == ["", "mac_conflict"]
        assert Gateway.objects.filter(mac_address=mac).count() == 1
        assert IdentityConflict.objects.filter(gateway__mac_address=mac).count() == 1


def test_a_key_that_comes_at_the_moment_of_the_approval_is_never_approved_with_it():
    for number in range(ROUNDS):
        mac = f"02:00:00:00:00:{number:02x}"
        looked_at, _ = services.register(asked(LedgerOf(mac)), timezone.now())
        late = asked(LedgerOf(mac, signed=True))
        together(
            partial(refused, partial(services.approve, looked_at)),
            partial(refused, partial(services.register, late, timezone.now())),
        )
        found = Gateway.objects.get(mac_address=mac)
        assert (found.status, bool(found.public_key)) in {("active", False), ("pending", True)}


def test_two_people_who_decide_at_once_decide_once():
    for number in range(ROUNDS):
        ledger = LedgerOf(f"02:00:00:00:00:{number:02x}", signed=True)
        gateway, _ = join(ledger)
        for _ in range(2):
            Api().prove(LedgerOf(ledger.mac, signed=True))
        claims = gateway.identity_conflicts.all()
        now = timezone.now()
        codes = together(
            *[partial(refused, partial(services.replace_identity, claim, now)) for claim in claims],
            partial(refused, partial(services.register, asked(LedgerOf(ledger.mac, signed=True)), now)),
        )
        assert sorted(codes[:2]) == ["", "mac_conflict"]
        gateway.refresh_from_db()
        assert gateway.status == "replaced"
        assert not gateway.identity_conflicts.exists()
        assert Gateway.objects.filter(mac_address=ledger.mac, status="pending").count() == 1


def test_an_alarm_that_several_workers_find_is_one_and_mailed_once(settings):
    settings.MANAGERS = ["dock@centre.example"] if django.VERSION >= (6, 0) else [("", "dock@centre.example")]
    long_ago = timezone.now() - timedelta(hours=1)
    for number in range(5):
        gateway, _ = join(LedgerOf(f"02:00:00:00:00:{number:02x}"))
        services.note_heartbeat(gateway, {}, long_ago)
    together(*[partial(services.watch, timezone.now())] * 4)
    assert GatewayAlarm.objects.count() == 5
    said = "".join(message.body for message in mail.outbox)
    assert all(said.count(f"02:00:00:00:00:{number:02x}") == 1 for number in range(5))


def test_a_gateway_that_speaks_while_it_is_found_late_is_not_late_for_long():
    gateway, _ = join(LedgerOf(MAC))
    for _ in range(ROUNDS):
        services.note_heartbeat(gateway, {}, timezone.now() - timedelta(hours=1))
        now = timezone.now()
        together(partial(services.watch, now), partial(services.note_heartbeat, gateway, {}, now))
        services.note_heartbeat(gateway, {}, timezone.now())
        assert not GatewayAlarm.objects.filter(closed_at=None).exists()


def test_the_very_first_changes_of_the_market_data_can_come_together():
    names = [f"species {number}" for number in range(4)]
    together(*[partial(market_services.save, Species(name=name)) for name in names])
    assert Species.objects.count() == 4
    assert market.version().startswith("4-")

"""A gateway's account: what is held, what is missing, what contradicts, each with words for what to do."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from scaleledger_server.devices import services as devices
from tampering import tamper


def account(client, gateway, method="get"):
    answer = getattr(client, method)(reverse("gateway-reconcile", args=[gateway.pk]))
    assert answer.status_code == 200
    entries = {entry.name: (entry.value, entry.state) for entry in answer.context["entries"]}
    return entries, answer.content.decode()


def test_it_works(administrator, joined, ledger):
    gateway, api = joined
    batch = ledger.batch(3)
    for _ in range(2):
        api.deliver_batch(batch)
    entries, text = account(administrator, gateway)
    assert "Everything this gateway weighed and told of is here" in text
    assert entries["Held"] == ("3, up to number 3", "good")
    assert entries["Gaps"] == ("0", "good")
    assert entries["Duplicates absorbed"] == ("3", "good")
    assert entries["Last receipt"][0].startswith("up to 3,")
    assert {state for _, state in entries.values()} == {"good"}
    assert "Chain check passed" in account(administrator, gateway, "post")[1]


def test_what_is_missing_is_named(administrator, joined, ledger):
    gateway, api = joined
    records = ledger.records(6)
    for n in (0, 3, 5):
        api.deliver(records[n])
    entries, text = account(administrator, gateway)
    assert entries["Gaps"] == ("3", "off")
    assert "Missing: 2–3, 5." in text
    assert "Not everything adds up" in text


def test_a_ledger_that_was_altered_fails_the_check(administrator, joined, ledger):
    gateway, api = joined
    api.deliver_batch(ledger.batch(3))
    tamper("payload = '{}'", 2)
    assert "Chain check failed" in account(administrator, gateway, "post")[1]


def test_what_was_refused_and_what_waits_is_told(administrator, joined, ledger):
    gateway, api = joined
    record = ledger.record()
    api.deliver(record)
    api.deliver({**record, "weight": 1.0})
    ledger.record()
    api.post("/devices/api/gateways/heartbeat/", {"head": ledger.head(), "quarantined": 2})
    entries, _ = account(administrator, gateway)
    assert entries["On the way"] == ("1", "wait")
    assert entries["Quarantined at the gateway"] == ("2", "off")


@pytest.mark.parametrize("count", [10, 100])
def test_the_account_costs_the_same_however_much_is_held(
    administrator, joined, ledger, django_assert_max_num_queries, count
):
    gateway, api = joined
    for record in ledger.records(count)[::2]:
        api.deliver(record)
    with django_assert_max_num_queries(9):
        account(administrator, gateway)


def test_the_list_of_gateways_leads_there(administrator, joined):
    gateway, _ = joined
    devices.describe(gateway, "<script>alert(1)</script>", "")
    text = administrator.get(reverse("admin:devices_gateway_changelist")).content.decode()
    assert reverse("gateway-reconcile", args=[gateway.pk]) in text
    assert "<script>alert(1)" not in account(administrator, gateway)[1]


def test_accounts_are_for_those_who_may(joined):
    gateway, _ = joined
    path = reverse("gateway-reconcile", args=[gateway.pk])
    client = Client()
    assert client.get(path).status_code == 302
    client.force_login(User.objects.create_user("clerk", is_staff=True))
    assert client.get(path).status_code == 403


def test_no_gateway_has_no_account(administrator):
    assert administrator.get(reverse("gateway-reconcile", args=[999])).status_code == 404

"""A site and its key by command: a new key each time, the old one good no more."""

import pytest
from django.core.management import CommandError, call_command

from edge_api import EdgeApi
from scaleledger_server.shifts.models import Site

pytestmark = pytest.mark.django_db


def made(capsys, *words):
    call_command("site_key", *words)
    return capsys.readouterr().out.strip()


def test_a_new_key_takes_the_old_ones_place(capsys):
    first = made(capsys, "plant-1", "--name", "North plant")
    assert EdgeApi(first).register()[1]["siteName"] == "North plant"
    second = made(capsys, "plant-1")
    assert EdgeApi(first).register()[0] == 401
    assert EdgeApi(second).register()[1]["siteName"] == "North plant"
    assert first not in Site.objects.get().key_digest


def test_a_site_without_a_usable_id_is_refused(capsys):
    with pytest.raises(CommandError):
        made(capsys, "x" * 101)
    assert not Site.objects.exists()

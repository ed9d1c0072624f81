"""The first administrator is made by a command; its password is shown once and stands on no command line."""

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django_otp.plugins.otp_totp.models import TOTPDevice

from server_processes import ServerProcess


def test_it_works(db, capsys):
    call_command("administrator", "--name", "kim")
    password = capsys.readouterr().out.split("password, shown only now: ")[1].strip()
    user = authenticate(username="kim", password=password)
    assert user is not None
    assert user.is_superuser


def test_a_password_from_a_file_is_not_shown(db, capsys, tmp_path):
    file = tmp_path / "password"
    file.write_text("a long enough password\n")
    call_command("administrator", "--name", "kim", "--password-file", str(file))
    assert "long enough" not in capsys.readouterr().out
    assert authenticate(username="kim", password="a long enough password")


@pytest.mark.parametrize("words", [b"12345678\n", b"", b"kim\n", b"\xff\xfe"])
def test_a_weak_or_unreadable_password_makes_nobody(db, tmp_path, words):
    file = tmp_path / "password"
    file.write_bytes(words)
    with pytest.raises(CommandError):
        call_command("administrator", "--name", "kim", "--password-file", str(file))
    assert not User.objects.exists()


@pytest.mark.parametrize("name", ["", "a b<", "x" * 151])
def test_a_name_that_is_none_makes_nobody(db, name):
    with pytest.raises(CommandError):
        call_command("administrator", "--name", name)
    assert not User.objects.exists()


def test_nobody_is_overwritten(db):
    User.objects.create_user("kim", password="a password of kim")
    with pytest.raises(CommandError, match="changepassword kim"):
        call_command("administrator", "--name", "kim")
    assert authenticate(username="kim", password="a password of kim")


def test_a_lost_authenticator_is_forgotten(db):
    TOTPDevice.objects.create(user=User.objects.create_superuser("kim"), confirmed=True)
    call_command("administrator", "--name", "kim", "--forget-second-factor")
    assert not TOTPDevice.objects.exists()
    with pytest.raises(CommandError):
        call_command("administrator", "--name", "lee", "--forget-second-factor")


def test_an_administrator_may_be_made_while_the_server_first_starts(tmp_path):
    """The tutorial's first two commands, from two terminals: one makes the tables, the other waits."""
    server = ServerProcess(tmp_path)
    server.begin()
    made = server.command("administrator", "--name", "kim", check=False)
    server.wait()
    assert made.returncode == 0, made.stderr
    assert server.stop()[0] == 0

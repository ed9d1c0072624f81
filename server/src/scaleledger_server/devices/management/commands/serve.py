"""`scaleledger-server serve`: bring the database up to date and answer, in one process, until told to stop."""

import signal
import socket
from argparse import ArgumentParser
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from scaleledger_server.connections import BoundedConnection
from scaleledger_server.limits import CONNECTIONS_MAX, EDGE_MESSAGE_BYTES_MAX, SOCKET_PING_S
from scaleledger_server.tables import bring_up_to_date

ANY_ADDRESS = {"0.0.0.0", "::"}  # noqa: S104 - named to warn about, not to bind
WANTED: dict[str, dict[str, tuple[Any, ...]]] = {
    "sqlite": {"journal_mode": ("wal",), "synchronous": (2,)},
    "postgresql": {"synchronous_commit": ("on", "local", "remote_write", "remote_apply")},
}
SHUTDOWN_S = 3


class Command(BaseCommand):
    """Runs the server until SIGTERM or SIGINT."""

    help = "Run the server."
    requires_system_checks = []  # `check` is a command of its own; a restart should not wait for it

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000, help="0 picks a free one")
        parser.add_argument("--port-file", type=Path, help="write the port there once it answers")

    def handle(self, *_args: Any, **options: Any) -> None:
        bring_up_to_date()
        self._check_database()
        listener = self._listen(options["host"], options["port"])
        port = listener.getsockname()[1]
        self._allow(options["host"])
        server = _server(options["host"], port)

        def stop(_signal: int, _frame: FrameType | None) -> None:
            server.should_exit = True

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        if options["port_file"]:
            _write_whole(options["port_file"], str(port))
        shown = f"[{options['host']}]" if ":" in options["host"] else options["host"]
        self.stdout.write(f"ScaleLedger server: http://{shown}:{port}/   data in {settings.DATA_DIR}")
        self.stdout.flush()
        server.run(sockets=[listener])
        connection.close()

    def _check_database(self) -> None:
        """Read back what durability rests on; on SQLite the connection then stays open, or each last close would fold
        the WAL.
        """
        wanted = WANTED[connection.vendor]
        with connection.cursor() as cursor:
            found = {}
            for name in wanted:
                cursor.execute(f"{'PRAGMA' if connection.vendor == 'sqlite' else 'SHOW'} {name}")
                found[name] = cursor.fetchone()[0]
        wrong = {name: value for name, value in found.items() if value not in wanted[name]}
        if wrong:
            raise CommandError(
                f"{settings.DATABASES['default']['NAME']}: what was told saved would not be durable in this database: "
                f"it has {wrong}, wanted { ({name: wanted[name][0] for name in wrong}) }. Use a local disk for SQLite; for "
                "PostgreSQL, look into the database's URL and the role's settings."
            )

    def _listen(self, host: str, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio sets NODELAY only if said
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(1024)
        except (OSError, OverflowError) as error:
            listener.close()
            raise CommandError(f"Cannot listen on {host} port {port}: {error}. Choose another with --port.") from error
        return listener

    def _allow(self, host: str) -> None:
        if host not in ANY_ADDRESS:
            settings.ALLOWED_HOSTS.append(host)
        elif "*" not in settings.ALLOWED_HOSTS:
            self.stderr.write(
                "Listening on every address. Gateways reach the server only by these names: "
                f"{', '.join(settings.ALLOWED_HOSTS)}. Add others in SCALELEDGER_SERVER_ALLOWED_HOSTS."
            )


def _server(host: str, port: int) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            "scaleledger_server.asgi:application",
            host=host,
            port=port,
            log_config=None,
            log_level="warning",
            access_log=False,
            lifespan="on",
            http=BoundedConnection,
            ws="websockets-sansio",
            ws_max_size=EDGE_MESSAGE_BYTES_MAX,
            ws_ping_interval=SOCKET_PING_S,
            ws_ping_timeout=SOCKET_PING_S,
            ws_per_message_deflate=False,
            server_header=False,
            proxy_headers=settings.TLS_PROXY,
            forwarded_allow_ips=settings.PROXY_ADDRESSES,
            limit_concurrency=CONNECTIONS_MAX,
            timeout_graceful_shutdown=SHUTDOWN_S,
        )
    )


def _write_whole(path: Path, text: str) -> None:
    """A reader sees the file whole or not at all."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text, encoding="ascii")
    fresh.replace(path)

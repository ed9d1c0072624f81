"""A real server process, and a plain HTTP client for it."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time

from django.conf import settings

from databases import fresh_database, rows
from fakes.blank_server import copy_blank
from server_api import proved, sign_body

STARTUP_S = 30
IDLE_S = 2


class ServerProcess:
    """`scaleledger-server serve` on a free port, in its own data folder.

    On SQLite it begins with a copy of an empty database that was made once; `begins_blank` False lets it make its own.
    """

    begins_blank = True

    def __init__(self, folder, **settings_of_its_own):
        """`settings_of_its_own`: SCALELEDGER_SERVER_… variables, with their whole names."""
        self.folder = folder
        self.settings = settings_of_its_own
        self.database_url = fresh_database()
        self.port_file = folder / "port"
        self.process = None
        self.port = 0

    def environment(self):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SCALELEDGER_SERVER_")}
        stated = {"DATA_DIR": str(self.folder), "DATABASE_URL": self.database_url, "REDIS_URL": settings.REDIS_URL}
        named = {f"SCALELEDGER_SERVER_{name}": value for name, value in stated.items()}
        return {**kept, **named, **self.settings, "PYTHONWARNINGS": "default"}

    def rows(self, query):
        """What its database answers, asked past the process."""
        return rows(self.folder, self.database_url, query)

    def command(self, *words, check=True):
        return subprocess.run(
            [sys.executable, "-m", "scaleledger_server.manage", *words],
            env=self.environment(), check=check, capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    def start(self):
        self.begin()
        self.wait()

    def begin(self):
        self.port_file.unlink(missing_ok=True)
        if not self.database_url and self.begins_blank:
            copy_blank(self.folder)
        words = ["serve", "--port", str(self.port), "--port-file", str(self.port_file)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "scaleledger_server.manage", *words],
            env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def wait(self):
        deadline = time.monotonic() + STARTUP_S
        while not self.port_file.exists():
            assert self.process.poll() is None, self.process.stdout.read()
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.02)
        self.port = int(self.port_file.read_text())

    def kill(self):
        self.process.kill()
        self.process.communicate()

    def stop(self):
        """Ask politely; returns the exit status and what was printed."""
        self.process.send_signal(signal.SIGTERM)
        printed, _ = self.process.communicate(timeout=10)
        return self.process.returncode, printed


class Client:
    """One kept connection. `post` and `get` return (status, parsed body). What a `ledger` has a key for is signed."""

    def __init__(self, port, token="", ledger=None):
        self.port, self.token, self.ledger, self.connection = port, token, ledger, None
        self.used_at = 0.0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _ask(self, method, path, body=None):
        if time.monotonic() - self.used_at > IDLE_S:
            self.close()  # a server ends what idles
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        self.used_at = time.monotonic()
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if body is not None and self.ledger is not None and self.ledger.key:
            headers["Scaleledger-Signature"] = sign_body(self.ledger, body)
        try:
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
            return answer.status, json.loads(answer.read())
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def get(self, path):
        return self._ask("GET", path)

    def post(self, path, value):
        return self._ask("POST", path, value if isinstance(value, bytes) else json.dumps(value).encode())

    def prove(self):
        """Register as the ledger's gateway, by its key."""
        challenge = self.post("/devices/api/gateways/challenge/", {})[1]["challenge"]
        return self.post("/devices/api/gateways/", proved(self.ledger, challenge))

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

"""A whole gateway with its dashboard on a real port, in a thread of its own, for tests that look at it from outside."""

import asyncio
import re
import socket
import threading
import time
from contextlib import AsyncExitStack, nullcontext
from pathlib import Path

import httpx2

from fakes.scale_hall import line
from scaleledger.bootstrap import run_gateway
from scaleledger.config.load import load_config
from scaleledger.simulators.plant import as_url
from scaleledger.simulators.yard import Simulation

PASSWORD = "correct horse battery"
LISTENER = '[[listener]]\nname = "cutting"\nurl = "tcp-listen://127.0.0.1:0"\nunit = "g"'
CSRF = re.compile(r'name="csrf" value="([^"]+)"')


class ServedGateway:
    """Runs while the context is open. `specs` are simulated stations; `more` is added to its configuration."""

    def __init__(self, folder, specs=(), more="", dashboard='address = "127.0.0.1:0"'):
        self.folder, self._specs, self._dashboard = Path(folder), specs, dashboard
        self._more = more or LISTENER
        self.data = self.folder / "data"
        self.scheme = "http"
        self._ready = threading.Event()
        self._failure = None

    def __enter__(self):
        self._thread = threading.Thread(target=self._run, name="gateway")
        self._thread.start()
        assert self._ready.wait(30), "the gateway did not start"
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def __exit__(self, *_):
        self.stop()
        self.wait_stopped(20)
        if self._failure is not None:
            raise self._failure

    def around(self):
        """What runs around it, in its loop, and may add to its configuration; nothing here."""
        return nullcontext()

    def wait_stopped(self, within_s):
        """Until it has ended in good order."""
        self._thread.join(within_s)
        assert not self._thread.is_alive(), "the gateway did not stop"

    def stop(self):
        """Ask it to stop; it may have done so already."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)

    def _run(self):
        try:
            asyncio.run(self._main())
        except BaseException as failure:  # noqa: BLE001 - told in the test's own thread
            self._failure = failure
        finally:
            self._ready.set()

    async def _main(self):
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with AsyncExitStack() as parts:
            await parts.enter_async_context(self.around())
            urls = {}
            if self._specs:
                yard = await parts.enter_async_context(Simulation(self._specs, seed=1, directory=self.folder))
                urls = yard.urls
            path = self.folder / "gateway.toml"
            path.write_text(self._configuration(urls))
            await run_gateway(path, load_config(path), self._stop, self._started)

    def _configuration(self, urls):
        text = ["[gateway]", f'data_dir = "{self.data}"', 'name = "Dock"', 'timezone = "Europe/Istanbul"']
        text += ["[store]", "reserve_mb = 1", "[dashboard]", self._dashboard, self._more]
        for spec in self._specs:
            text += [
                "[[station]]",
                f'name = "{spec.name}"',
                f'driver = "{spec.driver}"',
                f'url = "{as_url(urls[spec.name])}"',
            ]
        return "\n".join(text)

    def _started(self, gateway):
        self.gateway, self.port = gateway, gateway.dashboard_port
        self._ready.set()

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def setup_code(self):
        return (self.data / "setup-code").read_text().strip()

    def client(self, **headers):
        """Somebody's browser, without its pages: keeps cookies, follows nothing, says where its writes come from."""
        headers = {"origin": self.url, "accept": "text/html"} | headers
        return httpx2.Client(base_url=self.url, headers=headers, timeout=20)

    def admin(self, name="ayse"):
        """A client that is logged in as an admin; the first one sets the gateway up."""
        client = self.client()
        told = {"name": name, "password": PASSWORD}
        if (self.data / "setup-code").exists():
            answer = client.post("/setup", data={"code": self.setup_code, "again": PASSWORD, **told})
        else:
            answer = client.post("/login", data=told)
        assert answer.status_code == 303, answer.text
        return client

    def viewer(self, admin, name="veli"):
        """A client that may only look; `admin` lets it in."""
        post(admin, "/account/logins", "/account", name=name, password=PASSWORD, role="viewer")
        client = self.client()
        assert client.post("/login", data={"name": name, "password": PASSWORD}).status_code == 303
        return client


def csrf_of(client, page="/account"):
    """The token that a write must show."""
    return CSRF.search(client.get(page).text).group(1)


def post(client, path, page="/account", **fields):
    """A form of a page, filled in."""
    return client.post(path, data={"csrf": csrf_of(client, page), **fields})


def free_port():
    """A port that was free a moment ago."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class DialledScale:
    """A label scale on a plain socket."""

    def __init__(self, port, name):
        self._port = port
        self._socket = wait_for(self._dial)
        self._socket.sendall(name.encode() + b"\r\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def _dial(self):
        try:
            return socket.create_connection(("127.0.0.1", self._port), timeout=10)
        except ConnectionRefusedError:
            return None  # its listener comes up a moment after the gateway is ready

    def weigh(self, **fields):
        """One event, until it is acknowledged as saved."""
        self._socket.sendall(line(**fields) + b"\r\n")
        self._acknowledged()

    def send(self, raw):
        self._socket.sendall(raw)

    def _acknowledged(self):
        assert self._socket.recv(3) == b"OK\n"


def wait_for(found, within_s=15.0):
    """What `found` returns, as soon as that is something."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if value := found():
            return value
        time.sleep(0.05)
    raise AssertionError("it did not come")

"""Where a simulated device is plugged in: a pty with a stable name, a TCP port it listens on, an address it dials.

A device never waits for whoever listens: like a real UART it drops what nobody takes. A port says when somebody is there and
when he is gone, and can be unplugged and plugged in again.
"""

import asyncio
import contextlib
import os
import select
import sys
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

if sys.platform != "win32":
    import tty

LOOK_S = 0.05
RETRY_S = (0.1, 1.0)
BACKLOG_BYTES = 64 * 1024
"""What may wait for a slow TCP peer before further lines are dropped."""


class Plugged(Protocol):
    """The device behind a port. Called on the event loop."""

    def linked(self, *, up: bool) -> None:
        """Somebody listens from now on, or nobody does."""
        ...

    def received(self, data: bytes) -> None:
        """Bytes came from the other side."""
        ...


class Port(Protocol):
    """One place to plug a device in."""

    @property
    def where(self) -> str:
        """The URL at which it is found; after `start` with the port number the system chose."""
        ...

    @property
    def up(self) -> bool:
        """Whether somebody listens."""
        ...

    async def start(self, device: Plugged) -> None:
        """Be reachable. Raises OSError when the place cannot be had."""
        ...

    def send(self, data: bytes) -> None:
        """Send what can be sent now and drop the rest."""
        ...

    def unplug(self) -> None:
        """Vanish as a pulled cable does, until `plug`."""
        ...

    def plug(self) -> None:
        """Be back under the same name."""
        ...

    async def close(self) -> None:
        """Free the place; nothing is left behind."""
        ...


def open_port(url: str) -> Port:
    """A port for `pty:PATH`, `tcp-listen://HOST:PORT` or `tcp://HOST:PORT`. Raises ValueError in words for another URL."""
    scheme, _, rest = url.partition(":")
    if scheme == "pty" and rest:
        if sys.platform == "win32":
            raise ValueError("Windows has no pseudo terminals; use tcp-listen://HOST:PORT")
        return PtyPort(Path(rest.removeprefix("//")))
    if scheme in {"tcp", "tcp-listen"}:
        parts = urlsplit(url)
        if parts.hostname and parts.port is not None:
            kind = ListenPort if scheme == "tcp-listen" else DialPort
            return kind(parts.hostname, parts.port)
    raise ValueError(f"cannot plug a simulator in at {url!r}: use pty:PATH, tcp-listen://HOST:PORT or tcp://HOST:PORT")


class PtyPort:
    """A pseudo terminal in raw mode, found under a symbolic link that stays when the terminal is replaced."""

    def __init__(self, path: Path) -> None:
        self.where = f"pty:{path}"
        self.up = False
        self._path = path
        self._fd: int | None = None
        self._terminal = ""
        self._device: Plugged | None = None
        self._poll = select.poll()
        self._look_again: asyncio.TimerHandle | None = None

    async def start(self, device: Plugged) -> None:
        self._device = device
        if not self._path.parent.is_dir():
            raise FileNotFoundError(f"there is no folder {self._path.parent}; make it first")
        if self._path.exists() and not self._path.is_symlink():
            raise FileExistsError(f"{self._path} exists and is not a symbolic link; choose another path")
        self.plug()

    def plug(self) -> None:
        if self._fd is not None:
            return
        fd, slave = os.openpty()
        tty.setraw(slave)
        self._terminal = os.ttyname(slave)
        os.close(slave)
        try:
            fresh = self._path.with_name(f".{self._path.name}.{os.getpid()}")
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(self._terminal)
            fresh.replace(self._path)
        except OSError:
            os.close(fd)
            raise
        os.set_blocking(fd, False)
        self._fd = fd
        self._poll.register(fd, select.POLLHUP)
        self._look(fd)

    def unplug(self) -> None:
        if self._fd is None:
            return
        fd, self._fd = self._fd, None
        if self._look_again is not None:
            self._look_again.cancel()
        asyncio.get_running_loop().remove_reader(fd)
        self._poll.unregister(fd)
        os.close(fd)
        self._set_up(up=False)

    def send(self, data: bytes) -> None:
        if self.up and self._fd is not None:
            with contextlib.suppress(BlockingIOError):
                os.write(self._fd, data)

    async def close(self) -> None:
        self.unplug()
        if self._path.is_symlink() and str(self._path.readlink()) == self._terminal:
            self._path.unlink()

    def _look(self, fd: int) -> None:
        """See whether somebody has the terminal open; the kernel wakes nobody for that."""
        loop = asyncio.get_running_loop()
        if self._poll.poll(0):
            self._look_again = loop.call_later(LOOK_S, self._look, fd)
        else:
            loop.add_reader(fd, self._read, fd)
            self._set_up(up=True)

    def _read(self, fd: int) -> None:
        try:
            data = os.read(fd, 4096)
        except BlockingIOError:
            return
        except OSError:  # EIO: the last one who had the terminal open has closed it
            data = b""
        if data:
            assert self._device is not None
            self._device.received(data)
        else:
            asyncio.get_running_loop().remove_reader(fd)
            self._set_up(up=False)
            self._look(fd)

    def _set_up(self, *, up: bool) -> None:
        if self.up != up and self._device is not None:
            self.up = up
            self._device.linked(up=up)


class _Peer(asyncio.Protocol):
    """One TCP connection of a port."""

    def __init__(self, port: "ListenPort | DialPort") -> None:
        self._port = port
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._port.joined(self)

    def data_received(self, data: bytes) -> None:
        self._port.device.received(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._port.left(self)

    def send(self, data: bytes) -> None:
        assert self.transport is not None
        if not self.transport.is_closing() and self.transport.get_write_buffer_size() < BACKLOG_BYTES:
            self.transport.write(data)

    def drop(self) -> None:
        """End the connection; what a peer does not take is not waited for."""
        assert self.transport is not None
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()


class _TcpPort:
    """What both TCP ports share: the peers, and what the device is told of them."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._peers: set[_Peer] = set()
        self._device: Plugged | None = None
        self._all_left = asyncio.Event()
        self._all_left.set()

    @property
    def device(self) -> Plugged:
        assert self._device is not None, "start() comes first"
        return self._device

    @property
    def up(self) -> bool:
        return bool(self._peers)

    def send(self, data: bytes) -> None:
        for peer in self._peers:
            peer.send(data)

    def joined(self, peer: _Peer) -> None:
        self._peers.add(peer)
        self._all_left.clear()
        if len(self._peers) == 1:
            self.device.linked(up=True)

    def left(self, peer: _Peer) -> None:
        self._peers.discard(peer)
        if not self._peers:
            self._all_left.set()
            self.device.linked(up=False)

    def _drop_peers(self) -> None:
        for peer in self._peers:
            peer.drop()


class ListenPort(_TcpPort):
    """The device listens; every peer hears the same."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self._server: asyncio.Server | None = None
        self._unplugged = False

    @property
    def where(self) -> str:
        return f"tcp-listen://{self._host}:{self._port}"

    async def start(self, device: Plugged) -> None:
        self._device = device
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Peer(self), self._host, self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    def joined(self, peer: _Peer) -> None:
        super().joined(peer)
        if self._unplugged:
            peer.drop()

    def unplug(self) -> None:
        self._unplugged = True
        self._drop_peers()

    def plug(self) -> None:
        self._unplugged = False

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self._drop_peers()
        await self._all_left.wait()


class DialPort(_TcpPort):
    """The device dials, and dials again when the line is lost."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self._plugged = asyncio.Event()
        self._plugged.set()
        self._task: asyncio.Task[None] | None = None

    @property
    def where(self) -> str:
        return f"tcp://{self._host}:{self._port}"

    async def start(self, device: Plugged) -> None:
        self._device = device
        self._task = asyncio.create_task(self._dial(), name=f"dial {self.where}")

    def joined(self, peer: _Peer) -> None:
        super().joined(peer)
        if not self._plugged.is_set():
            peer.drop()

    def unplug(self) -> None:
        self._plugged.clear()
        self._drop_peers()

    def plug(self) -> None:
        self._plugged.set()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._drop_peers()
        await self._all_left.wait()

    async def _dial(self) -> None:
        loop = asyncio.get_running_loop()
        wait_s, longest_s = RETRY_S
        while True:
            await self._plugged.wait()
            try:
                await loop.create_connection(lambda: _Peer(self), self._host, self._port)
            except OSError:
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, longest_s)
                continue
            wait_s = RETRY_S[0]
            await self._all_left.wait()
            await asyncio.sleep(wait_s)

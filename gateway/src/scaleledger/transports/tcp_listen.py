"""`tcp-listen:` scales that dial in. The door takes few strangers, quickly turns the rest away, and never stands still.

Connections above the limits are refused before anything is built for them, one per turn of the event loop, so that a storm
of thousands costs the peers that are in nothing but turns.
"""

import asyncio
import errno
import ipaddress
import os
import random
import socket
import struct
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

from scaleledger.domain.errors import ScaleLedgerError
from scaleledger.observe.log import get_logger
from scaleledger.transports.address import Address, Network
from scaleledger.transports.links import STOPPED, Backoff, LinkCounters, Standing
from scaleledger.transports.tcp_peer import PeerLimits, TcpPeer, address_in_words
from scaleledger.wire.link import Accept, LinkState, Monotonic, TransportStatus

log = get_logger()

FIRST_RETRY_S, LAST_RETRY_S = 0.2, 5.0
BACKLOG = 128
REFUSAL_LOG_S = 60.0
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class ListenError(ScaleLedgerError):
    """The address cannot be listened on. The message names it and says what to do."""


@dataclass(frozen=True, slots=True)
class DoorLimits:
    """Who may come in: how many in all, how many from one address, and from where (empty: from everywhere)."""

    max_peers: int = 64
    max_per_address: int = 8
    allow: tuple[Network, ...] = ()

    KEYS: ClassVar = ("max_peers", "max_per_address", "allow")

    @classmethod
    def of(cls, address: Address) -> "DoorLimits":
        """From an address' options."""
        return cls(
            max_peers=address.count("max_peers", 64, least=1, most=4096),
            max_per_address=address.count("max_per_address", 8, least=1, most=4096),
            allow=address.networks("allow"),
        )


class TcpListen:
    """A listening socket and its peers. One link per peer."""

    def __init__(
        self,
        url: str,
        host: str,
        port: int,
        *,
        clock: Monotonic,
        rng: random.Random,
        limits: PeerLimits | None = None,
        door: DoorLimits | None = None,
    ) -> None:
        self._url = url
        self._host = host
        self._port = port
        self._clock = clock
        self._limits = limits or PeerLimits()
        self._door = door or DoorLimits()
        self._backoff = Backoff(FIRST_RETRY_S, LAST_RETRY_S, rng)
        self._standing = Standing(url)
        self._socket: socket.socket | None = None
        self._peers: dict[TcpPeer, tuple[str, LinkCounters]] = {}
        self._gone = LinkCounters()
        self._refusal_logged = float("-inf")

    @classmethod
    def of(cls, address: Address, clock: Monotonic, rng: random.Random) -> "TcpListen":
        """From `tcp-listen://0.0.0.0:4001?allow=10.0.0.0/8&idle_s=60&max_peers=64&max_per_address=8&rate=&burst=`."""
        address.only(*DoorLimits.KEYS, *PeerLimits.KEYS)
        host, port = address.host_and_port()
        host = {"localhost": "127.0.0.1", "*": "0.0.0.0"}.get(host, host)  # noqa: S104 - only if asked for
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise ValueError(f"{address.url}: listen on an IP address of this machine, not on {host!r}") from None
        return cls(
            address.url,
            host,
            port,
            clock=clock,
            rng=rng,
            limits=PeerLimits.of(address),
            door=DoorLimits.of(address),
        )

    @property
    def url(self) -> str:
        """As configured."""
        return self._url

    @property
    def status(self) -> TransportStatus:
        """How the door stands, in words."""
        return self._standing.status

    @property
    def counters(self) -> LinkCounters:
        """All peers' counts together, gone ones included."""
        total = LinkCounters()
        for counted in (self._gone, *(counters for _, counters in self._peers.values())):
            total.add(counted)
        return total

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens; after `bind`, with the port that was given for port 0."""
        if self._socket is None:
            return self._host, self._port
        name = self._socket.getsockname()
        return name[0], name[1]

    def bind(self) -> None:
        """Take the address now, before `run`. Raises ListenError; without this call, `run` says it in `status` and retries."""
        if self._socket is not None:
            return
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError as fault:
            raise ListenError(f"cannot listen on {self._shown()}: {fault}") from fault
        try:
            sock.setblocking(False)
            if os.name == "posix":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((self._host, self._port))
            sock.listen(BACKLOG)
        except OSError as fault:
            sock.close()
            raise ListenError(self._in_words(fault)) from fault
        self._socket = sock

    async def run(self, accept: Accept) -> None:
        """Keep the door open until cancelled."""
        try:
            while True:
                try:
                    self.bind()
                    await self._let_in(accept)
                except ListenError as fault:
                    self._gone.open_failures += 1
                    self._standing.note(LinkState.FAILED, str(fault))
                self._close_door()
                await asyncio.sleep(self._backoff.wait_s())
        finally:
            self._close_door()
            peers = list(self._peers)
            for peer in peers:
                peer.link.end(STOPPED)
            for peer in peers:
                await peer.link.over()
                await peer.closed()
            self._standing.note(LinkState.CLOSED)

    def _close_door(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def _let_in(self, accept: Accept) -> None:
        assert self._socket is not None
        loop = asyncio.get_running_loop()
        self._note_peers()
        self._backoff.reset()
        while True:
            try:
                sock, address = await loop.sock_accept(self._socket)
            except OSError as fault:
                if fault.errno not in {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ECONNABORTED}:
                    raise ListenError(f"listening on {self._shown()} failed: {fault}") from fault
                await asyncio.sleep(FIRST_RETRY_S)  # no room for another connection: those that are in go on
                continue
            if reason := self._objection(address[0]):
                self._refuse(sock, address, reason)
            else:
                await self._welcome(sock, address[0], accept)
            await asyncio.sleep(0)

    def _objection(self, host: str) -> str:
        """Why a peer from `host` may not come in, or an empty text."""
        seen = ipaddress.ip_address(host.partition("%")[0])
        plain = getattr(seen, "ipv4_mapped", None) or seen
        if self._door.allow and not any(plain in network for network in self._door.allow):
            return "its address is not allowed here"
        if len(self._peers) >= self._door.max_peers:
            return f"{self._door.max_peers} peers are connected already"
        per_address = Counter(peer_host for peer_host, _ in self._peers.values())
        if per_address[host] >= self._door.max_per_address:
            return f"{self._door.max_per_address} peers of this address are connected already"
        return ""

    def _refuse(self, sock: socket.socket, address: tuple[object, ...], reason: str) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        sock.close()
        self._gone.refused += 1
        now = self._clock.monotonic()
        if now - self._refusal_logged >= REFUSAL_LOG_S:
            self._refusal_logged = now
            peer = address_in_words(address)
            log.warning("hw.peer_refused", url=self._url, peer=peer, detail=reason, refused=self._gone.refused)

    async def _welcome(self, sock: socket.socket, host: str, accept: Accept) -> None:
        counters = LinkCounters()

        def opened(peer: TcpPeer) -> None:
            self._peers[peer] = (host, counters)
            peer.when_closed(self._forget)
            peer.link.offer(accept)
            self._note_peers()

        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: TcpPeer(self._clock, self._limits, opened, counters), sock
            )
        except OSError:
            sock.close()  # it left while it was let in
            self._gone.open_failures += 1

    def _forget(self, peer: TcpPeer) -> None:
        _, counters = self._peers.pop(peer)
        self._gone.add(counters)
        if self._socket is not None:
            self._note_peers()

    def _note_peers(self) -> None:
        count = len(self._peers)
        if count:
            self._standing.note(LinkState.OPEN, f"{count} connected to {self._shown()}")
        else:
            self._standing.note(LinkState.WAITING, f"listening on {self._shown()}; no device has connected")

    def _shown(self) -> str:
        return address_in_words(self.address)

    def _in_words(self, fault: OSError) -> str:
        shown = address_in_words((self._host, self._port))
        if fault.errno == errno.EADDRINUSE:
            return f"{shown} is used by another program: stop that program, or listen on another port"
        if fault.errno == errno.EADDRNOTAVAIL:
            return f"{shown} is no address of this machine: use one that it has, or 0.0.0.0 for all of them"
        if fault.errno in {errno.EACCES, errno.EPERM}:
            return f"no permission to listen on {shown}: use a port above 1023"
        return f"cannot listen on {shown}: {fault}"

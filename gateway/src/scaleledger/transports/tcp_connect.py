"""`tcp:` a scale, or a serial-to-Ethernet converter, that waits to be dialled. Dialled again whenever it is gone."""

import asyncio
import errno
import random
import socket

from scaleledger.transports.address import Address
from scaleledger.transports.links import STOPPED, Backoff, LinkCounters, Standing
from scaleledger.transports.tcp_peer import PeerLimits, TcpPeer, address_in_words
from scaleledger.wire.link import Accept, LinkState, Monotonic, TransportStatus

FIRST_RETRY_S, LAST_RETRY_S = 0.2, 5.0
CONNECT_S = 5.0


class TcpConnect:
    """One connection to one address, kept up."""

    def __init__(
        self, url: str, host: str, port: int, *, clock: Monotonic, rng: random.Random, limits: PeerLimits | None = None
    ) -> None:
        self._url = url
        self._host = host
        self._port = port
        self._clock = clock
        self._limits = limits or PeerLimits()
        self._backoff = Backoff(FIRST_RETRY_S, LAST_RETRY_S, rng)
        self._standing = Standing(url)
        self.counters = LinkCounters()

    @classmethod
    def of(cls, address: Address, clock: Monotonic, rng: random.Random) -> "TcpConnect":
        """From `tcp://host:port?idle_s=&rate=&burst=`."""
        address.only(*PeerLimits.KEYS)
        host, port = address.host_and_port()
        return cls(address.url, host, port, clock=clock, rng=rng, limits=PeerLimits.of(address))

    @property
    def url(self) -> str:
        """As configured."""
        return self._url

    @property
    def status(self) -> TransportStatus:
        """How the connection stands, in words."""
        return self._standing.status

    async def run(self, accept: Accept) -> None:
        """Keep the connection up until cancelled."""
        try:
            while True:
                await self._serve_once(accept)
                await asyncio.sleep(self._backoff.wait_s())
        finally:
            self._standing.note(LinkState.CLOSED)

    async def _serve_once(self, accept: Accept) -> None:
        if self.status.state is LinkState.CLOSED:
            self._standing.note(LinkState.WAITING, f"connecting to {self._shown()}")
        made: list[TcpPeer] = []

        def opened(peer: TcpPeer) -> None:
            made.append(peer)
            if peer.link.offer(accept):
                self._standing.note(LinkState.OPEN)

        before, reason = self.counters.bytes_in, STOPPED
        try:
            try:
                async with asyncio.timeout(CONNECT_S):
                    await asyncio.get_running_loop().create_connection(
                        lambda: TcpPeer(self._clock, self._limits, opened, self.counters), self._host, self._port
                    )
            except OSError as fault:  # TimeoutError is one
                self.counters.open_failures += 1
                self._standing.note(LinkState.FAILED, self._in_words(fault))
                return
            reason = await made[0].link.over()
        finally:
            for peer in made:
                peer.link.end(reason)
                await peer.link.over()
                await peer.closed()
        if self.counters.bytes_in > before:
            self._backoff.reset()
        self._standing.note(LinkState.WAITING, f"{self._shown()}: {reason}; it is dialled again")

    def _shown(self) -> str:
        return address_in_words((self._host, self._port))

    def _in_words(self, fault: OSError) -> str:
        shown = self._shown()
        if isinstance(fault, socket.gaierror):
            return f"the name {self._host} cannot be resolved: check it, or use the device's address"
        if isinstance(fault, TimeoutError):
            return f"{shown} does not answer: is the device on, and in this network?"
        if isinstance(fault, ConnectionRefusedError):
            return f"{shown} refuses the connection: is the port right, and no other program connected to the device?"
        if fault.errno in {errno.ENETUNREACH, errno.EHOSTUNREACH}:
            return f"there is no way to {shown}: check the network cable and the address"
        return f"cannot connect to {shown}: {fault}"

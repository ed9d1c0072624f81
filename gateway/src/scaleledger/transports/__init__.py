"""Ways to a device, opened by URL. One table names them all.

    serial:///dev/ttyUSB0?baud=9600&bits=8&parity=N&stop=1&flow=none      a serial port; also serial://COM3
    tcp-listen://0.0.0.0:4001?allow=10.0.0.0/8&max_peers=64&idle_s=0      scales that dial in
    tcp://10.0.0.5:4001?idle_s=0                                          a scale or a converter that is dialled
    replay:file.cap?speed=1                                               a capture, played once
    loop:name                                                             both ends in this process (tests, simulators)

Each heals by itself: `run` opens, and opens again after a loss, until cancelled; what is wrong stands in `status`, in words.
"""

import random
from collections.abc import Callable

from scaleledger.transports.address import Address, take_apart
from scaleledger.transports.links import LinkCounters
from scaleledger.transports.loopback import LoopTransport, Peer, pair
from scaleledger.transports.replay import ReplayTransport
from scaleledger.transports.serial_open import SerialSettings
from scaleledger.transports.serial_port import SerialTransport
from scaleledger.transports.serial_thread import SerialReader
from scaleledger.transports.tcp_connect import TcpConnect
from scaleledger.transports.tcp_listen import ListenError, TcpListen
from scaleledger.wire.link import Monotonic, Transport

__all__ = [
    "SCHEMES",
    "LinkCounters",
    "ListenError",
    "LoopTransport",
    "Peer",
    "SerialReader",
    "TcpListen",
    "open_transport",
    "pair",
]


def _serial(address: Address, clock: Monotonic, rng: random.Random, reader: SerialReader | None) -> Transport:
    return SerialTransport(address.url, SerialSettings.of(address), clock=clock, rng=rng, reader=reader)


def _loop(address: Address, clock: Monotonic, rng: random.Random, reader: SerialReader | None) -> Transport:  # noqa: ARG001
    address.only()
    return LoopTransport(address.url, clock)


SCHEMES: dict[str, Callable[[Address, Monotonic, random.Random, SerialReader | None], Transport]] = {
    "serial": _serial,
    "tcp-listen": lambda address, clock, rng, _: TcpListen.of(address, clock, rng),
    "tcp": lambda address, clock, rng, _: TcpConnect.of(address, clock, rng),
    "replay": lambda address, clock, rng, _: ReplayTransport.of(address, clock, rng),
    "loop": _loop,
}


def open_transport(
    url: str, *, clock: Monotonic, reader: SerialReader | None = None, rng: random.Random | None = None
) -> Transport:
    """The transport that `url` names; nothing is opened before its `run`.

    `reader` is shared by all serial ports of a process (each makes its own without it); `rng` spreads the retries.
    Raises ValueError, in words, for a URL that is no good.
    """
    address = take_apart(url, SCHEMES)
    return SCHEMES[address.scheme](address, clock, rng or random.Random(), reader)  # noqa: S311 - spreads retries only

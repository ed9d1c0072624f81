"""Looks for printers in the networks of this machine's own cards: who has port 9100 open. Nothing is sent to anybody.

Only private networks, and of a large one only the part (/24) that this machine stands in.
"""

import asyncio
import contextlib
import ipaddress
import socket
import sys
from collections.abc import Iterable

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

PORT = 9100
NETWORKS_MAX, AT_ONCE, TIMEOUT_S = 4, 32, 0.9
_SIOCGIFADDR = 0x8915


def own_addresses() -> list[str]:
    """The IPv4 addresses of this machine's network cards."""
    found: dict[str, None] = {}
    if fcntl is not None and sys.platform == "linux":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for _, name in socket.if_nameindex():
                with contextlib.suppress(OSError):
                    answer = fcntl.ioctl(sock.fileno(), _SIOCGIFADDR, name.encode()[:15].ljust(256, b"\0"))
                    found[socket.inet_ntoa(answer[20:24])] = None
    else:
        with contextlib.suppress(OSError):
            found |= dict.fromkeys(
                str(entry[4][0]) for entry in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
            )
    return list(found)


def networks_of(addresses: Iterable[str]) -> list[ipaddress.IPv4Network]:
    """The /24 of each private address that is neither this machine alone nor without a router's care; at most four."""
    found: dict[ipaddress.IPv4Network, None] = {}
    for text in addresses:
        address = ipaddress.IPv4Address(text)
        if address.is_private and not address.is_loopback and not address.is_link_local and not address.is_unspecified:
            found[ipaddress.IPv4Network(f"{text}/24", strict=False)] = None
    return list(found)[:NETWORKS_MAX]


async def scan(
    networks: Iterable[ipaddress.IPv4Network] | None = None,
    *,
    port: int = PORT,
    at_once: int = AT_ONCE,
    timeout_s: float = TIMEOUT_S,
) -> list[str]:
    """The addresses in `networks` (this machine's own if left out) where `port` is open, in their order."""
    turns = asyncio.Semaphore(at_once)

    async def is_open(host: str) -> bool:
        async with turns:
            try:
                async with asyncio.timeout(timeout_s):
                    _, writer = await asyncio.open_connection(host, port)
            except OSError:  # TimeoutError is one
                return False
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            return True

    wanted = networks_of(own_addresses()) if networks is None else networks
    hosts = [str(host) for network in wanted for host in network.hosts()]
    return [host for host, found in zip(hosts, await asyncio.gather(*map(is_open, hosts)), strict=True) if found]

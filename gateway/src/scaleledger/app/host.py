"""What this machine is called: labels for people and for the centre's URLs, never an identity (that is the key)."""

import platform
import shutil
import socket
import time
import uuid
from pathlib import Path

from scaleledger.domain.standing import HostReport

NETWORK_CARDS = Path("/sys/class/net")


def mac_address(cards: Path = NETWORK_CARDS) -> str:
    """The first real network card's address, in lower case with colons; the library's guess where there is no list."""
    found = []
    for card in sorted(cards.glob("*")):
        try:
            address = (card / "address").read_text(encoding="ascii").strip().lower()
        except OSError:
            continue
        if (card / "device").exists() and len(address) == 17 and address != "00:00:00:00:00:00":
            return address
        if len(address) == 17 and address != "00:00:00:00:00:00":
            found.append(address)
    return found[0] if found else ":".join(f"{byte:02x}" for byte in uuid.getnode().to_bytes(6, "big"))


def hostname() -> str:
    """The machine's name, at most 255 characters."""
    return socket.gethostname()[:255]


def report(folder: Path) -> HostReport | None:
    """The machine under the gateway; its disk is the one that `folder` lies on. None when that does not answer."""
    try:
        disk = shutil.disk_usage(folder)
    except OSError:
        return None
    return HostReport(
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}"[:100],
        uptime_s=int(time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()),
        disk_free_bytes=disk.free,
        disk_total_bytes=disk.total,
    )

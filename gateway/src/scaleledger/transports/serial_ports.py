"""Which serial ports this machine has. pyserial asks the system; device paths that it cannot know are named by globs."""

import asyncio
import glob
from collections.abc import Sequence
from pathlib import Path

from serial.tools import list_ports

from scaleledger.domain.channel import PORT_FIELDS

Found = dict[str, str | int | None]

PORTS_MAX = 256
TEXT_MAX = 200


async def scan(extra_globs: Sequence[str] = ()) -> list[Found]:
    """The ports, each with the eleven PORT_FIELDS (text, number or None), in order of their device; at most PORTS_MAX.

    `extra_globs` add device paths, as `/dev/serial/by-id/*`; one that leads to a port of the system's has its fields.
    """
    return await asyncio.to_thread(look, tuple(extra_globs))


def look(extra_globs: Sequence[str] = ()) -> list[Found]:
    """As `scan`, in the caller's own thread."""
    ports: dict[str, Found] = {}
    for port in list_ports.comports():
        found = {name: _short(getattr(port, name, None)) for name in PORT_FIELDS}
        ports[str(port.device)] = found
    for pattern in extra_globs:
        for path in sorted(glob.glob(pattern))[:PORTS_MAX]:  # noqa: PTH207 - the pattern may be absolute
            known = ports.get(str(Path(path).resolve()), dict.fromkeys(PORT_FIELDS))
            ports.setdefault(path, known | {"device": path, "name": Path(path).name})
    return [ports[device] for device in sorted(ports)][:PORTS_MAX]


def _short(value: object) -> str | int | None:
    return value if isinstance(value, int) or value is None else str(value)[:TEXT_MAX]

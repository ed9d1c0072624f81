"""Simulated indicators on pseudo terminals, in a process of their own.

python -m bench.yard FOLDER COUNT RATE_HZ SCENARIO          until SIGTERM; FOLDER/ready tells when they stand
"""

import asyncio
import signal
import sys
from pathlib import Path

from scaleledger.simulators.yard import Simulation, StationSpec

DRIVER = "st-gs-comma"
LINE_BYTES = 19  # of this driver's every line


def names(count: int) -> list[str]:
    """What the stations are called; a port's file has the station's name."""
    return [f"dock-{n}" for n in range(1, count + 1)]


async def main(folder: Path, count: int, rate_hz: float, scenario: str) -> None:
    """Let them talk."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    specs = [StationSpec(name, DRIVER, rate_hz=rate_hz, scenario=scenario) for name in names(count)]
    async with Simulation(specs, seed=1, directory=folder):
        (folder / "ready").write_text("ready")
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]))

"""What one frame costs in a driver: processor time of `receive`, one frame per call, new weights and a display at rest.

The other arm is the shortest way from the same line to a number (`arms.thread_per_port.parse`), without framing, without
checks, without telling what is wrong with a bad line.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal

from bench.arms.thread_per_port import parse
from bench.result import Figures, Result, command, say
from scaleledger.domain.inputs import CardSeen, Fact, FinishedWeighing
from scaleledger.domain.reading import Reading, Role
from scaleledger.drivers import NAMES, dp401, fg150kal, open_driver, rfid_em4100, st_gs_comma, st_gs_nocomma, suwol1000

ENCODE: dict[str, Callable[[Fact], bytes]] = {
    "dp401-csv": dp401.encode,
    "fg-150kal": fg150kal.encode,  # type: ignore[dict-item]
    "rfid-em4100": rfid_em4100.encode,  # type: ignore[dict-item]
    "st-gs-comma": st_gs_comma.encode,  # type: ignore[dict-item]
    "st-gs-nocomma": st_gs_nocomma.encode,  # type: ignore[dict-item]
    "suwol-1000": suwol1000.encode,
}
LABEL = {
    "number": "00001",
    "time": "10:30:00",
    "date": "21.11.2026",
    "product": "KUŞBAŞI",
    "barcode": "000000000004",
    "code": "0000",
    "operator": "KAAN",
    "company": "KORKUT",
    "flags": "2,0,2,1,N",
}
LINES = {"fg-150kal", "st-gs-comma", "st-gs-nocomma"}


def measure(*, quick: bool) -> Iterator[Result]:
    """Each driver of the table."""
    say("frames")
    repeats, count = (3, 500) if quick else (7, 10_000)
    assert set(ENCODE) == set(NAMES), "a driver has no frames to be measured with"
    for name in NAMES:
        yield _driver(name, repeats, count, quick=quick)


def _driver(name: str, repeats: int, count: int, *, quick: bool) -> Result:
    changing = [ENCODE[name](_fact(name, n)) for n in range(count)]
    repeated = changing[:1] * count
    took: dict[str, list[float]] = {"changing": [], "repeated": []}
    if name in LINES:
        took["regex and Decimal"] = []
    for _ in range(repeats):
        took["changing"].append(_receive(name, changing))
        took["repeated"].append(_receive(name, repeated))
        if name in LINES:
            took["regex and Decimal"].append(_parse(changing))
    arms: dict[str, Figures] = {arm: {"us_per_frame": statistics.median(t) * 1e6} for arm, t in took.items()}
    ratio = None
    if name in LINES:
        ratio = arms["repeated"]["us_per_frame"] / arms["regex and Decimal"]["us_per_frame"]
    return Result(
        name=f"frames-{name}",
        what=f"processor time of one {name} frame in its driver",
        arms=arms,
        ratio=ratio,
        ratio_of="repeated / regex and Decimal" if ratio else "",
        n=count * repeats,
        command=command("frames"),
        quick=quick,
    )


def _fact(name: str, number: int) -> Fact:
    if name == "rfid-em4100":
        return CardSeen(f"{number:010X}")
    if name == "dp401-csv":
        net = Decimal(number % 90_000)
        return FinishedWeighing(net + 13, Decimal(13), net, None, tuple(LABEL.items()))
    role = None if name == "fg-150kal" else Role.GROSS
    return Reading(Decimal(number % 90_000) / 10, "kg", stable=True, role=role)


def _receive(name: str, frames: Sequence[bytes]) -> float:
    driver = open_driver(name)
    found = 0
    began = time.process_time()
    for n, frame in enumerate(frames):
        found += len(driver.receive(n * 0.1, frame))
    took = time.process_time() - began
    assert found >= len(frames), f"{name} understood {found} of {len(frames)} frames"
    return took / len(frames)


def _parse(lines: Sequence[bytes]) -> float:
    began = time.process_time()
    understood = [parse(line) for line in lines]
    took = time.process_time() - began
    assert None not in understood, "the plain parser does not understand these lines"
    return took / len(lines)

"""Named points in the product where a test can make it die or fail; they cost one dictionary look-up when off.

Armed by the environment, for a process under test: `SCALELEDGER_FAILPOINTS="store.after-commit=kill@3,uplink.after-answer=kill%5"`.
`kill` ends the process as SIGKILL would; `error` raises FailpointError; `stall` stands still for a minute, as a disk may. `@N` strikes at the N-th pass only, `%P` at each
pass with a probability of P percent (seeded by SCALELEDGER_FAILPOINT_SEED).
"""

import os
import random
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass

NAMES = (
    "store.before-commit",  # a group of weighings is written, not yet committed
    "store.after-commit",  # durable, nobody has been told
    "uplink.after-answer",  # the server has answered, the gateway has not noted it
    "store.before-mark",  # the gateway is about to mark records as sent
)

STALL_S = 60.0


class FailpointError(Exception):
    """Raised by an armed failpoint of the kind `error`."""


@dataclass(slots=True)
class _Strike:
    action: str
    at: int
    percent: float
    passes: int = 0


_armed: dict[str, _Strike] = {}
_random = random.Random()  # noqa: S311 - chooses where a test strikes


def reach(name: str) -> None:
    """Pass the point `name` (one of NAMES)."""
    strike = _armed.get(name)
    if strike is not None:
        _strike(name, strike)


def _strike(name: str, strike: _Strike) -> None:
    strike.passes += 1
    if strike.at and strike.passes != strike.at:
        return
    if strike.percent and _random.random() * 100 >= strike.percent:
        return
    if strike.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if strike.action == "stall":
        time.sleep(STALL_S)
        return
    raise FailpointError(name)


def arm(text: str, seed: int | None = None) -> None:
    """Arm the points named in `text` (see the module's head); an empty text disarms all. Raises ValueError on a typo."""
    _armed.clear()
    if seed is not None:
        _random.seed(seed)
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, _, action = part.partition("=")
        kind, at, percent = action, 0, 0.0
        if "@" in action:
            kind, _, number = action.partition("@")
            at = int(number)
        elif "%" in action:
            kind, _, number = action.partition("%")
            percent = float(number)
        if name not in NAMES or kind not in {"kill", "error", "stall"}:
            raise ValueError(f"no such failpoint: {part!r}; points are {', '.join(NAMES)}")
        _armed[name] = _Strike(kind, at, percent)


def arm_from_environment(environment: Mapping[str, str]) -> None:
    """Arm what SCALELEDGER_FAILPOINTS names, if anything."""
    seed = environment.get("SCALELEDGER_FAILPOINT_SEED")
    arm(environment.get("SCALELEDGER_FAILPOINTS", ""), int(seed) if seed else None)

"""One file per device family, and the one table that names them.

A driver module offers `driver(**options)` (a new driver for one link) and `encode(fact)` (the bytes a device would send,
for simulators and tests).
"""

import importlib
import inspect
from difflib import get_close_matches

from scaleledger.wire.driver import Driver

NAMES = {
    "dp401-csv": "scaleledger.drivers.dp401",
    "fg-150kal": "scaleledger.drivers.fg150kal",
    "rfid-em4100": "scaleledger.drivers.rfid_em4100",
    "st-gs-comma": "scaleledger.drivers.st_gs_comma",
    "st-gs-nocomma": "scaleledger.drivers.st_gs_nocomma",
    "suwol-1000": "scaleledger.drivers.suwol1000",
}

WITH_CARDS = frozenset({"rfid-em4100", "suwol-1000"})
"""Drivers whose devices report cards."""


def open_driver(name: str, **options: object) -> Driver:
    """A new driver for one link.

    Raises ValueError for an unknown name or option, naming the nearest known one, and for a value that does not fit.
    """
    if name not in NAMES:
        raise ValueError(f"there is no driver {name!r}{_nearest(name, list(NAMES))}")
    make = importlib.import_module(NAMES[name]).driver
    known = inspect.signature(make).parameters
    for option, value in options.items():
        if option not in known:
            raise ValueError(f"driver {name!r} has no option {option!r}{_nearest(option, list(known))}")
        kind = known[option].annotation
        if not isinstance(value, int | float if kind is float else kind) or isinstance(value, bool) != (kind is bool):
            raise ValueError(f"driver {name!r}: option {option!r} cannot be {value!r}")
    made: Driver = make(**options)
    return made


def takes(name: str, option: str) -> bool:
    """Whether the driver has an option of that name."""
    return option in inspect.signature(importlib.import_module(NAMES[name]).driver).parameters


def _nearest(word: str, known: list[str]) -> str:
    near = get_close_matches(word, known, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known are {', '.join(known)}" if known else "; it has none"

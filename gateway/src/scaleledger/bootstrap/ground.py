"""What every part of a running gateway is put together from."""

import random
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from scaleledger.app.clock import SystemClock
from scaleledger.app.listener import Listener
from scaleledger.app.printers import Printers
from scaleledger.app.registry import Registry
from scaleledger.app.spool import Spool
from scaleledger.app.supervisor import Supervisor
from scaleledger.app.surroundings import Surroundings
from scaleledger.config.model import Config
from scaleledger.store import Store


@dataclass(frozen=True, slots=True)
class Printing:
    """The parts of printing, for those who show them or feed them."""

    printers: Printers
    spool: Spool


@dataclass(frozen=True, slots=True)
class Ground:
    """The configuration and where it lies, the open store, and where parts are added. `path` is the configuration file.

    What must be ended after all parts is pushed on `open_parts`. `devices` are the scales that dial in: give it the sessions,
    and take from it what the cloud is told; its listeners begin to serve when the supervisor runs.
    """

    path: Path
    config: Config
    store: Store
    supervisor: Supervisor
    around: Surroundings
    clock: SystemClock
    rng: random.Random
    open_parts: AsyncExitStack
    devices: Registry
    listeners: list[Listener] = field(default_factory=list)
    printing: Printing | None = None

"""The Driver contract: bytes in, facts out, bytes due.

A driver does no I/O and reads no clock. The shell hands it what arrived and when, asks what is to be sent, and wakes it at
the time it asked for. Every split of the same bytes gives the same facts, in the same order. Bad bytes never raise: they
are `Problem` facts, and the stream goes on. All buffers are bounded.

One driver object serves one link; a new link gets a new driver.
"""

from typing import Protocol

from scaleledger.domain.commands import Command
from scaleledger.domain.inputs import Fact


class Driver(Protocol):
    """One device family's protocol. `name` is its name in the registry; `understands` lists the commands it carries out."""

    @property
    def name(self) -> str: ...

    @property
    def understands(self) -> frozenset[type[Command]]: ...

    def receive(self, now: float, data: bytes) -> list[Fact]:
        """Take what arrived at `now` (monotonic seconds) and return the facts it completes."""
        ...

    def get_timer(self) -> float | None:
        """When `handle_timer` wants to be called (monotonic seconds), or None. Ask again after every other call."""
        ...

    def handle_timer(self, now: float) -> list[Fact]:
        """Called at or after the time asked for; a poll may become due, a wait may end in a fact."""
        ...

    def ask(self, command: Command) -> None:
        """Carry a command out as the protocol allows. Commands outside `understands` are ignored."""
        ...

    def to_send(self) -> bytes:
        """The bytes due now; each is handed out once."""
        ...

    def finish(self) -> list[Fact]:
        """The stream ended: a frame cut short is reported as a `Problem`; buffers are empty afterwards."""
        ...

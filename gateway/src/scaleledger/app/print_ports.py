"""What the printing parts need of the disk and of the printers; `bootstrap` puts the concrete ones in their place."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from scaleledger.domain.printing import PrinterCard, PrintJob
from scaleledger.printing.question import Question

T = TypeVar("T")


class Line(Protocol):
    """An open connection to a printer. Every call raises LinkError, in words."""

    async def ask(self, question: Question[T]) -> T:
        """The printer's answer."""
        ...

    async def send(self, content: bytes) -> None:
        """Hand it all over. After a LinkError any part of it may have been taken."""
        ...


Connect = Callable[[str, int], AbstractAsyncContextManager[Line]]
"""Opens a connection to host and port; raises LinkError, in words, when there is none to be had."""


class JobShelf(Protocol):
    """Where print jobs are kept; durable when a call returns. Every call raises StoreError when the disk refuses."""

    async def add(self, job: PrintJob, content: bytes) -> PrintJob:
        """Keep a new job; the stored one if its id, or the cloud's id of it, is known already."""
        ...

    async def keep(self, job: PrintJob) -> None:
        """Replace all but the content and what the cloud has taken."""
        ...

    async def open_jobs(self) -> list[PrintJob]:
        """All that are not over, oldest first."""
        ...

    async def newest(self, limit: int) -> list[PrintJob]:
        """The newest jobs of any status, newest first."""
        ...

    async def job(self, job_id: str) -> PrintJob | None: ...

    async def content(self, job_id: str) -> bytes | None: ...

    async def untold(self, limit: int) -> list[PrintJob]:
        """The oldest jobs of the cloud of which it has not taken the present status."""
        ...

    async def note_acked(self, job_id: str, status: str) -> None: ...

    async def forget(self, keep: int) -> None:
        """Drop jobs that are over and told, but for the newest `keep`."""
        ...


class PrinterShelf(Protocol):
    """Where printers are kept. Every call raises StoreError when the disk refuses."""

    async def printers(self) -> list[PrinterCard]: ...

    async def keep_printer(self, card: PrinterCard) -> None:
        """Insert or replace."""
        ...

    async def drop_printer(self, printer_id: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Pace:
    """How often printers are looked at, in seconds, and how often they must say ready before a job counts as printed.

    `retry_s` is between two tries for a job that waits for its printer. A question after a job is put `asks` times.
    """

    health_s: float = 30.0
    retry_s: float = 2.0
    poll_s: float = 0.5
    ready_times: int = 3
    asks: int = 3
    busy_polls: int = 60

"""Printers and print jobs, as facts: which there are, how they stand, what became of a job.

A job is printed once. Where nobody can know whether it came out (a link that died after bytes were sent), it is doubtful
until a person looks: it is never sent again by itself.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

ROLES = ("carcass", "meat_cut", "offal", "by_product", "animal", "generic", "slip")
LANGUAGES = ("tspl", "escpos")


class Condition(StrEnum):
    """READY: takes a job now. PRINTING: busy with one. STOPPED: a person must do something at it."""

    READY = "ready"
    PRINTING = "printing"
    STOPPED = "stopped"


class Fault(StrEnum):
    """Why a printer is stopped."""

    NO_PAPER = "no-paper"
    HEAD_OPEN = "head-open"
    PAPER_JAM = "paper-jam"
    NO_RIBBON = "no-ribbon"
    RIBBON_JAM = "ribbon-jam"
    PAUSED = "paused"
    CUTTER = "cutter"
    OVERHEATED = "overheated"
    HEAD = "head"
    MEMORY = "memory"
    OTHER = "other"


class Warning(StrEnum):  # noqa: A001 - the printers' own word
    """What will stop it soon."""

    PAPER_LOW = "paper-low"
    RIBBON_LOW = "ribbon-low"


FAULT_WORDS = {
    Fault.NO_PAPER: "out of paper: load a roll",
    Fault.HEAD_OPEN: "its head or cover is open: close it",
    Fault.PAPER_JAM: "paper jam: clear it",
    Fault.NO_RIBBON: "out of ribbon: load one",
    Fault.RIBBON_JAM: "ribbon jam: clear it",
    Fault.PAUSED: "paused: press its button",
    Fault.CUTTER: "its cutter is stuck",
    Fault.OVERHEATED: "too hot: it goes on when it has cooled down",
    Fault.HEAD: "its print head is broken",
    Fault.MEMORY: "its memory is full or broken: switch it off and on",
    Fault.OTHER: "it reports an error: look at its display",
}


@dataclass(frozen=True, slots=True)
class PrinterState:
    """What a printer said of itself."""

    condition: Condition
    faults: tuple[Fault, ...] = ()
    warnings: tuple[Warning, ...] = ()

    @property
    def words(self) -> str:
        """For people."""
        if self.faults:
            return "; ".join(FAULT_WORDS[fault] for fault in self.faults)
        return "busy with another print" if self.condition is Condition.PRINTING else self.condition.value


@dataclass(frozen=True, slots=True)
class PrinterCard:
    """A network printer as configured (`source` config) or added by a person (`source` page).

    `global_id` is the cloud's name for it; empty until it told one. `texts` is the language of what is made here.
    """

    printer_id: str
    host: str
    port: int = 9100
    language: str = "tspl"
    role: str = "generic"
    name: str = ""
    priority: int = 100
    enabled: bool = True
    source: str = "page"
    global_id: str = ""
    codepage: str = ""
    columns: int = 32
    texts: str = "en"
    label_width_mm: int = 58
    label_height_mm: int = 40
    label_gap_mm: int = 2


class JobStatus(StrEnum):
    """WAITING: nothing of it was sent. PRINTING: bytes may have gone out. DOUBTFUL: nobody knows whether it came out.

    REPLACED: a person printed it again as a copy, and it ends as that copy does.
    """

    WAITING = "waiting"
    PRINTING = "printing"
    PRINTED = "printed"
    DOUBTFUL = "doubtful"
    REPLACED = "replaced"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """Nothing happens to it any more by itself or by a person."""
        return self in {JobStatus.PRINTED, JobStatus.FAILED, JobStatus.CANCELLED}


class JobSource(StrEnum):
    """Who asked. SLIP and TEST are rendered here, so a copy of theirs says so on the paper; of the others only the list does."""

    CLOUD = "cloud"
    LOCAL = "local-api"
    SLIP = "slip"
    TEST = "test"

    @property
    def is_ours(self) -> bool:
        """Whether the content was rendered here."""
        return self in {JobSource.SLIP, JobSource.TEST}


@dataclass(frozen=True, slots=True)
class PrintJob:
    """One job, without its content. Times are aware, UTC. `acked` is the last status that the cloud has taken.

    `printer_id` is the printer that it was sent to last. `copy_of` names the job that this one prints again.
    """

    job_id: str
    source: JobSource
    created_at: datetime
    global_job_id: str = ""
    target_printer: str = ""
    target_role: str = ""
    printer_id: str = ""
    label_count: int = 1
    is_copy: bool = False
    copy_of: str = ""
    status: JobStatus = JobStatus.WAITING
    acked: str = ""
    attempts: int = 0
    error: str = ""
    printed_at: datetime | None = None

    @property
    def owes(self) -> str:
        """The status that the cloud is to be told; empty for a job of ours."""
        if not self.global_job_id:
            return ""
        match self.status:
            case JobStatus.PRINTED:
                return "completed"
            case JobStatus.FAILED | JobStatus.CANCELLED:
                return "failed"
            case _:
                return "dispatched"

    def doubted(self, why: str) -> "PrintJob":
        """The same job when nobody can know any more whether it came out."""
        return replace(self, status=JobStatus.DOUBTFUL, error=why[:500])


@dataclass(frozen=True, slots=True)
class PrintRequest:
    """What somebody wants printed: `content` in the printer's own language, as bytes or as text; a printer or a role."""

    content: bytes | str
    target_printer: str = ""
    target_role: str = ""
    label_count: int = 1
    global_job_id: str = ""
    source: JobSource = JobSource.LOCAL
    is_copy: bool = False
    job_id: str = ""

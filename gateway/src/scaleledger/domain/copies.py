"""Which lines tell of the same weighing: a scale repeats what was not acknowledged, and prints what it has sent.

A repeat is the same line, with the print prefix or without: the same record, whenever it comes. A print copy is another
line: all fields equal but the time, which is a moment later. It is told from a second cut of the same weight by three
bounds, and where they leave a doubt the event is kept as one of its own, with a note: a copy too many can be struck out, a
cut that was never kept cannot.

    printed later by   0..2 s with the print prefix, at most 1 s without it
    received within    5 s, or as the first line after the scale dialled in anew
    from               the same address, while the first was not printed yet
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice

from scaleledger.domain.finished import host_of, likeness, read_printed
from scaleledger.domain.weighing import Draft

COPY_PREFIXED, COPY_PLAIN = timedelta(seconds=2), timedelta(seconds=1)
COPY_WITHIN = timedelta(seconds=5)
LATE = timedelta(minutes=10)
"""A repeat that comes this long after its record may be a cut of a scale whose clock stands still."""

REMEMBERED = 64
LOOKED_BACK = 4


class Verdict(StrEnum):
    """What a line tells of. DOUBTFUL: a weighing of its own that may be a copy."""

    NEW = "new"
    DOUBTFUL = "doubtful"
    REPEAT = "repeat"
    COPY = "copy"


@dataclass(slots=True)
class Recent:
    """An event that was taken lately. `draft` is None for one that the ledger held already when the gateway started.

    `copy` is the uuid that its print would have had: its own, if both bear the same time; "" while it was not printed.
    """

    uuid: str
    like: tuple[str, ...]
    printed: datetime | None
    received_at: datetime
    host: str
    draft: Draft | None
    copy: str = ""


def recalled(uuid: str, weight: str, unit: str, details: Mapping[str, str]) -> Recent:
    """A record that the ledger holds, as a recent event. Raises ValueError for details that are no event's."""
    received_at = datetime.fromisoformat(details.get("received_at", ""))
    printed = read_printed(*details.get("scale_time", "").partition(" ")[::2])
    like = likeness(details, weight, unit)
    return Recent(uuid, like, printed, received_at, host_of(details.get("peer", "")), None)


@dataclass(frozen=True, slots=True)
class Heard:
    """A line as it is to be judged: the draft that it would become, and the way it came."""

    draft: Draft
    printed: datetime | None
    prefixed: bool
    received_at: datetime
    host: str
    first_on_link: bool

    @property
    def like(self) -> tuple[str, ...]:
        """All but the time."""
        return likeness(dict(self.draft.details), format(self.draft.weight, "f"), self.draft.unit)


class RecentEvents:
    """The last events of one device, or of one link that has not named itself."""

    def __init__(self) -> None:
        self._events: OrderedDict[str, Recent] = OrderedDict()
        self._copies: dict[str, str] = {}

    @property
    def newest(self) -> Recent | None:
        """The last one."""
        return next(reversed(self._events.values()), None)

    def find(self, uuid: str) -> Recent | None:
        """The event with this uuid, or whose copy would have had it."""
        return self._events.get(self._copies.get(uuid, uuid))

    def judge(self, heard: Heard) -> tuple[Verdict, Recent | None]:
        """What a line tells of, and of which event. Nothing is remembered by it."""
        uuid = heard.draft.uuid
        if (known := self.find(uuid)) is not None:
            return (Verdict.REPEAT if known.uuid == uuid else Verdict.COPY), known
        doubt, like = False, heard.like
        for recent in islice(reversed(self._events.values()), LOOKED_BACK):
            if recent.like != like or recent.printed is None or heard.printed is None:
                continue
            later = heard.printed - recent.printed
            if self._is_copy(recent, heard, later):
                return Verdict.COPY, recent
            doubt = doubt or abs(later) <= COPY_WITHIN
        return (Verdict.DOUBTFUL if doubt else Verdict.NEW), None

    @staticmethod
    def _is_copy(recent: Recent, heard: Heard, later: timedelta) -> bool:
        bound = COPY_PREFIXED if heard.prefixed else COPY_PLAIN
        waited = heard.received_at - recent.received_at
        timely = waited <= (LATE if heard.first_on_link else COPY_WITHIN)
        return timely and not recent.copy and recent.host == heard.host and timedelta() <= later <= bound

    def take(self, heard: Heard) -> None:
        """Remember an event of its own."""
        draft = heard.draft
        self.put(Recent(draft.uuid, heard.like, heard.printed, heard.received_at, heard.host, draft))

    def put(self, recent: Recent) -> None:
        """Remember an event; the oldest is forgotten for it."""
        self._events[recent.uuid] = recent
        self._events.move_to_end(recent.uuid)
        while len(self._events) > REMEMBERED:
            _, forgotten = self._events.popitem(last=False)
            self._copies.pop(forgotten.copy, None)

    def pair(self, recent: Recent, heard: Heard) -> None:
        """The line told of this event again. If it was its print, with the same time or a later one, the next one like it is not."""
        if not recent.copy and (heard.prefixed or heard.draft.uuid != recent.uuid):
            recent.copy = heard.draft.uuid
            self._copies[recent.copy] = recent.uuid

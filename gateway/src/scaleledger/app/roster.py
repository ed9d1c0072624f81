"""The stations that run: those of the file, and those that the centre assigns, changed while the others weigh on.

What shall run is a table of plans, one per name. What runs is brought there station by station: one whose plan is the same
is not touched; one that goes, or changes, is left alone while a weighing is under way, then ended in order; one that comes
is started as soon as its name and its ports are free. A plan that cannot be made is refused with words; a station that ran
before then runs on as it was. A serial port is looked for by the USB serial number and place that the centre names, also
later on, when the system has given the port another path.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from scaleledger.app.station import WeighingStation
from scaleledger.app.supervisor import Part, Supervisor
from scaleledger.domain.assignment import AssignedStation, Assignment
from scaleledger.domain.errors import ScaleLedgerError, StoreError
from scaleledger.domain.standing import StationRefused, StationReport
from scaleledger.observe.log import get_logger

log = get_logger()

Ports = Sequence[Mapping[str, str | int | None]]
STATIONS_MAX = 256
BUSY_S = 30.0  # a weighing that takes longer is not waited for; a commit under way always is
LOOK_AGAIN_S = 5.0
WORDS_CHARS_MAX = 500
DETAIL_CHARS_MAX = 300
PORT_CHARS_MAX = 200


class AssignmentRefused(ScaleLedgerError):
    """An assigned station cannot be run here; the words are cut at 500. `may_pass`: the port may still come."""

    def __init__(self, message: str, *, may_pass: bool = False) -> None:
        super().__init__(message[:WORDS_CHARS_MAX])
        self.may_pass = may_pass


@dataclass(frozen=True, slots=True)
class Plan:
    """How one station is run. Plans with equal `settings` are the same; `ports` are taken by this station alone."""

    name: str
    settings: object
    ports: frozenset[str]
    build: Callable[[Part], WeighingStation] = field(compare=False)


@dataclass(frozen=True, slots=True)
class _Post:
    """A station at work."""

    plan: Plan
    part: Part
    station: WeighingStation
    source: str


@dataclass(frozen=True, slots=True)
class Duties:
    """What the roster needs done. `fit` makes a plan for an assigned station, or raises AssignmentRefused."""

    scan: Callable[[], Awaitable[Ports]]
    fit: Callable[[AssignedStation, Ports], Plan]
    keep: Callable[[Assignment], Awaitable[None]]


class Roster:
    """Run it as one task. `stations` is what is at work now, the same list all the time."""

    def __init__(self, supervisor: Supervisor, duties: Duties, *, busy_s: float = BUSY_S) -> None:
        self._supervisor, self._duties, self._busy_s = supervisor, duties, busy_s
        self.stations: list[WeighingStation] = []
        self.version = ""
        self._posts: dict[str, _Post] = {}
        self._assigned: tuple[AssignedStation, ...] = ()
        self._wanted: dict[str, Plan] = {}
        self._good: dict[str, AssignedStation] = {}
        self._refused: dict[str, AssignmentRefused] = {}
        self._leaving: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()

    def add(self, plan: Plan) -> None:
        """A station of the file, which nobody takes away."""
        self._start(plan, "file")

    async def take(self, assignment: Assignment, *, stored: bool = False) -> None:
        """What the centre assigns from now on; `run` makes it so. What of it can run, or could if its port were there, is
        kept for a start without a centre.

        With `stored` it is that set, and is begun here: the stations start together with those of the file.
        """
        ports = await self._duties.scan()
        self._assigned = assignment.stations
        self._plan(ports)
        if stored:
            self._settle()
            return
        self.version = assignment.version
        log.info("net.stations", version=assignment.version, stations=list(self._wanted), refused=len(self._refused))
        try:
            await self._duties.keep(Assignment(assignment.version, tuple(self._worth_keeping())))
        except StoreError as error:
            log.warning("sys.store_failed", reason=str(error))

    def _worth_keeping(self) -> Iterator[AssignedStation]:
        awaited = {name for name, why in self._refused.items() if why.may_pass}
        for assigned in self._assigned:
            if assigned.name in self._good:
                yield self._good[assigned.name]
            elif assigned.name in awaited and assigned.config is not None:
                yield assigned

    def approved(self) -> None:
        """The gateway was approved by the centre."""
        for station in self.stations:
            station.approved()

    def reports(self) -> tuple[tuple[StationReport, ...], tuple[StationRefused, ...]]:
        """The stations as the centre should see them, and those that it assigned in vain, with the reason."""
        at_work = tuple(_report(post) for post in self._posts.values())
        refused = tuple(
            StationRefused(name, str(why)[:DETAIL_CHARS_MAX])
            for name, why in list(self._refused.items())[:STATIONS_MAX]
        )
        return at_work, refused

    async def run(self) -> None:
        """Bring what runs to what shall run, again and again, until cancelled."""
        try:
            while True:
                self._settle()
                try:
                    async with asyncio.timeout(LOOK_AGAIN_S if self._may_move else None):
                        await self._changed.wait()
                except TimeoutError:
                    if self._is_searching:
                        self._plan(await self._duties.scan())
                self._changed.clear()
        finally:
            for task in self._leaving.values():
                task.cancel()
            await asyncio.gather(*self._leaving.values(), return_exceptions=True)
            self._leaving.clear()

    # -- what shall run -----------------------------------------------------------------------------------------------

    @property
    def _may_move(self) -> bool:
        """A port is known by its USB names, or is awaited: it may come, or come back, under another path."""
        named = (station.port.serial_number or station.port.location for station in self._good.values())
        return any(named) or any(why.may_pass for why in self._refused.values())

    @property
    def _is_searching(self) -> bool:
        """Such a port is away."""
        away = {name for name, post in self._posts.items() if post.station.live.link != "up"}
        return not away.isdisjoint(self._good) or any(why.may_pass for why in self._refused.values())

    def _plan(self, ports: Ports) -> None:
        """Make the table anew. The file's names and ports come first, then the centre's in its order."""
        before, good_before = self._wanted, self._good
        self._wanted, self._good = {}, {}
        refused: dict[str, AssignmentRefused] = {}
        for assigned in self._assigned:
            if assigned.config is None:
                continue
            try:
                plan = self._duties.fit(assigned, ports)
                self._admit(plan)
            except AssignmentRefused as why:
                refused.setdefault(assigned.name, why)
            else:
                self._wanted[plan.name], self._good[plan.name] = plan, assigned
        for name in refused:
            if name in before and name not in self._wanted and not self._taken(before[name].ports):
                self._wanted[name], self._good[name] = before[name], good_before[name]
        for name, reason in refused.items():
            if name not in self._refused or str(self._refused[name]) != str(reason):
                log.warning("net.station_refused", station=name, why=str(reason))
        self._refused = refused
        self._changed.set()

    def _admit(self, plan: Plan) -> None:
        """Raise AssignmentRefused unless there is room for a plan."""
        mine = [post for post in self._posts.values() if post.source == "file"]
        if any(post.plan.name == plan.name for post in mine):
            raise AssignmentRefused("a station of this name stands in the gateway's own file, which goes first")
        if plan.name in self._wanted:
            raise AssignmentRefused("the name is assigned twice")
        if len(mine) + len(self._wanted) >= STATIONS_MAX:
            raise AssignmentRefused(f"a gateway runs {STATIONS_MAX} stations at most")
        for port in sorted(plan.ports):
            if user := self._taken({port}):
                raise AssignmentRefused(
                    f"{port} is used by station {user} already; give each station a port of its own"
                )

    def _taken(self, ports: Collection[str]) -> str:
        """Who has one of these ports by the table; "" if nobody."""
        mine = [post.plan for post in self._posts.values() if post.source == "file"]
        return next((plan.name for plan in (*mine, *self._wanted.values()) if not plan.ports.isdisjoint(ports)), "")

    # -- what runs ----------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        for name in [name for name, task in self._leaving.items() if task.done()]:
            self._leaving.pop(name).result()
        for name, post in self._posts.items():
            if post.source == "centre" and self._wanted.get(name) != post.plan and name not in self._leaving:
                self._leaving[name] = asyncio.create_task(self._leave(post))
        for name, plan in self._wanted.items():
            if name not in self._posts and not any(p.plan.ports & plan.ports for p in self._posts.values()):
                self._start(plan, "centre")

    def _start(self, plan: Plan, source: str) -> None:
        part = self._supervisor.part(f"station {plan.name}")
        station = plan.build(part)
        self._posts[plan.name] = _Post(plan, part, station, source)
        self.stations.append(station)
        self._supervisor.add(part, station.run)

    async def _leave(self, post: _Post) -> None:
        try:
            async with asyncio.timeout(self._busy_s):
                await post.station.wait_idle()
        except TimeoutError:
            log.warning("biz.notice", station=post.plan.name, notice="changed while a weighing was under way")
        await self._supervisor.remove(post.part)
        self.stations.remove(post.station)
        del self._posts[post.plan.name]
        self._changed.set()


def _report(post: _Post) -> StationReport:
    station, live = post.station, post.station.live
    return StationReport(
        name=station.name,
        source=post.source,
        driver=station.driver_name,
        port=station.transport.url[:PORT_CHARS_MAX],
        link=live.link,
        state=live.state,
        detail=station.silence[:DETAIL_CHARS_MAX],
        saved=station.counts.saved,
        problems=sum(station.counts.problems.values()),
    )

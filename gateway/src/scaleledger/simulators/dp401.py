"""A DP-401 label scale that dials in: it names itself, says that it lives, and tells each cut until it is answered.

A cut goes out as a line and the question whether it was kept; behind the answer comes the label's copy, the same line with P"
in front (`Exchange.CONFIRMED`), or as the line alone (`Exchange.PLAIN`). An unanswered line is repeated as it was, on the
next link if this one is lost.

An OK says nothing of what it answers. A person is told "saved" only when there is no doubt, so the answers are counted: the
first on a link belongs to the first thing sent on it that asks for one, and so on. A cut that stays unanswered after all tries is
`unknown`, and the link is dropped, because from then on the count would be.
"""

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from enum import StrEnum

from scaleledger.domain.inputs import AckAsked, FinishedWeighing, Heartbeat, Registration
from scaleledger.drivers import dp401
from scaleledger.simulators.journal import Journal
from scaleledger.simulators.ports import Port
from scaleledger.simulators.script import Told

CUTS_REMEMBERED = 1000
EQUAL_APART = timedelta(seconds=2)
ANSWER_MAX = 16
EQUAL = 0.1
"""How often a scripted cut weighs what the one before it did."""


@dataclass(frozen=True, slots=True)
class Product:
    """A product as the scale's memory holds it: number of five digits, name, the barcode that is its PLU code."""

    number: str
    name: str
    plu: str
    code: str = "0000"


PRODUCTS = (
    Product("00001", "KIYMA", "000000000004"),
    Product("00002", "KUŞBAŞI", "2000001025004"),
    Product("00003", "PİRZOLA", "000000000012"),
    Product("00004", "ANTRİKOT", "000000000020"),
    Product("00005", "BONFİLE", "86900001"),
)


@dataclass(frozen=True, slots=True)
class Cut:
    """One label: weights in the scale's unit."""

    product: Product
    net: Decimal
    tare: Decimal = Decimal(0)


class Exchange(StrEnum):
    """How a scale tells a cut."""

    CONFIRMED = "confirmed"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class LabelManner:
    """How a scale is set up. It waits `answer_s` for an OK, and sends a line `tries` times at most.

    `decimals` of the printed digits stand behind the point; its clock shows the time of `zone`.
    """

    device: str = "SCALE-01"
    exchange: Exchange = Exchange.CONFIRMED
    decimals: int = 0
    codepage: str = "windows-1254"
    operator: str = "KAAN"
    company: str = "KORKUT"
    flags: str = "2,0,2,1,N"
    heartbeat_s: float = 30.0
    answer_s: float = 3.0
    tries: int = 5
    zone: tzinfo = UTC


class LabelScale:
    """One scale on a port. `clock` is the scale's own clock: what it shows now."""

    def __init__(
        self,
        name: str,
        port: Port,
        manner: LabelManner | None = None,
        *,
        journal: Journal,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self.name = name
        self.port = port
        self.manner = manner or LabelManner()
        self._journal = journal
        self._clock = clock or (lambda: datetime.now(self.manner.zone))
        self._registration = dp401.encode(Registration(self.manner.device))
        self._beat: asyncio.TimerHandle | None = None
        self._linked = asyncio.Event()
        self._weighing = asyncio.Lock()
        self._settled = asyncio.Event()
        self._saved = False
        self._owed: deque[int] = deque()
        self._heard = b""
        self._n = 0
        self._printed: dict[Cut, datetime] = {}
        self._finishing = asyncio.Event()
        self._work: asyncio.Task[None] | None = None

    async def start(self, cuts: Iterator[Cut] | None = None, *, limit: int = 0, rest_s: float = 0.5) -> None:
        """Dial in. With `cuts` somebody works at the scale: `limit` of them (0: no end), `rest_s` apart."""
        await self.port.start(self)
        self._journal.say(self.name, f"dials {self.port.where} as {self.manner.device}")
        if cuts is not None:
            self._work = asyncio.create_task(self._cut_all(cuts, limit, rest_s), name=f"butcher at {self.name}")

    async def cut(self, product: Product, net: Decimal, tare: Decimal = Decimal(0)) -> bool:
        """Weigh, and wait until the answer or the last try; True if it was acknowledged. The journal has it either way.

        Raises ValueError for a product or weight that a line cannot say.
        """
        async with self._weighing:
            line = self._new_line(Cut(product, net, tare))
            self._n += 1
            self._saved, taps = False, 0
            while not self._saved and taps < self.manner.tries:
                taps += 1
                await self._tell(line)
            told = Told.SAVED if self._saved else Told.UNKNOWN
            if self._saved and self.manner.exchange is Exchange.CONFIRMED:
                self._send(b'P"' + line)
            self._journal.box(self.name, self._n, card="", weight=str(net), told=told, taps=taps)
            self._journal.say(self.name, f"cut {self._n}: {product.name} {net}, told {told}")
            if not self._saved:
                self.drop_link()
            return self._saved

    def drop_link(self) -> None:
        """Lose the connection as a module does that lost its network for a moment; it dials again."""
        self.port.unplug()
        self.port.plug()

    async def wait_linked(self) -> None:
        """Wait until a connection stands."""
        await self._linked.wait()

    async def finish(self) -> None:
        """Let whoever works at the scale end the present cut; at once if nobody does."""
        self._finishing.set()
        await self.wait_done()

    async def wait_done(self) -> None:
        """Wait until all scripted cuts are made; at once if there are none."""
        if self._work is not None:
            await asyncio.shield(self._work)

    async def close(self) -> None:
        """Switch off. A cut that was not answered yet is not in the journal as told."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)
        await self.port.close()
        self._stop_beating()

    # -- the port's side ------------------------------------------------------------------------------------------------

    def linked(self, *, up: bool) -> None:
        self._journal.say(self.name, "is connected" if up else "is cut off")
        self._owed.clear()
        self._heard = b""
        self._stop_beating()
        if not up:
            self._linked.clear()
            self._settled.set()
            return
        self._linked.set()
        self.port.send(self._registration)
        self._beat_later()

    def received(self, data: bytes) -> None:
        lines = (self._heard + data).split(b"\n")
        self._heard = lines.pop()[-ANSWER_MAX:]
        for line in lines:
            if line.strip() == dp401.OK.strip() and self._owed and self._owed.popleft() == self._n:
                self._saved = True
                self._settled.set()

    def _beat_later(self) -> None:
        self._beat = asyncio.get_running_loop().call_later(self.manner.heartbeat_s, self._say_alive)

    def _say_alive(self) -> None:
        self.port.send(dp401.encode(Heartbeat()))
        self._beat_later()

    def _stop_beating(self) -> None:
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None

    # -- a cut ----------------------------------------------------------------------------------------------------------

    async def _cut_all(self, cuts: Iterator[Cut], limit: int, rest_s: float) -> None:
        await self._first_link()
        for n, cut in enumerate(cuts, 1):
            if self._finishing.is_set() or (limit and n > limit):
                return
            await self.cut(cut.product, cut.net, cut.tare)
            await asyncio.sleep(rest_s)

    async def _first_link(self) -> None:
        """Nobody begins at a scale that never had a link; who is told to finish waits no longer."""
        waits = [asyncio.create_task(event.wait()) for event in (self._linked, self._finishing)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def _tell(self, line: bytes) -> None:
        """One try: until it is answered, the link is lost, or the patience."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.manner.answer_s):
                await self._linked.wait()
                self._settled.clear()
                self._send(line)
                if self.manner.exchange is Exchange.CONFIRMED:
                    self._send(dp401.encode(AckAsked()))
                await self._settled.wait()

    def _send(self, message: bytes) -> None:
        """Send what asks for an answer."""
        if self.port.up:
            self._owed.append(self._n)
            self.port.send(message)

    def _new_line(self, cut: Cut) -> bytes:
        """The cut's line. Nobody cuts and labels the same twice within two seconds of the scale's clock, so it shows more."""
        stamp = self._clock()
        last = self._printed.get(cut)
        if last is not None and stamp < last + EQUAL_APART:
            stamp = last + EQUAL_APART
        self._printed.pop(cut, None)
        self._printed[cut] = stamp
        if len(self._printed) > CUTS_REMEMBERED:
            del self._printed[next(iter(self._printed))]
        return self._line(cut, stamp)

    def _line(self, cut: Cut, stamp: datetime) -> bytes:
        manner = self.manner
        named = {
            "number": cut.product.number,
            "time": f"{stamp:%H:%M:%S}",
            "date": f"{stamp:%d.%m.%Y}",
            "product": cut.product.name,
            "barcode": cut.product.plu,
            "code": cut.product.code,
            "operator": manner.operator,
            "company": manner.company,
            "flags": manner.flags,
        }
        weighing = FinishedWeighing(cut.net + cut.tare, cut.tare, cut.net, None, tuple(named.items()))
        return dp401.encode(weighing, decimals=manner.decimals, codepage=manner.codepage)


def cuts(rng: random.Random, decimals: int = 0, products: Sequence[Product] = PRODUCTS) -> Iterator[Cut]:
    """Endless cuts, the same for the same `rng` state: 50 to 60000 of the scale's smallest steps; some weigh the same twice."""
    while True:
        tare = Decimal(rng.choice((0, 0, 13, 250))).scaleb(-decimals)
        cut = Cut(rng.choice(products), Decimal(rng.randint(50, 60_000)).scaleb(-decimals), tare)
        yield cut
        if rng.random() < EQUAL:
            yield cut

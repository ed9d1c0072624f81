"""The simulated operator of a SUWOL-1000 station: carries boxes, taps cards, and believes only what lamps and voice say.

A sign counts for a box only if it was given after the box's card was handed to the gateway and in the same unbroken
conversation. When the polling stops (a cut cable, a killed gateway) whatever comes later may speak of anything, so the
porter taps the card again with the load still on, as a person would who was left without an answer.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from scaleledger.simulators.journal import Journal
from scaleledger.simulators.scenario import NOTHING
from scaleledger.simulators.script import (
    AwaitOutcome,
    AwaitQuiet,
    AwaitStill,
    Box,
    PutOn,
    TakeOff,
    Tap,
    Told,
    TypeKeys,
)
from scaleledger.simulators.suwol_device import SuwolDevice

LOOK_S = 0.04
"""How often a person's eye falls on the lamps."""


@dataclass(slots=True)
class _Visit:
    """One box at the platform: what was counted when it came, and what came of it."""

    box: Box
    first_hand: int
    sign: int
    session: int
    taps: int = 0
    told: Told = Told.UNKNOWN


class Porter:
    """Carries the boxes of `boxes`, at most `limit` of them (0: no end), `rest_s` apart."""

    def __init__(
        self,
        station: str,
        device: SuwolDevice,
        boxes: Iterator[Box],
        *,
        journal: Journal,
        clock: Callable[[], float],
        rest_s: float = 0.5,
        limit: int = 0,
    ) -> None:
        self._station = station
        self._device = device
        self._boxes = boxes
        self._journal = journal
        self._clock = clock
        self._rest_s = rest_s
        self._limit = limit
        self._finishing = False

    def finish(self) -> None:
        """Carry no further box; `run` returns when the present one is done."""
        self._finishing = True

    async def run(self) -> None:
        """Work until told to finish, or until the boxes end."""
        await self._until(lambda: self._device.polled or self._finishing, None)
        for n, box in enumerate(self._boxes, 1):
            if self._finishing or (self._limit and n > self._limit):
                return
            visit = await self._carry(box)
            weight = str(self._device.indicator.round(box.weight))
            self._journal.box(self._station, n, card=box.card, weight=weight, told=visit.told, taps=visit.taps)
            self._say(f"box {n}: told {visit.told} ({weight} {self._device.indicator.unit}, card {box.card or 'none'})")
            await asyncio.sleep(self._rest_s)

    async def _carry(self, box: Box) -> _Visit:
        device = self._device
        visit = _Visit(box, device.hands, device.signs_given, device.session)
        for step in box.steps:
            now = self._clock()
            match step:
                case PutOn(weight):
                    self._say(f"puts {device.indicator.round(weight)} {device.indicator.unit} on")
                    device.platform.put(now, weight)
                case AwaitStill(timeout_s):
                    await self._until(lambda: not device.platform.at(self._clock()).moving, timeout_s)
                case TypeKeys(kind, digits):
                    device.press(now, kind, digits)
                case Tap(uid):
                    self._tap(visit, uid)
                case AwaitOutcome(patience_s, tries):
                    await self._await_outcome(visit, patience_s, tries)
                case TakeOff():
                    device.platform.put(now, NOTHING)
                case AwaitQuiet(quiet_s, timeout_s):
                    await self._until(partial(self._quiet, quiet_s), timeout_s)
        return visit

    def _tap(self, visit: _Visit, uid: str) -> None:
        visit.taps += 1
        self._say(f"taps card {uid}" + (" again" if visit.taps > 1 else ""))
        self._device.present_card(self._clock(), uid)

    async def _await_outcome(self, visit: _Visit, patience_s: float, tries: int) -> None:
        for attempt in range(tries if visit.box.card else 1):
            if attempt:
                self._tap(visit, visit.box.card)
            await self._until(partial(self._settled, visit, self._device.session), patience_s)
            visit.told = self._heard(visit) or Told.UNKNOWN
            if visit.told is not Told.UNKNOWN:
                return
            self._say("nobody answered")

    def _settled(self, visit: _Visit, session: int) -> bool:
        """A sign was given, or another conversation began: what was tapped before will not be answered."""
        return self._heard(visit) is not None or self._device.session != session

    def _quiet(self, least_s: float) -> bool:
        return self._device.quiet_s(self._clock()) >= least_s

    def _heard(self, visit: _Visit) -> Told | None:
        """The first sign that speaks of this box: given after its card, or its load, came in the present conversation."""
        device = self._device
        after = visit.sign if visit.session == device.session else None
        if visit.box.card:
            after = device.signs_at_hand(visit.first_hand)
        if after is None:
            return None
        return next((s.told for s in device.signs if s.number > after), None)

    async def _until(self, true: Callable[[], bool], timeout_s: float | None) -> bool:
        """Look until it is so; False after `timeout_s` (None: no end)."""
        deadline = None if timeout_s is None else self._clock() + timeout_s
        while not true():
            if deadline is not None and self._clock() >= deadline:
                return False
            await asyncio.sleep(LOOK_S)
        return True

    def _say(self, words: str) -> None:
        self._journal.say(self._station, words)

"""The smallest gateway that a simulator can be tried against: the real driver, and ten lines of weighing rules."""

from decimal import Decimal

from scaleledger.domain.commands import Lamps, Speak
from scaleledger.domain.inputs import CardSeen
from scaleledger.domain.reading import Reading

REFUSED, SAVED = 8, 1


class PlainGateway:
    """A card and a still load make one record in `ledger`, then the green lamp and clip 1; an unknown card is refused."""

    def __init__(self, driver, ledger, *, unknown=(), division=Decimal("0.5")):
        self.driver = driver
        self.ledger = ledger
        self.facts = []
        self.alive = True
        self._unknown = unknown
        self._division = division
        self._card = ""
        self._captured = ledger[-1] if ledger else None
        self._stable = 0

    def step(self, now, data=b""):
        """Bytes in, bytes out; call it often."""
        facts = self.driver.receive(now, data) if data else []
        timer = self.driver.get_timer()
        if timer is not None and timer <= now:
            facts += self.driver.handle_timer(now)
        for fact in facts:
            self.take(fact)
        return self.driver.to_send() if self.alive else b""

    def take(self, fact):
        self.facts.append(fact)
        match fact:
            case CardSeen(uid) if uid in self._unknown:
                self.driver.ask(Lamps(red=True))
                self.driver.ask(Speak(REFUSED))
            case CardSeen(uid):
                self._card = uid
            case Reading(weight, _, stable) if weight is not None:
                self._stable = self._stable + 1 if stable else 0
                if abs(weight) <= 3 * self._division:
                    if self._captured or self._card == "":
                        self.driver.ask(Lamps())
                    self._captured = None
                elif self._stable >= 3 and self._card:
                    self._capture(weight)

    def _capture(self, weight):
        if self._captured is None:
            self._captured = (self._card, str(weight))
            self.ledger.append(self._captured)
            self.committed()
        if self.alive and self._captured == (self._card, str(weight)):
            self.driver.ask(Lamps(green=True))
            self.driver.ask(Speak(SAVED))
        self._card = ""

    def committed(self):
        """A record is durable, and nobody has been told."""


class DiesAfterCommit(PlainGateway):
    """Is killed between the commit and telling, at the third record."""

    def committed(self):
        self.alive = len(self.ledger) != 3


class SavesSilently(PlainGateway):
    """Commits, and tells nobody ever."""

    def committed(self):
        self.alive = False
        self.driver.ask(Lamps())
        self.alive = True
        self._captured = ("", "")


class SpeaksOnly(PlainGateway):
    """Has no lamps."""

    def _capture(self, weight):
        super()._capture(weight)
        self.driver.ask(Lamps())


class BuzzesAtStart(PlainGateway):
    """Finds a load on the platform when it starts, and lights the red lamp over it until a card comes."""

    def step(self, now, data=b""):
        if not self.facts:
            self.driver.ask(Lamps(red=True))
        return super().step(now, data)


class CapturesByItself(PlainGateway):
    """Needs no card."""

    def take(self, fact):
        self._card = "-"
        super().take(fact)


class OnlyPolls(PlainGateway):
    """Takes everything and does nothing about it."""

    def take(self, fact):
        self.facts.append(fact)


class GreenAtStart(OnlyPolls):
    """Lights the green lamp before it knows anything."""

    def step(self, now, data=b""):
        self.driver.ask(Lamps(green=True))
        return super().step(now, data)

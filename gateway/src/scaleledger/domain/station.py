"""The weighing station: what happens is named as one event, and a table says what follows.

Whatever happens is first named as one Event, looking at the load (`rearm`), its rest (`window`) and the card held; then
`station_table.TABLE` says, for the present state, the next state, the action and the notice.

Two facts hold everywhere. A commit is asked for only by `_commit`, and SAVED is told only by `_confirm` and
`_confirm_again`, to which only COMMITTED, or the repeat of a press whose answer was lost, leads. And a card is never
dropped silently: it leads to MEASURING, to a notice, or is kept until the commit under way has ended.

The station knows no clock: `now` is monotonic seconds. It returns effects and does nothing itself.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from scaleledger.domain.commands import Show
from scaleledger.domain.guidance import Notice
from scaleledger.domain.inputs import CardSeen, KeysEntered
from scaleledger.domain.reading import Reading, Role, Status
from scaleledger.domain.rearm import ArmState, Limits, Rearm, RearmRule
from scaleledger.domain.stability import StabilityRule, StabilityWindow, Verdict
from scaleledger.domain.station_table import TABLE, Do, Event, State
from scaleledger.domain.weighing import LastCapture

KEYS_KEPT = 8
PRESENCE_S = 1.0  # sightings of one card closer together than this are one presentation
REPEAT_S = 3.0  # "saved" is not said again sooner than this
SLOW_S = 3.0  # a commit that takes longer is told, again and again
RETRY_S = 5.0  # so long the fault is told before the same load is tried again by itself


class Mode(StrEnum):
    """How a weighing comes about. `tag`: a card arms, the stable load commits. `auto`: a stable load commits."""

    TAG = "tag"
    AUTO = "auto"


@dataclass(frozen=True, slots=True)
class StationRules:
    """A station's configuration. Weights are in `unit`, the unit the indicator sends.

    `division` None: taken from the decimals the indicator prints. `min_weight` None: 20 divisions. `unit` is required only
    where frames carry none; a frame with another unit than a configured one is never captured.
    """

    name: str
    mode: Mode = Mode.AUTO
    unit: str | None = None
    division: Decimal | None = None
    min_weight: Decimal | None = None
    max_weight: Decimal | None = None
    rearm: RearmRule = RearmRule.ZERO
    stability: StabilityRule = field(default_factory=StabilityRule)
    timeout_s: float = 30.0
    stale_s: float = 2.0
    needs_registration: bool = False


@dataclass(frozen=True, slots=True)
class Commit:
    """Make this weighing durable, then tell the station `committed` or `commit_failed`."""

    reading: Reading
    unit: str
    card: str
    evidence: tuple[tuple[str, str], ...]
    details: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell the operator; `repeat` when it is said again for the same weighing."""

    notice: Notice
    repeat: bool = False


Effect = Commit | Tell | Show


class Station:
    """One station. Call the method that fits what happened; each returns the effects, in order."""

    def __init__(self, rules: StationRules) -> None:
        self.rules = rules
        division = rules.division or Decimal(1)
        self.window = StabilityWindow(rules.stability, division)
        self.rearm = Rearm(rules.rearm, self._limits(division))
        self.state = State.BOOT
        self.notice = Notice.READY
        self.reading: Reading | None = None
        self.card = ""
        self._seen: tuple[str, float] = ("", 0.0)
        self._kept: tuple[str, bool] | None = None
        self._captured_card = ""
        self._captured_told = True
        self._saved_said_at = self._retry_at = -math.inf
        self._details: dict[str, str] = {}
        self._deadline_at: float | None = None
        self._stale_at: float | None = None
        self._shown = Show("")
        self._linked = False
        self._allowed = not rules.needs_registration
        self._division_known = rules.division is not None
        self._effects: list[Effect] = []
        self._actions: dict[Do, Callable[[float], None]] = {
            Do.BEGIN: self._begin,
            Do.COMMIT: self._commit,
            Do.CONFIRM: self._confirm,
            Do.CONFIRM_AGAIN: self._confirm_again,
            Do.KEEP_WAITING: self._keep_waiting,
            Do.FAIL: self._fail,
            Do.GIVE_UP: self._give_up,
            Do.END: self._end,
        }

    # -- what happens -------------------------------------------------------------------------------------------------

    def boot(self, now: float, last: LastCapture | None) -> list[Effect]:
        """Configuration is loaded; `last` is this station's newest record."""
        if last is not None:
            self.rearm.captured = last.weight
            self._captured_card, self._captured_told = last.card, last.told
        return self._step(now, self._standing())

    def approved(self, now: float) -> list[Effect]:
        """The gateway is registered with the centre (matters only where the rules need it)."""
        self._allowed = True
        return self._step(now, self._standing())

    def link(self, now: float, *, up: bool) -> list[Effect]:
        """The indicator's link came or went."""
        self._linked = up
        self.window.clear()
        self.reading = None
        self._stale_at = now + self.rules.stale_s if up else None
        if not up:
            self.rearm.link_lost()
        return self._step(now, self._standing())

    def card_seen(self, now: float, card: CardSeen, *, known: bool) -> list[Effect]:
        """A card was presented; `known` is what the catalogue says of it."""
        uid, at = self._seen
        self._seen = (card.uid, now)
        if uid == card.uid and now - at < PRESENCE_S:
            return []
        if self.state is State.SAVING:
            self._kept = (card.uid, known)
            return []
        return self._step(now, self._name_card(card.uid, known=known))

    def keys_entered(self, keys: KeysEntered) -> list[Effect]:
        """Keys go with the next weighing; the last entry of each kind counts."""
        if keys.kind in self._details or len(self._details) < KEYS_KEPT:
            self._details[keys.kind] = keys.digits
        return []

    def reading_seen(self, now: float, reading: Reading) -> list[Effect]:
        """A frame of the indicator, with a weight or without."""
        self.reading = reading
        self._stale_at = now + self.rules.stale_s
        weight = reading.weight
        if weight is not None and not self._division_known:
            self._learn_division(weight)
        self._show(reading)
        verdict = self.window.observe(now, reading)
        event = self._name_invalid(reading) if weight is None else self._name_load(now, weight, verdict)
        if event is not None:
            self._step_into(now, event)
            if event is Event.LOAD_ON and verdict is Verdict.STABLE:
                assert weight is not None
                self._step_into(now, self._name_load(now, weight, verdict) or Event.LOAD_ON)
        return self._flush() if self._effects else []

    def committed(self, now: float) -> list[Effect]:
        """The weighing asked for by Commit is durable."""
        return self._end_commit(now, Event.COMMITTED)

    def commit_failed(self, now: float) -> list[Effect]:
        """It is not, and will not be."""
        return self._end_commit(now, Event.COMMIT_FAILED)

    def told(self) -> None:
        """The operator saw or heard that the last capture is saved: on this load its card asks for nothing any more."""
        self._captured_told = True

    def get_timer(self) -> float | None:
        """When `handle_timer` is wanted."""
        return min((t for t in (self._deadline_at, self._stale_at) if t is not None), default=None)

    def handle_timer(self, now: float) -> list[Effect]:
        """A wait ended."""
        if self._stale_at is not None and now >= self._stale_at:
            self._stale_at = None
            self.reading = None
            self.window.clear()
            self.rearm.link_lost()
            self._step_into(now, Event.STALE)
        if self._deadline_at is not None and now >= self._deadline_at:
            self._deadline_at = None
            waited = Event.TIMED_OUT if self.rules.mode is Mode.TAG else Event.RESTLESS
            self._step_into(now, Event.SLOW if self.state is State.SAVING else waited)
        return self._flush()

    # -- naming the event ---------------------------------------------------------------------------------------------

    def _standing(self) -> Event:
        if not self._allowed:
            return Event.NOT_ALLOWED
        return Event.USABLE if self._linked else Event.NO_LINK

    def _name_card(self, uid: str, *, known: bool) -> Event:
        if not known:
            return Event.CARD_REFUSED
        if self.state is State.MEASURING and self.card:
            return Event.CARD_REPEATED if uid == self.card else Event.CARD_OTHER
        if self._is_the_same_press(uid):
            return Event.CARD_REPEATED
        if self.rearm.rule is RearmRule.MANUAL:
            self.rearm.arm()
        if self.rearm.state is not ArmState.ARMED and self._is_loaded():
            return Event.CARD_TOO_EARLY
        if self.state in {State.IDLE, State.SAVED, State.MEASURING}:
            self.card = uid
        return Event.CARD

    def _is_loaded(self) -> bool:
        weight = self.reading.weight if self.reading is not None else None
        return weight is not None and weight > self.rearm.limits.zero

    def _is_the_same_press(self, uid: str) -> bool:
        """The card of the last capture, whose load has not left the scale; after a start or a lost link, only if nobody was told."""
        captured = self.rearm.captured
        if captured is None or not uid or uid != self._captured_card or self.rearm.state is not ArmState.SPENT:
            return False
        weight = self.reading.weight if self.reading is not None else None
        if weight is None or abs(weight - captured) > self.rearm.limits.division:
            return False
        return self.state is State.SAVED or not self._captured_told

    def _name_invalid(self, reading: Reading) -> Event | None:
        told = self.notice is Notice.OVERLOAD
        return Event.OVERLOAD if reading.status is Status.OVERLOAD and not told else None

    def _name_load(self, now: float, weight: Decimal, verdict: Verdict) -> Event | None:
        if verdict is Verdict.INVALID:
            return None
        if self.rearm.observe(now, weight):
            return Event.REARMED
        if self.notice in {Notice.OVERLOAD, Notice.INDICATOR_FAULT}:
            return Event.WEIGHT_BACK
        loaded = weight >= self.rearm.limits.min_weight
        if self.rearm.state is ArmState.ARMED:
            return self._name_armed(now, weight, verdict, loaded=loaded)
        return self._name_unarmed() if loaded else None

    def _name_armed(self, now: float, weight: Decimal, verdict: Verdict, *, loaded: bool) -> Event | None:
        auto = self.rules.mode is Mode.AUTO
        if self.state is State.SAVED:
            return Event.REARMED
        if self.state is State.IDLE:
            return Event.LOAD_ON if auto and loaded and now >= self._retry_at else None
        if self.state is State.MEASURING:
            if not loaded:
                return Event.LOAD_OFF if auto and weight <= self.rearm.limits.zero else None
            if verdict is Verdict.STABLE and self._may_capture(weight):
                return Event.LOAD_STABLE
        return None

    def _name_unarmed(self) -> Event | None:
        if self.state is State.MEASURING:
            return Event.PRESS_ANSWERED if self._is_the_same_press(self.card) else Event.LOAD_UNEXPLAINED
        unknown = self.rules.mode is Mode.AUTO and self.rearm.state is ArmState.UNKNOWN
        return Event.LOAD_UNEXPLAINED if unknown and self.notice is not Notice.REMOVE_LOAD else None

    def _may_capture(self, weight: Decimal) -> bool:
        assert self.reading is not None
        sent, wanted = self.reading.unit, self.rules.unit
        fits = bool(sent or wanted) and (wanted is None or sent is None or sent == wanted)
        below_max = self.rules.max_weight is None or weight <= self.rules.max_weight
        return fits and below_max and self.reading.role is not Role.TARE

    # -- what the table does ------------------------------------------------------------------------------------------

    def _begin(self, now: float) -> None:
        self._deadline_at = now + self.rules.timeout_s
        if self.rules.mode is Mode.TAG:
            self._tell(Notice.WAIT)

    def _commit(self, now: float) -> None:
        reading = self.reading
        assert reading is not None
        assert reading.weight is not None
        unit = reading.unit or self.rules.unit
        assert unit is not None
        self._deadline_at = now + SLOW_S
        evidence = (
            ("stability", str(self.window.evidence)),
            ("frames", str(self.window.frames)),
            ("division", str(self.window.division)),
        )
        self.rearm.spend(reading.weight)
        self._captured_card, self._captured_told = self.card, False
        self._effects.append(Commit(reading, unit, self.card, evidence, tuple(sorted(self._details.items()))))

    def _confirm(self, now: float) -> None:
        self._details.clear()
        self.card = ""
        self._saved_said_at = now
        self._tell(Notice.SAVED)

    def _confirm_again(self, now: float) -> None:
        self.card, self._deadline_at = "", None
        if now - self._saved_said_at >= REPEAT_S:
            self._saved_said_at = now
            self._tell(Notice.SAVED, repeat=True)

    def _keep_waiting(self, now: float) -> None:
        self._deadline_at = now + SLOW_S
        self._tell(Notice.WAIT)

    def _fail(self, now: float) -> None:
        self.card, self._retry_at = "", now + RETRY_S
        self.rearm.arm()
        self._tell(Notice.SYSTEM_FAULT)

    def _give_up(self, now: float) -> None:
        notice = Notice.UNSTABLE if self._is_loaded() else Notice.CARD_AGAIN
        self._end(now)
        self._tell(notice)

    def _end(self, now: float) -> None:  # noqa: ARG002 - the table's signature
        self.card = ""
        self._deadline_at = None

    # -- mechanics ----------------------------------------------------------------------------------------------------

    def _end_commit(self, now: float, event: Event) -> list[Effect]:
        self._deadline_at = None
        self._step_into(now, event)
        kept, self._kept = self._kept, None
        if kept is not None:
            self._step_into(now, self._name_card(kept[0], known=kept[1]))
        return self._flush()

    def _step(self, now: float, event: Event) -> list[Effect]:
        self._step_into(now, event)
        return self._flush()

    def _step_into(self, now: float, event: Event) -> None:
        step = TABLE[self.state].get(event)
        if step is None:
            return
        self.state = step.state
        if step.do is not Do.NOTHING:
            self._actions[step.do](now)
        if step.tell is not None:
            self._tell(step.tell)

    def _flush(self) -> list[Effect]:
        effects, self._effects = self._effects, []
        return effects

    def _tell(self, notice: Notice, *, repeat: bool = False) -> None:
        self.notice = notice
        self._effects.append(Tell(notice, repeat))

    def _show(self, reading: Reading) -> None:
        weight = "-------" if reading.weight is None else str(reading.weight)
        if weight != self._shown.weight or self.card != self._shown.line:
            self._shown = Show(weight, self.card)
            self._effects.append(self._shown)

    def _learn_division(self, weight: Decimal) -> None:
        exponent = weight.as_tuple().exponent
        assert isinstance(exponent, int)
        division = Decimal(1).scaleb(min(exponent, 0))
        if division < self.window.division:
            self.window.set_division(division)
            self.rearm.limits = self._limits(division)

    def _limits(self, division: Decimal) -> Limits:
        least = self.rules.min_weight if self.rules.min_weight is not None else 20 * division
        return Limits(division, least)

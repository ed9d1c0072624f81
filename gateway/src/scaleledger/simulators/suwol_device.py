"""The inside of a simulated SUWOL-1000: what its controller knows and answers, without a wire and without a clock.

It never speaks first. Card and keys lie in a mailbox of one slot each, emptied by the first reply or after three seconds;
a clip plays to its end; the printer takes a document only when it is ready. All that a person could notice (a lamp that
lights, a clip that starts) is kept as a numbered sign, so that an operator can tell which came after what.
"""

import random
from collections import deque
from dataclasses import dataclass

from scaleledger.domain.inputs import DeviceState, KeysEntered, Printer, Problem
from scaleledger.simulators.faults import SOUND, Faults
from scaleledger.simulators.scenario import Indicator, Platform
from scaleledger.simulators.script import REFUSED_CLIPS, SAVED_CLIPS, Told
from scaleledger.wire import suwol_frames as frames

MAILBOX_S = 3.0
SILENCE_S = 2.5
"""Requests further apart than this belong to two conversations."""
CLIP_S = {1: 1.1, 2: 0.9, 3: 1.0, 4: 1.2, 5: 1.2, 6: 1.0, 7: 1.2, 8: 1.3, 9: 0.8, 10: 1.5, 11: 1.8, 12: 0.6}
"""How long each clip plays; the numbers from 13 on are empty on the device."""
PRINT_S_PER_BYTE = 0.002
DOCUMENTS_KEPT = 32


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply, and how much later than usual it goes out."""

    content: bytes
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Sign:
    """Something the operator was given to see or hear."""

    number: int
    told: Told


@dataclass(frozen=True, slots=True)
class _Hand:
    """A card that went out in a reply, and how many signs had been given before. `session` numbers the conversation."""

    number: int
    session: int
    signs: int


class SuwolDevice:
    """One station's controller with its platform, reader, keypad, lamps, speaker and printer. Times are monotonic seconds."""

    def __init__(
        self,
        indicator: Indicator,
        rng: random.Random,
        *,
        device_id: int = 0,
        faults: Faults = SOUND,
        clip_s: dict[int, float] | None = None,
    ) -> None:
        self.indicator = indicator
        self.platform = Platform()
        self.faults = faults
        self.session = 0
        self.hands = 0
        self.signs_given = 0
        self.signs: deque[Sign] = deque(maxlen=64)
        self.documents: deque[bytes] = deque(maxlen=DOCUMENTS_KEPT)
        self.documents_refused = 0
        self.display = ("", "")
        self._rng = rng
        self._id = device_id
        self._clip_s = CLIP_S if clip_s is None else clip_s
        self._framer = frames.request_framer()
        self._handed: deque[_Hand] = deque(maxlen=16)
        self._card: tuple[str, float] = ("", 0.0)
        self._keys: tuple[KeysEntered | None, float] = (None, 0.0)
        self._green = self._red = False
        self._voice, self._voice_ends = 0, 0.0
        self._asked_voice = 0
        self._printed_at = 0.0
        self._temperatures = (30, 5)
        self._request_at: float | None = None
        self._unquiet_at = 0.0
        self._off_at: float | None = None
        self._off_until = 0.0

    # -- what a person does and sees ------------------------------------------------------------------------------------

    @property
    def polled(self) -> bool:
        """Whether a gateway has ever asked anything."""
        return self.session > 0

    def present_card(self, now: float, uid: str) -> None:
        """A card is held to the reader; one not yet fetched is lost."""
        self._card = (uid, now + MAILBOX_S)

    def press(self, now: float, kind: str, digits: str) -> None:
        """Keys are entered; those not yet fetched are lost."""
        self._keys = (KeysEntered(kind, digits), now + MAILBOX_S)

    def quiet_s(self, now: float) -> float:
        """For how long a conversation has gone on with no lamp lit and nothing spoken or asked to be."""
        if self._green or self._red or self._asked_voice or self.playing(now):
            self._unquiet_at = now
        return now - max(self._unquiet_at, self._voice_ends)

    def playing(self, now: float) -> int:
        """The clip now playing, 0 for none."""
        return self._voice if now < self._voice_ends else 0

    def signs_at_hand(self, first_hand: int) -> int | None:
        """Signs given before a card after the `first_hand`-th went out in the present conversation; None if none has."""
        return next((h.signs for h in self._handed if h.number > first_hand and h.session == self.session), None)

    def cut_power(self, now: float, for_s: float) -> None:
        """Everything forgets and is mute for `for_s`."""
        self._off_until = now + for_s
        self._card, self._keys = ("", 0.0), (None, 0.0)
        self._green = self._red = False
        self._voice_ends, self._asked_voice = now, 0
        self._framer = frames.request_framer()
        self._request_at = None

    # -- what the wire brings -------------------------------------------------------------------------------------------

    def hang_up(self) -> None:
        """The line was cut: what comes next is another conversation."""
        self._framer = frames.request_framer()
        self._request_at = None

    def receive(self, now: float, data: bytes) -> list[Answer]:
        """Take bytes from the gateway; the answers to the requests they complete, in order."""
        self._perhaps_cut_power(now)
        if now < self._off_until:
            return []
        answers = []
        for frame in self._framer.feed(data):
            request = frame if isinstance(frame, Problem) else frames.decode_request(frame)
            if not isinstance(request, Problem) and request.device_id == self._id:
                answers += self._spoil(self._answer(now, request))
        return answers

    def _answer(self, now: float, request: frames.Request) -> bytes:
        if self._request_at is None or now - self._request_at > SILENCE_S:
            self.session += 1
            self._unquiet_at = now
        self._request_at = now
        match request:
            case frames.DisplayRequest():
                self._obey(now, request)
                command = "D"
            case frames.PrintRequest(_, content, copies):
                self._print(now, content, copies)
                command = "P"
            case frames.TemperatureRequest(_, fan_c, heater_c):
                self._temperatures = (fan_c, heater_c)
                command = "T"
        reply = frames.Reply(
            self._id, command, self._fetch_card(now), fan_c=self._temperatures[0], heater_c=self._temperatures[1]
        )
        keys, until = self._keys
        if keys is not None and now < until:
            reply = frames.with_keys(reply, keys)
        self._keys = (None, 0.0)
        reply = frames.with_state(reply, self._state(now))
        return frames.encode_reply(frames.with_reading(reply, self.indicator.show(self.platform.at(now))))

    def _obey(self, now: float, request: frames.DisplayRequest) -> None:
        self.display = (request.weight, request.line)
        green, red = bool(request.relays & frames.GREEN), bool(request.relays & frames.RED)
        if green and not self._green:
            self._give_sign(Told.SAVED)
        if red and not self._red:
            self._give_sign(Told.REFUSED)
        self._green, self._red = green, red
        self._asked_voice = 0 if self.faults.dead_speaker else request.voice
        length_s = self._clip_s.get(request.voice, 0.0)
        if length_s and not self.playing(now) and not self.faults.dead_speaker:
            self._voice, self._voice_ends = request.voice, now + length_s
            if request.voice in SAVED_CLIPS:
                self._give_sign(Told.SAVED)
            elif request.voice in REFUSED_CLIPS:
                self._give_sign(Told.REFUSED)

    def _give_sign(self, told: Told) -> None:
        self.signs_given += 1
        self.signs.append(Sign(self.signs_given, told))

    def _print(self, now: float, content: bytes, copies: int) -> None:
        if self._printer(now) is not Printer.READY:
            self.documents_refused += 1
            return
        self.documents.append(content)
        self._printed_at = now + len(content) * copies * PRINT_S_PER_BYTE

    def _printer(self, now: float) -> Printer:
        if self.faults.no_paper:
            return Printer.NO_PAPER
        return Printer.BUSY if now < self._printed_at else Printer.READY

    def _state(self, now: float) -> DeviceState:
        return DeviceState(
            green=self._green,
            red=self._red,
            voice=self.playing(now),
            printer=self._printer(now),
            temperature_c=25,
            inputs="00",
        )

    def _fetch_card(self, now: float) -> str:
        uid, until = self._card
        self._card = ("", 0.0)
        if not uid or now >= until:
            return frames.NO_CARD
        self.hands += 1
        self._handed.append(_Hand(self.hands, self.session, self.signs_given))
        return uid

    def _spoil(self, content: bytes) -> list[Answer]:
        """What the faults leave of a reply."""
        faults, rng = self.faults, self._rng
        if rng.random() < faults.lost:
            return []
        if rng.random() < faults.garbled:
            at = rng.randrange(len(content))
            content = content[:at] + bytes((content[at] | 0x80,)) + content[at + 1 :]
        return [Answer(content, faults.late_s if rng.random() < faults.late else 0.0)]

    def _perhaps_cut_power(self, now: float) -> None:
        every_s = self.faults.power_off_every_s
        if not every_s:
            return
        if self._off_at is not None and now >= self._off_at:
            self.cut_power(now, self.faults.power_off_s)
            self._off_at = None
        if self._off_at is None:
            self._off_at = self._off_until + self._rng.expovariate(1 / every_s) if self._off_until else now + every_s

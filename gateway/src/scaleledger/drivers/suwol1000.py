"""SUWOL-1000: an unattended weighing station with card reader, keypad, voice, lamps, display and printer. 9600 baud 8N1.

    computer  STX 0 D +      0 ...... ETX     32 bytes, every 100 to 200 ms   (layouts: `wire.suwol_frames`)
    station   STX 0 D card keys state weight ETX     53 bytes, only when asked

The station forgets a card and a keypad entry once it has handed them out, so they are taken from every reply, late or
damaged elsewhere, before anything else is looked at. Display, lamps and voice travel in each request; documents go out one
at a time while the printer says it is ready. Replies carry no number: `wire.asking` keeps them in step.

A clip is asked for until the busy field shows it (1.5 s at most), then nothing is asked for until the field is back at 00
(15 s at most): a speaker that never answers ends in `SpeechEnded(heard=False)` and holds nothing else up.
"""

from collections import deque

from scaleledger.domain.commands import Command, Lamps, PrintDocument, SetTemperatures, Show, Speak
from scaleledger.domain.inputs import CardSeen, DeviceState, Fact, KeysEntered, Printer, Problem, SpeechEnded
from scaleledger.domain.reading import Reading
from scaleledger.wire import suwol_frames as frames
from scaleledger.wire.asking import Pacing
from scaleledger.wire.framing import CUT_SHORT

NAME = "suwol-1000"
CLIPS_MAX, DOCUMENTS_MAX, REFUSALS_MAX = 4, 8, 16
CLIP_BEGINS_S, CLIP_ENDS_S, PRINTER_STARTS_S = 1.5, 15.0, 2.0
BYTES_PER_S = 960


def driver(*, device_id: int = 0, poll_interval_s: float = 0.1, reply_timeout_s: float = 0.3) -> "Suwol1000":
    """`device_id` is the station's own digit, 0 to 9; ValueError for another, or for times that are not 0.01 to 60."""
    if not 0 <= device_id <= 9:
        raise ValueError(f"device_id is one digit, 0 to 9, not {device_id}")
    if not (0.01 <= poll_interval_s <= 60 and 0.01 <= reply_timeout_s <= 60):
        raise ValueError("poll_interval_s and reply_timeout_s are 0.01 to 60")
    return Suwol1000(device_id, poll_interval_s, reply_timeout_s)


def encode(fact: Fact) -> bytes:
    """A reply of a resting station 0 that also says `fact`; ValueError for what a reply cannot say."""
    match fact:
        case CardSeen(uid):
            reply = frames.Reply(card=uid)
        case KeysEntered():
            reply = frames.with_keys(frames.Reply(), fact)
        case Reading():
            reply = frames.with_reading(frames.Reply(), fact)
        case DeviceState():
            reply = frames.with_state(frames.Reply(), fact)
        case _:
            raise ValueError(f"a reply cannot say {fact}")
    return frames.encode_reply(reply)


class Suwol1000:
    """Polls one station. Facts of one reply come in this order: card, keys, reading, problems, changed state, speech."""

    name = NAME
    understands: frozenset[type[Command]] = frozenset({Show, Lamps, Speak, PrintDocument, SetTemperatures})

    def __init__(self, device_id: int, poll_interval_s: float, reply_timeout_s: float) -> None:
        self._id = device_id
        self._pacing = Pacing(poll_interval_s, reply_timeout_s)
        self._framer = frames.reply_framer()
        self._weight = frames.display_weight("0")
        self._line = frames.display_line("")
        self._lamps = Lamps()
        self._temperatures: SetTemperatures | None = None
        self._voice = _Voice()
        self._documents = _Documents()
        self._state: DeviceState | None = None
        self._refusals: deque[Fact] = deque(maxlen=REFUSALS_MAX)
        self._due = b""
        self._shown_last = False
        self._silent = False

    @property
    def buffered(self) -> int:
        """Bytes held back until their frame is complete."""
        return self._framer.buffered

    def receive(self, now: float, data: bytes) -> list[Fact]:
        facts = self._refused()
        for found in self._framer.feed(data):
            facts += [found] if isinstance(found, Problem) else self._take(now, found)
        if self._framer.buffered:
            self._pacing.arriving(now)
        return facts + self._voice.expire(now)

    def get_timer(self) -> float | None:
        if self._refusals:
            return 0.0
        ends_at = self._voice.ends_at
        return self._pacing.next_at if ends_at is None else min(self._pacing.next_at, ends_at)

    def handle_timer(self, now: float) -> list[Fact]:
        facts = self._refused() + self._voice.expire(now)
        if self._due or now < self._pacing.next_at:
            return facts
        if self._pacing.timed_out:
            self._documents.printer = None
            if not self._silent:
                facts.append(Problem("no-reply"))
            self._silent = True
        self._due = self._next_request(now)
        return facts

    def ask(self, command: Command) -> None:
        match command:
            case Show(weight, line):
                self._weight, self._line = frames.display_weight(weight), frames.display_line(line)
            case Lamps():
                self._lamps = command
            case Speak(clip) if 1 <= clip <= 99:
                self._refusals.extend(self._voice.add(clip))
            case Speak():
                self._refusals.append(Problem("bad-clip"))
            case PrintDocument():
                self._refusals.extend(self._documents.add(command))
            case SetTemperatures(fan_c, heater_c) if 15 <= fan_c <= 40 and 0 <= heater_c <= 15:
                self._temperatures = command
            case SetTemperatures():
                self._refusals.append(Problem("bad-temperatures"))
            case _:
                pass

    def to_send(self) -> bytes:
        due, self._due = self._due, b""
        return due

    def finish(self) -> list[Fact]:
        facts = self._refused()
        for found in self._framer.finish():
            assert isinstance(found, Problem), "a framer at its end has no whole frame left"
            cut = found.raw[found.raw.rfind(frames.STX) :]
            if frames.has_whole_card(cut) and cut[1:2] == b"%d" % self._id:
                facts += _one_shot(cut)
            facts.append(found)
        return facts

    def _refused(self) -> list[Fact]:
        refused = list(self._refusals)
        self._refusals.clear()
        return refused

    def _next_request(self, now: float) -> bytes:
        """The request for this turn. A document or set points only follow a reply to D, so the display stays alive."""
        if self._shown_last and self._temperatures:
            wanted, self._temperatures, self._shown_last = self._temperatures, None, False
            self._pacing.sent(now)
            return frames.encode_temperatures(self._id, wanted.fan_c, wanted.heater_c)
        if self._shown_last and (document := self._documents.next()):
            self._shown_last = False
            request = frames.encode_print(self._id, document.content, document.copies)
            self._documents.sent(now + len(request) / BYTES_PER_S + PRINTER_STARTS_S)
            self._pacing.sent(now, extra_s=len(request) / BYTES_PER_S)
            return request
        self._shown_last = True
        self._pacing.sent(now)
        relays = frames.GREEN * self._lamps.green | frames.RED * self._lamps.red
        return frames.encode_display(self._id, self._weight, self._line, relays, self._voice.wanted(now))

    def _take(self, now: float, reply: bytes) -> list[Fact]:
        if reply[1:2] != b"%d" % self._id:
            return [Problem("other-device", reply)]
        self._pacing.replied(now)
        self._silent = False
        if reply[2:3] not in b"DPT":
            return [Problem("bad-command", reply)]
        if frames.is_shifted(reply):
            return [Problem("bad-layout", reply)]
        facts = _one_shot(reply)
        if len(reply) < frames.REPLY_SIZE:
            return [*facts, Problem(CUT_SHORT, reply)]
        if reply[-1:] != frames.ETX:
            return [*facts, Problem("bad-end", reply)]
        facts.append(frames.reading_of(reply))
        state, problems = frames.state_of(reply, self._state or DeviceState())
        facts += problems
        if state != self._state:
            facts.append(state)
        self._state = state
        unread = {problem.reason for problem in problems}
        self._documents.heard(now, None if "bad-printer" in unread else state.printer)
        return facts if "bad-voice" in unread else facts + self._voice.heard(now, state.voice)


def _one_shot(reply: bytes) -> list[Fact]:
    return [fact for fact in (frames.card_of(reply), frames.keys_of(reply)) if fact is not None]


class _Voice:
    """Plays clips one after the other: asked for, heard, ended; every wait has an end."""

    def __init__(self) -> None:
        self._queue: deque[int] = deque()
        self._clip = 0
        self._playing = False
        self._busy = 0
        self.ends_at: float | None = None

    def add(self, clip: int) -> list[Fact]:
        """Queue a clip; the oldest that has not begun makes room."""
        self._queue.append(clip)
        return [SpeechEnded(self._queue.popleft(), heard=False)] if len(self._queue) > CLIPS_MAX else []

    def wanted(self, now: float) -> int:
        """The number to send now. A new clip begins when the speaker is idle, or has been busy for too long."""
        if not self._clip and self._queue and (not self._busy or self.ends_at is None):
            self._clip, self._playing, self.ends_at = self._queue.popleft(), False, now + CLIP_BEGINS_S
        return 0 if self._playing else self._clip

    def heard(self, now: float, busy: int) -> list[Fact]:
        """The busy field of a reply."""
        before, self._busy = self._busy, busy
        if self._clip and busy == self._clip and not self._playing:
            self._playing, self.ends_at = True, now + CLIP_ENDS_S
        elif self._playing and busy != self._clip:
            return self._end(heard=True)
        elif not self._clip and busy != before:
            self.ends_at = now + CLIP_ENDS_S if busy else None
        return []

    def expire(self, now: float) -> list[Fact]:
        """End what has taken too long."""
        return self._end(heard=False) if self.ends_at is not None and now >= self.ends_at else []

    def _end(self, *, heard: bool) -> list[Fact]:
        clip, self._clip, self._playing, self.ends_at = self._clip, 0, False, None
        return [SpeechEnded(clip, heard=heard)] if clip else []


class _Documents:
    """Documents waiting for a ready printer; each is sent once, the next after the printer was seen busy and ready again.

    A short document may be printed between two looks: if the printer still says ready when it should have started, it is.
    """

    def __init__(self) -> None:
        self._queue: deque[PrintDocument] = deque()
        self._starts_by: float | None = None
        self.printer: Printer | None = None

    def add(self, document: PrintDocument) -> list[Fact]:
        """Queue a document, or refuse it with a Problem."""
        if len(document.content) > frames.DOCUMENT_BYTES_MAX:
            return [Problem("document-too-long")]
        if not 1 <= document.copies <= 9:
            return [Problem("bad-copies")]
        if len(self._queue) >= DOCUMENTS_MAX:
            return [Problem("print-queue-full")]
        self._queue.append(document)
        return []

    def next(self) -> PrintDocument | None:
        """The document to send now, if the printer is ready for one."""
        ready = self.printer is Printer.READY and self._starts_by is None
        return self._queue.popleft() if ready and self._queue else None

    def sent(self, starts_by: float) -> None:
        """A document is on its way; the printer shows it by then."""
        self._starts_by = starts_by

    def heard(self, now: float, printer: Printer | None) -> None:
        """The printer byte of a reply; None if it could not be read."""
        was, self.printer = self.printer, printer
        printed = was is Printer.BUSY and printer is Printer.READY
        if self._starts_by is not None and (printed or (printer is Printer.READY and now >= self._starts_by)):
            self._starts_by = None

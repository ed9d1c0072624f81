"""The SUWOL-1000 driver against a model of the station and of a bad line, on a virtual clock.

The model knows what it handed out; whatever the line does, each card in a reply that arrived is seen once, the driver never
asks too often, no wait is endless, and when the line is good again every reply is the answer to the newest request.
"""

from dataclasses import dataclass, field, replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from scaleledger.domain.commands import Lamps, PrintDocument, SetTemperatures, Show, Speak
from scaleledger.domain.inputs import CardSeen, KeysEntered, SpeechEnded
from scaleledger.drivers import open_driver
from scaleledger.wire import suwol_frames as frames

INTERVAL_S, TIMEOUT_S = 0.1, 0.3
AIR_S = 53 / 960
LATENCIES_S = {"prompt": 0.13, "late": 0.35, "later": 0.8, "very late": 2.5}
GAP_MAX_S = 10 + 4009 / 960 + TIMEOUT_S
MAILBOX_S = 3.0


@dataclass
class Station:
    """What the microcontroller does: it answers in order, forgets what it has handed out, plays clips, prints."""

    speaker_works: bool = True
    paper: bool = True
    answers_print: bool = True
    card: tuple[str, float] | None = None
    keys: tuple[str, float] | None = None
    clip: int = 0
    clip_until: float = 0.0
    prints_until: float = 0.0
    printed: list[bytes] = field(default_factory=list)

    def answer(self, now, request):
        reply = frames.Reply()
        if isinstance(request, frames.PrintRequest):
            self.printed.append(request.content)
            self.prints_until = now + 1.0
            if not self.answers_print:
                return None
            reply = replace(reply, command="P")
        if (
            isinstance(request, frames.DisplayRequest)
            and request.voice
            and self.speaker_works
            and now > self.clip_until
        ):
            self.clip, self.clip_until = request.voice, now + 0.7
        if self.card and now < self.card[1] + MAILBOX_S:
            reply = replace(reply, card=self.card[0])
        if self.keys and now < self.keys[1] + MAILBOX_S:
            reply = replace(reply, key_kind="N", keys=self.keys[0])
        self.card = self.keys = None
        printer = 2 if now < self.prints_until else 0 if self.paper else 1
        return replace(reply, voice=self.clip if now < self.clip_until else 0, printer=printer)


class Suwol1000Model(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.driver = open_driver("suwol-1000", poll_interval_s=INTERVAL_S, reply_timeout_s=TIMEOUT_S)
        self.requests = frames.request_framer()
        self.station = Station()
        self.now = 1000.0
        self.fates = []
        self.on_the_line = []  # (arrival, bytes, what counts in it), in order
        self.sent_at = []
        self.arrived, self.seen = [], []
        self.spoken, self.speech = 0, []
        self.serial = 0
        self.printer = ""
        self.strict = False

    # --- the world -----------------------------------------------------------------------------------------------

    def advance(self, seconds):
        until = self.now + seconds
        while True:
            timer = max(self.now, self.driver.get_timer())
            arrival = self.on_the_line[0][0] if self.on_the_line else until
            step = min(timer, arrival)
            if step > until:
                break
            self.now = step
            if self.on_the_line and arrival <= timer:
                self.deliver(*self.on_the_line.pop(0))
            else:
                self.take(self.driver.handle_timer(self.now))
            self.send(self.driver.to_send())
            if step == until and not self.on_the_line and self.driver.get_timer() > until:
                break
        self.now = until

    def deliver(self, _, data, counts):
        self.arrived += counts
        if len(data) == frames.REPLY_SIZE:
            self.printer = data[31:32]
        for piece in (data[:17], data[17:]):
            self.take(self.driver.receive(self.now, piece))

    def take(self, facts):
        self.seen += [
            f.uid if isinstance(f, CardSeen) else f.digits for f in facts if isinstance(f, CardSeen | KeysEntered)
        ]
        self.speech += [f for f in facts if isinstance(f, SpeechEnded)]

    def send(self, data):
        if not data:
            return
        if self.sent_at:
            assert self.now - self.sent_at[-1] >= INTERVAL_S - 1e-9, "asked too often"
            assert self.now - self.sent_at[-1] <= GAP_MAX_S, "stopped asking"
        assert not (self.strict and self.on_the_line), "asked before the answer was in"
        self.sent_at.append(self.now)
        (frame,) = self.requests.feed(data)
        request = frames.decode_request(frame)
        assert self.printer == b"0" or not isinstance(request, frames.PrintRequest), "the printer was not ready"
        sizes = {frames.DisplayRequest: 32, frames.TemperatureRequest: 8}
        assert len(data) == sizes.get(type(request)) or len(data) == 9 + len(request.content)
        self.reply(request, len(data) / 960)

    def reply(self, request, air_s):
        fate = self.fates.pop(0) if self.fates else "prompt"
        reply = self.station.answer(self.now + air_s, request)
        if reply is None or fate == "lost":
            return
        data = frames.encode_reply(reply)
        counts = [c for c in (reply.card, reply.keys) if c.strip("0")]
        if fate == "cut":
            data, counts = data[:30], []
        if fate == "garbled":
            data = data[:44] + b"\xb1" + data[45:]
        latest = self.on_the_line[-1][0] + AIR_S if self.on_the_line else 0.0
        self.on_the_line.append(
            (max(self.now + air_s + LATENCIES_S.get(fate, LATENCIES_S["prompt"]) - 0.033, latest), data, counts)
        )

    # --- what may happen -----------------------------------------------------------------------------------------

    @rule(
        fates=st.lists(st.sampled_from([*LATENCIES_S, "lost", "cut", "garbled"]), max_size=8),
        seconds=st.floats(0.05, 4),
    )
    def the_line_is_bad(self, fates, seconds):
        self.fates += fates
        self.advance(seconds)

    @rule()
    def a_card_is_presented(self):
        self.serial += 1
        self.station.card = (f"C{self.serial:07d}", self.now)

    @rule()
    def digits_are_entered(self):
        self.serial += 1
        self.station.keys = (f"{self.serial:06d}", self.now)

    @rule(clips=st.lists(st.integers(1, 99), max_size=6))
    def clips_are_asked_for(self, clips):
        for clip in clips:
            self.driver.ask(Speak(clip))
        self.spoken += len(clips)
        self.advance(1)

    @rule(size=st.sampled_from([0, 1, 500, 4000]))
    def a_document_is_asked_for(self, size):
        self.serial += 1
        self.driver.ask(PrintDocument(b"%d" % self.serial + b"\x02" * max(0, size - 6)))

    @rule(weight=st.text(max_size=9), line=st.text(max_size=9))
    def a_display_is_asked_for(self, weight, line):
        self.driver.ask(Show(weight, line))
        self.driver.ask(Lamps(green=True, red=True))
        self.driver.ask(SetTemperatures(20, 5))

    @rule(speaker=st.booleans(), paper=st.booleans(), answers_print=st.booleans())
    def the_station_changes(self, speaker, paper, answers_print):
        self.station.speaker_works, self.station.answers_print, self.station.paper = speaker, answers_print, paper

    @rule()
    def the_line_is_good_again(self):
        self.fates = []
        self.station.answers_print = True
        self.advance(45)
        assert len(self.speech) == self.spoken, "a clip was never ended"
        before = len(self.sent_at)
        self.strict = True
        self.advance(2)
        self.strict = False
        assert len(self.sent_at) - before >= 2 / 0.15

    @invariant()
    def each_card_that_arrived_is_seen_once_and_in_order(self):
        assert self.seen == self.arrived

    @invariant()
    def documents_are_sent_once(self):
        assert len(set(self.station.printed)) == len(self.station.printed)

    @invariant()
    def nothing_grows(self):
        assert self.driver.buffered <= 106

    def teardown(self):
        self.the_line_is_good_again()
        self.each_card_that_arrived_is_seen_once_and_in_order()


Suwol1000Model.TestCase.settings = settings(max_examples=40, stateful_step_count=15, deadline=None)
TestSuwol1000Model = Suwol1000Model.TestCase

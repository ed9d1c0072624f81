from dataclasses import replace

import pytest

from scaleledger.domain.commands import Lamps, PrintDocument, SetTemperatures, Show, Speak
from scaleledger.domain.inputs import CardSeen, DeviceState, KeysEntered, Problem, SpeechEnded
from scaleledger.domain.reading import Reading
from scaleledger.drivers import open_driver
from scaleledger.wire import suwol_frames as frames

REPLY = frames.Reply()
CARD = replace(REPLY, card="A1B2C3D4", key_kind="N", keys="006575", magnitude="1850.5")


class Prompt:
    """A station that answers each request at once; `reply` is what it says, None for silence."""

    def __init__(self, **options):
        self.driver = open_driver("suwol-1000", **options)
        self.framer = frames.request_framer()
        self.now = 100.0
        self.reply = REPLY
        self.requests = []
        self.facts = []

    def run(self, seconds):
        until = self.now + seconds
        while self.now <= until:
            self.facts += self.driver.handle_timer(self.now)
            for frame in self.framer.feed(self.driver.to_send()):
                self.requests.append(frames.decode_request(frame))
                if self.reply is not None:
                    self.facts += self.driver.receive(self.now + 0.01, frames.encode_reply(self.reply))
            self.now = max(self.now + 0.01, self.driver.get_timer())
        return self

    def of(self, kind):
        return [fact for fact in self.facts if isinstance(fact, kind)]

    @property
    def shown(self):
        return [r for r in self.requests if isinstance(r, frames.DisplayRequest)]

    @property
    def printed(self):
        return [r for r in self.requests if isinstance(r, frames.PrintRequest)]


def feed(reply, **options):
    return open_driver("suwol-1000", **options).receive(0.0, reply)


def test_facts_of_a_reply_come_in_their_order():
    kinds = [type(fact) for fact in feed(frames.encode_reply(CARD))]
    assert kinds == [CardSeen, KeysEntered, Reading, DeviceState]


@pytest.mark.parametrize("at", [at for at in range(18, 53) if at != 52] + [52])
@pytest.mark.parametrize("byte", [0x00, 0x03, 0x80, 0xFF, 0x21, 0x58])
def test_a_bad_byte_behind_the_one_shot_fields_never_costs_them(at, byte):
    reply = bytearray(frames.encode_reply(CARD))
    reply[at] = byte
    facts = feed(bytes(reply) + frames.encode_reply(REPLY))
    assert [f.uid for f in facts if isinstance(f, CardSeen)] == ["A1B2C3D4"]
    assert [f.digits for f in facts if isinstance(f, KeysEntered)] == ["006575"]
    weights = [str(f.weight) for f in facts if isinstance(f, Reading)]
    assert weights in (["1850.5", "0.0"], ["0.0"])
    if at >= 36:
        assert weights == ["0.0"] or byte == 0x03 == reply[52]


@pytest.mark.parametrize("at", range(3, 11))
def test_a_bad_card_costs_neither_keys_nor_weight(at):
    reply = bytearray(frames.encode_reply(CARD))
    reply[at] = 0xFF
    facts = feed(bytes(reply))
    assert [type(f) for f in facts] == [Problem, KeysEntered, Reading, DeviceState]
    assert facts[0].reason == "bad-card"


def test_another_stations_card_is_never_ours():
    facts = feed(frames.encode_reply(replace(CARD, device_id=4)))
    assert [f.reason for f in facts] == ["other-device"]
    assert [f.uid for f in feed(frames.encode_reply(replace(CARD, device_id=4)), device_id=4)[:1]] == ["A1B2C3D4"]


def test_state_is_told_first_and_when_it_changes():
    station = Prompt().run(1)
    assert len(station.of(DeviceState)) == 1
    station.reply = replace(REPLY, relays=0x09)
    station.run(1)
    assert [(s.green, s.fan) for s in station.of(DeviceState)] == [(False, False), (True, True)]


def test_a_damaged_state_field_keeps_its_last_value():
    driver = open_driver("suwol-1000")
    driver.receive(0.0, frames.encode_reply(replace(REPLY, relays=0x01)))
    reply = bytearray(frames.encode_reply(replace(REPLY, relays=0x01, temperature_c=31)))
    reply[18] = 0x2F
    facts = driver.receive(0.1, bytes(reply))
    assert [f.reason for f in facts if isinstance(f, Problem)] == ["bad-relays"]
    assert [(f.green, f.temperature_c) for f in facts if isinstance(f, DeviceState)] == [(True, 31)]


def test_polls_once_per_interval_with_display_and_lamps():
    station = Prompt(device_id=3, poll_interval_s=0.2)
    station.reply = replace(REPLY, device_id=3)
    station.driver.ask(Show("12.5", "A1B2C3D4"))
    station.driver.ask(Lamps(green=True))
    station.run(2)
    assert len(station.shown) in (10, 11)
    assert set(station.shown) == {frames.DisplayRequest(3, "+12.5", "B2C3D4", frames.GREEN, 0)}


def test_a_silent_station_is_asked_slowly_and_said_once():
    station = Prompt()
    station.reply = None
    station.run(30)
    assert 30 / 0.75 <= len(station.requests) <= 30 / 0.3
    assert station.facts == [Problem("no-reply")]
    station.reply = REPLY
    station.run(2)
    station.reply = None
    station.run(2)
    assert station.of(Problem) == [Problem("no-reply")] * 2


# --- voice -----------------------------------------------------------------------------------------------------------


def test_a_clip_is_asked_for_until_it_plays_and_ends_when_it_was_heard():
    station = Prompt()
    station.driver.ask(Speak(3))
    station.run(0.35)
    assert {r.voice for r in station.shown} == {3}
    station.reply = replace(REPLY, voice=3)
    station.run(2)
    assert station.of(SpeechEnded) == []
    assert station.shown[-1].voice == 0
    station.reply = REPLY
    station.run(0.3)
    assert station.of(SpeechEnded) == [SpeechEnded(3, heard=True)]


def test_a_dead_speaker_holds_nothing_up():
    station = Prompt()
    for clip in (3, 1):
        station.driver.ask(Speak(clip))
    station.run(4)
    assert station.of(SpeechEnded) == [SpeechEnded(3, heard=False), SpeechEnded(1, heard=False)]
    assert len(station.of(Reading)) >= 38


def test_a_speaker_that_never_stops_ends_after_its_time():
    station = Prompt()
    station.reply = replace(REPLY, voice=3)
    station.driver.ask(Speak(3))
    station.driver.ask(Speak(1))
    station.run(14)
    assert station.of(SpeechEnded) == []
    station.run(4)
    assert station.of(SpeechEnded) == [SpeechEnded(3, heard=False), SpeechEnded(1, heard=False)]


def test_a_new_clip_waits_until_the_speaker_is_idle():
    station = Prompt()
    station.reply = replace(REPLY, voice=9)
    station.run(0.5)
    station.driver.ask(Speak(1))
    station.run(1)
    assert {r.voice for r in station.shown} == {0}
    station.reply = REPLY
    station.run(0.3)
    assert station.shown[-1].voice == 1


def test_a_full_voice_queue_drops_the_oldest_and_says_so():
    station = Prompt()
    for clip in range(1, 7):
        station.driver.ask(Speak(clip))
    station.run(8)
    assert [s.clip for s in station.of(SpeechEnded)] == [1, 2, 3, 4, 5, 6]
    asked = [r.voice for r in station.shown if r.voice]
    assert sorted(set(asked)) == [3, 4, 5, 6]


def test_speech_ends_without_any_reply():
    station = Prompt()
    station.reply = None
    station.driver.ask(Speak(3))
    station.run(5)
    assert station.of(SpeechEnded) == [SpeechEnded(3, heard=False)]


# --- documents and set points ----------------------------------------------------------------------------------------


def test_a_document_waits_for_a_ready_printer_and_is_sent_once():
    station = Prompt()
    station.reply = replace(REPLY, printer=1)
    station.driver.ask(PrintDocument(b"slip\x02\x03", copies=2))
    station.run(3)
    assert station.printed == []
    station.reply = REPLY
    station.run(5)
    assert station.printed == [frames.PrintRequest(0, b"slip\x02\x03", 2)]


def test_the_next_document_waits_until_the_printer_was_busy_and_is_ready_again():
    station = Prompt()
    station.driver.ask(PrintDocument(b"one"))
    station.driver.ask(PrintDocument(b"two"))
    station.run(0.3)
    station.reply = replace(REPLY, printer=2)
    station.run(5)
    assert [r.content for r in station.printed] == [b"one"]
    station.reply = REPLY
    station.run(0.5)
    assert [r.content for r in station.printed] == [b"one", b"two"]


def test_a_document_printed_between_two_looks_does_not_block_the_next():
    station = Prompt()
    station.driver.ask(PrintDocument(b"one"))
    station.driver.ask(PrintDocument(b"two"))
    station.run(6)
    assert [r.content for r in station.printed] == [b"one", b"two"]


def test_a_printer_that_was_not_heard_lately_is_not_ready():
    station = Prompt().run(1)
    station.reply = None
    station.run(1)
    station.driver.ask(PrintDocument(b"one"))
    station.run(3)
    assert station.printed == []


def test_a_station_that_does_not_answer_p_is_polled_on():
    station = Prompt()
    station.driver.ask(PrintDocument(b"x" * 4000))
    station.run(0.05)
    station.reply = None
    station.run(0.2)
    assert len(station.printed) == 1
    assert station.now >= 100.1 + 4009 / 960 + 0.3  # nothing else is sent while the document is on the wire
    station.reply = REPLY
    station.run(3)
    assert len(station.shown) > 10
    assert len(station.printed) == 1


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (PrintDocument(b"x" * 4001), "document-too-long"),
        (PrintDocument(b"x", copies=10), "bad-copies"),
        (PrintDocument(b"x", copies=0), "bad-copies"),
        (Speak(0), "bad-clip"),
        (Speak(100), "bad-clip"),
        (SetTemperatures(14, 5), "bad-temperatures"),
        (SetTemperatures(41, 5), "bad-temperatures"),
        (SetTemperatures(30, 16), "bad-temperatures"),
    ],
)
def test_what_the_station_cannot_do_is_refused(command, reason):
    station = Prompt()
    station.driver.ask(command)
    station.run(3)
    assert station.of(Problem) == [Problem(reason)]
    assert station.printed == []


def test_the_document_queue_is_bounded():
    station = Prompt()
    station.reply = replace(REPLY, printer=1)
    for _ in range(10):
        station.driver.ask(PrintDocument(b"x"))
    station.run(0.3)
    assert station.of(Problem) == [Problem("print-queue-full")] * 2


def test_refusals_are_bounded():
    driver = open_driver("suwol-1000")
    for _ in range(1000):
        driver.ask(Speak(0))
    assert len(driver.handle_timer(0.0)) == 16


def test_a_refusal_is_told_at_once():
    driver = open_driver("suwol-1000")
    driver.handle_timer(50.0)
    assert driver.get_timer() == 50.3
    driver.ask(Speak(0))
    assert driver.get_timer() <= 50.0
    assert driver.handle_timer(50.0) == [Problem("bad-clip")]
    assert driver.get_timer() == 50.3


def test_set_points_are_sent_once():
    station = Prompt()
    station.driver.ask(SetTemperatures(30, 5))
    station.run(2)
    sent = [r for r in station.requests if isinstance(r, frames.TemperatureRequest)]
    assert sent == [frames.TemperatureRequest(0, 30, 5)]


def test_bytes_are_handed_out_once_and_no_request_is_lost():
    driver = open_driver("suwol-1000")
    driver.handle_timer(0.0)
    driver.handle_timer(9.0)
    assert len(driver.to_send()) == 32
    assert driver.to_send() == b""


@pytest.mark.parametrize("options", [{"device_id": 10}, {"device_id": -1}, {"poll_interval_s": 0.0}])
def test_options_are_checked(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        open_driver("suwol-1000", **options)

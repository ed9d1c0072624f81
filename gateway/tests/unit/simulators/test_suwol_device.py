"""The simulated SUWOL-1000 keeps the protocol: mailbox, speaker, printer, and what its faults take away."""

import itertools
import random
from decimal import Decimal

import pytest

from scaleledger.domain.commands import Lamps, PrintDocument, SetTemperatures, Show, Speak
from scaleledger.domain.inputs import CardSeen, DeviceState, KeysEntered, Printer, SpeechEnded
from scaleledger.domain.reading import Reading, Status
from scaleledger.drivers import open_driver
from scaleledger.simulators.faults import FAULTS, SOUND, Faults, combine
from scaleledger.simulators.scenario import Indicator
from scaleledger.simulators.suwol_device import SuwolDevice
from scaleledger.wire import suwol_frames as frames

POLL = frames.encode_display(0, frames.display_weight("0"), frames.display_line(""), 0, 0)


def make_device(faults=SOUND, seed=1, **options):
    return SuwolDevice(Indicator(), random.Random(seed), faults=faults, **options)


def cards_in(answers):
    return [card.uid for a in answers if isinstance(card := frames.card_of(a.content), CardSeen)]


def converse(device, driver, seconds, start_s=0.0, at=()):
    """Let the real driver talk to the device on a virtual clock. `at`: (time, call) pairs. Returns (time, fact) pairs."""
    facts, line, todo = [], [], sorted(at, key=lambda pair: pair[0])
    for tick in range(int(seconds * 200)):
        now = start_s + tick / 200
        while todo and todo[0][0] <= now:
            todo.pop(0)[1](now)
        arrived = b"".join(content for due, content in line if due <= now)
        line = [(due, content) for due, content in line if due > now]
        facts += [(now, fact) for fact in driver.receive(now, arrived)] if arrived else []
        timer = driver.get_timer()
        if timer is not None and timer <= now:
            facts += [(now, fact) for fact in driver.handle_timer(now)]
        if request := driver.to_send():
            for answer in device.receive(now, request):
                due = max([now + 0.03 + answer.delay_s, *(at for at, _ in line)])
                line.append((due, answer.content))
    return facts


def of(kind, facts):
    return [fact for _, fact in facts if isinstance(fact, kind)]


def test_a_card_is_handed_out_once_though_polled_often():
    device = make_device()
    device.present_card(0.0, "A1B2C3D4")
    assert [cards_in(device.receive(0.1 * i, POLL)) for i in range(4)] == [["A1B2C3D4"], [], [], []]


def test_a_card_unread_for_three_seconds_is_gone():
    device = make_device()
    device.present_card(10.0, "A1B2C3D4")
    assert cards_in(device.receive(12.9, POLL)) == ["A1B2C3D4"]
    device.present_card(20.0, "A1B2C3D4")
    assert cards_in(device.receive(23.0, POLL)) == []


def test_the_newest_card_takes_the_slot_and_keys_have_their_own():
    device = make_device()
    device.present_card(0.0, "11111111")
    device.present_card(0.1, "22222222")
    device.press(0.1, "vehicle", "006575")
    [answer] = device.receive(0.2, POLL)
    assert cards_in([answer]) == ["22222222"]
    assert frames.keys_of(answer.content) == KeysEntered("vehicle", "006575")
    assert frames.keys_of(device.receive(0.3, POLL)[0].content) is None


def test_requests_are_answered_whole_and_only_to_the_own_number():
    device = make_device()
    other = frames.encode_display(3, frames.display_weight("0"), frames.display_line(""), 0, 0)
    assert device.receive(0.0, POLL[:20]) == []
    assert len(device.receive(0.1, POLL[20:] + other + POLL)) == 2


@pytest.mark.parametrize(
    ("load", "status", "weight"),
    [("412.5", Status.OK, "412.5"), ("1600", Status.OVERLOAD, "None"), ("0", Status.OK, "0.0")],
)
def test_the_reply_shows_what_stands_on_the_platform(load, status, weight):
    device = make_device()
    device.platform.put(0.0, Decimal(load))
    reading = frames.reading_of(device.receive(5.0, POLL)[0].content)
    assert isinstance(reading, Reading)
    assert (reading.status, str(reading.weight)) == (status, weight)


def test_a_clip_is_busy_while_it_plays_and_the_driver_sees_its_end():
    device, driver = make_device(clip_s={3: 1.0}), open_driver("suwol-1000")
    facts = converse(device, driver, 4, at=[(0.5, lambda _: driver.ask(Speak(3)))])
    assert [state.voice for state in of(DeviceState, facts)] == [0, 3, 0]
    assert of(SpeechEnded, facts) == [SpeechEnded(3, heard=True)]
    began, ended = (now for now, fact in facts if isinstance(fact, DeviceState) and now > 0.3)
    assert 0.7 < ended - began < 1.3


def test_a_dead_speaker_is_never_busy():
    device, driver = make_device(combine("dead-speaker")), open_driver("suwol-1000")
    facts = converse(device, driver, 4, at=[(0.5, lambda _: driver.ask(Speak(1)))])
    assert of(SpeechEnded, facts) == [SpeechEnded(1, heard=False)]
    assert {state.voice for state in of(DeviceState, facts)} == {0}
    assert device.signs_given == 0


def test_without_paper_nothing_is_printed_until_there_is_some():
    device, driver = make_device(combine("paper-out")), open_driver("suwol-1000")

    def add_paper(_):
        device.faults = SOUND

    driver.ask(PrintDocument(b"\x02slip\x03\n" * 20))
    facts = converse(device, driver, 6, at=[(3.0, add_paper)])
    assert [s.printer for s in of(DeviceState, facts)] == [Printer.NO_PAPER, Printer.READY, Printer.BUSY, Printer.READY]
    assert list(device.documents) == [b"\x02slip\x03\n" * 20]
    assert device.documents_refused == 0


def test_a_document_sent_to_a_busy_printer_is_lost():
    device = make_device()
    request = frames.encode_print(0, b"x" * 100, 1)
    device.receive(0.0, request)
    device.receive(0.1, request)
    assert (len(device.documents), device.documents_refused) == (1, 1)


def test_display_lamps_and_set_points_follow_the_requests():
    device, driver = make_device(), open_driver("suwol-1000")
    for command in (Show("412.5", "A1B2C3D4"), Lamps(green=True), SetTemperatures(28, 7)):
        driver.ask(command)
    facts = converse(device, driver, 1)
    assert device.display == ("+412.5", "B2C3D4")
    assert of(DeviceState, facts)[-1].green
    assert device.receive(1.1, POLL)[0].content[27:31] == b"2807"


@pytest.mark.parametrize("seed", range(5))
def test_late_replies_are_late_and_cost_no_card(seed):
    device, driver = make_device(Faults(late=0.2, late_s=0.7), seed), open_driver("suwol-1000")
    taps = [(1.0 + 2.5 * i, f"{i:08d}") for i in range(1, 12)]
    facts = converse(
        device, driver, 40, at=[(t, lambda now, uid=uid: device.present_card(now, uid)) for t, uid in taps]
    )
    assert [card.uid for card in of(CardSeen, facts)] == [uid for _, uid in taps]
    waits = [now - tap for (tap, uid) in taps for now, fact in facts if isinstance(fact, CardSeen) and fact.uid == uid]
    assert max(waits) > 0.7


def test_a_lost_reply_takes_its_card_with_it():
    device = make_device(Faults(lost=1.0))
    device.present_card(0.0, "A1B2C3D4")
    assert device.receive(0.1, POLL) == []
    device.faults = SOUND
    assert cards_in(device.receive(0.2, POLL)) == []


def test_a_garbled_reply_differs_in_one_byte_that_is_no_ascii():
    clean = make_device().receive(0.0, POLL)[0].content
    spoilt = make_device(Faults(garbled=1.0)).receive(0.0, POLL)[0].content
    [at] = [i for i in range(53) if clean[i] != spoilt[i]]
    assert spoilt[at] == clean[at] | 0x80


def test_a_power_cut_is_mute_and_forgets_lamps_and_mailbox():
    device = make_device()
    green = frames.encode_display(0, frames.display_weight("0"), frames.display_line(""), frames.GREEN, 1)
    device.receive(0.0, green)
    assert device.quiet_s(0.0) <= 0
    device.present_card(0.5, "A1B2C3D4")
    device.cut_power(0.6, 2.0)
    assert device.receive(1.0, POLL) == []
    [answer] = device.receive(2.7, POLL)
    assert cards_in([answer]) == []
    assert device.playing(2.7) == 0
    assert device.session == 2


def test_power_cuts_come_again_and_again_by_chance():
    device = make_device(Faults(power_off_every_s=5.0, power_off_s=1.0))
    mute = [not device.receive(t / 10, POLL) for t in range(1000)]
    cuts = sum(1 for before, after in itertools.pairwise(mute) if after and not before)
    assert 5 < cuts < 40
    assert any(mute)
    assert not all(mute)


def test_every_named_fault_changes_something_and_they_combine():
    assert all(combine(name) != SOUND for name in FAULTS)
    both = combine("dead-speaker", "late-replies")
    assert both.dead_speaker
    assert both.late
    with pytest.raises(KeyError):
        combine("no-such-fault")

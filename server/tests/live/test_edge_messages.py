"""What edges say over WebSocket, without a socket: envelopes, the order of deliveries, and what many words on a scale come to."""

from datetime import UTC, datetime

import pytest

from plants import event
from scaleledger_server.errors import Invalid
from scaleledger_server.live.edge_messages import Envelope, Presence, Step, Waiting, envelope, read_envelope
from scaleledger_server.shifts.edges import ScaleSaid

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "no json", "[]", "7", "{}", '{"type":7}', '{"type":null}', "[" * 5000, '{"type":"a","type":"b"}']
)
def test_what_is_no_envelope_is_refused(text):
    with pytest.raises(Invalid):
        read_envelope(text)


def test_an_envelope_that_was_made_here_is_read_again():
    text = envelope("event_ack", {"localEventId": "x", "weightGrams": 7}, 3, NOON)
    assert read_envelope(text) == Envelope("event_ack", {"localEventId": "x", "weightGrams": 7})
    assert f'"timestamp":"{NOON.isoformat()}","messageId":"cloud-3"' in text


def test_single_events_are_taken_together_and_none_overtakes_the_end_of_its_batch():
    waiting = Waiting()
    for number in range(3):
        waiting.put(Envelope("event", event(number)))
    waiting.put(Envelope("offline_batch_end", {"batchId": "b"}))
    waiting.put(Envelope("event_batch", {"events": [event(3), event(4)]}))
    waiting.put(Envelope("event", event(5)))
    assert (len(waiting), waiting.events) == (12, 6)
    assert [one["weightGrams"] for one in waiting.take()] == [1000, 1001, 1002]
    assert waiting.take() == Step("offline_batch_end", {"batchId": "b"})
    assert [one["weightGrams"] for one in waiting.take()] == [1003, 1004, 1005]
    assert waiting.take() is None
    assert len(waiting) == 0


def test_no_more_is_taken_at_once_than_one_transaction_holds():
    waiting = Waiting()
    for _ in range(3):
        waiting.put(Envelope("event_batch", {"events": [event(number) for number in range(300)]}))
    for number in range(150):
        waiting.put(Envelope("event", event(number)))
    sizes = []
    while (due := waiting.take()) is not None:
        sizes.append(len(due))
    assert sizes == [300, 300, 450]


@pytest.mark.parametrize("payload", [None, 7, {}, {"events": []}, {"events": "x"}, {"events": [{}] * 501}])
def test_a_batch_that_is_no_list_of_events_is_refused(payload):
    waiting = Waiting()
    with pytest.raises(Invalid):
        waiting.put(Envelope("event_batch", payload))
    assert waiting.take() is None


def test_of_many_words_on_a_scale_the_newest_on_each_fact_is_written():
    presence = Presence()
    presence.put(ScaleSaid("A", "online", "disassembly", "192.0.2.9"))
    presence.put(ScaleSaid("A", "idle", heartbeat_count=7))
    presence.put(ScaleSaid("B", "disconnected"))
    presence.put(ScaleSaid("A", heartbeat_count=8))
    assert presence.take() == [
        ScaleSaid("A", "idle", "disassembly", "192.0.2.9", 8),
        ScaleSaid("B", "disconnected"),
    ]
    assert not presence

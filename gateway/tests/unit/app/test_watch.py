"""What the watch says depends on the words of a station and on how its port stands."""

import pytest

from fakes.heard_log import HeardLog
from fakes.virtual_clock import running, virtual
from scaleledger.app.watch import LOOK_EVERY_S, Watch
from scaleledger.wire.link import LinkState, TransportStatus


class Port:
    def __init__(self):
        self.status = TransportStatus(LinkState.OPEN)


class Spoken:
    """A station whose silence is set by hand."""

    def __init__(self, name):
        self.name, self.silence, self.hears_bytes, self.transport = name, "", False, Port()

    def be(self, words, state=LinkState.OPEN, *, hears_bytes=False):
        self.silence, self.hears_bytes = words, hears_bytes
        self.transport.status = TransportStatus(state, words)


@pytest.fixture
def heard(monkeypatch):
    log = HeardLog()
    monkeypatch.setattr("scaleledger.app.watch.log", log)
    return log


def test_the_event_names_the_kind_of_silence(heard):
    station = Spoken("dock-1")
    watch = Watch([station])
    for words, state, hears_bytes in (
        ("no such port", LinkState.FAILED, False),
        ("no bytes", LinkState.OPEN, False),
        ("no frame", LinkState.OPEN, True),
        ("waiting for the device to dial in", LinkState.WAITING, False),
    ):
        station.be(words, state, hears_bytes=hears_bytes)
        watch.look()
    assert heard.events == ["hw.link_failed", "hw.silent", "hw.no_frame", "hw.silent"]
    assert heard.lines[0][1] == {"station": "dock-1", "what": "no such port"}


def test_each_change_is_said_once_per_station_and_recovery_is_silent(heard):
    one, two = Spoken("one"), Spoken("two")
    watch = Watch([one, two])
    for words in ("", "mute", "mute", "", "", "mute"):
        one.be(words)
        watch.look()
    two.be("mute")
    watch.look()
    watch.look()
    assert [fields["station"] for fields in heard.of("hw.silent")] == ["one", "one", "two"]


@virtual
async def test_it_looks_every_two_seconds_until_cancelled(heard):
    import asyncio

    station = Spoken("dock-1")
    async with running(Watch([station])):
        await asyncio.sleep(LOOK_EVERY_S - 0.1)
        station.be("mute")
        assert heard.lines == []
        await asyncio.sleep(0.2)
        assert heard.events == ["hw.silent"]

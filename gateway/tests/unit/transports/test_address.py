import time

import pytest

from scaleledger.transports import SCHEMES, open_transport
from scaleledger.transports.address import take_apart
from scaleledger.transports.serial_open import SerialSettings
from scaleledger.wire.link import LinkState

GOOD = [
    "serial:///dev/ttyUSB0",
    "serial:///dev/serial/by-id/usb-FTDI_FT232R-if00-port0?baud=4800&bits=7&parity=e&stop=2&flow=rtscts",
    "serial://COM3?stop=1.5",
    "tcp-listen://0.0.0.0:4001?idle_s=30&max_peers=2&max_per_address=1&allow=10.0.0.0/8,192.168.1.7&rate=100&burst=9",
    "tcp-listen://[::1]:4001",
    "tcp-listen://localhost:0",
    "tcp://scale-7.local:4001?idle_s=5.5",
    "tcp://[fe80::1]:4001",
    "replay:some/file.cap?speed=0",
    "loop:dock",
]
BAD = {
    "": "is no address",
    "/dev/ttyUSB0": "is no address",
    "seriel:///dev/ttyUSB0": "did you mean 'serial'?",
    "tcp_listen://0.0.0.0:1": "did you mean 'tcp-listen'?",
    "xyz:1": "known are loop, replay, serial, tcp, tcp-listen",
    "serial://": "names nothing",
    "serial:///dev/ttyS0?bauds=9600": "did you mean 'baud'?",
    "serial:///dev/ttyS0?baud": "key=value",
    "serial:///dev/ttyS0?baud=": "must be a number",
    "serial:///dev/ttyS0?baud=fast": "must be a number",
    "serial:///dev/ttyS0?baud=9600.5": "whole number",
    "serial:///dev/ttyS0?baud=nan": "must be from",
    "serial:///dev/ttyS0?bits=9": "from 5 to 8",
    "serial:///dev/ttyS0?parity=X": "one of N, E, O, M, S",
    "serial:///dev/ttyS0?baud=1200&baud=9600": "given twice",
    "tcp://10.0.0.5": "needs host:port",
    "tcp://:4001": "needs host:port",
    "tcp://10.0.0.5:70000": "needs host:port",
    "tcp://10.0.0.5:4001?allow=10.0.0.0/8": "no option 'allow'",
    "tcp-listen://scale.local:4001": "listen on an IP address",
    "tcp-listen://0.0.0.0:4001?allow=10.0.0.0/64": "no address or network",
    "tcp-listen://0.0.0.0:4001?max_peers=0": "from 1",
    "replay:x?speed=-1": "from 0",
    "loop:a?b=c": "takes no options",
}


@pytest.mark.parametrize("url", GOOD)
async def test_good_addresses_open_nothing_yet(url):
    transport = open_transport(url, clock=time)
    assert transport.url == url
    assert transport.status.state is LinkState.CLOSED


@pytest.mark.parametrize("url", BAD)
async def test_bad_addresses_are_said_in_words(url):
    with pytest.raises(ValueError) as said:
        open_transport(url, clock=time)
    assert BAD[url] in str(said.value)


def test_every_scheme_has_an_example():
    assert {url.partition(":")[0] for url in GOOD} == set(SCHEMES)


def test_serial_settings_are_read():
    given = SerialSettings.of(take_apart(GOOD[1], SCHEMES))
    assert given == SerialSettings("/dev/serial/by-id/usb-FTDI_FT232R-if00-port0", 4800, 7, "E", 2.0, "rtscts")
    assert SerialSettings.of(take_apart("serial:///COM12", SCHEMES)) == SerialSettings("COM12", 9600, 8, "N", 1.0)

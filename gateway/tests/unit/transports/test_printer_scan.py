"""The search for printers: bounded, only in private networks of this machine, and nothing is sent to anybody."""

import asyncio
import ipaddress

import pytest

from scaleledger.app.overview import ActionRefused
from scaleledger.bootstrap.printing import look_for_printers
from scaleledger.transports.printer_scan import networks_of, own_addresses, scan


async def test_it_finds_who_listens_and_sends_nothing():
    heard = []

    async def listen(reader, writer):
        heard.append(await reader.read())
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(listen, "127.0.0.3", 0)
    port = server.sockets[0].getsockname()[1]
    found = await scan([ipaddress.IPv4Network("127.0.0.0/29")], port=port)
    while not heard:
        await asyncio.sleep(0.001)
    server.close()
    assert (found, heard) == (["127.0.0.3"], [b""])


def test_only_private_networks_and_of_a_large_one_only_the_near_part():
    addresses = ["127.0.0.1", "169.254.1.1", "8.8.8.8", "0.0.0.0", "10.7.8.9", "10.7.8.10", "192.168.1.4"]
    assert [str(network) for network in networks_of(addresses)] == ["10.7.8.0/24", "192.168.1.0/24"]
    assert len(networks_of(f"10.0.{number}.1" for number in range(9))) == 4


def test_this_machine_knows_its_own_addresses():
    assert all(ipaddress.IPv4Address(address) for address in own_addresses())


@pytest.mark.parametrize("network", ["8.8.8.0/24", "127.0.0.0/24", "0.0.0.0/0", "nonsense", "::1/128"])
async def test_another_network_is_refused_in_words(network):
    with pytest.raises(ActionRefused):
        await look_for_printers(network)

"""From what the centre assigns to a section like the file's own: as strictly checked, and on a port it may have.

A centre is not trusted with every device of the machine: by default it may assign the serial ports that the gateway's own
scan shows, and nothing else.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from scaleledger.app.roster import AssignmentRefused
from scaleledger.config.load import faults_of, said_of
from scaleledger.config.model import Assignable, StationSection
from scaleledger.domain.assignment import AssignedStation, PortIdentity
from scaleledger.transports import SCHEMES
from scaleledger.transports.address import Address, take_apart

Ports = Sequence[Mapping[str, str | int | None]]
FAULTS_TOLD = 5


def section_of(assigned: AssignedStation, ports: Ports, assignable: Assignable) -> StationSection:
    """The section that runs an assigned station, its port bound. Raises AssignmentRefused with words."""
    if assignable == "none":
        raise AssignmentRefused('this gateway takes no stations from its centre ([[uplink]] stations = "none")')
    assert assigned.config is not None, "there is nothing to run"
    try:
        section = StationSection.model_validate({**assigned.config, "name": assigned.name})
    except ValidationError as invalid:
        raise AssignmentRefused("; ".join(said_of(error) for error in invalid.errors()[:FAULTS_TOLD])) from None
    faults = list(faults_of(section))
    if faults:
        raise AssignmentRefused("; ".join(f"{key}: {words}" for key, words in faults[:FAULTS_TOLD]))
    section = section.model_copy(update={"url": _bound(section.url, assigned.port, ports)})
    if assignable == "serial":
        for url in urls_of(section):
            _check_listed(take_apart(url, SCHEMES), ports)
    return section


def urls_of(section: StationSection) -> Iterator[str]:
    """The addresses that a station uses."""
    yield section.url
    if section.reader is not None:
        yield section.reader.url


def ports_of(section: StationSection) -> frozenset[str]:
    """What the station has for itself, in one spelling for all that names it; a replayed file may be shared."""
    found = set()
    for url in urls_of(section):
        address = take_apart(url, SCHEMES)
        if address.scheme == "serial":
            found.add(device_of(address))
        elif address.scheme == "tcp-listen":
            found.add(f"tcp-listen:{address.host_and_port()[1]}")
        elif address.scheme != "replay":
            found.add(f"{address.scheme}:{address.target}")
    return frozenset(found)


def device_of(address: Address) -> str:
    """The device that a serial address leads to, links followed."""
    return _real(address.target)


def _real(device: str) -> str:
    name = device.removeprefix("/")
    return name.upper() if name.upper().startswith("COM") else str(Path(device).resolve())


def _bound(url: str, wanted: PortIdentity, ports: Ports) -> str:
    """The address with the device that bears the USB names the centre gave; as it is when it gave none."""
    address = take_apart(url, SCHEMES)
    if address.scheme != "serial" or not (wanted.serial_number or wanted.location):
        return url
    found = [p for p in ports if not wanted.serial_number or p.get("serial_number") == wanted.serial_number]
    if not wanted.serial_number or len({_real(str(p["device"])) for p in found}) > 1:
        found = [p for p in found if p.get("location") == wanted.location]
    if not found:
        named = ", ".join(
            words
            for words in (
                wanted.serial_number and f"USB serial number {wanted.serial_number}",
                wanted.location and f"USB location {wanted.location}",
            )
            if words
        )
        raise AssignmentRefused(f"there is no port with {named} here; plug it in, or assign another", may_pass=True)
    _, mark, query = url.partition("?")
    return f"serial://{found[0]['device']}{mark}{query}"


def _check_listed(address: Address, ports: Ports) -> None:
    if address.scheme != "serial":
        raise AssignmentRefused(
            f'{address.url}: the centre may assign serial ports only; [[uplink]] stations = "any" allows more'
        )
    device = device_of(address)
    if device not in {_real(str(port["device"])) for port in ports}:
        there = ", ".join(str(port["device"]) for port in ports[:FAULTS_TOLD]) or "none"
        raise AssignmentRefused(
            f"{address.target} is not among the serial ports of this gateway ({there}); plug it in, or name it in "
            "[[uplink]] ports",
            may_pass=True,
        )

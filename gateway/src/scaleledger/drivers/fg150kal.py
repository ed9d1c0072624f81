r"""FG-150KAL, a Korean floor scale.

    ST , +000053.26 _kg\r\n      status, blank comma blank, sign, number, blank, underscore, unit

US unstable and OL overload (`OL , -------`) have the same shape. 2400 baud 7E1 on the serial port; on a converter set to
eight bits, `seven_bits` drops the parity bit. Source: devices/README.md of anmin82/cynow.
"""

from scaleledger.domain.reading import Reading
from scaleledger.wire import weightline
from scaleledger.wire.framing import Lines
from scaleledger.wire.listening import Listening


def driver(*, seven_bits: bool = False) -> Listening:
    """`seven_bits`: the port hands over the parity bit with each byte."""
    return Listening("fg-150kal", Lines(), weightline.decode, salvage=weightline.behind_noise, seven_bits=seven_bits)


def encode(reading: Reading) -> bytes:
    """The line the scale sends for `reading`; ValueError if it cannot (this scale prints no role)."""
    status, role, sign, digits, unit = weightline.columns(reading)
    if role:
        raise ValueError("an FG-150KAL line says neither gross nor net")
    if reading.weight is None:
        return f"{status} , -------{f' _{unit}' if unit else ''}\r\n".encode("ascii")
    return f"{status} , {sign}{digits:0>9} _{unit}\r\n".encode("ascii")

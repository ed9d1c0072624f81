"""Frames of the SUWOL-1000, both ways: the computer's requests and the station's replies.

    request D, 32 bytes    STX id D | sign 7 weight | 6 line | 000000 | 2 relays | 2 voice | 0000 ETX
    request P, 9 + n       STX id P | 4 length | 1 copies | n bytes of any value | ETX
    request T, 8 bytes     STX id T | 2 fan °C | 2 heater °C | ETX
    reply, 53 bytes        STX id cmd | 8 card | 1 kind 6 keys | 2 relays | 2 inputs | 2 voice | 3 °C | 2 fan 2 heater
                           | 1 printer | 4 reserved | 2 status , 2 type , sign 7 weight 2 unit | ETX

ASCII, no checksum. A relay digit is its value + 0x30, so ten is ":" (bits: 1 green, 2 red, 8 fan, 16 heater). Lengths
frame everything: STX and ETX may occur inside a document, and inside a damaged field.
Source: SUWOL-1000.md and suwol1000.py of donghyeon/scaleledger-client.
"""

import re
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation

from scaleledger.domain.inputs import CardSeen, DeviceState, KeysEntered, Printer, Problem
from scaleledger.domain.reading import Reading, Role, Status
from scaleledger.wire import fields
from scaleledger.wire.framing import Sized

STX, ETX = b"\x02", b"\x03"
DISPLAY_SIZE, REPLY_SIZE, TEMPERATURE_SIZE = 32, 53, 8
DOCUMENT_BYTES_MAX = 4000
GREEN, RED, FAN, HEATER = 0x01, 0x02, 0x08, 0x10
OVERFLOW = b"+-------"
NO_CARD = "00000000"
_WEIGHT_AT = 42  # behind the second comma

_KINDS = {b"N": "vehicle", b"C": "customer", b"M": "product", b"P": "reprint"}
_KIND_LETTERS = {kind: letter.decode() for letter, kind in _KINDS.items()}
_PRINTERS = {b"0": Printer.READY, b"1": Printer.NO_PAPER, b"2": Printer.BUSY}
_PRINTER_DIGITS = {printer: digit.decode() for digit, printer in _PRINTERS.items()}
_ROLES = {b"NT": Role.NET, b"GS": Role.GROSS, b"TR": Role.TARE, b"00": None}
_CARD = re.compile(rb"[0-9A-Za-z]{8}")
_DIGITS = re.compile(rb" *[0-9]+ *")


# --- what the computer sends -----------------------------------------------------------------------------------------


def display_weight(text: str) -> bytes:
    """The eight display columns for a weight text: sign and seven right-aligned; what does not fit shows as dashes."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        sign, shown = "+", text
    else:
        sign, shown = fields.printed(number) if number.is_finite() and -7 < number.adjusted() < 7 else ("+", "-" * 8)
    return (sign + _ascii(shown).rjust(7)).encode("ascii") if len(shown) <= 7 else OVERFLOW


def display_line(text: str) -> bytes:
    """The six columns of the lower line: right-aligned; of a longer text the last six characters are shown."""
    return _ascii(text[-6:]).rjust(6).encode("ascii")


def encode_display(device_id: int, weight: bytes, line: bytes, relays: int, voice: int) -> bytes:
    """A D request from `display_weight` and `display_line`; `relays` are GREEN and RED, `voice` 0 (none) to 99."""
    assert len(weight) == 8, "eight columns"
    assert len(line) == 6, "six columns"
    assert 0 <= voice <= 99, "two digits"
    return b"\x02%dD%b%b000000%b%02d0000\x03" % (device_id, weight, line, _relay_digits(relays), voice)


def encode_print(device_id: int, content: bytes, copies: int) -> bytes:
    """A P request; `content` may hold any byte."""
    assert len(content) <= DOCUMENT_BYTES_MAX, "asked for within the limit"
    assert 1 <= copies <= 9, "one digit"
    return b"\x02%dP%04d%d%b\x03" % (device_id, len(content), copies, content)


def encode_temperatures(device_id: int, fan_c: int, heater_c: int) -> bytes:
    """A T request."""
    assert 0 <= fan_c <= 99, "two digits"
    assert 0 <= heater_c <= 99, "two digits"
    return b"\x02%dT%02d%02d\x03" % (device_id, fan_c, heater_c)


def _ascii(text: str) -> str:
    return "".join(c if " " <= c <= "~" else "?" for c in text)


def _relay_digits(value: int) -> bytes:
    return bytes((0x30 + (value >> 4), 0x30 + (value & 0x0F)))


def _relay_value(digits: bytes) -> int | None:
    high, low = digits[0] - 0x30, digits[1] - 0x30
    return high << 4 | low if 0 <= high <= 15 and 0 <= low <= 15 else None


def _relay_bits(state: DeviceState) -> int:
    return GREEN * state.green | RED * state.red | FAN * state.fan | HEATER * state.heater


# --- what the station understands ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DisplayRequest:
    """A D request as a station reads it; texts with their padding stripped, `relays` as bits."""

    device_id: int
    weight: str
    line: str
    relays: int
    voice: int


@dataclass(frozen=True, slots=True)
class PrintRequest:
    """A P request."""

    device_id: int
    content: bytes
    copies: int


@dataclass(frozen=True, slots=True)
class TemperatureRequest:
    """A T request, °C."""

    device_id: int
    fan_c: int
    heater_c: int


Request = DisplayRequest | PrintRequest | TemperatureRequest


def request_framer() -> Sized:
    """Cuts what the computer sends into requests."""
    limit = DOCUMENT_BYTES_MAX + 9
    return Sized(STX, _request_size, lambda frame: frame.endswith(ETX), limit=limit)


def _request_size(head: bytes) -> int:
    match head[2:3]:
        case b"D":
            return DISPLAY_SIZE
        case b"T":
            return TEMPERATURE_SIZE
        case b"P" if len(head) < 7:
            return 0
        case b"P" if head[3:7].isdigit() and int(head[3:7]) <= DOCUMENT_BYTES_MAX:
            return 9 + int(head[3:7])
        case b"":
            return 0
    return -1


def decode_request(frame: bytes) -> Request | Problem:
    """One whole request frame; a Problem "bad-request" if any field is not what the layout says."""
    if _request_size(frame) == len(frame) and frame[1:2].isdigit() and frame.endswith(ETX):
        device_id = int(frame[1:2])
        match frame[2:3]:
            case b"D":
                relays, voice = _relay_value(frame[23:25]), fields.whole_number(frame[25:27])
                if relays is not None and voice is not None and frame[3:4] in b"+-" and frame[3:17].isascii():
                    weight, line = frame[3:11].decode("ascii"), frame[11:17].decode("ascii")
                    return DisplayRequest(device_id, weight[0] + weight[1:].strip(), line.strip(), relays, voice)
            case b"P" if frame[7:8] in b"123456789":
                return PrintRequest(device_id, frame[8:-1], int(frame[7:8]))
            case b"T" if frame[3:7].isdigit():
                return TemperatureRequest(device_id, int(frame[3:5]), int(frame[5:7]))
    return Problem("bad-request", frame)


# --- what the station answers ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply, field by field, as text in its full width where the width is fixed; `magnitude` is padded to seven."""

    device_id: int = 0
    command: str = "D"
    card: str = NO_CARD
    key_kind: str = "0"
    keys: str = "000000"
    relays: int = 0
    inputs: str = "00"
    voice: int = 0
    temperature_c: int = 25
    fan_c: int = 30
    heater_c: int = 5
    printer: int = 0
    status: str = "ST"
    kind: str = "NT"
    sign: str = "+"
    magnitude: str = "0.0"
    unit: str = "kg"


def encode_reply(reply: Reply) -> bytes:
    """The 53 bytes of a reply; ValueError if a field does not fit its width."""
    climate = f"{reply.voice:02d}{reply.temperature_c:03d}{reply.fan_c:02d}{reply.heater_c:02d}{reply.printer}0000"
    weight = f"{reply.status},{reply.kind},{reply.sign}{reply.magnitude:>7}{reply.unit:>2}"
    keys = f"{reply.card}{reply.key_kind}{reply.keys}"
    frame = b"\x02%d%b%b%b%b%b%b\x03" % (
        reply.device_id,
        reply.command.encode("ascii"),
        keys.encode("ascii"),
        _relay_digits(reply.relays),
        reply.inputs.encode("ascii"),
        climate.encode("ascii"),
        weight.encode("ascii"),
    )
    if (len(keys), len(climate), len(weight), len(frame)) != (15, 14, 16, REPLY_SIZE):
        raise ValueError(f"a field does not fit its width in {reply}")
    return frame


def with_reading(reply: Reply, reading: Reading) -> Reply:
    """`reply` showing `reading`; ValueError for what the station cannot say."""
    if reading.status is Status.NO_SIGNAL and reading.role is None:
        return replace(reply, status="00", kind="00", sign="+", magnitude="0000000", unit=reading.unit or "")
    kind = next(k for k, role in _ROLES.items() if role is reading.role).decode()
    if kind != "00" and reading.unit:
        if reading.status is Status.OVERLOAD:
            return replace(reply, status="OL", kind=kind, sign="+", magnitude="99999.9", unit=reading.unit)
        if reading.weight is not None and reading.stable is not None:
            sign, digits = fields.printed(reading.weight)
            status = "ST" if reading.stable else "US"
            return replace(reply, status=status, kind=kind, sign=sign, magnitude=digits, unit=reading.unit)
    raise ValueError(f"a SUWOL-1000 cannot say {reading}")


def with_keys(reply: Reply, entered: KeysEntered) -> Reply:
    """`reply` carrying a keypad entry."""
    return replace(reply, key_kind=_KIND_LETTERS[entered.kind], keys=entered.digits)


def with_state(reply: Reply, state: DeviceState) -> Reply:
    """`reply` telling `state`; ValueError if it leaves the printer or the temperature out."""
    if state.printer is None or state.temperature_c is None:
        raise ValueError("a SUWOL-1000 always tells printer and temperature")
    return replace(
        reply,
        relays=_relay_bits(state),
        inputs=state.inputs,
        voice=state.voice,
        temperature_c=state.temperature_c,
        printer=int(_PRINTER_DIGITS[state.printer]),
    )


# --- what the computer reads in an answer ----------------------------------------------------------------------------


def reply_framer() -> Sized:
    """Cuts what a station sends into replies. One that is damaged or cut only behind its second comma is still a reply,
    shorter where the next one begins too early: its card must live, and the commas prove that it is whole.
    """
    return Sized(STX, _reply_size, _is_reply, limit=REPLY_SIZE)


def _reply_size(head: bytes) -> int:
    if len(head) < REPLY_SIZE or head[REPLY_SIZE - 1 : REPLY_SIZE] == ETX:
        return REPLY_SIZE
    anew = head.find(STX, 1, REPLY_SIZE)
    return anew if anew >= _WEIGHT_AT else REPLY_SIZE


def _is_reply(frame: bytes) -> bool:
    return (len(frame) == REPLY_SIZE and frame.endswith(ETX)) or has_whole_card(frame)


def has_whole_card(reply: bytes) -> bool:
    """Whether the bytes from STX to the second comma stand where they should, whatever follows: none was lost."""
    head = reply[:_WEIGHT_AT]
    in_place = head[:1] == STX and head[1:2].isdigit() and head[2:3] in b"DPT" and head[38:39] == head[41:42] == b","
    return in_place and STX not in head[1:]


def is_shifted(reply: bytes) -> bool:
    """Whether neither comma is in its place: bytes were lost or added, and no field is where it seems to be."""
    return b"," not in {reply[38:39], reply[41:42]}


def card_of(reply: bytes) -> CardSeen | Problem | None:
    """The card in a reply; None for eight zeros or blanks. Problem: bad-card."""
    card = reply[3:11]
    if card in {b"00000000", b"        "}:
        return None
    return CardSeen(card.decode("ascii"), reply) if _CARD.fullmatch(card) else Problem("bad-card", reply)


def keys_of(reply: bytes) -> KeysEntered | Problem | None:
    """The keypad entry in a reply, or None. Problem: bad-keys."""
    kind, keys = reply[11:12], reply[12:18]
    if kind in b"0 " and keys in {b"000000", b"      "}:
        return None
    if kind in _KINDS and _DIGITS.fullmatch(keys):
        return KeysEntered(_KINDS[kind], keys.strip().decode("ascii"))
    return Problem("bad-keys", reply)


def reading_of(reply: bytes) -> Reading | Problem:
    """The weight in a reply; the status 00 or the type 00 means that no indicator is heard. Problem: bad-weight."""
    field = reply[36:52]
    status, kind, sign, digits = field[:2], field[3:5], field[6:7], field[7:14].strip(b" ")
    unit, weight = fields.unit(field[14:16]), fields.magnitude(digits, sign)
    if status not in {b"ST", b"US", b"OL", b"00"} or kind not in _ROLES or field[2:3] + field[5:6] != b",,":
        return Problem("bad-weight", reply)
    if b"00" in {status, kind}:
        return Reading(None, unit, None, Status.NO_SIGNAL, None, reply)
    if status == b"OL":
        return Reading(None, unit, None, Status.OVERLOAD, _ROLES[kind], reply)
    if unit is None or weight is None or sign not in b"+-":
        return Problem("bad-weight", reply)
    return Reading(weight, unit, status == b"ST", Status.OK, _ROLES[kind], reply)


def state_of(reply: bytes, before: DeviceState) -> tuple[DeviceState, list[Problem]]:
    """What the station says of itself. A field that cannot be read keeps its value of `before` and is a Problem:

    bad-relays, bad-inputs, bad-voice, bad-temperature, bad-set-points, bad-printer. A blank temperature is unknown.
    """
    bad = []
    relays = _relay_value(reply[18:20])
    if relays is None:
        bad.append("bad-relays")
        relays = _relay_bits(before)
    inputs = before.inputs
    if reply[20:22].isascii() and (text := reply[20:22].decode("ascii")).isprintable():
        inputs = text
    else:
        bad.append("bad-inputs")
    voice = int(reply[22:24]) if reply[22:24].isdigit() else None
    if voice is None:
        bad.append("bad-voice")
        voice = before.voice
    temperature = fields.whole_number(reply[24:27])
    if temperature is None and reply[24:27] != b"   ":
        bad.append("bad-temperature")
        temperature = before.temperature_c
    if not reply[27:31].isdigit():
        bad.append("bad-set-points")
    printer = _PRINTERS.get(reply[31:32])
    if printer is None:
        bad.append("bad-printer")
        printer = before.printer
    green, red, fan, heater = (bool(relays & bit) for bit in (GREEN, RED, FAN, HEATER))
    state = DeviceState(green, red, fan, heater, voice, printer, temperature, inputs)
    return state, [Problem(reason, reply) for reason in bad]

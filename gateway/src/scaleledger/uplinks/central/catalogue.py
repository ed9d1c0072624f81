"""The lists that a gateway fetches, sans-I/O: the stations assigned to it, and the market data with its cards.

Theory: a list is taken as a whole or not at all. One entry that is not the contract's casts doubt on all of them, and the
last good list is at hand; so a refusal names the entry, and nothing changes.

The catalogue may have 100,000 cards. It is taken apart entry by entry, in a thread, since parsing it in one call would hold
Python's lock, and with it every station, for a quarter of a second.

Source: contracts/stations.schema.json, contracts/catalogue.schema.json.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from scaleledger.domain.assignment import AssignedStation, Assignment, PortIdentity
from scaleledger.domain.catalogue import Card, Catalogue
from scaleledger.domain.errors import Disbelieved, NotOffered
from scaleledger.domain.gateway import CardStanding
from scaleledger.uplinks.central.enrolment import SELF
from scaleledger.uplinks.central.exchange import no_answer, refuse_credentials
from scaleledger.uplinks.exchange import Answer, Request, is_html, object_in, plain

STATIONS = SELF + "stations/"
CATALOGUE = "market/api/catalogue/"
STATIONS_MAX = 256
MOST = {"species": 10_000, "producers": 100_000, "rfid_cards": 100_000}
PORT_TEXTS = ("serial_port", "serial_number", "serial_location")
VERSION_MAX = 64
ID_MAX = 2**53 - 1
_BLANK = re.compile(r"[ \t\n\r]*")


class _Odd(ValueError):
    """What is not the contract's in a list."""


def _no_constant(name: str) -> Any:
    raise _Odd(f"{name} is no number")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def ask_stations(token: str, version: str) -> Request:
    """Which stations are assigned to us, if they are not those of `version`?"""
    return Request("GET", STATIONS, token=token, version=version)


def read_stations(answer: Answer) -> Assignment | None:
    """The assigned stations; None for no change. Raises NotOffered, CredentialsRefused, LinkError, Disbelieved."""
    what = "the question for the stations"
    if not _is_answered(answer, what):
        return None
    try:
        stations = _stations(_DECODER.decode(answer.body.decode()))
    except (ValueError, RecursionError) as error:
        raise Disbelieved(f"{what} was answered with a list that is not the contract's: {plain(str(error))}") from error
    return Assignment(_entity_tag(answer), stations)


def _stations(stated: Any) -> tuple[AssignedStation, ...]:
    if not isinstance(stated, list) or len(stated) > STATIONS_MAX:
        raise _Odd(f"it is no list of at most {STATIONS_MAX}")
    stations = tuple(_station(entry, place) for place, entry in enumerate(stated, start=1))
    names: set[str] = set()
    for station in stations:
        if station.name in names:
            raise _Odd(f"two stations are called {station.name!a}")
        names.add(station.name)
    return stations


def _station(entry: Any, place: int) -> AssignedStation:
    where = f"entry {place}"
    if not isinstance(entry, dict):
        raise _Odd(f"{where} is no object")
    name = _text(entry, "name", where, 1, 100)
    device, serial_number, location = (_text(entry, key, where, 0, 100) for key in PORT_TEXTS)
    config = entry.get("config")
    if config is not None and not isinstance(config, dict):
        raise _Odd(f"{where}: config is no object")
    json.dumps(config, ensure_ascii=False).encode()  # half a surrogate pair is no text; raises ValueError
    return AssignedStation(name, PortIdentity(device, serial_number, location), config)


def ask_catalogue(token: str, version: str) -> Request:
    """Which cards are there and what do they stand for, if that is not what `version` said?"""
    return Request("GET", CATALOGUE, token=token, version=version)


def read_catalogue(answer: Answer) -> Catalogue | None:
    """The market data; None for no change. Slow: for a thread. Raises as `read_stations`."""
    what = "the question for the market data"
    if not _is_answered(answer, what):
        return None
    try:
        return _catalogue(answer.body.decode())
    except (ValueError, RecursionError) as error:
        raise Disbelieved(f"{what} was answered with a list that is not the contract's: {plain(str(error))}") from error


def _catalogue(text: str) -> Catalogue:
    version: Any = None
    lists: dict[str, list[Any]] = {}
    for key, value in _members(text):
        if key == "version":
            version = value
        elif key in MOST and key in lists:
            raise _Odd(f"{key} is given twice")
        elif key in MOST:
            lists[key] = _list(key, value)
    if not isinstance(version, str) or not _is_version(version):
        raise _Odd("it has no version that a header could carry")
    if missing := MOST.keys() - lists:
        raise _Odd(f"{min(missing)} is missing")
    return Catalogue(version, _joined(lists["rfid_cards"], dict(lists["producers"]), dict(lists["species"])))


def _list(key: str, entries: Any) -> list[Any]:
    """The entries, checked, each as what `_joined` needs of it."""
    if not isinstance(entries, Iterator):
        raise _Odd(f"{key} is no list")
    read = _card if key == "rfid_cards" else _named
    found: list[Any] = []
    for place, entry in enumerate(entries, start=1):
        where = f"{key}, entry {place}"
        if place > MOST[key]:
            raise _Odd(f"{key} has more than {MOST[key]} entries")
        if not isinstance(entry, dict):
            raise _Odd(f"{where} is no object")
        found.append(read(entry, where))
    return found


def _named(entry: dict[str, Any], where: str) -> tuple[int, str]:
    return _id(entry, "id", where), _text(entry, "name", where, 1, 100)


def _card(entry: dict[str, Any], where: str) -> tuple[str, int, int, bool]:
    active = entry.get("is_active")
    if not isinstance(active, bool):
        raise _Odd(f"{where}: is_active is not true or false")
    return _text(entry, "uid", where, 1, 50), _id(entry, "producer", where), _id(entry, "species", where), active


def _joined(
    cards: list[tuple[str, int, int, bool]], producers: dict[int, str], species: dict[int, str]
) -> dict[str, Card]:
    found: dict[str, Card] = {}
    for uid, producer, kind, active in cards:
        if uid in found:
            raise _Odd(f"card {uid!a} is given twice")
        if producer not in producers or kind not in species:
            raise _Odd(f"card {uid!a} stands for a producer or species that is not in the list")
        standing = CardStanding.KNOWN if active else CardStanding.INACTIVE
        found[uid] = Card(standing, producers[producer], species[kind])
    return found


def _members(text: str) -> Iterator[tuple[str, Any]]:
    """The members of the JSON object in `text`, in order; a list comes as an iterator over its entries."""
    at = _expect(text, 0, "{")
    while text[at : at + 1] != "}":
        key, at = _DECODER.raw_decode(text, at)
        if not isinstance(key, str):
            raise _Odd("a key is no text")
        at = _expect(text, at, ":")
        if text[at : at + 1] == "[":
            entries = _Entries(text, at)
            yield key, entries
            for _ in entries:
                pass
            at = entries.end + 1
        else:
            value, at = _DECODER.raw_decode(text, at)
            yield key, value
        at = _after(text, at, "}")
    if _BLANK.fullmatch(text, at + 1) is None:
        raise _Odd("more follows after its end")


class _Entries(Iterator[Any]):
    """The entries of the list at `text[at]`; `end` is the place of its closing bracket, once it is exhausted."""

    def __init__(self, text: str, at: int) -> None:
        self._text = text
        self.end = _expect(text, at, "[")

    def __next__(self) -> Any:
        if self._text[self.end : self.end + 1] == "]":
            raise StopIteration
        entry, at = _DECODER.raw_decode(self._text, self.end)
        self.end = _after(self._text, at, "]")
        return entry


def _expect(text: str, at: int, character: str) -> int:
    """The place of what follows after blanks, this character and more blanks."""
    at = _skip(text, at)
    if text[at : at + 1] != character:
        raise _Odd(f"{character} is missing at character {at}")
    return _skip(text, at + 1)


def _after(text: str, at: int, closing: str) -> int:
    """The place of the next element, or of the closing character. A comma is followed by another element."""
    at = _skip(text, at)
    if text[at : at + 1] == closing:
        return at
    at = _expect(text, at, ",")
    if text[at : at + 1] == closing:
        raise _Odd(f"nothing follows the comma before character {at}")
    return at


def _skip(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    assert match is not None, "an empty match is one"
    return match.end()


def _text(entry: dict[str, Any], key: str, where: str, least: int, most: int) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not least <= len(value) <= most:
        raise _Odd(f"{where}: {key} is no text of {least} to {most} characters")
    value.encode()  # half a surrogate pair is no text; raises ValueError
    return value


def _id(entry: dict[str, Any], key: str, where: str) -> int:
    value = entry.get(key)
    if type(value) is not int or not 1 <= value <= ID_MAX:
        raise _Odd(f"{where}: {key} is no number of the contract")
    return value


def _is_answered(answer: Answer, what: str) -> bool:
    """Whether there is a list to read. Raises for every answer that is neither a list nor "unchanged"."""
    if answer.status == 304:
        return False
    if answer.status in {404, 405} and not is_html(answer) and object_in(answer) is not None:
        raise NotOffered(f"{what} is not one that this centre knows")
    refuse_credentials(answer)
    if answer.status != 200:
        raise no_answer(answer, what)
    if is_html(answer):
        raise Disbelieved(f"{what} was answered 200, but with a page")
    return True


def _entity_tag(answer: Answer) -> str:
    """RFC 9110 §8.8.3, without quotes and without the mark of a weak one; empty when there is none we could send back."""
    tag = answer.headers.get("etag", "").strip().removeprefix("W/")
    good = len(tag) > 2 and tag[0] == tag[-1] == '"' and len(tag) <= VERSION_MAX + 2
    bare = tag[1:-1] if good else ""
    return bare if _is_version(bare) else ""


def _is_version(text: str) -> bool:
    """Whether it could be sent back as an entity tag."""
    return 1 <= len(text) <= VERSION_MAX and text.isascii() and text.isprintable() and '"' not in text

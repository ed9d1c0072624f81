"""Reading the configuration: TOML file, then the environment, then the checks that need to know drivers and ports.

Nothing is opened and nothing is touched here; every fault is one line that names file, key and, for a typo, the nearest
name there is.
"""

import difflib
import os
import ssl
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource

from scaleledger.app.clock import SystemClock
from scaleledger.config.model import AnyUplink, Config, StationSection
from scaleledger.config.plant import ListenerSection
from scaleledger.config.seeds import with_seed_names
from scaleledger.domain.errors import ScaleLedgerError
from scaleledger.domain.station import Mode
from scaleledger.drivers import WITH_CARDS, open_driver
from scaleledger.observe.log import SECRETS
from scaleledger.transports import open_transport
from scaleledger.wire import fields

CARDS_FILE_BYTES = 16_000_000
KEY_CHARS_MAX = 100
GIVEN_CHARS_MAX = 100


class ConfigError(ScaleLedgerError):
    """The configuration cannot be used. `faults` are sentences, one per fault."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = list(faults)
        super().__init__("\n".join(self.faults))


def load_config(path: Path) -> Config:
    """The configuration in `path`, overridden by the environment, also in the first gateways' names. Raises ConfigError."""
    try:
        written = tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as failure:
        raise ConfigError([f"{path}: cannot be read: {failure.strerror}"]) from failure
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as failure:
        raise ConfigError([f"{path}: is not TOML: {failure}"]) from failure

    said, faults = with_seed_names(written, os.environ)
    if faults:
        raise ConfigError(faults)

    class FromFile(Config):
        """The configuration of this one file."""

        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *_: PydanticBaseSettingsSource, **sources: PydanticBaseSettingsSource
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return sources["env_settings"], InitSettingsSource(settings_cls, said)

    try:
        config = FromFile()
    except ValidationError as invalid:
        raise ConfigError(_in_words(path, error) for error in invalid.errors()) from None
    faults = list(_beyond_the_schema(path, config))
    if faults:
        raise ConfigError(faults)
    return config


def known_cards(path: Path, config: Config) -> frozenset[str] | None:
    """The cards that are known here, or None if every card is. Raises ConfigError if the card file cannot be read."""
    cards = set(config.cards.known)
    if config.cards.file is not None:
        file = path.parent / config.cards.file
        try:
            lines = file.read_text(encoding="utf-8").splitlines() if file.stat().st_size <= CARDS_FILE_BYTES else None
        except (OSError, UnicodeDecodeError) as failure:
            raise ConfigError([f"{path}: cards.file: {file} cannot be read: {failure}"]) from failure
        if lines is None:
            raise ConfigError([f"{path}: cards.file: {file} is larger than {CARDS_FILE_BYTES // 1_000_000} MB"])
        cards |= {line.split()[0] for line in lines if line.strip() and not line.lstrip().startswith("#")}
    return frozenset(cards) if cards else None


def _in_words(path: Path, error: ErrorDetails) -> str:
    return f"{path}: {said_of(error, Config)}"


def said_of(error: ErrorDetails, model: type[BaseModel] = StationSection) -> str:
    """One fault that the schema of `model` found: key and words, bounded, since a stranger may have written the section."""
    place = _place(error)
    key = ".".join(place)
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(place[-1], _names_at(model, place[:-1]), n=1, cutoff=0.5)
        return f"{key}: no such key" + (f"; did you mean {near[0]!r}?" if near else "")
    if error["type"] == "missing":
        return f"{key}: is required and missing"
    return f"{key}: {error['msg'].removeprefix('Value error, ')} (given: {_given(place, error['input'])})"


def _given(place: list[str], value: object) -> str:
    """A value as it may be told: no secret, and no list or table, which may hold one."""
    if any(part in SECRETS for part in place):
        return "a secret, which is not shown"
    if isinstance(value, dict | list | tuple):
        return "a table" if isinstance(value, dict) else "a list"
    return repr(value)[:GIVEN_CHARS_MAX]


def _place(error: ErrorDetails) -> list[str]:
    """Where it is, as a person reads the file: the kind of an uplink is no key of its own."""
    parts = [str(part)[:KEY_CHARS_MAX] for part in error["loc"]]
    if parts[:1] == ["uplink"] and parts[2:3] and parts[2] in {"central", "carnitrack"}:
        del parts[2]
    return parts


def _names_at(top: type[BaseModel], place: list[str]) -> list[str]:
    """The keys that may stand in the section at `place`."""
    model: Any = top
    for part in place:
        if part.isdigit():
            continue
        field = model.model_fields.get(part)
        if field is None:
            return []
        model = next((m for m in _models_in(field.annotation)), None)
        if model is None:
            return []
    return list(model.model_fields)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _beyond_the_schema(path: Path, config: Config) -> Iterator[str]:
    yield from (f"{path}: {words}" for words in _faults_of_sources(config))
    if config.log.file is not None and not (path.parent / config.log.file).parent.is_dir():
        yield f"{path}: log.file: there is no folder {(path.parent / config.log.file).parent}"
    if len({uplink.type for uplink in config.uplink}) < len(config.uplink):
        yield f"{path}: uplink: at most one [[uplink]] of each type"
    for n, uplink in enumerate(config.uplink):
        yield from _check_uplink(path, f"uplink.{n}", uplink)


def _faults_of_sources(config: Config) -> Iterator[str]:
    """What is wrong with stations and listeners, which share the names that stand in the records."""
    names: set[str] = set()
    for n, station in enumerate(config.station):
        key = f"station.{n}"
        if station.name in names:
            yield f"{key}.name: {station.name!r} is used twice; every record names its station"
        names.add(station.name)
        yield from (f"{key}.{place}: {words}" for place, words in faults_of(station))
    for n, listener in enumerate(config.listener):
        key = f"listener.{n}"
        if listener.name in names:
            yield f"{key}.name: {listener.name!r} is used twice; every listener and station has its own"
        names.add(listener.name)
        yield from (f"{key}.{place}: {words}" for place, words in _faults_of_listener(listener))
    assigns = config.central is not None and config.central.stations != "none"
    if not config.station and not config.listener and not assigns:
        yield "station: at least one [[station]] or [[listener]] is needed, or an [[uplink]] that may assign stations"


def faults_of(station: StationSection) -> Iterator[tuple[str, str]]:
    """What is wrong with a station beyond its schema: key and words."""
    if station.unit is not None:
        try:
            fields.known_unit(station.unit)
        except ValueError as wrong:
            yield "unit", str(wrong)
    yield from _faults_of_port("", station.driver, station.url, station.options)
    if station.mode is Mode.TAG and station.reader is None and station.driver not in WITH_CARDS:
        yield "mode", '"tag" needs cards: add a reader table, or an indicator with a reader of its own'
    if station.reader is not None:
        yield from _faults_of_port("reader.", station.reader.driver, station.reader.url, station.reader.options)


def _faults_of_listener(listener: ListenerSection) -> Iterator[tuple[str, str]]:
    """What its driver refuses of the listener's own words, and of each scale's, whose driver is opened when it dials in."""
    read = {"unit": listener.unit, "decimals": listener.decimals, "codepage": listener.codepage}
    faults = list(_faults_of_port("", listener.driver, listener.url, read))
    yield from faults
    if faults:
        return
    for n, scale in enumerate(listener.scale):
        own = {key: told for key in read if (told := getattr(scale, key)) is not None}
        try:
            open_driver(listener.driver, **(read | own))
        except (ValueError, TypeError) as wrong:
            yield f"scale.{n}", str(wrong)


def _faults_of_port(place: str, driver: str, url: str, options: dict[str, Any]) -> Iterator[tuple[str, str]]:
    try:
        open_driver(driver, **options)
    except (ValueError, TypeError) as wrong:
        yield f"{place}driver", str(wrong)
    try:
        open_transport(url, clock=SystemClock())
    except ValueError as wrong:
        yield f"{place}url", str(wrong)


def _check_uplink(path: Path, key: str, uplink: AnyUplink) -> Iterator[str]:
    try:
        urlsplit(uplink.url).port  # noqa: B018 - reading it checks it
    except ValueError as wrong:
        yield f"{path}: {key}.url: {wrong} (given: {uplink.url!r})"
    if uplink.ca_file is not None:
        file = path.parent / uplink.ca_file
        try:
            ssl.create_default_context(cafile=file)
        except OSError as failure:
            yield f"{path}: {key}.ca_file: {file} cannot be used: {failure.strerror or 'it holds no certificate'}"

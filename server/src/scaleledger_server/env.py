"""Reading the environment: a value that cannot be meant stops the start, in words that name the variable.

Guessing at a misspelt setting would only move the surprise to a day when nobody is looking.
"""

import os
import secrets
import stat
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.exceptions import ImproperlyConfigured

YES, NO = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off", ""})
SECRET_CHARS_MIN = 32
SQLITE_OPTIONS = {
    "timeout": 20,
    "transaction_mode": "IMMEDIATE",  # a writer waits its turn at BEGIN, never fails halfway
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL",
}
POOL = {"min_size": 2, "max_size": 16, "timeout": 5}


def text(name: str, default: str = "") -> str:
    """The variable without surrounding blanks, or `default` when it is unset or empty."""
    return os.environ.get(name, "").strip() or default


def flag(name: str, *, default: bool = False) -> bool:
    """A switch: 1, true, yes, on or 0, false, no, off."""
    value = os.environ.get(name)
    if value is None:
        return default
    word = value.strip().lower()
    if word in YES:
        return True
    if word in NO:
        return False
    raise ImproperlyConfigured(f"{name}={value!r} is neither yes nor no. Write 1 or 0.")


def number(name: str, default: int, *, low: int, high: int) -> int:
    """A whole number within its bounds."""
    value = text(name)
    if not value:
        return default
    if not (value.isascii() and value.isdigit() and low <= int(value) <= high):
        raise ImproperlyConfigured(f"{name}={value!r} must be a whole number from {low} to {high}.")
    return int(value)


def words(name: str, default: list[str]) -> list[str]:
    """A list parted by commas."""
    return [word.strip() for word in text(name).split(",") if word.strip()] or default


def choice(name: str, default: str, allowed: tuple[str, ...]) -> str:
    """One of a few words."""
    value = text(name, default).lower()
    if value not in allowed:
        raise ImproperlyConfigured(f"{name}={value!r} must be {' or '.join(allowed)}.")
    return value


def networks(name: str) -> list[IPv4Network | IPv6Network]:
    """Networks or single addresses, parted by commas: `192.168.4.0/24, ::1`."""
    try:
        return [ip_network(word) for word in words(name, [])]
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {error}. Write networks such as 192.168.4.0/24.") from error


def folder(name: str, default: Path) -> Path:
    """An absolute path that is not some other kind of file; it need not exist yet."""
    path = Path(text(name, str(default))).expanduser().absolute()
    if path.exists() and not path.is_dir():
        raise ImproperlyConfigured(f"{name}: {path} is not a folder. Name a folder the server may write to.")
    return path


def database(names: tuple[str, ...], sqlite_file: Path) -> dict[str, Any]:
    """Django's settings for the database that the first set variable names, else for SQLite in `sqlite_file`.

    `postgresql://user:password@host:port/name?sslmode=verify-full`: what stands after `?` goes to the driver. A host that is a
    path (a socket's folder) is written percent-encoded.
    """
    name = next((name for name in names if text(name)), "")
    if not name:
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": sqlite_file, "OPTIONS": dict(SQLITE_OPTIONS)}
    url = urlsplit(text(name))
    if url.scheme not in {"postgresql", "postgres"} or len(url.path) < 2 or not _good_port(url):
        raise ImproperlyConfigured(f"{name} must look like postgresql://user:password@host:5432/name.")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(url.path[1:]),
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": unquote(url.hostname or ""),
        "PORT": str(url.port or ""),
        "OPTIONS": {"pool": dict(POOL), "options": "-c synchronous_commit=on", **dict(parse_qsl(url.query))},
    }


def _good_port(url: SplitResult) -> bool:
    try:
        return url.port != 0
    except ValueError:
        return False


def redis(names: tuple[str, ...]) -> str:
    """The URL that the first set variable holds, `redis://user:password@host:6379/0`, `rediss://…` or `unix:///path`; "" for none."""
    name = next((name for name in names if text(name)), "")
    if not name:
        return ""
    url = urlsplit(text(name))
    by_net = url.scheme in {"redis", "rediss"} and url.hostname and _good_port(url)
    if not by_net and not (url.scheme == "unix" and url.path):
        raise ImproperlyConfigured(f"{name} must look like redis://user:password@host:6379/0, or rediss:// with TLS.")
    return text(name)


def mail(name: str) -> dict[str, Any] | None:
    """How to reach the mail server, by the names of Django's SMTP backend; None when the variable is unset.

    `smtp://user:password@host:587` begins with STARTTLS, `smtps://host:465` with TLS, `smtp+plain://host:25` with neither.
    """
    value = text(name)
    if not value:
        return None
    url = urlsplit(value)
    ports = {"smtp": 587, "smtps": 465, "smtp+plain": 25}
    try:
        port = url.port or ports[url.scheme]
    except (KeyError, ValueError):
        port = 0
    if not port or not url.hostname:
        raise ImproperlyConfigured(f"{name} must look like smtp://user:password@host:587 or smtps://host:465.")
    return {
        "host": url.hostname,
        "port": port,
        "username": unquote(url.username or ""),
        "password": unquote(url.password or ""),
        "use_tls": url.scheme == "smtp",
        "use_ssl": url.scheme == "smtps",
        "timeout": 10,
    }


def zone(name: str, default: str) -> str:
    """A time zone of the IANA list."""
    value = text(name, default)
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ImproperlyConfigured(f"{name}={value!r} is no time zone. Write one such as Asia/Seoul or UTC.") from error
    return value


def secret_key(name: str, kept_in: Path) -> str:
    """The secret from `name`, else from the file in `name`_FILE, else from `kept_in`, made there (0600) if missing."""
    value, file = text(name), text(f"{name}_FILE")
    if not value and file:
        try:
            value = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ImproperlyConfigured(f"{name}_FILE: {file} cannot be read: {error}.") from error
    if not value and not file:
        return _kept_secret(kept_in)
    if len(value) < SECRET_CHARS_MIN:
        raise ImproperlyConfigured(f"{name} is too short: give at least {SECRET_CHARS_MIN} random characters.")
    return value


def _kept_secret(path: Path) -> str:
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(64))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)  # unlike a rename, this never replaces what another starting process made
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ImproperlyConfigured(f"{path} can be read by others. Run: chmod 600 {path}")
    value = path.read_text(encoding="ascii").strip()
    if len(value) < SECRET_CHARS_MIN:
        raise ImproperlyConfigured(
            f"{path} holds no usable secret. Restore it from a backup; without it every token ends."
        )
    return value

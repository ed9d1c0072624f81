"""Transport addresses: `scheme:target?key=value`, taken apart strictly, so that a typo is said at once and in words."""

import ipaddress
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from urllib.parse import parse_qsl

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def nearest(word: str, known: Collection[str]) -> str:
    """A hint for a mistyped `word`: the nearest known one, else all of them."""
    close = get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(sorted(known))}"


@dataclass(frozen=True, slots=True)
class Address:
    """A transport's URL in parts. Every reader of an option raises ValueError in words when the text is no good."""

    url: str
    scheme: str
    target: str
    options: Mapping[str, str] = field(default_factory=dict)

    def only(self, *keys: str) -> None:
        """Refuse every option that is not one of `keys`."""
        for key in self.options:
            if key not in keys:
                hint = nearest(key, keys) if keys else f"{self.scheme}: takes no options"
                raise ValueError(f"{self.url}: no option {key!r}; {hint}")

    def number(self, key: str, default: float, *, least: float = 0, most: float = 1e9) -> float:
        """The option as a number between `least` and `most`."""
        text = self.options.get(key)
        if text is None:
            return default
        try:
            value = float(text)
        except ValueError:
            raise ValueError(f"{self.url}: {key} must be a number, not {text!r}") from None
        if not least <= value <= most:
            raise ValueError(f"{self.url}: {key} must be from {least:g} to {most:g}, not {text}")
        return value

    def count(self, key: str, default: int, *, least: int = 0, most: int = 10**9) -> int:
        """The option as a whole number."""
        value = self.number(key, default, least=least, most=most)
        if value != int(value):
            raise ValueError(f"{self.url}: {key} must be a whole number, not {self.options[key]!r}")
        return int(value)

    def choice(self, key: str, default: str, allowed: Collection[str]) -> str:
        """The option as one of a few words; case does not matter."""
        text = self.options.get(key, default)
        for word in allowed:
            if word.lower() == text.lower():
                return word
        raise ValueError(f"{self.url}: {key} must be one of {', '.join(allowed)}, not {text!r}")

    def networks(self, key: str) -> tuple[Network, ...]:
        """The option as addresses or networks in CIDR form, parted by commas; empty when absent."""
        found = []
        for text in filter(None, self.options.get(key, "").split(",")):
            try:
                found.append(ipaddress.ip_network(text.strip(), strict=False))
            except ValueError:
                raise ValueError(f"{self.url}: {key}: {text!r} is no address or network, as 10.0.0.0/8 is") from None
        return tuple(found)

    def host_and_port(self) -> tuple[str, int]:
        """The target as `host:port` (IPv6 in brackets)."""
        host, colon, port = self.target.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
            raise ValueError(f"{self.url}: needs host:port, as in {self.scheme}://10.0.0.5:4001")
        return host, int(port)


def take_apart(url: str, schemes: Collection[str]) -> Address:
    """Split a URL; raises ValueError for a scheme that is not one of `schemes`, and for a malformed query."""
    scheme, colon, rest = url.partition(":")
    if not colon:
        raise ValueError(f"{url!r} is no address: it must begin with {', '.join(f'{s}:' for s in schemes)}")
    if scheme not in schemes:
        raise ValueError(f"{url}: no transport {scheme!r}; {nearest(scheme, schemes)}")
    target, mark, query = rest.removeprefix("//").partition("?")
    if not target:
        raise ValueError(f"{url}: names nothing after {scheme}:")
    options: dict[str, str] = {}
    if mark:
        try:
            pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, max_num_fields=32)
        except ValueError:
            raise ValueError(f"{url}: options must be key=value, parted by &") from None
        for key, value in pairs:
            if key in options:
                raise ValueError(f"{url}: {key} is given twice")
            options[key] = value
    return Address(url, scheme, target, options)

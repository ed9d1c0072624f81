"""Who may use the gateway's own pages."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Person:
    """A login: `password` is a salted hash, `role` "admin" or "viewer"."""

    name: str
    password: str
    role: str


@dataclass(frozen=True, slots=True)
class Token:
    """A program's token; of the token itself only the SHA-256 (hex) is kept. `role` as of a person."""

    name: str
    digest: str
    role: str

"""Lets people in: the first by the setup code, the others by name and password, programs by a token.

The setup code is made when no login exists, told to whoever can read the gateway's log or its data folder, and gone after use.
Five wrong guesses, or a quarter of an hour, make it worthless, and another one takes its place.
"""

import asyncio
import hashlib
import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from scaleledger.domain.logins import Person, Token
from scaleledger.domain.standing import CLAIM_CHARACTERS
from scaleledger.observe.log import get_logger
from scaleledger.web.access import Access
from scaleledger.web.attempts import Attempts
from scaleledger.web.passwords import fault_of, hash_password, matches
from scaleledger.web.sessions import Sessions, Visitor, same

log = get_logger()

SETUP_FILE = "setup-code"
SETUP_TRIES = 5
SETUP_S = 900.0
LOGINS_MAX = 50
TOKENS_MAX = 50
NAME_CHARACTERS_MAX = 50
_CODE = (3, 4)  # groups, characters in each
_MISTAKEN = str.maketrans("OIL", "011")


class LoginShelf(Protocol):
    """Where logins and tokens are kept."""

    async def people(self) -> Sequence[Person]: ...

    async def keep_person(self, person: Person) -> None:
        """Insert or replace by name."""
        ...

    async def drop_person(self, name: str) -> None: ...

    async def tokens(self) -> Sequence[Token]: ...

    async def keep_token(self, token: Token) -> None:
        """Insert or replace by name."""
        ...

    async def drop_token(self, name: str) -> None: ...


class Refused(Exception):
    """Nobody was let in, or nothing was changed; the words are for the person. `wait_s`: not before this time."""

    def __init__(self, words: str, wait_s: float = 0.0) -> None:
        super().__init__(words)
        self.wait_s = wait_s


class Doorkeeper:
    """Knows who may come in. Call `open` once before anything else; `folder` is the private data folder."""

    def __init__(
        self, shelf: LoginShelf, folder: Path, monotonic: Callable[[], float], lifetime_s: float = 43_200.0
    ) -> None:
        self._shelf, self._file = shelf, folder / SETUP_FILE
        self._monotonic = monotonic
        self._attempts = Attempts(monotonic)
        self.sessions = Sessions(monotonic, lifetime_s)
        self._people: dict[str, Person] = {}
        self._tokens: dict[str, Token] = {}
        self._code, self._tries, self._code_until = "", 0, 0.0
        self._change = asyncio.Lock()

    @property
    def needs_setup(self) -> bool:
        """Whether nobody can log in yet."""
        return not self._people

    @property
    def people(self) -> list[Person]:
        """All logins, by name."""
        return sorted(self._people.values(), key=lambda person: person.name)

    @property
    def tokens(self) -> list[Token]:
        """All tokens, by name."""
        return sorted(self._tokens.values(), key=lambda token: token.name)

    async def open(self) -> None:
        """Load what is kept; without any login, make a setup code and tell it."""
        self._people = {person.name: person for person in await self._shelf.people()}
        self._tokens = {token.digest: token for token in await self._shelf.tokens()}
        if self.needs_setup:
            self._make_code()
        else:
            self._file.unlink(missing_ok=True)

    def renew_code(self) -> bool:
        """Make another setup code, and tell it, if the present one is too old. Call when somebody opens the setup page."""
        if not self.needs_setup or self._monotonic() < self._code_until:
            return False
        self._make_code()
        return True

    async def set_up(self, address: str, code: str, name: str, password: str) -> str:
        """Make the first login with the setup code; returns what the cookie holds. Raises Refused."""
        self._may_try(address)
        async with self._change:
            if not self.needs_setup:
                raise Refused("This gateway is set up already. Log in with a name and a password.")
            if self.renew_code():
                minutes = int(SETUP_S // 60)
                raise Refused(
                    f"A setup code is good for {minutes} minutes. A new one is in the gateway's log and in {self._file}."
                )
            typed = code.strip().upper().replace(" ", "").replace("-", "").translate(_MISTAKEN)
            if not same(typed, self._code.replace("-", "")):
                self._attempts.failed(address)
                self._wrong_code()
                raise Refused(f"This is not the setup code. It is in the gateway's log and in the file {self._file}.")
            self._check_new(name, password)
            await self._put(Person(name, await hash_password(password), Access.ADMIN.value))
            self._code = ""
            self._file.unlink(missing_ok=True)
        self._attempts.succeeded(address)
        return self.sessions.begin(name, Access.ADMIN)

    async def log_in(self, address: str, name: str, password: str) -> str:
        """Returns what the cookie holds. Raises Refused, with the same words whether the name or the password is wrong."""
        self._may_try(address)
        person = self._people.get(name)
        if not await matches(password[:1000], person.password if person else "") or person is None:
            self._attempts.failed(address)
            log.warning("sys.login_refused", peer=address)
            raise Refused("This name and password do not go together. Try again, or ask an admin for a new password.")
        self._attempts.succeeded(address)
        log.info("sys.login", name=person.name, peer=address)
        return self.sessions.begin(person.name, Access(person.role))

    async def change_password(self, address: str, name: str, old: str, new: str) -> None:
        """Ends all logins of that person. Raises Refused."""
        self._may_try(address)
        async with self._change:
            person = self._people.get(name)
            if person is None or not await matches(old[:1000], person.password):
                self._attempts.failed(address)
                raise Refused("The present password is another one. Nothing was changed.")
            if fault := fault_of(new):
                raise Refused(fault)
            await self._put(Person(name, await hash_password(new), person.role))
        self._attempts.succeeded(address)

    async def add(self, name: str, password: str, role: Access) -> None:
        """Add a login, or give one of that name a new password and role. Raises Refused."""
        async with self._change:
            self._check_new(name, password)
            if len(self._people) >= LOGINS_MAX and name not in self._people:
                raise Refused(f"There are {LOGINS_MAX} logins already. Remove one first.")
            if role is not Access.ADMIN:
                self._spare_last_admin(name)
            await self._put(Person(name, await hash_password(password), role.value))

    async def remove(self, name: str) -> None:
        """Remove a login, and end it where it is in use. Raises Refused for the last admin."""
        async with self._change:
            self._spare_last_admin(name)
            await self._shelf.drop_person(name)
            self._people.pop(name, None)
            self.sessions.end_all_of(name)
            log.info("sys.logins_changed", name=name, removed=True)

    async def make_token(self, name: str, role: Access) -> str:
        """A new token for a program; told once and kept as a hash. Raises Refused."""
        async with self._change:
            if not _is_name(name):
                raise Refused(f"A token needs a name of 1 to {NAME_CHARACTERS_MAX} printable characters.")
            if any(token.name == name for token in self._tokens.values()):
                raise Refused("There is a token of this name already. Remove it first, or take another name.")
            if len(self._tokens) >= TOKENS_MAX:
                raise Refused(f"There are {TOKENS_MAX} tokens already. Remove one first.")
            secret = f"slg_{secrets.token_urlsafe(32)}"
            token = Token(name, _digest(secret), role.value)
            await self._shelf.keep_token(token)
            self._tokens[token.digest] = token
            log.info("sys.logins_changed", name=name, program=True)
            return secret

    async def remove_token(self, name: str) -> None:
        """The token is good for nothing from now on."""
        async with self._change:
            await self._shelf.drop_token(name)
            self._tokens = {digest: token for digest, token in self._tokens.items() if token.name != name}
            log.info("sys.logins_changed", name=name, program=True, removed=True)

    def bearer(self, secret: str) -> Visitor | None:
        """Who shows this token; None if nobody does."""
        token = self._tokens.get(_digest(secret))
        return Visitor(token.name, Access(token.role)) if token is not None else None

    def _may_try(self, address: str) -> None:
        if wait_s := self._attempts.pause_s(address):
            raise Refused(f"Too many wrong tries. Wait {int(wait_s) + 1} s, then try again.", wait_s)

    def _check_new(self, name: str, password: str) -> None:
        if not _is_name(name):
            raise Refused(f"A login needs a name of 1 to {NAME_CHARACTERS_MAX} printable characters.")
        if fault := fault_of(password):
            raise Refused(fault)

    def _spare_last_admin(self, name: str) -> None:
        admins = [person.name for person in self._people.values() if person.role == Access.ADMIN.value]
        if admins == [name]:
            raise Refused("This is the last admin. Make another admin first, or nobody could change anything here.")

    async def _put(self, person: Person) -> None:
        await self._shelf.keep_person(person)
        self._people[person.name] = person
        self.sessions.end_all_of(person.name)
        log.info("sys.logins_changed", name=person.name, role=person.role)

    def _wrong_code(self) -> None:
        self._tries += 1
        if self._tries >= SETUP_TRIES:
            self._make_code()

    def _make_code(self) -> None:
        groups, size = _CODE
        self._code = "-".join("".join(secrets.choice(CLAIM_CHARACTERS) for _ in range(size)) for _ in range(groups))
        self._tries, self._code_until = 0, self._monotonic() + SETUP_S
        with suppress(OSError):  # a full disk: the log has it all the same
            self._file.unlink(missing_ok=True)
            fd = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(fd, "w", encoding="ascii") as file:
                file.write(self._code + "\n")
        log.info("sys.setup_code", code=self._code, file=str(self._file))


def _is_name(name: str) -> bool:
    return 1 <= len(name) <= NAME_CHARACTERS_MAX and name.isprintable() and name.strip() == name


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()

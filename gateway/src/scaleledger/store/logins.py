"""Who may use the dashboard: logins with hashed passwords, and the hashes of programs' tokens."""

from datetime import datetime
from typing import Protocol

from scaleledger.domain.logins import Person, Token
from scaleledger.store.orm import Orm
from scaleledger.store.plant_tables import ApiToken, Login


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> datetime: ...


class Logins:
    """The shelf of the dashboard's logins and tokens; durable when a call returns."""

    def __init__(self, orm: Orm, clock: Clock) -> None:
        self._orm, self._clock = orm, clock

    async def people(self) -> list[Person]:
        """All logins."""
        return await self._orm.run(_people())

    async def keep_person(self, person: Person) -> None:
        """Insert or replace by name."""
        await self._orm.run(_keep_person(person, self._clock.now()))

    async def drop_person(self, name: str) -> None:
        """Remove; a name that is not there is no mistake."""
        await self._orm.run(_drop_person(name))

    async def tokens(self) -> list[Token]:
        """All tokens."""
        return await self._orm.run(_tokens())

    async def keep_token(self, token: Token) -> None:
        """Insert or replace by name."""
        await self._orm.run(_keep_token(token, self._clock.now()))

    async def drop_token(self, name: str) -> None:
        """Remove; a name that is not there is no mistake."""
        await self._orm.run(_drop_token(name))


async def _people() -> list[Person]:
    return [Person(row.name, row.password, row.role) for row in await Login.all()]


async def _keep_person(person: Person, at: datetime) -> None:
    row = await Login.get_or_none(name=person.name) or Login(name=person.name, created_at=at)
    row.password, row.role, row.changed_at = person.password, person.role, at
    await row.save()


async def _drop_person(name: str) -> None:
    await Login.filter(name=name).delete()


async def _tokens() -> list[Token]:
    return [Token(row.name, row.digest, row.role) for row in await ApiToken.all()]


async def _keep_token(token: Token, at: datetime) -> None:
    row = await ApiToken.get_or_none(name=token.name) or ApiToken(name=token.name, created_at=at)
    row.digest, row.role = token.digest, token.role
    await row.save()


async def _drop_token(name: str) -> None:
    await ApiToken.filter(name=name).delete()

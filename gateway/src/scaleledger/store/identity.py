"""The gateway's row: who it is to the centre. The token lies sealed in `access_token`; records never depend on it."""

from datetime import datetime
from typing import Protocol

from scaleledger.domain.gateway import Credentials
from scaleledger.store.orm import Orm
from scaleledger.store.signing import SigningKey
from scaleledger.store.tables import Gateway


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> datetime:
        """The wall clock, aware, UTC."""
        ...


class Identity:
    """Loads and keeps what the centre said of this gateway."""

    def __init__(self, orm: Orm, key: SigningKey, clock: Clock, mac_address: str) -> None:
        self._orm = orm
        self._key = key
        self._clock = clock
        self.mac_address = mac_address

    async def load(self) -> Credentials:
        """The cached identity. A token that cannot be unsealed reads as none: the centre is then asked again."""
        return await self._orm.run(self._load())

    async def keep_token(self, token: str, status: str) -> None:
        """Store what SYNC obtained (sealed at rest). An empty token keeps the status only."""
        approved = {"ever_approved": True} if token else {}
        await self._update(access_token=self._key.seal(token), status=status, **approved)

    async def clear_token(self, status: str) -> None:
        """Forget credentials only; records stay."""
        await self._update(access_token="", status=status)

    async def note_heartbeat(self, at: datetime) -> None:
        """The last sign of life that the centre accepted."""
        await self._update(last_heartbeat=at)

    async def _update(self, **columns: object) -> None:
        await self._orm.run(self._write(columns))

    async def _write(self, columns: dict[str, object]) -> None:
        await Gateway.filter(mac_address=self.mac_address).update(**columns, updated_at=self._clock.now())

    async def _load(self) -> Credentials:
        row = await Gateway.get(mac_address=self.mac_address)
        return Credentials(
            mac_address=row.mac_address,
            hostname=row.hostname,
            ip_address=row.ip_address,
            token=self._key.unseal(row.access_token),
            status=row.status,
            ever_approved=row.ever_approved,
            public_key=self._key.public_hex,
        )


async def ensure_row(key: SigningKey, clock: Clock, *, mac_address: str, hostname: str, ip_address: str) -> str:
    """Make the gateway's row at the first start; returns the MAC address that stays its name ever after."""
    row = await Gateway.first()
    now = clock.now()
    if row is None:
        await Gateway.create(
            mac_address=mac_address,
            hostname=hostname,
            ip_address=ip_address,
            public_key=key.public_hex,
            created_at=now,
            updated_at=now,
        )
        return mac_address
    changed: dict[str, object] = {"hostname": hostname} if hostname != row.hostname else {}
    if ip_address and ip_address != row.ip_address:
        changed["ip_address"] = ip_address
    if changed:
        await Gateway.filter(mac_address=row.mac_address).update(**changed, updated_at=now)
    return row.mac_address

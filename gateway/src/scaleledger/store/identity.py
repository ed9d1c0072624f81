"""The gateway's row: who it is to the centre. The token lies sealed in `access_token`; records never depend on it."""

from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol

from scaleledger.domain.gateway import Credentials
from scaleledger.domain.standing import Claim
from scaleledger.store.claim import drop_claim, read_claim
from scaleledger.store.orm import Orm
from scaleledger.store.signing import SigningKey
from scaleledger.store.tables import Gateway


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> datetime:
        """The wall clock, aware, UTC."""
        ...


class Row(NamedTuple):
    """What of the gateway's row stays in memory."""

    mac_address: str
    server_key: str


class Identity:
    """Loads and keeps what the centre said of this gateway."""

    def __init__(self, orm: Orm, key: SigningKey, clock: Clock, row: Row, folder: Path) -> None:
        self._orm = orm
        self._key = key
        self._clock = clock
        self._folder = folder
        self._pinned = row.server_key
        self._configured = ""
        self.mac_address = row.mac_address

    @property
    def server_key(self) -> str:
        """The centre's key (hex) that receipts are proved with: the configured one, else the first one seen; "" for none."""
        return self._configured or self._pinned

    def use_server_key(self, key: str) -> None:
        """Believe this configured key (hex) and no other; "" leaves it to the first one seen."""
        self._configured = key

    async def pin_server_key(self, key: str) -> bool:
        """The centre says that this is its key (hex). The first one is kept; False if another one is believed."""
        if key and not self.server_key:
            await self._update(server_key=key)
            self._pinned = key
        return not key or key == self.server_key

    async def take_claim(self) -> Claim | None:
        """The claim code that waits for use, if one does. It stays until `drop_claim`, as an answer may be lost."""
        return read_claim(self._folder)

    async def drop_claim(self, claim: Claim) -> None:
        """One claim code was used or refused; another stays."""
        drop_claim(self._folder, claim)

    async def load(self) -> Credentials:
        """The cached identity. A token that cannot be unsealed reads as none: the centre is then asked again."""
        return await self._orm.run(self._load())

    async def keep_token(self, token: str, status: str, expires_at: datetime | None = None) -> None:
        """Store what SYNC obtained (sealed at rest). An empty token keeps the status only."""
        approved = {"ever_approved": True} if token else {}
        await self._update(access_token=self._key.seal(token), status=status, token_expires_at=expires_at, **approved)

    async def clear_token(self, status: str) -> None:
        """Forget credentials only; records stay."""
        await self._update(access_token="", status=status, token_expires_at=None)

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
            token_expires_at=row.token_expires_at,
            server_key=self.server_key,
        )


async def ensure_row(key: SigningKey, clock: Clock, *, mac_address: str, hostname: str, ip_address: str) -> Row:
    """Make the gateway's row at the first start; returns the MAC address that stays its name ever after, and the pin."""
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
        return Row(mac_address, "")
    changed: dict[str, object] = {"hostname": hostname} if hostname != row.hostname else {}
    if ip_address and ip_address != row.ip_address:
        changed["ip_address"] = ip_address
    if changed:
        await Gateway.filter(mac_address=row.mac_address).update(**changed, updated_at=now)
    return Row(row.mac_address, row.server_key)

"""What a gateway keeps of itself and of the card list while the centre is away."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class CardStanding(StrEnum):
    """What the catalogue says of a card."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    INACTIVE = "inactive"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the centre knows this gateway by. `token` is empty until approved; `ever_approved` survives a lost token.

    `public_key` is hex, the half of the ledger's signing key that the centre may know. `token_expires_at` is None for a token
    without an end. `server_key` (hex) is the centre's own, that receipts are proved with; "" while none is known.
    """

    mac_address: str
    hostname: str
    ip_address: str
    token: str = ""
    status: str = ""
    ever_approved: bool = False
    public_key: str = ""
    token_expires_at: datetime | None = None
    server_key: str = ""

"""Receipts: the server's signed word that it holds a gateway's ledger up to a number, whole and proved.

Form of the message: contracts/README.md, Receipts. A receipt may leave only after the commit it speaks of; after a restore
from a backup it tells the older number by itself, because it tells what LedgerState holds: down to 0, where nothing is left.
"""

from datetime import datetime
from typing import Any

from django.utils import timezone

from scaleledger_server.devices.models import Gateway
from scaleledger_server.signing import signed
from scaleledger_server.weighing.items import GENESIS
from scaleledger_server.weighing.models import LedgerState


def message(mac_address: str, upto_seq: int, digest: str, at: str) -> str:
    """What the server signs."""
    return f"scaleledger-receipt-v1\n{mac_address}\n{upto_seq}\n{digest}\n{at}"


def made(gateway: Gateway, seq: int, digest: str, now: datetime) -> dict[str, Any] | None:
    """The receipt for 1 to `seq`, which may be 0; a client without a key is told nothing of nothing."""
    if not seq and not gateway.public_key:
        return None
    at = now.isoformat(timespec="microseconds")
    signature = signed(message(gateway.mac_address, seq, digest, at))
    return {"upto_seq": seq, "hash": digest, "at": at, "signature": signature}


def receipt(gateway: Gateway) -> dict[str, Any] | None:
    """The receipt for what is committed now; None for a client without a key of which nothing is held."""
    now = timezone.now()  # before the look: what is committed after it belongs into a newer receipt
    state = LedgerState.objects.filter(gateway=gateway).values_list("held_seq", "held_hash").first()
    return made(gateway, *(state or (0, GENESIS)), now)


def heartbeat_answer(gateway: Gateway) -> dict[str, Any]:
    """What weighing says in `heartbeat_answer`."""
    return {"receipt": receipt(gateway)}

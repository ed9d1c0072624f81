"""Receipts: the server's signed word that it holds a gateway's ledger up to a number, whole and proved.

Form of the message: contracts/README.md, Receipts. A receipt may leave only after the commit it speaks of; after a restore
from a backup it tells the older number by itself, because it tells what LedgerState holds.
"""

from datetime import datetime
from typing import Any

from django.utils import timezone

from scaleledger_server.devices.models import Gateway
from scaleledger_server.signing import signed
from scaleledger_server.weighing.models import LedgerState


def message(mac_address: str, upto_seq: int, digest: str, at: str) -> str:
    """What the server signs."""
    return f"scaleledger-receipt-v1\n{mac_address}\n{upto_seq}\n{digest}\n{at}"


def made(mac_address: str, seq: int, digest: str, now: datetime) -> dict[str, Any] | None:
    """The receipt for 1 to `seq`; None where nothing is held yet."""
    if not seq:
        return None
    at = now.isoformat(timespec="microseconds")
    return {"upto_seq": seq, "hash": digest, "at": at, "signature": signed(message(mac_address, seq, digest, at))}


def receipt(gateway: Gateway) -> dict[str, Any] | None:
    """The receipt for what is committed now; None for a gateway of which nothing is held."""
    state = LedgerState.objects.filter(gateway=gateway).values_list("held_seq", "held_hash").first()
    return made(gateway.mac_address, *state, timezone.now()) if state else None


def heartbeat_answer(gateway: Gateway) -> dict[str, Any]:
    """What weighing says in `heartbeat_answer`."""
    return {"receipt": receipt(gateway)}

"""The server's own key: receipts are signed with it, so that nobody else can make a gateway believe a delivery arrived."""

import hashlib
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings

LABEL = b"scaleledger receipt key v1\n"


@lru_cache(maxsize=4)
def _key(secret: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(LABEL + secret.encode()).digest())


def server_key() -> str:
    """The public half, 64 hex digits."""
    return _key(str(settings.RECEIPT_SECRET)).public_key().public_bytes_raw().hex()


def signed(message: str) -> str:
    """The Ed25519 signature over the message's UTF-8 bytes, 128 hex digits."""
    return _key(str(settings.RECEIPT_SECRET)).sign(message.encode()).hex()

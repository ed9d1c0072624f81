"""The gateway's key: Ed25519, 32 raw bytes in `gateway.key`, outside the database and readable by its owner only.

It signs heads and checkpoints of the ledger; the key that seals the access token is derived from it (HKDF-SHA-256), so a
copied database shows no token.
"""

import base64
import os
import sys
from pathlib import Path

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from scaleledger.domain.errors import StoreUnusable
from scaleledger.domain.ledger import Signed
from scaleledger.store.folder import sync_folder

KEY_BYTES = 32
NONCE_BYTES = 12
_SEAL_PURPOSE = b"scaleledger-token-v1"


class SigningKey:
    """The private key, and what is done with it."""

    def __init__(self, raw: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(raw)
        self.public_hex = self._key.public_key().public_bytes_raw().hex()
        self._seal = AESGCM(HKDF(algorithm=SHA256(), length=32, salt=None, info=_SEAL_PURPOSE).derive(raw))

    def sign(self, message: bytes) -> bytes:
        """The signature, 64 bytes."""
        return self._key.sign(message)

    def seal(self, text: str) -> str:
        """Encrypt a text for keeping; an empty text stays empty."""
        if not text:
            return ""
        nonce = os.urandom(NONCE_BYTES)
        return base64.b64encode(nonce + self._seal.encrypt(nonce, text.encode(), _SEAL_PURPOSE)).decode()

    def unseal(self, sealed: str) -> str:
        """What was sealed; empty when it was sealed with another key or is damaged (the gateway then asks for a new token)."""
        try:
            raw = base64.b64decode(sealed, validate=True)
            return self._seal.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], _SEAL_PURPOSE).decode() if raw else ""
        except (ValueError, InvalidTag):
            return ""


def load_key(path: Path) -> SigningKey:
    """Read the key. Raises StoreUnusable when others may read it or it is no key."""
    try:
        mode = path.stat().st_mode
        raw = path.read_bytes()
    except OSError as error:
        raise StoreUnusable(f"the key {path} cannot be read: {error.strerror}") from error
    if sys.platform != "win32" and mode & 0o077:
        raise StoreUnusable(
            f"the key {path} can be read by others (mode {mode & 0o777:o}). If nobody has copied it: chmod 600 {path}"
        )
    if len(raw) != KEY_BYTES:
        raise StoreUnusable(
            f"{path} has {len(raw)} bytes and is not a gateway's key; put the true one back from a backup"
        )
    return SigningKey(raw)


def make_key(path: Path) -> SigningKey:
    """Make a key that is either wholly there or not at all, also through a power cut."""
    raw = Ed25519PrivateKey.generate().private_bytes_raw()
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(fd, raw)
        os.fsync(fd)
    finally:
        os.close(fd)
    part.replace(path)
    sync_folder(path.parent)
    return SigningKey(raw)


def signed_by(public_hex: str) -> Signed:
    """The check of signatures with a public key (64 hex digits). Raises ValueError when it is no key."""
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_hex))

    def signed(message: bytes, signature: bytes) -> bool:
        try:
            key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    return signed

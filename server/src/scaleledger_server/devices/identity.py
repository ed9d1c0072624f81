"""Pure facts of identity: MAC addresses, keys and fingerprints, what is signed, challenges, claim codes, token digests.

Nothing here keeps anything: time and secrets are arguments. The forms of all signed messages stand in the contract.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from scaleledger_server.bodies import HASH, read_count, read_fields, read_match
from scaleledger_server.errors import Refusal

if TYPE_CHECKING:
    from scaleledger_server.devices.models import Gateway

SIGNATURE = re.compile(r"[0-9a-f]{128}", re.ASCII)
CHALLENGE = re.compile(r"[A-Za-z0-9_.-]{20,200}", re.ASCII)
CHALLENGE_S = 60
CHALLENGE_KEY_LABEL = b"scaleledger challenge v1"
CLAIM_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CLAIM_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{4}", re.ASCII)
_CHALLENGE_FORM = re.compile(r"([0-9]{10,12})\.([0-9a-f]{32})\.([A-Za-z0-9_-]{22})", re.ASCII)
_MAC_HEX = re.compile(r"[0-9a-f]{12}", re.ASCII)
_MAC_FORM = re.compile(r"[0-9A-Fa-f]{2}([:-]?)(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}", re.ASCII)


def normal_mac(text: str) -> str | None:
    """`02-5A-1E-D6-E4-01`, `025a1ed6e401` and the like as `02:5a:1e:d6:e4:01`; None for what is no MAC address."""
    if not _MAC_FORM.fullmatch(text):
        return None
    digits = text.replace(":", "").replace("-", "").lower()
    assert _MAC_HEX.fullmatch(digits), "the form guarantees twelve digits"
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2))


def fingerprint_of(public_key: str) -> str:
    """The first 16 hex digits of SHA-256 over the key's 32 bytes, in groups of four; "" without a key."""
    if not public_key:
        return ""
    digits = hashlib.sha256(bytes.fromhex(public_key)).hexdigest()[:16]
    return " ".join(digits[i : i + 4] for i in range(0, 16, 4))


def token_digest(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


@lru_cache(maxsize=4096)
def _key(public_key: str) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))


def signed_by(public_key: str, signature: str, message: bytes) -> bool:
    """Whether the Ed25519 key (32 bytes, hex) made this signature (64 bytes, hex). False for what is no key."""
    try:
        _key(public_key).verify(bytes.fromhex(signature), message)
    except (InvalidSignature, ValueError):
        return False
    return True


@dataclass(frozen=True, slots=True)
class Head:
    """A ledger's newest number and hash, with the signature over them (all hex)."""

    seq: int
    hash: str
    signature: str

    def signed_by(self, public_key: str, mac_address: str) -> bool:
        """Whether the key signed it. Form of the message: contracts/README.md, the ledger."""
        message = f"scaleledger-head-v1\n{mac_address}\n{self.seq}\n{self.hash}".encode()
        return signed_by(public_key, self.signature, message)


def read_head(value: Any) -> Head:
    """A head from a message. Raises Invalid."""
    fields = read_fields(value, ("seq", "hash", "signature"), field="head")
    return Head(
        read_count(fields["seq"], "head.seq", 1),
        read_match(fields["hash"], "head.hash", HASH, "64 hex digits"),
        read_match(fields["signature"], "head.signature", SIGNATURE, "128 hex digits"),
    )


def check_body_signature(gateway: "Gateway", header: str, body: bytes) -> None:
    """Prove that a delivery comes from the gateway itself; a gateway without a known key has nothing to prove.

    `header` is Scaleledger-Signature, `body` the bytes as the gateway made them, before any compression. Raises Refusal
    `signature_missing` or `signature_wrong` (403).
    """
    if not gateway.public_key:
        return
    if not header:
        raise Refusal(403, "signature_missing", "This gateway signs what it delivers: send Scaleledger-Signature.")
    message = f"scaleledger-body-v1\n{gateway.mac_address}\n{hashlib.sha256(body).hexdigest()}".encode()
    if not SIGNATURE.fullmatch(header) or not signed_by(gateway.public_key, header, message):
        raise Refusal(403, "signature_wrong", "Scaleledger-Signature is not this gateway's over this body.")


@dataclass(frozen=True, slots=True)
class Challenge:
    """Something fresh to sign: when it ends and a nonce, under the server's seal, so that nothing need be kept of it."""

    text: str
    nonce: str
    expires_at: datetime


def _seal(secret: bytes, stated: str) -> str:
    key = hmac.digest(secret, CHALLENGE_KEY_LABEL, "sha256")
    return base64.urlsafe_b64encode(hmac.digest(key, stated.encode(), "sha256")[:16]).rstrip(b"=").decode()


def make_challenge(secret: bytes, nonce: bytes, now: datetime) -> Challenge:
    """`nonce` is 16 random bytes."""
    expires_at = (now + timedelta(seconds=CHALLENGE_S)).replace(microsecond=0)
    stated = f"{int(expires_at.timestamp())}.{nonce.hex()}"
    return Challenge(f"{stated}.{_seal(secret, stated)}", nonce.hex(), expires_at)


def read_challenge(secret: bytes, text: str, now: datetime) -> Challenge | None:
    """The challenge that was given out as `text`; None when it is not one of ours or is too old."""
    match = _CHALLENGE_FORM.fullmatch(text)
    if match is None or not hmac.compare_digest(_seal(secret, f"{match[1]}.{match[2]}"), match[3]):
        return None
    expires_at = datetime.fromtimestamp(int(match[1]), UTC)
    return Challenge(text, match[2], expires_at) if now < expires_at else None


def proof_message(mac_address: str, public_key: str, challenge: str) -> bytes:
    """What a gateway signs to prove that it holds its key."""
    return f"scaleledger-proof-v1\n{mac_address}\n{public_key}\n{challenge}".encode()


def claim_mac(digest: str, mac_address: str, public_key: str, challenge: str) -> str:
    """The `claim.mac` that the holder of a claim code sends; `digest` is the SHA-256 (hex) of the code's secret."""
    message = f"scaleledger-claim-v1\n{mac_address}\n{public_key}\n{challenge}".encode()
    return hmac.digest(bytes.fromhex(digest), message, "sha256").hex()


def split_claim(code: str) -> tuple[str, str] | None:
    """(id, SHA-256 of the secret in hex) of a claim code as a person writes it; None for what is none."""
    plain = code.upper().translate(str.maketrans("OIL", "011", "- "))
    if len(plain) != 20 or not set(plain) <= set(CLAIM_ALPHABET):
        return None
    return plain[:4], hashlib.sha256(plain[4:].encode("ascii")).hexdigest()


def claim_text(random: bytes) -> str:
    """A claim code from 20 random bytes: five groups of four."""
    chars = "".join(CLAIM_ALPHABET[byte & 31] for byte in random)
    assert len(chars) == 20, "a code has 100 random bits"
    return "-".join(chars[i : i + 4] for i in range(0, 20, 4))

"""Pure facts of identity: MAC addresses, tokens, signed heads.

A token is never stored. It is `<gateway id>.<HMAC-SHA256>` under a key derived from the server's secret, over the
gateway's id, its token generation and its MAC address; so it can be shown again at each SYNC, is found with one lookup,
and ends when the generation is raised.
"""

import base64
import hmac
import re
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from scaleledger_server.bodies import HASH, read_count, read_fields, read_match

TOKEN_KEY_LABEL = b"scaleledger gateway token v1"
SIGNATURE = re.compile(r"[0-9a-f]{128}", re.ASCII)
_MAC_HEX = re.compile(r"[0-9a-f]{12}", re.ASCII)
_MAC_FORM = re.compile(r"[0-9A-Fa-f]{2}([:-]?)(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}", re.ASCII)
_TOKEN = re.compile(r"([1-9][0-9]{0,17})\.([A-Za-z0-9_-]{43})", re.ASCII)


def normal_mac(text: str) -> str | None:
    """`02-5A-1E-D6-E4-01`, `025a1ed6e401` and the like as `02:5a:1e:d6:e4:01`; None for what is no MAC address."""
    if not _MAC_FORM.fullmatch(text):
        return None
    digits = text.replace(":", "").replace("-", "").lower()
    assert _MAC_HEX.fullmatch(digits), "the form guarantees twelve digits"
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2))


def token_of(secret: bytes, gateway_id: int, generation: int, mac_address: str) -> str:
    """The gateway's access token; at most 62 characters, safe in a header."""
    key = hmac.digest(secret, TOKEN_KEY_LABEL, "sha256")
    code = hmac.digest(key, f"{gateway_id}\n{generation}\n{mac_address}".encode(), "sha256")
    return f"{gateway_id}.{base64.urlsafe_b64encode(code).rstrip(b'=').decode()}"


def gateway_id_of(token: str) -> int | None:
    """The id a token claims; None for what cannot be a token. Proves nothing: compare the whole token."""
    match = _TOKEN.fullmatch(token)
    return int(match[1]) if match else None


@dataclass(frozen=True, slots=True)
class Head:
    """A ledger's newest number and hash, with the signature over them (all hex)."""

    seq: int
    hash: str
    signature: str

    def signed_by(self, public_key: str, mac_address: str) -> bool:
        """Whether the Ed25519 key (32 bytes, hex) signed it. Form of the message: contracts/README.md, the ledger."""
        message = f"scaleledger-head-v1\n{mac_address}\n{self.seq}\n{self.hash}".encode()
        try:
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(bytes.fromhex(self.signature), message)
        except (InvalidSignature, ValueError):
            return False
        return True


def read_head(value: Any) -> Head:
    """A head from a message. Raises Invalid."""
    fields = read_fields(value, ("seq", "hash", "signature"), field="head")
    return Head(
        read_count(fields["seq"], "head.seq", 1),
        read_match(fields["hash"], "head.hash", HASH, "64 hex digits"),
        read_match(fields["signature"], "head.signature", SIGNATURE, "128 hex digits"),
    )

r"""How a gateway and its centre come to trust each other, sans-I/O: the challenge, the proof, the claim, the standing.

    we: POST challenge/        it: something fresh
    we: POST gateways/         it: pending, or active with a new token
        the key, and a signature over MAC, key and challenge; perhaps a claim's MAC over the same

A centre that has no challenge to give is a plain one: it is asked by the MAC address alone, and the token is in the answer.

Source: contracts/README.md, "Proving a key"; servers of the first product description have no `status` and no `batch`.
"""

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scaleledger.domain.errors import ClaimRefused, Disbelieved, LinkError, NotOffered, RegistrationRefused
from scaleledger.domain.standing import Claim, Introduction, Standing, Status
from scaleledger.uplinks.central.exchange import code_of, detail_of, is_hex, no_answer, refuse_credentials, words
from scaleledger.uplinks.exchange import Answer, Request, instant, is_html, json_text, object_in

GATEWAYS = "devices/api/gateways/"
CHALLENGE = GATEWAYS + "challenge/"
SELF = GATEWAYS + "self/"
BATCH_MAX = 500
TOKEN = re.compile(r"[!-~]{0,512}")
BATCH_PATH = re.compile(r"[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*/?")
BATCH_PATH_MAX = 200
ABOUT_STATUS = "the question for this gateway's status"
ABOUT_REGISTRATION = "the registration"

Sign = Callable[[bytes], str]
"""The gateway's Ed25519 signature over bytes, in hex."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What the centre can do: `batch_path` is empty when it takes one record at a time; `ledger` when it keeps chains.

    `reports` when it reads the whole sign of life; `gateway_id` names us on its sockets, 0 when it told none.
    """

    batch_path: str = ""
    max_records: int = 1
    ledger: bool = True
    reports: bool = False
    gateway_id: int = 0


class ChallengeSpent(LinkError):
    """The challenge was answered before or is too old: ask for another."""


def ask_challenge() -> Request:
    """Give us something fresh to sign."""
    return Request("POST", CHALLENGE, b"{}")


def read_challenge(answer: Answer) -> str:
    """The challenge. Raises NotOffered at a plain centre, LinkError, Disbelieved.

    An older server says 404 in its own way, mostly with a page. A portal that says so gains nothing: the plain question, which
    is asked then, believes the contract's form only.
    """
    what = "the question for a challenge"
    if answer.status in {404, 405}:
        raise NotOffered("the centre gives no challenge")
    if answer.status != 200:
        raise no_answer(answer, what)
    challenge = (object_in(answer) or {}).get("challenge")
    if not isinstance(challenge, str) or not re.fullmatch(r"[A-Za-z0-9_.-]{20,200}", challenge):
        raise Disbelieved(f"{what} was answered 200, but not with a challenge")
    return challenge


def ask_registration(introduction: Introduction) -> Request:
    """Please register this gateway; the key is only told."""
    return Request("POST", GATEWAYS, json_text(_introduced(introduction)).encode())


def ask_proved(introduction: Introduction, challenge: str, sign: Sign, claim: Claim | None = None) -> Request:
    """We hold our key: here is the proof; please register it, or say how it stands."""
    bound = f"{introduction.mac_address}\n{introduction.public_key}\n{challenge}"
    signature = sign(f"scaleledger-proof-v1\n{bound}".encode())
    fields = _introduced(introduction) | {"proof": {"challenge": challenge, "signature": signature}}
    if claim is not None:
        fields["claim"] = {"id": claim.id, "mac": claim_mac(claim, bound)}
    return Request("POST", GATEWAYS, json_text(fields).encode())


def claim_mac(claim: Claim, bound: str) -> str:
    """The proof (hex) of knowing a claim's secret, bound to one gateway and one challenge."""
    key = hashlib.sha256(claim.secret.encode("ascii")).digest()
    return hmac.new(key, f"scaleledger-claim-v1\n{bound}".encode(), hashlib.sha256).hexdigest()


def _introduced(introduction: Introduction) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "mac_address": introduction.mac_address,
        "hostname": introduction.hostname,
        "ip_address": introduction.ip_address,
        "name": introduction.name,
    }
    if introduction.public_key:
        fields["public_key"] = introduction.public_key
    return fields


def read_proved(answer: Answer, mac_address: str) -> tuple[Status, Offer]:
    """How a gateway stands that proved its key. Raises ChallengeSpent, ClaimRefused, RegistrationRefused, LinkError."""
    code = code_of(answer)
    if answer.status in {403, 409} and code in {"challenge_used", "challenge_unknown"}:
        raise ChallengeSpent(f"{ABOUT_REGISTRATION} was answered {answer.status} ({words(answer)})")
    if answer.status == 403 and code == "claim_wrong":
        raise ClaimRefused(code, detail_of(answer))
    if answer.status in {200, 201}:
        return _status(answer, mac_address, ABOUT_REGISTRATION)
    _refuse_registration(answer)
    raise no_answer(answer, ABOUT_REGISTRATION)


def read_registration(answer: Answer) -> None:
    """Returns if the gateway is registered now. Raises RegistrationRefused, LinkError, Disbelieved."""
    found = object_in(answer)
    if answer.status in {200, 201}:
        if found is None and (answer.status == 200 or answer.body):
            raise Disbelieved(f"{ABOUT_REGISTRATION} was answered {answer.status}, but not with JSON")
        return
    _refuse_registration(answer)
    raise no_answer(answer, ABOUT_REGISTRATION)


def _refuse_registration(answer: Answer) -> None:
    refused = answer.status in {400, 409, 422} and object_in(answer) is not None
    if refused or (answer.status == 403 and code_of(answer) in {"key_required", "proof_wrong", "gateway_inactive"}):
        raise RegistrationRefused(code_of(answer) or str(answer.status), detail_of(answer))


def ask_status(mac_address: str) -> Request:
    """How does the gateway of this MAC address stand? A plain centre's answer has the token in it."""
    return Request("GET", f"{GATEWAYS}{mac_address}/")


def read_status(answer: Answer, mac_address: str) -> tuple[Status, Offer]:
    """How the gateway stands, and what the centre offers. Raises LinkError, Disbelieved."""
    if answer.status == 404 and _is_refusal(object_in(answer), "gateway_unknown"):
        return Status(Standing.NOT_REGISTERED), Offer()
    if answer.status != 200:
        raise no_answer(answer, ABOUT_STATUS)
    return _status(answer, mac_address, ABOUT_STATUS)


def ask_self(token: str) -> Request:
    """How does the gateway of this token stand?"""
    return Request("GET", SELF, token=token)


def read_self(answer: Answer, mac_address: str) -> tuple[Status, Offer]:
    """As `read_status`. Raises NotOffered where the centre does not know the question, CredentialsRefused, LinkError.

    A centre that takes `self` for a MAC address says that it knows no such gateway: that says nothing of this one.
    """
    if answer.status in {404, 405} and not is_html(answer) and object_in(answer) is not None:
        raise NotOffered("the centre does not say whose a token is")
    refuse_credentials(answer)
    if answer.status != 200:
        raise no_answer(answer, ABOUT_STATUS)
    return _status(answer, mac_address, ABOUT_STATUS)


def _status(answer: Answer, mac_address: str, what: str) -> tuple[Status, Offer]:
    found = object_in(answer)
    if found is None or str(found.get("mac_address", "")).lower() != mac_address.lower():
        raise Disbelieved(f"{what} was answered {answer.status}, but not about {mac_address}")
    token = found.get("access_token") or ""
    if not isinstance(token, str) or not TOKEN.fullmatch(token):
        raise Disbelieved(f"{what} was answered with a token that no header can carry")
    stated = found.get("server_key")
    key = str(stated) if is_hex(stated, 64) else ""
    expires_at = instant(found.get("token_expires_at"))
    if "status" not in found:
        return Status(Standing.ACTIVE if token else Standing.PENDING, token), _offer(found)
    if found["status"] == "active":
        return Status(Standing.ACTIVE, token, expires_at, key), _offer(found)
    return Status(Standing.PENDING, server_key=key), _offer(found)


def _offer(found: dict[str, Any]) -> Offer:
    number = found.get("id")
    offer = Offer(
        ledger="status" in found,
        reports="server_key" in found,
        gateway_id=number if type(number) is int and 0 < number < 2**53 else 0,
    )
    batch = found.get("batch")
    if not isinstance(batch, dict):
        return offer
    path, most = batch.get("path"), batch.get("max_records")
    if not isinstance(path, str) or type(most) is not int or most < 1 or not _is_relative(path):
        return offer
    return Offer(path, min(most, BATCH_MAX), offer.ledger, offer.reports, offer.gateway_id)


def _is_relative(path: str) -> bool:
    """A batch path stays below the configured address, so that no answer can send the token elsewhere."""
    return len(path) <= BATCH_PATH_MAX and BATCH_PATH.fullmatch(path) is not None


def _is_refusal(found: dict[str, Any] | None, code: str) -> bool:
    """The contract's refusal with this code, or a plain server's JSON refusal without any."""
    if found is None:
        return False
    return bool(found["code"] == code) if "code" in found else "detail" in found

"""How a gateway proves that it holds its key, and how a claim code lets it be active at once."""

import hmac
import logging
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F

from scaleledger_server.devices.identity import (
    Challenge,
    claim_mac,
    claim_text,
    make_challenge,
    proof_message,
    read_challenge,
    signed_by,
    split_claim,
)
from scaleledger_server.devices.models import AccessToken, ClaimCode, Gateway, UsedChallenge
from scaleledger_server.devices.services.gateways import Registration, approve, register
from scaleledger_server.devices.services.tokens import issue_token, token_ends_at
from scaleledger_server.errors import Refusal

log = logging.getLogger(__name__)

CLAIM_VALID = timedelta(minutes=15)
CLAIM_TRIES_MAX = 5
OPEN_CLAIMS_MAX = 100
_NO_CODE = "0" * 64


@dataclass(frozen=True, slots=True)
class Proof:
    """A signed challenge, and the claim if one was made; all as they came, in the contract's form."""

    challenge: str
    signature: str
    claim_id: str = ""
    claim_mac: str = ""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What became of a registration. The token is there once and only for an active gateway that proved its key."""

    gateway: Gateway
    created: bool
    token: str | None = None
    token_expires_at: datetime | None = None


def give_challenge(now: datetime) -> Challenge:
    """Something fresh to sign: good once, for a minute, for anyone. Nothing is kept of it."""
    return make_challenge(_secret(), secrets.token_bytes(16), now)


def _secret() -> bytes:
    return str(settings.SECRET_KEY).encode()


def enrol(asked: Registration, proof: Proof, now: datetime) -> Enrolment:
    """Register a gateway that proves its key, and give it a token if it is active.

    Raises Refusal: `challenge_unknown`, `challenge_used`, `proof_wrong`, `claim_wrong`, and what `register` raises. The
    challenge is spent, and a wrong claim is counted, whatever comes of the rest.
    """
    challenge = read_challenge(_secret(), proof.challenge, now)
    if challenge is None:
        raise Refusal(403, "challenge_unknown", "This challenge is not one of ours, or is too old. Ask for a new one.")
    message = proof_message(asked.mac_address, asked.public_key, proof.challenge)
    if not signed_by(asked.public_key, proof.signature, message):
        raise Refusal(403, "proof_wrong", "The signature over the challenge was not made with this key.")
    _spend(challenge)
    code = _claimed(asked, proof, now) if proof.claim_id else None
    gateway, created = register(asked, now, claimed=code is not None)
    if code is not None:
        use_claim(gateway, code, now)
    if gateway.status != Gateway.Status.ACTIVE:
        return Enrolment(gateway, created)
    how = AccessToken.How.PROOF if code is None else AccessToken.How.CLAIM
    return Enrolment(gateway, created, issue_token(gateway, how, now), token_ends_at(how, now))


def _spend(challenge: Challenge) -> None:
    try:
        with transaction.atomic():
            UsedChallenge.objects.create(nonce=challenge.nonce, expires_at=challenge.expires_at)
    except IntegrityError:
        raise Refusal(409, "challenge_used", "This challenge was answered before. Ask for a new one.") from None


def _claim_wrong() -> Refusal:
    return Refusal(403, "claim_wrong", "This claim code is not valid (any more). Ask the centre for a new one.")


def _claimed(asked: Registration, proof: Proof, now: datetime) -> ClaimCode:
    """The code that this claim shows to know. A wrong try at a code that can be used still counts against it.

    The try is counted first and given back when it was right, so that guesses sent at the same time count all the same.
    """
    code = _tried(proof.claim_id, now)
    digest = code.digest if code is not None else _NO_CODE
    right = hmac.compare_digest(
        claim_mac(digest, asked.mac_address, asked.public_key, proof.challenge), proof.claim_mac
    )
    if code is None or not right:
        log.warning("gateway %s: a claim was refused (from %s)", asked.mac_address, asked.remote_address)
        raise _claim_wrong()
    ClaimCode.objects.filter(pk=code.pk).update(tries=F("tries") - 1)
    return code


def _tried(code_id: str, now: datetime) -> ClaimCode | None:
    """The code of this id if it can be used, one more try of it counted."""
    usable = ClaimCode.objects.filter(
        code_id=code_id, used_at__isnull=True, expires_at__gt=now, tries__lt=CLAIM_TRIES_MAX
    )
    counted = usable.update(tries=F("tries") + 1)
    return ClaimCode.objects.filter(code_id=code_id).first() if counted else None


def read_claim(text: str, remote_address: str, now: datetime) -> ClaimCode:
    """The code that a person typed at a client which sends it as it is. Raises Refusal `claim_wrong`, and counts the try."""
    parts = split_claim(text)
    code = _tried(parts[0], now) if parts is not None else None
    digest = code.digest if code is not None else _NO_CODE
    right = parts is not None and hmac.compare_digest(parts[1], digest)
    if code is None or not right:
        log.warning("a claim was refused (from %s)", remote_address)
        raise _claim_wrong()
    ClaimCode.objects.filter(pk=code.pk).update(tries=F("tries") - 1)
    return code


@transaction.atomic
def use_claim(gateway: Gateway, code: ClaimCode, now: datetime) -> None:
    """Spend the code on this gateway, which is approved by it. Raises Refusal `claim_wrong` when it is spent already."""
    if not ClaimCode.objects.filter(pk=code.pk, used_at__isnull=True).update(used_at=now, used_by=gateway):
        raise _claim_wrong()
    approve(gateway, code.name)
    log.info("gateway %s was claimed with code %s", gateway.mac_address, code)


@transaction.atomic
def make_claim(user: Any, name: str, now: datetime) -> str:
    """A claim code, told once; `name` becomes the gateway's. `user` is who made it, or None for a command.

    Raises Refusal `rate_limited` when a hundred codes are open already.
    """
    if ClaimCode.objects.filter(used_at__isnull=True, expires_at__gt=now).count() >= OPEN_CLAIMS_MAX:
        raise Refusal(429, "rate_limited", "A hundred codes are open already. Wait until they have run out.")
    code = claim_text(secrets.token_bytes(20))
    while ClaimCode.objects.filter(code_id=code[:4]).exists():
        code = claim_text(secrets.token_bytes(20))
    parts = split_claim(code)
    assert parts is not None, "a code of our own can be read"
    ClaimCode.objects.create(
        code_id=parts[0], digest=parts[1], name=name, created_by=user, created_at=now, expires_at=now + CLAIM_VALID
    )
    return code

"""A central server of the proved dialect, for tests: keys are proved with real signatures, tokens end, receipts are given."""

import hashlib
import hmac
import json
import secrets
from contextlib import suppress
from datetime import timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from fakes.centre import Books
from fakes.outbox import MAC, START
from scaleledger.uplinks.central import catalogue, enrolment, protocol

DAY_S = 86_400.0


class Key:
    """An Ed25519 key, the same each time for the same number."""

    def __init__(self, number):
        self._key = Ed25519PrivateKey.from_private_bytes(bytes([number] * 32))
        self.public = self._key.public_key().public_bytes_raw().hex()

    def sign(self, message):
        return self._key.sign(message).hex()


GATEWAY_KEY, SERVER_KEY, OTHER_KEY = Key(1), Key(2), Key(3)


def is_signed(public, message, signature):
    with suppress(InvalidSignature, ValueError):
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(bytes.fromhex(signature), message)
        return True
    return False


class ProvedBooks(Books):
    """Keeps the proved dialect. `claims` maps a claim's id to its secret; `clock` gives its time; `key` signs its receipts."""

    def __init__(self, *, clock=None, token_life_s=DAY_S, knows_key="", claims=None, **as_books):
        super().__init__(**as_books)
        self.now = clock.now if clock else lambda: START
        self.token_life_s = token_life_s
        self.key = SERVER_KEY
        self.keys = {MAC: knows_key} if knows_key else {}
        self.approved = set()
        self.claims = dict(claims or {})
        self.challenges, self.used = set(), set()
        self.ends = {}  # token -> when it ends
        self.stations, self.stations_version = [], "1"
        self.catalogue = {"version": "1", "species": [], "producers": [], "rfid_cards": []}
        self.refused = []
        self.met_its_end = 0  # how often a token was shown whose time was over

    def answer(self, method, path, headers, body):
        if path in {enrolment.CHALLENGE, enrolment.GATEWAYS} and method == "POST":
            self.calls.append((method, path))
            answered = self._challenge() if path == enrolment.CHALLENGE else self._prove(json.loads(body))
            self._note(answered)
            return answered
        if path in {enrolment.SELF, catalogue.STATIONS, catalogue.CATALOGUE}:
            self.calls.append((method, path))
            return self._with_token(path, headers)
        if path == protocol.HEARTBEAT and not self._is_over(headers):
            answered = super().answer(method, path, headers, body)
            return answered if answered[0] != 200 else (200, answered[1] | self._alive())
        if path.startswith(protocol.RECORDS):
            refused = self._look_at_signature(headers, body)
            if refused:
                self.calls.append((method, path))
                return refused
        if self._is_over(headers):
            self.calls.append((method, path))
            return 401, self._error("token_expired")
        answered = super().answer(method, path, headers, body)
        if path.endswith("batch/") and answered[0] == 200:
            return 200, answered[1] | {"receipt": self.receipt()}
        if method == "GET" and answered[0] == 200:
            return 403, self._error("key_required")
        return answered

    def approve(self, mac=MAC):
        self.approved.add(mac)

    def revoke(self):
        super().revoke()
        self.ends.clear()

    def receipt(self):
        """Over what is held without a gap; None for nothing."""
        hashes = {r["ledger"]["seq"]: r["ledger"]["hash"] for r in self.held.values()}
        upto = next(seq for seq in range(1, len(hashes) + 2) if seq not in hashes) - 1
        return self.receipt_over(upto, hashes[upto]) if upto else None

    def receipt_over(self, upto, digest):
        at = self.now().isoformat()
        signature = self.key.sign(f"scaleledger-receipt-v1\n{MAC}\n{upto}\n{digest}\n{at}".encode())
        return {"upto_seq": upto, "hash": digest, "at": at, "signature": signature}

    def _note(self, answered):
        if answered[0] >= 400:
            self.refused.append(answered[1]["code"])

    def _challenge(self):
        self.challenges.add(given := secrets.token_urlsafe(24))
        return 200, {"challenge": given, "expires_at": (self.now() + timedelta(seconds=60)).isoformat()}

    def _prove(self, stated):
        mac, public, proof = stated["mac_address"], stated.get("public_key", ""), stated.get("proof")
        if proof is None:
            return 403, self._error("key_required")
        given = proof["challenge"]
        if given in self.used:
            return 409, self._error("challenge_used")
        if given not in self.challenges:
            return 403, self._error("challenge_unknown")
        self.used.add(given)
        bound = f"{mac}\n{public}\n{given}"
        if not is_signed(public, f"scaleledger-proof-v1\n{bound}".encode(), proof["signature"]):
            return 403, self._error("proof_wrong")
        if "claim" in stated:
            if not self._is_claimed(stated["claim"], bound):
                return 403, self._error("claim_wrong")
            self.approved.add(mac)
        if self.keys.setdefault(mac, public) != public:
            return 409, self._error("mac_conflict")
        return 200, self._proved_status(mac)

    def _is_claimed(self, claim, bound):
        secret = self.claims.pop(claim["id"], "")
        key = hashlib.sha256(secret.encode()).digest()
        expected = hmac.digest(key, f"scaleledger-claim-v1\n{bound}".encode(), "sha256").hex()
        return bool(secret) and claim["mac"] == expected

    def _proved_status(self, mac):
        status = {"id": 3, "mac_address": mac, "status": "pending", "access_token": None, "server_key": self.key.public}
        status["batch"] = {"path": protocol.RECORDS + "batch/", "max_records": 500} if self.batch else None
        if not (self.approves or mac in self.approved):
            return status
        token = self.new_token()
        self.gateways[token] = token  # beside the older ones
        self.ends[token] = self.now() + timedelta(seconds=self.token_life_s)
        return status | self._active(token)

    def _active(self, token):
        return {"status": "active", "access_token": token, "token_expires_at": self.ends[token].isoformat()}

    def _alive(self):
        versions = {"stations": self.stations_version, "market": self.catalogue["version"]}
        return {"server_time": self.now().isoformat(), "receipt": self.receipt(), "versions": versions}

    def _token(self, headers):
        return headers.get("authorization", "").removeprefix("Bearer ")

    def _is_over(self, headers):
        end = self.ends.get(self._token(headers))
        over = end is not None and self.now() >= end
        self.met_its_end += over
        return over

    def _with_token(self, path, headers):
        if self._is_over(headers):
            return 401, self._error("token_expired")
        token = self._token(headers)
        if token not in self.ends:
            return 401, self._error("token_unknown")
        if path == enrolment.SELF:
            return 200, self._proved_status_of(token)
        version = self.stations_version if path == catalogue.STATIONS else self.catalogue["version"]
        if headers.get("if-none-match") == f'"{version}"':
            return 304, None
        return 200, self.stations if path == catalogue.STATIONS else self.catalogue, {"ETag": f'"{version}"'}

    def _proved_status_of(self, token):
        status = {"id": 3, "mac_address": MAC, "server_key": self.key.public}
        status["batch"] = {"path": protocol.RECORDS + "batch/", "max_records": 500} if self.batch else None
        return status | self._active(token)

    def _look_at_signature(self, headers, body):
        """A refusal, or None; as a server does that knows the gateway's key."""
        signature = headers.get("scaleledger-signature", "")
        message = f"scaleledger-body-v1\n{MAC}\n{hashlib.sha256(body).hexdigest()}".encode()
        if not signature:
            return 403, self._error("signature_missing")
        if not is_signed(self.keys[MAC], message, signature):
            return 403, self._error("signature_wrong")
        return None

"""A gateway's side of the contract for tests: its key, its ledger, its messages."""

import hashlib
import json
import uuid
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MAC = "02:5a:1e:d6:e4:01"
START = datetime(2026, 11, 21, 2, 10, tzinfo=UTC)


def canonical(fields):
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


class LedgerOf:
    """Makes chained records and signed batches as a gateway does. `outer` and `inner` replace fields of one record."""

    def __init__(self, mac=MAC, *, signed=False):
        self.mac = mac
        self.key = Ed25519PrivateKey.generate() if signed else None
        self.public_key = self.key.public_key().public_bytes_raw().hex() if signed else ""
        self.seq, self.hash = 0, "0" * 64

    def record(self, outer=None, **inner):
        self.seq += 1
        moment = (START + timedelta(seconds=self.seq)).isoformat()
        stated = {
            "v": 1, "gateway": self.mac, "seq": self.seq, "uuid": str(uuid.uuid4()), "kind": "weighing", "refers_to": "",
            "station": "dock-1", "driver": "suwol-1000", "mode": "tag", "card": f"{self.seq:08d}", "weight": "152.50",
            "unit": "kg", "role": "net", "raw": "02", "measured_at": moment, **inner,
        }  # fmt: skip
        payload = canonical(stated)
        self.hash = hashlib.sha256(bytes.fromhex(self.hash) + payload.encode()).hexdigest()
        record = {
            "uuid": stated["uuid"], "rfid_uid": stated["card"], "weight": float(stated["weight"]),
            "measured_at": stated["measured_at"],
            "ledger": {"seq": stated["seq"], "payload": payload, "hash": self.hash},
        }  # fmt: skip
        return {**record, **(outer or {})}

    def records(self, count):
        return [self.record() for _ in range(count)]

    def head(self):
        message = f"scaleledger-head-v1\n{self.mac}\n{self.seq}\n{self.hash}".encode()
        signature = self.key.sign(message).hex() if self.key else "ab" * 64
        return {"seq": self.seq, "hash": self.hash, "signature": signature}

    def batch(self, count):
        records = self.records(count)
        return {"records": records, "head": self.head()}

    def registration(self):
        body = {"mac_address": self.mac, "hostname": "dock-pc", "ip_address": "192.0.2.10", "name": "dock-pc"}
        return {**body, "public_key": self.public_key} if self.public_key else body

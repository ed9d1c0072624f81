"""A fleet of gateways as the centre sees it: keys, signed batches, sockets. Bodies are made before the clock starts.

Texts are put together by hand where the product goes through its own records: a bench client must cost less than what it
measures. A test holds one batch against the product's own.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

START = datetime(2026, 1, 1, tzinfo=UTC)
GENESIS = bytes(32)
REGISTRATIONS_AT_ONCE = 8
GATEWAYS = "/devices/api/gateways/"
BATCH = "/api/weighing/records/batch/"
SINGLE = "/api/weighing/records/"


@dataclass(slots=True)
class Member:
    """One gateway: its key, its token, its ledger so far."""

    number: int
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    token: str = ""
    id: int = 0
    seq: int = 0
    prev: bytes = GENESIS

    @property
    def mac(self) -> str:
        """Its label."""
        return f"02:be:{self.number >> 24 & 255:02x}:{self.number >> 16 & 255:02x}:{self.number >> 8 & 255:02x}:{self.number & 255:02x}"

    @property
    def public_key(self) -> str:
        """Its key's public half, hex."""
        return self.key.public_key().public_bytes_raw().hex()

    def sign(self, text: str) -> str:
        """Hex."""
        return self.key.sign(text.encode()).hex()

    def headers(self, body: bytes) -> dict[str, str]:
        """What a delivery carries."""
        digest = hashlib.sha256(body).hexdigest()
        return {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
            "Scaleledger-Signature": self.sign(f"scaleledger-body-v1\n{self.mac}\n{digest}"),
        }

    def records(self, count: int) -> list[str]:
        """The next records of its ledger, as JSON texts."""
        found = []
        for _ in range(count):
            self.seq += 1
            uuid = f"01b70000-{self.number & 0xFFFF:04x}-7{self.number >> 16 & 0xFFF:03x}-8000-{self.seq:012x}"
            at = (START + timedelta(seconds=self.seq)).isoformat(timespec="microseconds")
            weight = f"{20 + self.seq % 9000 / 10:.1f}"
            payload = (
                f'{{"boot_id":"0f9c1cc6","card":"A1B2C3D4","details":{{}},"driver":"suwol-1000",'
                f'"evidence":{{"frames":"3","mode":"flag"}},"gateway":"{self.mac}","kind":"weighing","measured_at":"{at}",'
                f'"mode":"tag","monotonic_ms":{self.seq * 1000},"raw":"02304430","refers_to":"","role":"net",'
                f'"seq":{self.seq},"software":"0.1.0","station":"dock-{self.seq % 4}","unit":"kg","utc_offset_min":540,'
                f'"uuid":"{uuid}","v":1,"weight":"{weight}"}}'
            )
            self.prev = hashlib.sha256(self.prev + payload.encode()).digest()
            found.append(
                f'{{"uuid":"{uuid}","rfid_uid":"A1B2C3D4","weight":{weight},"measured_at":"{at}","ledger":{{'
                f'"seq":{self.seq},"payload":{json.dumps(payload)},"hash":"{self.prev.hex()}"}}}}'
            )
        return found

    def batch(self, count: int) -> bytes:
        """The next records as a batch with its signed head."""
        records = ",".join(self.records(count))
        head = {"seq": self.seq, "hash": self.prev.hex()}
        head["signature"] = self.sign(f"scaleledger-head-v1\n{self.mac}\n{self.seq}\n{self.prev.hex()}")
        return f'{{"records":[{records}],"head":{json.dumps(head)}}}'.encode()

    async def prove(self, client: httpx2.AsyncClient) -> str:
        """Register, or come back with the key; the standing at the centre."""
        challenge = (await client.post(f"{GATEWAYS}challenge/", json={})).raise_for_status().json()["challenge"]
        said = f"scaleledger-proof-v1\n{self.mac}\n{self.public_key}\n{challenge}"
        asked: dict[str, Any] = {
            "mac_address": self.mac,
            "hostname": f"bench-{self.number}",
            "ip_address": "127.0.0.1",
            "name": f"Bench {self.number}",
            "public_key": self.public_key,
            "proof": {"challenge": challenge, "signature": self.sign(said)},
        }
        found = (await client.post(GATEWAYS, json=asked)).raise_for_status().json()
        self.token, self.id = found["access_token"] or "", found["id"]
        return str(found["status"])


async def prove_all(members: Sequence[Member], url: str) -> set[str]:
    """Prove each key at the centre; the standings found."""
    limit = asyncio.Semaphore(REGISTRATIONS_AT_ONCE)
    async with httpx2.AsyncClient(base_url=url, trust_env=False, timeout=60) as client:

        async def one(member: Member) -> str:
            async with limit:
                return await member.prove(client)

        return set(await asyncio.gather(*(one(member) for member in members)))


class Line:
    """One kept connection that sends a prepared body and reads a short answer; nothing is spent on being an HTTP library."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def post(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """Status and body. Raises ConnectionError or asyncio.IncompleteReadError when the server is gone."""
        lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await self._writer.drain()
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        size = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        return int(head.split(b" ", 2)[1]), await self._reader.readexactly(size)


@asynccontextmanager
async def line(port: int) -> AsyncIterator[Line]:
    """A connection to a worker on this machine."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    try:
        yield Line(reader, writer)
    finally:
        writer.close()

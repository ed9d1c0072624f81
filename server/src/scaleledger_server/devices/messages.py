"""What gateways say, read: from parsed JSON to values that may be stored. No database, no clock."""

import re
from datetime import datetime
from typing import Any

from scaleledger_server.bodies import HASH, read_count, read_fields, read_instant, read_match, read_text
from scaleledger_server.devices.identity import CHALLENGE, CLAIM_ID, SIGNATURE, Head, normal_mac, read_head
from scaleledger_server.devices.services import Proof, Registration
from scaleledger_server.errors import Invalid

PUBLIC_KEY: re.Pattern[str] = HASH  # both are 32 bytes in hex
ROWS_MAX = 256
BYTES_MAX = 2**53 - 1
SOURCES, LINKS = ("file", "centre"), ("up", "down", "opening")


def read_registration(value: Any, remote_address: str) -> tuple[Registration, Proof | None]:
    """`gateway_registration` of the contract. Raises Invalid."""
    fields = read_fields(value, ("mac_address", "hostname", "ip_address", "name"), ("public_key", "proof", "claim"))
    mac_address = normal_mac(read_text(fields["mac_address"], "mac_address", 17))
    if mac_address is None:
        raise Invalid("mac_address must be six bytes in hex, such as 02:5a:1e:d6:e4:01.", "mac_address")
    key = read_match(fields["public_key"], "public_key", PUBLIC_KEY, "64 hex digits") if "public_key" in fields else ""
    proof = _read_proof(fields, key)
    asked = Registration(
        mac_address,
        read_text(fields["hostname"], "hostname", 255),
        read_text(fields["ip_address"], "ip_address", 39),
        read_text(fields["name"], "name", 100),
        key,
        remote_address,
        proved=proof is not None,
    )
    return asked, proof


def _read_proof(fields: dict[str, Any], key: str) -> Proof | None:
    if "proof" not in fields:
        if "claim" in fields:
            raise Invalid("A claim needs a proof.", "proof")
        return None
    if not key:
        raise Invalid("A proof needs the public_key that it is of.", "public_key")
    proof = read_fields(fields["proof"], ("challenge", "signature"), field="proof")
    claim_id = claim_mac = ""
    if "claim" in fields:
        claim = read_fields(fields["claim"], ("id", "mac"), field="claim")
        claim_id = read_match(claim["id"], "claim.id", CLAIM_ID, "four characters of the claim alphabet")
        claim_mac = read_match(claim["mac"], "claim.mac", HASH, "64 hex digits")
    return Proof(
        read_match(proof["challenge"], "proof.challenge", CHALLENGE, "a challenge"),
        read_match(proof["signature"], "proof.signature", SIGNATURE, "128 hex digits"),
        claim_id,
        claim_mac,
    )


def read_heartbeat(value: Any, now: datetime) -> tuple[dict[str, Any], Head | None]:
    """`heartbeat` of the contract: what is kept for people, and the head if one came. Raises Invalid."""
    texts = {"version": 40, "python": 40, "platform": 100}
    counts = ("queued", "quarantined", "uptime_s", "disk_free_bytes", "disk_total_bytes", "receipt_seq")
    times = ("oldest_queued_at", "sent_at")
    lists = {"stations": _read_station, "stations_refused": _read_refused}
    fields = read_fields(value, (), (*texts, *counts, *times, *lists, "clock_offset_ms", "head"))
    reported: dict[str, Any] = {}
    for name, chars_max in texts.items():
        if name in fields:
            reported[name] = read_text(fields[name], name, chars_max)
    for name in counts:
        if name in fields:
            reported[name] = read_count(fields[name], name, 0)
    reported |= {
        name: read_instant(fields[name], name, now).isoformat() for name in times if fields.get(name) is not None
    }
    if fields.get("clock_offset_ms") is not None:
        reported["clock_offset_ms"] = read_count(fields["clock_offset_ms"], "clock_offset_ms", -BYTES_MAX, BYTES_MAX)
    for name, read_one in lists.items():
        if name in fields:
            reported[name] = [read_one(entry) for entry in _rows(fields[name], name)]
    head = read_head(fields["head"]) if fields.get("head") is not None else None
    return reported, head


def _rows(value: Any, field: str) -> list[Any]:
    if not isinstance(value, list) or len(value) > ROWS_MAX:
        raise Invalid(f"{field} must be a list of at most {ROWS_MAX}.", field)
    return value


def _read_station(value: Any) -> dict[str, Any]:
    fields = read_fields(
        value, ("name", "source", "driver", "port", "link", "state"), ("detail", "saved", "problems"), "stations"
    )
    read: dict[str, Any] = {
        "name": read_text(fields["name"], "stations.name", 100, 1),
        "driver": read_text(fields["driver"], "stations.driver", 40),
        "port": read_text(fields["port"], "stations.port", 200),
        "state": read_text(fields["state"], "stations.state", 40),
    }
    for name, allowed in (("source", SOURCES), ("link", LINKS)):
        if fields[name] not in allowed:
            raise Invalid(f"stations.{name} must be one of {', '.join(allowed)}.", f"stations.{name}")
        read[name] = fields[name]
    if "detail" in fields:
        read["detail"] = read_text(fields["detail"], "stations.detail", 300)
    for name in ("saved", "problems"):
        if name in fields:
            read[name] = read_count(fields[name], f"stations.{name}", 0)
    return read


def _read_refused(value: Any) -> dict[str, Any]:
    fields = read_fields(value, ("name", "reason"), field="stations_refused")
    return {
        "name": read_text(fields["name"], "stations_refused.name", 100),
        "reason": read_text(fields["reason"], "stations_refused.reason", 300),
    }

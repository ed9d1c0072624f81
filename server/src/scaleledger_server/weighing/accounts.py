"""A gateway's account in words: what each figure of the reconciliation means and what to do about it. Pure."""

from typing import NamedTuple

from scaleledger_server.devices.models import Gateway
from scaleledger_server.weighing.reconciliation import GAPS_SHOWN_MAX, Reconciliation


class Entry(NamedTuple):
    """One line of the account. `state` is good, wait or off."""

    name: str
    value: str
    state: str
    words: str


def entries(gateway: Gateway, found: Reconciliation, head_alarms: int) -> list[Entry]:
    """The account, line by line."""
    plain = found.records - found.numbered
    lines = [_held(found), _gaps(found), _pending(found), _proved(found), _absorbed(found), _anchor(found)]
    lines += [_receipt(found), _quarantined(gateway), _conflicts(found), _heads(head_alarms)]
    if plain:
        words = "They came from a client that keeps no ledger: nothing proves that all of its records are here."
        lines.insert(1, Entry("Without a number", str(plain), "wait", words))
    return lines


def _held(found: Reconciliation) -> Entry:
    words = "Records of this gateway's ledger that are stored here, and the highest number among them."
    return Entry("Held", f"{found.numbered}, up to number {found.last_seq}", "good", words)


def _gaps(found: Reconciliation) -> Entry:
    if not found.missing:
        return Entry("Gaps", "0", "good", f"Every number from 1 to {found.last_seq} is here.")
    ranges = ", ".join(str(first) if first == last else f"{first}–{last}" for first, last in found.gaps)
    more = " and more" if len(found.gaps) == GAPS_SHOWN_MAX else ""
    words = f"Missing: {ranges}{more}. The gateway still has them and delivers them; if the number stays for an hour while the gateway is connected, look at its own list of quarantined records."
    return Entry("Gaps", str(found.missing), "off", words)


def _pending(found: Reconciliation) -> Entry:
    if not found.pending:
        return Entry("On the way", "0", "good", "The gateway has told of no record that is not here.")
    words = "The gateway signed that these exist; they wait there for delivery. Nothing to do while it is connected."
    return Entry("On the way", str(found.pending), "wait", words)


def _proved(found: Reconciliation) -> Entry:
    if found.proved_seq == found.last_seq:
        words = "Each record's hash follows from the one before, from the first to the last."
        return Entry("Chain head", f"{found.proved_seq} {found.proved_hash[:16]}", "good", words)
    words = "Above this number a record is missing, or contradicts the one before it. Run the chain check."
    return Entry("Chain head", f"{found.proved_seq} {found.proved_hash[:16]}", "off", words)


def _absorbed(found: Reconciliation) -> Entry:
    words = "Records that came again, as they do after an interrupted answer. They were recognised and kept once."
    return Entry("Duplicates absorbed", str(found.absorbed), "good", words)


def _anchor(found: Reconciliation) -> Entry:
    if not found.anchor_seq:
        return Entry("Anchor", "none", "wait", "No signed head has come yet. A heartbeat or a delivery brings one.")
    words = (
        "The highest head the gateway ever signed. It never goes back, so a ledger cut short at the gateway is seen."
    )
    return Entry("Anchor", f"{found.anchor_seq} {found.anchor_hash[:16]}", "good", words)


def _receipt(found: Reconciliation) -> Entry:
    if not found.receipt_seq or found.receipt_at is None:
        return Entry("Last receipt", "none", "wait", "Given with the first delivery after which nothing is missing.")
    value = f"up to {found.receipt_seq}, {found.receipt_at:%Y-%m-%d %H:%M:%S} UTC"
    words = "With this signature the gateway knows that we hold its records; only then may it ever forget old ones."
    return Entry("Last receipt", value, "good", words)


def _quarantined(gateway: Gateway) -> Entry:
    count = gateway.reported.get("quarantined") or 0
    if not count:
        return Entry("Quarantined at the gateway", "0", "good", "This server refused no record for good.")
    words = "Refused here for good and set aside there; none is lost. Compare them with the conflicts below."
    return Entry("Quarantined at the gateway", str(count), "off", words)


def _conflicts(found: Reconciliation) -> Entry:
    if not found.conflicts:
        return Entry("Conflicts", "0", "good", "Nothing was offered that contradicts what is held.")
    words = "Something was offered that contradicts what is held; nothing was overwritten. Look at each conflict: a copied disk, a restored backup or a forged record looks like this."
    return Entry("Conflicts", str(found.conflicts), "off", words)


def _heads(count: int) -> Entry:
    if not count:
        return Entry("Heads not believed", "0", "good", "Every signed head fitted what was known.")
    words = (
        "A head bore a wrong signature, or another hash at a known number. Two gateways may run from one copied disk."
    )
    return Entry("Heads not believed", str(count), "off", words)

"""Evidence in words: each step of the proof of one record, whether it holds, and what that means. Pure."""

from typing import NamedTuple

from scaleledger_server.weighing.evidence import Evidence


class Step(NamedTuple):
    """One step. `holds` is None where there is nothing to prove (yet)."""

    title: str
    holds: bool | None
    words: str
    facts: tuple[tuple[str, str], ...] = ()

    @property
    def state(self) -> str:
        """The class that colours it."""
        return {True: "good", False: "off", None: "wait"}[self.holds]

    @property
    def sign(self) -> str:
        """The word that says it without colour."""
        return {True: "holds", False: "does not hold", None: "nothing to prove"}[self.holds]


def steps(found: Evidence) -> list[Step]:
    """The proof, step by step."""
    if found.record.seq is None:
        words = "The client that sent this record keeps no ledger, so only what it sent can be shown."
        return [Step("The ledger", None, words)]
    return [_agrees(found), _follows(found), _signed(found), _reaches(found), _receipt(found)]


def _agrees(found: Evidence) -> Step:
    words = {
        True: "Weight, card, station, time and number are what the gateway's own text says.",
        False: "A value shown here is not what the gateway's own text says: this row was altered at the centre. "
        "Trust the text below, and find out who had access to the database.",
    }[bool(found.agrees)]
    return Step("The values are the gateway's", found.agrees, words)


def _follows(found: Evidence) -> Step:
    record = found.record
    facts = (("hash of the record before", found.prev_hash or "not held"), ("hash of this record", record.hash))
    words = {
        None: "The record before this one has not come yet, so the link to it cannot be checked. It is checked when it comes.",
        True: "The hash follows from the text below and the record before it: neither was changed since.",
        False: "The hash does not follow from the text below and the record before it: one of the two was changed.",
    }[found.follows]
    return Step(f"It is number {record.seq} in the gateway's ledger", found.follows, words, facts)


def _signed(found: Evidence) -> Step:
    title = "The gateway signed its ledger after this record"
    if found.head is None:
        return Step(title, None, "No signed head at or above this number has come yet. The next delivery brings one.")
    facts = (("signed head", f"{found.head.seq} {found.head.hash}"), ("signature", found.head.signature))
    if not found.gateway.public_key:
        return Step(title, None, "No key is known of this gateway, so its signature cannot be checked.", facts)
    words = {
        True: f"The signature over head {found.head.seq} was made with the gateway's key ({found.gateway.fingerprint}).",
        False: "The signature over this head was not made with the gateway's key. Nothing proves who wrote it.",
    }[bool(found.signed)]
    return Step(title, bool(found.signed), words, facts)


def _reaches(found: Evidence) -> Step:
    title = "The chain leads from this record to that head"
    if found.head is None or found.reaches is None:
        return Step(title, None, "There is no head to reach yet.")
    words = {
        True: f"From number {found.record.seq} to {found.head.seq}, each hash follows from the one before.",
        False: "The chain between this record and the signed head is broken or has a gap: the signature proves nothing here.",
    }[found.reaches]
    return Step(title, found.reaches, words)


def _receipt(found: Evidence) -> Step:
    title = "The gateway was given a receipt for it"
    receipt = found.receipt
    if receipt is None:
        return Step(title, None, "No receipt covers this number yet. One is given when every record up to it is here.")
    facts = (
        ("receipt up to", f"{receipt.upto_seq} {receipt.hash}"),
        ("at", receipt.at),
        ("signature", receipt.signature),
    )
    words = {
        True: f"At {receipt.at} this server signed that it holds every record up to {receipt.upto_seq}.",
        False: "The kept receipt was not signed with this server's key. Was the key replaced?",
    }[receipt.holds]
    return Step(title, receipt.holds, words, facts)

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import jsonschema
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from fakes.weighings import MAC, draft
from scaleledger.domain import ledger
from scaleledger.domain.errors import ChainBroken, LedgerError
from scaleledger.domain.reading import Role
from scaleledger.domain.weighing import Draft, Head, Kind

CONTRACTS = Path(__file__).resolve().parents[4] / "contracts"
SCHEMA = json.loads((CONTRACTS / "payload.schema.json").read_text())
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
COUNT = 12


def signed(message, signature):
    try:
        KEY.public_key().verify(signature, message)
    except InvalidSignature:
        return False
    return True


def entry(item, seq, prev, *, sign=False):
    payload = ledger.payload_text(item, seq=seq, gateway=MAC, software="0.1.0")
    digest = ledger.link(prev, payload)
    signature = KEY.sign(ledger.head_message(MAC, seq, digest.hex())) if sign else b""
    at = ledger.time_text(item.measured_at)
    weight = ledger.weight_text(item.weight)
    return ledger.Entry(seq, item.uuid, item.card, weight, item.unit, item.station, at, payload, digest, signature)


def chain(count=COUNT, group=3):
    found, prev = [], ledger.GENESIS
    for seq in range(1, count + 1):
        found.append(entry(draft(seq), seq, prev, sign=seq % group == 0 or seq == count))
        prev = found[-1].hash
    return found


CHAIN = chain()
HEAD = Head(COUNT, CHAIN[-1].hash.hex(), "")

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
drafts = st.builds(
    Draft,
    uuid=st.uuids().map(str),
    station=texts.filter(bool),
    driver=texts,
    mode=st.sampled_from(["tag", "auto"]),
    weight=st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-99999, max_value=99999),
    unit=st.sampled_from(["kg", "g", "lb", ""]),
    measured_at=st.datetimes(timezones=st.just(UTC)),
    card=texts,
    role=st.sampled_from([None, *Role]),
    raw=st.binary(max_size=40),
    monotonic_s=st.floats(0, 1e9),
    utc_offset_min=st.integers(-720, 840),
    evidence=st.dictionaries(texts, texts, max_size=3).map(lambda d: tuple(d.items())),
    details=st.dictionaries(texts, texts, max_size=3).map(lambda d: tuple(d.items())),
    kind=st.sampled_from(Kind),
)


@pytest.mark.parametrize("path", sorted((CONTRACTS / "examples").glob("payload.*.json")), ids=lambda p: p.stem)
def test_the_contracts_examples_are_what_a_payload_looks_like(path):
    stated = json.loads(path.read_text())
    item = Draft(
        uuid=stated["uuid"], station=stated["station"], driver=stated["driver"], mode=stated["mode"],
        weight=Decimal(stated["weight"]), unit=stated["unit"], card=stated["card"], role=Role(stated["role"]),
        measured_at=datetime.fromisoformat(stated["measured_at"]), raw=bytes.fromhex(stated["raw"]),
        monotonic_s=stated["monotonic_ms"] / 1000, boot_id=stated["boot_id"], utc_offset_min=stated["utc_offset_min"],
        evidence=tuple(stated["evidence"].items()), details=tuple(stated["details"].items()),
    )  # fmt: skip
    text = ledger.payload_text(item, seq=stated["seq"], gateway=stated["gateway"], software=stated["software"])
    assert text == ledger.canonical(stated)


def test_the_hashes_of_the_contracts_batch_follow_from_each_other():
    prev = ledger.GENESIS
    for record in json.loads((CONTRACTS / "examples" / "weighing_batch.two.json").read_text())["records"]:
        prev = ledger.link(prev, record["ledger"]["payload"])
        assert prev.hex() == record["ledger"]["hash"]


@given(drafts)
def test_a_payload_keeps_the_contract_and_gives_its_fields_back(item):
    text = ledger.payload_text(item, seq=7, gateway=MAC, software="0.1.0")
    fields = ledger.payload_fields(text)
    jsonschema.validate(fields, SCHEMA)
    assert Decimal(fields["weight"]) == item.weight
    assert datetime.fromisoformat(fields["measured_at"]) == item.measured_at
    assert (fields["station"], fields["card"], bytes.fromhex(fields["raw"])) == (item.station, item.card, item.raw)
    assert tuple(sorted(fields["evidence"].items())) == tuple(sorted(item.evidence))


def test_only_the_number_is_filled_in_whatever_the_texts_hold():
    trap = ',"seq":0,"software":'
    item = draft(1, station=trap, card=trap, evidence=((trap, trap), ("seq", "0")), boot_id=trap)
    fields = ledger.payload_fields(ledger.payload_text(item, seq=7, gateway=MAC, software="0.1.0"))
    assert (fields["seq"], fields["station"], fields["card"], fields["boot_id"]) == (7, trap, trap, trap)
    assert fields["evidence"] == {trap: trap, "seq": "0"}


@given(drafts)
def test_what_is_appended_verifies(item):
    first = entry(item, 1, ledger.GENESIS, sign=True)
    assert ledger.verify([first], signed=signed).records == 1
    assert ledger.record_of(first, ledger.GENESIS).weight == item.weight


@pytest.mark.parametrize(
    "wrong",
    [
        {"weight": Decimal("NaN")},
        {"uuid": "no uuid"},
        {"station": ""},
        {"card": "x" * 51},
        {"station": "\ud800"},
        {"raw": b"x" * 10_000},
        {"measured_at": datetime(2026, 11, 21)},
    ],
    ids=lambda w: next(iter(w)),
)
def test_what_cannot_be_a_record_is_refused_in_words(wrong):
    with pytest.raises(LedgerError):
        ledger.payload_text(draft(1, **wrong), seq=1, gateway=MAC, software="")


def test_printed_zeros_stay_and_exponents_do_not():
    assert ledger.weight_text(Decimal("75.50")) == "75.50"
    assert ledger.weight_text(Decimal("1E+2")) == "100"


def test_the_chain_verifies_against_its_head():
    found = ledger.verify(CHAIN, signed=signed, head=HEAD)
    assert (found.records, found.seq, found.hash, found.signed_heads) == (COUNT, COUNT, HEAD.hash, 4)


def broken_at(entries, **how):
    with pytest.raises(ChainBroken) as caught:
        ledger.verify(entries, **({"signed": signed, "head": HEAD} | how))
    return caught.value.seq


@given(st.integers(0, COUNT - 1), st.data())
def test_any_changed_character_of_a_payload_is_found(index, data):
    changed = CHAIN[index]
    at = data.draw(st.integers(0, len(changed.payload) - 1))
    other = data.draw(st.characters(exclude_characters=changed.payload[at]))
    payload = changed.payload[:at] + other + changed.payload[at + 1 :]
    assert broken_at([*CHAIN[:index], changed._replace(payload=payload), *CHAIN[index + 1 :]]) == index + 1


@pytest.mark.parametrize("code_point", [0xD800, 0xDCFF])
def test_a_payload_that_is_no_text_is_found(code_point):
    assert broken_at([CHAIN[0]._replace(payload=chr(code_point) + CHAIN[0].payload)]) == 1


@given(st.integers(0, COUNT - 1), st.sampled_from(["uuid", "card", "weight", "unit", "station", "measured_at"]), texts)
def test_any_changed_column_is_found(index, column, text):
    if text == getattr(CHAIN[index], column):
        return
    entries = [*CHAIN]
    entries[index] = CHAIN[index]._replace(**{column: text})
    assert broken_at(entries) == index + 1


@given(st.integers(0, COUNT - 1), st.integers(0, 31), st.integers(1, 255))
def test_any_changed_hash_is_found(index, at, flip):
    digest = bytearray(CHAIN[index].hash)
    digest[at] ^= flip
    assert broken_at([*CHAIN[:index], CHAIN[index]._replace(hash=bytes(digest)), *CHAIN[index + 1 :]]) == index + 1


@given(st.integers(0, COUNT - 1))
def test_a_deleted_record_is_found(index):
    assert broken_at([*CHAIN[:index], *CHAIN[index + 1 :]]) in {index + 1, COUNT - 1}


@given(st.integers(0, COUNT - 2))
def test_swapped_records_are_found(index):
    entries = [*CHAIN]
    entries[index : index + 2] = [
        CHAIN[index + 1]._replace(seq=index + 1),
        CHAIN[index]._replace(seq=index + 2),
    ]
    assert broken_at(entries) == index + 1


@given(st.integers(0, COUNT - 1))
def test_an_inserted_or_repeated_record_is_found(index):
    assert broken_at([*CHAIN[: index + 1], CHAIN[index], *CHAIN[index + 1 :]]) == index + 2


def test_a_cut_tail_is_found_by_the_head_even_at_a_signed_record():
    assert ledger.verify(CHAIN[:9], signed=signed).seq == 9
    assert broken_at(CHAIN[:9]) == 9
    assert broken_at(CHAIN[:8], head=None) == 8


def test_a_chain_computed_anew_without_the_key_is_found():
    prev, forged = CHAIN[3].hash, list(CHAIN)
    for i in range(4, COUNT):
        item = draft(i + 1, weight=Decimal(1)) if i == 4 else draft(i + 1)
        forged[i] = entry(item, i + 1, prev)._replace(signature=CHAIN[i].signature)
        prev = forged[i].hash
    assert ledger.verify(forged).records == COUNT
    assert broken_at(forged, head=None) == 6
    assert broken_at(forged, head=None, every_signature=False) == COUNT


@pytest.mark.parametrize("content", ["[]", "{}", '{"seq":1}', "not json", '{"a":1}{"b":2}', "[" * 100_000])
def test_content_that_is_no_record_is_named_and_never_crashes(content):
    bad = CHAIN[0]._replace(payload=content, hash=ledger.link(ledger.GENESIS, content))
    assert broken_at([bad]) == 1


def gap(seq, *, key=KEY):
    digest = CHAIN[seq - 1].hash
    message = ledger.checkpoint_message(MAC, seq, digest.hex(), "salvage")
    return ledger.Checkpoint(MAC, seq, digest, "salvage", key.sign(message))


def test_a_gap_counts_only_when_the_gateway_signed_for_it():
    held = [*CHAIN[:3], *CHAIN[6:]]
    assert ledger.verify(held, signed=signed, checkpoints=[gap(6)]).checkpoints == 1
    assert broken_at(held, checkpoints=[gap(6, key=Ed25519PrivateKey.generate())]) == 4
    assert broken_at(held, checkpoints=[gap(5)]) == 4
    assert ledger.verify(CHAIN[:6], signed=signed, checkpoints=[gap(12)]).seq == COUNT


def test_a_ledger_may_be_proved_from_the_middle():
    assert ledger.verify(CHAIN[5:], signed=signed, after=(5, CHAIN[4].hash)).records == 7
    with pytest.raises(ChainBroken):
        ledger.verify(CHAIN[5:], after=(5, ledger.GENESIS))


def test_canonical_text_is_the_only_text_taken_for_a_payload():
    for text in ('{"b":1,"a":2}', '{"a": 1}', '{"a":1,"a":1}', "[1]", "NaN", "{"):
        with pytest.raises(LedgerError):
            ledger.payload_fields(text)


def test_a_void_names_what_it_voids():
    item = replace(draft(2), kind=Kind.VOID, refers_to=draft(1).uuid)
    fields = ledger.payload_fields(ledger.payload_text(item, seq=2, gateway=MAC, software=""))
    assert (fields["kind"], fields["refers_to"]) == ("void", draft(1).uuid)

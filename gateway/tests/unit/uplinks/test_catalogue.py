import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.contract import answer, example, html, text_of
from scaleledger.domain.assignment import AssignedStation, Assignment, PortIdentity
from scaleledger.domain.catalogue import Card, Catalogue
from scaleledger.domain.errors import CredentialsRefused, Disbelieved, LinkError, NotOffered
from scaleledger.domain.gateway import CardStanding
from scaleledger.uplinks.central import catalogue

READERS = [catalogue.read_stations, catalogue.read_catalogue]
SMALL = json.loads(text_of("catalogue.small"))
ONE = json.loads(text_of("stations.one"))


def stations(stated, **headers):
    return catalogue.read_stations(answer(200, stated, **headers))


def cards(stated):
    return catalogue.read_catalogue(answer(200, stated))


def test_the_examples_of_stations_are_read():
    assert stations([], etag='"0"') == Assignment("0")
    (stated,) = example("stations.one")
    port = PortIdentity("/dev/ttyUSB0", "A50285BI", "1-1.2")
    found = stations(ONE, etag='W/"4"')
    assert found == Assignment("4", (AssignedStation("dock-1", port, stated["config"]),))


def test_the_example_of_a_catalogue_is_read():
    assert catalogue.read_catalogue(answer(200, text_of("catalogue.small").encode())) == Catalogue(
        "17",
        {
            "A1B2C3D4": Card(CardStanding.KNOWN, "North boat", "고등어"),
            "00345678": Card(CardStanding.INACTIVE, "North boat", "Squid"),
        },
    )


@pytest.mark.parametrize("read", READERS)
def test_not_modified_is_no_change(read):
    assert read(answer(304)) is None


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("given_answer", "error"),
    [
        (answer(404, {"code": "not_found", "detail": "x"}), NotOffered),
        (answer(404, {"detail": "x"}), NotOffered),
        (answer(401, {"code": "token_unknown", "detail": "x"}), CredentialsRefused),
        (answer(401, {"code": "token_expired", "detail": "x"}), CredentialsRefused),
        (answer(401, {"detail": "x"}), Disbelieved),
        (html(200), Disbelieved),
        (html(404), Disbelieved),
        (answer(200, b""), Disbelieved),
        (answer(200, b"[["), Disbelieved),
        (answer(200, b"[" * 100_000), Disbelieved),
        (answer(200, b'{"a":' * 100_000), Disbelieved),
        (answer(200, b"\xff\xfe"), Disbelieved),
        (answer(200, "a text"), Disbelieved),
        (answer(200, None), Disbelieved),
        (answer(500), LinkError),
        (answer(503, retry_after="3"), LinkError),
    ],
)
def test_what_is_no_list_changes_nothing(read, given_answer, error):
    with pytest.raises(error):
        read(given_answer)


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ({}, "is no list of at most 256"),
        (ONE * 2, "two stations are called 'dock-1'"),
        ([dict(ONE[0], name=f"s{n}") for n in range(257)], "is no list of at most 256"),
        ([ONE[0], 7], "entry 2 is no object"),
        ([ONE[0] | {"name": ""}], "entry 1: name"),
        ([ONE[0] | {"name": "x" * 101}], "entry 1: name"),
        ([{k: v for k, v in ONE[0].items() if k != "serial_port"}], "entry 1: serial_port"),
        ([ONE[0] | {"serial_number": None}], "entry 1: serial_number"),
        ([ONE[0] | {"serial_location": "x" * 101}], "entry 1: serial_location"),
        ([ONE[0] | {"config": [1]}], "entry 1: config is no object"),
    ],
)
def test_one_station_that_is_not_the_contracts_refuses_the_list(odd, said):
    with pytest.raises(Disbelieved, match=said):
        stations(odd)


def test_a_station_without_a_configuration_has_nothing_to_run_yet():
    assert stations([ONE[0] | {"config": None}]).stations[0].config is None
    assert stations([{k: v for k, v in ONE[0].items() if k != "config"}]).stations[0].config is None


def test_a_station_whose_numbers_are_none_is_refused():
    with pytest.raises(Disbelieved, match="NaN is no number"):
        catalogue.read_stations(answer(200, b'[{"name":"a","config":{"timeout_s":NaN}}]'))


@pytest.mark.parametrize("tag", ["", '""', "4", '"a" "b"', '"' + "x" * 65 + '"', '"a\xe9"'])
def test_a_tag_that_cannot_be_sent_back_is_none(tag):
    assert stations([], etag=tag).version == ""


def with_card(**changed):
    return SMALL | {"rfid_cards": [SMALL["rfid_cards"][0] | changed]}


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ([], "{ is missing"),
        (SMALL | {"version": ""}, "no version"),
        (SMALL | {"version": 17}, "no version"),
        ({k: v for k, v in SMALL.items() if k != "version"}, "no version"),
        ({k: v for k, v in SMALL.items() if k != "producers"}, "producers is missing"),
        (SMALL | {"species": {}}, "species is no list"),
        (SMALL | {"species": None}, "species is no list"),
        (SMALL | {"species": [{"id": 1}]}, "species, entry 1: name"),
        (SMALL | {"producers": [{"id": 0, "name": "x"}]}, "producers, entry 1: id"),
        (SMALL | {"producers": [7]}, "producers, entry 1 is no object"),
        (SMALL | {"rfid_cards": SMALL["rfid_cards"][:1] * 2}, "card 'A1B2C3D4' is given twice"),
        (with_card(uid=""), "rfid_cards, entry 1: uid"),
        (with_card(uid="x" * 51), "rfid_cards, entry 1: uid"),
        (with_card(is_active=1), "is_active is not"),
        (with_card(producer=True), "rfid_cards, entry 1: producer"),
        (with_card(producer=6), "card 'A1B2C3D4' stands for"),
        (with_card(species=9), "card 'A1B2C3D4' stands for"),
    ],
)
def test_one_card_that_is_not_the_contracts_refuses_the_catalogue(odd, said):
    with pytest.raises(Disbelieved, match=said):
        cards(odd)


def test_a_catalogue_of_too_many_is_refused():
    many = [{"id": n + 1, "name": "x"} for n in range(10_001)]
    with pytest.raises(Disbelieved, match="species has more than 10000"):
        cards(SMALL | {"species": many})


def test_an_empty_catalogue_and_unknown_members_are_fine():
    empty = {"version": "1", "species": [], "producers": [], "rfid_cards": []}
    assert cards(empty) == Catalogue("1", {})
    assert cards({"more": [1, {"x": []}], "less": {"y": 2}} | SMALL | {"end": []}) == cards(SMALL)


@pytest.mark.parametrize("indent", [None, 0, 2, "\t"])
def test_blanks_do_not_matter(indent):
    raw = b" \n" + json.dumps(SMALL, indent=indent).encode() + b"\r\n "
    assert catalogue.read_catalogue(answer(200, raw)) == cards(SMALL)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t + "x",
        lambda t: t[:-1],
        lambda t: t.replace("]}", ",]}"),
        lambda t: t[:-1] + ",}",
        lambda t: t.replace('"species":[', '"species":[,'),
        lambda t: t.replace("},{", "}{"),
        lambda t: t.replace('"version":', '"version"'),
        lambda t: t.replace('"version"', "17"),
        lambda t: t.replace('"version"', '"species":[],"version"'),
    ],
)
def test_what_is_no_json_is_refused(change):
    text = json.dumps(SMALL, separators=(",", ":"))
    assert change(text) != text
    with pytest.raises(Disbelieved):
        catalogue.read_catalogue(answer(200, change(text).encode()))


def test_a_long_list_is_taken_apart_entry_by_entry_so_that_others_get_their_turn(monkeypatch):
    class Measuring(json.JSONDecoder):
        longest = 0

        def raw_decode(self, text, at=0):
            value, end = super().raw_decode(text, at)
            self.longest = max(self.longest, end - at)
            return value, end

    decoder = Measuring()
    monkeypatch.setattr(catalogue, "_DECODER", decoder)
    many = [SMALL["rfid_cards"][0] | {"uid": f"{number:08X}"} for number in range(1000)]
    assert len(cards(SMALL | {"rfid_cards": many}).cards) == 1000
    assert 0 < decoder.longest < 300


@given(st.data())
def test_a_catalogue_is_taken_only_where_a_parse_of_the_whole_finds_the_same(data):
    text = json.dumps(SMALL, separators=(",", ":"))
    at = data.draw(st.integers(0, len(text) - 1))
    piece = data.draw(st.sampled_from(["", " ", ",", "[", "]", "{", "}", '"', "0", "x", ":", "NaN"]))
    changed = text[:at] + piece + text[at + data.draw(st.integers(0, 2)) :]
    try:
        found = catalogue.read_catalogue(answer(200, changed.encode()))
    except Disbelieved:
        return
    whole = json.loads(changed)
    assert found.version == whole["version"]
    assert set(found.cards) == {card["uid"] for card in whole["rfid_cards"]}


@given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
def test_no_bytes_break_the_readers(body):
    for read in READERS:
        with pytest.raises(LinkError):
            read(answer(200, body + b"\x00"))


HALF = "\ud800"  # half of a surrogate pair, which JSON lets through and no disk takes


@pytest.mark.parametrize(
    "entry",
    [
        ONE[0] | {"name": HALF},
        ONE[0] | {"serial_port": HALF},
        ONE[0] | {"config": {"driver": HALF}},
        ONE[0] | {"config": {"options": {"a": [HALF]}}},
        ONE[0] | {"config": {HALF: 1}},
    ],
)
def test_a_station_with_text_that_cannot_be_written_down_casts_doubt_on_the_list(entry):
    with pytest.raises(Disbelieved):
        stations([entry])


@pytest.mark.parametrize("version", ["고등어", "1\n2", 'a"b', HALF, "", "v" * 65])
def test_a_catalogue_whose_version_no_header_can_carry_is_none(version):
    with pytest.raises(Disbelieved, match="version"):
        cards(SMALL | {"version": version})


def test_a_catalogue_with_a_name_that_cannot_be_written_down_is_none():
    with pytest.raises(Disbelieved):
        cards(SMALL | {"species": [SMALL["species"][0] | {"name": HALF}, *SMALL["species"][1:]]})

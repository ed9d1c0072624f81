"""`plu.txt` of the DP-401: the layout byte for byte, what has no place in it, and texts that try to break out of a field."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaleledger.domain.cloud import PluItem
from scaleledger.plu import FAMILIES, dp401, family

GOLDEN = Path(__file__).parents[2] / "vectors" / "plu" / "dp401.txt"
WIDTHS = [5, 16, 3, 12, 10, 5, 8, 8, 2, 2, 4, 0]

PRODUCTS = [
    PluItem("2", "KUŞBAŞI", "000000000002", 18_990, "kg", 12),
    PluItem("00001", "KIYMA", "000000000001", 15),
    PluItem("3", "Dana Antrikot Kemikli Uzun", "2000001025000", 99_999, "kg", 9_999, "7", "2"),
    PluItem("4", "İşkembe ÇĞÖÜ ığ", "", 0, "piece"),
    PluItem("5", "한우 ~ bœuf\tà l'os\x1b@", "12345"),
]


def test_the_file_is_the_golden_one():
    written = dp401.write(PRODUCTS)
    assert written.content == GOLDEN.read_bytes()
    assert (written.name, written.item_count, written.left_out) == ("plu.txt", 5, ())


def test_the_documented_line_is_written_as_documented():
    [line] = dp401.write([PRODUCTS[1]]).content.splitlines()
    assert line == b"00001~KIYMA           ~000~000000000001~          ~00015~00000000~00000000~01~01~0000~"


@pytest.mark.parametrize(
    ("item", "why"),
    [
        (PluItem("123456", "A", ""), "number"),
        (PluItem("12a", "A", ""), "number"),
        (PluItem("", "A", ""), "number"),
        (PluItem("١", "A", ""), "number"),
        (PluItem("1", "", ""), "name"),
        (PluItem("1", "\x00\x07", ""), "name"),
        (PluItem("1", "A", "1234567890123"), "barcode"),
        (PluItem("1", "A", "x"), "barcode"),
        (PluItem("1", "A", "", 100_000), "price"),
        (PluItem("1", "A", "", -1), "price"),
        (PluItem("1", "A", "", 0, "lb"), "unit"),
        (PluItem("1", "A", "", 0, "kg", 10_000), "tare"),
        (PluItem("1", "A", "", department="1234"), "department"),
        (PluItem("1", "A", "", label_type="abc"), "label type"),
    ],
)
def test_what_has_no_place_is_left_out_with_its_reason_and_costs_the_others_nothing(item, why):
    written = dp401.write([item, PluItem("7", "B", "")])
    assert [number for number, _ in written.left_out] == [item.number]
    assert why in written.left_out[0][1]
    assert written.item_count == 1


def test_of_two_with_one_number_the_first_is_kept():
    written = dp401.write([PluItem("1", "Bonfile", ""), PluItem("00001", "Antrikot", "")])
    assert b"Antrikot" in written.content
    assert written.left_out == (("1", "another product has this number"),)


ITEMS = st.builds(
    PluItem,
    st.text(max_size=8),
    st.text(max_size=40),
    st.text(max_size=20),
    st.integers(-10, 200_000),
    st.sampled_from(["kg", "piece", "lb"]),
    st.integers(-5, 20_000),
    st.text(max_size=4),
    st.text(max_size=3),
)


@given(st.lists(ITEMS, max_size=20), st.randoms())
def test_every_line_has_its_widths_whatever_the_products_are_called(items, random):
    written = dp401.write(items)
    lines = written.content.decode("cp1254").split("\r\n")
    assert lines.pop() == ""
    assert len(lines) == written.item_count == len(items) - len(written.left_out)
    for line in lines:
        assert [len(field) for field in line.split("~")] == WIDTHS
    shuffled = list({item.number.zfill(5): item for item in items}.values())
    expected = dp401.write(shuffled).content
    random.shuffle(shuffled)
    assert dp401.write(shuffled).content == expected


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_says_whether_a_real_scale_has_read_its_file(name):
    assert isinstance(family(name).VERIFIED, bool)
    assert family(name).write([]).content == b""

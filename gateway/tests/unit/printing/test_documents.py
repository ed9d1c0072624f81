"""Slips and labels to the byte, and that no text of a user's ever commands a printer.

The files in vectors/printing are what a printer gets. Where a change of them is meant, write them anew:
SCALELEDGER_WRITE_VECTORS=1 pytest gateway/tests/unit/printing
"""

import os
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.weighings import MAC, draft
from scaleledger.domain.commands import PrintDocument
from scaleledger.domain.ledger import payload_text
from scaleledger.domain.weighing import Kind, Record
from scaleledger.printing import escpos, tspl
from scaleledger.printing.document import Align, Barcode, Document, Gap, Line, Pair, Rule
from scaleledger.printing.lettering import Lettering
from scaleledger.printing.slip import TEXTS, copy_word, slip, trial

VECTORS = Path(__file__).parents[2] / "vectors" / "printing"
SEOUL, ISTANBUL = ZoneInfo("Asia/Seoul"), ZoneInfo("Europe/Istanbul")
AT = datetime(2026, 11, 21, 2, 10, 5, tzinfo=UTC)


def record(**changed):
    wanted = draft(7, measured_at=AT, **changed)
    payload = payload_text(wanted, seq=41, gateway=MAC, software="0.1.0")
    return Record(
        41, wanted.uuid, wanted.card, wanted.weight, wanted.unit, wanted.station, AT, payload, "00" * 32, "00" * 32
    )


SQUID = {"producer": "제7동해호 김철수", "species": "오징어"}
BEEF = {"product": "DANA KIYMA İÇ ŞİŞ", "plu": "000000000001", "operator": "Çağrı", "gross": "1920", "tare": "70"}
FISH = record(weight=Decimal("152.50"), details=tuple(SQUID.items()))
MEAT = record(weight=Decimal(1850), unit="g", card="", station="SCALE-01", details=tuple(BEEF.items()))
VOID = record(kind=Kind.VOID, refers_to="0192f0c1-7a00-7000-8000-000000000003")
EVERYTHING = Document(
    (
        Line("Line", Align.CENTRE, 2, bold=True),
        Pair("Name", "value"),
        Pair("A name that is long enough", "and a value that is long too"),
        Rule("="),
        Gap(2),
        Barcode("4006381333931"),
        Barcode("no barcode: ü"),
        Line("right", Align.RIGHT),
    )
)

GOLDEN = {
    "slip-ko.escpos": lambda: escpos.render(slip(FISH, texts="ko", zone=SEOUL, gateway="위판장 1")),
    "slip-ko-copy.escpos": lambda: escpos.render(slip(FISH, texts="ko", zone=SEOUL, copy=True)),
    "slip-en-void.escpos": lambda: escpos.render(slip(VOID, texts="en", zone=SEOUL), columns=32, codepage="cp1252"),
    "slip-tr.escpos": lambda: escpos.render(slip(MEAT, texts="tr", zone=ISTANBUL), columns=32, codepage="windows-1254"),
    "slip-tr.tspl": lambda: tspl.render(slip(MEAT, texts="tr", zone=ISTANBUL), tspl.LabelSize(80, 100, 3)),
    "small-labels.tspl": lambda: tspl.render(
        slip(MEAT, texts="en", zone=ISTANBUL), tspl.LabelSize(40, 30, 2), copies=2
    ),
    "trial-ko.tspl": lambda: tspl.render(trial(texts="ko", printer="p", at="x", gateway="g"), codepage="cp949"),
    "everything.escpos": lambda: escpos.render(EVERYTHING),
    "everything.tspl": lambda: tspl.render(EVERYTHING, tspl.LabelSize(58, 80, 2)),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_a_document_has_the_bytes_that_stand_in_its_file(name):
    made = GOLDEN[name]()
    if os.environ.get("SCALELEDGER_WRITE_VECTORS"):
        (VECTORS / name).write_bytes(made)
    assert made == (VECTORS / name).read_bytes()


def test_the_slip_begins_and_ends_as_the_printer_behind_a_suwol_station_is_used_to():
    made = escpos.render(slip(FISH, texts="ko", zone=SEOUL))
    assert made.startswith(b"\x18\x1b@\x1c&\x1ba\x01\x1d!\x11\x1bE\x01" + "계 량 전 표".encode("cp949"))
    assert made.endswith(b"\x1bd\x04\x1dV\x00")
    assert escpos.command(slip(FISH, texts="ko", zone=SEOUL)) == PrintDocument(made)
    assert len(made) < 4000, "more than a print frame takes"


def lines_of(made):
    """The lines of text in ESC/POS bytes, each with its width in bytes of cp949."""
    text = re.sub(rb"\x1b[aE].|\x1d!.|\x18|\x1b@|\x1c&|\x1bd.|\x1dV.", b"", made, flags=re.DOTALL)
    return text.split(b"\n")


def test_a_slip_says_all_that_the_record_holds_in_site_time_and_the_weight_as_printed():
    text = b"\n".join(lines_of(escpos.render(slip(FISH, texts="ko", zone=SEOUL)))).decode("cp949")
    for word in (
        "2026-11-21 11:10:05",
        "41",
        "00000007",
        "dock-1",
        "00345678",
        "제7동해호 김철수",
        "오징어",
        "152.50 kg",
    ):
        assert word in text, word
    text = b"\n".join(lines_of(escpos.render(slip(MEAT, texts="tr", zone=ISTANBUL), codepage="cp1254"))).decode(
        "cp1254"
    )
    for word in ("1920 g", "70 g", "1850 g", "DANA KIYMA İÇ ŞİŞ", "05:10:05"):
        assert word in text, word


@pytest.mark.parametrize("texts", TEXTS)
def test_every_language_has_every_word_and_marks_a_copy(texts):
    assert TEXTS[texts].keys() == TEXTS["en"].keys()
    plain, copy = (slip(FISH, texts=texts, zone=SEOUL, copy=copy) for copy in (False, True))
    word = Lettering("cp949").clean(copy_word(texts)).encode("cp949")
    assert word in escpos.render(copy)
    assert word not in escpos.render(plain)


def test_hangul_counts_two_columns_so_no_line_is_wider_than_the_paper():
    long = record(details=(("producer", "가나다라마바사아자차카타파하" * 3), ("species", "x" * 90)))
    for row in lines_of(escpos.render(slip(long, texts="ko", zone=SEOUL), columns=42)):
        assert len(row) <= 42, row
    assert "가나다" not in escpos.render(slip(long, texts="ko", zone=SEOUL)).decode("cp949").split("\n")[0]


def test_a_decomposed_name_is_printed_as_its_owner_writes_it():
    assert Lettering("cp949").clean("\u1112\u1161\u11ab\u1100\u1173\u11af") == "한글"


def test_letters_outside_the_code_page_are_seen_to_be_missing():
    assert Lettering("windows-1254").clean("계량 Ş") == "?? Ş"
    assert Lettering("cp949").clean("ğ漢😀") == "?漢?"


def test_a_line_is_wrapped_between_words_and_inside_one_that_is_too_long():
    letters = Lettering("cp949")
    assert letters.wrap("ab cd efghijk", 5) == ["ab cd", "efghi", "jk"]
    assert letters.wrap("가나다", 5) == ["가나", "다"]
    assert letters.wrap("", 5) == [""]


def test_a_long_text_is_cut_and_says_so():
    assert Lettering("ascii").clean("x" * 501) == "x" * 497 + "..."


def test_a_label_that_is_too_small_goes_on_on_the_next():
    made = tspl.render(slip(MEAT, texts="en", zone=ISTANBUL), tspl.LabelSize(40, 30, 2), copies=2)
    labels = made.count(b"PRINT 1,2\r\n")
    assert labels > 1
    assert made.count(b"CLS\r\n") == labels
    assert tspl.labels_in(made) == 2 * labels
    assert all(int(y) <= 30 * 8 for y in re.findall(rb"TEXT \d+,(\d+),", made))


def test_a_copy_is_marked_on_every_label_and_above_every_slip():
    made = tspl.render(slip(MEAT, texts="tr", zone=ISTANBUL), tspl.LabelSize(40, 30, 2))
    assert tspl.marked(made, "KOPYA", tspl.LabelSize(40, 30, 2)).count(b"KOPYA") == tspl.labels_in(made)
    receipt = escpos.render(slip(FISH, texts="ko", zone=SEOUL))
    assert escpos.marked(receipt, "사본").endswith(receipt)


@pytest.mark.parametrize(
    ("content", "count", "sent"),
    [(b"CLS\r\nPRINT 1\r\n", 3, 3), (b"PRINT 3,1\r\n", 3, 1), (b"print 1,3\r\n", 2, 1), (b"no command\r\n", 2, 2)],
)
def test_a_label_that_asks_for_several_is_sent_once(content, count, sent):
    assert tspl.repeats(content, count) == sent


OURS = re.compile(
    rb"\x1b[aE].|\x1d!.|\x18|\x1b@|\x1c&|\x1c\.|\x1bt.|\x1bd.|\x1dV.|\x1dh.|\x1dw.|\x1dH.|\x1dkI.", re.DOTALL
)
ANY = st.text(st.characters(codec=None), max_size=60) | st.text(
    st.sampled_from("\x1b\x1d\x10\x03\x00\"'\\[]~!\r\nVSa"), max_size=30
)
PAGES = st.sampled_from(
    ["cp949", "windows-1254", "cp437", "utf-8", "utf-16", "utf-7", "iso2022_kr", "shift_jis", "cp037", "hz"]
)


def document_of(texts):
    one, two, three = texts
    return Document(
        (Line(one, Align.RIGHT, 2), Pair(two, three), Rule(two[:1] or "-"), Barcode(three), Line(three, bold=True))
    )


@given(st.tuples(ANY, ANY, ANY), PAGES, st.integers(16, 64))
def test_no_control_byte_of_a_text_reaches_a_slip_printer(texts, codepage, columns):
    made = escpos.render(document_of(texts), columns=columns, codepage=codepage)
    left = OURS.sub(b"", made).replace(b"{B", b"")
    assert not [byte for byte in left if (byte < 0x20 and byte != 0x0A) or byte == 0x7F]


@given(st.tuples(ANY, ANY, ANY), PAGES)
def test_every_line_of_a_label_is_one_of_our_commands_whatever_the_texts_say(texts, codepage):
    made = tspl.render(document_of(texts), tspl.LabelSize(58, 80, 2), codepage=codepage)
    assert made.endswith(b"\r\n")
    for line in made.removesuffix(b"\r\n").split(b"\r\n"):
        assert re.fullmatch(
            rb'(SIZE|GAP) [0-9 m,]+|DIRECTION 1|CODEPAGE [0-9UTF-]+|CLS|PRINT 1,1|TEXT \d+,\d+,"[2K]",0,\d,\d,"[^"\\~\x00-\x1f\x7f]*"'
            rb'|BARCODE \d+,\d+,"128",60,1,0,2,2,"[^"\\~\x00-\x1f\x7f]*"',
            line,
        ), line


@given(ANY, st.integers(2, 64), st.sampled_from(["cp949", "cp1254", "utf-8"]))
def test_no_wrapped_line_is_too_wide_and_no_letter_is_lost(text, columns, codepage):
    letters = Lettering(codepage)
    cleaned = letters.clean(text)
    lines = letters.wrap(cleaned, columns)
    assert all(letters.columns(line) <= columns for line in lines)
    assert "".join(lines).replace(" ", "") == cleaned.replace(" ", "")

"""The slip of one weighing: what the ledger holds of it, in words of the site's language.

Weights stand as they were printed by the scale, with their unit. The number is the record's place in the ledger; the code
below it is the beginning of its uuid.
"""

import json
from collections.abc import Mapping
from datetime import tzinfo

from scaleledger.domain.weighing import Kind, Record
from scaleledger.printing.document import Align, Document, Element, Gap, Line, Pair, Rule

TEXTS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "title": "WEIGHING SLIP", "copy": "COPY", "void": "VOID", "correction": "CORRECTION", "test": "TEST PRINT",
        "at": "Time", "seq": "Number", "code": "Code", "gateway": "Gateway", "station": "Station", "card": "Card",
        "producer": "Producer", "species": "Species", "product": "Product", "plu": "PLU", "operator": "Operator",
        "animal_tag": "Animal", "gross": "Gross", "tare": "Tare", "net": "Net", "printer": "Printer",
        "refers_to": "Concerns",
    },
    "ko": {
        "title": "계 량 전 표", "copy": "사본", "void": "취소", "correction": "정정", "test": "시험 인쇄",
        "at": "계량일시", "seq": "전표번호", "code": "확인코드", "gateway": "계 량 기", "station": "계 근 대",
        "card": "카드번호", "producer": "생산자명", "species": "어    종", "product": "품 목 명", "plu": "PLU",
        "operator": "담 당 자", "animal_tag": "개체번호", "gross": "총 중 량", "tare": "용기중량", "net": "실 중 량",
        "printer": "프 린 터", "refers_to": "원본전표",
    },
    "tr": {
        "title": "TARTIM FİŞİ", "copy": "KOPYA", "void": "İPTAL", "correction": "DÜZELTME", "test": "DENEME BASKISI",
        "at": "Zaman", "seq": "Numara", "code": "Kod", "gateway": "Ağ geçidi", "station": "Kantar", "card": "Kart",
        "producer": "Üretici", "species": "Tür", "product": "Ürün", "plu": "PLU", "operator": "Operatör",
        "animal_tag": "Hayvan", "gross": "Brüt", "tare": "Dara", "net": "Net", "printer": "Yazıcı",
        "refers_to": "İlgili kayıt",
    },
}  # fmt: skip
"""The words of slips and test prints, by language."""

TOLD = ("producer", "species", "product", "plu", "operator", "animal_tag")
CODE_DIGITS = 8


def copy_word(texts: str) -> str:
    """What a copy is marked with."""
    return TEXTS[texts]["copy"]


def slip(record: Record, *, texts: str, zone: tzinfo, gateway: str = "", copy: bool = False) -> Document:
    """The slip of a record, times in `zone`. A void or a correction says that it is one, and of which record."""
    words = TEXTS[texts]
    payload = json.loads(record.payload)
    details: Mapping[str, str] = payload["details"]
    kind = Kind(payload["kind"])
    head: list[Element] = []
    if copy:
        head.append(Line(words["copy"], Align.CENTRE, 2, bold=True))
    head.append(Line(words["title"], Align.CENTRE, 2, bold=True))
    if kind is not Kind.WEIGHING:
        head.append(Line(words[kind.value], Align.CENTRE, 2, bold=True))
    facts: list[tuple[str, str]] = [
        ("at", record.measured_at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")),
        ("seq", str(record.seq)),
        ("code", record.uuid[-CODE_DIGITS:].upper()),
        ("refers_to", payload["refers_to"][-CODE_DIGITS:].upper()),
        ("gateway", gateway),
        ("station", record.station),
    ]
    named = [("card", record.card), *((name, details.get(name, "")) for name in TOLD)]
    weights = [(name, details.get(name, "")) for name in ("gross", "tare")]
    body = [
        Rule("="),
        *_pairs(facts, words),
        Rule(),
        *_pairs(named, words),
        *_pairs([(name, f"{value} {record.unit}") for name, value in weights if value], words),
        Gap(),
        Line(words["net"], Align.RIGHT) if any(value for _, value in weights) else Gap(0),
        Line(f"{record.weight:f} {record.unit}", Align.RIGHT, 2, bold=True),
        Rule("="),
    ]
    return Document((*head, *body))


def trial(*, texts: str, printer: str, at: str, gateway: str) -> Document:
    """A label or slip that shows that a printer prints, with the letters that go wrong first."""
    words = TEXTS[texts]
    pairs = _pairs([("printer", printer), ("gateway", gateway), ("at", at)], words)
    return Document((Line(words["test"], Align.CENTRE, 2, bold=True), Rule(), *pairs, Line("ÇĞİÖŞÜ çğıöşü 계량")))


def _pairs(facts: list[tuple[str, str]], words: Mapping[str, str]) -> list[Element]:
    return [Pair(words[name], value) for name, value in facts if value]

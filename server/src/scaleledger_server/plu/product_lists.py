"""Products as CSV: a whole list in or nothing, each bad line named with its number and reason; and out again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError

from scaleledger_server import spreadsheets
from scaleledger_server.plu.models import Product
from scaleledger_server.spreadsheets import Faults, rows_of, safe

COLUMNS = [
    "number", "name", "label_name", "barcode", "department", "price", "unit", "tare_grams", "label_type",
    "shelf_life_days", "is_active",
]  # fmt: skip
NEEDED = ("number", "name")
NUMBERS = {"price", "tare_grams", "shelf_life_days"}
YES, NO = {"1", "true", "yes", ""}, {"0", "false", "no"}
LABEL_NAME_CHARS = 16


@dataclass(slots=True)
class Reading(Faults):
    """What a file holds, and what is wrong with it."""

    products: list[Product] = field(default_factory=list)


def read(content: bytes) -> Reading:
    """The file's products, each judged by itself; a number that stands twice is refused."""
    reading = Reading()
    seen: dict[str, int] = {}
    for line, cells in rows_of(content, NEEDED, reading):
        try:
            product = _product(cells)
        except ValueError as wrong:
            reading.refuse(line, str(wrong))
            continue
        if product.number in seen:
            reading.refuse(line, f"names product {product.number} again; line {seen[product.number]} does already.")
            continue
        seen[product.number] = line
        reading.products.append(product)
    return reading


def _product(cells: Mapping[str, str]) -> Product:
    """The product that a line states. Raises ValueError in words."""
    told: dict[str, Any] = {}
    for key in COLUMNS:
        text = cells.get(key, "")
        if key in NUMBERS and text:
            if not (text.isascii() and text.isdigit() and len(text) <= 6):
                raise ValueError(f"{key} must be a whole number, not {text[:20]!r}.")
            told[key] = int(text)
        elif key == "is_active":
            if text.lower() not in YES | NO:
                raise ValueError(f"is_active must be yes or no, not {text[:20]!r}.")
            told[key] = text.lower() in YES
        elif text:
            told[key] = text
    told["number"] = told.get("number", "").zfill(5)
    told.setdefault("label_name", told.get("name", "")[:LABEL_NAME_CHARS].strip())
    product = Product(**told)
    try:
        product.full_clean(validate_unique=False)
    except ValidationError as wrong:
        raise ValueError("; ".join(f"{key}: {' '.join(words)}" for key, words in wrong.message_dict.items())) from None
    return product


def differ(old: Product, new: Product) -> bool:
    """Whether a line states something else than what is held."""
    return any(getattr(old, key) != getattr(new, key) for key in COLUMNS)


def written() -> Iterator[str]:
    """All products as CSV."""
    return spreadsheets.lines(COLUMNS, map(_row, Product.objects.iterator()))


def _row(product: Product) -> Iterator[str]:
    for key in COLUMNS:
        value = getattr(product, key)
        yield {True: "yes", False: "no"}[value] if isinstance(value, bool) else safe(str(value))

"""The only writer of products. Every change makes a new version of the list in its own transaction, then tells the edges."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet

from scaleledger_server.notices import tell_every_edge
from scaleledger_server.plu import product_lists
from scaleledger_server.plu.models import ListVersion, Product

VERSION_ROW = 1
PRODUCTS_MAX = 20_000
IMPORT_ROWS = 500


@contextmanager
def changing() -> Iterator[None]:
    """A transaction that changes the list. Raising the version first makes writers wait for each other."""
    with transaction.atomic():
        mark = secrets.token_hex(4)
        mine = ListVersion.objects.filter(pk=VERSION_ROW)
        if not mine.update(number=F("number") + 1, mark=mark):
            ListVersion.objects.bulk_create([ListVersion(pk=VERSION_ROW, mark=mark)], ignore_conflicts=True)
            mine.update(number=F("number") + 1, mark=mark)  # whoever else made the very first change has committed
        yield
        tell_every_edge("plu_updated", {"version": mine.get().tag})


def save(product: Product) -> None:
    """Keep a product, new or changed. Raises ValidationError for one that cannot be kept."""
    with changing():
        product.full_clean()
        product.save()


def remove(product: Product) -> None:
    """Delete a product."""
    with changing():
        product.delete()


def remove_all(products: QuerySet[Any]) -> None:
    """Delete many as one change."""
    with changing():
        products.delete()


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a list: nothing was kept if `bad` names a line."""

    new: int = 0
    changed: int = 0
    same: int = 0
    bad: Sequence[tuple[int, str]] = ()


class NothingKept(Exception):
    """Ends the transaction of a list that holds a bad line."""


def import_products(content: bytes) -> Imported:
    """Keep the products of a CSV file, all of them or none. Products that the file does not name stay as they are."""
    reading = product_lists.read(content)
    if reading.bad:
        return Imported(bad=sorted(reading.bad))
    try:
        with changing():
            return _keep(reading)
    except NothingKept:
        return Imported(bad=sorted(reading.bad))


def _keep(reading: product_lists.Reading) -> Imported:
    held = {product.number: product for product in Product.objects.all()}
    new, changed = [], []
    for product in reading.products:
        old = held.get(product.number)
        if old is None:
            new.append(product)
        elif product_lists.differ(old, product):
            product.pk = old.pk
            changed.append(product)
    if len(new) > PRODUCTS_MAX - len(held):
        reading.refuse(1, f"is the start of a list that would make more than {PRODUCTS_MAX} products.")
        raise NothingKept
    Product.objects.bulk_create(new, batch_size=IMPORT_ROWS)
    Product.objects.bulk_update(changed, product_lists.COLUMNS[1:], batch_size=IMPORT_ROWS)
    same = len(reading.products) - len(new) - len(changed)
    return Imported(len(new), len(changed), same)

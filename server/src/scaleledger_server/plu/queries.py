"""The product list as edges fetch it."""

from typing import Any

from scaleledger_server.plu.models import ListVersion, Product


def version() -> str:
    """The tag of the present version."""
    row = ListVersion.objects.first()
    return row.tag if row is not None else "1"


def items() -> list[dict[str, Any]]:
    """The active products, as the contract spells them, in order of their numbers."""
    return [
        {
            "number": product.number.zfill(5),
            "name": product.label_name,
            "barcode": product.barcode,
            "price": product.price,
            "unit": product.unit,
            "tareGrams": product.tare_grams,
            "department": product.department,
            "labelType": product.label_type,
            "shelfLifeDays": product.shelf_life_days,
        }
        for product in Product.objects.filter(is_active=True)
    ]

"""Where products are kept. Every change goes through the services, so that edges hear of it."""

from collections.abc import Iterator

from django.contrib import admin

from scaleledger_server.list_admin import AsCsv
from scaleledger_server.plu import product_lists, services
from scaleledger_server.plu.models import Product


@admin.register(Product)
class ProductAdmin(AsCsv):
    """Products, singly or as a list."""

    services = services
    things = "products"
    columns_said = "number and name, and if you like " + ", ".join(product_lists.COLUMNS[2:])
    list_display = ["number", "name", "label_name", "barcode", "price", "unit", "is_active", "updated_at"]
    list_filter = ["is_active", "unit"]
    search_fields = ["number", "name", "label_name", "barcode"]
    readonly_fields = ["updated_at"]
    ordering = ["number"]

    def take(self, content: bytes) -> services.Imported:
        return services.import_products(content)

    def give(self) -> Iterator[str]:
        return product_lists.written()

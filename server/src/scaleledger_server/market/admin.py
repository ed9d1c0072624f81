"""Where species, producers and cards are kept. Every change goes through the services, so that gateways hear of it."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest

from scaleledger_server.list_admin import AsCsv, ThroughServices
from scaleledger_server.market import card_lists, services
from scaleledger_server.market.models import Producer, RfidCard, Species


class MarketAdmin(ThroughServices):
    """Market data."""

    services = services


class WithCardCount(MarketAdmin):
    """Shows how many cards stand for a row."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request).annotate(card_count=Count("cards"))
        return rows

    @admin.display(description="cards", ordering="card_count")
    def cards(self, row: Any) -> int:
        return int(row.card_count)


@admin.register(Species)
class SpeciesAdmin(WithCardCount):
    """Kinds of goods."""

    list_display = ["name", "cards"]
    ordering = ["name"]
    search_fields = ["name"]


@admin.register(Producer)
class ProducerAdmin(WithCardCount):
    """Who brings goods."""

    list_display = ["name", "phone", "cards", "created_at"]
    search_fields = ["name", "phone", "uuid"]
    readonly_fields = ["uuid", "created_at"]
    ordering = ["name", "id"]


@admin.register(RfidCard)
class RfidCardAdmin(AsCsv, MarketAdmin):
    """Cards, singly or as a list."""

    things = "cards"
    columns_said = "uid, producer and species, and if you like producer_uuid and is_active. Producers and species must be known already"
    list_display = ["uid", "producer", "species", "is_active", "issued_at", "last_used_at"]
    list_filter = ["is_active", "species"]
    list_select_related = ["producer", "species"]
    search_fields = ["uid", "producer__name"]
    autocomplete_fields = ["producer", "species"]
    readonly_fields = ["uuid", "last_used_at"]
    fields = ["uid", "producer", "species", "is_active", "issued_at", "uuid", "last_used_at"]

    def take(self, content: bytes) -> services.Imported:
        return services.import_cards(content)

    def give(self) -> Iterator[str]:
        return card_lists.written()

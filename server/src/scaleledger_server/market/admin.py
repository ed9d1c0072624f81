"""Where species, producers and cards are kept. Every change goes through the services, so that gateways hear of it."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from unfold.admin import ModelAdmin  # type: ignore[import-untyped]  # it ships no types
from unfold.decorators import action  # type: ignore[import-untyped]

from scaleledger_server import spreadsheets
from scaleledger_server.market import card_lists, services
from scaleledger_server.market.models import Producer, RfidCard, Species


class MarketAdmin(ModelAdmin):  # type: ignore[misc]
    """Saves and deletes through the services."""

    show_full_result_count = False
    list_per_page = 50

    def save_model(self, request: HttpRequest, obj: services.Row, form: Any, change: bool) -> None:  # noqa: ARG002, FBT001
        services.save(obj)

    def delete_model(self, request: HttpRequest, obj: services.Row) -> None:  # noqa: ARG002
        services.remove(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:  # noqa: ARG002
        services.remove_all(queryset)


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
class RfidCardAdmin(MarketAdmin):
    """Cards, singly or as a list."""

    list_display = ["uid", "producer", "species", "is_active", "issued_at", "last_used_at"]
    list_filter = ["is_active", "species"]
    list_select_related = ["producer", "species"]
    search_fields = ["uid", "producer__name"]
    autocomplete_fields = ["producer", "species"]
    readonly_fields = ["uuid", "last_used_at"]
    fields = ["uid", "producer", "species", "is_active", "issued_at", "uuid", "last_used_at"]
    actions_list = ["import_page", "export"]

    def has_import_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perms(["market.add_rfidcard", "market.change_rfidcard"])

    @action(description="Import a CSV file", url_path="import", permissions=["import"])  # type: ignore[untyped-decorator]
    def import_page(self, request: HttpRequest) -> HttpResponse:
        """A form for a CSV file; after sending it, what became of it."""
        done = None
        if request.method == "POST" and "file" in request.FILES:
            content = request.FILES["file"].read()  # type: ignore[union-attr]  # one file under this name
            done = services.import_cards(content)
            if not done.bad:
                words = f"{done.new} cards added, {done.changed} changed, {done.same} were the same already."
                messages.success(request, words)
                return HttpResponseRedirect(reverse("admin:market_rfidcard_changelist"))
        context = {**self.admin_site.each_context(request), "title": "Import cards", "done": done, "opts": self.opts}
        return render(request, "market/card_import.html", context, status=422 if done else 200)

    @action(description="Export all as CSV", url_path="export", permissions=["view"])  # type: ignore[untyped-decorator]
    def export(self, request: HttpRequest) -> StreamingHttpResponse:
        """All cards as CSV."""
        return spreadsheets.download(request, "cards.csv", card_lists.written())

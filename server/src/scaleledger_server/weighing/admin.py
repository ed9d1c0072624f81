"""Weighings and what contradicted them, to look at, to search, to hand out as CSV. What is held cannot be changed here."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import FieldTextFilter  # type: ignore[import-untyped]

from scaleledger_server import spreadsheets
from scaleledger_server.devices.admin import GatewayAdmin, ReadOnlyAdmin
from scaleledger_server.devices.models import Gateway
from scaleledger_server.market.models import RfidCard
from scaleledger_server.weighing import exports, lookups, rows
from scaleledger_server.weighing.admin_cuts import CutAdmin, OfflineBatchAdmin
from scaleledger_server.weighing.models import Amendment, Cut, IngestConflict, OfflineBatch, WeighingRecord
from scaleledger_server.weighing.queries import UUID_TEXT
from scaleledger_server.weighing.record_filters import Amended, Days

CARDS_OF_PRODUCER_MAX = 1_000
SECONDS = "Y-m-d H:i:s"


class RecordList(ChangeList):
    """One page of records, each with what became of it; one statement for all of them."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        for row in rows.shown(self.result_list):
            row.record.shown = row  # type: ignore[attr-defined]


@admin.register(WeighingRecord)
class WeighingRecordAdmin(ReadOnlyAdmin):
    """Every weighing, newest first; each leads to its evidence."""

    list_display = ["measured", "gateway", "station", "card", "weighed", "seq", "kind", "received", "proof"]
    list_display_links = None
    list_filter = [
        "gateway",
        ("station", FieldTextFilter),
        "kind",
        ("measured_at", Days),
        Amended,
        "time_suspect",
    ]
    list_filter_submit = True
    list_select_related = ["gateway"]
    list_per_page = 50
    search_fields = ["uuid"]  # shows the field; what is searched stands in get_search_results
    search_help_text = "A record's uuid or number, a card, a station, or a producer whose cards are known"
    ordering = ["-id"]
    show_full_result_count = False
    change_list_template = "weighing/record_list.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:  # noqa: ARG002
        return RecordList

    def get_queryset(self, request: HttpRequest) -> QuerySet[WeighingRecord]:
        found: QuerySet[WeighingRecord] = super().get_queryset(request)
        return found.defer("payload")

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002
        queryset: QuerySet[Any],
        search_term: str,
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        return (queryset.filter(_named(term)) if term else queryset), False

    def get_urls(self) -> list[URLPattern]:
        export = path("export/", self.admin_site.admin_view(self.export), name="weighing_weighingrecord_export")
        return [export, *super().get_urls()]

    def export(self, request: HttpRequest) -> HttpResponse:
        """What the list shows with the same filters, all pages of it, as CSV."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = self.get_changelist_instance(request).get_queryset(request)
        download: HttpResponse = spreadsheets.download(request, "weighings.csv", exports.written(found))  # type: ignore[assignment]
        return download

    def change_view(self, request: HttpRequest, object_id: str, *_args: Any, **_kwargs: Any) -> HttpResponse:
        """A record's own page is its evidence."""
        if request.method != "GET":
            raise PermissionDenied
        record = self.get_object(request, object_id)
        name = "admin:weighing_weighingrecord_changelist" if record is None else "evidence"
        return HttpResponseRedirect(reverse(name, args=[] if record is None else [record.uuid]))

    @admin.display(description="measured", ordering="measured_at")
    def measured(self, record: WeighingRecord) -> str:
        return date_format(timezone.localtime(record.measured_at), SECONDS)

    @admin.display(description="received", ordering="received_at")
    def received(self, record: WeighingRecord) -> str:
        return date_format(timezone.localtime(record.received_at), SECONDS)

    @admin.display(description="card", ordering="rfid_uid")
    def card(self, record: Any) -> SafeString | str:
        row: rows.Shown = record.shown
        if row.other_card:
            return format_html("<del>{}</del> {}", record.rfid_uid, row.now.rfid_uid)
        return str(record.rfid_uid)

    @admin.display(description="weight", ordering="weight")
    def weighed(self, record: Any) -> SafeString | str:
        row: rows.Shown = record.shown
        measured = f"{record.weight_text} {record.unit}"
        if row.void:
            return format_html("<del>{}</del> void", measured)
        if row.other_weight:
            return format_html("<del>{}</del> {} {}", measured, row.now.weight_text, row.now.unit)
        return measured

    @admin.display(description="evidence")
    def proof(self, record: WeighingRecord) -> SafeString:
        return format_html('<a href="{}">show</a>', reverse("evidence", args=[record.uuid]))


def _named(term: str) -> Q:
    """Records by what a person types: a whole uuid, a number, or the beginning of a card, station or producer."""
    if UUID_TEXT.fullmatch(term.lower()):
        place = lookups.places([term.lower()]).get(term.lower())
        return Q(id=place[0]) if place else Q(pk__in=[])
    cards = RfidCard.objects.filter(producer__name__istartswith=term).values_list("uid", flat=True)
    wanted = Q(rfid_uid__startswith=term) | Q(station__istartswith=term)
    wanted |= Q(rfid_uid__in=list(cards[:CARDS_OF_PRODUCER_MAX]))
    if term.isascii() and term.isdigit() and len(term) <= 15:
        wanted |= Q(seq=int(term))
    return wanted


@admin.register(IngestConflict)
class IngestConflictAdmin(ReadOnlyAdmin):
    """What was offered and contradicts what is held."""

    list_display = ["gateway", "kind", "uuid", "seq", "times", "first_seen", "last_seen"]
    list_filter = ["kind", "gateway"]
    list_select_related = ["gateway"]
    search_fields = ["uuid"]


@admin.register(Amendment)
class AmendmentAdmin(ReadOnlyAdmin):
    """Voids and corrections, newest first. One is made on a record's evidence page."""

    list_display = ["number", "kind", "record_uuid", "weight_text", "unit", "rfid_uid", "reason", "user", "made_at"]
    list_filter = ["kind"]
    list_select_related = ["user"]
    search_fields = ["reason", "user__username"]
    ordering = ["-number"]


admin.site.register(Cut, CutAdmin)
admin.site.register(OfflineBatch, OfflineBatchAdmin)
admin.site.unregister(Gateway)


@admin.register(Gateway)
class ReconciledGatewayAdmin(GatewayAdmin):
    """Gateways, with the way to each one's account."""

    list_display = [*GatewayAdmin.list_display, "account"]

    @admin.display(description="account")
    def account(self, gateway: Gateway) -> SafeString:
        return format_html('<a href="{}">reconcile</a>', reverse("gateway-reconcile", args=[gateway.pk]))

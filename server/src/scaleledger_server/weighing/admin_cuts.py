"""Cuts, what was said of them later, and offline batches: to look at, to search, to hand out as CSV."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.formats import date_format
from unfold.contrib.filters.admin import FieldTextFilter  # type: ignore[import-untyped]

from scaleledger_server import spreadsheets
from scaleledger_server.devices.admin import ReadOnlyAdmin
from scaleledger_server.weighing import exports
from scaleledger_server.weighing.cuts import Total, session_uuid
from scaleledger_server.weighing.models import Cut, OfflineBatch
from scaleledger_server.weighing.record_filters import Days

SECONDS = "Y-m-d H:i:s"


class CutList(ChangeList):
    """One page of cuts, and how many and how heavy all are that the filters let through."""

    total = Total(0, 0)

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        found = self.queryset.order_by().aggregate(cuts=Count("pk"), grams=Sum("net_grams", default=0))
        self.total = Total(found["cuts"], int(found["grams"]))


class OfSession(admin.SimpleListFilter):
    """Cuts with a session, without one, or of the one whose id stands in the address."""

    title = "session"
    parameter_name = "session"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's signature
        return [("none", "without a session"), ("any", "with a session")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        wanted = self.value() or ""
        if wanted in {"none", "any"}:
            return queryset.filter(session__isnull=wanted == "none")
        uuid = session_uuid(wanted)
        return queryset if uuid is None else queryset.filter(session=uuid)


class CutAdmin(ReadOnlyAdmin):
    """Every cut, newest first; the sum of what is filtered stands above the list."""

    list_display = ["measured", "scale", "animal", "product_name", "plu_code", "net_grams", "gross_grams", "tare_grams", "operator", "offline"]  # fmt: skip
    list_filter = [
        OfSession,
        "scale",
        ("session__animal_tag", FieldTextFilter),
        ("measured_at", Days),
        "offline",
    ]
    list_filter_submit = True
    list_select_related = ["scale", "session"]
    list_per_page = 50
    search_fields = ["session__animal_tag", "product_name", "plu_code", "operator"]
    search_help_text = "A record's uuid, an ear tag, a product, a PLU code, or an operator"
    ordering = ["-measured_at"]
    show_full_result_count = False
    change_list_template = "weighing/cut_list.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:  # noqa: ARG002
        return CutList

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002
        queryset: QuerySet[Any],
        search_term: str,
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        uuid = session_uuid(term)
        if not term:
            return queryset, False
        if uuid is not None:
            return queryset.filter(Q(record_uuid=uuid) | Q(session=uuid) | Q(batch=uuid)), False
        starts = {f"{name}__istartswith": term for name in self.search_fields}
        return queryset.filter(Q(*starts.items(), _connector=Q.OR)), False

    def get_urls(self) -> list[URLPattern]:
        export = path("export/", self.admin_site.admin_view(self.export), name="weighing_cut_export")
        return [export, *super().get_urls()]

    def export(self, request: HttpRequest) -> HttpResponse:
        """What the list shows with the same filters, all pages of it, as CSV."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = self.get_changelist_instance(request).get_queryset(request)
        download: HttpResponse = spreadsheets.download(request, "cuts.csv", exports.cuts_written(found))  # type: ignore[assignment]
        return download

    @admin.display(description="measured", ordering="measured_at")
    def measured(self, cut: Cut) -> str:
        return date_format(timezone.localtime(cut.measured_at), SECONDS)

    @admin.display(description="animal", ordering="session__animal_tag")
    def animal(self, cut: Cut) -> str:
        return cut.session.animal_tag if cut.session else ""

    @admin.display(description="later words")
    def said_later(self, cut: Cut) -> str:
        rows = cut.changes.select_related("user")
        lines = [f"{row.at:%Y-%m-%d %H:%M:%S} UTC: {row}, {row.user or 'the edge'}: {row.reason}" for row in rows]
        return "; ".join(lines) or "none"

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:  # noqa: ARG002
        return [*(field.name for field in Cut._meta.concrete_fields), "said_later"]  # noqa: SLF001 - Django's documented way

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return self.get_fields(request, obj)


class OfflineBatchAdmin(ReadOnlyAdmin):
    """What edges say of their offline batches, and what is here of them."""

    list_display = ["scale", "started_at", "ended_at", "event_count", "total_grams", "received", "completed_at", "resolved_at", "resolved_by"]  # fmt: skip
    list_filter = ["scale", ("completed_at", admin.EmptyFieldListFilter), ("resolved_at", admin.EmptyFieldListFilter)]
    list_select_related = ["scale", "resolved_by"]
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[OfflineBatch]:
        rows: QuerySet[OfflineBatch] = super().get_queryset(request)
        return rows.annotate(received_count=Count("cuts"))

    @admin.display(description="events here")
    def received(self, batch: Any) -> int:
        return int(batch.received_count)

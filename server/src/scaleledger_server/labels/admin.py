"""Printers and print jobs: who prints what where. A job is ordered here, and never altered afterwards."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from unfold.admin import ModelAdmin  # type: ignore[import-untyped]  # it ships no types
from unfold.decorators import action  # type: ignore[import-untyped]

from scaleledger_server.labels import services
from scaleledger_server.labels.models import Printer, PrintJob


class JobForm(ModelForm):  # type: ignore[type-arg]
    """Judges a new job as the service does, so that faults stand beside their fields."""

    class Meta:
        model = PrintJob
        fields = ("edge", "target_printer", "target_role", "label_count", "content")

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if not self.errors:
            try:
                services.judge(self.instance)
            except ValidationError as wrong:
                self.add_error(None, wrong)


@admin.register(PrintJob)
class PrintJobAdmin(ModelAdmin):  # type: ignore[misc]
    """Orders jobs, shows what became of them, takes waiting ones back."""

    form = JobForm
    list_display = ["created_at", "edge", "target", "label_count", "status", "resolved_printer", "attempts", "error"]
    list_filter = ["status", "edge"]
    list_select_related = ["edge__gateway", "target_printer"]
    date_hierarchy = "created_at"
    actions = ["cancel"]

    @admin.display(description="for")
    def target(self, job: PrintJob) -> str:
        return str(job.target_printer or job.target_role)

    def has_change_permission(self, request: HttpRequest, obj: PrintJob | None = None) -> bool:
        return obj is None and bool(super().has_change_permission(request))

    def has_delete_permission(self, request: HttpRequest, obj: PrintJob | None = None) -> bool:  # noqa: ARG002
        return False

    def save_model(self, request: HttpRequest, obj: PrintJob, form: Any, change: bool) -> None:  # noqa: ARG002, FBT001
        obj.created_by = request.user  # type: ignore[assignment]
        services.order(obj)

    @action(description="Take back what waits")  # type: ignore[untyped-decorator]
    def cancel(self, request: HttpRequest, queryset: QuerySet[PrintJob]) -> None:
        taken = sum(services.cancel(job) for job in queryset)
        left = queryset.count() - taken
        words = f"{taken} taken back." + (f" {left} had been begun already." if left else "")
        self.message_user(request, words, messages.SUCCESS if not left else messages.WARNING)


@admin.register(Printer)
class PrinterAdmin(ModelAdmin):  # type: ignore[misc]
    """What the edges told of their printers; read-only."""

    list_display = ["printer_id", "edge", "role", "model", "status", "last_error", "last_seen_at"]
    list_filter = ["status", "role", "edge"]
    list_select_related = ["edge__gateway"]

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: Printer | None = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Printer | None = None) -> bool:  # noqa: ARG002
        return False

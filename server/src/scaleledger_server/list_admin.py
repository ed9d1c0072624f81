"""Admin lists whose every change goes through an app's services, and that come and go as a CSV file."""

from types import ModuleType
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from unfold.admin import ModelAdmin  # type: ignore[import-untyped]  # it ships no types
from unfold.decorators import action  # type: ignore[import-untyped]

from scaleledger_server import spreadsheets


class ThroughServices(ModelAdmin):  # type: ignore[misc]
    """Saves and deletes by `save`, `remove` and `remove_all` of `services`."""

    services: ModuleType
    show_full_result_count = False
    list_per_page = 50

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: ARG002, FBT001
        self.services.save(obj)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:  # noqa: ARG002
        self.services.remove(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:  # noqa: ARG002
        self.services.remove_all(queryset)


class AsCsv(ThroughServices):
    """Two buttons above the list. `take` is the service that imports bytes, `give` writes the lines out."""

    things = ""
    columns_said = ""
    actions_list = ["import_page", "export"]

    def take(self, content: bytes) -> Any:
        """Import; the answer has `bad`, `new`, `changed` and `same`."""
        raise NotImplementedError

    def give(self) -> Any:
        """All rows as CSV lines."""
        raise NotImplementedError

    def has_import_permission(self, request: HttpRequest) -> bool:
        name = self.opts.model_name
        return request.user.has_perms([f"{self.opts.app_label}.{verb}_{name}" for verb in ("add", "change")])

    @action(description="Import a CSV file", url_path="import", permissions=["import"])  # type: ignore[untyped-decorator]
    def import_page(self, request: HttpRequest) -> HttpResponse:
        """A form for a CSV file; after sending it, what became of it."""
        done = None
        back = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
        if request.method == "POST" and "file" in request.FILES:
            content = request.FILES["file"].read()  # type: ignore[union-attr]  # one file under this name
            done = self.take(content)
            if not done.bad:
                words = f"{done.new} {self.things} added, {done.changed} changed, {done.same} were the same already."
                messages.success(request, words)
                return HttpResponseRedirect(back)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Import {self.things}",
            "done": done,
            "opts": self.opts,
            "back": back,
            "things": self.things,
            "columns_said": self.columns_said,
        }
        return render(request, "admin/import_csv.html", context, status=422 if done else 200)

    @action(description="Export all as CSV", url_path="export", permissions=["view"])  # type: ignore[untyped-decorator]
    def export(self, request: HttpRequest) -> StreamingHttpResponse:
        """All rows as CSV."""
        return spreadsheets.download(request, f"{self.things}.csv", self.give())

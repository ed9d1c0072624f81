"""Ways to narrow the list of records that are not a column's plain value."""

from datetime import date, datetime, time, timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import RangeDateFilter  # type: ignore[import-untyped]  # it ships no types

from scaleledger_server.weighing import lookups
from scaleledger_server.weighing.models import Amendment

AMENDED_MAX = 5_000


class Amended(admin.SimpleListFilter):
    """Records that a person voided or corrected; the newest AMENDED_MAX of them."""

    title = "later words"
    parameter_name = "amended"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's signature
        return [("void", "voided"), ("correction", "corrected")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        if self.value() not in {"void", "correction"}:
            return queryset
        newest = Amendment.objects.filter(kind=self.value()).order_by("-number")
        uuids = [str(uuid) for uuid in newest.values_list("record_uuid", flat=True)[:AMENDED_MAX]]
        return queryset.filter(id__in=[place[0] for place in lookups.places(uuids).values()])


class Days(RangeDateFilter):  # type: ignore[misc]
    """From one day to another, both whole, in the server's time zone. What is no day narrows nothing."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        first, last = (_day(self.used_parameters.get(f"{self.parameter_name}_{end}", "")) for end in ("from", "to"))
        if first is not None:
            queryset = queryset.filter(**{f"{self.parameter_name}__gte": _start(first)})
        if last is not None and last < date.max:
            queryset = queryset.filter(**{f"{self.parameter_name}__lt": _start(last + timedelta(days=1))})
        return queryset


def _day(text: Any) -> date | None:
    try:
        return date.fromisoformat(str(text))
    except ValueError:
        return None


def _start(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))

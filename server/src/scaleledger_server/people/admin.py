"""Second factors as administrators see them: who has one, never its key. One that was lost is deleted here."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.admin import ModelAdmin  # type: ignore[import-untyped]  # it ships no types

from scaleledger_server.people import factors
from scaleledger_server.people.audit import event

admin.site.unregister(StaticDevice)
admin.site.unregister(TOTPDevice)


@admin.register(TOTPDevice)
class AuthenticatorAdmin(ModelAdmin):  # type: ignore[misc]
    """Deleting one lets its owner set up another at the next login, and ends the recovery codes."""

    list_display = ["user", "confirmed", "created_at", "last_used_at"]
    list_filter = ["confirmed"]
    list_select_related = ["user"]
    search_fields = ["user__username"]
    fields = readonly_fields = list_display

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's signature
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002
        return False

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002
        return bool(request.user.has_perm("otp_totp.view_totpdevice"))

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        factors.forget(obj.user)
        event(f"second factor deleted by {request.user.get_username()}", obj.user, request)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for device in queryset.select_related("user"):
            self.delete_model(request, device)

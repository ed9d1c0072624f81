"""Where a person approves gateways and sees what cannot be believed. Only names are edited by hand."""

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from unfold.admin import ModelAdmin  # type: ignore[import-untyped]  # it ships no types

from scaleledger_server.devices import services
from scaleledger_server.devices.models import Gateway, HeadAlarm, IdentityConflict


class ReadOnlyAdmin(ModelAdmin):  # type: ignore[misc]
    """Rows that nobody adds, changes or deletes by hand."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's signature
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002
        return False


@admin.register(Gateway)
class GatewayAdmin(ModelAdmin):  # type: ignore[misc]
    """Approve, deactivate, rotate; the fingerprint is compared with the gateway's own screen first."""

    list_display = ["name", "mac_address", "status", "fingerprint", "last_heartbeat", "anchor_seq", "conflicts"]
    list_filter = ["status"]
    search_fields = ["name", "mac_address", "hostname", "ip_address"]
    actions = ["approve", "revoke", "rotate"]
    fields = [
        "name", "description", "mac_address", "status", "fingerprint", "hostname", "ip_address", "last_heartbeat",
        "reported", "anchor_seq", "anchor_hash", "created_at", "updated_at",
    ]  # fmt: skip
    readonly_fields = fields[2:]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Gateway]:
        rows: QuerySet[Gateway] = super().get_queryset(request)
        return rows.annotate(conflict_count=Count("identity_conflicts"))

    @admin.display(description="claims with another key")
    def conflicts(self, gateway: Gateway) -> int:
        return int(getattr(gateway, "conflict_count", 0))

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def save_model(self, request: HttpRequest, obj: Gateway, form: "ModelForm[Gateway]", change: bool) -> None:  # noqa: ARG002, FBT001
        services.describe(obj, obj.name, obj.description)

    @admin.action(description="Approve: hand out the token", permissions=["change"])
    def approve(self, request: HttpRequest, chosen: QuerySet[Gateway]) -> None:
        for gateway in chosen:
            services.approve(gateway)
        self.message_user(request, "Approved. The gateway fetches its token within a minute.")

    @admin.action(description="Deactivate: refuse its token", permissions=["change"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[Gateway]) -> None:
        for gateway in chosen:
            services.revoke(gateway)
        self.message_user(request, "Deactivated. Its records stay.")

    @admin.action(description="Rotate the token: the present one ends", permissions=["change"])
    def rotate(self, request: HttpRequest, chosen: QuerySet[Gateway]) -> None:
        for gateway in chosen:
            services.rotate(gateway)
        self.message_user(request, "Rotated. The gateway fetches the new token by itself.")


@admin.register(IdentityConflict)
class IdentityConflictAdmin(ReadOnlyAdmin):
    """Who claimed to be a known gateway."""

    list_display = ["gateway", "public_key", "hostname", "remote_address", "times", "first_seen", "last_seen"]
    list_select_related = ["gateway"]


@admin.register(HeadAlarm)
class HeadAlarmAdmin(ReadOnlyAdmin):
    """Ledger heads that were not believed."""

    list_display = ["gateway", "kind", "seq", "hash", "held_hash", "times", "first_seen", "last_seen"]
    list_filter = ["kind"]
    list_select_related = ["gateway"]

"""Sites and their keys, edges, scales. An edge is approved and put out of use as the gateway that it is."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin  # type: ignore[import-untyped]  # it ships no types

from scaleledger_server.devices.admin import ConfirmingAdmin, Shown
from scaleledger_server.devices.admin_stations import LINK
from scaleledger_server.shifts import edges
from scaleledger_server.shifts.models import Edge, OfferedSpecies, Scale, Site


def shown_site(site: Site) -> Shown:
    """A site before its key is made."""
    made = f"{site.key_made_at:%Y-%m-%d %H:%M} UTC" if site.key_made_at else "never"
    facts = f"Key made: {made}. Edges: {site.edges.count()}."
    return Shown(site.pk, str(site), facts, site.site_id)


@admin.register(Site)
class SiteAdmin(ConfirmingAdmin):
    """Make a site, then its key, and write the key into the configuration of its edges."""

    list_display = ["site_id", "name", "edge_count", "key_made_at", "created_at"]
    search_fields = ["site_id", "name"]
    fields = ["site_id", "name", "key_made_at"]
    readonly_fields = ["key_made_at"]
    actions = ["make_key"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Site]:
        rows: QuerySet[Site] = super().get_queryset(request)
        return rows.annotate(edges_here=Count("edges"))

    @admin.display(description="edges")
    def edge_count(self, site: Any) -> int:
        return int(site.edges_here)

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002
        return False

    @admin.action(description="Make a new key, shown once", permissions=["change"])
    def make_key(self, request: HttpRequest, chosen: QuerySet[Site]) -> HttpResponse | None:
        site = chosen.first()
        if site is None or chosen.count() != 1:
            self.message_user(request, "Choose one site: its key is shown once, on a page of its own.", "ERROR")
            return None
        question = (
            "The key is shown once. If the site has one already, that ends at once: each of its edges that shows it is refused, "
            "and weighs on offline, until it has the new one in its configuration."
        )
        if page := self.confirm(request, [shown_site(site)], question, "Make a key"):
            return page
        key = edges.make_key(site, timezone.now())
        self.log_change(request, site, "Made a new key, shown once.")
        words = f"The key of {site}. Copy it into the configuration of its edges now: it cannot be shown again."
        return self.shown_once(request, "A site's key, shown once", words, key, request.get_full_path())


class NobodyMakesOne(ConfirmingAdmin):
    """Rows that edges bring: a person names them, and does not add or delete them."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's signature
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002
        return False


@admin.register(Edge)
class EdgeAdmin(NobodyMakesOne):
    """Edges and how they stand; one that waits is approved under Gateways, where it leads."""

    list_display = ["edge_id", "gateway_link", "site", "status", "version", "health", "keyed", "last_seen_at"]
    list_filter = ["site", "gateway__status", "keyed"]
    list_select_related = ["gateway", "site"]
    search_fields = ["gateway__name", "gateway__mac_address", "site__site_id", "site__name"]
    fields = ["edge_id", "gateway_link", "site", "status", "version", "capabilities", "keyed", "reported", "registered_at", "last_seen_at"]  # fmt: skip
    readonly_fields = [name for name in fields if name != "site"]

    @admin.display(description="gateway", ordering="gateway__name")
    def gateway_link(self, edge: Edge) -> SafeString:
        where = reverse("admin:devices_gateway_change", args=[edge.gateway_id])
        return format_html('<a href="{}" class="{}">{}</a>', where, LINK, edge.gateway)

    @admin.display(description="status", ordering="gateway__status")
    def status(self, edge: Edge) -> str:
        return str(edge.gateway.get_status_display())

    @admin.display(description="says of itself")
    def health(self, edge: Edge) -> str:
        return str(edge.reported.get("health", ""))

    def save_model(self, request: HttpRequest, obj: Edge, form: "ModelForm[Edge]", change: bool) -> None:  # noqa: ARG002, FBT001
        edges.assign_site(obj, obj.site)


@admin.register(Scale)
class ScaleAdmin(NobodyMakesOne):
    """Scales as their edges tell of them; a person may name one."""

    list_display = [
        "device_id",
        "name",
        "edge",
        "status",
        "event_count",
        "last_event_at",
        "last_heartbeat_at",
        "seen_at",
    ]
    list_filter = ["status", "edge__site", "edge"]
    list_select_related = ["edge__gateway"]
    search_fields = ["device_id", "name"]
    fields = ["edge", "device_id", "name", "type", "status", "source_ip", "heartbeat_count", "event_count", "last_heartbeat_at", "last_event_at", "seen_at"]  # fmt: skip
    readonly_fields = [name for name in fields if name != "name"]

    def save_model(self, request: HttpRequest, obj: Scale, form: "ModelForm[Scale]", change: bool) -> None:  # noqa: ARG002, FBT001
        edges.name_scale(obj, obj.name)


@admin.register(OfferedSpecies)
class OfferedSpeciesAdmin(ModelAdmin):  # type: ignore[misc]
    """The kinds of animals that the phone page offers, in their order."""

    list_display = ["name", "place"]
    list_editable = ["place"]

"""Where a person approves gateways, decides who is who, and sees what cannot be believed.

Every step that changes what a gateway may do has a page of its own that shows the fingerprint, to be compared with the
gateway's own screen, and stands in the admin's log.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from django.contrib import admin
from django.db.models import Count, Prefetch, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from unfold.admin import ModelAdmin  # type: ignore[import-untyped]  # it ships no types

from scaleledger_server.devices import admin_stations as stations
from scaleledger_server.devices import reports, services
from scaleledger_server.devices.models import (
    AccessToken,
    ClaimCode,
    Gateway,
    GatewayAlarm,
    HeadAlarm,
    IdentityConflict,
    Station,
)
from scaleledger_server.errors import Refusal

ACTIONS_MAX = 100


class ReadOnlyAdmin(ModelAdmin):  # type: ignore[misc]
    """Rows that nobody adds, changes or deletes by hand."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's signature
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002
        return False


class Shown(NamedTuple):
    """What a person sees of a row before confirming."""

    pk: int
    title: str
    facts: str
    fingerprint: str


def shown_gateway(gateway: Gateway) -> Shown:
    """A gateway before a decision about it."""
    facts = f"{gateway.get_status_display()}, host {gateway.hostname or '?'}, says its address is {gateway.ip_address or '?'}, "
    facts += f"was heard from {gateway.remote_network or '?'}, first {gateway.created_at:%Y-%m-%d %H:%M} UTC."
    if claims := gateway.identity_conflicts.count():
        facts += f" Others claim to be it: {claims}. Decide that first, under Identity conflicts."
    return Shown(gateway.pk, str(gateway), facts, gateway.fingerprint)


def shown_conflict(conflict: IdentityConflict) -> Shown:
    """A claim before a decision about it."""
    proof = "it proved that it holds the key below" if conflict.proved else "it proved nothing"
    facts = f"Known key: {conflict.gateway.fingerprint or 'none'}. Claimed {conflict.times} times, "
    facts += f"last {conflict.last_seen:%Y-%m-%d %H:%M} UTC, from {conflict.remote_address} as host {conflict.hostname}; {proof}."
    if not conflict.public_key:
        facts += " Without a key, whoever shows this MAC address can take its place again."
    return Shown(conflict.pk, str(conflict.gateway), facts, conflict.fingerprint)


def _after_rotation(gateway: Gateway) -> str:
    if gateway.public_key:
        return "It gets a new token by itself."
    return (
        "It has no key: give it a new token with “Issue a token for a plain client”, unless it asks by its MAC address."
    )


def _after_question(gateway: Gateway) -> str:
    if gateway.status != Gateway.Status.ACTIVE:
        return "But it is not in use, so it does not hear. Approve it first."
    return "If it is connected, they appear on its page in a few seconds."


class ConfirmingAdmin(ModelAdmin):  # type: ignore[misc]
    """Actions that are done only from a page that shows what they are about."""

    def confirm(self, request: HttpRequest, rows: Iterable[Shown], question: str, verb: str) -> HttpResponse | None:
        """The page that asks; None once it was answered with yes."""
        if request.POST.get("confirmed") == "yes":
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": verb,
            "question": question,
            "verb": verb,
            "rows": list(rows)[:ACTIONS_MAX],
            "action": request.POST.get("action", ""),
            "back": request.get_full_path(),
        }
        return TemplateResponse(request, "devices/confirm.html", context)

    def shown_once(self, request: HttpRequest, title: str, words: str, secret: str, back: str) -> HttpResponse:
        """A secret on a page that no cache keeps."""
        context = {**self.admin_site.each_context(request), "title": title, "words": words, "secret": secret}
        response = TemplateResponse(request, "devices/shown_once.html", {**context, "back": back})
        response["Cache-Control"] = "no-store"
        return response


@admin.register(Gateway)
class GatewayAdmin(ConfirmingAdmin):
    """Approve, rename, revoke, rotate; the fingerprint is compared with the gateway's own screen first."""

    list_display = ["name", "mac_address", "status", "fingerprint", "last_heartbeat", "alarms", "conflicts"]
    list_filter = ["status"]
    search_fields = ["name", "mac_address", "hostname", "ip_address"]
    actions = ["approve", "revoke", "rotate", "issue_token", "scan_ports"]
    fields = [
        "name", "description", "mac_address", "status", "fingerprint", "hostname", "ip_address", "remote_network", "last_heartbeat",
        "host", "running", "assigned_stations", "scanned_ports", "anchor_seq", "anchor_hash", "created_at", "updated_at",
    ]  # fmt: skip
    readonly_fields = fields[2:]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Gateway]:
        rows: QuerySet[Gateway] = super().get_queryset(request)
        opened = Prefetch("alarms", GatewayAlarm.objects.filter(closed_at__isnull=True), to_attr="open_alarms")
        return rows.annotate(conflict_count=Count("identity_conflicts")).prefetch_related(opened)

    @admin.display(description="claims with another key")
    def conflicts(self, gateway: Gateway) -> int:
        return int(getattr(gateway, "conflict_count", 0))

    @admin.display(description="open alarms")
    def alarms(self, gateway: Gateway) -> str:
        return ", ".join(alarm.get_kind_display() for alarm in getattr(gateway, "open_alarms", ()))

    @admin.display(description="its last report")
    def host(self, gateway: Gateway) -> str:
        return reports.host_of(gateway)

    @admin.display(description="stations as it runs them")
    def running(self, gateway: Gateway) -> str:
        return reports.ports_in_use(gateway)

    @admin.display(description="assigned stations")
    def assigned_stations(self, gateway: Gateway) -> str:
        return stations.stations_of(gateway)

    @admin.display(description="ports it found")
    def scanned_ports(self, gateway: Gateway) -> str:
        return stations.ports_of(gateway)

    def get_urls(self) -> list[Any]:
        scan = path("<int:pk>/scan/", self.admin_site.admin_view(self.scan_view), name="devices_gateway_scan")
        return [scan, *super().get_urls()]

    def scan_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """POST: ask this gateway for its ports, and go back to its page."""
        return stations.scan(self, request, pk)

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002
        return False

    def save_model(self, request: HttpRequest, obj: Gateway, form: "ModelForm[Gateway]", change: bool) -> None:  # noqa: ARG002, FBT001
        services.describe(obj, obj.name, obj.description)

    def _each(
        self,
        request: HttpRequest,
        chosen: QuerySet[Gateway],
        step: Callable[[Gateway], None],
        done: str,
        after: Callable[[Gateway], str],
    ) -> None:
        for gateway in chosen.order_by("pk")[:ACTIONS_MAX]:
            try:
                step(gateway)
            except Refusal as refusal:
                self.message_user(request, f"{gateway}: {refusal.detail}", "ERROR")
                continue
            self.log_change(request, gateway, f"{done} Fingerprint: {gateway.fingerprint or 'none'}.")
            self.message_user(request, f"{gateway}: {done} {after(gateway)}")
        if not chosen.exists():
            self.message_user(request, "Nothing was done: what you chose is not there any more. Look again.", "ERROR")

    @admin.action(description="Approve", permissions=["change"])
    def approve(self, request: HttpRequest, chosen: QuerySet[Gateway]) -> HttpResponse | None:
        question = "Compare each fingerprint with the gateway's own screen. If they differ, it is another machine."
        if page := self.confirm(request, map(shown_gateway, chosen), question, "Approve"):
            return page
        self._each(request, chosen, services.approve, "Approved.", lambda _: "It fetches its token within a minute.")
        return None

    @admin.action(description="Revoke: put out of use", permissions=["change"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[Gateway]) -> HttpResponse | None:
        question = "Its tokens end at once and its socket is closed. Its records stay, and it goes on weighing offline."
        if page := self.confirm(request, map(shown_gateway, chosen), question, "Revoke"):
            return page
        self._each(request, chosen, services.revoke, "Revoked.", lambda _: "Its records stay.")
        return None

    @admin.action(description="Rotate: end its tokens", permissions=["change"])
    def rotate(self, request: HttpRequest, chosen: QuerySet[Gateway]) -> HttpResponse | None:
        question = "All its tokens end at once. One with a key proves it and gets a new one by itself; one without waits for you."
        if page := self.confirm(request, map(shown_gateway, chosen), question, "Rotate"):
            return page
        self._each(request, chosen, services.rotate, "Rotated.", _after_rotation)
        return None

    @admin.action(description="Issue a token for a plain client", permissions=["change"])
    def issue_token(self, request: HttpRequest, chosen: QuerySet[Gateway]) -> HttpResponse | None:
        gateway = chosen.filter(status=Gateway.Status.ACTIVE, public_key="").first()
        if gateway is None or chosen.count() != 1:
            self.message_user(request, "Choose one active gateway that has no key; others prove theirs.", "ERROR")
            return None
        question = "The token is shown once. Whoever has it can deliver as this gateway until it is ended."
        if page := self.confirm(request, [shown_gateway(gateway)], question, "Issue a token"):
            return page
        token = services.issue_token(gateway, AccessToken.How.SHOWN, timezone.now())
        self.log_change(request, gateway, "Issued a token, shown once.")
        words = f"The token of {gateway}. Copy it now: it cannot be shown again."
        return self.shown_once(request, "A token, shown once", words, token, request.get_full_path())

    @admin.action(description="Scan ports", permissions=["change"])
    def scan_ports(self, request: HttpRequest, chosen: QuerySet[Gateway]) -> None:
        self._each(request, chosen, stations.ask_for_ports, "Asked for its ports.", _after_question)


@admin.register(IdentityConflict)
class IdentityConflictAdmin(ReadOnlyAdmin, ConfirmingAdmin):
    """Who claimed to be a known gateway. A person decides: keep what is known, or the machine is another one now."""

    list_display = [
        "gateway",
        "fingerprint",
        "proved",
        "hostname",
        "remote_address",
        "times",
        "first_seen",
        "last_seen",
    ]
    list_select_related = ["gateway"]
    actions = ["keep", "replace"]

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Whoever may change gateways decides which machine is which."""
        return bool(request.user.has_perm("devices.change_gateway"))

    @admin.action(description="Keep the known gateway: drop the claim", permissions=["decide"])
    def keep(self, request: HttpRequest, chosen: QuerySet[IdentityConflict]) -> HttpResponse | None:
        question = "The known gateway stays as it is. If the same machine asks again, the claim comes again."
        if page := self.confirm(request, map(shown_conflict, chosen), question, "Drop the claim"):
            return page
        for conflict in chosen.select_related("gateway")[:ACTIONS_MAX]:
            self.log_change(request, conflict.gateway, f"Kept its key against {conflict.fingerprint or 'no key'}.")
            services.keep_identity(conflict, timezone.now())
            self.message_user(request, f"{conflict.gateway} stays as it is.")
        return None

    @admin.action(description="Replace the known gateway by this machine", permissions=["decide"])
    def replace(self, request: HttpRequest, chosen: QuerySet[IdentityConflict]) -> HttpResponse | None:
        conflict = chosen.first()
        if conflict is None or chosen.count() != 1:
            self.message_user(request, "Choose one claim: only one machine can take the place.", "ERROR")
            return None
        question = (
            "The known gateway is put out of use for good; its records stay under it. The machine with the fingerprint "
            "below takes its MAC address, name and stations, and then waits for your approval."
        )
        if page := self.confirm(request, [shown_conflict(conflict)], question, "Replace"):
            return page
        old = conflict.gateway
        try:
            new = services.replace_identity(conflict, timezone.now())
        except Refusal as refusal:
            self.message_user(request, refusal.detail, "ERROR")
            return None
        self.log_change(request, old, f"Replaced by the machine with fingerprint {new.fingerprint or 'none'}.")
        self.log_addition(request, new, "Took the place of another machine.")
        self.message_user(request, f"{new} waits for approval now. Approve it under Gateways.")
        return None


@admin.register(HeadAlarm)
class HeadAlarmAdmin(ReadOnlyAdmin):
    """Ledger heads that were not believed."""

    list_display = ["gateway", "kind", "seq", "hash", "held_hash", "times", "first_seen", "last_seen"]
    list_filter = ["kind"]
    list_select_related = ["gateway"]


@admin.register(GatewayAlarm)
class GatewayAlarmAdmin(ReadOnlyAdmin):
    """What opened and closed, and when."""

    list_display = ["gateway", "kind", "detail", "opened_at", "closed_at", "told_at"]
    list_filter = ["kind", ("closed_at", admin.EmptyFieldListFilter)]
    list_select_related = ["gateway"]


@admin.register(AccessToken)
class AccessTokenAdmin(ReadOnlyAdmin):
    """Which tokens were given out; none can be shown."""

    list_display = ["gateway", "how", "issued_at", "expires_at", "last_used_at"]
    list_filter = ["how"]
    list_select_related = ["gateway"]
    fields = list_display


@admin.register(ClaimCode)
class ClaimCodeAdmin(ConfirmingAdmin):
    """Make a code for a gateway that is to be active at once; it is shown once."""

    list_display = ["code_id", "name", "created_by", "created_at", "expires_at", "tries", "used_by", "used_at"]
    list_select_related = ["created_by", "used_by"]
    fields = ["name"]

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002
        return False

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> Any:
        try:
            return super().add_view(request, form_url, extra_context)
        except Refusal as refusal:
            self.message_user(request, refusal.detail, "ERROR")
            return HttpResponseRedirect(reverse("admin:devices_claimcode_changelist"))

    def save_model(self, request: HttpRequest, obj: ClaimCode, form: "ModelForm[ClaimCode]", change: bool) -> None:  # noqa: ARG002, FBT001
        code = services.make_claim(request.user, obj.name, timezone.now())
        obj.pk = ClaimCode.objects.values_list("pk", flat=True).get(code_id=code[:4])
        obj.refresh_from_db()
        request.META["scaleledger.claim_code"] = code  # for the page that answers this very request

    def response_add(self, request: HttpRequest, obj: ClaimCode, post_url_continue: str | None = None) -> HttpResponse:  # noqa: ARG002
        words = f"Type it at the gateway within 15 minutes: scaleledger claim CODE. It is good for one gateway ({obj.name or 'no name given'})."
        back = reverse("admin:devices_claimcode_changelist")
        return self.shown_once(request, "A claim code, shown once", words, request.META["scaleledger.claim_code"], back)


admin.site.register(Station, stations.StationAdmin)

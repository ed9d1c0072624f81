"""The stations that a person assigns, and the ports a gateway found, from which one begins."""

import json
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin as DjangoModelAdmin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from unfold.admin import ModelAdmin  # type: ignore[import-untyped]  # it ships no types
from unfold.widgets import UnfoldAdminTextInputWidget  # type: ignore[import-untyped]

from scaleledger_server import notices
from scaleledger_server.devices import services
from scaleledger_server.devices.models import Gateway, ScannedPort, Station
from scaleledger_server.devices.services.stations import STATIONS_MAX

DRIVERS = ("suwol-1000", "fg-150kal", "st-gs-comma", "st-gs-nocomma")
READERS = ("rfid-em4100",)
JSON_CHARS_MAX = 4_096
LINK = "text-primary-600 dark:text-primary-500"  # the admin's own classes
BUTTON = "bg-primary-600 border border-transparent cursor-pointer font-medium px-3 py-2 rounded-default text-white"
CELL = '<td class="pr-4">{}</td>'
PREFILLED = {
    "serial_port": "device",
    "serial_description": "description",
    "serial_location": "location",
    "serial_number": "serial_number",
    "serial_manufacturer": "manufacturer",
}


class SuggestingInput(UnfoldAdminTextInputWidget):  # type: ignore[misc]
    """A text field that offers words and takes any."""

    def __init__(self, words: tuple[str, ...]) -> None:
        super().__init__()
        self.words = words

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> str:
        listed = f"{name}_words"
        field = super().render(name, value, {**(attrs or {}), "list": listed}, renderer)
        options = format_html_join("", '<option value="{}"></option>', ((word,) for word in self.words))
        return format_html('{}<datalist id="{}">{}</datalist>', field, listed, options)


class StationForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """What a gateway could not run is said here, not there."""

    class Meta:
        model = Station
        fields = "__all__"  # noqa: DJ007 - the admin names the fields
        widgets = {"driver": SuggestingInput(DRIVERS), "reader_driver": SuggestingInput(READERS)}

    def _json_object(self, name: str) -> dict[str, Any]:
        value = self.cleaned_data[name]
        if value in (None, ""):
            return {}
        if not isinstance(value, dict) or len(json.dumps(value)) > JSON_CHARS_MAX:
            raise forms.ValidationError('Write a short JSON object such as {"frames": 3}.')
        return value

    def clean_options(self) -> dict[str, Any]:
        return self._json_object("options")

    def clean_stability(self) -> dict[str, Any]:
        return self._json_object("stability")

    def clean(self) -> dict[str, Any]:
        said = super().clean() or self.cleaned_data
        if said.get("driver") and not (said.get("url") or said.get("serial_port")):
            raise forms.ValidationError("A driver needs a URL or a serial port to find the indicator at.")
        if bool(said.get("reader_driver")) != bool(said.get("reader_url")):
            raise forms.ValidationError("A card reader needs both its driver and its URL.")
        gateway = said.get("gateway")
        if gateway and not self.instance.pk and Station.objects.filter(gateway=gateway).count() >= STATIONS_MAX:
            raise forms.ValidationError(f"A gateway has at most {STATIONS_MAX} stations.")
        return said


class StationAdmin(ModelAdmin):  # type: ignore[misc]
    """Assign a port, a driver, a mode and tolerances; the gateway takes each change over without stopping the others."""

    form = StationForm
    list_display = ["name", "gateway", "driver", "where", "mode", "enabled", "updated_at"]
    list_filter = ["enabled", "mode", "gateway"]
    list_select_related = ["gateway"]
    search_fields = ["name", "gateway__name", "gateway__mac_address", "serial_port", "url"]
    fields = [
        "gateway", "name", "description", "enabled", "driver", "url", "serial_port", "serial_description",
        "serial_location", "serial_number", "serial_manufacturer", "mode", "unit", "division", "min_weight", "max_weight",
        "rearm", "reader_driver", "reader_url", "options", "stability", "timeout_s", "stale_s",
    ]  # fmt: skip

    @staticmethod
    def where(station: Station) -> str:
        return station.url or station.serial_port

    def get_readonly_fields(self, request: HttpRequest, obj: Station | None = None) -> list[str]:  # noqa: ARG002
        return ["gateway"] if obj else []

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "gateway":
            kwargs["queryset"] = Gateway.objects.exclude(status=Gateway.Status.REPLACED)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Station, form: StationForm, change: bool) -> None:  # noqa: ARG002, FBT001
        services.save_station(obj)

    def delete_model(self, request: HttpRequest, obj: Station) -> None:  # noqa: ARG002
        services.delete_station(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Station]) -> None:  # noqa: ARG002
        for station in queryset:
            services.delete_station(station)


def stations_of(gateway: Gateway) -> str:
    """Links to a gateway's stations, and to one more."""
    rows = ((reverse("admin:devices_station_change", args=[row.pk]), row.name) for row in gateway.stations.all())
    add = f"{reverse('admin:devices_station_add')}?{urlencode({'gateway': gateway.pk})}"
    listed = format_html_join("", f'<a href="{{}}" class="{LINK}">{{}}</a><br>', rows)
    return format_html('{}<a href="{}" class="{}">Add a station</a>', listed, add, LINK)


def ports_of(gateway: Gateway) -> str:
    """A gateway's ports as of its last scan, each with a link to a station there, and a button to scan again."""
    rows = [
        (port.device, port.description, port.manufacturer, port.serial_number, _station_here(gateway, port))
        for port in gateway.ports.all()
    ]
    row = "<tr>" + CELL * 4 + f'<td><a href="{{}}" class="{LINK}">add a station here</a></td></tr>'
    newest = max((port.seen_at for port in gateway.ports.all()), default=None)
    return format_html(
        '<button type="submit" formaction="{}" formnovalidate class="{}">Scan ports</button> {}<table>{}</table>',
        reverse("admin:devices_gateway_scan", args=[gateway.pk]),
        BUTTON,
        f"as of {newest:%Y-%m-%d %H:%M:%S} UTC" if newest else "never scanned",
        format_html_join("", row, rows),
    )


def _station_here(gateway: Gateway, port: ScannedPort) -> str:
    texts = {field: str(getattr(port, source))[:100] for field, source in PREFILLED.items()}
    name = port.device.rsplit("/", 1)[-1][:100]
    return f"{reverse('admin:devices_station_add')}?{urlencode({'gateway': gateway.pk, 'name': name, **texts})}"


def ask_for_ports(gateway: Gateway) -> None:
    """A connected gateway answers within seconds; one that is not hears nothing."""
    notices.tell_gateway(gateway.pk, "scan.peripherals")


def scan(gateways: "DjangoModelAdmin[Gateway]", request: HttpRequest, pk: int) -> HttpResponse:
    """The button's POST: ask, and go back to the gateway's page."""
    gateway = get_object_or_404(Gateway, pk=pk)
    if request.method != "POST" or not gateways.has_change_permission(request, gateway):
        raise PermissionDenied
    ask_for_ports(gateway)
    gateways.log_change(request, gateway, "Asked for its ports.")
    gateways.message_user(request, "Asked. If it is connected its ports are here in a few seconds.", messages.SUCCESS)
    return HttpResponseRedirect(reverse("admin:devices_gateway_change", args=[pk]))

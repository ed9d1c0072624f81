"""How the administration looks and how it is arranged: by what people do, not by the names of our apps."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse_lazy

GREEN = {
    "50": "oklch(97% .02 160)",
    "100": "oklch(94% .04 160)",
    "200": "oklch(89% .07 160)",
    "300": "oklch(82% .11 160)",
    "400": "oklch(72% .13 160)",
    "500": "oklch(60% .13 160)",
    "600": "oklch(48% .12 160)",
    "700": "oklch(43% .11 160)",
    "800": "oklch(37% .09 160)",
    "900": "oklch(31% .07 160)",
    "950": "oklch(23% .05 160)",
}


def _may(model: str) -> Any:
    def allowed(request: HttpRequest) -> bool:
        app, _, name = model.rpartition("_")
        return bool(request.user.has_perm(f"{app}.view_{name}"))

    return allowed


def _item(title: str, icon: str, model: str) -> dict[str, Any]:
    link = reverse_lazy(f"admin:{model}_changelist")
    return {"title": title, "icon": icon, "link": link, "permission": _may(model)}


UNFOLD = {
    "SITE_TITLE": "ScaleLedger",
    "SITE_HEADER": "ScaleLedger",
    "SITE_SYMBOL": "scale",
    "SITE_URL": "/",
    "SHOW_HISTORY": True,
    "COLORS": {"primary": GREEN},
    "LOGIN": {"form": "scaleledger_server.people.forms.LoginForm"},
    "ACCOUNT": {"navigation": [{"title": "Second factor", "link": reverse_lazy("second-factor-setup")}]},
    "SIDEBAR": {
        "navigation": [
            {
                "title": "Weighings",
                "items": [
                    _item("Records", "scale", "weighing_weighingrecord"),
                    _item("Voids and corrections", "edit_note", "weighing_amendment"),
                    _item("Conflicts", "warning", "weighing_ingestconflict"),
                    {"title": "Auction page", "icon": "monitor", "link": reverse_lazy("auction")},
                ],
            },
            {
                "title": "Plants",
                "items": [
                    _item("Cuts", "restaurant", "weighing_cut"),
                    {
                        "title": "Cuts without a session",
                        "icon": "help",
                        "link": reverse_lazy("orphans"),
                        "permission": _may("weighing_cut"),
                    },
                    _item("Offline batches", "cloud_off", "weighing_offlinebatch"),
                    _item("Scales", "scale", "shifts_scale"),
                    _item("Edges", "hub", "shifts_edge"),
                    _item("Sites and keys", "factory", "shifts_site"),
                ],
            },
            {
                "title": "Gateways",
                "items": [
                    _item("Gateways", "router", "devices_gateway"),
                    _item("Stations", "pin_drop", "devices_station"),
                    _item("Claim codes", "key", "devices_claimcode"),
                    _item("Alarms", "notifications", "devices_gatewayalarm"),
                    _item("Claims with another key", "person_alert", "devices_identityconflict"),
                    _item("Heads not believed", "link_off", "devices_headalarm"),
                    _item("Access tokens", "badge", "devices_accesstoken"),
                ],
            },
            {
                "title": "Market data",
                "items": [
                    _item("Producers", "groups", "market_producer"),
                    _item("Goods", "set_meal", "market_species"),
                    _item("Cards", "contactless", "market_rfidcard"),
                ],
            },
            {
                "title": "Products and labels",
                "items": [
                    _item("Products", "sell", "plu_product"),
                    _item("Print jobs", "print", "labels_printjob"),
                    _item("Printers", "local_printshop", "labels_printer"),
                ],
            },
            {
                "title": "People",
                "items": [
                    _item("Users", "person", "auth_user"),
                    _item("Groups", "group", "auth_group"),
                    _item("Second factors", "lock", "otp_totp_totpdevice"),
                ],
            },
        ],
    },
}

"""What a gateway's last sign of life said, for people: the machine in words, each station with its port."""

from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from scaleledger_server.devices.models import Gateway

GB = 1_000_000_000
HOUR_S = 3_600


def host_of(gateway: Gateway) -> SafeString | str:
    """Version, machine, clock, disk and queue; "-" before the first report."""
    told: dict[str, Any] = gateway.reported
    if not told:
        return "-"
    lines = [
        ("gateway", told.get("version", "")),
        ("machine", " ".join(str(told[name]) for name in ("platform", "python") if told.get(name))),
        ("up for", _hours(told.get("uptime_s"))),
        ("disk", _disk(told)),
        ("its clock", _clock(told.get("clock_offset_ms"))),
        ("to be delivered", f"{told.get('queued', 0)}, the oldest of {told.get('oldest_queued_at') or '-'}"),
        ("in quarantine", told.get("quarantined", 0)),
        ("receipt up to", told.get("receipt_seq", "")),
    ]
    return format_html_join("", "{}: {}<br>", ((name, value) for name, value in lines if value != ""))


def _hours(uptime_s: int | None) -> str:
    return "" if uptime_s is None else f"{uptime_s // HOUR_S} h {uptime_s % HOUR_S // 60} min"


def _disk(told: dict[str, Any]) -> str:
    free, total = told.get("disk_free_bytes"), told.get("disk_total_bytes")
    return f"{free / GB:.1f} of {total / GB:.1f} GB free" if free is not None and total else ""


def _clock(offset_ms: int | None) -> str:
    if offset_ms is None:
        return ""
    return f"{abs(offset_ms) / 1000:.3f} s {'behind' if offset_ms > 0 else 'ahead of'} ours"


def ports_in_use(gateway: Gateway) -> SafeString | str:
    """Each station as the gateway runs it, and what it could not run; "-" before the first report."""
    told: dict[str, Any] = gateway.reported
    rows = [
        (
            s.get("name"),
            s.get("driver"),
            s.get("port"),
            s.get("link"),
            s.get("state"),
            s.get("saved", 0),
            s.get("detail"),
        )
        for s in told.get("stations", [])
    ]
    refused = [(s.get("name"), s.get("reason")) for s in told.get("stations_refused", [])]
    if not rows and not refused:
        return "-"
    head = "<tr><th>station</th><th>driver</th><th>port</th><th>link</th><th>state</th><th>saved</th><th></th></tr>"
    cells = "<tr>" + "<td style='padding-right:1rem'>{}</td>" * 7 + "</tr>"
    table = format_html("<table>{}{}</table>", SafeString(head), format_html_join("", cells, rows))
    return table + format_html_join("", "<p>{} cannot be run: {}</p>", refused)

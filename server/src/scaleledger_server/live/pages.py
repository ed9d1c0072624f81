"""The auction page: what each scale shows now, and the last weighing that may be sold. Without JavaScript, a table that reloads."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from scaleledger_server.live import queries
from scaleledger_server.people.door import for_people


@require_safe
@for_people
def auction(request: HttpRequest) -> HttpResponse:
    """All stations, or with `?gateway=<id>` those of one gateway."""
    active = queries.active_gateways()
    asked = request.GET.get("gateway", "")
    only = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 10 else 0
    chosen = [gateway_id for gateway_id in active if gateway_id == only] if asked else active
    answer = render(
        request,
        "live/auction.html",
        {"stations": queries.shown(chosen), "now": timezone.now(), "only": (chosen[0] if chosen else 0) if asked else "",
         "unknown": bool(asked) and not chosen},
    )  # fmt: skip
    answer["Cache-Control"] = "no-store"
    return answer

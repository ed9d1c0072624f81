"""In which language the phone page speaks, and what its scripts say.

The people at the scales read the language of their phone; everybody else here reads English. So a language is in force for
these pages and their API only, and for as long as one request. English is in the code, other languages in `locale`.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.template.response import SimpleTemplateResponse
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext_lazy as _

View = Callable[..., HttpResponseBase]

SCRIPTS = {
    "decimal_mark": _("."),
    "online": _("Online"),
    "idle": _("Idle"),
    "stale": _("Not heard lately"),
    "disconnected": _("Disconnected"),
    "unknown": _("Not seen yet"),
    "silent": _("Gateway not heard"),
    "free": _("Free"),
    "active_since": _("at work since {time}"),
    "paused_since": _("paused, begun {time}"),
    "pending_since": _("begins {time}"),
    "active": _("At work"),
    "paused": _("Paused"),
    "pending": _("Begins"),
    "ended": _("Ended"),
    "completed": _("finished"),
    "cancelled": _("cancelled"),
    "timeout": _("by the time limit"),
    "one_cut": _("{count} cut, {kilograms} kg"),
    "cuts": _("{count} cuts, {kilograms} kg"),
    "no_product": _("No product"),
    "offline": _("weighed without a connection"),
    "live": _("Live"),
    "connecting": _("Connecting …"),
    "trying_again": _("No answer from the server. Trying again …"),
    "no_answer_since": _("No answer from the server since {time}"),
    "no_connection_since": _("No connection since {time}. Weighing goes on; trying again …"),
    "press_again": _(
        "No answer from the server, so it is not known whether this was done. Press again: twice does no harm."
    ),
}


def for_scripts() -> dict[str, str]:
    """What the scripts of these pages say, by name, in the language in force."""
    return {name: str(words) for name, words in SCRIPTS.items()}


def in_their_language(view: View) -> View:
    """Answer in the language that the asking browser prefers, of those that are there."""

    @wraps(view)
    def speaking(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with translation.override(translation.get_language_from_request(request)):
            answer = view(request, *args, **kwargs)
            if isinstance(answer, SimpleTemplateResponse):
                answer.render()  # it would wait until the language is English again
            answer.headers.setdefault("Content-Language", translation.get_language() or "en")
        patch_vary_headers(answer, ("Accept-Language",))
        return answer

    return speaking

"""Where a person says to which session cuts belong that have none. The records and the cuts' facts stay as they are."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django import forms
from django.contrib.auth.decorators import permission_required
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from scaleledger_server.errors import Refusal
from scaleledger_server.shifts.models import Scale, WorkSession
from scaleledger_server.shifts.past import add_past_session
from scaleledger_server.weighing import cuts, orphans
from scaleledger_server.weighing.models import Cut

VIEW, ASSIGN = "weighing.view_cut", "weighing.change_cut"
NEW = "new"


class AssignForm(forms.Form):
    """To which session, and why. `which` says whether all cuts of the span are meant, or those that are ticked."""

    which = forms.ChoiceField(choices=[("all", "all of this span"), ("chosen", "only those ticked below")])
    session = forms.ChoiceField()
    animal_tag = forms.CharField(label="Ear tag (new session)", max_length=100, required=False)
    animal_species = forms.CharField(label="Species (new session)", max_length=100, required=False)
    reason = forms.CharField(max_length=200, help_text="Is kept for good, with your name.")

    def __init__(self, offered: list[WorkSession], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        listed = [(str(one.pk), f"{one.animal_tag}, {_from_to(one)}") for one in offered]
        self.fields["session"].choices = [*listed, (NEW, "a new session over this span")]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        said = super().clean() or self.cleaned_data
        if said.get("session") == NEW and not said.get("animal_tag", "").strip():
            self.add_error("animal_tag", "A new session needs the animal's tag.")
        return said


def _from_to(session: WorkSession) -> str:
    began = f"{timezone.localtime(session.started_at):%Y-%m-%d %H:%M}"
    return f"{began} to {timezone.localtime(session.ended_at):%H:%M}" if session.ended_at else f"since {began}"


@require_safe
@permission_required(VIEW, raise_exception=True)
def show(request: HttpRequest) -> HttpResponse:
    """All spans, and the offline batches that are not settled; after an assignment, what its session holds now."""
    done = _session_named(request.GET.get("done", ""))
    context = {
        "spans": orphans.spans(),
        "batches": orphans.batches_open(),
        "done": done,
        "total": cuts.totals([done.pk])[done.pk] if done else None,
        "may_assign": request.user.has_perm(ASSIGN),
        "looked_at_max": orphans.LOOKED_AT_MAX,
        "at": timezone.now(),
    }
    return render(request, "weighing/orphans.html", context)


def _session_named(text: str) -> WorkSession | None:
    uuid = cuts.session_uuid(text)
    return WorkSession.objects.select_related("scale").filter(pk=uuid).first() if uuid is not None else None


@require_http_methods(["GET", "POST"])
@permission_required([VIEW, ASSIGN], raise_exception=True)
def assign(request: HttpRequest, pk: int) -> HttpResponse:
    """One span, cut by cut, and the sessions that it may belong to."""
    scale = get_object_or_404(Scale.objects.select_related("edge__site"), pk=pk)
    span = _moment(request, "from"), _moment(request, "to")
    listed = orphans.within(scale, *span)
    offered = orphans.sessions_near(scale, *span)
    form = AssignForm(offered, request.POST or None, initial={"which": "all"})
    if request.method == "POST" and form.is_valid():
        try:
            session = _done(request, scale, span, form.cleaned_data)
            return HttpResponseRedirect(f"{reverse('orphans')}?done={session.pk}")
        except Refusal as refusal:
            form.add_error(None, refusal.detail)
    shown = list(listed.select_related("batch").order_by("measured_at")[: orphans.SHOWN_MAX])
    count = len(shown) if len(shown) < orphans.SHOWN_MAX else listed.count()
    context = {"scale": scale, "first_at": span[0], "last_at": span[1], "cuts": shown, "count": count, "form": form}
    ticked = set(request.POST.getlist("cut"))
    return render(request, "weighing/orphans_assign.html", {**context, "ticked": ticked, "new": NEW})


def _moment(request: HttpRequest, name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(request.GET.get(name, ""))
    except ValueError:
        raise Http404 from None
    if moment.tzinfo is None:
        raise Http404
    return moment


@transaction.atomic
def _done(request: HttpRequest, scale: Scale, span: tuple[datetime, datetime], said: dict[str, str]) -> WorkSession:
    if said["which"] == "all":
        meant = orphans.chosen(scale, *span)
        if str(len(meant)) != request.POST.get("count"):
            raise Refusal(409, "cut_elsewhere", "Other cuts came or went meanwhile. Look at the list again.")
    else:
        meant = [uuid for text in request.POST.getlist("cut") if (uuid := cuts.session_uuid(text)) is not None]
    if not meant:
        raise Refusal(422, "invalid", "No cut was chosen. Tick some, or take all of this span.")
    if said["session"] == NEW:
        times = _span_of(meant) or span
        tag, species = said["animal_tag"].strip(), said["animal_species"].strip()
        session = add_past_session(scale, tag, species, times, request.user)
    else:
        session = WorkSession.objects.get(pk=said["session"], scale=scale)
    cuts.assign(meant, session, said["reason"], request.user, timezone.now())
    return session


def _span_of(meant: list[UUID]) -> tuple[datetime, datetime] | None:
    """From the first to the last of these cuts."""
    times = list(Cut.objects.filter(record_uuid__in=meant).values_list("measured_at", flat=True))
    return (min(times), max(times)) if times else None

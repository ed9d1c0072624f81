"""The cuts of one work session as the phone page shows them: all, or what is new to somebody who has seen it up to a moment.

The moment is ours at which a cut came or was attributed anew. A transaction that commits late has an early moment, so a look
reaches back a little, and who looks keeps apart what it has seen by the cut's id and revision.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Q, Sum

from scaleledger_server.shifts.models import WorkSession
from scaleledger_server.shifts.queries import session_shown
from scaleledger_server.weighing.models import Cut, CutChange

CUTS_SHOWN_MAX = 200
REACH_BACK = timedelta(seconds=60)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look found. `whole` says that it replaces everything shown before; `until` is what the next look is asked with."""

    session: dict[str, Any]
    count: int
    grams: int
    cuts: list[dict[str, Any]]
    gone: list[str]
    whole: bool
    until: datetime


def look(session_id: UUID, since: datetime | None) -> Seen | None:
    """The session, its totals, and its newest cuts: all that are shown, or with `since` what came about since then.

    When more came than is shown at all, everything is told anew. None for a session that there is not.
    """
    session = WorkSession.objects.select_related("operator").filter(pk=session_id).first()
    if session is None:
        return None
    mine = Cut.objects.filter(session=session)
    moved = CutChange.objects.filter(Q(session_before=str(session_id)) | Q(session_after=str(session_id)))
    if since is not None:
        from_ = since - REACH_BACK
        moved = moved.filter(at__gte=from_)
        cuts = mine.filter(Q(received_at__gte=from_) | Q(pk__in=moved.values("cut")))
    else:
        cuts = mine
    found = list(cuts.order_by("-measured_at", "-pk")[: CUTS_SHOWN_MAX + 1])
    whole = since is None or len(found) > CUTS_SHOWN_MAX
    if whole and since is not None:
        found = list(mine.order_by("-measured_at", "-pk")[:CUTS_SHOWN_MAX])
    changes = [] if whole else list(moved.values_list("cut", "cut__session", "at"))
    # last, so that no cut is told gone and still counted
    totals = mine.aggregate(count=Count("pk"), grams=Sum("net_grams"))
    moments = [since or EPOCH, *(cut.received_at for cut in found), *(at for _, _, at in changes)]
    return Seen(
        session_shown(session),
        totals["count"],
        totals["grams"] or 0,
        [_cut_shown(cut) for cut in found[:CUTS_SHOWN_MAX]],
        [str(cut) for cut, now_of, _ in changes if now_of != session_id],
        whole,
        max(moments),
    )


def _cut_shown(cut: Cut) -> dict[str, Any]:
    return {
        "id": str(cut.pk),
        "revision": cut.revision,
        "product": cut.product_name or cut.plu_code,
        "plu": cut.plu_code,
        "grams": cut.net_grams,
        "at": cut.measured_at.isoformat(),
        "offline": cut.offline,
    }

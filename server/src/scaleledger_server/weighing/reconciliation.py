"""Whether all that a gateway weighed is here: numbers 1 to n without a gap, what came twice, what contradicted."""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import Count, Max, Q

from scaleledger_server.devices.models import Gateway
from scaleledger_server.weighing.models import IngestConflict, LedgerState, RecordKey

GAPS_SHOWN_MAX = 100


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """One gateway's account.

    `records` are all that are held, `numbered` those with a ledger number, `last_seq` the highest. `gaps` are ranges of
    missing numbers (first, last), at most GAPS_SHOWN_MAX, among `missing` in all; `pending` are those that the anchor
    promises beyond `last_seq`. `proved_seq` and `proved_hash`: up to there all are held and every link was proved.
    `absorbed` counts deliveries of what was held already; `conflicts` what was offered and contradicts.
    """

    records: int
    numbered: int
    last_seq: int
    gaps: list[tuple[int, int]]
    missing: int
    pending: int
    proved_seq: int
    proved_hash: str
    absorbed: int
    anchor_seq: int
    anchor_hash: str
    receipt_seq: int
    receipt_at: datetime | None
    receipt_signature: str
    conflicts: int

    @property
    def complete(self) -> bool:
        """Nothing is missing, all that is held is proved, and nothing contradicted it."""
        return not (self.missing or self.pending or self.conflicts) and self.proved_seq == self.last_seq


def reconcile(gateway: Gateway) -> Reconciliation:
    """The gateway's account as it stands now; a fixed number of statements."""
    held = RecordKey.objects.filter(gateway=gateway).aggregate(
        records=Count("uuid"), numbered=Count("uuid", filter=Q(seq__isnull=False)), last_seq=Max("seq")
    )
    last_seq = held["last_seq"] or 0
    state = LedgerState.objects.filter(gateway=gateway).first() or LedgerState(gateway=gateway)
    missing = last_seq - held["numbered"]
    return Reconciliation(
        records=held["records"],
        numbered=held["numbered"],
        last_seq=last_seq,
        gaps=_gaps(gateway, state.held_seq) if missing else [],
        missing=missing,
        pending=max(0, gateway.anchor_seq - last_seq),
        proved_seq=state.held_seq,
        proved_hash=state.held_hash if state.held_seq else "",
        absorbed=state.absorbed,
        anchor_seq=gateway.anchor_seq,
        anchor_hash=gateway.anchor_hash,
        receipt_seq=state.receipt_seq,
        receipt_at=state.receipt_at,
        receipt_signature=state.receipt_signature,
        conflicts=IngestConflict.objects.filter(gateway=gateway).count(),
    )


_GAPS = """
SELECT before + 1, seq - 1 FROM (
    SELECT seq, lag(seq, 1, %s) OVER (ORDER BY seq) AS before
    FROM weighing_recordkey WHERE gateway_id = %s AND seq > %s
) AS steps WHERE seq > before + 1 ORDER BY seq LIMIT %s
"""


def _gaps(gateway: Gateway, held_seq: int) -> list[tuple[int, int]]:
    """Ranges of missing numbers; below `held_seq` there are none."""
    with connection.cursor() as cursor:
        cursor.execute(_GAPS, [held_seq, gateway.pk, held_seq, GAPS_SHOWN_MAX])
        return [(first, last) for first, last in cursor.fetchall()]

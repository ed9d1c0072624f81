"""Gives events to the session that they belong to, when that is learned late.

Nothing is rewritten: each event that bears an older word gets a correction record, which goes the way of every record. The
work is the same however often it is begun: an event whose newest word is right is left alone.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime

from scaleledger.app.plant_ports import Attributions
from scaleledger.app.ports import Clock, Ledger
from scaleledger.domain.attribution import Speaker, correction
from scaleledger.domain.errors import LedgerError
from scaleledger.domain.session import WorkSession
from scaleledger.domain.session_book import Disputed
from scaleledger.domain.weighing import Draft
from scaleledger.observe.log import get_logger

log = get_logger()

EVENTS_MAX = 10_000
AT_ONCE = 100  # so many are committed together


class Reattribution:
    """Looks at events anew; `owner` says to which session one belongs."""

    def __init__(
        self,
        attributions: Attributions,
        ledger: Ledger,
        owner: Callable[[str, datetime], WorkSession | None],
        *,
        clock: Clock,
        boot_id: str,
    ) -> None:
        self._attributions, self._ledger, self._owner = attributions, ledger, owner
        self._clock, self._boot_id = clock, boot_id

    async def look(self, disputed: Disputed) -> int:
        """See that the newest word on each event in these times is right; how many had to be corrected.

        Raises StoreError: then some may have been corrected, and looking again does the rest.
        """
        device_id, span = disputed.device_id, disputed.span
        events, more = await self._attributions.events(device_id, span, EVENTS_MAX)
        drafts = [
            draft
            for event in events
            if (draft := correction(event, self._owner(device_id, event.measured_at), self._speaker())) is not None
        ]
        for start in range(0, len(drafts), AT_ONCE):
            await self._append(drafts[start : start + AT_ONCE])
        if drafts:
            log.info("biz.reattributed", device=device_id, events=len(drafts), since=span.since.isoformat())
        if more:
            log.warning("biz.reattribution_cut", device=device_id, events=EVENTS_MAX, since=span.since.isoformat())
        return len(drafts)

    async def _append(self, drafts: list[Draft]) -> None:
        results = await asyncio.gather(*(self._ledger.append(draft) for draft in drafts), return_exceptions=True)
        for draft, result in zip(drafts, results, strict=True):
            if isinstance(result, LedgerError):
                log.warning("biz.reattribution_refused", uuid=draft.refers_to, reason=str(result))
            elif isinstance(result, BaseException):
                raise result

    def _speaker(self) -> Speaker:
        return Speaker(self._clock.now(), self._clock.monotonic(), self._boot_id)

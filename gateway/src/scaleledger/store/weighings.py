"""The ledger as the line sees it: append, and what a station captured last."""

import json
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from sqlite3 import Connection

from scaleledger.domain.weighing import Draft, Kind, LastCapture, Record
from scaleledger.store.marks import Mark
from scaleledger.store.reader import Reader
from scaleledger.store.writer import Added, Writer


class Weighings:
    """Where weighings become durable."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader
        self._captures: dict[str, LastCapture | None] = {}

    async def append(self, draft: Draft) -> Record:
        """Commit one weighing; returns after the synced commit. A repeated uuid returns the stored record.

        Raises StoreFull or StoreError: then nothing was kept; LedgerError when the draft cannot be a record at all.
        """
        return await self._writer.append(draft)

    async def last_capture(self, station: str) -> LastCapture | None:
        """The newest weighing of a station; None if there is none, or it is damaged. Asks the disk once per station, from the newest record backwards."""
        if station not in self._captures:
            found = await self._reader.run(lambda connection: _newest(connection, station))
            self._captures.setdefault(station, found)
        return self._captures[station]

    def told(self, record: Record) -> None:
        """The operator was told of this record. Durable soon, not at once: see LastCapture.told."""
        last = self._captures.get(record.station)
        if last is not None and last.uuid == record.uuid:
            self._captures[record.station] = replace(last, told=True)
        self._writer.mark(Mark(told=(record.seq,)))

    def note(self, added: Added) -> None:
        """Remember what was committed."""
        for draft, record in added:
            if draft.kind is Kind.WEIGHING:
                self._captures[record.station] = LastCapture(
                    record.uuid, record.weight, record.unit, record.card, record.measured_at, told=False
                )


def _newest(connection: Connection, station: str) -> LastCapture | None:
    rows = connection.execute(
        "SELECT uuid, weight, unit, rfid_uid, measured_at, payload, is_told FROM weighing_records WHERE station = ? "
        "ORDER BY seq DESC",
        (station,),
    )
    with closing(rows):
        for uuid, weight, unit, card, at, payload, told in rows:
            try:
                if json.loads(payload)["kind"] == Kind.WEIGHING.value:
                    return LastCapture(uuid, Decimal(weight), unit, card, datetime.fromisoformat(at), bool(told))
            except (ValueError, LookupError, TypeError, InvalidOperation):
                return None  # damaged: nothing is known of the load, and the scale must be emptied first
    return None

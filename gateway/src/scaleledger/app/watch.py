"""Says in the log, in words and once per change, what a station lacks: no port, no bytes, or bytes without a frame."""

import asyncio
from collections.abc import Sequence

from scaleledger.app.ports import LinkState
from scaleledger.app.station import WeighingStation
from scaleledger.observe.log import get_logger

log = get_logger()
LOOK_EVERY_S = 2.0


class Watch:
    """Looks at every station every two seconds. `stations` may change while it works."""

    def __init__(self, stations: Sequence[WeighingStation]) -> None:
        self._stations = stations
        self._said: dict[str, str] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self.look()

    def look(self) -> None:
        """Log what changed since the last look."""
        names = {station.name for station in self._stations}
        for gone in self._said.keys() - names:
            del self._said[gone]
        for station in self._stations:
            words = station.silence
            if words == self._said.get(station.name, ""):
                continue
            self._said[station.name] = words
            if not words:
                continue
            state = station.transport.status.state
            event = (
                "hw.link_failed" if state is LinkState.FAILED else "hw.no_frame" if station.hears_bytes else "hw.silent"
            )
            log.warning(event, station=station.name, what=words)

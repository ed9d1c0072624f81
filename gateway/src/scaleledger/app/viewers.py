"""Many viewers of one live lane: each gets the newest values at its own pace, and nobody waits for a slow one."""

import asyncio
from collections.abc import AsyncGenerator, Collection

from scaleledger.app.live import LiveLane, Shown
from scaleledger.app.ports import Clock
from scaleledger.domain.channel import LiveWeight, LiveWeights

VIEWERS_MAX = 20
PAUSE_S = 0.1
QUIET_S = 15.0


class TooManyViewers(Exception):
    """No room for another viewer."""


class _Viewer:
    def __init__(self) -> None:
        self.newest: dict[str, LiveWeight] = {}
        self.news = asyncio.Event()
        self.is_over = False


class Viewers:
    """Shows `stations` (which may change) to whoever watches, and works nothing out while nobody does. Run it as one task."""

    def __init__(self, stations: Collection[Shown], clock: Clock) -> None:
        self._lane = LiveLane(stations, self._say, clock)
        self._viewers: set[_Viewer] = set()

    async def run(self) -> None:
        """Show until cancelled; then nobody watches any more."""
        try:
            await self._lane.run()
        finally:
            for viewer in self._viewers:
                viewer.is_over = True
                viewer.news.set()

    def _say(self, weights: LiveWeights) -> None:
        """Of a station that a viewer has not taken yet, the newest value replaces the older."""
        for viewer in self._viewers:
            viewer.newest.update({live.station: live for live in weights.stations})
            viewer.news.set()

    async def watch(self) -> AsyncGenerator[list[LiveWeight], None]:
        """New values, at most ten times a second; an empty list when there are none for a while. Raises TooManyViewers."""
        if len(self._viewers) >= VIEWERS_MAX:
            raise TooManyViewers(f"{VIEWERS_MAX} viewers are looking already")
        viewer = _Viewer()
        self._viewers.add(viewer)
        self._lane.start(None)
        try:
            while not viewer.is_over:
                try:
                    async with asyncio.timeout(QUIET_S):
                        await viewer.news.wait()
                except TimeoutError:
                    yield []
                    continue
                viewer.news.clear()
                newest, viewer.newest = viewer.newest, {}
                yield list(newest.values())
                await asyncio.sleep(PAUSE_S)
        finally:
            self._viewers.discard(viewer)
            if not self._viewers:
                self._lane.stop(None)

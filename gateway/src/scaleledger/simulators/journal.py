"""What the simulated world did and was told, line by line: the oracle that a ledger is held against.

One JSON object per line, written out at once, so that the file can be read while the simulation runs and is whole to the
last line if it is killed. A line's `event` says what it is:

- `box`: an operator finished a box. `told` is saved, refused or unknown; `taps` is how often the card was presented.
- `emitted`: a talker showed a load over a link that stood from empty to the end of the hold: it must be captured once.
- `doubtful`: a talker showed a load, but its link came or went meanwhile: it may be captured once, or not.
"""

import json
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

LINES_KEPT = 100_000

Line = dict[str, str | int]


@dataclass(slots=True)
class Tally:
    """A station's counts. `emitted`: loads shown for capture, or cards tapped on a still load, each box once."""

    emitted: int = 0
    saved: int = 0
    refused: int = 0
    unknown: int = 0
    doubtful: int = 0


class Journal:
    """Lines of all stations of one simulation, kept in memory (the newest LINES_KEPT) and, with `path`, in a file."""

    def __init__(
        self,
        path: Path | None = None,
        say: Callable[[str], None] | None = None,
        listen: Callable[[Line], None] | None = None,
    ) -> None:
        self.lines: deque[Line] = deque(maxlen=LINES_KEPT)
        self.counts: dict[str, Tally] = defaultdict(Tally)
        self._say = say
        self._listen = listen
        self._file: TextIO | None = path.open("a", encoding="utf-8") if path is not None else None

    def box(self, station: str, n: int, *, card: str, weight: str, told: str, taps: int) -> None:
        """An operator finished box `n`."""
        tally = self.counts[station]
        tally.emitted += 1
        setattr(tally, told, getattr(tally, told) + 1)
        self._write(
            {"event": "box", "station": station, "n": n, "card": card, "weight": weight, "told": told, "taps": taps}
        )

    def load(self, station: str, n: int, *, card: str, weight: str, sure: bool) -> None:
        """A talker showed load `n` to its end; `sure` if the link stood all the while."""
        tally = self.counts[station]
        event = "emitted" if sure else "doubtful"
        setattr(tally, event, getattr(tally, event) + 1)
        self._write({"event": event, "station": station, "n": n, "card": card, "weight": weight})

    def say(self, station: str, words: str) -> None:
        """Tell whoever looks on what happens; not kept."""
        if self._say is not None:
            self._say(f"{station}: {words}")

    def totals(self) -> dict[str, dict[str, int]]:
        """The counts by station, as plain numbers."""
        return {station: asdict(tally) for station, tally in self.counts.items()}

    def close(self) -> None:
        """Close the file; further lines are kept in memory only."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, line: Line) -> None:
        line["at"] = datetime.now(UTC).isoformat(timespec="milliseconds")
        self.lines.append(line)
        if self._file is not None:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
        if self._listen is not None:
            self._listen(line)

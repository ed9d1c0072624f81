"""What a measurement found, in the one shape that all of them have."""

import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

OUT = Path(__file__).parent / "out"
Figures = dict[str, float]


@dataclass(slots=True)
class Result:
    """`ratio` is `ratio_of`. `met` says whether the figures `judged` are what `aim` asks for; None where nothing is aimed at."""

    name: str
    what: str
    arms: dict[str, Figures]
    ratio: float | None = None
    ratio_of: str = ""
    aim: str = ""
    judged: Figures = field(default_factory=dict)
    met: bool | None = None
    n: int = 0
    command: str = ""
    quick: bool = False
    notes: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For printing; numbers with four significant digits."""
        found: dict[str, Any] = rounded(asdict(self))
        return found


def rounded(value: Any) -> Any:
    """The same, with every float at four significant digits."""
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(part) for part in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def command(name: str) -> str:
    """How a measurement is repeated."""
    return f"python -m bench {name}"


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def middle(repeats: Sequence[Figures]) -> Figures:
    """The median of each figure over repeats."""
    return {name: statistics.median(r[name] for r in repeats) for name in repeats[0]}


def say(words: str) -> None:
    """Progress, for people; results alone go to standard output."""
    print(words, file=sys.stderr, flush=True)

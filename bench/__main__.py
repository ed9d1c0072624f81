"""`python -m bench [NAME ...] [--quick] [--write-docs]`, from the repository's root.

Runs all measurements or those named, prints each result as one line of JSON, and keeps them in bench/out/bench.json, where a
later run of some of them replaces those only. `--quick` is for seeing that all of it works: it takes under a minute, its
figures mean nothing, and they are kept apart. `--write-docs` writes docs/reference/performance.md from what is kept; without
names it measures nothing anew.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

from bench import centre, drain, durable, flushes, footprint, frames, plant, ports
from bench.machine import this_machine
from bench.page import PAGE, page
from bench.result import OUT, Result, say

MEASUREMENTS: dict[str, Callable[..., Iterator[Result]]] = {
    "durable": durable.measure,
    "flushes": flushes.measure,
    "frames": frames.measure,
    "ports": ports.measure,
    "footprint": footprint.measure,
    "drain": drain.measure,
    "centre": centre.measure,
    "plant": plant.measure,
}
KEPT = OUT / "bench.json"


def main() -> int:
    """Do what was asked for; exit code 0 when it could be measured, whether or not the aims are met."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Comparable measurements.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(MEASUREMENTS)}; all if left out")
    parser.add_argument("--quick", action="store_true", help="see that it works; the figures mean nothing")
    parser.add_argument("--write-docs", action="store_true", help=f"write {PAGE.name} from what was measured last")
    asked = parser.parse_args()
    unknown = [name for name in asked.names if name not in MEASUREMENTS]
    if unknown:
        parser.error(f"no measurement is called {unknown[0]!r}; known are {', '.join(MEASUREMENTS)}")
    OUT.mkdir(exist_ok=True)
    if asked.names or not asked.write_docs:
        found = measured(asked.names or list(MEASUREMENTS), quick=asked.quick)
        missed = [result["name"] for result in found if result["met"] is False]
        if missed and not asked.quick:
            say(f"aims missed: {', '.join(missed)}")
    if asked.write_docs:
        if not KEPT.exists():
            parser.error("nothing was measured yet: run python -m bench")
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(page(json.loads(KEPT.read_text())))
        say(f"wrote {PAGE}")
    return 0


def measured(names: list[str], *, quick: bool) -> list[dict[str, Any]]:
    """Run the measurements of these names, print and keep their results."""
    found = []
    for name in names:
        for result in MEASUREMENTS[name](quick=quick):
            found.append(result.as_json())
            print(json.dumps(found[-1]), flush=True)
    kept = OUT / "quick.json" if quick else KEPT
    before = json.loads(kept.read_text())["results"] if kept.exists() and not quick else []
    new = {result["name"]: result for result in found}
    old = {result["name"]: result for result in before}
    kept.write_text(json.dumps({"machine": this_machine(), "results": list({**old, **new}.values())}, indent=2) + "\n")
    return found


if __name__ == "__main__":
    sys.exit(main())

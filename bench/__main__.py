"""`python -m bench [NAME ...] [--quick] [--write-docs]`, from the repository's root."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator

from bench import durable, flushes, frames, ports
from bench.result import OUT, Result, say

MEASUREMENTS: dict[str, Callable[..., Iterator[Result]]] = {
    "durable": durable.measure,
    "flushes": flushes.measure,
    "frames": frames.measure,
    "ports": ports.measure,
}


def main() -> int:
    """Run what was asked for; exit code 1 when an aim was missed."""
    found = []
    for name in sys.argv[1:] or MEASUREMENTS:
        for result in MEASUREMENTS[name](quick=False):
            found.append(result.as_json())
            print(json.dumps(found[-1]), flush=True)
    return 0

if __name__ == "__main__":
    sys.exit(main())

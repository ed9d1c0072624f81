"""`python -m bench.counted_program TALLY FOLDER SCRIPT [ARGUMENT ...]`: a program whose SQLite is counted while it runs.

What FOLDER's databases have cost so far stands in TALLY, anew every SHOWN_EVERY_S, as JSON.
"""

import json
import runpy
import sys
import threading
import time
from pathlib import Path

from bench.counted_disk import CountedDisk, counted

SHOWN_EVERY_S = 0.05


def main(tally: Path, folder: Path, script: str, arguments: list[str]) -> None:
    """Run the script as the main program."""
    with counted() as disk:
        threading.Thread(target=_show, args=(disk, tally, folder), daemon=True).start()
        sys.argv = [script, *arguments]
        runpy.run_path(script, run_name="__main__")


def _show(disk: CountedDisk, tally: Path, folder: Path) -> None:
    while True:
        now = disk.tally(folder)
        scratch = tally.with_suffix(".new")
        scratch.write_text(json.dumps({"flushes": now.flushes, "written": now.written}))
        scratch.replace(tally)
        time.sleep(SHOWN_EVERY_S)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4:])

"""`scaleledger-server records`: how many weighings are held, and whose."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from scaleledger_server.weighing import queries


class Command(BaseCommand):
    """Counts weighings."""

    help = "Count the weighings: in all, per gateway, per station, and duplicates (must be 0)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true")
        parser.add_argument("--each", action="store_true", help="one JSON line per weighing instead")

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["each"]:
            for row in queries.each():
                self.stdout.write(json.dumps(row))
            return
        counts = queries.counts()
        if options["json"]:
            self.stdout.write(json.dumps(counts, indent=2))
            return
        self.stdout.write(f"{counts['total']} weighings, {counts['duplicates']} duplicates")
        for part in ("gateways", "stations"):
            for name, count in counts[part].items():
                self.stdout.write(f"  {part[:-1]} {name or '(none named)'}: {count}")

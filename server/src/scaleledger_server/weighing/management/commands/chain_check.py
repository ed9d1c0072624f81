"""`scaleledger-server chain_check [MAC]`: prove the held ledgers, or name the first bad record."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from scaleledger_server.devices.identity import normal_mac
from scaleledger_server.devices.models import Gateway
from scaleledger_server.weighing import chain


class Command(BaseCommand):
    """Proves the held ledgers."""

    help = "Walk each gateway's records (gaps, hashes, anchor) and all amendments. Exits 1 when one is bad."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("mac_address", nargs="?")
        parser.add_argument("--json", action="store_true")
        parser.add_argument(
            "--complete", action="store_true", help="also fail when the anchor promises records that have not come"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        gateways = Gateway.objects.all()
        if options["mac_address"]:
            gateways = gateways.filter(mac_address=normal_mac(options["mac_address"]) or "")
            if not gateways:
                raise CommandError(f"No gateway {options['mac_address']} is registered.")
        reports = [chain.check(gateway) for gateway in gateways]
        amendments = chain.check_amendments()
        ok = amendments.ok and all(r.ok and not (options["complete"] and r.pending) for r in reports)
        if options["json"]:
            said = {"ok": ok, "gateways": [r.described() for r in reports], "amendments": amendments.described()}
            self.stdout.write(json.dumps(said, indent=2))
        else:
            for report in reports:
                self.stdout.write(_line(report))
            if amendments.bad:
                self.stdout.write(f"amendments  BAD  number {amendments.bad.seq} {amendments.bad.why}")
        if not ok:
            sys.exit(1)


def _line(report: chain.ChainReport) -> str:
    if report.bad:
        return f"{report.mac_address}  BAD  record {report.bad.seq} {report.bad.why}"
    pending = f", {report.pending} more promised by the anchor" if report.pending else ""
    return f"{report.mac_address}  ok   {report.records} records, 1 to {report.last_seq}{pending}"

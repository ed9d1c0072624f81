"""`scaleledger-server reconcile`: each gateway's account, for a person or a script; the same as the page in the admin."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from scaleledger_server.devices.models import Gateway
from scaleledger_server.weighing import queries


class Command(BaseCommand):
    """Compares what is held with what each gateway's ledger must hold."""

    help = "Each gateway's account: held, gaps, absorbed repetitions, proved and receipted up to. Exit 1 if one is not whole."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("mac_address", nargs="?", help="only this gateway")
        parser.add_argument("--json", action="store_true")

    def handle(self, *_args: Any, **options: Any) -> None:
        gateways = Gateway.objects.order_by("pk")
        if options["mac_address"]:
            gateways = gateways.filter(mac_address=options["mac_address"].lower())
            if not gateways:
                raise CommandError(f"No gateway is registered with {options['mac_address']}.")
        duplicates = queries.counts()["duplicates"]
        accounts = {str(gateway): queries.reconcile(gateway) for gateway in gateways}
        if options["json"]:
            told = [
                {"gateway": name, **asdict(account), "complete": account.complete} for name, account in accounts.items()
            ]
            self.stdout.write(json.dumps({"gateways": told, "duplicates": duplicates}, default=str))
        else:
            for name, account in accounts.items():
                self.stdout.write(
                    f"{name}: held {account.records}, 1 to {account.last_seq}; missing {account.missing}, to come "
                    f"{account.pending}, repetitions absorbed {account.absorbed}, contradictions {account.conflicts}; "
                    f"proved up to {account.proved_seq}, receipt up to {account.receipt_seq}"
                )
            self.stdout.write(f"duplicates {duplicates}")
        if duplicates or not all(account.complete for account in accounts.values()):
            raise SystemExit(1)

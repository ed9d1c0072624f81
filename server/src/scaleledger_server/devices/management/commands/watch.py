"""`scaleledger-server watch --once`: what the server does by itself every few seconds, for a timer or a look."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from scaleledger_server.devices import queries, services

EVERY_S = 10


class Command(BaseCommand):
    """Opens the alarms of late gateways, mails what is new, prints what is open."""

    help = "Look for late gateways, mail new alarms, and list the open ones."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="look once, and do not stay")

    def handle(self, *_args: Any, **options: Any) -> None:
        self._look()
        while not options["once"]:
            time.sleep(EVERY_S)
            self._look()

    def _look(self) -> None:
        if not services.watch(timezone.now()):
            self.stdout.write("No alarm is open.")
        for alarm in queries.open_alarms():
            since = alarm.opened_at.isoformat(timespec="seconds")
            self.stdout.write(f"{since}  {alarm.gateway.mac_address}  {alarm.kind}: {alarm.detail}")

"""`scaleledger-server approve MAC | --all`: what the admin's action does, for scripts."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from scaleledger_server.devices import queries, services
from scaleledger_server.devices.identity import normal_mac
from scaleledger_server.devices.models import Gateway


class Command(BaseCommand):
    """Approves gateways that wait."""

    help = "Approve gateways that wait. Exits 1 when there was none to approve."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("mac_address", nargs="?")
        parser.add_argument("--all", action="store_true", help="every gateway that waits")
        parser.add_argument("--wait", type=float, default=0.0, metavar="SECONDS", help="wait so long for one to appear")

    def handle(self, *_args: Any, **options: Any) -> None:
        if bool(options["mac_address"]) == options["all"]:
            raise CommandError("Name one MAC address, or --all.")
        deadline = time.monotonic() + options["wait"]
        while not (waiting := self._waiting(options["mac_address"])) and time.monotonic() < deadline:
            time.sleep(0.2)
        if not waiting:
            raise CommandError("No gateway waits for approval." if options["all"] else "No such gateway is registered.")
        for gateway in waiting:
            services.approve(gateway)
            self.stdout.write(f"approved {gateway.mac_address} {gateway.name}")

    def _waiting(self, text: str | None) -> list[Gateway]:
        if text is None:
            return list(Gateway.objects.filter(status=Gateway.Status.PENDING))
        mac_address = normal_mac(text)
        if mac_address is None:
            raise CommandError(f"{text} is no MAC address; write it like 02:5a:1e:d6:e4:01.")
        gateway = queries.by_mac(mac_address)
        return [gateway] if gateway else []

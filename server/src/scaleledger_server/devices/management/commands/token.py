"""`scaleledger-server token MAC`: a token for a client that proves no key, shown once."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from scaleledger_server.devices import queries, services
from scaleledger_server.devices.identity import normal_mac
from scaleledger_server.devices.models import AccessToken, Gateway


class Command(BaseCommand):
    """Issues a token and prints it once."""

    help = "Issue a token for an approved client and show it, this once. It lasts until it is ended."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("mac_address")

    def handle(self, *_args: Any, **options: Any) -> None:
        mac_address = normal_mac(options["mac_address"])
        if mac_address is None:
            raise CommandError(f"{options['mac_address']} is no MAC address; write it like 02:5a:1e:d6:e4:01.")
        gateway = queries.by_mac(mac_address)
        if gateway is None or gateway.status != Gateway.Status.ACTIVE:
            raise CommandError(f"No active gateway has the MAC address {mac_address}. Approve it first.")
        self.stdout.write(services.issue_token(gateway, AccessToken.How.SHOWN, timezone.now()))

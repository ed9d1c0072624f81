"""`scaleledger-server gateways`: who is registered. Never shows a token."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from scaleledger_server.bodies import shown
from scaleledger_server.devices import queries
from scaleledger_server.devices.models import Gateway


def described(gateway: Gateway) -> dict[str, Any]:
    """A gateway without its secrets."""
    body = queries.status_body(gateway)
    for name in ("access_token", "token_expires_at", "batch", "server_key"):
        del body[name]
    return {
        **body,
        "fingerprint": gateway.fingerprint,
        "anchor": {"seq": gateway.anchor_seq, "hash": gateway.anchor_hash} if gateway.anchor_seq else None,
        "reported": gateway.reported,
    }


class Command(BaseCommand):
    """Lists gateways."""

    help = "List the gateways."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true")

    def handle(self, *_args: Any, **options: Any) -> None:
        rows = [described(gateway) for gateway in queries.newest_seen()]
        if options["json"]:
            self.stdout.write(json.dumps(rows, indent=2))
            return
        for row in rows:
            self.stdout.write(f"{row['mac_address']}  {row['status']:<8}  {shown(row['name'])}  {row['fingerprint']}")
        if not rows:
            self.stdout.write("No gateway is registered.")

"""`scaleledger-server approve MAC | --all`: what the admin's action does, for scripts.

Approving by a MAC address alone trusts whoever came first with it: a script that knows the fingerprint gives it.
"""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from scaleledger_server.bodies import shown
from scaleledger_server.devices import queries, services
from scaleledger_server.devices.identity import normal_mac
from scaleledger_server.devices.models import Gateway
from scaleledger_server.errors import Refusal

NO_KEY = "no key"


class Command(BaseCommand):
    """Approves gateways that wait, and says of each who it is."""

    help = (
        "Approve gateways that wait, and print address, fingerprint, name, and where it was heard from. With --all, one "
        "that others claim to be is left out. Exits 1 when there was none to approve, or one was left out."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("mac_address", nargs="?")
        parser.add_argument("--all", action="store_true", help="every gateway that waits")
        parser.add_argument("--fingerprint", help="as its own screen shows it: approve nothing else")
        parser.add_argument("--wait", type=float, default=0.0, metavar="SECONDS", help="wait so long for one to appear")

    def handle(self, *_args: Any, **options: Any) -> None:
        if bool(options["mac_address"]) == options["all"]:
            raise CommandError("Name one MAC address, or --all.")
        deadline = time.monotonic() + options["wait"]
        while not (waiting := self._waiting(options["mac_address"])) and time.monotonic() < deadline:
            time.sleep(0.2)
        if not waiting:
            if options["all"] and (disputed := self._disputed()):
                raise CommandError(
                    f"All that wait are claimed by others too: {', '.join(disputed)}. Decide in the administration."
                )
            raise CommandError("No gateway waits for approval." if options["all"] else "No such gateway is registered.")
        for gateway in waiting:
            self._approve(gateway, options["fingerprint"])
        if options["all"] and (disputed := self._disputed()):
            raise CommandError(
                f"Left out, as others claim to be it: {', '.join(disputed)}. Compare the fingerprints in the "
                "administration, decide there, or name one address."
            )

    def _approve(self, gateway: Gateway, fingerprint: str | None) -> None:
        found = gateway.fingerprint or NO_KEY
        if fingerprint is not None and _plain(fingerprint) != _plain(found):
            raise CommandError(
                f"{gateway.mac_address} has the fingerprint {found}, not {fingerprint}. Nothing was done."
            )
        try:
            services.approve(gateway)
        except Refusal as refusal:
            raise CommandError(f"{gateway.mac_address}: {refusal.detail}") from refusal
        words = [
            gateway.mac_address,
            found,
            shown(gateway.name),
            f"heard from {gateway.remote_network or 'nowhere yet'}",
        ]
        self.stdout.write("approved " + "  ".join(word for word in words if word))

    def _disputed(self) -> list[str]:
        left = Gateway.objects.filter(status=Gateway.Status.PENDING, identity_conflicts__isnull=False)
        return list(left.values_list("mac_address", flat=True).distinct())

    def _waiting(self, text: str | None) -> list[Gateway]:
        if text is None:
            return list(Gateway.objects.filter(status=Gateway.Status.PENDING, identity_conflicts=None))
        mac_address = normal_mac(text)
        if mac_address is None:
            raise CommandError(f"{text} is no MAC address; write it like 02:5a:1e:d6:e4:01.")
        gateway = queries.by_mac(mac_address)
        return [gateway] if gateway else []


def _plain(fingerprint: str) -> str:
    return "".join(fingerprint.split()).lower()

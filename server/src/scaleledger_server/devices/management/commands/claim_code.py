"""`scaleledger-server claim_code [NAME]`: a code that lets one gateway be active at once."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from scaleledger_server.devices import services
from scaleledger_server.errors import Refusal


class Command(BaseCommand):
    """Makes a claim code and prints it once."""

    help = "Make a claim code: one gateway that is told it is active at once. Valid for 15 minutes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", nargs="?", default="", help="the name the gateway gets")

    def handle(self, *_args: Any, **options: Any) -> None:
        if len(options["name"]) > 100:
            raise CommandError("A name has at most 100 characters.")
        try:
            code = services.make_claim(None, options["name"], timezone.now())
        except Refusal as refusal:
            raise CommandError(refusal.detail) from refusal
        self.stdout.write(code)

"""`scaleledger-server site_key`: a site, and the key that its edges show."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from scaleledger_server.shifts import edges
from scaleledger_server.shifts.models import Site


class Command(BaseCommand):
    """Makes a site's key."""

    help = "Make a site, if it is new, and a key for it. The key is shown once; an older one is good no more."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("site_id", help="the id that the edges of the site state")
        parser.add_argument("--name", default="", help="a name for people")

    def handle(self, *_args: Any, **options: Any) -> None:
        site = Site.objects.filter(site_id=options["site_id"]).first() or Site(site_id=options["site_id"])
        site.name = options["name"] or site.name
        try:
            site.full_clean()
        except ValidationError as wrong:
            raise CommandError("; ".join(wrong.messages)) from wrong
        site.save()
        self.stdout.write(edges.make_key(site, timezone.now()))

"""`scaleledger-server cuts`: what edges' events say beside their weights, one JSON line each."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from scaleledger_server.weighing.models import Cut

PIECE = 2_000


class Command(BaseCommand):
    """Lists cuts."""

    help = "List the cuts, oldest first: scale, session, weight, whether weighed without contact; one JSON line each."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--session", default="", help="only those of this work session (its id)")

    def handle(self, *_args: Any, **options: Any) -> None:
        rows = Cut.objects.select_related("scale").order_by("measured_at", "pk")
        if options["session"]:
            rows = rows.filter(session_id=options["session"])
        for cut in rows.iterator(PIECE):
            told = {
                "uuid": str(cut.pk),
                "device": cut.scale.device_id,
                "session": str(cut.session_id or ""),
                "batch": str(cut.batch_id or ""),
                "offline": cut.offline,
                "product": cut.product_name,
                "plu_code": cut.plu_code,
                "net_grams": cut.net_grams,
                "gross_grams": cut.gross_grams,
                "tare_grams": cut.tare_grams,
                "operator": cut.operator,
                "measured_at": cut.measured_at.isoformat(),
                "revision": cut.revision,
            }
            self.stdout.write(json.dumps(told, ensure_ascii=False))

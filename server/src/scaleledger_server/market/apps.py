from typing import Any

from django.apps import AppConfig


class MarketConfig(AppConfig):
    """Species, producers and the cards that stand for both."""

    name = "scaleledger_server.market"
    verbose_name = "Market data"

    def ready(self) -> None:
        from scaleledger_server.devices import services as devices  # noqa: PLC0415 - models exist only now
        from scaleledger_server.market import queries  # noqa: PLC0415

        def versions(_gateway: Any) -> dict[str, Any]:
            return {"versions": {"market": queries.version()}}

        devices.on_heartbeat_answer.append(versions)

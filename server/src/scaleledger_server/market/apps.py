from django.apps import AppConfig


class MarketConfig(AppConfig):
    """Species, producers and the cards that stand for both."""

    name = "scaleledger_server.market"
    verbose_name = "Market data"

from django.apps import AppConfig


class LiveConfig(AppConfig):
    """Live weights: from a gateway's socket to every page that watches."""

    name = "scaleledger_server.live"
    verbose_name = "Live"

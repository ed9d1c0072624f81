from django.apps import AppConfig


class PluConfig(AppConfig):
    """Names the app."""

    name = "scaleledger_server.plu"

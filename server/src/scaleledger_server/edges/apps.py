from django.apps import AppConfig


class EdgesConfig(AppConfig):
    """Names the app."""

    name = "scaleledger_server.edges"

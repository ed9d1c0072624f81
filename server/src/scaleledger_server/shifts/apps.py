from django.apps import AppConfig


class ShiftsConfig(AppConfig):
    """Names the app."""

    name = "scaleledger_server.shifts"

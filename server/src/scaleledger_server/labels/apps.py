from django.apps import AppConfig


class LabelsConfig(AppConfig):
    """Names the app."""

    name = "scaleledger_server.labels"

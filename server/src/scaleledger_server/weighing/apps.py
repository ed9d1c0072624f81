from django.apps import AppConfig


class WeighingConfig(AppConfig):
    """Records, over devices."""

    name = "scaleledger_server.weighing"
    verbose_name = "Weighing"

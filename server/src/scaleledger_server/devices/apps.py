from django.apps import AppConfig


class DevicesConfig(AppConfig):
    """The lowest app: gateways."""

    name = "scaleledger_server.devices"
    verbose_name = "Devices"

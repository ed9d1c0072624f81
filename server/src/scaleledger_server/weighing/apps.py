from django.apps import AppConfig


class WeighingConfig(AppConfig):
    """Records, over devices."""

    name = "scaleledger_server.weighing"
    verbose_name = "Weighing"

    def ready(self) -> None:
        from scaleledger_server.devices import services as devices  # noqa: PLC0415 - models are there only now
        from scaleledger_server.weighing.receipts import heartbeat_answer  # noqa: PLC0415

        devices.on_heartbeat_answer.append(heartbeat_answer)

from django.apps import AppConfig
from django.db.models.signals import post_save
from django.utils import timezone


class WeighingConfig(AppConfig):
    """Records, over devices."""

    name = "scaleledger_server.weighing"
    verbose_name = "Weighing"

    def ready(self) -> None:
        from scaleledger_server.devices import services as devices  # noqa: PLC0415 - models are there only now
        from scaleledger_server.shifts.models import WorkSession  # noqa: PLC0415
        from scaleledger_server.weighing.cuts import link_told  # noqa: PLC0415
        from scaleledger_server.weighing.receipts import heartbeat_answer  # noqa: PLC0415

        devices.on_heartbeat_answer.append(heartbeat_answer)

        def appeared(instance: WorkSession, created: bool, **_: object) -> None:  # noqa: FBT001 - Django's signature
            if created:
                link_told(instance, timezone.now())

        post_save.connect(appeared, WorkSession, weak=False, dispatch_uid="cuts told to belong to a session")

from django.apps import AppConfig


class PeopleConfig(AppConfig):
    """Logins, second factors, lock-out."""

    name = "scaleledger_server.people"
    verbose_name = "People"

    def ready(self) -> None:
        from scaleledger_server.people import audit  # noqa: PLC0415 - its receivers need the models

        audit.listen()

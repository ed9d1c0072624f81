"""Settings; written by the server."""

SECRET_KEY = "placeholder"  # noqa: S105
INSTALLED_APPS: list[str] = []

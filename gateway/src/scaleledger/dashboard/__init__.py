"""The gateway's own pages and the JSON beside them, drawn from `app.overview` and served behind `web.guard`."""

from scaleledger.dashboard.application import Dashboard, create_application

__all__ = ["Dashboard", "create_application"]

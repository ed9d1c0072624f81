"""The server as an ASGI application, for any ASGI worker; run `scaleledger-server migrate` first."""

import os

from django.core.asgi import get_asgi_application

from scaleledger_server.limits import BoundedRequests

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scaleledger_server.settings")
application = BoundedRequests(get_asgi_application())

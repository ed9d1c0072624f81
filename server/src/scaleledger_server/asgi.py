"""The server as an ASGI application, for any ASGI worker; run `scaleledger-server migrate` first."""

import os
import warnings

from django.core.asgi import get_asgi_application

from scaleledger_server.limits import BoundedRequests

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scaleledger_server.settings")
# A static file is a few kilobytes: reading it in one go, which Django warns of, is what we want.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")
application = BoundedRequests(get_asgi_application())

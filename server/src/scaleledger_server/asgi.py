"""The server as an ASGI application, for any ASGI server that speaks lifespan; run `scaleledger-server migrate` first."""

import os
import warnings
from typing import cast

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scaleledger_server.settings")
# A static file is a few kilobytes: reading it in one go, which Django warns of, is what we want.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")
_http = get_asgi_application()  # sets Django up, so it comes before everything that imports models

from scaleledger_server.limits import Application, BoundedRequests  # noqa: E402
from scaleledger_server.live.cut_stream import CutStreams  # noqa: E402
from scaleledger_server.live.lifespan import WithLive  # noqa: E402
from scaleledger_server.live.routing import sockets  # noqa: E402
from scaleledger_server.threads import OnThreads  # noqa: E402

_requests = CutStreams(BoundedRequests(OnThreads(cast("Application", _http))))
application = WithLive(cast("Application", ProtocolTypeRouter({"http": _requests, "websocket": sockets})))

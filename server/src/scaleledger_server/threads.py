"""Requests to the API answered on a few threads that stay.

Under ASGI Django gives each request a new thread and passes between it and the loop several times; that is more than all the
work for one weighing. The API needs nothing of it: no view is asynchronous, no body streams, and what a client began that
has gone away is finished. So here a whole request, with every middleware and signal, is one call on one thread.
"""

import asyncio
from collections.abc import MutableMapping
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

from django.core import signals
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.base import BaseHandler
from django.http import HttpResponse
from django.urls import set_script_prefix

from scaleledger_server.errors import API_PATHS, Refusal, refused
from scaleledger_server.limits import API_THREADS, Application, Message, Receive, Send


class OnThreads(BaseHandler):
    """An ASGI application that answers the API's paths itself and hands everything else to another.

    What it is handed must bring a body in one piece, as BoundedRequests sees to.
    """

    def __init__(self, others: Application) -> None:
        super().__init__()
        self._others = others
        self._threads = ThreadPoolExecutor(API_THREADS, thread_name_prefix="api")
        self.load_middleware()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if not scope["path"].startswith(API_PATHS):
            await self._others(scope, receive, send)
            return
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        loop = asyncio.get_running_loop()
        begin, body = await loop.run_in_executor(self._threads, self._answer, scope, message.get("body", b""))
        await send(begin)
        await send(body)

    def _answer(self, scope: MutableMapping[str, Any], body: bytes) -> tuple[Message, Message]:
        set_script_prefix(scope.get("root_path") or "/")
        signals.request_started.send(sender=self.__class__, scope=scope)
        try:
            request = ASGIRequest(scope, BytesIO(body))
        except UnicodeDecodeError:
            response: HttpResponse = refused(Refusal(400, "invalid", "The address is no UTF-8."))
        else:
            answered = self.get_response(request)
            assert isinstance(answered, HttpResponse), "no body of the API streams"
            response = answered
        headers = [(name.encode("ascii"), value.encode("latin1")) for name, value in response.items()]
        headers += [(b"set-cookie", cookie.OutputString().encode("ascii")) for cookie in response.cookies.values()]
        content = response.content
        response.close()  # which says that the request is over: its connection goes back
        begin = {"type": "http.response.start", "status": response.status_code, "headers": headers}
        return begin, {"type": "http.response.body", "body": content}

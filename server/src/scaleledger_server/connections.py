"""HTTP connections that end when their client does nothing.

uvicorn waits without end for the head of a request that began to arrive, however long it grows, and for an answer to be taken
in; a few dozen clients that never read would hold every place there is for requests. Here each connection is looked at now
and then, and one on which nothing has moved between two looks is cut.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES_MAX = 65_536


class BoundedConnection(HttpToolsProtocol):
    """One connection. `look_s`: what may stand still is cut after one to two times this."""

    look_s = 20.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._looking: asyncio.TimerHandle | None = None
        self._head_bytes = self._taken = 0
        self._seen: tuple[object, int] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._look()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._head_bytes = self._head_bytes + len(data) if self._no_request() else 0
        if self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def connection_lost(self, exc: Exception | None) -> None:
        self._look_no_more()
        super().connection_lost(exc)

    def resume_writing(self) -> None:
        self._taken += 1
        super().resume_writing()

    def shutdown(self) -> None:
        stopping = self.app_state.get("stopping")
        if stopping is not None:
            stopping.set()  # an answer that would go on for hours ends by this
        super().shutdown()

    def handle_websocket_upgrade(self) -> None:
        self._look_no_more()  # sockets have pings of their own
        super().handle_websocket_upgrade()

    def _no_request(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _look(self) -> None:
        standing = (self.cycle, self._taken) if self._no_request() or self.flow.write_paused else None
        if standing is not None and standing == self._seen:
            self.transport.abort()
            return
        self._seen = standing
        self._looking = self.loop.call_later(self.look_s, self._look)

    def _look_no_more(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

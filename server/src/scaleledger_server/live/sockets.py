"""A socket as the consumers see it: texts in, texts out, and Gone when the other side left. And how much one may say."""

from scaleledger_server.limits import SOCKET_MESSAGE_BYTES_MAX, Receive, Send

SILENT, TOO_LARGE = 4000, 1009
REFUSED, NO_PLAIN_CLIENTS, UNREADABLE, REPLACED, TRY_LATER = 4401, 4403, 4400, 4409, 1013


class Gone(Exception):
    """The other side left, or this one has closed."""


class Socket:
    """One accepted connection. Close codes: contracts/README.md, Sockets; of an edge: contracts/carnitrack.md."""

    def __init__(self, receive: Receive, send: Send, bytes_max: int = SOCKET_MESSAGE_BYTES_MAX) -> None:
        self._receive = receive
        self._send = send
        self._bytes_max = bytes_max
        self._closed = False

    async def accept(self) -> None:
        """Finish the handshake. A refusal comes after it, as a browser or client is told no code before."""
        await self._receive()
        await self._tell({"type": "websocket.accept"})

    async def hear(self) -> str:
        """The next text; bytes count as text that is no JSON. One that is too large closes. Raises Gone."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self._closed = True
            raise Gone
        text: str | None = message.get("text")
        if text is None:
            return ""
        if len(text) > self._bytes_max or (not text.isascii() and len(text.encode()) > self._bytes_max):
            await self.close(TOO_LARGE)
            raise Gone
        return text

    async def say(self, text: str) -> None:
        """Send a text; waits while the other side takes nothing in. Raises Gone."""
        if self._closed:
            raise Gone
        await self._tell({"type": "websocket.send", "text": text})

    async def close(self, code: int) -> None:
        """Close, saying why. Never 1000: clients take that for a wish to stay away."""
        if not self._closed:
            self._closed = True
            await self._tell({"type": "websocket.close", "code": code})

    async def _tell(self, message: dict[str, object]) -> None:
        try:
            await self._send(message)
        except OSError as error:  # uvicorn's word for a client that is gone
            self._closed = True
            raise Gone from error


class Allowance:
    """A bucket of messages that refills evenly: a burst is fine, more than `per_second` for long is not."""

    def __init__(self, per_second: float, burst: float, now: float) -> None:
        self._per_second, self._burst = per_second, burst
        self._left, self._at = burst, now

    def take(self, now: float) -> bool:
        """Whether one more message is allowed."""
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

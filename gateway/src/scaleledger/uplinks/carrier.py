"""What carries requests to a centre: one HTTP client for the process's life, bounded in time and size.

TLS certificates are always verified. Redirects are not followed, cookies not kept, the environment's proxies not used: the
token goes to the configured address and nowhere else.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path

import httpx2

from scaleledger import __version__
from scaleledger.domain.errors import LinkError
from scaleledger.uplinks.exchange import Answer, Request

ANSWER_MAX_BYTES = 1_000_000
SILENCE_S = 5.0  # no byte for so long is a failure
CONNECT_S = 5.0
WHOLE_S = 30.0  # and so is an exchange that trickles on for so long
USER_AGENT = f"scaleledger/{__version__}"


def wall_clock() -> datetime:
    """The time of day, aware."""
    return datetime.now(UTC)


def trust(base_url: str, ca_file: Path | None) -> ssl.SSLContext | None:
    """Who vouches for the centre; always verifying. None where no TLS is spoken: authorities cost time and memory."""
    if not base_url.lower().startswith("https:"):
        return None
    return ssl.create_default_context(cafile=ca_file) if ca_file else httpx2.create_ssl_context(trust_env=False)


class Carrier:
    """Sends requests to the server at `base_url` (http or https).

    `silence_s` is how long it may say nothing, `whole_s` how long an exchange may take; `tls` is None for plain http.
    `own_address` is the address this machine had in the last exchange, "" before the first.
    """

    def __init__(
        self,
        base_url: str,
        *,
        ca_file: Path | None = None,
        silence_s: float = SILENCE_S,
        whole_s: float = WHOLE_S,
        now: Callable[[], datetime] = wall_clock,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.base_url = base_url
        self.whole_s = whole_s
        self.tls = trust(base_url, ca_file)
        self.own_address = ""
        self._now = now
        self._client = httpx2.AsyncClient(
            base_url=base_url,
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
            timeout=_patience(silence_s),
            verify=self.tls or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
            trust_env=False,
            transport=transport,
        )

    def allow_silence(self, silence_s: float) -> None:
        """From now on so many seconds without a byte are a failure."""
        self._client.timeout = _patience(silence_s)

    async def close(self) -> None:
        """Give the connections up."""
        await self._client.aclose()

    async def send(
        self, request: Request, *, signature: str = "", most_bytes: int = ANSWER_MAX_BYTES, whole_s: float = 0.0
    ) -> Answer:
        """One exchange. Raises LinkError for all that can go wrong on the way."""
        headers = _headers(request, signature)
        exchange = self._client.stream(request.method, request.path, content=request.body, headers=headers)
        where = self._client.base_url
        try:
            async with asyncio.timeout(whole_s or self.whole_s), exchange as response:
                self.own_address = _own_address(response)
                body = await _read(response, most_bytes)
        except (TimeoutError, httpx2.TimeoutException) as error:
            raise LinkError(f"{where} did not answer in time") from error
        except httpx2.ConnectError as error:
            raise LinkError(f"{where} cannot be reached: {error}") from error
        except httpx2.HTTPError as error:
            raise LinkError(f"{where} broke the exchange off: {error}") from error
        found = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, found, body, self._now())


def _patience(silence_s: float) -> httpx2.Timeout:
    """A connection that is slow to open stays slow."""
    return httpx2.Timeout(silence_s, connect=min(silence_s, CONNECT_S))


def _headers(request: Request, signature: str) -> dict[str, str]:
    headers = dict(request.headers)
    if request.body:
        headers["Content-Type"] = "application/json"
    if request.token:
        headers["Authorization"] = f"Bearer {request.token}"
    if signature:
        headers["Scaleledger-Signature"] = signature
    if request.version:
        headers["If-None-Match"] = f'"{request.version}"'
    return headers


def _own_address(response: httpx2.Response) -> str:
    stream = response.extensions.get("network_stream")
    found = stream.get_extra_info("client_addr") if stream is not None else None
    return str(found[0]) if found else ""


async def _read(response: httpx2.Response, most_bytes: int) -> bytes:
    """The body as sent, bounded; a longer one is cut, and then is no JSON any more."""
    body = bytearray()
    async with aclosing(response.aiter_raw()) as pieces:
        async for piece in pieces:
            body += piece
            if len(body) > most_bytes:
                break
    return bytes(body[:most_bytes])

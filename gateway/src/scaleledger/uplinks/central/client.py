"""The HTTP side of the central uplink: one client for the process's life, and how much is asked of the centre at a time.

Theory of the batch size: it halves whenever nothing came of a delivery and doubles when one went through, so a slow line,
a slow server, and one record that the server chokes on all end in deliveries small enough to succeed or to be blamed.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2

from scaleledger import __version__
from scaleledger.domain.delivery import Batch, ItemOutcome, Outcome
from scaleledger.domain.errors import CredentialsRefused, LinkError
from scaleledger.domain.standing import Introduction, SignOfLife, Status
from scaleledger.domain.weighing import Head, Record
from scaleledger.observe.failpoints import reach
from scaleledger.uplinks.central import protocol
from scaleledger.uplinks.central.protocol import Answer, BatchNotOffered, BatchRefused, BatchTooLarge, Offer, Request

ANSWER_MAX_BYTES = 1_000_000
SILENCE_S = 5.0  # no byte for so long is a failure
WHOLE_S = 30.0  # and so is an exchange that trickles on for so long
SINGLES = 40  # records per `deliver` where the centre takes one at a time
SIDE_BY_SIDE = 4  # of those, POSTs under way at the same time
SMALLEST_CAP = 25  # a batch refused for its size lowers the limit no further than this
FAILURES_IN_A_ROW = 4  # after which the link, not the records, is to blame


def _now() -> datetime:
    return datetime.now(UTC)


def _trust(base_url: str, ca_file: Path | None) -> ssl.SSLContext | bool:
    """Always verifying. The authorities, which cost time and memory to load, are left out where no TLS is spoken."""
    if not base_url.lower().startswith("https:"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return ssl.create_default_context(cafile=ca_file) if ca_file else True


@dataclass(slots=True)
class _Streak:
    """Failures since the last success; `over` tells to stop, with `error` as the reason."""

    failures: int = 0
    error: LinkError | CredentialsRefused | None = None
    over: bool = False

    def fail(self, error: LinkError | CredentialsRefused) -> None:
        self.failures += 1
        self.error = error
        asked_to_stop = isinstance(error, CredentialsRefused) or error.retry_after_s is not None
        self.over = self.over or asked_to_stop or self.failures >= FAILURES_IN_A_ROW


class CentralUplink:
    """The way to the central server at `base_url` (http or https), as `Uplink` for records and `Centre` for the gateway.

    TLS certificates are always verified, against `ca_file` (PEM) if given. Redirects are not followed, cookies not kept,
    the environment's proxies not used. Use it as an async context, or call `close`.
    """

    def __init__(
        self,
        base_url: str,
        *,
        name: str = "central",
        ca_file: Path | None = None,
        silence_s: float = SILENCE_S,
        whole_s: float = WHOLE_S,
        now: Callable[[], datetime] = _now,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._name = name
        self._now = now
        self._whole_s = whole_s
        self._token = ""
        self._has_token, self._has_none = asyncio.Event(), asyncio.Event()
        self._has_none.set()
        self._offer = Offer()
        self._size = SINGLES
        self._quiet_until_s = 0.0
        self._client = httpx2.AsyncClient(
            base_url=base_url,
            headers={"User-Agent": f"scaleledger/{__version__}", "Accept-Encoding": "identity"},
            timeout=httpx2.Timeout(silence_s),
            verify=_trust(base_url, ca_file),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
            trust_env=False,
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connections up."""
        await self._client.aclose()

    @property
    def name(self) -> str:
        return self._name

    @property
    def ready(self) -> bool:
        return bool(self._token)

    @property
    def batch_limit(self) -> int:
        return min(self._size, self._most)

    @property
    def in_flight_limit(self) -> int:
        return 4 if self._offer.batch_path else 1

    @property
    def _most(self) -> int:
        return self._offer.max_records if self._offer.batch_path else SINGLES

    async def wait_ready(self) -> None:
        await self._has_token.wait()

    async def wait_refused(self) -> None:
        await self._has_none.wait()

    def use_token(self, token: str) -> None:
        assert token, "a token is not empty"
        self._token = token
        self._has_token.set()
        self._has_none.clear()

    def drop_token(self) -> None:
        self._token = ""
        self._has_token.clear()
        self._has_none.set()

    async def sync(self, mac_address: str) -> Status:
        answer = await self._send(protocol.ask_status(mac_address))
        status, self._offer = protocol.read_status(answer, mac_address)
        return status

    async def register(self, introduction: Introduction) -> None:
        protocol.read_registration(await self._send(protocol.ask_registration(introduction)))

    async def heartbeat(self, sign: SignOfLife) -> Head | None:
        request = protocol.say_alive(sign, self._token)
        answer = await self._send(request)
        try:
            return protocol.read_heartbeat(answer)
        except CredentialsRefused as refusal:
            raise self._refused(request, refusal) from refusal

    async def deliver(self, batch: Batch) -> list[ItemOutcome]:
        self._keep_quiet()
        known: dict[int, ItemOutcome] = {}
        reason = ""
        try:
            await self._offer_parts(batch, known)
        except (LinkError, CredentialsRefused) as error:
            self._size = max(1, min(self._size, len(batch.records)) // 2)
            if isinstance(error, LinkError) and error.retry_after_s is not None:
                self._quiet_until_s = asyncio.get_running_loop().time() + error.retry_after_s
            if not known:
                raise
            reason = str(error)
        else:
            self._size = min(max(self._size, 1) * 2, self._most)
        return [known.get(r.seq) or ItemOutcome(r.seq, Outcome.RETRY, reason) for r in batch.records]

    def _keep_quiet(self) -> None:
        """What a partly answered delivery learned of Retry-After holds for the next one."""
        left_s = self._quiet_until_s - asyncio.get_running_loop().time()
        if left_s > 0:
            raise LinkError("the centre asked to be left alone for a while", left_s)

    async def _offer_parts(self, batch: Batch, known: dict[int, ItemOutcome]) -> None:
        """Offer all of a batch, in as many parts as the centre makes necessary; outcomes go to `known`."""
        parts = deque([batch.records])
        while parts:
            part = parts.popleft()
            if not self._offer.batch_path:
                await self._post_each(part, known)
                continue
            try:
                await self._post_batch(replace(batch, records=part), known)
            except BatchNotOffered:
                self._take_singly()
                parts.appendleft(part)
            except BatchRefused as refusal:
                if isinstance(refusal, BatchTooLarge):
                    smaller = max(SMALLEST_CAP, len(part) // 2)
                    self._offer = replace(self._offer, max_records=min(self._offer.max_records, smaller))
                if len(part) == 1:
                    await self._post_each(part, known)
                    if known[part[0].seq].outcome is Outcome.ACKED:
                        self._take_singly()
                else:
                    parts.extendleft((part[len(part) // 2 :], part[: len(part) // 2]))

    def _take_singly(self) -> None:
        """The batch resource does not serve; until the centre offers it anew each record goes alone."""
        self._offer = replace(self._offer, batch_path="")

    async def _post_batch(self, batch: Batch, known: dict[int, ItemOutcome]) -> None:
        request = protocol.post_batch(batch, self._offer.batch_path, self._token)
        answer = await self._send(request)
        reach("uplink.after-answer")
        try:
            known.update((o.seq, o) for o in protocol.read_batch(answer, batch.records))
        except CredentialsRefused as refusal:
            raise self._refused(request, refusal) from refusal

    async def _post_each(self, records: Sequence[Record], known: dict[int, ItemOutcome]) -> None:
        """One POST per record, some side by side. A failing record does not stop the others; a failing link does."""
        waiting, streak = iter(records), _Streak()

        async def work() -> None:
            for record in waiting:
                try:
                    known[record.seq] = await self._post_record(record)
                except (LinkError, CredentialsRefused) as error:
                    streak.fail(error)
                else:
                    streak.failures = 0
                if streak.over:
                    return

        async with asyncio.TaskGroup() as group:
            for _ in range(min(SIDE_BY_SIDE, len(records))):
                group.create_task(work())
        if streak.error is not None and (streak.over or not any(r.seq in known for r in records)):
            raise streak.error

    async def _post_record(self, record: Record) -> ItemOutcome:
        request = protocol.post_record(record, self._token, ledger=self._offer.ledger)
        answer = await self._send(request)
        reach("uplink.after-answer")
        try:
            return protocol.read_record(answer, record)
        except CredentialsRefused as refusal:
            raise self._refused(request, refusal) from refusal

    def _refused(self, request: Request, refusal: CredentialsRefused) -> CredentialsRefused | LinkError:
        """A refusal of a token that was replaced meanwhile says nothing of the one in use."""
        if request.token and request.token != self._token and self._token:
            return LinkError("the centre refused an access token that is no longer in use")
        self.drop_token()
        return refusal

    async def _send(self, request: Request) -> Answer:
        """One exchange. Raises LinkError for all that can go wrong on the way."""
        headers = {"Content-Type": "application/json"} if request.body else {}
        if request.token:
            headers["Authorization"] = f"Bearer {request.token}"
        exchange = self._client.stream(request.method, request.path, content=request.body, headers=headers)
        where = self._client.base_url
        try:
            async with asyncio.timeout(self._whole_s), exchange as response:
                body = await _read(response)
        except (TimeoutError, httpx2.TimeoutException) as error:
            raise LinkError(f"{where} did not answer in time") from error
        except httpx2.ConnectError as error:
            raise LinkError(f"{where} cannot be reached: {error}") from error
        except httpx2.HTTPError as error:
            raise LinkError(f"{where} broke the exchange off: {error}") from error
        found = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, found, body, self._now())


async def _read(response: httpx2.Response) -> bytes:
    """The body as sent, bounded; a longer one is cut, and then is no JSON any more."""
    body = bytearray()
    async with aclosing(response.aiter_raw()) as pieces:
        async for piece in pieces:
            body += piece
            if len(body) > ANSWER_MAX_BYTES:
                break
    return bytes(body[:ANSWER_MAX_BYTES])

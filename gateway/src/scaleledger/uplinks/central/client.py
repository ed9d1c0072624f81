"""The central uplink: what is asked of the centre, by which credentials, and how much at a time.

Theory of the batch size: it halves whenever nothing came of a delivery and doubles when one went through, so a slow line,
a slow server, and one record that the server chokes on all end in deliveries small enough to succeed or to be blamed.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2

from scaleledger.domain.assignment import Assignment
from scaleledger.domain.catalogue import Catalogue
from scaleledger.domain.delivery import Batch, ItemOutcome, Outcome
from scaleledger.domain.errors import CredentialsRefused, Disbelieved, LinkError, NotOffered
from scaleledger.domain.standing import Alive, Claim, Introduction, Receipt, SignOfLife, Status
from scaleledger.domain.weighing import Record
from scaleledger.observe.failpoints import reach
from scaleledger.uplinks.carrier import Carrier, wall_clock
from scaleledger.uplinks.central import catalogue, enrolment, protocol
from scaleledger.uplinks.central.enrolment import ChallengeSpent, Offer, Sign
from scaleledger.uplinks.central.protocol import BatchNotOffered, BatchRefused, BatchTooLarge
from scaleledger.uplinks.exchange import Answer, Request

SINGLES = 40  # records per `deliver` where the centre takes one at a time
SIDE_BY_SIDE = 4  # of those, POSTs under way at the same time
SMALLEST_CAP = 25  # a batch refused for its size lowers the limit no further than this
FAILURES_IN_A_ROW = 4  # after which the link, not the records, is to blame
CHALLENGES_MAX = 2  # a challenge that was spent is asked for anew so often
STATIONS_MAX_BYTES = 4_000_000
CATALOGUE_MAX_BYTES = 64_000_000
CATALOGUE_WHOLE_S = 600.0


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

    `sign` signs as the gateway of this `mac_address`; without it no key is proved, no delivery signed, and the server must
    be one that takes plain clients. For TLS, see `carrier`; `ca_file` is a PEM file. Use it as an async context, or call
    `close`.
    """

    def __init__(
        self,
        base_url: str,
        *,
        mac_address: str = "",
        sign: Sign | None = None,
        name: str = "central",
        ca_file: Path | None = None,
        now: Callable[[], datetime] = wall_clock,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        assert mac_address or sign is None, "a signature names its gateway"
        self._name, self._mac_address, self._sign = name, mac_address, sign
        self.carrier = Carrier(base_url, ca_file=ca_file, now=now, transport=transport)
        self._token = ""
        self._refusal: CredentialsRefused | None = None
        self._receipt: Receipt | None = None
        self._has_token, self._has_none = asyncio.Event(), asyncio.Event()
        self._has_none.set()
        self._offer = Offer()
        self._size = SINGLES
        self._quiet_until_s = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connections up."""
        await self.carrier.close()

    @property
    def name(self) -> str:
        return self._name

    @property
    def ready(self) -> bool:
        return bool(self._token)

    @property
    def token(self) -> str:
        """The access token in use; empty while there is none."""
        return self._token

    @property
    def refusal(self) -> CredentialsRefused | None:
        return self._refusal

    @property
    def receipt(self) -> Receipt | None:
        return self._receipt

    @property
    def mac_address(self) -> str:
        return self._mac_address

    @property
    def base_url(self) -> str:
        """Where the centre is, as configured."""
        return self.carrier.base_url

    @property
    def tls(self) -> ssl.SSLContext | None:
        """Who vouches for the centre; None where no TLS is spoken."""
        return self.carrier.tls

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
        self._token, self._refusal = token, None
        self._has_token.set()
        self._has_none.clear()

    def drop_token(self) -> None:
        self._token = ""
        self._has_token.clear()
        self._has_none.set()

    async def sync(self, introduction: Introduction, claim: Claim | None) -> Status:
        if self._sign is None or not introduction.public_key:
            return await self._ask_plainly(introduction.mac_address)
        for _ in range(CHALLENGES_MAX):
            try:
                challenge = enrolment.read_challenge(await self._send(enrolment.ask_challenge()))
            except NotOffered:
                return await self._ask_plainly(introduction.mac_address)
            request = enrolment.ask_proved(self._with_address(introduction), challenge, self._sign, claim)
            try:
                status, self._offer = enrolment.read_proved(await self._send(request), introduction.mac_address)
            except ChallengeSpent as spent:
                refused = spent
            else:
                return status
        raise refused

    async def _ask_plainly(self, mac_address: str) -> Status:
        answer = await self._send(enrolment.ask_status(mac_address))
        status, self._offer = enrolment.read_status(answer, mac_address)
        return status

    async def register(self, introduction: Introduction) -> None:
        asked = enrolment.ask_registration(self._with_address(introduction))
        enrolment.read_registration(await self._send(asked))

    def _with_address(self, introduction: Introduction) -> Introduction:
        """One that names no address gets the one the centre was last reached from."""
        return replace(introduction, ip_address=introduction.ip_address or self.carrier.own_address)

    async def standing(self, mac_address: str) -> Status:
        """As the port says. A centre of the first description does not say whose a token is: there the MAC address is asked."""
        request = enrolment.ask_self(self._token)
        answer = await self._send(request)
        try:
            status, self._offer = enrolment.read_self(answer, mac_address)
        except CredentialsRefused as refusal:
            raise self._refused(request, refusal) from refusal
        except (NotOffered, Disbelieved):
            return await self._ask_plainly(mac_address)
        return status

    async def gateway_id(self) -> int:
        """What names this gateway on the centre's sockets. Raises NotOffered, CredentialsRefused, LinkError."""
        if not self._offer.gateway_id:
            await self.standing(self._mac_address)
        if not self._offer.gateway_id:
            raise NotOffered("the centre gives gateways no number")
        return self._offer.gateway_id

    async def heartbeat(self, sign: SignOfLife) -> Alive:
        request = protocol.say_alive(sign, self._token, reports=self._offer.reports)
        answer = await self._send(request)
        try:
            return protocol.read_heartbeat(answer)
        except CredentialsRefused as refusal:
            raise self._refused(request, refusal) from refusal

    async def fetch_stations(self, version: str) -> Assignment | None:
        request = catalogue.ask_stations(self._token, version)
        answer = await self.carrier.send(request, most_bytes=STATIONS_MAX_BYTES)
        try:
            return catalogue.read_stations(answer)
        except CredentialsRefused as refusal:
            raise self._refused(request, refusal) from refusal

    async def fetch_catalogue(self, version: str) -> Catalogue | None:
        request = catalogue.ask_catalogue(self._token, version)
        answer = await self.carrier.send(request, most_bytes=CATALOGUE_MAX_BYTES, whole_s=CATALOGUE_WHOLE_S)
        try:
            return await asyncio.to_thread(catalogue.read_catalogue, answer)
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
            taken = protocol.read_batch(answer, batch.records)
        except CredentialsRefused as refusal:
            raise self._refused(request, refusal) from refusal
        known.update((o.seq, o) for o in taken.outcomes)
        self._receipt = taken.receipt or self._receipt

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
        self._refusal = refusal
        self.drop_token()
        return refusal

    async def _send(self, request: Request) -> Answer:
        signature = ""
        if request.signed and self._sign is not None:
            signature = self._sign(protocol.body_message(self._mac_address, request.body))
        return await self.carrier.send(request, signature=signature)

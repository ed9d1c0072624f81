"""What both carriers ask of a cloud over REST, resource by resource, each with its own time and its own standing.

Theory: a cloud is a set of resources. One that is not there (404) says nothing of the others and nothing of the link; one
that asks for patience (429) is left alone, and the others go on. Only the contract's own words for an unknown edge lead to
a new registration, one at a time however many calls heard them; records are never touched by it.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import httpx2

from scaleledger import __version__
from scaleledger.domain.cloud import BatchAnswer, BatchEnds, PluList, PrinterOffer, PrintOrder, PrintOutcome
from scaleledger.domain.errors import ClaimRefused, Disbelieved, LinkError, NotOffered
from scaleledger.observe.log import get_logger
from scaleledger.uplinks.carnitrack import answers, calls
from scaleledger.uplinks.carnitrack.answers import Busy, EdgeUnknown, Registered
from scaleledger.uplinks.carnitrack.calls import Call
from scaleledger.uplinks.carnitrack.identity import EdgeName, EdgeShelf
from scaleledger.uplinks.carrier import ANSWER_MAX_BYTES, Carrier, wall_clock
from scaleledger.uplinks.exchange import Answer, is_html, object_in

NAME = "carnitrack"
WHOLE_S = 10.0  # an exchange
SIGN_S = 5.0  # a sign of life
ABSENT_S = 600.0  # until a resource that is not there is asked for again
REFUSED_S = 60.0  # until a cloud that does not know us is asked again
LISTS_MAX_BYTES = 16_000_000
ETAG_MAX = 200
NEEDED = frozenset({"register", "activate", "config", "sessions", "events"})
"""Resources without which there is no cloud: their absence is asked about again like any failure."""

log = get_logger()


@dataclass(frozen=True, slots=True)
class CloudSettings:
    """How a cloud is reached and who we say that we are. `rest_url` is the REST address; the key is left out of every text."""

    rest_url: str
    api_key: str = field(default="", repr=False)
    site_id: str = ""
    site_name: str = ""
    ca_file: Path | None = None
    version: str = __version__


class Resources:
    """The cloud's REST resources, as the part of `Cloud` that both carriers share. Call `close` at the end.

    `in_doubt` is called when an exchange failed: the link may be gone. `heard_s` is the loop's time of the last good answer.
    `retry` is called when events that waited for an earlier one may go now: whoever holds them back should offer them.
    """

    def __init__(
        self,
        settings: CloudSettings,
        shelf: EdgeShelf,
        *,
        now: Callable[[], datetime] = wall_clock,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._settings, self._now = settings, now
        self.edge = EdgeName(shelf, site_id=settings.site_id, site_name=settings.site_name, api_key=settings.api_key)
        self.carrier = Carrier(
            calls.rest_root(settings.rest_url),
            ca_file=settings.ca_file,
            silence_s=WHOLE_S,
            whole_s=WHOLE_S,
            now=now,
            transport=transport,
        )
        self.heard_s = float("-inf")
        self.in_doubt: Callable[[], None] = lambda: None
        self.retry: Callable[[], None] = lambda: None
        self._not_before: dict[str, tuple[float, str]] = {}
        self._absent: dict[str, float] = {}
        self._etags: dict[str, str] = {}
        self._jobs: tuple[PrintOrder, ...] = ()
        self._registering = asyncio.Lock()
        self._refused_until_s = float("-inf")

    @property
    def name(self) -> str:
        return NAME

    @property
    def receipt(self) -> None:
        """Always None: the contract has none."""
        return

    @property
    def tls(self) -> ssl.SSLContext | None:
        """Who vouches for the cloud; None where no TLS is spoken."""
        return self.carrier.tls

    async def close(self) -> None:
        """Give the connections up."""
        await self.carrier.close()

    def ask_again(self) -> None:
        """A new beginning: what was not there may be there now."""
        self._absent.clear()

    # registration

    async def register(self) -> Registered:
        """Be registered under the name we have, or get one. Raises EdgeUnknown, LinkError."""
        await self.edge.load()
        async with self._registering:
            return await self._register()

    async def activate(self, code: str) -> Registered:
        """Be registered with a claim code; the key that comes with it is kept. Raises ClaimRefused, LinkError."""
        await self.edge.load()
        async with self._registering:
            answer = await self._once(replace(calls.activate(code, self._settings.version), good=frozenset({200, 404})))
            if answer.status == 404 and object_in(answer) is not None:
                raise ClaimRefused("claim_wrong", answers.refusal_words(answer))
            found = answers.read_registration(answer)
            await self.edge.take(found)
            return found

    async def _register(self) -> Registered:
        if self._refused_until_s > self._time_s():
            raise LinkError("the cloud does not know this edge or its key", self._refused_until_s - self._time_s())
        try:
            try:
                return await self._register_as(self.edge.edge_id)
            except EdgeUnknown:
                if not self.edge.edge_id:
                    raise
                return await self._register_as("")
        except EdgeUnknown as unknown:
            self._refused_until_s = self._time_s() + REFUSED_S
            raise EdgeUnknown(str(unknown), REFUSED_S) from unknown

    async def _register_as(self, edge_id: str) -> Registered:
        said = calls.introduction(edge_id, self.edge.site_id, self.edge.site_name, self._settings.version)
        found = answers.read_registration(await self._once(calls.register(said), edge_id=edge_id))
        await self.edge.take(found)
        log.info("net.edge_registered", uplink=NAME, edge=found.edge_id, site=self.edge.site_id)
        return found

    async def _register_anew(self, generation: int) -> None:
        """Once for all calls that were refused under the same name."""
        async with self._registering:
            if self.edge.generation == generation:
                await self._register()

    # One call

    async def exchange(self, call: Call, *, most_bytes: int = ANSWER_MAX_BYTES, whole_s: float = 0.0) -> Answer:
        """The answer to a call, of a status that is good for it.

        Raises NotOffered (also without asking, for a while), EdgeUnknown, LinkError and its kinds.
        """
        self._heed(call)
        if not self.edge.edge_id:
            raise LinkError("the gateway is not registered at the cloud yet")
        generation = self.edge.generation
        try:
            return await self._once(call, most_bytes=most_bytes, whole_s=whole_s)
        except EdgeUnknown:
            await self._register_anew(generation)
        try:
            return await self._once(call, most_bytes=most_bytes, whole_s=whole_s)
        except EdgeUnknown:
            self._refused_until_s = self._time_s() + REFUSED_S
            raise

    def _heed(self, call: Call) -> None:
        if self._absent.get(call.resource, 0.0) > self._time_s():
            raise NotOffered(f"the cloud does not have {call.what}")
        until_s, why = self._not_before.get(call.resource, (0.0, ""))
        if until_s > self._time_s():
            raise Busy(why, until_s - self._time_s())

    async def _once(
        self, call: Call, *, edge_id: str | None = None, most_bytes: int = ANSWER_MAX_BYTES, whole_s: float = 0.0
    ) -> Answer:
        headers = dict(call.request.headers) | self.headers(self.edge.edge_id if edge_id is None else edge_id)
        request = replace(call.request, token=self.edge.api_key, headers=headers)
        try:
            answer = await self.carrier.send(request, most_bytes=most_bytes, whole_s=whole_s)
            answers.refuse(answer, call.what, good=call.good)
        except NotOffered:
            if call.resource not in NEEDED:
                self._absent[call.resource] = self._time_s() + ABSENT_S
            raise
        except EdgeUnknown:
            raise
        except LinkError as error:
            if error.retry_after_s is not None:
                self._not_before[call.resource] = (self._time_s() + error.retry_after_s, str(error))
            if not isinstance(error, Busy):
                self.in_doubt()
            raise
        if is_html(answer):
            self.in_doubt()
        else:
            self.heard_s = self._time_s()
        return answer

    def headers(self, edge_id: str) -> dict[str, str]:
        """What says who is speaking; the key goes beside them."""
        said = {"X-Client-Type": "carnitrack-edge", "X-Client-Version": self._settings.version}
        if edge_id:
            said["X-Edge-Id"] = edge_id
        if self.edge.site_id.isascii() and self.edge.site_id.isprintable() and self.edge.site_id:
            said["X-Site-Id"] = self.edge.site_id
        return said

    def keep_etag(self, what: str, answer: Answer) -> None:
        """The next question may be answered with "unchanged"."""
        etag = answer.headers.get("etag", "")
        self._etags[what] = etag if etag.isascii() and etag.isprintable() and len(etag) <= ETAG_MAX else ""

    def etag(self, what: str) -> str:
        """What to ask with; "" when there is nothing."""
        return self._etags.get(what, "")

    def _time_s(self) -> float:
        return asyncio.get_running_loop().time()

    # The calls

    async def config(self, whole_s: float = SIGN_S) -> dict[str, object]:
        """The runtime configuration; the sign of life. Raises LinkError and its kinds."""
        return answers.config_in(
            answers.believe(await self.exchange(calls.config(), whole_s=whole_s), "the configuration")
        )

    async def knows_us(self, whole_s: float) -> bool:
        """Whether the cloud knows the name we have; False where we have none, and the cloud is there. Registers nothing.

        Raises EdgeUnknown, NotOffered, LinkError.
        """
        await self.edge.load()
        try:
            answers.believe(await self._once(calls.config(), whole_s=whole_s), calls.config().what)
        except EdgeUnknown:
            if self.edge.edge_id:
                raise
            return False
        return bool(self.edge.edge_id)

    async def acknowledge_batch(self, told: BatchEnds) -> BatchAnswer:
        """Whether the cloud holds an offline batch as a whole. Raises NotOffered, LinkError."""
        call = calls.batch_ends(told)
        answer = await self.exchange(call)
        return answers.batch_answer(answers.believe(answer, call.what, good=call.good), told.batch_id)

    async def fetch_plu(self, version: str) -> PluList | None:
        etag = self.etag(f"plu {version}")
        call = calls.plu(etag)
        answer = await self.exchange(call, most_bytes=LISTS_MAX_BYTES, whole_s=6 * WHOLE_S)
        if answer.status == 304:
            return None
        found = answers.plu_in(answers.believe(answer, call.what))
        self._etags = {what: kept for what, kept in self._etags.items() if not what.startswith("plu ")}
        self.keep_etag(f"plu {found.version}", answer)
        return None if found.version == version else found

    async def fetch_print_jobs(self) -> list[PrintOrder]:
        call = calls.print_jobs(self.etag("print-jobs"))
        answer = await self.exchange(call, most_bytes=LISTS_MAX_BYTES)
        if answer.status == 304:
            return list(self._jobs)
        jobs = answers.jobs_in(answers.believe(answer, call.what))
        if jobs is None:
            raise Disbelieved(f"{call.what} were answered {answer.status}, but without a list")
        self._jobs = jobs
        self.keep_etag("print-jobs", answer)
        return list(jobs)

    async def tell_print_job(self, outcome: PrintOutcome) -> None:
        await self.exchange(calls.print_outcome(outcome))

    async def offer_printers(self, printers: Sequence[PrinterOffer]) -> Mapping[str, str]:
        call = calls.inventory(printers)
        return answers.printers_in(answers.believe(await self.exchange(call), call.what, good=call.good))

    async def heartbeat(
        self, health: str, uptime_s: float, devices: Sequence[Mapping[str, object]], printers: Sequence[PrinterOffer]
    ) -> None:
        await self.exchange(calls.heartbeat(self._settings.version, uptime_s, health, devices, printers))

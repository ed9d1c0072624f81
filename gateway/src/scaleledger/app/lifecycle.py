"""The life of a gateway at its centre: registered, approved, alive; and begun anew when the centre has forgotten it.

The machine is the table below: a pure function of where we are and what happened. The shell asks the centre, waits, and
keeps what was learned. Failures of the link are not in the table: they change nothing, and the same question is asked again
after a back-off. A refusal of the credentials clears the credentials and never a record. An answer that is not the
contract's is doubted; where the heartbeat is doubted, the centre is asked for the gateway's status as a second opinion,
so a plain server's bare 401 is told apart from a proxy's.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from scaleledger import __version__
from scaleledger.app.backoff import Backoff
from scaleledger.app.ports import Centre, Clock, Credentials, Identity, Outbox
from scaleledger.domain.errors import CentreRefusal, CredentialsRefused, Disbelieved, LinkError, StoreError
from scaleledger.domain.standing import Introduction, SignOfLife, Standing
from scaleledger.domain.weighing import Counts, Head
from scaleledger.observe.log import get_logger

log = get_logger()

HEARTBEAT_INTERVAL_S = 30.0
PENDING_INTERVAL_S = 10.0


class State(StrEnum):
    """Where a gateway stands with its centre (the product description's ClientState)."""

    INITIALIZE = "initialize"
    SYNC = "sync"
    REGISTER = "register"
    HEARTBEAT = "heartbeat"


class Event(StrEnum):
    """What can happen to a gateway at its centre."""

    TOKEN_KEPT = "token-kept"  # noqa: S105 - the name of an event
    NO_TOKEN = "no-token"  # noqa: S105 - the name of an event
    NOT_REGISTERED = "not-registered"
    PENDING = "pending"
    APPROVED = "approved"
    REGISTERED = "registered"
    DECLINED = "declined"
    ALIVE = "alive"
    REFUSED = "refused"


TABLE: dict[tuple[State, Event], State] = {
    (State.INITIALIZE, Event.TOKEN_KEPT): State.HEARTBEAT,
    (State.INITIALIZE, Event.NO_TOKEN): State.SYNC,
    (State.SYNC, Event.NOT_REGISTERED): State.REGISTER,
    (State.SYNC, Event.PENDING): State.SYNC,
    (State.SYNC, Event.APPROVED): State.HEARTBEAT,
    (State.REGISTER, Event.REGISTERED): State.SYNC,
    (State.REGISTER, Event.DECLINED): State.SYNC,
    (State.HEARTBEAT, Event.ALIVE): State.HEARTBEAT,
    (State.HEARTBEAT, Event.REFUSED): State.SYNC,
}


@dataclass(frozen=True, slots=True)
class Pace:
    """How long the settled states rest, in seconds."""

    heartbeat_interval_s: float = HEARTBEAT_INTERVAL_S
    pending_interval_s: float = PENDING_INTERVAL_S


def rest_s(event: Event, pace: Pace, backoff: Backoff) -> float:
    """How long to wait after an event; what could go round in circles waits longer each time until life is settled."""
    if event is Event.ALIVE:
        return pace.heartbeat_interval_s
    if event in {Event.PENDING, Event.DECLINED}:
        return pace.pending_interval_s
    if event in {Event.REGISTERED, Event.REFUSED}:
        return backoff.next_s()
    return 0.0


async def _no_head() -> Head | None:
    return None


async def _no_matter(_: Head) -> None:
    pass


def _nothing() -> None:
    pass


class Lifecycle:
    """Keeps the gateway known to its centre; `run` it as one task. The callbacks are called from that task.

    `on_approved` follows each new token, `on_cleared` each loss of credentials, `on_link_back` the first answer after the
    link had failed, `on_anchor` each head that the centre says it has seen. `read_head` gives the ledger's head for the heartbeat. Set them before `run`. `name` is what people at
    the centre read; the host's name stands in for it.
    """

    def __init__(
        self,
        centre: Centre,
        identity: Identity,
        outbox: Outbox,
        *,
        clock: Clock,
        rng: random.Random,
        name: str = "",
        heartbeat_interval_s: float = HEARTBEAT_INTERVAL_S,
        pending_interval_s: float = PENDING_INTERVAL_S,
    ) -> None:
        self._centre, self._identity, self._outbox, self._clock = centre, identity, outbox, clock
        self._name, self._uplink = name, centre.name
        self._pace = Pace(heartbeat_interval_s, pending_interval_s)
        self._state = State.INITIALIZE
        self._backoff, self._link_backoff = Backoff(rng), Backoff(rng)
        self._token = ""
        self._offers_known = False
        self._told = self._disk_told = ""
        self.read_head: Callable[[], Awaitable[Head | None]] = _no_head
        self.on_anchor: Callable[[Head], Awaitable[None]] = _no_matter
        self.on_approved: Callable[[], None] = _nothing
        self.on_cleared: Callable[[], None] = _nothing
        self.on_link_back: Callable[[], None] = _nothing

    @property
    def state(self) -> State:
        return self._state

    @property
    def link_up(self) -> bool:
        """Whether the last question to the centre was answered."""
        return not self._told

    async def run(self) -> None:
        """Live until cancelled."""
        self._state = State.INITIALIZE
        while True:
            try:
                event = await self._step()
            except LinkError as error:
                self._link_failed(error, "net.disbelieved" if isinstance(error, Disbelieved) else "net.link_error")
                await self._rest(max(self._link_backoff.next_s(), error.retry_after_s or 0.0))
            except StoreError as error:
                self._link_failed(error, "sys.store_failed")
                await self._rest(self._link_backoff.next_s())
            else:
                self._enter(TABLE[self._state, event])
                await self._rest(rest_s(event, self._pace, self._backoff))

    async def _step(self) -> Event:
        """Do what the state asks for. Raises LinkError or StoreError when nothing came of it."""
        credentials = await self._identity.load()
        if self._state is State.INITIALIZE:
            return self._begin(credentials)
        if self._state is State.SYNC:
            return await self._sync(credentials)
        if self._state is State.REGISTER:
            return await self._register(credentials)
        return await self._live(credentials)

    def _begin(self, credentials: Credentials) -> Event:
        if not credentials.token:
            return Event.NO_TOKEN
        self._use(credentials.token)
        return Event.TOKEN_KEPT

    async def _sync(self, credentials: Credentials) -> Event:
        status = await self._centre.sync(credentials.mac_address)
        self._answered()
        self._offers_known = True
        if status.standing is Standing.NOT_REGISTERED:
            return Event.NOT_REGISTERED
        if status.standing is Standing.PENDING or not status.token:
            self._backoff.reset()
            return Event.PENDING
        await self._note(self._identity.keep_token(status.token, str(status.standing)))
        self._use(status.token)
        log.info("net.approved", uplink=self._uplink)
        self.on_approved()
        return Event.APPROVED

    async def _register(self, credentials: Credentials) -> Event:
        introduction = Introduction(
            credentials.mac_address,
            credentials.hostname,
            credentials.ip_address,
            self._name or credentials.hostname,
            credentials.public_key,
        )
        try:
            await self._centre.register(introduction)
        except CentreRefusal as refusal:
            self._answered()
            log.warning("net.declined", uplink=self._uplink, reason=str(refusal))
            return Event.DECLINED
        self._answered()
        log.info("net.registered", uplink=self._uplink, mac_address=credentials.mac_address)
        return Event.REGISTERED

    async def _live(self, credentials: Credentials) -> Event:
        """One heartbeat. A delivery may have met the refusal first: then there is no token to live with any more."""
        if not self._centre.ready:
            return await self._clear("the centre refused a delivery's token")
        try:
            anchor = await self._centre.heartbeat(await self._sign())
        except CredentialsRefused as refusal:
            return await self._clear(str(refusal))
        except Disbelieved as doubt:
            if await self._is_disowned(credentials):
                return await self._clear(f"{doubt}; the centre's status of this gateway agrees")
            raise
        self._answered()
        self._backoff.reset()
        await self._note(self._identity.note_heartbeat(self._clock.now()))
        if anchor is not None:
            await self._note(self.on_anchor(anchor))
        log.debug("net.heartbeat", uplink=self._uplink)
        if not self._offers_known:
            with suppress(LinkError):
                await self._centre.sync(credentials.mac_address)
                self._offers_known = True
        return Event.ALIVE

    async def _note(self, noting: Awaitable[None]) -> None:
        """Keep what can be asked for again; a disk that refuses it says nothing of the link."""
        try:
            await noting
        except StoreError as error:
            if str(error) != self._disk_told:
                self._disk_told = str(error)
                log.warning("sys.store_failed", reason=str(error))
        else:
            self._disk_told = ""

    async def _sign(self) -> SignOfLife:
        """The books; a disk that cannot be read does not make the gateway look dead."""
        counts, head = Counts(), None
        try:
            counts, head = await self._outbox.counts(self._uplink), await self.read_head()
        except StoreError as error:
            log.warning("sys.store_failed", reason=str(error))
        return SignOfLife(
            version=__version__,
            sent_at=self._clock.now(),
            queued=counts.queued,
            quarantined=counts.quarantined,
            oldest_queued_at=counts.oldest_queued_at,
            head=head,
        )

    async def _is_disowned(self, credentials: Credentials) -> bool:
        """Whether the centre's own status says that our token is not its token for this gateway."""
        status = await self._centre.sync(credentials.mac_address)
        if status.standing is Standing.ACTIVE:
            return bool(status.token) and status.token != self._token
        return True

    async def _clear(self, reason: str) -> Event:
        self._centre.drop_token()
        self._token = ""
        await self._identity.clear_token("refused")
        log.warning("net.credentials_cleared", uplink=self._uplink, reason=reason)
        self._answered()
        self.on_cleared()
        return Event.REFUSED

    def _use(self, token: str) -> None:
        self._token = token
        self._centre.use_token(token)

    def _enter(self, state: State) -> None:
        if state is not self._state:
            log.info("net.state", uplink=self._uplink, state=str(state), before=str(self._state))
        self._state = state

    def _link_failed(self, error: Exception, event: str) -> None:
        """Tell the log of the first failure and of each other one, not of each try."""
        self._offers_known = False
        if str(error) != self._told:
            self._told = str(error)
            log.warning(event, uplink=self._uplink, reason=str(error), state=str(self._state))

    def _answered(self) -> None:
        if self._told:
            self._told = ""
            self._link_backoff.reset()
            self.on_link_back()

    async def _rest(self, seconds: float) -> None:
        """Rest, unless the centre refuses the token meanwhile: that is to be settled at once."""
        if not self._centre.ready:
            await asyncio.sleep(seconds)
            return
        refused = asyncio.create_task(self._centre.wait_refused())
        try:
            await asyncio.wait({refused}, timeout=seconds)
        finally:
            refused.cancel()
            await asyncio.gather(refused, return_exceptions=True)

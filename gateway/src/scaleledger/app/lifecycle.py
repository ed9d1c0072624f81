"""The life of a gateway at its centre: registered, approved, alive; and begun anew when the centre has forgotten it.

The machine is a table (`life_table`): a pure function of where we are and what happened. The shell asks the centre, waits,
and keeps what was learned. Failures of the link are not in the table: they change nothing, and the same question is asked again
after a back-off. A refusal of the credentials clears the credentials and never a record. An answer that is not the
contract's is doubted; where the heartbeat is doubted, the centre is asked for the gateway's status as a second opinion,
so a plain server's bare 401 is told apart from a proxy's.

A token that has an end is renewed before it, beside the deliveries; one that ended all the same costs a SYNC and is told
to nobody.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import TypeVar

from scaleledger import __version__
from scaleledger.app.backoff import Backoff
from scaleledger.app.life_table import (
    HEARTBEAT_INTERVAL_S,
    PENDING_INTERVAL_S,
    TABLE,
    Event,
    Pace,
    State,
    rest_s,
)
from scaleledger.app.ports import Centre, Clock, Credentials, Identity, Outbox
from scaleledger.domain.errors import (
    ClaimRefused,
    CredentialsRefused,
    Disbelieved,
    LinkError,
    RegistrationRefused,
    StoreError,
)
from scaleledger.domain.standing import (
    Alive,
    HostReport,
    Introduction,
    SignOfLife,
    Standing,
    StationRefused,
    StationReport,
    Status,
    TokenLife,
    clock_offset_ms,
    fingerprint,
)
from scaleledger.domain.weighing import Counts, Head
from scaleledger.observe.log import get_logger

log = get_logger()

RENEWAL_PAUSE_S = 60.0  # no clock, however wrong, makes us ask for tokens more often

Kept = TypeVar("Kept")
Stations = tuple[tuple[StationReport, ...], tuple[StationRefused, ...]]


async def _no_head() -> Head | None:
    return None


async def _no_matter(_: Head) -> None:
    pass


class Lifecycle:
    """Keeps the gateway known to its centre; `run` it as one task. The callbacks are called from that task.

    `on_approved` follows each approval, `on_cleared` each loss of credentials, `on_link_back` the first answer after the
    link had failed, `on_anchor` each head that the centre says it has seen, `on_alive` each answer to a heartbeat.
    `read_head`, `read_host` and `read_stations` give what the heartbeat tells. Set them before `run`. `name` is what people
    at the centre read; the host's name stands in for it.
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
        self._token, self._token_life = "", TokenLife()
        self._renew_after_s = 0.0
        self._expired = False
        self._offers_known = False
        self._clock_offset_ms: int | None = None
        self._told = self._disk_told = self._standing_told = self._key_told = ""
        self.read_head: Callable[[], Awaitable[Head | None]] = _no_head
        self.on_anchor: Callable[[Head], Awaitable[None]] = _no_matter
        self.on_approved: Callable[[], None] = lambda: None
        self.on_cleared: Callable[[], None] = lambda: None
        self.on_link_back: Callable[[], None] = lambda: None
        self.on_alive: Callable[[Alive], None] = lambda _: None
        self.read_host: Callable[[], HostReport | None] = lambda: None
        self.read_stations: Callable[[], Stations] = lambda: ((), ())

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
        self._use(credentials.token, TokenLife(credentials.token_expires_at, self._clock.monotonic()))
        return Event.TOKEN_KEPT

    async def _sync(self, credentials: Credentials) -> Event:
        try:
            status = await self._ask(credentials)
        except RegistrationRefused as refusal:
            return self._declined(refusal)
        await self._learn(status)
        if status.standing is Standing.NOT_REGISTERED:
            return Event.NOT_REGISTERED
        if status.standing is Standing.PENDING or not status.token:
            self._backoff.reset()
            self._tell_pending(credentials)
            return Event.PENDING
        self._standing_told = ""
        await self._take(status)
        if self._expired:
            self._expired = False
            return Event.APPROVED
        log.info("net.approved", uplink=self._uplink)
        self.on_approved()
        return Event.APPROVED

    async def _ask(self, credentials: Credentials) -> Status:
        """Ask with the claim that lies ready, if one does; one that is no good is told, dropped, and done without."""
        introduction = self._introduce(credentials)
        claim = await self._identity.take_claim()
        try:
            status = await self._centre.sync(introduction, claim)
        except ClaimRefused as refusal:
            assert claim is not None, "none was shown"
            log.warning("net.claim_refused", uplink=self._uplink, reason=str(refusal))
            await self._note(self._identity.drop_claim(claim))
            return await self._centre.sync(introduction, None)
        if claim is not None and status.standing is Standing.ACTIVE:
            await self._note(self._identity.drop_claim(claim))
        return status

    def _introduce(self, credentials: Credentials) -> Introduction:
        return Introduction(
            credentials.mac_address,
            credentials.hostname,
            credentials.ip_address,
            self._name or credentials.hostname,
            credentials.public_key,
        )

    async def _learn(self, status: Status) -> None:
        """What an answer about our standing says besides: that there is a link, what is offered, who signs receipts."""
        self._answered()
        self._offers_known = True
        if not status.server_key:
            return
        believed = await self._note(self._identity.pin_server_key(status.server_key))
        if believed is False and status.server_key != self._key_told:
            self._key_told = status.server_key
            log.warning("net.server_key_changed", uplink=self._uplink, key=status.server_key)

    async def _take(self, status: Status) -> None:
        await self._note(self._identity.keep_token(status.token, str(status.standing), status.token_expires_at))
        self._use(status.token, TokenLife(status.token_expires_at, self._clock.monotonic()))

    def _tell_pending(self, credentials: Credentials) -> None:
        """Tell once what to compare at the centre: not at every question."""
        if self._standing_told != "pending":
            self._standing_told = "pending"
            log.info(
                "net.pending",
                uplink=self._uplink,
                mac_address=credentials.mac_address,
                fingerprint=fingerprint(credentials.public_key),
            )

    def _declined(self, refusal: RegistrationRefused) -> Event:
        self._answered()
        if str(refusal) != self._standing_told:
            self._standing_told = str(refusal)
            log.warning("net.declined", uplink=self._uplink, reason=str(refusal))
        return Event.DECLINED

    async def _register(self, credentials: Credentials) -> Event:
        try:
            await self._centre.register(self._introduce(credentials))
        except RegistrationRefused as refusal:
            return self._declined(refusal)
        self._answered()
        log.info("net.registered", uplink=self._uplink, mac_address=credentials.mac_address)
        return Event.REGISTERED

    async def _live(self, credentials: Credentials) -> Event:
        """One heartbeat. A delivery may have met the refusal first: then there is no token to live with any more."""
        if not self._centre.ready:
            return await self._lose(self._centre.refusal)
        try:
            alive = await self._beat()
            self._answered()
            self._backoff.reset()
            await self._heed(alive)
            await self._freshen(credentials)
        except CredentialsRefused as refusal:
            return await self._lose(refusal)
        except Disbelieved as doubt:
            if await self._is_disowned(credentials):
                return await self._clear(f"{doubt}; the centre's status of this gateway agrees")
            raise
        return Event.ALIVE

    async def _beat(self) -> Alive:
        """One exchange, by which the clocks are compared too."""
        sign = await self._sign()
        began_s = self._clock.monotonic()
        alive = await self._centre.heartbeat(sign)
        took_s = self._clock.monotonic() - began_s
        if alive.server_time is not None:
            offset_ms = clock_offset_ms(alive.server_time, sign.sent_at, took_s)
            self._clock_offset_ms = self._clock_offset_ms if offset_ms is None else offset_ms
        log.debug("net.heartbeat", uplink=self._uplink)
        return alive

    async def _heed(self, alive: Alive) -> None:
        await self._note(self._identity.note_heartbeat(self._clock.now()))
        if alive.anchor is not None:
            await self._note(self.on_anchor(alive.anchor))
        if alive.receipt is not None:
            await self._note(self._outbox.keep_receipt(self._uplink, alive.receipt))
        self.on_alive(alive)

    async def _freshen(self, credentials: Credentials) -> None:
        """Learn what the centre offers, and renew a token in time. What fails here is tried after the next heartbeat."""
        now_s = self._clock.monotonic()
        centre_now = self._clock.now() + timedelta(milliseconds=self._clock_offset_ms or 0)
        with suppress(LinkError):
            if not self._offers_known:
                await self._learn(await self._centre.standing(credentials.mac_address))
            if now_s < self._renew_after_s or not self._token_life.is_ending(centre_now, now_s):
                return
            self._renew_after_s = now_s + RENEWAL_PAUSE_S
            try:
                status = await self._centre.sync(self._introduce(credentials), None)
            except RegistrationRefused as refusal:
                self._declined(refusal)
                return
            await self._learn(status)
            if status.standing is Standing.ACTIVE and status.token:
                await self._take(status)
                log.debug("net.token_renewed", uplink=self._uplink)

    async def _note(self, noting: Awaitable[Kept]) -> Kept | None:
        """Keep what can be asked for again; a disk that refuses it says nothing of the link."""
        try:
            kept = await noting
        except StoreError as error:
            if str(error) != self._disk_told:
                self._disk_told = str(error)
                log.warning("sys.store_failed", reason=str(error))
            return None
        self._disk_told = ""
        return kept

    async def _sign(self) -> SignOfLife:
        """The books; a disk that cannot be read does not make the gateway look dead."""
        counts, head = Counts(), None
        try:
            counts, head = await self._outbox.counts(self._uplink), await self.read_head()
        except StoreError as error:
            log.warning("sys.store_failed", reason=str(error))
        receipt = self._outbox.receipt(self._uplink)
        stations, refused = self.read_stations()
        return SignOfLife(
            version=__version__,
            sent_at=self._clock.now(),
            queued=counts.queued,
            quarantined=counts.quarantined,
            oldest_queued_at=counts.oldest_queued_at,
            head=head,
            host=self.read_host(),
            clock_offset_ms=self._clock_offset_ms,
            receipt_seq=receipt.upto_seq if receipt is not None else 0,
            stations=stations,
            stations_refused=refused,
        )

    async def _is_disowned(self, credentials: Credentials) -> bool:
        """Whether the centre's own status says that our token is not its token for this gateway."""
        try:
            status = await self._centre.standing(credentials.mac_address)
        except CredentialsRefused:
            return True
        if status.standing is Standing.ACTIVE:
            return bool(status.token) and status.token != self._token
        return True

    async def _lose(self, refusal: CredentialsRefused | None) -> Event:
        """The centre takes our token no more. That its time was over is no news to anyone, and no credential is lost."""
        if refusal is not None and refusal.code == "token_expired":
            self._centre.drop_token()
            self._token, self._expired = "", True
            self._answered()
            return Event.EXPIRED
        return await self._clear(str(refusal) if refusal is not None else "the centre refused a delivery's token")

    async def _clear(self, reason: str) -> Event:
        self._centre.drop_token()
        self._token, self._expired = "", False
        await self._identity.clear_token("refused")
        log.warning("net.credentials_cleared", uplink=self._uplink, reason=reason)
        self._answered()
        self.on_cleared()
        return Event.REFUSED

    def _use(self, token: str, life: TokenLife) -> None:
        self._token, self._token_life = token, life
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

"""The cloud at work: its link kept open, what it says handed to those who mind, and events held back until it may have them.

Nothing here is in the way of a weighing. A link that ends is opened again, ever more slowly; what was told into it is told
anew in the form that it then has: the devices that are connected, the batches that are not confirmed.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from scaleledger.app.backoff import Backoff
from scaleledger.app.plant_ports import Cloud
from scaleledger.app.ports import Clock, Uplink
from scaleledger.domain.cloud import CloudSaid, CloudTold, DeviceConnected, PrinterOffer
from scaleledger.domain.delivery import Batch, ItemOutcome
from scaleledger.domain.device import DeviceCard, DeviceStatus
from scaleledger.domain.errors import CentreRefusal, LinkError, NotOffered
from scaleledger.domain.standing import Receipt
from scaleledger.observe.log import get_logger

log = get_logger()

RETRY_CAP_S = 15.0
LASTED_S = 30.0  # a link that held so long is opened again without delay


class DeviceState(Protocol):
    """One device as the cloud is told of it."""

    @property
    def card(self) -> DeviceCard: ...

    @property
    def status(self) -> DeviceStatus: ...


@dataclass(frozen=True, slots=True)
class Floor:
    """What the cloud is told of the plant: `connected` devices, each with whether it has a session; all devices; printers."""

    connected: Callable[[], Mapping[str, bool]]
    devices: Callable[[], Sequence[DeviceState]]
    printers: Callable[[], Sequence[PrinterOffer]] = tuple


class CloudLine:
    """Keeps the cloud's link; `run` and `beat` are a task each. Add to `hears` and `links` before.

    `hears` is called with all that the cloud says, `links` with whether it is there, whenever that changes.
    """

    def __init__(
        self, cloud: Cloud, floor: Floor, clock: Clock, rng: random.Random, *, heartbeat_interval_s: float = 30.0
    ) -> None:
        self._cloud, self._floor, self._clock = cloud, floor, clock
        self._backoff = Backoff(rng, cap_s=RETRY_CAP_S)
        self._heartbeat_interval_s = heartbeat_interval_s
        self._began_s = clock.monotonic()
        self._there = asyncio.Event()
        self._told = ""
        self.hears: list[Callable[[CloudSaid], None]] = []
        self.links: list[Callable[[bool], None]] = []

    @property
    def up(self) -> bool:
        """Whether the cloud is there."""
        return self._there.is_set()

    @property
    def words(self) -> str:
        """Why it is not there; "" while it is."""
        return "" if self.up else self._told or "not reached yet"

    def tell(self, told: CloudTold) -> None:
        """Something happened to a device: tell it, and look after what it needs."""
        if self.up:
            self._cloud.tell(told)
        self.look()

    def look(self) -> None:
        """Devices or their sessions changed: the cloud is asked for what they need."""
        self._cloud.watch(self._floor.connected())

    async def run(self) -> None:
        """Open the link, and again after a loss, until cancelled."""
        try:
            while True:
                began_s, wished_s = self._clock.monotonic(), 0.0
                self.look()
                try:
                    await self._cloud.run(self._hear, self._changed)
                except (LinkError, CentreRefusal) as error:
                    wished_s = (error.retry_after_s or 0.0) if isinstance(error, LinkError) else 0.0
                    self._tell_loss(str(error))
                self._changed(up=False)
                if self._clock.monotonic() - began_s >= LASTED_S:
                    self._backoff.reset()
                await asyncio.sleep(max(self._backoff.next_s(), wished_s))
        finally:
            self._changed(up=False)

    async def beat(self) -> None:
        """Tell that the gateway lives, when the cloud is back and from time to time while it is there, until cancelled."""
        while True:
            await self._there.wait()
            await self._beat()
            await asyncio.sleep(self._heartbeat_interval_s)

    async def _beat(self) -> None:
        devices = self._floor.devices()
        uptime_s = self._clock.monotonic() - self._began_s
        try:
            await self._cloud.heartbeat(
                health_of([device.status for device in devices]),
                uptime_s,
                [_described(device) for device in devices],
                self._floor.printers(),
            )
        except NotOffered:
            return  # it says nothing of the link
        except (LinkError, CentreRefusal) as error:
            log.debug("net.link_error", uplink="carnitrack", reason=str(error))

    def _hear(self, said: CloudSaid) -> None:
        for hear in self.hears:
            hear(said)

    def _changed(self, up: bool) -> None:  # noqa: FBT001 - a link is up or not
        if up is self.up:
            return
        if not up:
            self._there.clear()
        else:
            self._there.set()
            self._told = ""
            log.info("net.cloud_up")
            for device in self._floor.devices():
                if device.status is not DeviceStatus.DISCONNECTED:
                    card = device.card
                    self._cloud.tell(DeviceConnected(card.device_id, card.source_ip, card.type))
        for change in self.links:
            change(up)

    def _tell_loss(self, reason: str) -> None:
        if reason != self._told or self.up:
            self._told = reason
            log.warning("net.cloud_down", reason=reason)


class Gated:
    """An uplink whose deliveries wait for `prepared`: what belongs before events goes before them.

    One batch is under way at a time, so the events of a device go out in the order in which they were made.
    """

    def __init__(self, uplink: Uplink, prepared: asyncio.Event) -> None:
        self._uplink, self._prepared = uplink, prepared
        self.in_flight_limit = 1

    @property
    def name(self) -> str:
        """The uplink's own."""
        return self._uplink.name

    @property
    def ready(self) -> bool:
        """Whether it may deliver now."""
        return self._uplink.ready and self._prepared.is_set()

    @property
    def batch_limit(self) -> int:
        """The uplink's own."""
        return self._uplink.batch_limit

    @property
    def receipt(self) -> Receipt | None:
        """The uplink's own."""
        return self._uplink.receipt

    async def wait_ready(self) -> None:
        """Return when `ready` is true."""
        while not self.ready:
            await self._prepared.wait()
            await self._uplink.wait_ready()

    async def deliver(self, batch: Batch) -> list[ItemOutcome]:
        """As the uplink's own. Raises LinkError also when the cloud was lost since it was ready."""
        if not self._prepared.is_set():
            raise LinkError("the cloud was lost before the events were sent")
        return await self._uplink.deliver(batch)


def health_of(statuses: Sequence[DeviceStatus]) -> str:
    """The gateway's health in the contract's words: "error" when no device is there, "degraded" when one is not, else "ok"."""
    if statuses and all(status is DeviceStatus.DISCONNECTED for status in statuses):
        return "error"
    doubtful = {DeviceStatus.DISCONNECTED, DeviceStatus.STALE}
    return "degraded" if any(status in doubtful for status in statuses) else "ok"


def _described(device: DeviceState) -> dict[str, object]:
    card = device.card
    return {
        "deviceId": card.device_id,
        "deviceType": card.type,
        "status": device.status.value,
        "lastHeartbeatAt": card.last_heartbeat_at.isoformat() if card.last_heartbeat_at else None,
        "lastEventAt": card.last_event_at.isoformat() if card.last_event_at else None,
    }

"""Shows the registry of scales and the spool to the pages, in the pages' terms."""

from collections.abc import Awaitable, Callable, Sequence

from scaleledger.app.overview import ActionRefused, DeviceView, FoundPrinter
from scaleledger.app.printers import Printers, PrinterView
from scaleledger.app.registry import DeviceSnapshot, Registry
from scaleledger.app.spool import JobView, Spool
from scaleledger.domain.channel import LiveWeight
from scaleledger.domain.device import DeviceStatus
from scaleledger.domain.printing import JobStatus, PrinterCard, PrintRequest

_LOOKED_THROUGH = 2_000


class DeviceDesk:
    """The scales that dial in."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def views(self) -> list[DeviceView]:
        """All devices, by id."""
        return [_view(found) for found in self._registry.snapshots()]

    async def describe(self, device_id: str, *, name: str, location: str, kind: str) -> None:
        """Give a device a person's words. Raises ActionRefused, StoreError."""
        try:
            await self._registry.describe(device_id, name=name, location=location, kind=kind)
        except KeyError:
            raise ActionRefused(f"There is no device {device_id!r} on this gateway.") from None

    def shown(self) -> list["ShownDevice"]:
        """The devices as the live page shows them: with the weight of the last event."""
        return [ShownDevice(found) for found in self._registry.snapshots()]

    def problems(self) -> list[str]:
        """What somebody should look at."""
        found = []
        for device in self._registry.snapshots():
            if device.conflict:
                found.append(f"{device.card.device_id}: {_CONFLICT}")
            elif device.status is DeviceStatus.STALE:
                found.append(f"{device.card.device_id} is silent. Look whether it is on, and reaches the network.")
        if nameless := self._registry.nameless():
            peers = ", ".join(link.peer for link in nameless[:5])
            found.append(f"{len(nameless)} scales have not named themselves ({peers}). Set their register package.")
        return found


class ShownDevice:
    """A scale that dials in, on the live page."""

    def __init__(self, found: DeviceSnapshot) -> None:
        self.name = found.card.device_id
        gone = found.status in {DeviceStatus.DISCONNECTED, DeviceStatus.STALE}
        state = " ".join(filter(None, ("last event", found.product)))
        self.live = LiveWeight(
            self.name,
            found.weight,
            found.unit if found.weight is not None else "",
            None,
            state if found.weight is not None else found.status.value,
            "down" if gone else "up",
        )


class SpoolDesk:
    """Printers and print jobs. `look` searches a network for printers."""

    def __init__(
        self, printers: Printers, spool: Spool, look: Callable[[str], Awaitable[Sequence[FoundPrinter]]]
    ) -> None:
        self._printers, self._spool, self._look = printers, spool, look

    def printers(self) -> list[PrinterView]:
        """All printers, by id."""
        return self._printers.views()

    def problems(self) -> list[str]:
        """What somebody should look at."""
        found = [f"Printer {one.card.printer_id}: {one.words}." for one in self.printers() if one.status == "error"]
        doubtful = sum(view.job.status is JobStatus.DOUBTFUL for view in self._spool.open_jobs())
        if doubtful:
            found.append(
                f"Of {doubtful} print jobs nobody knows whether they came out. Look, and say so under Printers."
            )
        return found

    async def jobs(self, limit: int) -> list[JobView]:
        """Newest first."""
        return await self._spool.jobs(limit)

    async def job(self, job_id: str) -> JobView | None:
        """One job, if it is among those that are kept."""
        return next((view for view in await self._spool.jobs(_LOOKED_THROUGH) if view.job.job_id == job_id), None)

    async def submit(self, request: PrintRequest) -> str:
        """Take a job; its id. Raises PrintRefused, StoreError."""
        return await self._spool.accept(request)

    async def test(self, printer_id: str) -> str:
        """Print a test label; the job's id. Raises PrintRefused, StoreError."""
        return await self._spool.print_trial(printer_id)

    async def settle(self, job_id: str, action: str) -> None:
        """A person decides about a job. Raises PrintRefused, StoreError."""
        if action == "printed":
            await self._spool.came_out(job_id)
        elif action == "copy":
            await self._spool.again(job_id)
        else:
            await self._spool.cancel(job_id)

    async def add(self, card: PrinterCard) -> None:
        """Insert or replace a printer that a person added. Raises PrintRefused, StoreError."""
        await self._printers.add(card)

    async def remove(self, printer_id: str) -> None:
        """Forget it. Raises PrintRefused, StoreError."""
        await self._printers.remove(printer_id)

    async def discover(self, network: str) -> Sequence[FoundPrinter]:
        """What answers on the printers' port in a network."""
        return await self._look(network)


_CONFLICT = "two scales have this number. Give one of them another; the events of both are kept under this one."


def _view(found: DeviceSnapshot) -> DeviceView:
    return DeviceView(
        card=found.card,
        status=found.status,
        peer=", ".join(found.peers),
        clock_offset_s=found.clock_offset_s,
        note=_CONFLICT if found.conflict else "",
        counters={"repeats": found.repeats, "possible copies": found.copies} | dict(found.problems),
    )

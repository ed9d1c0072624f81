"""A print room: the real spool over a real store, and simulated printers on real TCP ports, at the pace of a test."""

import asyncio
import random
from contextlib import AsyncExitStack
from functools import partial
from zoneinfo import ZoneInfo

from fakes.virtual_clock import LoopClock
from fakes.weighings import open_store
from fakes.wires import eventually
from scaleledger.app.print_cloud import CloudPrinting
from scaleledger.app.print_ports import Pace
from scaleledger.app.printers import Printers
from scaleledger.app.spool import Spool
from scaleledger.domain.errors import LinkError
from scaleledger.domain.printing import JobStatus, PrinterCard, PrintRequest
from scaleledger.simulators.printer import PrinterFaults, PrinterSimulator
from scaleledger.transports.printer_tcp import connected

FAST = Pace(health_s=0.05, retry_s=0.02, poll_s=0.005, busy_polls=10)
ANSWER_S = 0.15
LABEL = b'SIZE 58 mm,40 mm\r\nCLS\r\nTEXT 10,10,"2",0,1,1,"%s"\r\nPRINT 1,1\r\n'


def label(name):
    """A label of somebody else's, with `name` on it."""
    return LABEL % name.encode()


class PrintRoom:
    """Use as `async with`. `spool` and `printers` are the product's; `restart` is a crash and a new start."""

    def __init__(self, folder):
        self.folder = folder
        self.machines = {}
        self.cards = []
        self._stack = AsyncExitStack()
        self._numbers = 0
        self._running = None

    async def __aenter__(self):
        await self.start()
        return self

    async def __aexit__(self, *_):
        await self.crash()
        await self._stack.aclose()

    async def start(self):
        self.store = await open_store(self.folder, clock=LoopClock())
        connect = partial(connected, answer_s=ANSWER_S, connect_s=1.0)
        self.printers = Printers(self.store.printing, LoopClock(), connect)
        self.spool = Spool(
            self.store.printing,
            self.printers,
            connect,
            clock=LoopClock(),
            new_uuid=self._new_uuid,
            zone=ZoneInfo("Asia/Seoul"),
            gateway="Hall 1",
            pace=FAST,
        )
        await self.printers.load(self.cards)
        await self.spool.load()
        self._running = asyncio.create_task(self.spool.run())

    async def crash(self):
        """End without a word, as a killed process."""
        if self._running is None:
            return
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        if not self._running.cancelled():
            self._running.result()
        self._running = None
        await self.store.close()

    def _new_uuid(self):
        self._numbers += 1
        return f"0192f0c1-7a00-7000-8000-{self._numbers:012d}"

    async def printer(self, printer_id, /, *, language="tspl", faults=None, **card):
        """A simulated printer, switched on and known to the registry."""
        machine = PrinterSimulator(language, faults or PrinterFaults())
        await self._stack.enter_async_context(machine)
        self.machines[printer_id] = machine
        await self.printers.add(PrinterCard(printer_id, "127.0.0.1", machine.port, language=language, **card))
        return machine

    async def print(self, name, text="label", **request):
        return await self.spool.accept(PrintRequest(label(text), target_printer=name, **request))

    async def status(self, job_id):
        return (await self.store.printing.job(job_id)).status

    async def becomes(self, job_id, status):
        deadline = asyncio.get_running_loop().time() + 20
        while await self.status(job_id) is not status:
            assert asyncio.get_running_loop().time() < deadline, f"{job_id} is {await self.status(job_id)}"
            await asyncio.sleep(0.005)

    async def comes_out(self, job_id):
        await self.becomes(job_id, JobStatus.PRINTED)

    async def says(self, job_id, words):
        """Wait until people are told of the job with these words."""
        await eventually(
            lambda: any(v.job.job_id == job_id and words in v.words for v in self.spool.open_jobs()), words
        )


class PrintCloud:
    """The cloud's side of printing, as the gateway's parts see it. `refusals` asks fail with a LinkError first."""

    def __init__(self):
        self.up = True
        self.orders = []
        self.told = []
        self.offers = []
        self.refusals = 0

    def _answer(self):
        if self.refusals > 0:
            self.refusals -= 1
            raise LinkError("the cloud does not answer")

    async def fetch_print_jobs(self):
        self._answer()
        return list(self.orders)

    async def tell_print_job(self, outcome):
        self._answer()
        self.told.append(outcome)

    async def offer_printers(self, printers):
        self._answer()
        self.offers.append(list(printers))
        return {offer.printer_id: f"global-{offer.printer_id}" for offer in printers}

    def words(self, global_job_id):
        return [told.status for told in self.told if told.global_job_id == global_job_id]


class Glue:
    """The product's glue between a room and a cloud, running. Use as `async with`."""

    def __init__(self, room, cloud, poll_s=0.02):
        rng = random.Random(7)
        self.parts = CloudPrinting(cloud, room.spool, room.printers, room.store.printing, rng, poll_s=poll_s)

    async def __aenter__(self):
        self._task = asyncio.create_task(self.parts.run())
        return self.parts

    async def __aexit__(self, *_):
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if not self._task.cancelled():
            self._task.result()

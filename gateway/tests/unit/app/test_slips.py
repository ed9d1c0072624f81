"""A slip for every weighing, when it is durable, once."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from fakes.print_room import PrintRoom
from fakes.virtual_clock import LoopClock
from fakes.weighings import draft
from fakes.wires import eventually
from scaleledger.app.slips import Slips
from scaleledger.domain.printing import Fault, JobStatus
from scaleledger.domain.weighing import Kind


@pytest.fixture
async def room(tmp_path):
    async with PrintRoom(tmp_path) as opened:
        yield opened


@asynccontextmanager
async def slips(room):
    store = room.store
    task = asyncio.create_task(Slips(room.spool, store.history, store.outbox, LoopClock(), store.head().seq).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_each_weighing_has_one_slip_in_its_order_and_a_void_has_none(room):
    machine = await room.printer("slips", language="escpos", role="slip")
    async with slips(room):
        for number in range(3):
            await room.store.ledger.append(draft(number))
        await room.store.ledger.append(draft(9, kind=Kind.VOID, refers_to=draft(0).uuid))
        await room.store.ledger.append(draft(3))
        await eventually(lambda: len(machine.printed) == 4)
    assert [f"{draft(n).weight} kg".encode() in out for n, out in enumerate(machine.printed)] == [True] * 4


async def test_a_restart_prints_no_slip_twice_and_a_copy_says_that_it_is_one(room):
    machine = await room.printer("slips", language="escpos", role="slip", texts="tr", codepage="windows-1254")
    async with slips(room):
        record = await room.store.ledger.append(draft(1, measured_at=LoopClock().now()))
        await eventually(lambda: machine.printed)
    await eventually(lambda: not room.spool.open_jobs())
    await room.crash()
    await room.start()
    async with slips(room):
        await room.store.ledger.append(draft(2))
        await eventually(lambda: len(machine.printed) == 2)
    copy = await room.spool.print_slip(record, copy=True)
    await room.comes_out(copy)
    assert [b"KOPYA" in out for out in machine.printed] == [False, False, True]


async def test_a_weighing_never_waits_for_a_printer(room):
    machine = await room.printer("slips", language="escpos", role="slip")
    machine.faults.stopped.add(Fault.NO_PAPER)
    async with slips(room):
        for number in range(60):
            await room.store.ledger.append(draft(number))
        await eventually(lambda: len(room.spool.open_jobs()) == 60)
        machine.mend()
        await eventually(lambda: not room.spool.open_jobs())
    assert len(machine.printed) == 60
    assert {view.job.status for view in await room.spool.jobs()} == {JobStatus.PRINTED}


async def test_without_a_printer_for_slips_there_are_no_jobs(room):
    await room.printer("label-1")
    async with slips(room):
        record = await room.store.ledger.append(draft(1))
        assert await room.spool.print_slip(record) is None
    assert await room.spool.jobs() == []

"""Print jobs of a cloud: each printed once, and the cloud told of it until it has taken it."""

import pytest

from fakes.print_room import Glue, PrintCloud, PrintRoom, label
from fakes.wires import eventually
from scaleledger.domain.cloud import PrintJobsWaiting, PrintOrder
from scaleledger.domain.errors import NotOffered
from scaleledger.domain.printing import Fault, JobStatus
from scaleledger.simulators.printer import PrinterFaults

ORDER = PrintOrder("g-1", label("one"), target_printer="label-1")


@pytest.fixture
async def room(tmp_path):
    async with PrintRoom(tmp_path) as opened:
        yield opened


async def test_an_order_is_printed_once_however_often_the_cloud_lists_it(room):
    machine, cloud = await room.printer("label-1"), PrintCloud()
    cloud.orders = [ORDER]
    async with Glue(room, cloud):
        await eventually(
            lambda: cloud.words("g-1") == ["dispatched", "completed"] or cloud.words("g-1") == ["completed"]
        )
        cloud.orders.append(PrintOrder("g-2", label("two"), target_role="generic"))
        await eventually(lambda: "completed" in cloud.words("g-2"))
    assert machine.printed == [label("one"), label("two")]
    done = next(told for told in cloud.told if told.status == "completed")
    assert (done.printer, done.attempts, done.printed_at is not None) == ("global-label-1", 1, True)


async def test_a_word_that_the_cloud_did_not_take_is_told_again_also_after_a_restart(room):
    await room.printer("label-1")
    cloud = PrintCloud()
    cloud.orders = [ORDER]
    async with Glue(room, cloud):
        await eventually(lambda: room.machines["label-1"].printed)
        cloud.refusals = 10_000
        await eventually(lambda: not room.spool.open_jobs(), "the end of the job")
    cloud.told.clear()
    cloud.orders.clear()
    await room.crash()
    await room.start()
    async with Glue(room, cloud):
        cloud.refusals = 3
        await eventually(lambda: "completed" in cloud.words("g-1"))
    assert len(room.machines["label-1"].printed) == 1
    assert await room.store.printing.untold(10) == []


async def test_an_order_that_cannot_be_printed_is_told_as_failed_in_words(room):
    await room.printer("label-1")
    cloud = PrintCloud()
    cloud.orders = [PrintOrder("bad", b"", target_printer="label-1"), PrintOrder("aimless", b"x"), ORDER]
    async with Glue(room, cloud):
        await eventually(lambda: "completed" in cloud.words("g-1"))
        await eventually(lambda: cloud.words("bad") == cloud.words("aimless") == ["failed"])
    assert next(told for told in cloud.told if told.global_job_id == "aimless").error.startswith("name the printer")


async def test_an_order_for_a_printer_that_is_not_here_yet_waits_for_it(room):
    cloud = PrintCloud()
    cloud.orders = [PrintOrder("g-1", label("one"), target_role="offal")]
    async with Glue(room, cloud):
        await eventually(lambda: cloud.words("g-1") == ["dispatched"])
        assert "no printer for the role 'offal'" in room.spool.open_jobs()[0].words
        await room.printer("label-1", role="offal")
        await eventually(lambda: "completed" in cloud.words("g-1"))


async def test_a_doubtful_order_is_not_failed_and_completes_with_its_copy(room):
    machine = await room.printer("label-1", faults=PrinterFaults(dies_after=10))
    cloud = PrintCloud()
    cloud.orders = [ORDER]
    async with Glue(room, cloud):
        await eventually(lambda: any(v.job.status is JobStatus.DOUBTFUL for v in room.spool.open_jobs()))
        await eventually(lambda: cloud.words("g-1") == ["dispatched"])
        await room.spool.again(room.spool.open_jobs()[0].job.job_id)
        await eventually(lambda: cloud.words("g-1")[-1] == "completed")
    assert len(machine.printed) == 1


async def test_a_cancelled_order_is_told_as_failed(room):
    await room.printer("label-1", faults=PrinterFaults(stopped={Fault.NO_PAPER}))
    cloud = PrintCloud()
    cloud.orders = [ORDER]
    async with Glue(room, cloud):
        await eventually(lambda: cloud.words("g-1") == ["dispatched"])
        await room.spool.cancel(room.spool.open_jobs()[0].job.job_id)
        await eventually(lambda: cloud.words("g-1") == ["dispatched", "failed"])


async def test_a_cloud_without_print_jobs_is_left_alone_until_it_says_that_there_are_some(room):
    class OffersNone(PrintCloud):
        asked = 0

        async def fetch_print_jobs(self):
            self.asked += 1
            if not self.orders:
                raise NotOffered("no such resource")
            return self.orders

    await room.printer("label-1")
    cloud = OffersNone()
    async with Glue(room, cloud) as parts:
        await eventually(lambda: cloud.offers, "the inventory")
        await room.comes_out(await room.print("label-1"))
        assert cloud.asked == 1
        cloud.orders = [ORDER]
        parts.heard(PrintJobsWaiting())
        await eventually(lambda: "completed" in cloud.words("g-1"))


async def test_a_word_about_a_job_that_the_cloud_has_forgotten_holds_up_no_other(room):
    class Forgetful(PrintCloud):
        async def tell_print_job(self, outcome):
            if outcome.global_job_id == "g-1":
                raise NotOffered("no such job")
            await super().tell_print_job(outcome)

    await room.printer("label-1")
    cloud = Forgetful()
    cloud.orders = [ORDER, PrintOrder("g-2", label("two"), target_printer="label-1")]
    async with Glue(room, cloud):
        await eventually(lambda: "completed" in cloud.words("g-2"))
    assert cloud.words("g-1") == []


async def test_the_cloud_is_told_of_the_printers_at_a_connect_and_when_one_changes(room):
    machine = await room.printer("label-1", role="offal")
    cloud = PrintCloud()
    async with Glue(room, cloud) as parts:
        await eventually(lambda: cloud.offers and cloud.offers[-1] and cloud.offers[-1][0].status == "online")
        await eventually(lambda: room.printers.view("label-1").card.global_id == "global-label-1")
        machine.faults.stopped.add(Fault.NO_PAPER)
        await eventually(lambda: cloud.offers[-1][0].status == "error")
        assert "out of paper" in cloud.offers[-1][0].last_error
        told = len(cloud.offers)
        parts.link_changed(True)
        await eventually(lambda: len(cloud.offers) > told)
        await room.printers.enable("label-1", enabled=False)
        await eventually(lambda: cloud.offers[-1] == [])


async def test_orders_that_name_the_cloud_s_own_id_of_a_printer_find_it(room):
    machine = await room.printer("label-1")
    await room.printers.name_globally({"label-1": "global-label-1", "nobody": "8f"})
    cloud = PrintCloud()
    cloud.orders = [PrintOrder("g-1", label("one"), target_printer="global-label-1")]
    async with Glue(room, cloud):
        await eventually(lambda: "completed" in cloud.words("g-1"))
    assert len(machine.printed) == 1

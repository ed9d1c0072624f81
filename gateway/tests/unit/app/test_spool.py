"""What went wrong with labels elsewhere, and does not here: each with the real spool, the real store and a real TCP printer."""

import asyncio

import pytest

from fakes.print_room import PrintRoom, label
from fakes.wires import eventually
from scaleledger.domain.errors import PrintRefused
from scaleledger.domain.printing import Fault, JobSource, JobStatus, PrinterCard, PrintRequest
from scaleledger.simulators.printer import PrinterFaults


@pytest.fixture
async def room(tmp_path):
    async with PrintRoom(tmp_path) as opened:
        yield opened


async def test_a_label_is_printed_once_and_the_status_is_asked_before_and_after(room):
    machine = await room.printer("label-1")
    job = await room.print("label-1", "beef")
    await room.comes_out(job)
    assert machine.printed == [label("beef")]
    assert machine.questions >= 4


async def test_a_busy_printer_blocks_no_other(room):
    await room.printer("stuck", faults=PrinterFaults(other_job=True))
    await room.printer("empty", faults=PrinterFaults(stopped={Fault.NO_PAPER}))
    free = await room.printer("free")
    waiting = [await room.print(name) for name in ("stuck", "stuck", "empty")]
    for number in range(5):
        await room.comes_out(await room.print("free", f"n{number}"))
    assert len(free.printed) == 5
    assert [await room.status(job) for job in waiting] == [JobStatus.WAITING] * 3


async def test_a_job_waits_out_an_empty_roll_however_often_it_was_tried(room):
    machine = await room.printer("label-1", faults=PrinterFaults(stopped={Fault.NO_PAPER}))
    job = await room.print("label-1")
    await room.says(job, "out of paper")
    tries = machine.questions
    await eventually(lambda: machine.questions > tries + 20, "twenty more tries")
    assert await room.status(job) is JobStatus.WAITING
    assert not machine.received
    machine.mend()
    await room.comes_out(job)
    assert len(machine.printed) == 1


async def test_a_printer_that_needs_a_person_is_waited_for_and_says_why(room):
    machine = await room.printer("label-1")
    for fault, words in ((Fault.HEAD_OPEN, "open"), (Fault.PAUSED, "paused"), (Fault.PAPER_JAM, "jam")):
        machine.faults.stopped.add(fault)
        job = await room.print("label-1")
        await room.says(job, words)
        machine.mend()
        await room.comes_out(job)


async def test_a_printer_that_is_switched_off_is_waited_for(room):
    machine = await room.printer("label-1")
    await machine.switch_off()
    job = await room.print("label-1")
    await room.says(job, "refuses the connection")
    assert room.printers.view("label-1").status == "error"
    await machine.switch_on()
    await room.comes_out(job)
    assert room.printers.view("label-1").status == "online"


async def test_paper_that_ends_in_the_middle_is_waited_for_and_nothing_is_sent_twice(room):
    machine = await room.printer("label-1", faults=PrinterFaults(label_s=0.05))
    job = await room.print("label-1", label_count=3)
    await eventually(lambda: machine.printed, "the first label")
    machine.faults.stopped.add(Fault.NO_PAPER)
    await eventually(lambda: "out of paper" in room.printers.view("label-1").words, "the empty roll")
    machine.mend()
    await room.comes_out(job)
    assert machine.printed == [label("label")] * 3


async def test_one_lost_answer_after_a_job_is_asked_for_again(room):
    machine = await room.printer("label-1", faults=PrinterFaults(label_s=0.02))
    job = await room.print("label-1")
    await eventually(lambda: machine.received, "the job at the printer")
    machine.faults.lost_answers = 1
    await room.comes_out(job)
    assert len(machine.printed) == 1


async def test_a_printer_that_falls_silent_after_a_job_leaves_it_doubtful_and_never_sent_again(room):
    machine = await room.printer("label-1", faults=PrinterFaults(label_s=0.02))
    job = await room.print("label-1")
    await eventually(lambda: machine.received, "the job at the printer")
    machine.faults.lost_answers = 10_000
    await room.becomes(job, JobStatus.DOUBTFUL)
    machine.faults.lost_answers = 0
    after = await room.print("label-1", "next")
    await room.comes_out(after)
    assert machine.printed == [label("label"), label("next")]
    assert await room.status(job) is JobStatus.DOUBTFUL
    await room.spool.came_out(job)
    assert await room.status(job) is JobStatus.PRINTED
    assert len(machine.printed) == 2


@pytest.mark.parametrize("prints_then", [True, False])
async def test_a_link_that_dies_in_the_middle_leaves_the_job_doubtful_and_a_person_prints_it_again_as_a_copy(
    room, prints_then
):
    machine = await room.printer("label-1", faults=PrinterFaults(dies_after=20, prints_then=prints_then))
    job = await room.print("label-1")
    await room.becomes(job, JobStatus.DOUBTFUL)
    await room.says(job, "may have come out")
    before = len(machine.printed)
    copy = await room.spool.again(job)
    assert await room.status(job) is JobStatus.REPLACED
    with pytest.raises(PrintRefused):
        await room.spool.again(job)
    await room.comes_out(copy)
    stored = await room.store.printing.job(copy)
    assert (stored.is_copy, stored.copy_of) == (True, job)
    assert len(machine.printed) == before + 1
    await room.comes_out(job)


async def test_a_crash_while_printing_leaves_the_job_doubtful_at_once_and_what_waited_is_printed(room):
    machine = await room.printer("label-1", faults=PrinterFaults(label_s=0.2))
    cut = await room.print("label-1", "cut")
    waits = await room.print("label-1", "waits")
    await eventually(lambda: machine.received, "the job at the printer")
    await room.crash()
    assert len(machine.printed) == 0
    await room.start()
    assert await room.status(cut) is JobStatus.DOUBTFUL
    await room.comes_out(waits)
    assert [b"cut" in out for out in machine.printed].count(True) <= 1
    assert sum(b"waits" in out for out in machine.printed) == 1


async def test_a_printer_that_prints_for_somebody_else_is_no_error(room):
    machine = await room.printer("label-1", faults=PrinterFaults(other_job=True))
    job = await room.print("label-1")
    await room.says(job, "busy with another print")
    assert room.printers.view("label-1").status == "online"
    machine.faults.other_job = False
    await room.comes_out(job)


async def test_every_byte_of_an_image_reaches_the_printer(room):
    machine = await room.printer("label-1")
    image = bytes(range(256)).replace(b"\x1b", b"") * 40
    content = b"SIZE 58 mm,40 mm\r\nCLS\r\nBITMAP 0,0,32,320,0," + image + b"\r\nPRINT 1,1\r\n"
    job = await room.spool.accept(PrintRequest(content, target_printer="label-1"))
    await room.comes_out(job)
    assert machine.printed == [content]


async def test_an_image_that_came_as_text_is_refused_in_words(room):
    await room.printer("label-1")
    for text in ("CLS\r\nBITMAP 0,0,1,1,0,\x00\x01\r\nPRINT 1", "CLS\nBITMAP 0,0,1,1,0,\ufffd\ufffd\nPRINT 1"):
        with pytest.raises(PrintRefused, match="base64"):
            await room.spool.accept(PrintRequest(text, target_printer="label-1"))


async def test_text_goes_out_in_the_code_page_with_lines_that_a_printer_ends(room):
    machine = await room.printer("label-1")
    job = await room.spool.accept(PrintRequest('CLS\nTEXT 1,1,"2",0,1,1,"ŞİŞ"\nPRINT 1\n', target_printer="label-1"))
    await room.comes_out(job)
    assert machine.printed == [b'CLS\r\nTEXT 1,1,"2",0,1,1,"\xde\xdd\xde"\r\nPRINT 1\r\n']


async def test_the_same_job_asked_for_twice_is_printed_once(room):
    machine = await room.printer("label-1")
    ids = await asyncio.gather(*(room.print("label-1", global_job_id="g-1") for _ in range(5)))
    assert len(set(ids)) == 1
    await room.comes_out(ids[0])
    assert await room.print("label-1", global_job_id="g-1") == ids[0]
    await room.comes_out(await room.print("label-1", "next"))
    assert len(machine.printed) == 2


async def test_a_role_goes_to_its_best_printer_and_to_the_next_while_that_one_is_ill(room):
    first = await room.printer("first", role="offal", priority=1)
    second = await room.printer("second", role="offal", priority=2)
    await room.printer("other", role="carcass", priority=0)

    async def asked(name):
        return await room.spool.accept(PrintRequest(label(name), target_role="offal"))

    await eventually(lambda: room.printers.view("first").status == room.printers.view("second").status == "online")
    await room.comes_out(await asked("a"))
    first.faults.stopped.add(Fault.NO_PAPER)
    await room.comes_out(await asked("b"))
    first.mend()
    await eventually(lambda: room.printers.view("first").status == "online")
    await room.comes_out(await asked("c"))
    await room.printers.enable("first", enabled=False)
    await room.comes_out(await asked("d"))
    assert (first.printed, second.printed) == ([label("a"), label("c")], [label("b"), label("d")])


async def test_jobs_of_one_printer_come_out_in_their_order(room):
    machine = await room.printer("label-1")
    jobs = [await room.print("label-1", f"n{number}") for number in range(10)]
    for job in jobs:
        await room.comes_out(job)
    assert machine.printed == [label(f"n{number}") for number in range(10)]


async def test_label_count_repeats_a_label_unless_the_label_itself_asks_for_several(room):
    machine = await room.printer("label-1")
    await room.comes_out(await room.print("label-1", label_count=3))
    assert len(machine.printed) == 3
    several = label("own").replace(b"PRINT 1,1", b"PRINT 1,3")
    job = await room.spool.accept(PrintRequest(several, target_printer="label-1", label_count=3))
    await room.comes_out(job)
    assert machine.printed[3:] == [several]


REFUSED = (
    (PrintRequest(b"x", target_printer="nobody"), "no printer 'nobody'"),
    (PrintRequest(b"x", target_role="offal"), "role 'offal'"),
    (PrintRequest(b"x"), "name the printer"),
    (PrintRequest(b"", target_printer="label-1"), "1 to"),
    (PrintRequest(b"x" * 2_000_001, target_printer="label-1"), "1 to"),
    (PrintRequest(b"x", target_printer="label-1", label_count=0), "labels"),
    (PrintRequest(b"x", target_printer="label-1", label_count=501), "labels"),
)


async def test_what_cannot_be_printed_is_refused_in_words(room):
    await room.printer("label-1")
    for request, words in REFUSED:
        with pytest.raises(PrintRefused, match=words):
            await room.spool.accept(request)


async def test_a_waiting_job_can_be_cancelled_and_a_printed_one_cannot(room):
    machine = await room.printer("label-1", faults=PrinterFaults(stopped={Fault.NO_PAPER}))
    job, other = await room.print("label-1"), await room.print("label-1", "other")
    await room.spool.cancel(job)
    machine.mend()
    await room.comes_out(other)
    assert machine.printed == [label("other")]
    assert await room.status(job) is JobStatus.CANCELLED
    with pytest.raises(PrintRefused):
        await room.spool.cancel(other)
    with pytest.raises(PrintRefused):
        await room.spool.came_out(other)


async def test_a_reprint_of_what_was_made_here_says_copy_on_the_paper_and_of_a_foreign_label_in_the_list_only(room):
    machine = await room.printer("label-1", texts="tr")
    foreign = await room.print("label-1")
    await room.comes_out(foreign)
    await room.comes_out(await room.spool.again(foreign))
    ours = await room.spool.print_trial("label-1")
    await room.comes_out(ours)
    await room.comes_out(await room.spool.again(ours))
    assert machine.printed[:2] == [label("label")] * 2
    assert [b"KOPYA" in out for out in machine.printed[2:]] == [False, True]
    copies = [view.job for view in await room.spool.jobs() if view.job.is_copy]
    assert {(job.source, job.copy_of) for job in copies} == {(JobSource.LOCAL, foreign), (JobSource.TEST, ours)}


async def test_a_slip_printer_of_another_language_is_served_alike(room):
    machine = await room.printer(
        "slips", language="escpos", role="slip", faults=PrinterFaults(paper_low=True), texts="ko"
    )
    job = await room.spool.print_trial("slips")
    await room.comes_out(job)
    assert "시험 인쇄".encode("cp949") in machine.printed[0]
    view = room.printers.view("slips")
    assert (view.status, view.words) == ("warning", "paper-low")
    machine.faults.stopped.add(Fault.NO_PAPER)
    waits = await room.spool.print_trial("slips")
    await room.says(waits, "out of paper")
    machine.mend()
    await room.comes_out(waits)


async def test_warnings_and_the_model_are_learned_by_looking(room):
    await room.printer("label-1", faults=PrinterFaults(paper_low=True))
    await eventually(lambda: room.printers.view("label-1").status == "warning")
    await eventually(lambda: room.printers.view("label-1").model == "SIM-TSPL")
    await room.comes_out(await room.print("label-1"))


async def test_a_printer_that_knows_only_the_short_question_is_healthy_all_the_same(room):
    machine = await room.printer("label-1", faults=PrinterFaults(answers_details=False))
    await room.comes_out(await room.print("label-1"))
    before = machine.connections
    await eventually(lambda: machine.connections > before + 3, "three more looks")
    assert room.printers.view("label-1").status == "online"
    await machine.switch_off()
    await eventually(lambda: room.printers.view("label-1").status == "error")


async def test_printers_are_kept_over_a_restart_and_a_removed_one_is_gone(room):
    await room.printer("label-1", role="offal", name="Line 1")
    await room.printer("label-2")
    await room.printers.remove("label-2")
    with pytest.raises(PrintRefused):
        await room.printers.remove("label-2")
    await room.crash()
    await room.start()
    assert [view.card.name for view in room.printers.views()] == ["Line 1"]
    await room.comes_out(await room.print("label-1"))


async def test_a_configured_printer_is_as_its_file_says_and_is_changed_there_only(room):
    machine = await room.printer("made")
    await room.crash()
    room.cards = [PrinterCard("label-1", "127.0.0.1", machine.port, source="config", role="offal")]
    await room.start()
    await room.printers.enable("label-1", enabled=False)
    with pytest.raises(PrintRefused, match="configuration"):
        await room.printers.remove("label-1")
    with pytest.raises(PrintRefused, match="configuration"):
        await room.printers.add(PrinterCard("label-1", "10.0.0.9"))
    await room.crash()
    room.cards = [PrinterCard("label-1", "127.0.0.1", machine.port, source="config", role="carcass")]
    await room.start()
    card = room.printers.view("label-1").card
    assert (card.role, card.enabled) == ("carcass", False)
    await room.crash()
    room.cards = []
    await room.start()
    assert room.printers.ids == {"made"}


WRONG_CARDS = [
    {"printer_id": "a b"},
    {"host": ""},
    {"host": "a/b"},
    {"port": 0},
    {"language": "zpl"},
    {"role": "x"},
    {"codepage": "x"},
]


async def test_a_printer_that_cannot_be_one_is_refused_in_words(room):
    for changed in WRONG_CARDS:
        with pytest.raises(PrintRefused, match="cannot be taken"):
            await room.printers.add(PrinterCard(**({"printer_id": "p", "host": "10.0.0.1"} | changed)))

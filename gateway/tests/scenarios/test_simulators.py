"""Simulated hardware on real ports: pseudo terminals and sockets of this machine, spoken to by the real drivers."""

import asyncio
import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import tty
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

from fakes.plain_gateway import PlainGateway
from scaleledger.cli import main as scaleledger
from scaleledger.domain.commands import Acknowledge
from scaleledger.domain.inputs import AckAsked, CardSeen, FinishedWeighing, Registration
from scaleledger.domain.reading import Reading
from scaleledger.drivers import open_driver
from scaleledger.simulators.ports import ListenPort, PtyPort, open_port
from scaleledger.simulators.yard import TALKERS, Simulation, StationSpec

WAIT_S = 30


@pytest.fixture(autouse=True)
def no_leaked_files():
    """Fails a test that leaves a file, socket or terminal open."""
    before = open_files()
    yield
    assert open_files() == before


def open_files():
    found = {}
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found[link.name] = link.readlink()
    return found


class Cable:
    """The gateway's end of a pty or a TCP connection: a raw descriptor, and bytes as they come."""

    def __init__(self, fd):
        self.fd = fd
        os.set_blocking(fd, False)

    async def read(self):
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self.fd, ready.set)
        try:
            async with asyncio.timeout(WAIT_S):
                await ready.wait()
        finally:
            loop.remove_reader(self.fd)
        return os.read(self.fd, 4096)

    def close(self):
        os.close(self.fd)


def open_pty(path):
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(fd)
    return Cable(fd)


@contextlib.asynccontextmanager
async def polling(gateway, cable):
    """Let a gateway poll over a cable, in the background."""

    async def poll():
        loop = asyncio.get_running_loop()
        inbox = []
        loop.add_reader(cable.fd, lambda: inbox.append(os.read(cable.fd, 4096)))
        try:
            while True:
                data, inbox[:] = b"".join(inbox), []
                if due := gateway.step(loop.time(), data):
                    os.write(cable.fd, due)
                await asyncio.sleep(0.005)
        finally:
            loop.remove_reader(cable.fd)

    task = asyncio.create_task(poll())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def connect(where):
    host, port = where.rpartition("/")[2].split(":")
    return await asyncio.open_connection(host, int(port))


async def hang_up(writer):
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def test_a_station_on_a_pty_is_worked_to_its_last_box_and_its_journal_is_the_ledger(tmp_path):
    ledger = []
    driver = open_driver("suwol-1000", poll_interval_s=0.02)
    spec = StationSpec("dock", "suwol-1000", cards=("A1B2C3D4",), boxes=1, pace=0, rest_s=0.1)
    async with Simulation([spec], seed=4, directory=tmp_path) as yard:
        cable = open_pty(tmp_path / "dock")
        async with polling(PlainGateway(driver, ledger), cable):
            await yard.wait_done()
        cable.close()
    rows = [json.loads(row) for row in (tmp_path / "journal.jsonl").read_text().splitlines()]
    assert [(row["card"], row["weight"]) for row in rows if row["told"] == "saved"] == ledger
    assert yard.journal.totals() == {"dock": {"emitted": 1, "saved": 1, "refused": 0, "unknown": 0, "doubtful": 0}}


async def test_at_the_pace_of_the_line_a_reply_comes_in_pieces_and_is_whole(tmp_path):
    async with Simulation([StationSpec("dock", "suwol-1000")], directory=tmp_path):
        cable = open_pty(tmp_path / "dock")
        driver, pieces, facts = open_driver("suwol-1000"), [], []
        driver.handle_timer(0.0)
        os.write(cable.fd, driver.to_send())
        while not facts:
            pieces.append(await cable.read())
            facts = driver.receive(0.0, pieces[-1])
        cable.close()
    assert len(b"".join(pieces)) == 53
    assert len(pieces) > 1
    assert isinstance(facts[0], Reading)


async def a_load_in(driver, read):
    """The weights of the first five frames of a load that rests on the talker behind `read`."""
    listener, weights = open_driver(driver), []
    while len(weights) < 5:
        facts = listener.receive(0.0, await read())
        weights += [f.weight for f in facts if isinstance(f, Reading) and f.weight and f.stable]
    return set(weights[:5])


@pytest.mark.parametrize("place", ["pty", "tcp-listen", "tcp"])
async def test_every_talker_is_heard_on_every_kind_of_port(place, tmp_path):
    dialled = {name: asyncio.Queue() for name in TALKERS}
    servers = {
        name: await asyncio.start_server(lambda *peer, name=name: dialled[name].put_nowait(peer), "127.0.0.1", 0)
        for name in TALKERS
    }

    def on(name):
        number = servers[name].sockets[0].getsockname()[1]
        return {"pty": "", "tcp-listen": "tcp-listen://127.0.0.1:0", "tcp": f"tcp://127.0.0.1:{number}"}[place]

    specs = [StationSpec(name, name, on=on(name), rate_hz=50) for name in TALKERS]
    async with contextlib.AsyncExitStack() as stack:
        yard = await stack.enter_async_context(Simulation(specs, directory=tmp_path))
        reads = {}
        for name in TALKERS:
            if place == "pty":
                cable = open_pty(tmp_path / name)
                stack.callback(cable.close)
                reads[name] = cable.read
            else:
                peer = await (connect(yard.urls[name]) if place == "tcp-listen" else dialled[name].get())
                stack.push_async_callback(hang_up, peer[1])
                reads[name] = functools.partial(peer[0].read, 4096)
        loads = await asyncio.gather(*(a_load_in(name, read) for name, read in reads.items()))
    for server in servers.values():
        server.close()
        await server.wait_closed()
    assert [len(load) for load in loads] == [1] * len(TALKERS)


async def test_a_reader_repeats_its_card_and_the_pty_heals_under_its_name(tmp_path):
    async with Simulation([StationSpec("r", "rfid-em4100")], directory=tmp_path) as yard:
        reader = yard.readers["r"]
        uids = []
        for uid in ("62E3086CED", "0000000001"):
            cable, driver = open_pty(tmp_path / "r"), open_driver("rfid-em4100")
            while not reader.port.up:
                await asyncio.sleep(0.01)
            reader.present(uid)
            seen = []
            while len(seen) < 3:
                seen += [f.uid for f in driver.receive(0.0, await cable.read()) if isinstance(f, CardSeen)]
            uids.append(set(seen))
            terminal = (tmp_path / "r").readlink()
            reader.port.unplug()
            cable.close()
            reader.port.plug()
            assert (tmp_path / "r").is_symlink()
        assert uids == [{"62E3086CED"}, {"0000000001"}]
        assert terminal.parent == Path("/dev/pts")
    assert not (tmp_path / "r").is_symlink()


async def test_finish_ends_the_loads_at_hand_and_the_counts_are_those_of_the_journal(tmp_path):
    specs = [StationSpec(f"s{i}", "st-gs-comma", on="tcp-listen://127.0.0.1:0", rate_hz=50) for i in range(3)]
    async with Simulation(specs, seed=2, directory=tmp_path) as yard:
        peers = [await connect(url) for url in yard.urls.values()]
        while not yard.journal.lines:
            await asyncio.sleep(0.05)
        await yard.finish()
        for _, writer in peers:
            await hang_up(writer)
    counted = sum(tally["emitted"] for tally in yard.journal.totals().values())
    assert counted == len(yard.journal.lines) >= 3


async def keep_and_answer(kept, served, reader, writer):
    """The gateway's end of a label scale's connection: keeps each weighing, and answers for it."""
    served.append(asyncio.current_task())
    driver, device = open_driver("dp401-csv", unit="g"), ""
    with contextlib.suppress(ConnectionError):  # a link dropped with an answer still unread is reset
        while data := await reader.read(4096):
            for fact in driver.receive(0.0, data):
                if isinstance(fact, Registration):
                    device = fact.device
                if isinstance(fact, FinishedWeighing):
                    kept.add((device, fact.raw.removeprefix(b'P"'), str(fact.net)))
                if isinstance(fact, FinishedWeighing | AckAsked):
                    driver.ask(Acknowledge())
            writer.write(driver.to_send())
    await hang_up(writer)


async def test_label_scales_dial_in_and_again_and_their_journal_is_what_was_kept(tmp_path):
    kept, served = set(), []
    server = await asyncio.start_server(functools.partial(keep_and_answer, kept, served), "127.0.0.1", 0)
    place = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    specs = [
        StationSpec(name, "dp401-csv", on=place, device=name, exchange=how, division=Decimal(1), boxes=12, rest_s=0.01)
        for name, how in (("SCALE-01", "confirmed"), ("SCALE-02", "plain"))
    ]
    async with Simulation(specs, seed=3, directory=tmp_path) as yard:
        while not yard.journal.lines:
            await asyncio.sleep(0.01)
        for scale in yard.label_scales.values():
            scale.drop_link()
        await yard.wait_done()
    await asyncio.gather(*served)
    server.close()
    await server.wait_closed()
    told = sorted((line["station"], line["weight"]) for line in yard.journal.lines if line["told"] == "saved")
    assert told == sorted((device, net) for device, _, net in kept)
    assert [tally["saved"] for tally in yard.journal.totals().values()] == [12, 12]


async def test_a_spec_that_makes_no_sense_leaves_nothing_open(tmp_path):
    good = StationSpec("a", "st-gs-comma")
    for bad in (
        StationSpec("b", "st-gs-coma"),
        StationSpec("b", "st-gs-comma", scenario="benhc"),
        StationSpec("b", "suwol-1000", cards=("A1",)),
        StationSpec("b", "suwol-1000", cards=("00000000",)),
        StationSpec("b", "rfid-em4100", cards=("A1B2C3D4",)),
        StationSpec("b", "dp401-csv", on="tcp://127.0.0.1:9", device="SCALE-7"),
        StationSpec("b", "dp401-csv", on="tcp://127.0.0.1:9", exchange="shouted"),
        StationSpec("b", "st-gs-comma", on="serial:///dev/ttyS0"),
    ):
        with pytest.raises(ValueError):
            async with Simulation([good, bad], directory=tmp_path):
                pass
        assert not (tmp_path / "a").is_symlink()


async def test_a_place_that_cannot_be_had_is_an_oserror(tmp_path):
    (tmp_path / "file").write_text("not a link")
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    number = taken.sockets[0].getsockname()[1]
    for place in (f"pty:{tmp_path}/file", f"pty:{tmp_path}/none/x", f"tcp-listen://127.0.0.1:{number}"):
        with pytest.raises(OSError):
            async with Simulation([StationSpec("s", "st-gs-comma", on=place)], directory=tmp_path):
                pass
    taken.close()
    await taken.wait_closed()
    assert (tmp_path / "file").read_text() == "not a link"


def test_urls_say_the_kind_of_port():
    assert isinstance(open_port("pty:/tmp/x"), PtyPort)
    assert isinstance(open_port("tcp-listen://127.0.0.1:0"), ListenPort)
    assert open_port("tcp://127.0.0.1:4001").where == "tcp://127.0.0.1:4001"
    for bad in ("pty:", "tcp://127.0.0.1", "udp://127.0.0.1:1", "/dev/ttyS0"):
        with pytest.raises(ValueError):
            open_port(bad)


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("driver", ["suwol-1000", "rfid-em4100", "st-gs-comma", "dp401-csv"])
def test_the_command_plays_every_device_for_a_time(driver, tmp_path):
    place = f"pty:{tmp_path}/port"
    result = CliRunner().invoke(scaleledger, ["simulate", driver, "--on", place, "--seconds", "0.2"])
    assert result.exit_code == 0, result.output
    assert f"{driver} is found at {place}" in result.output
    assert "0 told saved" in result.output
    assert not (tmp_path / "port").is_symlink()


def test_the_command_says_what_is_wrong_and_exits_with_its_code(tmp_path):
    def run(*words):
        return CliRunner().invoke(scaleledger, ["simulate", *words])

    wrong_url = run("st-gs-comma", "--on", "ptty:/tmp/x")
    assert (wrong_url.exit_code, "use pty:PATH" in wrong_url.output) == (2, True)
    wrong_name = run("dp401-csv", "--on", "tcp://127.0.0.1:9", "--device", "SCALE-7")
    assert (wrong_name.exit_code, "SCALE- and two digits" in wrong_name.output) == (2, True)
    wrong_card = run("suwol-1000", "--on", f"pty:{tmp_path}/x", "--cards", "A1")
    assert (wrong_card.exit_code, "eight letters or digits" in wrong_card.output) == (2, True)
    no_folder = run("st-gs-comma", "--on", f"pty:{tmp_path}/none/x")
    assert (no_folder.exit_code, "there is no folder" in no_folder.output) == (3, True)


def test_ctrl_c_ends_the_command_cleanly(tmp_path):
    words = ["simulate", "suwol-1000", "--on", f"pty:{tmp_path}/port"]
    command = [sys.executable, "-c", f"from scaleledger.cli import main; main({words})"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while "is found at" not in (line := process.stdout.readline()):
            assert line, process.stderr.read()
        assert (tmp_path / "port").is_symlink()
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=WAIT_S)
    assert (process.returncode, errors) == (0, "")
    assert "0 told saved" in output
    assert not (tmp_path / "port").is_symlink()

"""The tutorials, word for word: their settings, their commands in their order, and what they say is printed."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from functools import cached_property
from html import unescape
from pathlib import Path

import pytest

from scaleledger.simulators.administrator import Administrator

TUTORIALS = Path(__file__).resolve().parents[3] / "docs" / "tutorials"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PATIENCE_S = 40


class Reader:
    """Who follows a page: a folder, terminals that stay open, and an eye on what they show.

    `ports` has a free port for each one on the page.
    """

    def __init__(self, folder, ports):
        self.folder = folder
        self.ports = ports
        self.port = ports["8000"]
        self.open = {}
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "SCALELEDGER_STORE__RESERVE_MB": "1",  # the page's 64 would only fill the test's disk
        }

    def begin(self, name, command):
        with (self.folder / f"{name}.txt").open("wb") as shown:
            self.open[name] = subprocess.Popen(
                ["bash", "-c", f"exec env {command}"],
                cwd=self.folder,
                env=self.environment,
                stdout=shown,
                stderr=shown,
                stdin=subprocess.DEVNULL,
            )

    def do(self, command):
        done = subprocess.run(
            command,
            check=False,
            shell=True,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        return done.returncode, done.stdout + done.stderr

    def sees(self, name, text, times=1):
        """Wait until a terminal has shown the text so often."""
        until = time.monotonic() + PATIENCE_S
        while self.shown(name).count(text) < times:
            assert self.open[name].poll() is None, self.shown(name)
            assert time.monotonic() < until, f"{name} does not show {text}:\n{self.shown(name)}"
            time.sleep(0.05)

    def shown(self, name):
        return (self.folder / f"{name}.txt").read_text(encoding="utf-8")

    def events(self, name):
        """What the gateway in that terminal has logged."""
        return [json.loads(line) for line in self.shown(name).splitlines() if line.startswith("{")]

    def waits(self, happened):
        """Wait until that is so; the gateway's log if it never is."""
        until = time.monotonic() + PATIENCE_S
        while not happened():
            assert time.monotonic() < until, self.shown("gateway")
            time.sleep(0.1)

    def here(self, text):
        """What the page says, with the ports that are free here."""
        return re.sub(r"(?<=[0-9]:)(8000|8899|3000)\b", lambda port: str(self.ports[port[1]]), text)

    def interrupt(self, name):
        terminal = self.open.pop(name)
        terminal.send_signal(signal.SIGINT)
        assert terminal.wait(PATIENCE_S) == 0, self.shown(name)

    def close(self):
        for terminal in self.open.values():
            terminal.kill()
            terminal.wait()


@pytest.fixture
def reader(tmp_path):
    places = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    ports = [place.getsockname()[1] for place in places]
    for place in places:
        place.close()
    reader = Reader(tmp_path, dict(zip(("8000", "8899", "3000"), ports, strict=True)))
    yield reader
    reader.close()


def alike(text):
    """What is the same for every reader: no numbers, hashes, folders."""
    return re.sub(
        r"[0-9a-f]{64}|[0-9]+(\.[0-9]+)?", "N", re.sub(r"data in .*/server", "data in …/server", text)
    ).strip()


def steps_of(page):
    """The page's blocks, and beside each what it is said to print, or None."""
    steps = [(m[1], m[2].strip()) for m in BLOCK.finditer((TUTORIALS / page).read_text(encoding="utf-8"))]
    return steps, [after[1] if after[0] == "text" else None for after in [*steps[1:], ("", "")]]


def delivered(reader):
    events = reader.events("gateway")
    last = max((e["seq"] for e in events if e["event"] == "biz.saved"), default=0)
    return 2 < last <= max((e["upto"] for e in events if e["event"] == "net.delivered"), default=0)


@pytest.mark.skipif(sys.platform == "win32", reason="the simulated port is a pty")
@pytest.mark.timeout(200)
def test_the_tutorial_works_word_for_word(reader):
    for (language, text), output in zip(*steps_of("first-weighing.md"), strict=True):
        if language == "toml":
            (reader.folder / "gateway.toml").write_text(reader.here(text))
        if language != "sh":
            continue
        if text.endswith("scaleledger-server serve"):
            reader.begin("server", f"{text} --port {reader.port}")
            reader.sees("server", "http://")
            assert alike(reader.shown("server")) == alike(output)
        elif text.startswith("scaleledger simulate"):
            reader.begin("scale", text)
            reader.sees("scale", "is found at")
        elif text.startswith("scaleledger run"):
            reader.begin("gateway", text)
            reader.sees("gateway", "biz.saved", times=2)
            reader.sees("gateway", "net.pending")
        else:
            code, said = reader.do(text)
            assert code == (1 if output and output.startswith("BROKEN") else 0), said
            assert output is None or alike(said) == alike(output)
        if " approve " in text:
            reader.sees("gateway", "net.approved")
            reader.waits(lambda: delivered(reader))
            reader.interrupt("scale")
            reader.interrupt("gateway")
            assert "sys.drained" in reader.shown("gateway")
    assert len((reader.folder / "weighings.csv").read_text(encoding="utf-8").splitlines()) > 3
    reader.interrupt("server")


class Plant:
    """What the second page asks of its reader between its commands: phone page, cut, administration."""

    def __init__(self, reader):
        self.reader = reader
        self.session = ""

    @cached_property
    def person(self):
        return Administrator(f"http://127.0.0.1:{self.reader.port}", "me", self.reader.password)

    def start_session(self):
        """Step 5, and a few cuts in it."""
        scales = {s["device_id"]: s for s in self.person.ask_json("/shifts/api/scales/")["scales"]}
        asked = {"session_id": str(uuid.uuid4()), "scale": scales["SCALE-01"]["id"], "animal_tag": "TR-35-0001"}
        self.session = self.person.ask_json("/shifts/api/sessions/", asked)["id"]
        self.reader.sees("gateway", self.session)

    def cut_network(self):
        """Step 6 up to the server's new start: both scales weigh without it."""
        self.reader.interrupt("server")
        self.reader.sees("gateway", "net.cloud_down")
        before = len(self.saved())
        self.reader.waits(lambda: {e["station"] for e in self.saved()[before:]} == {"SCALE-01", "SCALE-02"})

    def mend(self):
        """The rest of step 6."""
        self.reader.waits(lambda: {batch["device"] for batch in self.reconciled()} == {"SCALE-01", "SCALE-02"})
        page = self.person.read("/admin/weighing/offlinebatch/")
        assert all(batch["device"] in page for batch in self.reconciled())
        self.person.ask_json(f"/shifts/api/sessions/{self.session}/end/", {"reason": "completed"})

    def stop_scales(self):
        """Step 7 up to the count."""
        for scale in ("SCALE-01", "SCALE-02"):
            self.reader.interrupt(scale)
        self.reader.waits(lambda: delivered(self.reader))
        orphans = "/admin/weighing/orphans/"
        while link := re.search(rf'href="({orphans}[0-9]+/[^"]+)"', self.person.read(orphans)):
            chosen = {"session": "new", "animal_tag": "TR-35-0002", "reason": "before the session"}
            assert self.person.send(unescape(link[1]), chosen)
        assert "Every cut belongs to a session." in self.person.read(orphans)

    def saved(self):
        return [e for e in self.reader.events("gateway") if e["event"] == "biz.saved"]

    def reconciled(self):
        return [e for e in self.reader.events("gateway") if e["event"] == "net.batch" and e["status"] == "reconciled"]

    def told(self):
        """What the scales say in the end: cuts made, and cuts told saved."""
        totals = [re.search(r"(\d+) shown, (\d+) told saved", self.reader.shown(s)) for s in ("SCALE-01", "SCALE-02")]
        return [sum(int(total[n]) for total in totals) for n in (1, 2)]


@pytest.mark.timeout(200)
def test_the_meat_plants_tutorial_works_word_for_word(reader):
    plant, cuts = Plant(reader), []
    for (language, page_text), output in zip(*steps_of("meat-plant.md"), strict=True):
        text = reader.here(page_text)
        if language == "toml":
            (reader.folder / "gateway.toml").write_text(text)
        if language != "sh":
            continue
        if text.endswith("scaleledger-server serve"):
            again = "server" in reader.open
            if again:
                plant.start_session()
                plant.cut_network()
            reader.begin("server", f"{text} --port {reader.port}")
            reader.sees("server", "http://")
            assert output is None or alike(reader.shown("server")) == alike(output)
            if again:
                plant.mend()
                plant.stop_scales()
        elif text.startswith("scaleledger run"):
            reader.begin("gateway", text)
            reader.sees("gateway", "net.edge_registered")
        elif text.startswith("scaleledger simulate"):
            scale = re.search(r"SCALE-0\d", text)[0]
            reader.begin(scale, text)
            reader.waits(lambda scale=scale: any(e["station"] == scale for e in plant.saved()))
        else:
            if " verify " in text:
                reader.interrupt("gateway")
            code, said = reader.do(text)
            assert code == 0, said
            assert output is None or alike(said) == alike(reader.here(output))
            if " administrator " in text:
                reader.password = said.split(": ")[-1].strip()
            if text.endswith(" cuts"):
                cuts = [json.loads(line) for line in said.splitlines()]
    assert [len(cuts), len({cut["uuid"] for cut in cuts})] == plant.told() == [len(plant.saved())] * 2
    in_session = [cut for cut in cuts if cut["session"] == plant.session]
    assert {cut["device"] for cut in in_session} == {"SCALE-01"}
    assert any(cut["offline"] and cut["batch"] for cut in in_session)
    assert (reader.folder / "site.key").stat().st_mode & 0o777 == 0o600
    reader.interrupt("server")

"""What ends an edge's connection, and what it is told when notices were lost: in this process, with a database that is asked or away."""

import asyncio
import json
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from django.db import OperationalError

from plants import event
from scaleledger_server.edges.events import Result, Status
from scaleledger_server.errors import Refusal
from scaleledger_server.live import edge_socket as module
from scaleledger_server.live.edge_socket import edge_socket

EDGE = SimpleNamespace(pk="5f6c1a52-3f5e-4a57-9d0e-0d6d8f3b1c11", gateway_id=1)
REGISTER = {"type": "register", "payload": {}}


class SocketInMemory:
    """An edge's socket: registers, says what it is given, and keeps what it was told."""

    def __init__(self, *said, registers=True):
        self._said = asyncio.Queue()
        self._said.put_nowait({"type": "websocket.connect"})
        for message in ([REGISTER] if registers else []) + list(said):
            self.say(message)
        self.told, self.closed = asyncio.Queue(), asyncio.Queue()

    def say(self, message):
        self._said.put_nowait({"type": "websocket.receive", "text": json.dumps(message)})

    async def receive(self):
        return await self._said.get()

    def unread(self):
        """How many messages were not read yet."""
        return self._said.qsize()

    async def send(self, message):
        if message["type"] == "websocket.close":
            self.closed.put_nowait(message["code"])
        elif message["type"] == "websocket.send":
            self.told.put_nowait(json.loads(message["text"]))

    async def hear(self, type_):
        while (message := await self.told.get())["type"] != type_:
            pass
        return message["payload"]


class WireThatPassesOnAtOnce:
    def __init__(self):
        self.callbacks, self.restored = [], []

    def join(self, group, callback):
        self.callbacks.append((group, callback))

    def leave(self, group, callback):
        self.callbacks.remove((group, callback))

    def on_restored(self, callback):
        self.restored.append(callback)

    def forget_restored(self, callback):
        self.restored.remove(callback)

    def post(self, group, message):
        for joined, callback in tuple(self.callbacks):
            if joined == group:
                callback(message)


class Answers:
    """Stands for the database: what each question is answered with; an exception is raised."""

    def __init__(self, monkeypatch):
        self.sessions = {"sessions": [], "ended": []}
        self.known = self.admit = EDGE
        self.taken = lambda values: [Result(one["localEventId"], Status.ACCEPTED) for one in values]
        monkeypatch.setattr(module.centre, "ask", self.ask)
        monkeypatch.setattr(module.edges, "registered_body", lambda edge: {"edgeId": str(edge.pk)})

    async def ask(self, question, *arguments):
        answer = {
            "admit": lambda: self.admit,
            "still_known": lambda: self.known,
            "sessions": lambda: self.sessions,
            "take": lambda: self.taken(arguments[1]),
        }[question.__name__]()
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def answers(monkeypatch):
    return Answers(monkeypatch)


@asynccontextmanager
async def connected(socket, wire):
    scope = {"headers": [], "client": ("192.0.2.7", 1), "state": {"switchboard": wire}}
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(edge_socket(scope, socket.receive, socket.send))
        yield task
        task.cancel()
    assert wire.callbacks == wire.restored == []


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (Refusal(401, "invalid_edge", ""), 4401), (Refusal(403, "not_approved", ""), 4403),
        (Refusal(429, "rate_limited", ""), 1013), (OperationalError("away"), 1013),
    ],
)  # fmt: skip
async def test_who_may_not_be_here_is_told_by_the_close_code(answers, failure, code):
    answers.admit = failure
    socket = SocketInMemory()
    async with connected(socket, WireThatPassesOnAtOnce()):
        assert await socket.closed.get() == code


async def test_while_the_database_is_away_nothing_is_answered_and_the_edge_comes_again(answers):
    answers.taken = lambda _values: OperationalError("away")
    socket = SocketInMemory({"type": "event", "payload": event(1)})
    async with connected(socket, WireThatPassesOnAtOnce()):
        assert await socket.closed.get() == 1013
    types = [socket.told.get_nowait()["type"] for _ in range(socket.told.qsize())]
    assert set(types) <= {"edge_registered", "session_list"}


async def test_an_edge_that_answers_no_ping_is_ended(answers, monkeypatch):
    monkeypatch.setattr(module, "PING_S", 0.05)
    monkeypatch.setattr(module, "PONG_WITHIN_S", 0.1)
    socket = SocketInMemory()
    async with connected(socket, WireThatPassesOnAtOnce()):
        assert await socket.hear("ping") == {}
        socket.say({"type": "pong", "payload": {}})
        assert await socket.hear("ping") == {}
        assert await socket.closed.get() == 4000


async def test_an_edge_that_never_registers_is_ended(answers, monkeypatch):
    monkeypatch.setattr(module, "REGISTER_WITHIN_S", 0.05)
    socket = SocketInMemory(registers=False)
    async with connected(socket, WireThatPassesOnAtOnce()):
        assert await socket.closed.get() == 4400


async def test_a_line_between_the_workers_that_was_away_costs_no_session(answers):
    """What was said meanwhile is lost; afterwards the whole list says it."""
    wire, socket = WireThatPassesOnAtOnce(), SocketInMemory()
    async with connected(socket, wire):
        assert await socket.hear("session_list") == {"sessions": [], "ended": []}
        answers.sessions = {"sessions": [{"cloudSessionId": "a"}], "ended": []}
        for callback in tuple(wire.restored):
            callback()
        assert (await socket.hear("session_list"))["sessions"] == [{"cloudSessionId": "a"}]


async def test_a_notice_that_was_lost_is_made_good_by_the_next_look(answers, monkeypatch):
    monkeypatch.setattr(module, "RECHECK_S", 0.05)
    socket = SocketInMemory()
    async with connected(socket, WireThatPassesOnAtOnce()):
        await socket.hear("session_list")
        answers.sessions = {"sessions": [{"cloudSessionId": "a"}], "ended": []}
        assert (await socket.hear("session_list"))["sessions"] == [{"cloudSessionId": "a"}]
        answers.known = Refusal(403, "not_approved", "")
        assert await socket.closed.get() == 4403


async def test_more_notices_than_can_wait_become_the_whole_list(answers):
    wire, socket = WireThatPassesOnAtOnce(), SocketInMemory()
    async with connected(socket, wire):
        await socket.hear("session_list")
        for number in range(1000):
            started = {"type": "session_started", "payload": {"cloudSessionId": str(number)}}
            wire.post("gateway.1", {"type": "gateway.say", "message": started})
        await socket.hear("session_list")
        wire.post("gateway.1", {"type": "gateway.say", "message": {"type": "SCAN"}})
        wire.post("edges", {"type": "gateway.say", "message": {"type": "plu_updated", "payload": {"version": "7"}}})
        assert await socket.hear("plu_updated") == {"version": "7"}


async def test_of_two_connections_the_older_one_ends_though_it_was_let_in_later(answers, monkeypatch):
    lookups = [asyncio.Event(), asyncio.Event()]
    asked, answer = iter(lookups), answers.ask

    async def ask(question, *arguments):
        if question.__name__ == "admit":
            await next(asked).wait()
        return await answer(question, *arguments)

    monkeypatch.setattr(module.centre, "ask", ask)
    wire, older, newer = WireThatPassesOnAtOnce(), SocketInMemory(), SocketInMemory()
    scope = {"headers": [], "client": None, "state": {"switchboard": wire}}
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        running = []
        for socket in (older, newer):
            running.append(tasks.create_task(edge_socket(scope, socket.receive, socket.send)))
            await asyncio.sleep(0)
        for lookup, socket in zip(reversed(lookups), (newer, older), strict=True):
            lookup.set()
            await socket.hear("edge_registered")
        assert await older.closed.get() == 4409
        assert newer.closed.empty()
        for task in running:
            task.cancel()


async def test_while_much_waits_an_edge_is_not_read_on(answers, monkeypatch):
    """A backlog that comes faster than it is stored waits at the edge, not in this process's memory."""
    stored = asyncio.Event()
    answer = answers.ask

    async def ask(question, *arguments):
        if question.__name__ == "take":
            await stored.wait()
        return await answer(question, *arguments)

    monkeypatch.setattr(module.centre, "ask", ask)
    batch = {"type": "event_batch", "payload": {"events": [event(number) for number in range(500)]}}
    socket = SocketInMemory(*[batch] * 40)
    async with connected(socket, WireThatPassesOnAtOnce()):
        await socket.hear("session_list")
        left = -1
        while left != (left := socket.unread()):
            await asyncio.sleep(0.05)
        assert 40 - left <= module.WAITING_MAX / 500 + 3
        stored.set()
        for _ in range(40 * 500):
            await socket.hear("event_ack")

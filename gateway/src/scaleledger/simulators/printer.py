"""A label or slip printer on a real TCP port, with the faults that real ones have; it keeps what came out of it.

It takes bytes into a buffer, prints label after label (`PRINT` ends one in TSPL, the cut in ESC/POS), answers status
questions between them without waiting for its turn, and serves one connection at a time, as printers do.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Self

from scaleledger.domain.printing import Fault

_TSPL_BITS = {
    Fault.HEAD_OPEN: 0x01,
    Fault.PAPER_JAM: 0x02,
    Fault.NO_PAPER: 0x04,
    Fault.NO_RIBBON: 0x08,
    Fault.PAUSED: 0x10,
}
_PRINTING = 0x20
_QUESTIONS = {
    "tspl": (b"\x1b!?", b"\x1b!S", b"~!T"),
    "escpos": (b"\x10\x04\x01", b"\x10\x04\x02", b"\x10\x04\x04"),
}
_ENDS = {"tspl": b"PRINT ", "escpos": b"\x1dV\x00"}
READ_SIZE, BUFFER_MAX = 4096, 4_000_000


@dataclass(slots=True)
class PrinterFaults:
    """What is wrong with it; may be changed while it runs. Times in seconds.

    `lost_answers`: so many status questions from now on stay unanswered. `dies_after`: it resets the connection when it has
    taken so many bytes of a job, with `prints_then` of what it took printed. `answers_details`: whether it knows ESC ! S.
    `other_job`: somebody else's job keeps it busy.
    """

    stopped: set[Fault] = field(default_factory=set)
    paper_low: bool = False
    lost_answers: int = 0
    dies_after: int | None = None
    prints_then: bool = False
    label_s: float = 0.0
    other_job: bool = False
    answers_details: bool = True


class PrinterSimulator:
    """Use as `async with`. `printed` holds the labels that came out, each with its bytes; `received` all job bytes."""

    def __init__(self, language: str = "tspl", faults: PrinterFaults | None = None, *, port: int = 0) -> None:
        self.language, self.faults = language, faults or PrinterFaults()
        self.printed: list[bytes] = []
        self.received = bytearray()
        self.connections = self.questions = 0
        self.port = port
        self._waiting = bytearray()
        self._news = asyncio.Event()
        self._turn = asyncio.Lock()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._printing = False
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.switch_on()
        self._tasks.add(asyncio.create_task(self._print()))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.switch_off()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def switch_on(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def switch_off(self) -> None:
        """Refuse connections, break those that stand, and forget what was not printed."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self._break()
        await asyncio.sleep(0)

    def mend(self) -> None:
        """A person loads paper and closes everything."""
        self.faults.stopped.clear()
        self._news.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self._turn:
            self.connections += 1
            self._writers.add(writer)
            try:
                while chunk := await reader.read(READ_SIZE):
                    if not self._take(chunk, writer):
                        return
            except OSError:
                return
            finally:
                self._writers.discard(writer)
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    def _take(self, chunk: bytes, writer: asyncio.StreamWriter) -> bool:
        """Part questions from the job; False when it dies of it."""
        while chunk:
            found = [(at, question) for question in _QUESTIONS[self.language] if (at := chunk.find(question)) >= 0]
            at, question = min(found, default=(len(chunk), b""))
            self._buffer(chunk[:at])
            if self.faults.dies_after is not None and len(self.received) >= self.faults.dies_after:
                self.faults.dies_after = None
                if self.faults.prints_then:
                    self.printed.append(bytes(self._waiting))
                self._break()
                return False
            if question:
                self._answer(question, writer)
            chunk = chunk[at + len(question) :]
        return True

    def _buffer(self, data: bytes) -> None:
        assert len(self._waiting) + len(data) <= BUFFER_MAX, "no printer is sent so much at once"
        self.received += data
        self._waiting += data
        self._news.set()

    def _break(self) -> None:
        self._waiting.clear()
        for writer in self._writers:
            writer.transport.abort()

    def _answer(self, question: bytes, writer: asyncio.StreamWriter) -> None:
        self.questions += 1
        if self.faults.lost_answers > 0:
            self.faults.lost_answers -= 1
            return
        if self.language == "tspl":
            writer.write(self._tspl(question))
        else:
            writer.write(bytes([0x12 | self._escpos(question[-1])]))

    @property
    def _busy(self) -> bool:
        return self.faults.other_job or self._printing or self._whole() is not None

    def _tspl(self, question: bytes) -> bytes:
        if question == b"~!T":
            return b"SIM-TSPL\r\n"
        bits = sum(_TSPL_BITS[fault] for fault in self.faults.stopped)
        if question == b"\x1b!?":
            return bytes([bits or (_PRINTING if self._busy else 0)])
        if not self.faults.answers_details:
            return b""
        paper = 0x40 | (0x01 if Fault.NO_PAPER in self.faults.stopped else 0)
        message = ord("P") if self._busy else ord("@")
        return bytes([0x02, message, 0x41 if self.faults.paper_low else 0x40, 0x40, paper, 0x03, 0x0D, 0x0A])

    def _escpos(self, number: int) -> int:
        no_paper, is_open = Fault.NO_PAPER in self.faults.stopped, Fault.HEAD_OPEN in self.faults.stopped
        return {
            1: 0x08 if self.faults.stopped else 0,
            2: (0x20 if no_paper else 0) | (0x04 if is_open else 0),
            4: (0x60 if no_paper else 0) | (0x0C if self.faults.paper_low else 0),
        }[number]

    def _whole(self) -> int | None:
        """Where the first whole label in the buffer ends."""
        end = _ENDS[self.language]
        at = self._waiting.find(end)
        if at < 0:
            return None
        if self.language == "escpos":
            return at + len(end)
        line = self._waiting.find(b"\r\n", at)  # with LF alone nothing is printed
        return None if line < 0 else line + 2

    async def _print(self) -> None:
        while True:
            end = None if self.faults.stopped else self._whole()
            if end is None:
                self._news.clear()
                await self._news.wait()
                continue
            label = bytes(self._waiting[:end])
            del self._waiting[:end]
            self._printing = True
            await asyncio.sleep(self.faults.label_s)
            self._printing = False
            self.printed.append(label)

"""A network printer on its raw port (9100): one connection for one look or one job, closed behind it.

The printer serves one connection at a time, and its answers carry no number. So a question that got no answer may still be
answered later; nobody takes that answer for another one's as long as all questions of a connection ask the same.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from scaleledger.domain.errors import LinkError
from scaleledger.printing.question import Question

T = TypeVar("T")
CONNECT_S, ANSWER_S, STALL_S, CLOSE_S = 5.0, 3.0, 600.0, 2.0
ANSWER_MAX, CHUNK = 256, 4096
KEEPALIVE = {"TCP_KEEPIDLE": 20, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4}


class PrinterLine:
    """An open connection to a printer. Every call raises LinkError, in words, when the printer does not do its part."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answer_s: float, stall_s: float
    ) -> None:
        self._reader, self._writer = reader, writer
        self._answer_s, self._stall_s = answer_s, stall_s

    async def ask(self, question: Question[T]) -> T:
        """The printer's answer."""
        heard = b""
        try:
            async with asyncio.timeout(self._answer_s):
                self._writer.write(question.send)
                await self._writer.drain()
                while True:
                    chunk = await self._reader.read(ANSWER_MAX)
                    if not chunk:
                        raise LinkError("the printer closed the connection")
                    heard = (heard + chunk)[-ANSWER_MAX:]
                    if (answer := question.read(heard)) is not None:
                        return answer
        except TimeoutError:
            raise LinkError(f"the printer did not answer within {self._answer_s:g} s") from None
        except OSError as fault:
            raise LinkError(f"the connection to the printer failed: {fault}") from fault

    async def send(self, content: bytes) -> None:
        """Hand all of `content` to the network. A printer that takes none of it for long (ten minutes) is given up.

        After a LinkError any part of it may have been taken.
        """
        try:
            for start in range(0, len(content), CHUNK):
                async with asyncio.timeout(self._stall_s):
                    self._writer.write(content[start : start + CHUNK])
                    await self._writer.drain()
        except TimeoutError:
            raise LinkError(f"the printer has taken no bytes for {self._stall_s:g} s") from None
        except OSError as fault:
            raise LinkError(f"the connection to the printer failed: {fault}") from fault

    async def close(self) -> None:
        """Let the printer go; what is queued may still leave, for a moment."""
        self._writer.close()
        with contextlib.suppress(OSError):  # TimeoutError is one
            async with asyncio.timeout(CLOSE_S):
                await self._writer.wait_closed()


@asynccontextmanager
async def connected(
    host: str, port: int, *, connect_s: float = CONNECT_S, answer_s: float = ANSWER_S, stall_s: float = STALL_S
) -> AsyncIterator[PrinterLine]:
    """A connection to the printer at `host`:`port`. Raises LinkError, in words, when there is none to be had."""
    try:
        async with asyncio.timeout(connect_s):
            reader, writer = await asyncio.open_connection(host, port, limit=ANSWER_MAX)
    except OSError as fault:
        raise LinkError(_in_words(host, port, fault)) from fault
    line = PrinterLine(reader, writer, answer_s=answer_s, stall_s=stall_s)
    _keep_alive(writer)
    try:
        yield line
    finally:
        await line.close()


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    """Find printers that lost their power; without the limit on unsent bytes, as one without paper may take none for long."""
    sock: socket.socket = writer.get_extra_info("socket")
    writer.transport.set_write_buffer_limits(high=0)
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEPALIVE.items():
            if (option := getattr(socket, name, None)) is not None:
                sock.setsockopt(socket.IPPROTO_TCP, option, value)


def _in_words(host: str, port: int, fault: OSError) -> str:
    if isinstance(fault, socket.gaierror):
        return f"the name {host} cannot be resolved: check it, or use the printer's address"
    if isinstance(fault, TimeoutError):
        return f"{host}:{port} does not answer: is the printer on, and in this network?"
    if isinstance(fault, ConnectionRefusedError):
        return f"{host}:{port} refuses the connection: is the port right, and no other program connected to it?"
    return f"cannot connect to {host}:{port}: {fault}"

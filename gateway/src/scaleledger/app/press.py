"""One job on one printer: asked first, sent once, watched until it came out.

Before the first byte anything may be tried again; after it, nothing is. Between the two stands `begin`, which makes it
durable that bytes may have gone out.
"""

import asyncio
from collections.abc import Awaitable, Callable

from scaleledger.app.print_ports import Line, Pace
from scaleledger.domain.errors import LinkError
from scaleledger.domain.printing import Condition, PrinterState
from scaleledger.printing.question import Question

Hear = Callable[[PrinterState], None]


class NotYet(Exception):
    """Nothing was sent; the message says what the job waits for."""


class Doubtful(Exception):
    """Bytes may have gone out, and nobody knows whether the job did; the message says why."""


async def press(
    line: Line,
    status: Question[PrinterState],
    content: bytes,
    *,
    begin: Callable[[], Awaitable[None]],
    hear: Hear,
    pace: Pace,
) -> None:
    """Print `content`; returns when the printer said ready several times after it. `hear` is told each of its states.

    Raises NotYet or LinkError while nothing was sent (`begin` may raise NotYet too), Doubtful afterwards.
    """
    state = await line.ask(status)
    hear(state)
    for _ in range(pace.busy_polls):
        if state.condition is not Condition.PRINTING:
            break
        await asyncio.sleep(pace.poll_s)
        state = await line.ask(status)
        hear(state)
    if state.condition is not Condition.READY:
        raise NotYet(state.words)
    await begin()
    try:
        await line.send(content)
        await _come_out(line, status, hear, pace)
    except LinkError as fault:
        raise Doubtful(f"{fault}. It may have come out, or a part of it.") from fault


async def _come_out(line: Line, status: Question[PrinterState], hear: Hear, pace: Pace) -> None:
    """A printer that stopped (no paper) still holds the job: it is waited for. One that falls silent is not."""
    ready = unanswered = 0
    while ready < pace.ready_times:
        await asyncio.sleep(pace.poll_s)
        try:
            state = await line.ask(status)
        except LinkError:
            unanswered += 1
            if unanswered >= pace.asks:
                raise
            continue
        unanswered = 0
        hear(state)
        ready = ready + 1 if state.condition is Condition.READY else 0

"""The gateway that comes to mind first: a thread per port, pyserial's readline, a regular expression, a Decimal.

    python -m bench.arms.thread_per_port PORT ...          until SIGTERM

It only keeps the newest value of each port: no state machine, no ledger, no disk.
"""

import re
import signal
import sys
import threading
from decimal import Decimal

import serial

_LINE = re.compile(rb"(ST|US|OL) *, *(?:(GS|NT|TR),?)? *([+-]?) *([0-9.]+) *_?([a-z]+)")
Value = tuple[bool, Decimal, str]


def parse(line: bytes) -> Value | None:
    """Stable, weight and unit of one line."""
    match = _LINE.match(line)
    if match is None:
        return None
    number = Decimal((match[3] + match[4]).decode("ascii"))
    return match[1] == b"ST", number, match[5].decode("ascii")


class Newest:
    """The newest value of each port."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, Value] = {}

    def keep(self, port: str, value: Value) -> None:
        """Replace a port's value."""
        with self._lock:
            self._values[port] = value


def read(port: str, newest: Newest) -> None:
    """One port, for ever."""
    with serial.Serial(port, 9600, timeout=1) as device:
        while True:
            line = device.readline()
            value = parse(line)
            if value is not None:
                newest.keep(port, value)


def main() -> None:
    """A thread for each port."""
    newest = Newest()
    for port in sys.argv[1:]:
        threading.Thread(target=read, args=(port, newest), daemon=True).start()
    signal.sigwait({signal.SIGTERM})


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    main()

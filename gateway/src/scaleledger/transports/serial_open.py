"""Opening a serial port, and saying in words why one does not open. pyserial knows the settings; reading is ours."""

import contextlib
import errno
import os
import sys
from dataclasses import dataclass

import serial

from scaleledger.domain.errors import ScaleLedgerError
from scaleledger.transports.address import Address

if sys.platform == "win32":
    SETTINGS_ERROR: type[Exception] = ValueError
else:
    import termios

    SETTINGS_ERROR = termios.error

PARITIES = ("N", "E", "O", "M", "S")
FLOWS = ("none", "rtscts", "xonxoff")


class PortError(ScaleLedgerError):
    """A serial port cannot be opened as it is now; try again."""


@dataclass(frozen=True, slots=True)
class SerialSettings:
    """What a port is opened with. `port` is a device path, a stable by-id name, or COMn."""

    port: str
    baud: int = 9600
    bits: int = 8
    parity: str = "N"
    stop: float = 1
    flow: str = "none"

    @classmethod
    def of(cls, address: Address) -> "SerialSettings":
        """From `serial:///dev/ttyUSB0?baud=9600&bits=8&parity=N&stop=1&flow=none`; raises ValueError in words."""
        address.only("baud", "bits", "parity", "stop", "flow")
        target = address.target
        if target.upper().startswith("/COM"):
            target = target[1:]
        return cls(
            port=target,
            baud=address.count("baud", 9600, least=50, most=4_000_000),
            bits=address.count("bits", 8, least=5, most=8),
            parity=address.choice("parity", "N", PARITIES),
            stop=float(address.choice("stop", "1", ("1", "1.5", "2"))),
            flow=address.choice("flow", "none", FLOWS),
        )


def configure(settings: SerialSettings, read_timeout_s: float | None, write_timeout_s: float) -> serial.Serial:
    """Open a port for us alone, its input flushed. Raises PortError."""
    port = serial.Serial(
        baudrate=settings.baud,
        bytesize=settings.bits,
        parity=settings.parity,
        stopbits=settings.stop,
        rtscts=settings.flow == "rtscts",
        xonxoff=settings.flow == "xonxoff",
        timeout=read_timeout_s,
        write_timeout=write_timeout_s,
        exclusive=True if os.name == "posix" else None,
        # on POSIX this sets VMIN=1, so that "nothing there" (EAGAIN) differs from "unplugged" (no bytes)
        inter_byte_timeout=0 if os.name == "posix" else None,
    )
    port.port = settings.port
    try:
        port.open()
    except (OSError, ValueError, OverflowError, SETTINGS_ERROR) as fault:
        raise PortError(in_words(settings, fault)) from fault
    return port


def open_descriptor(settings: SerialSettings) -> int:
    """Open a port on POSIX; its non-blocking descriptor, exclusively locked. Raises PortError."""
    port = configure(settings, 0, 0)
    try:
        return os.dup(port.fileno())  # shares the lock and the settings; pyserial's four pipes are let go
    except OSError as fault:
        raise PortError(in_words(settings, fault)) from fault
    finally:
        port.close()


def close_descriptor(fd: int) -> None:
    """Close a port at once: bytes that the device did not take are dropped, else the kernel waits for them up to 30 s."""
    if sys.platform != "win32":
        with contextlib.suppress(termios.error):  # gone already
            termios.tcflush(fd, termios.TCOFLUSH)
        os.close(fd)


def in_words(settings: SerialSettings, fault: Exception) -> str:
    """What keeps a port from opening, and what to do."""
    port = settings.port
    code = error_number(fault)
    if code == errno.ENOENT or "FileNotFoundError" in str(fault):
        return f"no such port {port}: is the cable in? /dev/serial/by-id lists what is connected"
    if code in {errno.EAGAIN, errno.EBUSY} or (code is None and "PermissionError" in str(fault)):
        return f"{port} is used by another program: stop that program, or give this station another port"
    if code in {errno.EACCES, errno.EPERM}:
        return f"no permission for {port}: add the gateway's user to the group that owns it (often dialout)"
    if code in {errno.ENOTTY, errno.EISDIR}:
        return f"{port} is not a serial port: check the name"
    if code in {errno.EIO, errno.ENXIO, errno.ENODEV}:
        return f"{port} does not answer: its adapter was unplugged, or has failed"
    if code in {errno.EMFILE, errno.ENFILE}:
        return f"{port} cannot be opened: this process has too many files open"
    if isinstance(fault, ValueError | OverflowError) or code == errno.EINVAL:
        shown = f"{settings.baud} baud, {settings.bits} bits, parity {settings.parity}, stop {settings.stop:g}"
        return f"{port} cannot do {shown}: check these settings"
    return f"{port} cannot be opened: {fault}"


def error_number(fault: BaseException) -> int | None:
    """The errno in a fault, or in the one that it arose from (pyserial rewraps termios' own as text)."""
    if isinstance(fault, OSError) and fault.errno is not None:
        return fault.errno
    if isinstance(fault, SETTINGS_ERROR) and fault.args and isinstance(fault.args[0], int):
        return fault.args[0]
    return error_number(fault.__context__) if fault.__context__ is not None else None

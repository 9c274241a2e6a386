"""A pcscd of one's own with vpcd's virtual readers, for tests and figures (Linux, as root; Debian: :data:`INSTALL`).

A machine has one pcscd: where another runs, this one does not start.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from dualtap.errors import Code, TapError

DRIVER = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")
SOCKET = Path("/run/pcscd/pcscd.comm")
PATIENCE = 20.0
INSTALL = "apt-get install pcscd vsmartcard-vpcd"
_LOCK = "dualtap-pcscd.lock"


@dataclass(frozen=True, slots=True)
class Readers:
    """Two readers by their names in PC/SC, and where a virtual card for each connects."""

    names: tuple[str, str]
    addresses: tuple[str, str]


@contextmanager
def running() -> Generator[Readers]:
    """Run pcscd until the end of the ``with``. Raises ``BAD_INPUT`` where it cannot run, and says why."""
    daemon = shutil.which("pcscd")
    if daemon is None or not DRIVER.exists():
        raise TapError(Code.BAD_INPUT, f"pcscd and vpcd are not installed: {INSTALL}")
    with ExitStack() as stack:
        _claim(stack)
        port = _reserve(stack)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "vpcd").write_text(
            f'FRIENDLYNAME "Virtual PCD"\nDEVICENAME /dev/null:{port:#x}\nLIBPATH {DRIVER}\nCHANNELID {port:#x}\n'
        )
        log = stack.enter_context((folder / "log").open("wb"))
        command = [daemon, "--foreground", "--config", str(folder), "--force-reader-polling"]
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - nothing here is said by others
        stack.callback(_end, process)
        until = time.monotonic() + PATIENCE
        while not (answers() and _listening(port) and _listening(port + 1)):
            if process.poll() is not None or time.monotonic() > until:
                said = (folder / "log").read_text(errors="replace").strip()
                raise TapError(Code.BAD_INPUT, f"pcscd does not start: {said}")
            os.sched_yield()
        yield Readers(
            ("Virtual PCD 00 00", "Virtual PCD 00 01"), (f"127.0.0.1:{port}", f"127.0.0.1:{port + 1}")
        )  # fmt: skip


def answers() -> bool:
    """Tell whether a pcscd listens at its socket."""
    with closing(socket.socket(socket.AF_UNIX)) as sock:
        return sock.connect_ex(str(SOCKET)) == 0


def _claim(stack: ExitStack) -> None:
    """Take the one place of pcscd's socket."""
    try:
        lock = stack.enter_context((Path(tempfile.gettempdir()) / _LOCK).open("w"))
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if answers():
            raise TapError(Code.BAD_INPUT, "another pcscd runs on this machine: stop it, there can be one only")
        SOCKET.parent.mkdir(exist_ok=True)
        SOCKET.unlink(missing_ok=True)
    except BlockingIOError:
        raise TapError(Code.BAD_INPUT, "another program here runs a pcscd of its own: wait for it") from None
    except OSError as error:
        raise TapError(Code.BAD_INPUT, f"a pcscd of one's own needs root: {error}") from error


def _reserve(stack: ExitStack) -> int:
    """Return the first of two free ports in a row, held so that nobody else is given them.

    A port that is bound, and not listening, may be bound by vpcd too, as both ask for it by SO_REUSEADDR.
    """
    while True:
        first, second = stack.enter_context(closing(socket.socket())), stack.enter_context(closing(socket.socket()))
        for sock in (first, second):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        first.bind(("0.0.0.0", 0))  # noqa: S104 - not to listen: so does vpcd
        port: int = first.getsockname()[1]
        try:
            second.bind(("0.0.0.0", port + 1))  # noqa: S104 - as above
        except OSError:
            continue
        return port


def _listening(port: int) -> bool:
    """Tell whether something listens at a port, without connecting to it: vpcd would take that for a card."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(fields[1].endswith(f":{port:04X}") and fields[3] == "0A" for fields in map(str.split, lines))


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop the daemon that was started here."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    SOCKET.unlink(missing_ok=True)

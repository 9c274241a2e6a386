"""A pcscd of the tests' own, with vpcd's virtual reader at ports that were free."""

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

from dualtap_transports.foreign import scard

DRIVER = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")
SOCKET = Path("/run/pcscd/pcscd.comm")
LOCK = Path("/tmp/dualtap-pcscd.lock")
PATIENCE = 20.0
INSTALL = "apt-get install pcscd vsmartcard-vpcd opensc pcsc-tools"


@dataclass(frozen=True)
class Pcscd:
    """Two readers, and where a virtual card for each connects."""

    readers: tuple[str, str]
    addresses: tuple[str, str]

    def events(self, reader: str) -> int:
        """Return how often a card was put into a reader or taken out, as far as pcscd has noticed."""
        service = scard()
        _, context = service.SCardEstablishContext(service.SCARD_SCOPE_USER)
        try:
            _, states = service.SCardGetStatusChange(context, 0, [(reader, service.SCARD_STATE_UNAWARE)])
        finally:
            service.SCardReleaseContext(context)
        return states[0][1] >> 16

    def settle(self) -> None:
        """Wait until pcscd has noticed that both readers are empty: each card that went in has come out."""
        for reader in self.readers:
            self.wait_for(reader, self.events(reader) + 1 & ~1)

    def wait_for(self, reader: str, events: int) -> None:
        """Wait until pcscd, which looks from time to time, has noticed so many events.

        A card that follows another too soon after an error is never noticed at all.
        """
        service = scard()
        _, context = service.SCardEstablishContext(service.SCARD_SCOPE_USER)
        until = time.monotonic() + PATIENCE
        state = service.SCARD_STATE_UNAWARE
        try:
            while state >> 16 < events:
                assert time.monotonic() < until, f"pcscd noticed {state >> 16} events of {events}"
                _, states = service.SCardGetStatusChange(context, 1000, [(reader, state)])
                state = states[0][1]
        finally:
            service.SCardReleaseContext(context)


@contextmanager
def running() -> Generator[Pcscd]:
    """Run pcscd, alone on this machine: its socket has one place."""
    if not (shutil.which("pcscd") and DRIVER.exists()):
        raise AssertionError(f"these tests need pcscd and vpcd: {INSTALL}")
    with ExitStack() as stack:
        lock = stack.enter_context(LOCK.open("w"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AssertionError("other tests have pcscd: run these in one process") from None
        if answers():
            raise AssertionError("another pcscd runs on this machine: stop it, there can be one only")
        port = reserve(stack)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "vpcd").write_text(
            f'FRIENDLYNAME "Virtual PCD"\nDEVICENAME /dev/null:{port:#x}\nLIBPATH {DRIVER}\nCHANNELID {port:#x}\n'
        )
        SOCKET.parent.mkdir(exist_ok=True)
        SOCKET.unlink(missing_ok=True)
        log = stack.enter_context((folder / "log").open("wb"))
        process = subprocess.Popen(
            ["pcscd", "--foreground", "--config", str(folder), "--force-reader-polling"], stdout=log, stderr=log
        )
        stack.callback(end, process)
        until = time.monotonic() + PATIENCE
        while not (answers() and listening(port) and listening(port + 1)):
            if process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"pcscd does not start: {(folder / 'log').read_text(errors='replace')}")
            os.sched_yield()
        yield Pcscd(("Virtual PCD 00 00", "Virtual PCD 00 01"), (f"127.0.0.1:{port}", f"127.0.0.1:{port + 1}"))


def reserve(stack: ExitStack) -> int:
    """Return the first of two free ports in a row, held so that nobody else is given them.

    A port that is bound, and not listening, may be bound by vpcd too, as both ask for it by SO_REUSEADDR.
    """
    while True:
        first, second = stack.enter_context(closing(socket.socket())), stack.enter_context(closing(socket.socket()))
        for sock in (first, second):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        first.bind(("0.0.0.0", 0))
        port: int = first.getsockname()[1]
        try:
            second.bind(("0.0.0.0", port + 1))
        except OSError:
            continue
        return port


def answers() -> bool:
    """Tell whether a pcscd listens at its socket."""
    with closing(socket.socket(socket.AF_UNIX)) as sock:
        return sock.connect_ex(str(SOCKET)) == 0


def listening(port: int) -> bool:
    """Tell whether something listens at a port, without connecting to it: vpcd would take that for a card."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(fields[1].endswith(f":{port:04X}") and fields[3] == "0A" for fields in map(str.split, lines))


def end(process: subprocess.Popen[bytes]) -> None:
    """Stop the daemon that was started here."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    SOCKET.unlink(missing_ok=True)

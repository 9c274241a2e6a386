"""Starts the service on two listeners, and stops it when told: syncs that are open end first."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from dualtap import limits
from dualtap.errors import Code, TapError
from dualtap_issuer.service.admin import Guarded, admin
from dualtap_issuer.service.clerk import Clerk, OpenLedger
from dualtap_issuer.service.desk import Desk
from dualtap_issuer.service.devices import devices
from dualtap_issuer.service.http import Guard
from dualtap_issuer.service.journal import Journal
from dualtap_issuer.service.logs import Forward, Say
from dualtap_issuer.service.metrics import Metrics
from dualtap_issuer.service.patience import patient
from dualtap_issuer.service.settings import Settings


@dataclass(frozen=True, slots=True)
class Plan:
    """Where to listen (``HOST:PORT``, port 0 for a free one), and the files of the administration."""

    listen: str
    admin: str
    token: Path
    journal: Path
    settings: Settings = field(default_factory=Settings)


class _Server(uvicorn.Server):
    """A server that leaves signals to this module, which has two servers to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def today() -> int:
    """Return this machine's epoch: whole days since 1970."""
    return int(time.time()) // limits.EPOCH_SECONDS


def token_of(path: Path) -> bytes:
    """Return the token of administrative calls, made and written at the first time; raise ``BAD_INPUT`` for none."""
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
    except FileExistsError:
        pass
    except OSError as error:
        raise TapError(Code.BAD_INPUT, f"cannot write {path}: {error.strerror}") from error
    token = path.read_bytes().strip()
    if len(token) < 32 or not token.isascii():
        raise TapError(Code.BAD_INPUT, f"{path} holds no token of at least 32 characters; remove it for a new one")
    return token


def bind(address: str) -> socket.socket:
    """Return a socket that listens at ``HOST:PORT``; raise ``BAD_INPUT``."""
    host, _, port = address.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise TapError(Code.BAD_INPUT, f"{address!r} is not HOST:PORT, such as 127.0.0.1:8080")
    bare = host.removeprefix("[").removesuffix("]")
    bound = socket.socket(socket.AF_INET6 if ":" in bare else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # asyncio sets this only where a socket names its protocol, and Nagle costs each answer 40 ms.
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bound.bind((bare, int(port)))
        bound.listen(256)
    except OSError as error:
        bound.close()
        raise TapError(Code.BAD_INPUT, f"cannot listen at {address}: {error.strerror or error}") from error
    return bound


def address_of(bound: socket.socket) -> str:
    """Return the address at which a socket is reached."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(open_ledger: OpenLedger, plan: Plan, ready: Callable[[str, str], None], say: Say) -> None:
    """Serve until SIGTERM or SIGINT. ``ready`` is told both addresses, of devices and of the administration."""
    forward = Forward(say)
    for name in ("uvicorn", "uvicorn.error", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [forward] if name != "uvicorn.error" else [], name == "uvicorn.error"
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(bind(address)) for address in (plan.listen, plan.admin)]
        journal = Journal(plan.journal)
        stack.callback(journal.close)
        asyncio.run(_serve(open_ledger, plan, sockets, journal, ready, say))


async def _serve(
    open_ledger: OpenLedger,
    plan: Plan,
    sockets: list[socket.socket],
    journal: Journal,
    ready: Callable[[str, str], None],
    say: Say,
) -> None:
    settings, metrics = plan.settings, Metrics()
    clerk = Clerk(open_ledger, settings.waiting)
    reader = Clerk(open_ledger, settings.waiting)
    ledger = await clerk.start()
    try:
        guard = Guard(settings, metrics, say)
        desk = Desk(clerk, ledger.authority, settings, metrics, say, time.monotonic, today)
        metrics.gauge("dualtap_ledger_waiting", "Calls that wait for the ledger.", lambda: clerk.waiting)
        metrics.gauge(
            "dualtap_refused_statements", "Statements in uploads that were not genuine.", lambda: clerk.refused
        )
        guarded = Guarded(clerk, reader, journal, token_of(plan.token), settings)
        servers = [
            _Server(_config(app, settings))
            for app in (devices(desk, clerk, settings, guard), admin(guarded, desk, metrics, guard, today))
        ]
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        tasks = [
            asyncio.create_task(server.serve([bound])) for server, bound in zip(servers, sockets, strict=True)
        ]  # fmt: skip
        ready(address_of(sockets[0]), address_of(sockets[1]))
        say("serving", devices=address_of(sockets[0]), admin=address_of(sockets[1]))
        await asyncio.wait([*tasks, waiting := asyncio.create_task(stop.wait())], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        await _drain(desk, settings.draining)
        say("stopping", open=desk.open)
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*tasks)
    finally:
        await reader.stop()
        await clerk.stop()


async def _drain(desk: Desk, seconds: float) -> None:
    """Take no new syncs, and wait for those that are open, but not for ever."""
    desk.closing = True
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while desk.open:
                await asyncio.sleep(0.02)


def _config(app: Callable[..., Any], settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        lifespan="off",
        http=patient(settings),
        ws="none",
        loop="asyncio",
        timeout_keep_alive=int(settings.idle),
        timeout_graceful_shutdown=int(settings.draining),
        h11_max_incomplete_event_size=16 * 1024,
    )

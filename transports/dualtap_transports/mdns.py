"""The border to zeroconf: a local network's directory of devices that wait, by DNS-SD over multicast DNS.

zeroconf is not imported before it is used; a missing one is named with its extra.
"""

from __future__ import annotations

import importlib
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Condition
from types import ModuleType
from typing import Any, Protocol

from dualtap.errors import Code, TapError

SERVICE = "_dualtap._tcp.local."
"""What is looked for: the type of service, in the domain of the local link."""
MOST = 64
"""Names that are kept while looking: a network on which more devices wait is flooded."""
_RESOLVE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where the device of a name waits: addresses of IPv4, and a port."""

    addresses: tuple[str, ...]
    port: int


class Announced(Protocol):
    """A name that is announced until it is closed."""

    def close(self) -> None:
        """Take the announcement back; never raises. Idempotent."""
        ...


class Directory(Protocol):
    """Who waits on the local network. ``host`` is the address of the one interface to use; empty: all."""

    def announce(self, name: str, port: int, host: str) -> Announced:
        """Tell the network that the device called ``name`` waits at ``port``. Raises ``BAD_INPUT`` if it cannot."""
        ...

    def look(self, host: str, wanted: Callable[[Sequence[str]], bool], timeout: float | None) -> tuple[str, ...]:
        """Return the names that wait, in the order in which they were heard, once they are ``wanted``.

        Waits at most ``timeout`` seconds (``None``: without end), then returns what there is.
        """
        ...

    def resolve(self, name: str, host: str) -> Place | None:
        """Return where a name waits, if anybody tells."""
        ...


class Mdns:
    """The directory that zeroconf keeps."""

    def announce(self, name: str, port: int, host: str) -> Announced:
        """See :meth:`Directory.announce`."""
        library = _load("zeroconf")
        addresses = [host] if host else _addresses()
        responder = _open(library, host)
        try:
            info = library.ServiceInfo(
                SERVICE,
                f"{name}.{SERVICE}",
                port=port,
                server=f"{name}.local.",
                addresses=[socket.inet_aton(address) for address in addresses],
            )
            # The name is random: nobody else has it, and nobody is to be waited for who might.
            responder.register_service(info, cooperating_responders=True)
        except BaseException:
            responder.close()
            raise
        return _Registered(responder)

    def look(self, host: str, wanted: Callable[[Sequence[str]], bool], timeout: float | None) -> tuple[str, ...]:
        """See :meth:`Directory.look`."""
        library = _load("zeroconf")
        with _Open(_open(library, host)) as responder:
            heard = _Heard()
            browser = library.ServiceBrowser(responder, SERVICE, heard)
            try:
                return heard.wait(wanted, timeout)
            finally:
                browser.cancel()

    def resolve(self, name: str, host: str) -> Place | None:
        """See :meth:`Directory.resolve`."""
        library = _load("zeroconf")
        with _Open(_open(library, host)) as responder:
            info = responder.get_service_info(SERVICE, f"{name}.{SERVICE}", int(1000 * _RESOLVE_SECONDS))
        if info is None or not info.port:
            return None
        return Place(tuple(info.parsed_addresses(library.IPVersion.V4Only))[:MOST], int(info.port))


class _Heard:
    """What a browser hears: zeroconf calls this from a thread of its own."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._names: dict[str, None] = {}

    def wait(self, wanted: Callable[[Sequence[str]], bool], timeout: float | None) -> tuple[str, ...]:
        with self._changed:
            self._changed.wait_for(lambda: wanted(tuple(self._names)), timeout)
            return tuple(self._names)

    def add_service(self, responder: object, kind: str, name: str) -> None:
        del responder, kind
        with self._changed:
            if len(self._names) < MOST:
                self._names[name.removesuffix(f".{SERVICE}")] = None
            self._changed.notify_all()

    def remove_service(self, responder: object, kind: str, name: str) -> None:
        del responder, kind
        with self._changed:
            self._names.pop(name.removesuffix(f".{SERVICE}"), None)
            self._changed.notify_all()

    def update_service(self, responder: object, kind: str, name: str) -> None:
        del responder, kind, name


class _Registered:
    def __init__(self, responder: Any) -> None:
        self._responder = responder

    def close(self) -> None:
        with suppress(Exception):  # the network may be gone, and nothing is left to do about it
            self._responder.close()


class _Open:
    def __init__(self, responder: Any) -> None:
        self._responder = responder

    def __enter__(self) -> Any:
        return self._responder

    def __exit__(self, *_: object) -> None:
        with suppress(Exception):
            self._responder.close()


def _open(library: ModuleType, host: str) -> Any:
    where: object = [host] if host else library.InterfaceChoice.All
    try:
        return library.Zeroconf(interfaces=where, ip_version=library.IPVersion.V4Only)
    except (OSError, ValueError, RuntimeError) as error:
        raise TapError(Code.BAD_INPUT, f"no multicast DNS on {host or 'this network'}: {error}; use tcp:") from error


def _addresses() -> list[str]:
    """Return this machine's addresses of IPv4, the loopback's only where it has no other."""
    found = [
        address.ip
        for adapter in _load("ifaddr").get_adapters()
        for address in adapter.ips
        if isinstance(address.ip, str)
    ]
    return [address for address in found if not address.startswith("127.")] or found


def _load(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise TapError(Code.BAD_INPUT, f"lan: needs the extra 'lan': pip install 'dualtap[lan]' ({error})") from error

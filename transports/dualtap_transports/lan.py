"""Two machines on one network find each other: ``lan:new`` waits, ``lan:TEXT`` or ``lan:any`` connects (SPEC §19.1).

TEXT is what the waiting device shows: the beginning of the name of its announcement, which names the key that will
answer. ``any`` takes whoever waits, if it is one alone; then two people must compare a code. ``@ADDRESS`` at the end
names the one interface to use.
"""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from dualtap.errors import Code, TapError
from dualtap.session import NO_HANDOVER, Handover
from dualtap.suite import sha256

from .handover import IDENT, HandedOver
from .link import Link
from .mdns import Announced, Directory, Mdns
from .nearness import NETWORK_SECONDS
from .tcp import SCHEME as TCP
from .tcp import TcpListener, parse_address

NEW, ANY = "new", "any"
TYPED = 12
"""Characters of a name, of 5 bits, that a person types at least: 60 bits, too many to find a key for in a minute."""
NAME = 26
"""Characters of a whole name."""
GATHER_SECONDS = 1.0
"""Seconds for which ``any`` listens for a second device after the first."""
_SAID = b"dualtap lan 1"


@runtime_checkable
class Compared(Protocol):
    """A link about whose other end only people can be sure, by comparing the code that both screens show."""

    @property
    def compare(self) -> bool:
        """Whether they have to."""
        ...


def compares(link: object) -> bool:
    """Tell whether people must compare a code before a payment over this link."""
    return isinstance(link, Compared) and link.compare


def name_of(ident: bytes) -> str:
    """Return the name under which the device waits whose key ``ident`` names."""
    return base64.b32encode(ident).decode("ascii").rstrip("=").lower()


def ident_of(name: str) -> bytes:
    """Return the ident of a name; empty for a name that is none of ours."""
    try:
        ident = base64.b32decode(name.upper() + "=" * (-len(name) % 8))
    except ValueError:
        return b""
    return ident if len(ident) == IDENT and name_of(ident) == name else b""


def agreed(ident: bytes) -> Handover:
    """Return what both devices put into the transcript: the name, announced or typed (SPEC §19.1-3)."""
    return Handover(sha256(b"") + sha256(_SAID + ident), ident)


class LanLink(HandedOver):
    """A link over TCP to a device that an announcement introduced."""

    def __init__(self, link: Link, handover: Handover, compare: bool) -> None:
        super().__init__(link, handover)
        self._compare = compare

    @property
    def compare(self) -> bool:
        """Whether people have to compare the code that both screens show."""
        return self._compare


class LanListener:
    """A listener that is announced; see :class:`.handover.Introduces`. It owns its socket and the announcement."""

    def __init__(self, listener: TcpListener, directory: Directory, host: str) -> None:
        self._listener, self._directory, self._host = listener, directory, host
        self._ident = secrets.token_bytes(IDENT)
        self._announced: Announced | None = None

    @property
    def address(self) -> str:
        """What a peer's ``connect`` takes, and a person types."""
        name = name_of(self._ident)[:TYPED]
        text = "-".join(name[i : i + 4] for i in range(0, TYPED, 4))
        return f"{text}@{self._host}" if self._host else text

    def introduce(self, ident: bytes) -> Handover:
        """Name the key that will answer, and announce it."""
        self._ident = ident
        self._announce()
        return agreed(ident)

    def accept(self, timeout: float | None) -> LanLink:
        """Return the next link, announcing this device if nothing has; see :meth:`.link.Listener.accept`."""
        self._announce()
        return LanLink(self._listener.accept(timeout), NO_HANDOVER, compare=True)

    def close(self) -> None:
        """Take the announcement back and stop listening; see :meth:`.link.Listener.close`."""
        self._listener.close()
        if self._announced is not None:
            self._announced.close()

    def _announce(self) -> None:
        if self._announced is None:
            port = parse_address(self._listener.address)[1]
            self._announced = self._directory.announce(name_of(self._ident), port, self._host)


@dataclass(frozen=True, slots=True)
class LanScheme:
    """Opens links by name on the local network; see :class:`.link.Scheme`. ``clock`` gives seconds."""

    round_trip = NETWORK_SECONDS

    directory: Directory = field(default_factory=Mdns)
    clock: Callable[[], float] = time.monotonic

    def listen(self, address: str) -> LanListener:
        """Return a listener at any free port; see :meth:`.link.Scheme.listen`."""
        text, _, host = address.partition("@")
        if text != NEW:
            raise TapError(Code.BAD_INPUT, f"lan:{address}: whoever waits does so at lan:{NEW}, and shows its own text")
        return LanListener(TCP.listen(f"{host or '0.0.0.0'}:0"), self.directory, host)  # noqa: S104 - the network's

    def connect(self, address: str, timeout: float | None) -> LanLink:
        """Return a link to the device that shows ``address``; see :meth:`.link.Scheme.connect`."""
        text, _, host = address.partition("@")
        wanted = "".join(text.split()).replace("-", "").lower()
        if wanted != ANY and not (TYPED <= len(wanted) <= NAME and ident_of(wanted[:TYPED].ljust(NAME, "a"))):
            raise TapError(Code.BAD_INPUT, f"lan:{address}: name the text that the other device shows, or lan:{ANY}")
        deadline = None if timeout is None else self.clock() + timeout
        names = [name for name in self._look(wanted, host, timeout) if fits(name, wanted)]
        if not names:
            raise TapError(Code.LINK_LOST, f"nobody waits at lan:{address} on this network")
        if len(names) > 1:
            raise TapError(Code.BAD_INPUT, f"several devices wait: {', '.join(map(_shown, names[:8]))}; name one")
        place = self.directory.resolve(names[0], host)
        lost = TapError(Code.LINK_LOST, f"{_shown(names[0])} has gone")
        for where in place.addresses if place is not None else ():
            try:
                left = None if deadline is None else max(0.0, deadline - self.clock())
                link = TCP.connect(f"{where}:{place.port if place is not None else 0}", left)
            except TapError as error:
                lost = error
            else:
                return LanLink(link, agreed(ident_of(names[0])), compare=wanted == ANY)
        raise lost

    def _look(self, wanted: str, host: str, timeout: float | None) -> tuple[str, ...]:
        def found(names: Sequence[str]) -> bool:
            return any(fits(name, wanted) for name in names)

        def several(names: Sequence[str]) -> bool:
            return sum(fits(name, wanted) for name in names) > 1

        names = self.directory.look(host, found, timeout)
        return self.directory.look(host, several, GATHER_SECONDS) if wanted == ANY and found(names) else names


SCHEME = LanScheme()


def fits(name: str, wanted: str) -> bool:
    """Tell whether a name that was heard is one of ours, and is wanted."""
    return bool(ident_of(name)) and (wanted == ANY or name.startswith(wanted))


def _shown(name: str) -> str:
    return f"lan:{name[:TYPED]}"

"""A device under test, as the tests here reach it, and ours as one.

It is whatever speaks frames: bytes over a :class:`~dualtap_transports.link.Link`, a function, or an object that is
given frames and gives them. How it is made ready (its certificate, the date, its money) is for its author to write.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from dualtap.context import Order
from dualtap.errors import Code, TapError
from dualtap.issued import Token
from dualtap.limits import FULL, Profile
from dualtap.records import Funded, News
from dualtap_devices.driver import Driver
from dualtap_devices.keystore import MemoryKeystore
from dualtap_devices.slots import MemoryStore
from dualtap_devices.syncing import Issuer, sync
from dualtap_devices.wallet import Wallet
from dualtap_testing.seeded import STORE, SeededScheme
from dualtap_transports.link import Link


class Talker(Protocol):
    """One side of one tap: frames in, frames out. :class:`~dualtap_devices.driver.Driver` is one."""

    @property
    def ended(self) -> bool:
        """Whether it takes no more frames. One that cannot tell says ``False``."""
        ...

    def begin(self) -> Sequence[bytes]:
        """Start; return what it says first: the Hello of an initiator, nothing of a responder."""
        ...

    def receive(self, frame: bytes) -> Sequence[bytes]:
        """Take a frame; return what it says to it."""
        ...

    def stop(self, code: Code) -> None:
        """The link has gone."""
        ...


class Device(Protocol):
    """A device under test."""

    @property
    def public(self) -> bytes:
        """The public key of its wallet, which it has from the start."""
        ...

    def load(self, news: News, tokens: tuple[Token, ...]) -> None:
        """Make it ready, and later give it more money: its certificate, the scheme's date and policy, its tokens."""
        ...

    def tap(self, order: Order, initiator: bool) -> Talker:
        """Begin a tap: to pay (``Pay``) or to collect (``Charge``), as the side that speaks first or the other."""
        ...


@runtime_checkable
class Restarts(Protocol):
    """A device whose power can be cut in a tap."""

    def restart(self) -> None:
        """Come back with what is in its flash and its chip, and nothing else."""
        ...


@runtime_checkable
class Syncs(Protocol):
    """A device that can sync."""

    def sync(self, issuer: Issuer) -> None:
        """Sync with this issuer (SPEC §14); it may deposit what it holds."""
        ...


@runtime_checkable
class Closes(Protocol):
    """A device that has something to let go of: a port, a process, a file."""

    def close(self) -> None:
        """The story is over, well or badly; the next one has a device of its own."""
        ...


class Spoken:
    """A :class:`Talker` of a function: given a frame, it answers with one, several, or none.

    For a responder, such as a card; ``stopped`` is called when the link has gone.
    """

    ended = False

    def __init__(
        self, answer: Callable[[bytes], bytes | Sequence[bytes] | None], stopped: Callable[[], None] = lambda: None
    ) -> None:
        self._answer, self._stopped = answer, stopped

    def begin(self) -> Sequence[bytes]:
        """Say nothing."""
        return ()

    def receive(self, frame: bytes) -> Sequence[bytes]:
        """Return the answer."""
        answer = self._answer(frame)
        return () if answer is None else (answer,) if isinstance(answer, bytes) else answer

    def stop(self, code: Code) -> None:
        """Tell of the end."""
        del code
        self._stopped()


class Linked:
    """A :class:`Talker` at the other end of a link: a device in a process, a simulator or a reader of its own.

    It is waited for at most ``patience`` seconds after each frame: in a tap the sides take turns, and a device that
    has nothing more to say closes its end.
    """

    def __init__(self, link: Link, initiator: bool, patience: float = 5.0) -> None:
        self._link, self._initiator, self._patience = link, initiator, patience
        self.ended = False

    def begin(self) -> Sequence[bytes]:
        """Return the Hello, if the device speaks first."""
        return self._next() if self._initiator else ()

    def receive(self, frame: bytes) -> Sequence[bytes]:
        """Send a frame; return the answer."""
        try:
            self._link.send(frame)
        except TapError:
            self.ended = True
            return ()
        return self._next()

    def stop(self, code: Code) -> None:
        """Close the link."""
        del code
        self.close()

    def close(self) -> None:
        """Close the link, and tell the device nothing else."""
        self._link.close()

    def _next(self) -> Sequence[bytes]:
        try:
            return (self._link.receive(self._patience),)
        except TapError as error:
            self.ended = error.code is not Code.TIMEOUT
            return ()


class Reference:
    """Our own device, in memory: what yours is compared with."""

    def __init__(self, scheme: SeededScheme, profile: Profile = FULL) -> None:
        """Draw a key; nothing of the scheme is known yet."""
        self._scheme, self._profile = scheme, profile
        self._keystore = MemoryKeystore(scheme.scheme, scheme.draw())
        self.wallet = self._opened(())

    def _opened(self, records: Sequence[bytes]) -> Wallet:
        store = MemoryStore.open(STORE)
        if records:
            store.append(records)
        return Wallet(self._scheme.scheme, self._profile, self._keystore, store)

    @property
    def public(self) -> bytes:
        """See :class:`Device`, as the rest."""
        return self._keystore.public

    def load(self, news: News, tokens: tuple[Token, ...]) -> None:
        """Write them to the log."""
        self.wallet.write(news, *(Funded(token) for token in tokens))

    def tap(self, order: Order, initiator: bool) -> Driver:
        """Begin a tap."""
        return self._scheme.driver(self.wallet, order, initiator)

    def restart(self) -> None:
        """Open the wallet anew, from what is in its store and its keystore."""
        self.wallet = self._opened(self.wallet.store.records)

    def sync(self, issuer: Issuer) -> None:
        """Sync, keeping what it holds."""
        sync(self.wallet, issuer, self._scheme.draw(), deposit=False)

"""What a transport is: a link that carries whole frames, and a scheme that opens links by address.

A device, the command line and the simulator know these protocols only. A transport is one module whose
``SCHEME`` is named by an entry point of the group ``dualtap.transports``; it owes its users
:data:`.contract.CONTRACT`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from dualtap.errors import Code, TapError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS = "dualtap.transports"
"""The entry-point group in which an installed package names its schemes."""


class Link(Protocol):
    """Two ends that exchange frames: whole messages of 1 to ``max_frame`` bytes, in order.

    One thread may send while another receives and a third closes; two threads may not receive at once. Every
    failure is a :class:`~dualtap.errors.TapError` with one of four codes: ``LINK_LOST``, ``TIMEOUT``,
    ``TOO_LARGE`` or ``MALFORMED``. The last two, when raised by :meth:`receive`, are final: the bytes that
    follow have no known boundary.
    """

    @property
    def max_frame(self) -> int:
        """The longest frame, in bytes, that :meth:`send` takes."""
        ...

    def send(self, frame: bytes) -> None:
        """Hand over one frame; to return says nothing of its arrival.

        Raises ``LINK_LOST`` after a close, ``MALFORMED`` for an empty frame, ``TOO_LARGE`` above
        :attr:`max_frame` (nothing was sent, the link lives on), and ``TIMEOUT`` if the peer takes nothing for
        so long that the link was given up. After the peer's close a send may succeed: only
        :meth:`receive` tells of the peer's end for certain.
        """
        ...

    def receive(self, timeout: float | None) -> bytes:
        """Return the next frame, waiting at most ``timeout`` seconds in total (``None``: without end).

        Raises ``TIMEOUT``, which loses nothing: a later call gets the frame, even one half arrived. Raises
        ``LINK_LOST`` after a close by this side at once, and after a close by the peer once every frame sent
        before it was received.
        """
        ...

    def close(self) -> None:
        """End the link, waking a thread that waits in it. To close again does nothing; it never raises."""
        ...


class AsyncLink(Protocol):
    """A :class:`Link` whose methods are awaited. A cancelled receive loses nothing."""

    @property
    def max_frame(self) -> int:
        """The longest frame, in bytes, that :meth:`send` takes."""
        ...

    async def send(self, frame: bytes) -> None:
        """Hand over one frame; see :meth:`Link.send`."""
        ...

    async def receive(self, timeout: float | None) -> bytes:
        """Return the next frame; see :meth:`Link.receive`."""
        ...

    async def close(self) -> None:
        """End the link; see :meth:`Link.close`."""
        ...


class Listener(Protocol):
    """Accepts links at an address."""

    @property
    def address(self) -> str:
        """The address really bound, without the scheme's name: what a peer's ``connect`` takes."""
        ...

    def accept(self, timeout: float | None) -> Link:
        """Return the next link, waiting at most ``timeout`` seconds (``None``: without end).

        Raises ``TIMEOUT``, or ``LINK_LOST`` once the listener is closed.
        """
        ...

    def close(self) -> None:
        """Stop listening, waking a thread that waits in it; links already accepted live on. Idempotent."""
        ...


@runtime_checkable
class Scheme(Protocol):
    """How one transport opens links. Addresses are the text after ``NAME:``."""

    def connect(self, address: str, timeout: float | None) -> Link:
        """Return a link to the listener at ``address``.

        Tries for ``timeout`` seconds in total (``None``: without end) while nobody listens there, so that a
        payer may start a moment before the payee. Raises ``BAD_INPUT`` for an address that cannot be meant,
        ``LINK_LOST`` if nobody listened, ``TIMEOUT`` if the peer never answered.
        """
        ...

    def listen(self, address: str) -> Listener:
        """Return a listener bound to ``address``. Raises ``BAD_INPUT`` if it is not free or not ours."""
        ...


def check_frame(frame: bytes, max_frame: int) -> None:
    """Raise ``MALFORMED`` for an empty frame, ``TOO_LARGE`` for one above ``max_frame`` bytes."""
    if not frame:
        raise TapError(Code.MALFORMED, "an empty frame")
    if len(frame) > max_frame:
        raise TapError(Code.TOO_LARGE, f"a frame of {len(frame)} bytes where {max_frame} fit")


def known_schemes() -> tuple[str, ...]:
    """Return the names of the installed schemes, sorted."""
    return tuple(sorted(_entry_points()))


def open_scheme(text: str) -> tuple[Scheme, str]:
    """Return the scheme that ``text`` names and the address that follows: ``"tcp:127.0.0.1:7000"``.

    Raises ``BAD_INPUT``, listing what is known, if the name is missing, unknown, or names something that does
    not load. The address itself is judged by the scheme's ``connect`` and ``listen``.
    """
    points = _entry_points()
    known = f"known transports: {', '.join(sorted(points)) or 'none'}"
    name, _, address = text.partition(":")
    if not (name and address):
        raise TapError(Code.BAD_INPUT, f"{text!r} is not TRANSPORT:ADDRESS, as in tcp:127.0.0.1:7000; {known}")
    if name not in points:
        raise TapError(Code.BAD_INPUT, f"there is no transport called {name!r}; {known}")
    try:
        scheme: object = points[name].load()
    except (ImportError, AttributeError) as error:
        # Such as a radio transport whose optional driver is absent.
        raise TapError(Code.BAD_INPUT, f"transport {name!r} does not load here: {error}; {known}") from error
    if not isinstance(scheme, Scheme):
        raise TapError(Code.BAD_INPUT, f"{points[name].value} is not a transport's scheme; {known}")
    return scheme, address


def _entry_points() -> dict[str, EntryPoint]:
    # Reading every installed package's metadata takes longer than a tap: only those who open by name pay.
    from importlib.metadata import entry_points  # noqa: PLC0415 - slow

    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}

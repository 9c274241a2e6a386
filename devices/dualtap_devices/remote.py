"""A wallet's sync with an issuer that is elsewhere: sealed, through whoever carries it (SPEC §14-14).

A carrier exchanges frames and sees nothing else. :class:`HttpCarrier` is one, over HTTP.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from dualtap import limits
from dualtap.call import Call, encode_call
from dualtap.errors import Code, TapError
from dualtap.events import Received, Send, Sign, Signature
from dualtap.keystore import sign_with
from dualtap.sealedsync import Replied, WalletSync
from dualtap.suite import Drbg
from dualtap.sync import Reply
from dualtap.wire import Want
from dualtap_devices.syncing import Prepared, SyncReport, finish, prepare
from dualtap_devices.wallet import Wallet
from dualtap_transports.link import Link

if TYPE_CHECKING:
    from http.client import HTTPConnection

FRAME_TYPE = "application/octet-stream"
"""The media type of a frame."""


class Carrier(Protocol):
    """Whoever takes a sync's frames to the issuer: for one session, from its first frame on."""

    def exchange(self, frame: bytes) -> bytes:
        """Hand over a frame and return the issuer's answer; raise ``ISSUER_UNREACHABLE``, or as a link does."""
        ...


def sync_sealed(wallet: Wallet, carrier: Carrier, entropy: bytes, deposit: bool, *, renew: bool = False) -> SyncReport:
    """Sync a wallet through a carrier. Torn anywhere, it can be repeated: nothing has an effect twice.

    ``entropy`` is 32 fresh bytes; ``deposit`` and ``renew`` as in
    :func:`dualtap_devices.syncing.sync`. Raises what the carrier raises, what the issuer did wrong, or why it refused.
    """
    random = Drbg(entropy)
    ephemeral = random.take(32)
    prepared = prepare(wallet, random, deposit, renew=renew)
    return finish(wallet, prepared, tell_sealed(wallet, prepared, carrier, ephemeral))


def tell_sealed(wallet: Wallet, prepared: Prepared, carrier: Carrier, secret: bytes) -> Reply:
    """Give the issuer an upload through a carrier, and return its reply to this very upload.

    ``secret`` is 32 fresh bytes, for the session's ephemeral key.
    """
    book, keys = wallet.book, {wallet.keystore.public: wallet.keystore}
    heir = b""
    if prepared.heir is not None:
        heir = prepared.heir.public
        keys[heir] = prepared.heir
    epoch, ephemeral = book.trust.epoch, book.scheme.suite.ephemeral(secret)
    session = WalletSync(book.scheme, book.key, prepared.upload, epoch, book.profile.message, ephemeral, heir)
    effect: Send | Sign | Replied = session.begin()
    while not isinstance(effect, Replied):
        match effect:
            case Send(frame):
                effect = session.step(Received(carrier.exchange(frame)))
            case Sign(statement):
                effect = session.step(Signature(sign_with(keys[statement.key], statement)))
    return effect.reply


class HttpCarrier:
    """Carries one sync to an issuer's service: each frame is a POST, and the first answer says where the next go.

    ``address`` is the service's, such as ``https://issuer.example`` or ``http://127.0.0.1:8080``; what follows the
    host stands before every path. One connection serves the whole sync.
    """

    def __init__(self, address: str, timeout: float = 30.0) -> None:
        """``timeout`` is in seconds, for each answer. Raises ``BAD_INPUT`` for what is no address."""
        # TLS and HTTP take longer to load than a tap: only those who sync over a network pay.
        import ssl  # noqa: PLC0415 - slow
        from http.client import HTTPConnection, HTTPSConnection  # noqa: PLC0415 - slow

        host, port, self._base, secure = _parts(address)
        if secure:
            context = ssl.create_default_context()
            self._link: HTTPConnection = HTTPSConnection(host, port, timeout=timeout, context=context)
        else:
            self._link = HTTPConnection(host, port, timeout=timeout)
        self._address = address
        self._path = "/sync"

    def exchange(self, frame: bytes) -> bytes:
        """Post a frame and return the answer; raise ``ISSUER_UNREACHABLE``, saying why."""
        from http.client import HTTPException  # noqa: PLC0415 - loaded since __init__

        headers = {"Content-Type": FRAME_TYPE, "Accept": FRAME_TYPE}
        try:
            self._link.request("POST", self._base + self._path, frame, headers)
            with self._link.getresponse() as response:
                body = response.read(limits.MESSAGE + 1)
                if response.length and len(body) <= limits.MESSAGE:
                    raise HTTPException("the answer was cut off")  # a bounded read does not say so itself
                status, kind, onward = response.status, response.headers.get_content_type(), response.headers
        except (OSError, HTTPException, ValueError) as error:
            self.close()
            raise TapError(Code.ISSUER_UNREACHABLE, f"{self._address}: {_why(error)}") from error
        if status != 200 or kind != FRAME_TYPE or len(body) > limits.MESSAGE:
            self.close()
            later = onward.get("Retry-After", "")
            busy = (
                f"; it asks to wait {int(later)} s" if later.isascii() and later.isdigit() and len(later) < 10 else ""
            )
            raise TapError(Code.ISSUER_UNREACHABLE, f"{self._address} answered {status}{busy}")
        where = onward.get("Location", "")
        if where.startswith("/sync/") and where.isascii() and where.isprintable():
            self._path = where
        return body

    def close(self) -> None:
        """End the connection."""
        with contextlib.suppress(OSError):
            self._link.close()

    def __enter__(self) -> HttpCarrier:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class LinkCarrier:
    """Carries one sync over a link to a device that hands it on by :func:`carry`, such as a phone that a card taps."""

    def __init__(self, link: Link, timeout: float | None) -> None:
        """``timeout`` is in seconds, for each answer."""
        self._link, self._timeout = link, timeout

    def exchange(self, frame: bytes) -> bytes:
        """Send a frame and return the answer; raise as the link does."""
        self._link.send(frame)
        return self._link.receive(self._timeout)


def carry(link: Link, onward: Carrier, timeout: float | None) -> int:
    """Hand one sync's frames on, there and back, until the link ends; return how many there were.

    Raises what ``onward`` raises, and ``TIMEOUT``, and closes the link. This end sees sealed bytes only.
    """
    carried = 0
    try:
        while True:
            try:
                frame = link.receive(timeout)
            except TapError as error:
                if error.code is Code.LINK_LOST:
                    return carried
                raise
            link.send(onward.exchange(frame))
            carried += 2
    finally:
        link.close()


def call_to_sync(link: Link) -> None:
    """Ask the wallet at the other end of a link that this side opened to begin its sync (SPEC §25-6)."""
    link.send(encode_call(Call(Want.SYNC)))


def is_address(text: str) -> bool:
    """Return whether a text names an issuer's service, and not a folder."""
    return text.lower().startswith(("http://", "https://"))


def _parts(address: str) -> tuple[str, int | None, str, bool]:
    """Return host, port, path before all others, and whether the link is encrypted."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise TapError(Code.BAD_INPUT, f"{address!r} is no address: {error}") from error
    plain = address.isascii() and address.isprintable() and " " not in address
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment or not plain:
        raise TapError(Code.BAD_INPUT, f"{address!r} is no address of an issuer, such as https://issuer.example")
    return host, port, parts.path.rstrip("/"), parts.scheme == "https"


def _why(error: Exception) -> str:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(reason)

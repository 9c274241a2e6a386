"""Devices of either part that break one rule each, and the list of all broken ones."""

# A device is broken from inside:
# pyright: reportPrivateUsage=false

from __future__ import annotations

from contextlib import suppress
from types import SimpleNamespace
from typing import cast

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from dualtap import codec, context, session, tap, wire
from dualtap.errors import Code, TapError
from dualtap.states import Part
from dualtap.suite import Ephemeral
from dualtap.wire import RefuseMessage
from dualtap_conform.device import Device
from dualtap_conform.setup import Setup
from dualtap_conform.stage import secret_of
from dualtap_devices.driver import Driver
from dualtap_transports.link import Link
from tests.support import broken_payees, broken_payers
from tests.support.breaking import (
    BROKEN,
    Broken,
    Patch,
    broken,
    without,
)

__all__ = ["BROKEN", "Broken", "broken_payees", "broken_payers"]


@broken(Part.PAYER, "6-4")
def reuses_its_ephemeral(patch: Patch) -> type[Device]:
    class Lazy(Device):
        def driver(self) -> Driver:
            driver = super().driver()
            driver.tap._context.ephemeral = self.wallet.book.scheme.suite.ephemeral(bytes(32))
            return driver

    return Lazy


@broken(Part.PAYER, "6-14", "6-4")
def shows_its_key_in_the_welcome(patch: Patch) -> type[Device]:
    class Bare(Device):
        def __init__(self, setup: Setup, part: Part) -> None:
            super().__init__(setup, part)
            self.secret = secret_of(setup.suite, setup.private)

        def driver(self) -> Driver:
            driver = super().driver()
            driver.tap._context.ephemeral = self.wallet.book.scheme.suite.ephemeral(self.secret)
            return driver

    return Bare


@broken(Part.PAYEE, "6-8")
def meets_its_own_part(patch: Patch) -> type[Device]:
    lax = without(session.check_hello, Code.WRONG_ROLE)
    patch.setattr(context, "session", SimpleNamespace(**{**vars(session), "check_hello": lax}))
    return Device


@broken(Part.PAYER, "6-7")
def greets_every_version(patch: Patch) -> type[Device]:
    lax = without(session.check_hello, Code.WRONG_VERSION)
    patch.setattr(context, "session", SimpleNamespace(**{**vars(session), "check_hello": lax}))
    return Device


class Zealous:
    """An X25519 key that agrees with any peer."""

    def __init__(self, secret: bytes) -> None:
        self._key = X25519PrivateKey.from_private_bytes(secret)
        self.public = self._key.public_key().public_bytes_raw()

    def exchange(self, peer: bytes) -> bytes:
        try:
            return self._key.exchange(X25519PublicKey.from_public_bytes(peer))
        except ValueError:
            return bytes(32)


@broken(Part.PAYER, "3-12", "3-13", "3-2", suite="ed25519")
def agrees_with_any_key(patch: Patch) -> type[Device]:
    class Lax(Device):
        def driver(self) -> Driver:
            driver = super().driver()
            driver.tap._context.ephemeral = cast("Ephemeral", Zealous(self.draw(32)))
            return driver

    return Lax


@broken(Part.PAYEE, "6-3", "6-13")
def answers_a_bad_seal(patch: Patch) -> type[Device]:
    def fail(self: tap.Tap, error: TapError, answer: bool) -> None:
        found = self._context
        if answer and found.channel is not None:
            found.send(RefuseMessage(int(error.code)))
        found.end(error.code, error.detail)

    patch.setattr(tap.Tap, "_fail", fail)
    return Device


@broken(Part.PAYER, "6-10")
def refuses_in_the_clear(patch: Patch) -> type[Device]:
    class Chatty(Device):
        def attend(self, link: Link, timeout: float | None = None) -> None:
            send, said = link.send, [0]

            def counted(frame: bytes) -> None:
                said[0] += 1
                send(frame)

            close = link.close

            def closed() -> None:
                with suppress(TapError):
                    if not said[0]:
                        send(wire.encode(RefuseMessage(int(Code.MALFORMED))))
                close()

            super().attend(cast("Link", SimpleNamespace(send=counted, close=closed, receive=link.receive)), timeout)

    return Chatty


@broken(Part.PAYER, "5.1-4")
def takes_what_is_not_canonical(patch: Patch) -> type[Device]:
    def decode(data: bytes, limit: int) -> wire.Message:
        with suppress(ValueError):
            data = codec.pack(codec._unpackb(data)) if data[:1] in b"\x92\xdc" else data
        return wire.decode(data, limit)

    patch.setattr(tap, "wire", SimpleNamespace(decode=decode, decode_hello=wire.decode_hello))
    return Device


@broken(Part.PAYEE, "5.2-2")
def calls_the_unknown_malformed(patch: Patch) -> type[Device]:
    def decode(data: bytes, limit: int) -> wire.Message:
        try:
            return wire.decode(data, limit)
        except TapError as error:
            raise TapError(Code.MALFORMED if error.code is Code.UNKNOWN_MESSAGE else error.code) from error

    patch.setattr(tap, "wire", SimpleNamespace(decode=decode, decode_hello=wire.decode_hello))
    return Device

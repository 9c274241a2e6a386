"""Devices that break one rule each: small patches of the reference device, to test the tester.

A patch touches only what a device runs (the machine of a tap, its book), never what the tester judges by.
"""

# A device is broken from inside:
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from dualtap import context, heal, outcome, payee, payer, provenance, session, tap, wire
from dualtap.book import Book
from dualtap.context import Context
from dualtap.errors import Code, TapError
from dualtap.graph import Graph, check_spans
from dualtap.keystore import Head
from dualtap.provenance import Acceptance, Received
from dualtap.records import Asked, Holding, Sent
from dualtap.statements import (
    CloseBody,
    Kind,
    Opening,
    Outcome,
    Parent,
    Side,
    Signed,
    TapeOpening,
    Transfer,
    WalletCertificate,
    statement_id,
)
from dualtap.states import Part
from dualtap.suite import Drbg, Ephemeral, Signer
from dualtap.trust import Trust
from dualtap.wire import OutcomeMessage, RefuseMessage, TransferMessage, signed
from dualtap_conform.device import Device
from dualtap_conform.setup import Setup
from dualtap_conform.stage import secret_of
from dualtap_devices.driver import Driver
from dualtap_devices.keystore import MemoryKeystore
from dualtap_transports.link import Link

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Broken:
    """A device that breaks a rule: the clauses that it must fail, all of them, and no others."""

    name: str
    part: Part
    fails: frozenset[str]
    break_it: Callable[[Patch], type[Device]]
    suite: str = "p256"


BROKEN: list[Broken] = []


def broken(
    part: Part, *fails: str, suite: str = "p256"
) -> Callable[[Callable[[Patch], type[Device]]], Callable[[Patch], type[Device]]]:
    """Keep a function that breaks a device, and what the device then fails; the first clause is the intended one."""

    def kept(function: Callable[[Patch], type[Device]]) -> Callable[[Patch], type[Device]]:
        BROKEN.append(Broken(function.__name__, part, frozenset(fails), function, suite))
        return function

    return kept


def trusting(**methods: Callable[..., Any]) -> type[Device]:
    """Return a device whose trust has other methods."""
    lax = type("LaxTrust", (Trust,), methods)

    class Lax(Device):
        def __init__(self, setup: Setup, part: Part) -> None:
            super().__init__(setup, part)
            self.wallet.book.trust.__class__ = lax

    return Lax


def nothing(*_: object, **__: object) -> None:
    """Check nothing."""


def always(value: object) -> Callable[..., object]:
    """Return what gives this answer to everything."""

    def told(*_: object) -> object:
        return value

    return told


def placed(**changes: Any) -> Callable[..., Opening]:
    """Return a wallet's way to choose its next place on the tape, with this changed."""
    place = Book.place

    def chosen(self: Book, random: Drbg, request: bytes = b"") -> Opening:
        return place(self, random, request)._replace(**changes)

    return chosen


def without(function: Callable[..., Any], code: Code) -> Callable[..., Any]:
    """Return a check that never raises this."""

    def lax(*args: Any, **more: Any) -> Any:
        try:
            return function(*args, **more)
        except TapError as error:
            if error.code is not code:
                raise
            return None

    return lax


# Of both parts


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
            data = wire.pack(wire._unpackb(data)) if data[:1] in b"\x92\xdc" else data
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


# Payers


@broken(Part.PAYER, "6-11")
def forgets_the_role(patch: Patch) -> type[Device]:
    meet = Context.meet

    def lax(self: Context, certificate: Any, statement: Signed[Any]) -> None:
        try:
            meet(self, certificate, statement)
        except TapError:
            body = statement.body._replace(initiator=not statement.body.initiator)
            meet(self, certificate, signed(self.book.scheme.id, statement.key, body, b"", statement.signature))

    patch.setattr(Context, "meet", lax)
    return Device


@broken(Part.PAYER, "7-14", "7-16", "11.3-5")
def ignores_expiry(patch: Patch) -> type[Device]:
    def lax(self: Trust, certificate: WalletCertificate, epoch: int) -> None:
        del epoch
        self.check_hotlist(certificate.key)

    return trusting(check_valid=lax)


@broken(Part.PAYER, "7-20")
def ignores_the_hotlist(patch: Patch) -> type[Device]:
    return trusting(check_hotlist=nothing)


@broken(Part.PAYER, "7-9")
def believes_any_date(patch: Patch) -> type[Device]:
    return trusting(_verify_by_policy_key=nothing)


@broken(Part.PAYER, "11.3-5")
def ignores_limits(patch: Patch) -> type[Device]:
    patch.setattr(payer, "check_request", without(payer.check_request, Code.OVER_LIMIT))
    return Device


@broken(Part.PAYER, "8.4-3")
def ignores_the_payees_size(patch: Patch) -> type[Device]:
    patch.setattr(payer, "check_size", nothing)
    return Device


@broken(Part.PAYER, "8.4-2")
def offers_whatever_it_holds(patch: Patch) -> type[Device]:
    patch.setattr(Book, "spendable", always(True))
    return Device


class Signing(MemoryKeystore):
    """A keystore that signs anything."""

    def sign_tape(self, kind: Kind, public: bytes, opening: TapeOpening) -> bytes:
        entry = statement_id(self._scheme.id, kind, self.public, public, opening.commitment())
        self.head = Head(opening.ctr, entry)
        return self._signer.sign(entry)


@broken(Part.PAYER, "4.1-5")
def uses_a_counter_twice(patch: Patch) -> type[Device]:
    class Stuck(Device):
        def __init__(self, setup: Setup, part: Part) -> None:
            super().__init__(setup, part)
            self.wallet.keystore = Signing(self.wallet.book.scheme, secret_of(setup.suite, setup.private))

    patch.setattr(Book, "place", placed(prev=1, ctr=4))
    return Stuck


@broken(Part.PAYEE, "4.2-4")
def uses_a_seed_twice(patch: Patch) -> type[Device]:
    patch.setattr(Book, "place", placed(seed=bytes(16)))
    return Device


def after_each_tap(act: Callable[[Book], None]) -> type[Device]:
    """Return a device that does this when a tap has ended."""

    class After(Device):
        def attend(self, link: Link, timeout: float | None = None) -> None:
            super().attend(link, timeout)
            act(self.wallet.book)

    return After


@broken(Part.PAYER, "11.4-2", "11.3-4", "11.3-12", "11.4-8", "5.2-4", "5.2-6", "4.2-1")
def forgets_what_is_in_doubt(patch: Patch) -> type[Device]:
    return after_each_tap(lambda book: book.pending.clear())


@broken(Part.PAYER, "11.4-1")
def shows_everybody_what_is_in_doubt(patch: Patch) -> type[Device]:
    def everything(self: Book, key: bytes) -> list[Sent]:
        del key
        return list(self.pending.values())

    patch.setattr(Book, "pending_to", everything)
    return Device


@broken(Part.PAYER, "11.4-7")
def pays_a_basket_twice(patch: Patch) -> type[Device]:
    patch.setattr(payer, "already_paid", always(False))
    return Device


@broken(Part.PAYER, "11.3-12", "5.2-4", "5.2-5", "1-1")
def believes_any_outcome(patch: Patch) -> type[Device]:
    take = heal.take_outcome

    def lax(found: Context, message: OutcomeMessage) -> Any:
        found.peer_verify = nothing
        return take(found, message)

    patch.setattr(payer, "take_outcome", lax)
    return Device


def _take_back(book: Book) -> None:
    for sent in book.pending.values():
        for parent, start, end in sent.transfer.body.spans:
            book.holdings.append(Holding(parent, book.graph.origin(parent).token, start, end))


@broken(Part.PAYER, "11.3-11", "1-1")
def spends_what_is_in_doubt(patch: Patch) -> type[Device]:
    return after_each_tap(_take_back)


@broken(Part.PAYER, "1-2")
def loses_change(patch: Patch) -> type[Device]:
    cut = Book._cut

    def lossy(self: Book, parent: Parent, start: int, end: int) -> None:
        cut(self, parent, start, end)
        self.holdings[:] = [held._replace(end=held.end - (held.amount > 1000)) for held in self.holdings]

    patch.setattr(Book, "_cut", lossy)
    return Device


@broken(Part.PAYER, "11.4-6", "1-2")
def keeps_no_dead_value(patch: Patch) -> type[Device]:
    restore = Book._heal

    def lossy(self: Book, key: bytes, found: Any) -> None:
        restore(self, key, found)
        self.holdings[:] = [held for held in self.holdings if held.parent.side is not Side.PAYER]

    patch.setattr(Book, "_heal", lossy)
    return Device


# Payees


@broken(Part.PAYEE, "4.1-11")
def closes_from_ignorance(patch: Patch) -> type[Device]:
    answer = outcome.answer

    def lax(found: Context, message: TransferMessage, request: bytes) -> None:
        if request not in found.book.questions:
            found.book.apply(Asked(request, bytes(16), 9, 1, "CNY", found.book.trust.epoch))
        answer(found, message, request)

    patch.setattr(payee, "answer", lax)
    return Device


@broken(Part.PAYEE, "8.1-11", "8.1-10", "8.2-4", "5.2-4", "5.7-1", "6-12", "3-6")
def verifies_no_statement(patch: Patch) -> type[Device]:
    return trusting(verify_statement=nothing)


@broken(Part.PAYEE, "3-6")
def takes_high_s(patch: Patch) -> type[Device]:
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

    def lax(self: Trust, statement: Signed[Any]) -> None:
        s = int.from_bytes(statement.signature[32:], "big")
        low = statement.signature[:32] + min(s, order - s).to_bytes(32, "big")
        Trust.verify_statement(self, statement.sealed(low))

    return trusting(verify_statement=lax)


@broken(Part.PAYEE, "8.3-1", "8.3-2", "8.3-3", "8.3-7")
def remembers_no_value(patch: Patch) -> type[Device]:
    def forgetful(trust: Trust, received: Received, accept: Acceptance, known: Graph) -> int:
        del known
        return provenance.verify(trust, received, accept)

    patch.setattr(outcome, "verify", forgetful)
    return Device


@broken(Part.PAYEE, "8.3-3")
def remembers_no_tape(patch: Patch) -> type[Device]:
    return after_each_tap(lambda book: book.graph.tapes.clear())


@broken(Part.PAYEE, "8.3-2")
def remembers_no_warrant(patch: Patch) -> type[Device]:
    return after_each_tap(lambda book: book.graph.warrants.clear())


@broken(Part.PAYEE, "5.3-6")
def takes_a_unit_twice_in_one_transfer(patch: Patch) -> type[Device]:
    patch.setattr(provenance, "check_spans", without(check_spans, Code.SPANS_OVERLAP))
    return Device


@broken(Part.PAYEE, "8.2-4")
def believes_any_warrant(patch: Patch) -> type[Device]:
    patch.setattr(provenance, "check_warrant", nothing)
    return Device


@broken(Part.PAYEE, "8.2-5", "8.2-6")
def asks_for_no_warrant(patch: Patch) -> type[Device]:
    patch.setattr(provenance, "check_sides", nothing)
    return Device


@broken(Part.PAYEE, "8.2-1")
def counts_no_hops(patch: Patch) -> type[Device]:
    refusal = provenance.offline_refusal

    def lax(*args: Any) -> Code | None:
        code = refusal(*args)
        return None if code is Code.TOO_MANY_HOPS else code

    patch.setattr(provenance, "offline_refusal", lax)
    return Device


@broken(Part.PAYEE, "5.6-2")
def takes_any_condition(patch: Patch) -> type[Device]:
    patch.setattr(provenance, "check_understood", nothing)
    return Device


@broken(Part.PAYEE, "8.3-6")
def keeps_what_it_does_not_need(patch: Patch) -> type[Device]:
    patch.setattr(provenance, "_check_needed", nothing)
    return Device


@broken(Part.PAYEE, "8.1-14")
def counts_no_units(patch: Patch) -> type[Device]:
    examine = outcome.examine

    def lax(found: Context, asked: Asked, message: TransferMessage) -> Transfer:
        amount = sum(span[-1] - span[-2] for span in message.spans)
        return examine(found, asked._replace(amount=amount), message)

    patch.setattr(outcome, "examine", lax)
    return Device


@broken(Part.PAYEE, "8.1-3")
def refuses_in_place_of_a_close(patch: Patch) -> type[Device]:
    decide = outcome.decide

    def hasty(found: Context, asked: Asked, message: TransferMessage) -> None:
        outcome.examine(found, asked, message)
        decide(found, asked, message)

    patch.setattr(outcome, "decide", hasty)
    return Device


@broken(Part.PAYEE, "4.1-12", "11.4-4")
def answers_otherwise_the_second_time(patch: Patch) -> type[Device]:
    signers: list[Signer] = []

    class Fickle(Device):
        def __init__(self, setup: Setup, part: Part) -> None:
            super().__init__(setup, part)
            signers.append(setup.suite.signer(secret_of(setup.suite, setup.private)))

    send = outcome.send_outcome

    def fickle(found: Context, stored: Outcome, fresh: bool) -> None:
        if fresh or isinstance(stored.body, CloseBody):
            send(found, stored, fresh)
            return
        close = found.book.close_of(stored.body.request, Code.TIMEOUT, found.random)
        place, body = close.shown(), close.body
        found.book.counter = place.ctr
        proof = signers[0].sign(close.id)
        said = (body.reason, body.epoch, place.seed, place.prev, place.ctr, proof, None)
        found.send(OutcomeMessage(Kind.CLOSE, b"", *said))

    patch.setattr(outcome, "send_outcome", fickle)
    return Fickle


@broken(Part.PAYEE, "1-7", "8.1-4")
def sells_a_basket_twice(patch: Patch) -> type[Device]:
    examine = outcome.examine

    def lax(found: Context, asked: Asked, message: TransferMessage) -> Transfer:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(Book, "accepted", nothing)
            return examine(found, asked, message)

    patch.setattr(outcome, "examine", lax)
    patch.setattr(payee, "clear", Context.greet)
    return Device


@broken(Part.PAYEE, "11.4-3")
def is_silent_about_the_unknown(patch: Patch) -> type[Device]:
    fail = tap.Tap._fail

    def shy(self: tap.Tap, error: TapError, answer: bool) -> None:
        fail(self, error, answer and error.code is not Code.UNKNOWN_REQUEST)

    patch.setattr(tap.Tap, "_fail", shy)
    return Device

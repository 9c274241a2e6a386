"""Payers that break one rule each."""

# A device is broken from inside:
# pyright: reportPrivateUsage=false

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from dualtap import heal, payer, timed
from dualtap.book import Book
from dualtap.context import Context
from dualtap.errors import Code, TapError
from dualtap.forms import signed
from dualtap.issued import WalletCertificate
from dualtap.keystore import Head
from dualtap.records import Holding, Sent
from dualtap.statements import Kind, Opening, Parent, Side, Signed, TapeOpening, Verification, statement_id
from dualtap.states import Part
from dualtap.suite import Drbg
from dualtap.trust import Trust
from dualtap.wire import OutcomeMessage, PongMessage, TransferMessage
from dualtap_conform.device import Device
from dualtap_conform.setup import Setup
from dualtap_conform.stage import secret_of
from dualtap_devices.driver import Driver
from dualtap_devices.keystore import MemoryKeystore
from tests.support.breaking import (
    Patch,
    after_each_tap,
    always,
    broken,
    by_its_own_date,
    nothing,
    one_of_each_hint,
    placed,
    trusting,
    without,
)


class Signing(MemoryKeystore):
    """A keystore that signs anything."""

    def sign_tape(self, kind: Kind, public: bytes, opening: TapeOpening, private: bytes) -> bytes:
        entry = statement_id(self._scheme.id, kind, self.public, public, opening.commitment())
        self.head = Head(opening.ctr, entry)
        return self._signer.sign(entry)


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


@broken(Part.PAYER, "11.4-2", "11.3-4", "11.3-11", "11.3-12", "11.4-8", "5.2-4", "5.2-6", "4.2-1", "7-17")
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


@broken(Part.PAYER, "11.3-12", "5.2-4", "5.2-5", "4.1-1")
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


def _dateless(*args: Any, **more: Any) -> TransferMessage:
    return _WHOLE(*args, **more)._replace(header=None)


_WHOLE = heal.transfer_message


@broken(Part.PAYER, "5.2-5")
def tells_no_payee_its_date(patch: Patch) -> type[Device]:
    patch.setattr(payer, "transfer_message", _dateless)
    return Device


@broken(Part.PAYER, "5.2-5")
def tells_no_payee_its_date_again(patch: Patch) -> type[Device]:
    patch.setattr(heal, "transfer_message", _dateless)
    return Device


@broken(Part.PAYER, "7-9")
def believes_a_key_that_has_expired(patch: Patch) -> type[Device]:
    return trusting(_verify_by_policy_key=by_its_own_date)


@broken(Part.PAYER, "7-6")
def lets_two_keys_share_a_hint(patch: Patch) -> type[Device]:
    return trusting(learn=one_of_each_hint)


@broken(Part.PAYER, notes=("4.1-6",))
def counts_in_ones(patch: Patch) -> type[Device]:
    place = Book.place

    def plain(self: Book, *given: Any) -> Opening:
        return place(self, *given)._replace(ctr=self.counter + 1)

    patch.setattr(Book, "place", plain)
    return Device


@broken(Part.PAYER, notes=("8.4-5",))
def cuts_from_the_start(patch: Patch) -> type[Device]:
    below = Drbg.below

    def unfair(self: Drbg, most: int) -> int:
        return 0 if most == 2 else below(self, most)

    patch.setattr(Drbg, "below", unfair)
    return Device


@broken(Part.PAYER, "11.3-13")
def takes_no_outcome_with_a_bad_date(patch: Patch) -> type[Device]:
    take = heal.take_outcome

    def strict(found: Context, message: OutcomeMessage) -> Any:
        found.learn((), message.header)
        return take(found, message)

    patch.setattr(payer, "take_outcome", strict)
    return Device


@broken(Part.PAYER, "24-1")
def measures_nobody(patch: Patch) -> type[Device]:
    patch.setattr(timed, "check", nothing)
    return Device


@broken(Part.PAYER, "24-3")
def takes_any_time(patch: Patch) -> type[Device]:
    class Patient(Device):
        def driver(self) -> Driver:
            driver = super().driver()
            driver.tap._context.timing.within = 60.0
            return driver

    return Patient


@broken(Part.PAYER, "24-4")
def takes_any_pong(patch: Patch) -> type[Device]:
    measured = timed.measured

    def lax(found: Context, message: PongMessage) -> bool:
        del message
        return measured(found, PongMessage(found.timing.nonce))

    patch.setattr(timed, "measured", lax)
    return Device


@broken(Part.PAYER, "24-4")
def measures_without_end(patch: Patch) -> type[Device]:
    patch.setattr(timed, "limits", SimpleNamespace(PINGS=99))
    return Device


@broken(Part.PAYER, "24-2")
def pings_by_the_same_bytes(patch: Patch) -> type[Device]:
    start = timed.start

    def lazy(found: Context) -> None:
        kept, found.random = found.random, cast("Drbg", SimpleNamespace(take=bytes))
        start(found)
        found.random = kept

    patch.setattr(timed, "start", lazy)
    return Device


@broken(Part.PAYER, "22-5")
def pays_without_the_pin(patch: Patch) -> type[Device]:
    def nothing(found: Context) -> Verification:
        del found
        return Verification.NONE

    patch.setattr(payer, "needed", nothing)
    return Device

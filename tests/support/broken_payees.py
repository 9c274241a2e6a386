"""Payees that break one rule each."""

# A device is broken from inside:
# pyright: reportPrivateUsage=false

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from dualtap import outcome, payee, provenance, tap, timed
from dualtap.book import Book
from dualtap.context import Context
from dualtap.errors import Code, TapError
from dualtap.graph import Graph, check_spans
from dualtap.provenance import Acceptance, Received
from dualtap.records import Asked
from dualtap.statements import (
    CloseBody,
    Kind,
    Outcome,
    Signed,
    Transfer,
    Verification,
)
from dualtap.states import Part
from dualtap.suite import Drbg, Signer
from dualtap.trust import Trust
from dualtap.wire import Message, OutcomeMessage, PingMessage, TransferMessage
from dualtap_conform.device import Device
from dualtap_conform.setup import Setup
from dualtap_conform.stage import secret_of
from tests.support.breaking import (
    Patch,
    after_each_tap,
    broken,
    by_its_own_date,
    nothing,
    one_of_each_hint,
    trusting,
    without,
)


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


@broken(Part.PAYEE, "5.2-5")
def tells_no_payer_its_date(patch: Patch) -> type[Device]:
    send = Context.send

    def dateless(self: Context, message: Message) -> None:
        send(self, message._replace(header=None) if isinstance(message, OutcomeMessage) else message)

    patch.setattr(Context, "send", dateless)
    return Device


@broken(Part.PAYEE, "7-9", "5.2-5")
def believes_an_expired_policy_key(patch: Patch) -> type[Device]:
    return trusting(_verify_by_policy_key=by_its_own_date)


@broken(Part.PAYEE, "7-6")
def lets_two_authorities_share_a_hint(patch: Patch) -> type[Device]:
    return trusting(learn=one_of_each_hint)


@broken(Part.PAYEE, notes=("4.1-6",))
def counts_in_fours(patch: Patch) -> type[Device]:
    def greatest(self: Drbg, most: int) -> int:
        del self
        return most - 1

    patch.setattr(Drbg, "below", greatest)
    return Device


@broken(Part.PAYEE, "24-2")
def gives_other_bytes_back(patch: Patch) -> type[Device]:
    patch.setitem(payee.ACTIONS, "ping", lambda found, message: timed.ping(found, PingMessage(bytes(8))))
    return Device


@broken(Part.PAYEE, "24-2")
def takes_its_time(patch: Patch) -> type[Device]:
    def slow(found: Context, message: PingMessage) -> None:
        time.sleep(0.06)  # longer than the tests' tester calls late
        timed.ping(found, message)

    patch.setitem(payee.ACTIONS, "ping", slow)
    return Device


@broken(Part.PAYEE, "24-6")
def answers_pings_without_end(patch: Patch) -> type[Device]:
    patch.setattr(timed, "limits", SimpleNamespace(PINGS=99))
    return Device


@broken(Part.PAYEE, "22-9")
def forgets_what_it_asked(patch: Patch) -> type[Device]:
    examine = outcome.examine

    def lax(found: Context, asked: Asked, message: TransferMessage) -> Transfer:
        return examine(found, asked._replace(verification=Verification.NONE), message)

    patch.setattr(outcome, "examine", lax)
    return Device

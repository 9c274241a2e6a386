"""What both parts do with a transfer that is shown to them (SPEC §11.4): decide it once, and repeat its outcome.

A payee decides the transfer that answers its request. Later, either part may be shown a transfer that was once made
to this wallet, and answers by the outcome that it stored.
"""

from __future__ import annotations

from typing import cast

from dualtap import limits
from dualtap.book import Book
from dualtap.context import Context
from dualtap.errors import Code, TapError
from dualtap.events import Signature
from dualtap.forms import signed
from dualtap.issued import Role
from dualtap.provenance import Acceptance, rebuild, verify
from dualtap.records import Answered, Asked, Warned
from dualtap.statements import Kind, Outcome, ReceiptBody, Transfer
from dualtap.states import State
from dualtap.warned import warnings_of
from dualtap.wire import OutcomeMessage, TransferMessage

_CHEATS = frozenset({Code.DOUBLE_SPENT, Code.TAPE_FORKED})
"""Refusals that are half of a proof: what was shown is kept for the next sync."""


def answer(context: Context, message: TransferMessage, request: bytes) -> None:
    """Answer a transfer that is shown here: by the stored outcome, or by deciding it now (SPEC §11.4-3 to §11.4-5).

    Raises ``UNKNOWN_REQUEST`` for a request that this wallet never made: never a Close from ignorance.
    """
    book = next((book for book in context.books.values() if request in book.questions), None)
    if book is None:
        raise TapError(Code.UNKNOWN_REQUEST)
    context.answering, question = message, book.questions[request]
    if question.outcome is None and book is not context.book:
        # A rotation closes what is open; a request that is left all the same takes nothing any more (SPEC §20-3).
        outcome = book.close_of(request, Code.RETIRED, context.random)
        context.persist(Answered(outcome, b""), book=book)
        context.sign(outcome, State.SIGN_OUTCOME)
    elif question.outcome is None:
        decide(context, question.asked, message)
    else:
        send_outcome(context, question.outcome, fresh=False)


def decide(context: Context, asked: Asked, message: TransferMessage) -> None:
    """Accept a transfer or close its request; either way durably, and once (SPEC §8.1-3)."""
    book, kept = context.book, b""
    seen: tuple[Warned, ...] = ()
    outcome: Outcome
    try:
        transfer = examine(context, asked, message)
    except TapError as error:
        context.reason = error
        if error.code in _CHEATS:
            kept = context.raw
            seen = warnings_of(book, message, asked.request) if context.news else ()
        outcome = book.close_of(asked.request, error.code, context.random)
    else:
        kept = context.raw
        body = ReceiptBody(asked.request, transfer.id, book.trust.epoch)
        outcome = signed(book.scheme.id, book.key, body, book.place(context.random))
    context.persist(Answered(outcome, kept), *seen)
    context.sign(outcome, State.SIGN_OUTCOME)


def examine(context: Context, asked: Asked, message: TransferMessage) -> Transfer:
    """Return the transfer in a message if this payee may accept it, or raise why not (SPEC §8.1)."""
    book, tier = context.book, context.book.tier
    context.learn(message.authorities, message.header)
    trust = book.trust
    if message.epoch > trust.epoch:
        raise TapError(Code.EPOCH_AHEAD)
    received = rebuild(trust, message, book.key, asked.request)
    payer = message.bundle.certificates[0]
    if payer.key == book.key:
        raise TapError(Code.SELF_PAYMENT)
    if not payer.role & Role.PAY:
        raise TapError(Code.WRONG_CERTIFICATE, "this wallet may not pay")
    profile = book.profile
    accept = Acceptance(asked.currency, context.epoch, profile.hops, profile.spans, asked.basket)
    amount = verify(trust, received, accept, book.graph)
    if message.verification < asked.verification:
        raise TapError(Code.UNVERIFIED, "the payer's user was not verified as asked")
    if amount != asked.amount:
        raise TapError(Code.WRONG_AMOUNT)
    if book.since.receipts >= tier.receipts or book.since.received + amount > tier.received:
        raise TapError(Code.OVER_LIMIT, "this wallet must sync before it collects more")
    check_balance(book, amount)
    if book.accepted(asked.basket, asked.part):
        raise TapError(Code.BASKET_PAID)
    book.examined, context.payer = received, payer.key
    return received.transfer


def check_balance(book: Book, amount: int) -> None:
    """Raise ``OVER_LIMIT`` if a wallet would hold more than its tier allows, with what is in doubt (SPEC §22-7)."""
    most = book.tier.balance
    if most < limits.AMOUNT and book.held() + amount > most:
        raise TapError(Code.OVER_LIMIT, "this wallet would hold more than its tier allows")


def send_decided(context: Context, event: Signature) -> Outcome:
    """Send the outcome that was just decided and signed; return it."""
    outcome = cast("Outcome", context.signed(event))
    send_outcome(context, outcome, fresh=True)
    return outcome


def send_outcome(context: Context, outcome: Outcome, fresh: bool) -> None:
    """Send the outcome of the transfer just shown, and a later date if the payer's is older (SPEC §11.4-4).

    ``fresh`` says that this outcome was decided for that very transfer; a stored one may be another's.
    """
    opening, body, trust = outcome.shown(), outcome.body, context.book.trust
    message = cast("TransferMessage", context.answering)
    other, reason, kind = b"", 0, Kind.CLOSE
    if isinstance(body, ReceiptBody):
        kind = Kind.RECEIPT
        if not fresh and not answers(context, message, body):
            other = body.transfer
    else:
        reason = body.reason
    behind = max(context.peer_epoch, message.epoch) < trust.epoch
    context.send(
        OutcomeMessage(
            kind,
            other,
            reason,
            body.epoch,
            opening.seed,
            opening.prev,
            opening.ctr,
            outcome.signature,
            trust.header if behind else None,
        )
    )


def answers(context: Context, message: TransferMessage, body: ReceiptBody) -> bool:
    """Return whether a Receipt is for the transfer in this message."""
    try:
        book = next(book for book in context.books.values() if body.request in book.questions)
        shown = rebuild(context.book.trust, message, book.key, body.request)
    except TapError:
        return False
    return shown.transfer.id == body.transfer

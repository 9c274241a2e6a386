"""What both parts do about a transfer's outcome (SPEC §11.4): show one in doubt, decide one, take one.

A payee decides a transfer once and repeats that outcome on demand. A payer shows a transfer in doubt only to a peer
that has just proved, in this session, that it holds the transfer's payee key.
"""

from __future__ import annotations

from contextlib import suppress
from typing import cast

from dualtap import limits
from dualtap.book import ENTRY_ROOM, amount_of
from dualtap.context import Context
from dualtap.errors import Code, TapError
from dualtap.events import Report, Result
from dualtap.provenance import Acceptance, bundle, rebuild, verify
from dualtap.records import Answered, Asked, Healed, Sent
from dualtap.statements import (
    CloseBody,
    Kind,
    Opening,
    Outcome,
    ReceiptBody,
    Request,
    Role,
    Transfer,
)
from dualtap.states import Part, State
from dualtap.wire import OutcomeMessage, RequestMessage, TransferMessage, signed

UNSIGNED = bytes(64)
"""Stands for a signature while a message is measured."""


def transfer_message(context: Context, transfer: Transfer, resume: bool) -> TransferMessage:
    """Return the message that shows a transfer and its provenance."""
    trust, book = context.book.trust, context.book
    provenance, spans = bundle(trust, book.graph, transfer, book.certificate)
    opening, body = transfer.shown(), transfer.body
    # A payer knows the payee's date by its request; a payee that shows a transfer knows nothing of the payer's.
    known = context.request.body.epoch if context.part is Part.PAYER and context.request is not None else 0
    tokens = [book.graph.tokens[book.graph.origin(span.parent).token] for span in body.spans]
    return TransferMessage(
        opening.request if resume else b"",
        spans,
        body.epoch,
        body.witness,
        opening.seed,
        opening.prev,
        opening.ctr,
        opening.private.verification,
        opening.private.refund_of,
        transfer.signature,
        provenance,
        trust.header if known < trust.epoch else None,
        trust.chain(book.certificate, tokens, provenance.certificates) if context.peer_wants_authorities else (),
    )


def show_pending(context: Context) -> bool:
    """Show the peer, which has just proved its key, the next transfer in doubt to it, if there is one."""
    pending = context.book.pending_to(context.peer.key) if context.peer else []
    if not pending:
        context.shown = None
        return False
    context.shown = pending[0]
    context.send(transfer_message(context, pending[0].transfer, resume=True))
    context.state = State.AWAIT_OUTCOME
    return True


def take_outcome(context: Context, message: OutcomeMessage) -> Outcome:
    """Verify and keep the outcome of the transfer that was shown; raise ``BAD_SIGNATURE`` and stay in doubt."""
    sent = cast("Sent", context.shown)
    transfer = sent.transfer
    request = transfer.shown().request
    body: ReceiptBody | CloseBody
    match message.kind:
        case Kind.RECEIPT:
            body = ReceiptBody(request, message.transfer or transfer.id, message.epoch)
        case Kind.CLOSE:
            body = CloseBody(request, message.reason, message.epoch)
        case _:
            raise TapError(Code.MALFORMED, "an outcome is a Receipt or a Close")
    opening = Opening(message.seed, message.prev, message.ctr)
    outcome = signed(context.book.scheme.id, transfer.body.payee, body, opening, message.signature)
    if context.peer_verify is None:
        raise TapError(Code.UNEXPECTED_MESSAGE)
    context.peer_verify(outcome.signature, outcome.id)
    if transfer.id in context.book.pending:  # else another tap of this wallet was quicker
        context.persist(Healed(transfer.id, outcome))
    with suppress(TapError):  # the outcome stands, whatever date came with it
        context.learn((), message.header)
    return outcome


def paid_by(outcome: Outcome, transfer: Transfer) -> bool:
    """Return whether this outcome accepts this transfer."""
    return isinstance(outcome.body, ReceiptBody) and outcome.body.transfer == transfer.id


def report_healed(context: Context, sent: Sent, outcome: Outcome) -> None:
    """Tell the person what became of a transfer that was in doubt."""
    transfer = sent.transfer
    result = Result.HEALED_PAID if paid_by(outcome, transfer) else Result.HEALED_RESTORED
    currency = context.book.currency(transfer)
    context.effects.append(Report(result, amount_of(transfer), currency, transfer.id, transfer.body.payee))


def answer(context: Context, message: TransferMessage, request: bytes) -> None:
    """Answer a transfer that is shown here: by the stored outcome, or by deciding it now.

    Raises ``UNKNOWN_REQUEST`` for a request that this wallet never made: never a Close from ignorance.
    """
    question = context.book.questions.get(request)
    if question is None:
        raise TapError(Code.UNKNOWN_REQUEST)
    context.answering = message
    if question.outcome is None:
        decide(context, question.asked, message)
    else:
        send_outcome(context, question.outcome, fresh=False)


def decide(context: Context, asked: Asked, message: TransferMessage) -> None:
    """Accept a transfer or close its request; either way durably, and once."""
    book = context.book
    body: ReceiptBody | CloseBody
    accepted = b""
    try:
        transfer = examine(context, asked, message)
        body, accepted = ReceiptBody(asked.request, transfer.id, book.trust.epoch), context.raw
    except TapError as error:
        context.reason = error
        body = CloseBody(asked.request, int(error.code), book.trust.epoch)
    outcome = signed(book.scheme.id, book.key, body, context.place())
    context.persist(Answered(outcome, accepted))
    context.sign(outcome, State.SIGN_OUTCOME)


def examine(context: Context, asked: Asked, message: TransferMessage) -> Transfer:
    """Return the transfer in a message if this payee may accept it, or raise why not."""
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
    accept = Acceptance(asked.currency, context.epoch, profile.hops, profile.spans)
    amount = verify(trust, received, accept, book.graph)
    if amount != asked.amount:
        raise TapError(Code.WRONG_AMOUNT)
    if book.since.receipts >= tier.receipts or book.since.received + amount > tier.received:
        raise TapError(Code.OVER_LIMIT, "this wallet must sync before it collects more")
    if book.accepted(asked.basket, asked.part):
        raise TapError(Code.BASKET_PAID)
    book.examined, context.peer = received, payer
    return received.transfer


def send_outcome(context: Context, outcome: Outcome, fresh: bool) -> None:
    """Send the outcome of the transfer just shown, and a later date if the payer's is older.

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
    behind = message.epoch < trust.epoch
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
        shown = rebuild(context.book.trust, message, context.book.key, body.request)
    except TapError:
        return False
    return shown.transfer.id == body.transfer


def check_request(context: Context, message: RequestMessage, request: Request) -> None:
    """Raise unless this payer may pay this request."""
    book, tier = context.book, context.book.tier
    body = request.body
    book.trust.check_valid(message.certificate, context.epoch)
    if not message.certificate.role & Role.COLLECT:
        raise TapError(Code.WRONG_CERTIFICATE, "this wallet may not collect")
    if not body.amount:
        raise TapError(Code.ZERO_AMOUNT)
    if body.epoch > context.epoch + limits.EPOCH_STEP:
        raise TapError(Code.EPOCH_AHEAD)
    currencies = {token.currency for token in book.graph.tokens.values()}
    if currencies and body.currency not in currencies:
        raise TapError(Code.WRONG_CURRENCY)
    if body.amount > tier.payment or book.since.payments >= tier.payments:
        raise TapError(Code.OVER_LIMIT)
    book.reserve(2 * ENTRY_ROOM)

"""What both parts do about a transfer in doubt (SPEC §11.4): show it, and take its outcome.

It is shown only to a peer that has just proved, in this session, that it holds the transfer's payee key. What that
peer then does is in :mod:`dualtap.outcome`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import cast

from dualtap import limits
from dualtap.conditions import shown_certificates
from dualtap.context import Context
from dualtap.errors import Code, TapError
from dualtap.events import Result
from dualtap.forms import signed
from dualtap.provenance import bundle
from dualtap.records import Healed, Sent
from dualtap.statements import (
    CloseBody,
    Kind,
    Opening,
    Outcome,
    ReceiptBody,
    Transfer,
)
from dualtap.states import Part, State
from dualtap.suite import TAG
from dualtap.wire import OutcomeMessage, TransferMessage, decode, encode


def transfer_message(
    context: Context, transfer: Transfer, resume: bool, news: bool = False, dated: bool = False
) -> TransferMessage:
    """Return the message that shows a transfer and its provenance; ``news``: its sender goes on with news.

    ``dated``: with the date, also where the peer knows it.
    """
    trust, book = context.book.trust, context.holder(transfer.key)
    provenance, spans = bundle(book.trust, book.graph, transfer, book.certificate)
    opening, body = transfer.shown(), transfer.body
    tokens = [book.graph.tokens[book.graph.origin(span.parent).token] for span in body.spans]
    witnesses = [*body.witness, *[item for hand in provenance.transfers for item in hand.witness]]
    hands = (*provenance.certificates, *shown_certificates(witnesses))
    header = trust.header if dated or context.peer_epoch < trust.epoch else None
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
        header,
        book.trust.chain(book.certificate, tokens, hands, header) if context.peer_wants_authorities else (),
        news,
    )


def show_pending(context: Context) -> bool:
    """Show the peer the next transfer in doubt to a key that it has proved in this session, if there is one.

    SPEC §11.4-1, §11.4-2 and §20.1-6.
    """
    pending = [sent for book in context.books.values() for key in context.proved for sent in book.pending_to(key)]
    if not pending:
        context.shown = None
        return False
    show(context, pending[0])
    return True


def show(context: Context, sent: Sent) -> None:
    """Show the peer a transfer that is in doubt to it (SPEC §11.4-9)."""
    context.shown = sent
    message = transfer_message(context, sent.transfer, resume=True)
    most = context.request.body.size if context.part is Part.PAYER and context.request else limits.CARD_MESSAGE
    if message.authorities and not readable(message, most):
        # Without them the peer may close what it cannot judge; unread, it could not even do that.
        message = message._replace(authorities=())
    context.send(message)
    context.state = State.AWAIT_OUTCOME


def readable(message: TransferMessage, most: int) -> bool:
    """Return whether a peer that takes frames of ``most`` bytes can read a message: neither it nor a list too long."""
    try:
        decode(encode(message), most - TAG)
    except TapError:
        return False
    return True


def take_outcome(context: Context, message: OutcomeMessage) -> Outcome:
    """Verify and keep the outcome of the transfer that was shown; raise ``BAD_SIGNATURE`` and stay in doubt.

    SPEC §11.3-12 and §11.3-13.
    """
    sent = cast("Sent", context.shown)
    transfer = sent.transfer
    request = transfer.shown().request
    body: ReceiptBody | CloseBody = CloseBody(request, message.reason, message.epoch)
    if message.kind is Kind.RECEIPT:
        body = ReceiptBody(request, message.transfer or transfer.id, message.epoch)
    if message.ctr <= message.prev:
        raise TapError(Code.MALFORMED, "no place on a tape")
    opening = Opening(message.seed, message.prev, message.ctr)
    outcome = signed(context.book.scheme.id, transfer.body.payee, body, opening, message.signature)
    peer, verify = context.peer, context.peer_verify
    if peer is None or peer.key != transfer.body.payee:
        verify = context.proved.get(transfer.body.payee)
    if verify is None:
        raise TapError(Code.UNEXPECTED_MESSAGE)
    verify(outcome.signature, outcome.id)
    book = context.holder(transfer.key)
    if transfer.id in book.pending:  # else another tap of this wallet was quicker
        context.persist(Healed(transfer.id, outcome), book=book)
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
    context.tell(result, transfer)

"""What a payer does (SPEC §11.3): heal what is in doubt, ask its person, pay, and keep the outcome."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from dualtap import allowance, limits, recall, telling, timed
from dualtap.account import ENTRY_ROOM
from dualtap.both import refused, send_present, sign_present, stop, take_present
from dualtap.context import Context, Pay
from dualtap.errors import Code, TapError, decode_code
from dualtap.events import Ask, Begin, Consent, Decline, Result, Signature
from dualtap.forms import signed
from dualtap.heal import paid_by, readable, report_healed, show_pending, take_outcome, transfer_message
from dualtap.issued import Role
from dualtap.outcome import answer, send_decided
from dualtap.records import Asked, Sent
from dualtap.select import Choice, Wanted, choose
from dualtap.statements import (
    CloseBody,
    Opening,
    Outcome,
    Present,
    Private,
    Request,
    RequestBody,
    Transfer,
    TransferBody,
    Verification,
)
from dualtap.states import State
from dualtap.telling import after_payment, due
from dualtap.wire import (
    DoneMessage,
    Hello,
    OutcomeMessage,
    PongMessage,
    PresentMessage,
    ProceedMessage,
    RecallMessage,
    RefuseMessage,
    RequestMessage,
    TransferMessage,
    Welcome,
)

UNSIGNED = bytes(64)
"""Stands for a signature while a message is measured."""


def begin(context: Context, event: Begin) -> None:
    """Greet."""
    del event
    context.greet()


def hello(context: Context, message: Hello) -> None:
    """As responder: derive the channel and let the payee speak."""
    context.answer_hello(message)
    context.send_welcome()
    context.state = State.AWAIT_REQUEST


def welcome(context: Context, message: Welcome) -> None:
    """As initiator: derive the channel. The payee's message is in the Welcome and is taken next."""
    context.take_welcome(message)
    context.state = State.AWAIT_REQUEST


def request(context: Context, message: RequestMessage) -> None:
    """Verify the request of this session; heal, then ask the person (SPEC §11.3-2)."""
    channel, book = context.established(), context.book
    context.learn(message.authorities, None)
    body = RequestBody(channel.transcript, not channel.initiator, *message[1:11])
    asked = signed(book.scheme.id, message.certificate.key, body, b"", message.signature)
    context.meet(message.certificate, asked)
    context.request, context.peer_epoch = asked, body.epoch
    context.asked = Asked(asked.id, body.basket, body.part, body.amount, body.currency, body.epoch)
    context.request_message, context.peer_news = message, message.news
    prove(context, message.prove)


def prove(context: Context, wanted: bool) -> None:
    """Prove this wallet's key first, if the payee has something in doubt; then go on (SPEC §11.3-3)."""
    if not wanted:
        go_on(context)
        return
    sign_present(context)


def presented(context: Context, event: Signature) -> None:
    """Send the proof that was asked for, and answer for what it brings up."""
    send_present(context, event, prove=False)
    context.state = State.AWAIT_PROCEED


def present(context: Context, message: PresentMessage) -> None:
    """The payee has nothing to charge: heal only (SPEC §11.3-1)."""
    take_present(context, message)
    context.peer_news = message.news
    prove(context, message.prove)


def finish(context: Context) -> None:
    """Say that there is nothing more to say of payments: a Done, or the beginning of news."""
    agreed = due(context)
    if not agreed:
        context.send(DoneMessage())
    # A payee that asks for nothing does not say why.
    unasked = "or the other device may ask for nothing now" if context.request is None else ""
    context.report(Result.DONE, b"", Code.BASKET_PAID, unasked)
    after_payment(context, agreed=agreed)


def resume(context: Context, message: TransferMessage) -> None:
    """The payee shows a transfer that it once made to this wallet: answer it."""
    answer(context, message, message.request)


def decided(context: Context, event: Signature) -> None:
    """Send the outcome of what the payee showed, and wait for more."""
    send_decided(context, event)
    context.reason = None
    context.state = State.AWAIT_PROCEED


def proceed(context: Context, message: ProceedMessage) -> None:
    """The payee has nothing more in doubt."""
    del message
    go_on(context)


def go_on(context: Context) -> None:
    """Heal before paying; then check the request and ask the person. Without a request, healing is all.

    SPEC §11.3-4.
    """
    if show_pending(context):
        return
    if recall.recall(context):
        context.state = State.AWAIT_RECALL
        return
    pay(context)


def recalled(context: Context, message: RecallMessage) -> None:
    """Prove a former key that the payee asks for, or go on (SPEC §20.1-4)."""
    if not recall.sign_return(context, message):
        go_on(context)


def answered(context: Context, event: Signature) -> None:
    """Send the proof of a former key, and answer for what it brings up."""
    recall.send_return(context, cast("Present", context.signed(event)))
    context.state = State.AWAIT_PROCEED


def returned(context: Context, message: PresentMessage) -> None:
    """The payee held a key that was recalled: show it what is in doubt to that key."""
    recall.returned(context, message)


def unknown(context: Context, message: ProceedMessage) -> None:
    """The payee held none of the keys that were recalled: pay."""
    del message
    context.recall_over = True
    pay(context)


def pay(context: Context) -> None:
    """Check the request, measure and ask the person; without a request, or if it is paid, healing was all."""
    if context.request is None or context.paid_before:
        finish(context)
        return
    message = cast("RequestMessage", context.request_message)
    asked = context.request
    check_request(context, message, asked)
    check_refund(context, asked)
    context.chosen = choose_fitting(context)
    if context.timing.due:
        timed.start(context)
    else:
        ask(context)


def ask(context: Context) -> None:
    """Ask the person (SPEC §11.3-9)."""
    body = cast("Request", context.request).body
    payee = cast("RequestMessage", context.request_message).certificate
    context.effects.append(Ask(body.amount, body.currency, payee, needed(context)))
    context.state = State.AWAIT_CONSENT


def needed(context: Context) -> Verification:
    """Return the least verification of the user with which this payer may pay this request (SPEC §22-5)."""
    book, body = context.book, cast("Request", context.request).body
    return allowance.needed(book.tier, book.spent, body.amount, body.verification)


def pong(context: Context, message: PongMessage) -> None:
    """Ask the person if the payee is near, or measure again (SPEC §24-4)."""
    if timed.measured(context, message):
        ask(context)


def choose_spans(context: Context, *, free: bool = False) -> Choice:
    """Return what to pay the request with; ``free`` leaves out what is bound to a purpose."""
    asked, message = cast("Request", context.request).body, cast("RequestMessage", context.request_message)
    pay = cast("Pay", context.order)
    wanted = Wanted(
        asked.amount,
        asked.currency,
        context.epoch,
        asked.hops,
        asked.spans,
        message.certificate,
        asked.basket,
        pay.witness,
    )
    return choose(context.book, wanted, context.random, free=free)


def check_request(context: Context, message: RequestMessage, request: Request) -> None:
    """Raise unless this payer may pay this request (SPEC §11.3-5)."""
    book, tier = context.book, context.book.tier
    book.check_active()
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
    if body.amount > tier.payment:
        raise TapError(Code.OVER_LIMIT, "more than this wallet's tier allows for a payment")
    if book.since.payments >= tier.payments:
        raise TapError(Code.OVER_LIMIT, "no payment is left before a sync")
    allowance.check_day(tier, book.spent, book.trust.epoch, body.amount)
    timed.check(context, body.amount > tier.untimed)
    book.check_restraint(body.amount)
    book.reserve(2 * ENTRY_ROOM)


def check_refund(context: Context, asked: Request) -> None:
    """Raise ``NOT_A_REFUND`` unless a refund goes back to who paid, and no more than was paid (SPEC §11.3-6)."""
    pay = cast("Pay", context.order)
    if not pay.refund_of:
        return
    taken = context.book.taken.get(pay.refund_of)
    if taken is None or taken.payer != asked.key:
        raise TapError(Code.NOT_A_REFUND, "this wallet did not receive it from that wallet")
    if asked.body.amount > taken.amount - taken.refunded or pay.amount not in (None, asked.body.amount):
        raise TapError(Code.NOT_A_REFUND, "the amounts differ")


def consent(context: Context, event: Consent) -> None:
    """Choose spans, make the transfer durable, and have it signed (SPEC §11.3-8 and §11.3-10)."""
    book, asked = context.book, cast("Request", context.request)
    body = asked.body
    # While the person thought, another tap of this wallet may have used up a limit, or made the same refund.
    check_request(context, cast("RequestMessage", context.request_message), asked)
    check_refund(context, asked)
    if event.verification < needed(context):
        raise TapError(Code.UNVERIFIED)
    timed.check_done(context)
    chosen = context.chosen
    if chosen.bound or not all(book.holds(span) for span in chosen.spans):
        chosen = choose_fitting(context)  # another tap of this wallet was quicker, or brought a later date
    private = Private(event.verification, cast("Pay", context.order).refund_of)
    opening = book.place(context.random, asked.id, private)
    transfer = made(context, asked, chosen, opening)
    sent = Sent(transfer, body.basket, body.part)
    context.persist(sent)
    context.shown = sent
    context.sign(transfer, State.SIGN_TRANSFER)


def choose_fitting(context: Context) -> Choice:
    """Return what to pay with, in a message that the payee can take; raise ``INSUFFICIENT`` or ``TOO_LARGE``."""
    chosen = choose_spans(context)
    try:
        check_size(context, chosen)
    except TapError as error:
        if not chosen.bound:
            raise
        # Conditions and what they ask for take bytes: value without them may still fit.
        try:
            chosen = choose_spans(context, free=True)
            check_size(context, chosen)
        except TapError:
            raise error from None
    return chosen


def made(context: Context, asked: Request, chosen: Choice, opening: Opening) -> Transfer:
    """Return the transfer that pays with this, not yet signed."""
    book = context.book
    body = TransferBody(asked.key, chosen.spans, book.trust.epoch, chosen.witness)
    return signed(book.scheme.id, book.key, body, opening)


def check_size(context: Context, chosen: Choice) -> None:
    """Raise ``TOO_LARGE`` unless the payee can take this payment's message: nobody agrees to what cannot be paid.

    Raises ``STORE_FULL`` if this wallet could not keep what it shows (§12-8). SPEC §8.4-3. It is measured at the
    furthest place that the tape may take next, with the date: shown again, it may bring a later one.
    """
    book, asked, pay = context.book, cast("Request", context.request), cast("Pay", context.order)
    if chosen.witness:  # what it shows besides needs room besides: none is taken from outcomes that are still to come
        book.reserve(3 * ENTRY_ROOM + sum(map(len, chosen.witness)))
    size = asked.body.size
    simple = len(chosen.spans) == 1 and not chosen.bound and chosen.spans[0].parent.id in book.graph.tokens
    if simple and size >= limits.CARD_MESSAGE:
        return  # a card takes any message with one token and no hand
    private = Private(Verification.DEVICE, pay.refund_of)
    place = Opening(bytes(16), book.counter, book.counter + limits.COUNTER_STEP, private, asked.id)
    transfer = made(context, asked, chosen, place)
    message = transfer_message(context, transfer.sealed(UNSIGNED), resume=True, dated=True)
    if not readable(message, size):
        raise TapError(Code.TOO_LARGE, "the payee cannot carry this value's history")


def decline(context: Context, event: Decline) -> None:
    """The person said no."""
    del event
    context.send(RefuseMessage(int(Code.DECLINED)))
    context.end(Code.DECLINED)


def transferred(context: Context, event: Signature) -> None:
    """Send the transfer."""
    transfer = cast("Transfer", context.signed(event))
    context.shown = context.book.pending[transfer.id]
    context.news_due = due(context)
    context.send(transfer_message(context, transfer, resume=False, news=context.news_due))
    context.state = State.AWAIT_OUTCOME


def outcome(context: Context, message: OutcomeMessage) -> None:
    """Keep the outcome of what was shown; end if it was this session's, else go on."""
    sent = cast("Sent", context.shown)
    found = take_outcome(context, message)
    asked = context.request
    if asked is not None and sent.transfer.shown().request == asked.id:
        if paid_by(found, sent.transfer):
            context.report(Result.PAID, sent.transfer.id)
        else:
            closed = isinstance(found.body, CloseBody)
            code = decode_code(message.reason) if closed else Code.BASKET_PAID
            why = "closed by the payee" if closed else "the payee took another payment"
            context.report(Result.NOT_PAID, sent.transfer.id, code, why)
        after_payment(context, agreed=context.news_due)
        return
    report_healed(context, sent, found)
    context.paid_before |= already_paid(context, sent, found)
    go_on(context)


def already_paid(context: Context, sent: Sent, found: Outcome) -> bool:
    """Return whether the healed transfer paid the very part that is asked for again (SPEC §11.4-7)."""
    asked = context.asked
    return (
        asked is not None and paid_by(found, sent.transfer) and (sent.basket, sent.part) == (asked.basket, asked.part)
    )


ACTIONS: dict[str, Callable[[Context, Any], None]] = {
    act.__name__: act
    for act in (
        begin, hello, welcome, request, presented, present, resume, decided, proceed,
        recalled, answered, returned, unknown, pong, consent, decline, transferred, outcome, refused, stop,
    )
} | telling.ACTIONS  # fmt: skip

"""What a payee does (SPEC §11.2): clear, ask, decide, and answer for what it decided before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from dualtap import limits, telling
from dualtap.account import ENTRY_ROOM
from dualtap.book import Book
from dualtap.both import authorities, refused, send_present, sign_present, stop, take_present
from dualtap.codec import basket, currency, details, enumeration, uint
from dualtap.context import Charge, Context
from dualtap.errors import Code, TapError, decode_code
from dualtap.events import Begin, Result, Signature
from dualtap.forms import signed
from dualtap.heal import report_healed, take_outcome
from dualtap.outcome import answer, check_balance, send_decided
from dualtap.recall import heal_on, returned, send_return, sign_return
from dualtap.records import Answered, Asked, Sent
from dualtap.statements import (
    CloseBody,
    Present,
    ReceiptBody,
    Request,
    RequestBody,
    Verification,
)
from dualtap.states import State
from dualtap.telling import after_payment, check_part, have, own_hint
from dualtap.timed import ping
from dualtap.wire import (
    DoneMessage,
    Hello,
    NewsHave,
    OutcomeMessage,
    PresentMessage,
    ProceedMessage,
    RecallMessage,
    RequestMessage,
    TransferMessage,
    Welcome,
)

_amount = uint(limits.AMOUNT, 1)
_part = uint(255)
_verification = enumeration(Verification)


def order_of(context: Context) -> Charge:
    """Return what this payee asks for."""
    return cast("Charge", context.order)


def begin(context: Context, event: Begin) -> None:
    """Close this part's open requests, then greet: a part has one live request (SPEC §11.2-1 and §11.2-2)."""
    del event
    charge, book = order_of(context), context.book
    check_charge(charge)
    book.check_active()
    requests = book.parts.get((charge.basket, charge.part), [])
    if len(requests) >= limits.BASKET_REQUESTS and not charge.person:
        raise TapError(Code.BASKET_WAITS)
    clear(context)


def accepted(context: Context, charge: Charge) -> bool:
    """Return whether this part is paid, by whatever key of this device."""
    return any(book.accepted(charge.basket, charge.part) for book in context.books.values())


def in_doubt(context: Context) -> bool:
    """Return whether this device has anything in doubt (SPEC §11.2-6)."""
    return bool(context.book.pending) or any(
        sent.transfer.shown().request for book in context.retired for sent in book.pending.values()
    )


def check_charge(charge: Charge) -> None:
    """Raise ``BAD_INPUT`` for what no Request can ask, by the checks of whoever reads it."""
    for check, value, rule in (
        (_amount, charge.amount, "an amount is from 1 to 2**53 - 1 minor units"),
        (currency, charge.currency, "a currency is three capital letters, as in ISO 4217"),
        (basket, charge.basket, "a basket has 16 bytes"),
        (_part, charge.part, "a part is from 0 to 255"),
        (details, charge.details, "details are a hash of 32 bytes, or empty"),
        (_verification, int(charge.verification), "a verification is one that the scheme knows"),
    ):
        try:
            check(value)
        except TapError as error:
            raise TapError(Code.BAD_INPUT, rule) from error


def clear(context: Context) -> None:
    """Close the next open request of this part, or greet when there is none (SPEC §11.2-3)."""
    charge, book = order_of(context), context.book
    for key in book.parts.get((charge.basket, charge.part), ()):
        if book.questions[key].outcome is None:
            close(context, key, Code.TIMEOUT, State.CLEARING)
            return
    why = None if accepted(context, charge) else barred(book, charge)
    if why is not None and why.code is Code.STORE_FULL and book.open:
        # An abandoned sale must not block the next customer: the oldest gives its room back.
        close(context, next(iter(book.open)), Code.STORE_FULL, State.CLEARING)
        return
    context.greet()


def barred(book: Book, charge: Charge) -> TapError | None:
    """Return why this wallet may ask for no payment now, so that its taps heal only (SPEC §11.2-11)."""
    try:
        check_balance(book, charge.amount)
        book.reserve(book.profile.message + 2 * ENTRY_ROOM)
    except TapError as error:
        return error
    return None


def close(context: Context, request: bytes, reason: Code, state: State) -> None:
    """Durably close a request, and have the Close signed."""
    outcome = context.book.close_of(request, reason, context.random)
    context.persist(Answered(outcome, b""))
    context.sign(outcome, state)


def cleared(context: Context, event: Signature) -> None:
    """Go on clearing."""
    context.signed(event)
    clear(context)


def hello(context: Context, message: Hello) -> None:
    """As responder: derive the channel, then ask."""
    context.answer_hello(message)
    ask(context)


def welcome(context: Context, message: Welcome) -> None:
    """As initiator: derive the channel, then ask."""
    context.take_welcome(message)
    ask(context)


def ask(context: Context) -> None:
    """Make the request of this session; where nothing may be asked for, only present the key, to heal.

    SPEC §11.2-5 and §11.2-11.
    """
    charge, book = order_of(context), context.book
    channel, trust, profile = context.established(), book.trust, book.profile
    paid = accepted(context, charge)
    context.barred = None if paid else barred(book, charge)
    if paid or context.barred is not None:
        sign_present(context)
        return
    book.check_active()  # another tap's sync may have retired the key since this one began
    body = RequestBody(
        channel.transcript,
        channel.initiator,
        charge.amount,
        charge.currency,
        charge.basket,
        charge.part,
        charge.details,
        profile.hops,
        profile.spans,
        profile.message,
        charge.verification,
        trust.epoch,
    )
    request = signed(book.scheme.id, book.key, body)
    last = trust.epoch, charge.verification
    asked = Asked(request.id, charge.basket, charge.part, charge.amount, charge.currency, *last)
    context.asked = asked
    context.persist(asked)
    context.sign(request, State.SIGN_REQUEST)


def requested(context: Context, event: Signature) -> None:
    """Send the request (SPEC §11.2-6)."""
    request = cast("Request", context.signed(event))
    body, book = request.body, context.book
    context.request = request
    context.send(
        RequestMessage(
            in_doubt(context),
            body.amount,
            body.currency,
            body.basket,
            body.part,
            body.details,
            body.hops,
            body.spans,
            body.size,
            body.verification,
            body.epoch,
            request.signature,
            book.certificate,
            authorities(context),
            own_hint(context),
        )
    )
    context.state = State.AWAIT_TRANSFER


def presented(context: Context, event: Signature) -> None:
    """Send the proof that this wallet holds its key, and ask for the payer's if something is in doubt to it."""
    send_present(context, event, prove=in_doubt(context))
    context.state = State.AWAIT_TRANSFER


def transfer(context: Context, message: TransferMessage) -> None:
    """Decide the transfer that answers this session's request."""
    if context.asked is None:
        raise TapError(Code.REPLAYED_REQUEST)
    answer(context, message, context.asked.request)
    outcome = context.book.questions[context.asked.request].outcome
    if context.state is State.AWAIT_TRANSFER and outcome is not None:
        # Another tap of this wallet closed the request: the payer was told so, and nothing else is to come.
        body = outcome.body
        context.end(decode_code(body.reason) if isinstance(body, CloseBody) else Code.BASKET_PAID)
        after_payment(context, agreed=message.news)


def resume(context: Context, message: TransferMessage) -> None:
    """Answer a transfer of an earlier session."""
    answer(context, message, message.request)


def decided(context: Context, event: Signature) -> None:
    """Send the outcome; end if it is this session's."""
    outcome = send_decided(context, event)
    reason, context.reason = context.reason, None
    if context.asked is None or outcome.body.request != context.asked.request:
        context.state = State.AWAIT_TRANSFER
        return
    if isinstance(outcome.body, ReceiptBody):
        context.report(Result.COLLECTED, outcome.body.transfer)
    else:
        context.end(outcome.body.reason if reason is None else reason.code, reason.detail if reason else "")
    after_payment(context, agreed=cast("TransferMessage", context.answering).news)


def proved(context: Context, message: PresentMessage) -> None:
    """The payer proved its key, as asked: show it what is in doubt to it, or let it go on."""
    if context.recalled:
        returned(context, message)
        return
    take_present(context, message)
    if not heal_on(context):
        context.send(ProceedMessage())


def recalled(context: Context, message: RecallMessage) -> None:
    """Prove a former key that the payer asks for, or let it go on (SPEC §20.1-4)."""
    if not sign_return(context, message):
        context.send(ProceedMessage())


def answered(context: Context, event: Signature) -> None:
    """Send the proof of a former key, and answer for what it brings up."""
    send_return(context, cast("Present", context.signed(event)))
    context.state = State.AWAIT_TRANSFER


def healed(context: Context, message: OutcomeMessage) -> None:
    """Keep the outcome of the transfer shown; show the next, or let the payer go on."""
    sent = cast("Sent", context.shown)
    report_healed(context, sent, take_outcome(context, message))
    context.state = State.AWAIT_TRANSFER
    if not heal_on(context):
        context.send(ProceedMessage())


def told(context: Context, message: NewsHave) -> None:
    """The payer has nothing more to say of payments, and begins with news (SPEC §21-3)."""
    check_part(context)
    end_done(context)
    after_payment(context, agreed=True)
    have(context, message)


def done(context: Context, message: DoneMessage) -> None:
    """The payer has nothing more to say: this part is paid, or else the payer will not pay it (SPEC §11.2-9)."""
    del message
    end_done(context)


def end_done(context: Context) -> None:
    """Report a payer that has nothing more to say."""
    charge = order_of(context)
    if context.barred is not None:
        context.end(context.barred.code, context.barred.detail)
        return
    if not accepted(context, charge):
        context.end(Code.DECLINED, "said by the other device")
        return
    context.report(Result.DONE, b"", Code.BASKET_PAID)
    context.state = State.ENDED


ACTIONS: dict[str, Callable[[Context, Any], None]] = {
    act.__name__: act
    for act in (
        begin,
        cleared,
        hello,
        welcome,
        requested,
        presented,
        transfer,
        resume,
        decided,
        proved,
        recalled,
        answered,
        healed,
        refused,
        done,
        told,
        ping,
        stop,
    )
} | telling.ACTIONS

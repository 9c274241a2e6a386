"""Healing with a device that has changed its key (SPEC §20.1).

A transfer in doubt is shown only to who holds its payee key. Who holds another key may once have held that one: a
Recall asks, by digests that say nothing to anybody else, and who made the request answers with a Present of the key
with which it made it.
"""

from __future__ import annotations

from typing import cast

from dualtap import limits
from dualtap.book import Book
from dualtap.context import Context
from dualtap.errors import Code, TapError
from dualtap.forms import signed
from dualtap.heal import show, show_pending
from dualtap.statements import Present, PresentBody
from dualtap.states import State
from dualtap.suite import sha256
from dualtap.wire import PresentMessage, RecallMessage


def recall_digest(transcript: bytes, initiator: bool, key: bytes, request: bytes) -> bytes:
    """Return what asks for a key in one session: who knows the request that it made, and nobody else, can tell.

    ``transcript`` is th, ``initiator`` whether the asking side sent the Hello (SPEC §20.1-2).
    """
    return sha256(b"dualtap recall 1" + transcript + bytes([initiator]) + key + request)


def heal_on(context: Context) -> bool:
    """Show the next transfer in doubt, or recall the keys of the others; return whether something was sent."""
    return show_pending(context) or recall(context)


def recall(context: Context) -> bool:
    """Ask the peer, which has proved a key, whether it held any of the keys of what else is in doubt here.

    SPEC §20.1-1 to §20.1-3.
    """
    context.recalled = {}
    if context.recall_over:
        return False
    for book in context.books.values():
        for sent in book.pending.values():
            payee = sent.transfer.body.payee
            if sent.transfer.shown().request and payee not in context.proved and len(context.recalled) < limits.RECALLS:
                context.recalled.setdefault(payee, sent)
    if not context.recalled:
        return False
    channel = context.established()
    context.send(
        RecallMessage(
            tuple(
                [
                    recall_digest(channel.transcript, channel.initiator, key, sent.transfer.shown().request)
                    for key, sent in context.recalled.items()
                ]
            )
        )
    )
    return True


def returned(context: Context, message: PresentMessage) -> None:
    """The peer held a recalled key, and proves it: show what is in doubt to that key (SPEC §20.1-5)."""
    sent = context.recalled.get(message.certificate.key)
    if sent is None:
        raise TapError(Code.UNEXPECTED_MESSAGE, "not a key that was recalled")
    channel, book = context.established(), context.book
    context.recalled = {}
    context.learn(message.authorities, None)
    body = PresentBody(channel.transcript, not channel.initiator, message.epoch)
    key = message.certificate.key
    context.prove(message.certificate, signed(book.scheme.id, key, body, b"", message.signature))
    if not show_pending(context):  # another tap of this wallet was quicker: the answer is the same
        show(context, sent)


def sign_return(context: Context, message: RecallMessage) -> bool:
    """Have the proof signed of the first recalled key that this device held; return whether it held any.

    Once one is asked in vain, a further Recall is refused (SPEC §20.1-4).
    """
    if context.returns_over:
        raise TapError(Code.UNEXPECTED_MESSAGE, "these keys were asked for in vain")
    held = _held(context, message)
    if held is None:
        context.returns_over = True
        return False
    channel = context.established()
    context.returning = held
    context.returned.add(held.key)
    present = PresentBody(channel.transcript, channel.initiator, held.trust.epoch)
    context.sign(signed(held.scheme.id, held.key, present), State.SIGN_RECALL)
    return True


def _held(context: Context, message: RecallMessage) -> Book | None:
    """Return the retired wallet of this device that made a request for which a digest stands."""
    channel, asked = context.established(), set(message.digests)
    for book in context.retired:
        if book.key in context.returned:
            continue
        for request in book.questions:
            if recall_digest(channel.transcript, not channel.initiator, book.key, request) in asked:
                return book
    return None


def send_return(context: Context, present: Present) -> None:
    """Send that proof."""
    held = cast("Book", context.returning)
    chain = held.trust.chain(held.certificate) if context.peer_wants_authorities else ()
    context.send(PresentMessage(False, present.body.epoch, present.signature, held.certificate, chain))

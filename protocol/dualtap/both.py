"""What both parts do alike besides healing: prove a key (SPEC §11.4), and end when the peer or the device gives up."""

from __future__ import annotations

from typing import cast

from dualtap.context import Context
from dualtap.errors import decode_code
from dualtap.events import Signature, Stop
from dualtap.forms import signed
from dualtap.issued import AuthorityCertificate
from dualtap.statements import Present, PresentBody
from dualtap.states import State
from dualtap.telling import own_hint
from dualtap.wire import PresentMessage, RefuseMessage


def sign_present(context: Context) -> None:
    """Have the proof signed that this wallet holds its key, here and now."""
    channel, book = context.established(), context.book
    present = PresentBody(channel.transcript, channel.initiator, book.trust.epoch)
    context.sign(signed(book.scheme.id, book.key, present), State.SIGN_PRESENT)


def send_present(context: Context, event: Signature, prove: bool) -> None:
    """Send that proof; ``prove`` asks the peer for its own."""
    present, book = cast("Present", context.signed(event)), context.book
    context.send(
        PresentMessage(
            prove, present.body.epoch, present.signature, book.certificate, authorities(context), own_hint(context)
        )
    )


def take_present(context: Context, message: PresentMessage) -> None:
    """Believe a Present of this session."""
    channel, book = context.established(), context.book
    context.learn(message.authorities, None)
    body = PresentBody(channel.transcript, not channel.initiator, message.epoch)
    context.peer_epoch = message.epoch
    context.meet(message.certificate, signed(book.scheme.id, message.certificate.key, body, b"", message.signature))


def authorities(context: Context) -> tuple[AuthorityCertificate, ...]:
    """Return this wallet's chain if the peer lacks it."""
    return context.book.trust.chain(context.book.certificate) if context.peer_wants_authorities else ()


def refused(context: Context, message: RefuseMessage) -> None:
    """The peer will not go on."""
    context.end(decode_code(message.code), "said by the other device")


def stop(context: Context, event: Stop) -> None:
    """The link or the device gave up."""
    context.end(event.code)

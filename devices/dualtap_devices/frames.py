"""What frames are called where people are told of them: the names of the specification; nothing of what is inside."""

from __future__ import annotations

from dualtap import ownermessages, syncmessages, wire
from dualtap.errors import TapError, decode_code
from dualtap.statements import Kind
from dualtap.syncmessages import SyncProof
from dualtap.wire import Hello, Message, OutcomeMessage, RefuseMessage, Want, Welcome


def wants(want: Want) -> str:
    """Return what a Hello, a Welcome or a Call says that its sender wants."""
    return ", ".join(item.name.lower() for item in Want if item in want and item.name) or "nothing"


def message_name(message: Message) -> str:
    """Return what a sealed message of a tap is called; of a Refuse also its error."""
    match message:
        case OutcomeMessage():
            return "Receipt" if message.kind is Kind.RECEIPT else "Close"
        case RefuseMessage():
            code = decode_code(message.code)
            return f"Refuse ({getattr(code, 'name', code)})"
        case _:
            return type(message).__name__.removesuffix("Message")


def plain_name(plain: bytes) -> str:
    """Return what an opened message is called, of a tap, of a sync or of an owner's session."""
    try:
        return message_name(wire.decode(plain))
    except TapError:
        pass
    try:
        return type(ownermessages.decode(plain)).__name__.removesuffix("Message")
    except TapError:
        pass
    try:
        inner = syncmessages.decode(plain)
    except TapError:
        return "an unknown message"
    return "Proof" if isinstance(inner, SyncProof) else type(inner).__name__.removeprefix("Sync")


def said_name(message: Hello | Welcome | Message | None, inner: Message | None = None) -> str:
    """Return what a frame is called; ``None`` is one that could not be opened, ``inner`` what a Welcome carries."""
    match message:
        case None:
            return "sealed, and not opened"
        case Hello():
            return f"Hello ({wants(message.want)})"
        case Welcome():
            return f"Welcome ({wants(message.want)})" + (f" with {message_name(inner)}" if inner is not None else "")
        case _:
            return message_name(message)

"""The one file that knows the states (SPEC §11): role x state x event, as data.

Every cell is a transition, named here and written in the module of its role, or a named refusal. A move lists
every state that it may lead to; the machine asserts it, so that this table cannot drift from the code.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from dualtap.errors import Code


class _Cell(Enum):
    """A coordinate of the table. Members are singletons: hashing by identity spares a call for each look-up."""

    __hash__ = object.__hash__


class Part(_Cell):
    """Which part a device plays in a tap."""

    PAYEE = "payee"
    PAYER = "payer"


class State(_Cell):
    """Where a tap stands."""

    READY = "ready"
    CLEARING = "clearing"
    AWAIT_HELLO = "await hello"
    AWAIT_WELCOME = "await welcome"
    SIGN_REQUEST = "sign request"
    SIGN_PRESENT = "sign present"
    AWAIT_REQUEST = "await request"
    AWAIT_PROCEED = "await proceed"
    AWAIT_RECALL = "await recall"
    AWAIT_TRANSFER = "await transfer"
    AWAIT_PONG = "await pong"
    AWAIT_CONSENT = "await consent"
    SIGN_TRANSFER = "sign transfer"
    SIGN_RECALL = "sign recall"
    SIGN_OUTCOME = "sign outcome"
    AWAIT_OUTCOME = "await outcome"
    AWAIT_NEWS = "await news"
    TAKE_NEWS = "take news"
    GIVE_NEWS = "give news"
    ENDED = "ended"


class On(_Cell):
    """What can happen: frames by what is in them, then what the device itself says."""

    HELLO = "Hello"
    WELCOME = "Welcome"
    REQUEST = "Request"
    PRESENT = "Present"
    TRANSFER = "Transfer"
    RESUME = "Resume"
    """A Transfer message that names its request: one of an earlier session, shown again."""
    OUTCOME = "Outcome"
    PROCEED = "Proceed"
    REFUSE = "Refuse"
    DONE = "Done"
    RECALL = "Recall"
    HAVE = "Have"
    PIECE = "Piece"
    PING = "Ping"
    PONG = "Pong"
    BEGIN = "begin"
    SIGNED = "signed"
    CONSENT = "consent"
    DECLINE = "decline"
    STOP = "stop"


LOCAL = frozenset({On.BEGIN, On.SIGNED, On.CONSENT, On.DECLINE, On.STOP})


class Move(NamedTuple):
    """A transition: its name, and the states that it may lead to (besides ``ENDED``, by an error)."""

    name: str
    to: tuple[State, ...]


_S = State
TELLING = frozenset({_S.AWAIT_NEWS, _S.TAKE_NEWS, _S.GIVE_NEWS})
"""Where the payment is over and reported, and news goes from device to device (SPEC §21)."""
_PAYING = (_S.AWAIT_OUTCOME, _S.AWAIT_RECALL, _S.AWAIT_PONG, _S.AWAIT_CONSENT)
"""Where a payer stands once the payee is proved: healing first, then measuring, else asking the person."""

TABLE: dict[tuple[Part, State, On], Move] = {
    (Part.PAYEE, _S.READY, On.BEGIN): Move("begin", (_S.CLEARING, _S.AWAIT_HELLO, _S.AWAIT_WELCOME)),
    (Part.PAYEE, _S.CLEARING, On.SIGNED): Move("cleared", (_S.CLEARING, _S.AWAIT_HELLO, _S.AWAIT_WELCOME)),
    (Part.PAYEE, _S.AWAIT_HELLO, On.HELLO): Move("hello", (_S.SIGN_REQUEST, _S.SIGN_PRESENT)),
    (Part.PAYEE, _S.AWAIT_WELCOME, On.WELCOME): Move("welcome", (_S.SIGN_REQUEST, _S.SIGN_PRESENT)),
    (Part.PAYEE, _S.SIGN_REQUEST, On.SIGNED): Move("requested", (_S.AWAIT_TRANSFER,)),
    (Part.PAYEE, _S.SIGN_PRESENT, On.SIGNED): Move("presented", (_S.AWAIT_TRANSFER,)),
    (Part.PAYEE, _S.AWAIT_TRANSFER, On.TRANSFER): Move("transfer", (_S.SIGN_OUTCOME, _S.AWAIT_NEWS, _S.ENDED)),
    (Part.PAYEE, _S.AWAIT_TRANSFER, On.RESUME): Move("resume", (_S.SIGN_OUTCOME, _S.AWAIT_TRANSFER)),
    (Part.PAYEE, _S.AWAIT_TRANSFER, On.PRESENT): Move("proved", (_S.AWAIT_OUTCOME, _S.AWAIT_TRANSFER)),
    (Part.PAYEE, _S.AWAIT_TRANSFER, On.REFUSE): Move("refused", (_S.ENDED,)),
    (Part.PAYEE, _S.AWAIT_TRANSFER, On.DONE): Move("done", (_S.ENDED,)),
    (Part.PAYEE, _S.AWAIT_TRANSFER, On.HAVE): Move("told", (_S.TAKE_NEWS,)),
    (Part.PAYEE, _S.AWAIT_TRANSFER, On.PING): Move("ping", (_S.AWAIT_TRANSFER,)),
    (Part.PAYEE, _S.AWAIT_TRANSFER, On.RECALL): Move("recalled", (_S.SIGN_RECALL, _S.AWAIT_TRANSFER)),
    (Part.PAYEE, _S.SIGN_RECALL, On.SIGNED): Move("answered", (_S.AWAIT_TRANSFER,)),
    (Part.PAYEE, _S.SIGN_OUTCOME, On.SIGNED): Move("decided", (_S.AWAIT_NEWS, _S.ENDED, _S.AWAIT_TRANSFER)),
    (Part.PAYEE, _S.AWAIT_OUTCOME, On.OUTCOME): Move("healed", (_S.AWAIT_OUTCOME, _S.AWAIT_TRANSFER)),
    (Part.PAYEE, _S.AWAIT_OUTCOME, On.REFUSE): Move("refused", (_S.ENDED,)),
    (Part.PAYER, _S.READY, On.BEGIN): Move("begin", (_S.AWAIT_HELLO, _S.AWAIT_WELCOME)),
    (Part.PAYER, _S.AWAIT_HELLO, On.HELLO): Move("hello", (_S.AWAIT_REQUEST,)),
    (Part.PAYER, _S.AWAIT_WELCOME, On.WELCOME): Move("welcome", (_S.AWAIT_REQUEST,)),
    (Part.PAYER, _S.AWAIT_REQUEST, On.REQUEST): Move("request", (_S.SIGN_PRESENT, *_PAYING)),
    (Part.PAYER, _S.AWAIT_REQUEST, On.PRESENT): Move(
        "present", (_S.SIGN_PRESENT, _S.AWAIT_OUTCOME, _S.AWAIT_RECALL, _S.AWAIT_NEWS, _S.ENDED)
    ),
    (Part.PAYER, _S.AWAIT_REQUEST, On.REFUSE): Move("refused", (_S.ENDED,)),
    (Part.PAYER, _S.SIGN_PRESENT, On.SIGNED): Move("presented", (_S.AWAIT_PROCEED,)),
    (Part.PAYER, _S.AWAIT_PROCEED, On.RESUME): Move("resume", (_S.SIGN_OUTCOME, _S.AWAIT_PROCEED)),
    (Part.PAYER, _S.AWAIT_PROCEED, On.PROCEED): Move("proceed", (*_PAYING, _S.AWAIT_NEWS, _S.ENDED)),
    (Part.PAYER, _S.AWAIT_PROCEED, On.REFUSE): Move("refused", (_S.ENDED,)),
    (Part.PAYER, _S.AWAIT_PROCEED, On.RECALL): Move("recalled", (_S.SIGN_RECALL, *_PAYING, _S.AWAIT_NEWS, _S.ENDED)),
    (Part.PAYER, _S.SIGN_RECALL, On.SIGNED): Move("answered", (_S.AWAIT_PROCEED,)),
    (Part.PAYER, _S.AWAIT_RECALL, On.PRESENT): Move("returned", (_S.AWAIT_OUTCOME,)),
    (Part.PAYER, _S.AWAIT_RECALL, On.PROCEED): Move(
        "unknown", (_S.AWAIT_PONG, _S.AWAIT_CONSENT, _S.AWAIT_NEWS, _S.ENDED)
    ),
    (Part.PAYER, _S.AWAIT_RECALL, On.REFUSE): Move("refused", (_S.ENDED,)),
    (Part.PAYER, _S.SIGN_OUTCOME, On.SIGNED): Move("decided", (_S.AWAIT_PROCEED,)),
    (Part.PAYER, _S.AWAIT_PONG, On.PONG): Move("pong", (_S.AWAIT_PONG, _S.AWAIT_CONSENT, _S.ENDED)),
    (Part.PAYER, _S.AWAIT_PONG, On.REFUSE): Move("refused", (_S.ENDED,)),
    (Part.PAYER, _S.AWAIT_CONSENT, On.CONSENT): Move("consent", (_S.SIGN_TRANSFER,)),
    (Part.PAYER, _S.AWAIT_CONSENT, On.DECLINE): Move("decline", (_S.ENDED,)),
    (Part.PAYER, _S.SIGN_TRANSFER, On.SIGNED): Move("transferred", (_S.AWAIT_OUTCOME,)),
    (Part.PAYER, _S.AWAIT_OUTCOME, On.OUTCOME): Move("outcome", (*_PAYING, _S.AWAIT_NEWS, _S.ENDED)),
    (Part.PAYER, _S.AWAIT_OUTCOME, On.REFUSE): Move("refused", (_S.ENDED,)),
    (Part.PAYEE, _S.AWAIT_NEWS, On.HAVE): Move("have", (_S.TAKE_NEWS,)),
    (Part.PAYEE, _S.AWAIT_NEWS, On.REFUSE): Move("refused", (_S.ENDED,)),
    (Part.PAYEE, _S.TAKE_NEWS, On.PIECE): Move("piece", (_S.TAKE_NEWS, _S.GIVE_NEWS, _S.ENDED)),
    (Part.PAYEE, _S.TAKE_NEWS, On.PROCEED): Move("went_on", (_S.GIVE_NEWS, _S.ENDED)),
    (Part.PAYEE, _S.TAKE_NEWS, On.REFUSE): Move("refused", (_S.ENDED,)),
    (Part.PAYEE, _S.GIVE_NEWS, On.PROCEED): Move("went_on", (_S.GIVE_NEWS, _S.ENDED)),
    (Part.PAYEE, _S.GIVE_NEWS, On.REFUSE): Move("refused", (_S.ENDED,)),
    (Part.PAYER, _S.AWAIT_NEWS, On.HAVE): Move("have", (_S.GIVE_NEWS, _S.TAKE_NEWS)),
    (Part.PAYER, _S.AWAIT_NEWS, On.REFUSE): Move("refused", (_S.ENDED,)),
    (Part.PAYER, _S.GIVE_NEWS, On.PROCEED): Move("went_on", (_S.GIVE_NEWS, _S.ENDED)),
    (Part.PAYER, _S.GIVE_NEWS, On.PIECE): Move("piece", (_S.TAKE_NEWS, _S.ENDED)),
    (Part.PAYER, _S.GIVE_NEWS, On.REFUSE): Move("refused", (_S.ENDED,)),
    (Part.PAYER, _S.TAKE_NEWS, On.PIECE): Move("piece", (_S.TAKE_NEWS, _S.ENDED)),
    (Part.PAYER, _S.TAKE_NEWS, On.PROCEED): Move("went_on", (_S.ENDED,)),
    (Part.PAYER, _S.TAKE_NEWS, On.REFUSE): Move("refused", (_S.ENDED,)),
} | {(part, state, On.STOP): Move("stop", (_S.ENDED,)) for part in Part for state in State if state is not _S.ENDED}


def refusal(state: State, on: On) -> Code:
    """Return the named refusal of a cell that is no transition."""
    if state is State.ENDED:
        return Code.ENDED
    return Code.BAD_INPUT if on in LOCAL else Code.UNEXPECTED_MESSAGE

"""Strategies of what must be refused: bytes that nobody may say, and payments that somebody has tampered with.

Each comes with what is wrong with it, so that a failure says what was let through.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from dualtap import limits, wire
from dualtap.wire import TransferMessage
from dualtap_testing.genuine import HANDS, Payment, payments
from dualtap_testing.seeded import SeededScheme
from dualtap_testing.shapes import messages


class Foreign(NamedTuple):
    """Bytes that every decoder refuses, and what is wrong with them."""

    what: str
    data: bytes


class Forged(NamedTuple):
    """A message that no payee accepts in place of ``payment``'s, and what was done to it."""

    what: str
    payment: Payment
    message: TransferMessage


@st.composite
def damaged(draw: DrawFn, good: st.SearchStrategy[bytes]) -> bytes:
    """Return these bytes with one thing wrong: a byte changed, cut off, added, or a piece doubled. Never the same."""
    data = draw(good)
    place = draw(st.integers(0, max(0, len(data) - 1)))
    match draw(st.sampled_from(["changed", "cut", "longer", "doubled"])) if data else "longer":
        case "changed":
            return data[:place] + bytes([data[place] ^ draw(st.integers(1, 255))]) + data[place + 1 :]
        case "cut":
            return data[:place]
        case "doubled":
            return data[:place] + data[place:] + data[place:]
        case _:
            return data + draw(st.binary(min_size=1, max_size=8))


@st.composite
def foreign_bytes(draw: DrawFn) -> Foreign:
    """Return what no decoder of messages takes, however much of it looks right (SPEC §5.1)."""
    good = wire.encode(draw(messages))
    kinds: dict[str, Callable[[], bytes]] = {
        "bytes after the end": lambda: good + draw(st.binary(min_size=1, max_size=8)),
        "cut short": lambda: good[: draw(st.integers(0, len(good) - 1))],
        "a map": lambda: b"\x81\x08\x01",
        "a float": lambda: b"\x92\x08\xcb" + draw(st.binary(min_size=8, max_size=8)),
        "an extension": lambda: b"\x92\x08\xd4" + draw(st.binary(min_size=2, max_size=2)),
        "a negative number": lambda: b"\x92\x08" + bytes([draw(st.integers(0xE0, 0xFF))]),
        "a number in a longer form": lambda: b"\x92\x08\xcd\x00" + bytes([draw(st.integers(0, 127))]),
        "an array in a longer form": lambda: b"\xdc\x00\x02\x08" + bytes([draw(st.integers(0, 127))]),
        "nested too deeply": lambda: b"\x92\x08" + b"\x91" * draw(st.integers(9, 2000)) + b"\x01",
        "longer than any message": lambda: b"\x92\x08\xc6\x7f\xff\xff\xff" + bytes(draw(st.integers(0, 64))),
        "longer than it says": lambda: good + bytes(limits.MESSAGE),
        "a number that is no message's": lambda: bytes([0x91, draw(st.integers(0x30, 0x7F))]),
        "not an array": lambda: bytes([draw(st.integers(0, 127))]),
        "nothing": lambda: b"",
    }
    what = draw(st.sampled_from(sorted(kinds)))
    return Foreign(what, kinds[what]())


@st.composite
def forged_payments(draw: DrawFn, scheme: SeededScheme | None = None, hands: int = HANDS) -> Forged:
    """Return payments of which somebody on the way, or the payer itself without its key, has changed one thing."""
    payment = draw(payments(scheme, hands))
    message, bundle = payment.message, payment.message.bundle
    flip = st.integers(0, 63).map(lambda place: bytes(place) + b"\x01" + bytes(63 - place))

    def mixed(signature: bytes) -> bytes:
        return bytes(a ^ b for a, b in zip(signature, draw(flip), strict=True))

    def spent(start: int, end: int) -> TransferMessage:
        first = message.spans[0]
        changed = (first[0], start, end) if len(first) == 3 else (*first[:3], start, end)
        return message._replace(spans=(changed, *message.spans[1:]))

    token, (*_, start, end) = bundle.tokens[0], message.spans[0]
    other = payment.scheme.wallet().book.certificate
    kinds: dict[str, Callable[[], TransferMessage]] = {
        "a signature that was changed": lambda: message._replace(signature=mixed(message.signature)),
        "a token's signature that was changed": lambda: message._replace(
            bundle=bundle._replace(tokens=(token._replace(signature=mixed(token.signature)), *bundle.tokens[1:]))
        ),
        "a token that says more": lambda: message._replace(
            bundle=bundle._replace(tokens=(token._replace(amount=token.amount + 1), *bundle.tokens[1:]))
        ),
        "units beyond those signed": lambda: spent(start, end + draw(st.integers(1, 1000))),
        "a span that is empty": lambda: spent(start, start),
        "a span twice": lambda: message._replace(spans=(*message.spans, message.spans[0])),
        "another's certificate": lambda: message._replace(
            bundle=bundle._replace(certificates=(other, *bundle.certificates[1:]))
        ),
        "a certificate of nobody here": lambda: message._replace(
            bundle=bundle._replace(certificates=(*bundle.certificates, other))
        ),
        "no place on a tape": lambda: message._replace(prev=message.ctr),
        "another place on the tape": lambda: message._replace(ctr=message.ctr + 1),
        "another seed": lambda: message._replace(seed=bytes(16)),
        "another day": lambda: message._replace(epoch=message.epoch - 1),
        "a refund of something": lambda: message._replace(refund_of=bytes(32)),
    }
    if bundle.transfers:
        hand = bundle.transfers[-1]
        kinds |= {
            "a hand that is missing": lambda: message._replace(bundle=bundle._replace(transfers=bundle.transfers[:-1])),
            "a hand's signature that was changed": lambda: message._replace(
                bundle=bundle._replace(
                    transfers=(*bundle.transfers[:-1], hand._replace(signature=mixed(hand.signature)))
                )
            ),
        }
    what = draw(st.sampled_from(sorted(kinds)))
    return Forged(what, payment, kinds[what]())

"""Whatever a peer says, a tap persists before it signs and signs before it sends, and its wallet reads back the same.

A wallet with a past meets an honest machine whose every word may be altered, dropped, said again or made up by
somebody who can sign for it: every signature is believed here. Both parts, and both ends of the link.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeVar, cast

from dualtap import codec, wire
from dualtap.context import Charge, Order, Pay
from dualtap.errors import Code, TapError
from dualtap.events import (
    Ask,
    Begin,
    Consent,
    Decline,
    Event,
    Persist,
    Received,
    Report,
    Send,
    Sign,
    Signature,
    Stop,
)
from dualtap.keystore import sign_with
from dualtap.logcodec import decoder
from dualtap.records import Answered, Asked, Moved, Retired, Sent, Snapshot
from dualtap.session import Channel, establish
from dualtap.statements import KIND, ON_TAPE, Body, Kind, Signed, Verification
from dualtap.suite import Drbg, Ephemeral
from dualtap.tap import Tap
from dualtap.wire import Hello, Welcome
from dualtap_conform.stage import CURRENCY
from dualtap_devices.wallet import Wallet
from targets._lenient import LENIENT, lenient
from targets._pair import NOW, PASTS, PRICE, STAGE, Past, past_of
from targets._reshape import Tree, reshaped, tree_of
from targets._said import Said
from targets.wire import BASES

SHARE = 7
LENGTH = 300
COST = 45
STEPS = 24
"""Frames that one story brings at most."""
T = TypeVar("T")
_DECODE = decoder(STAGE.scheme.id)


class Side:
    """One machine of a tap, and what carries its effects out."""

    def __init__(self, past: Past, order: Order, initiator: bool, name: str) -> None:
        self.wallet: Wallet = past.wallet()
        self.wallet.check()
        self.wallet.tidy()
        self.initiator = initiator
        self.ephemeral: Ephemeral = LENIENT.ephemeral(STAGE.draw(f"ephemeral {name}"))
        self.tap = Tap(
            self.wallet.book, order, initiator, self.ephemeral, Drbg(STAGE.draw(f"random {name}")), within=0.5
        )
        self.consents = 0
        self.durable: set[bytes] = set()
        self.signing: Signed[Body] | None = None
        self.transfers = 0
        self.ended = False

    def feed(self, event: Event, said: Said) -> list[bytes]:
        """Take an event, carry out what follows, and return the frames that go out."""
        events, frames = deque([event]), list[bytes]()
        while events and not self.tap.ended:
            event = events.popleft()
            self.signing = None if isinstance(event, Signature) else self.signing
            for effect in self.tap.step(event, NOW + said.below(2) * 0.25):
                frames += self._carry_out(effect, events, said)
        return frames

    def _carry_out(self, effect: object, events: deque[Event], said: Said) -> list[bytes]:
        match effect:
            case Persist(records, key):
                assert not key or key == self.wallet.book.key
                assert self.signing is None, "persisted while a signature is due"
                self.wallet.persist(records)
                for record in map(_DECODE, records):
                    self._kept(record)
            case Sign(statement):
                kind = KIND[type(statement.body)]
                owed = kind in ON_TAPE or kind is Kind.REQUEST
                assert not owed or statement.id in self.durable, "signed, and not durable"
                self.transfers += kind is Kind.TRANSFER
                assert self.transfers <= 1, "two transfers in one tap"
                assert kind is not Kind.TRANSFER or self.consents == 1, "paid without a person's consent"
                self.signing = statement
                events.append(Signature(sign_with(self.wallet.keystore, statement)))
            case Send(frame):
                assert self.signing is None or self.tap.ended, "sent before it was signed"
                return [frame]
            case Ask(amount, _, _, _):
                assert amount > 0
                agrees = said.below(8) < 7
                self.consents += agrees
                events.append(Consent(said.pick((Verification.PRESENCE, Verification.NONE))) if agrees else Decline())
            case Report():
                pass
            case _:
                raise AssertionError(f"an unknown effect: {effect}")
        return []

    def _kept(self, record: object) -> None:
        match record:
            case Asked():
                self.durable.add(record.request)
            case Answered():
                self.durable.add(record.outcome.id)
            case Sent():
                self.durable.add(record.transfer.id)
            case Retired() | Moved() | Snapshot():
                raise AssertionError("a tap writes no such record")
            case _:
                pass


def one(data: bytes) -> None:
    """Play a tap."""
    with lenient():
        _play(Said(data))


def _play(said: Said) -> None:
    pasts, how = said.pick(PASTS), said.byte()
    mine, theirs = pasts if how & 1 else reversed(pasts)
    price = said.pick((PRICE, PRICE, 1, 1040, 2000))
    charge: Order = Charge(price, CURRENCY, STAGE.draw(f"basket {said.below(3)}", 16), person=bool(how & 2))
    ours: Order = charge if how & 4 else Pay()
    side = Side(mine, ours, bool(how & 8), "ours")
    peer = Side(theirs, Pay() if how & 4 else charge, not how & 8, "theirs")
    try:
        link = Link(said, side, peer)
        link.run()
    except TapError as error:
        assert error.code in {Code.STORE_FULL}, error
        return
    if not side.tap.ended:
        side.feed(Stop(), said)
    assert side.tap.ended
    try:
        side.tap.step(Begin())
    except TapError as error:
        assert error.code is Code.ENDED, error
    else:
        raise AssertionError("a tap goes on after its end")
    _reads_back(side.wallet, mine.name)


def _reads_back(wallet: Wallet, name: str) -> None:
    """The log gives the wallet that there was, and no unit is in it twice."""
    again = past_of(name, wallet).wallet()
    assert not again.quarantined
    book, other = wallet.book, again.book
    assert sorted(book.holdings) == sorted(other.holdings)
    assert book.pending.keys() == other.pending.keys()
    assert book.open == other.open
    assert book.held() == other.held()
    taken: list[tuple[bytes, int, int]] = []
    for held in book.holdings:
        assert held.start < held.end
        for token, start, end in taken:
            assert token != held.token or end <= held.start or held.end <= start, "a unit is held twice"
        taken.append((held.token, held.start, held.end))


def _read(read: Callable[[bytes], T], data: bytes) -> T | None:
    try:
        return read(data)
    except TapError:
        return None


WORDS = tuple(tree for tree in BASES if _read(wire.decode, codec.pack(tree)) is not None)
"""Every message that may be said in a tap."""


def _moved(tree: Tree, said: Said) -> Tree:
    """Return a transfer of as many other units: its spans moved along what they are cut from; all else as it is."""
    match tree:
        case [5, request, list(spans), *rest]:
            by = said.byte() - 128
            return [5, request, [_along(span, by) for span in spans], *rest]
        case _:
            return tree


def _along(span: Tree, by: int) -> Tree:
    match span:
        case [*parent, int(start), int(end)]:
            return [*parent, max(0, start + by), max(0, start + by) + end - start]
        case _:
            return span


class Link:
    """What is between the two, and knows both ephemeral keys."""

    def __init__(self, said: Said, side: Side, peer: Side) -> None:
        self.said, self.side, self.peer = said, side, peer
        self.to_side: deque[bytes] = deque()
        self.hello: Hello | None = None
        self.hear: Channel | None = None
        self.speak: Channel | None = None
        self.trees: list[Tree] = []

    def run(self) -> None:
        """Carry frames until nothing more is said."""
        first, second = (self.side, self.peer) if self.side.initiator else (self.peer, self.side)
        frames = self._feed(second, Begin()) + self._feed(first, Begin())
        assert len(frames) <= 1 or not self.side.tap.ended
        self._sent(first, frames)
        for _ in range(STEPS):
            if self.side.tap.ended or not (self.to_side or self.said):
                return
            self._bring(self.to_side.popleft() if self.to_side else b"")

    def _feed(self, who: Side, event: Event) -> list[bytes]:
        if who.tap.ended:
            return []
        try:
            return who.feed(event, self.said if who is self.side else Said(b""))
        except TapError:
            if who is self.side:
                raise
            return []

    def _sent(self, who: Side, frames: list[bytes]) -> None:
        """Bring the other's frames here, and ours there as they are."""
        for frame in frames:
            if who is self.peer:
                self.to_side.append(frame)
                continue
            self._noted(frame)
            answers = self._feed(self.peer, Received(frame))
            self.to_side.extend(answers)

    def _noted(self, frame: bytes) -> None:
        """See our own side's greeting, from which, with the other, the session's keys follow."""
        if self.speak is not None:
            return
        if self.hello is None:
            self.hello = wire.decode_hello(frame)
        else:
            self._established(wire.decode_welcome(frame))

    def _established(self, welcome: Welcome) -> None:
        """Have both keys of the session as our side sees it, whatever was altered on the way."""
        hello, scheme, initiator = cast("Hello", self.hello), STAGE.scheme, self.side.initiator
        try:
            self.hear = establish(scheme, self.side.ephemeral, initiator, hello, welcome)
        except TapError:
            return
        here = establish(scheme, self.side.ephemeral, initiator, hello, welcome)
        own, other = here._seal, here._open  # pyright: ignore[reportPrivateUsage]
        self.speak = Channel(here.transcript, not initiator, other, own)

    def _bring(self, frame: bytes) -> None:
        """Bring the peer's next frame, or what is made of it; without one, make one up."""
        what = self.said.below(8)
        if what == 7 and self.said.below(2):
            if frame and self.speak is not None:
                self._opened(frame)  # what is lost counts at the peer's end, and not at ours
            return
        frame = self._greeting(frame, what) if self.speak is None else self._sealed(self._opened(frame), what)
        if what == 6:
            frame = self.said.blob()
        answers = self._feed(self.side, Received(frame)) if not self.side.tap.ended else []
        self._sent(self.side, answers)

    def _greeting(self, frame: bytes, what: int) -> bytes:
        """Alter a greeting; what stands in it in the clear makes the session, so that both must agree on it."""
        if not frame:
            return self.said.blob()
        if self.hello is None:
            frame = reshaped(tree_of(frame), self.said) if what == 1 else frame
            self.hello = _read(wire.decode_hello, frame)
            return frame
        sealed = wire.decode_welcome(frame).sealed
        frame = reshaped(tree_of(frame), self.said) if what == 1 else frame
        welcome = _read(wire.decode_welcome, frame)
        if welcome is None:
            return frame
        self._established(welcome)
        if sealed and welcome.sealed and self.speak is not None:
            frame = wire.encode_welcome(welcome._replace(sealed=self._sealed(self._opened(sealed), what)))
        return frame

    def _opened(self, frame: bytes) -> Tree:
        """Return what the peer says, or something that it never would."""
        if not frame:
            return self.said.pick((*self.trees, *WORDS))
        assert self.hear is not None
        plain = _read(self.hear.open, frame)
        if plain is None:  # our side sees another session than the peer
            return self.said.pick(WORDS)
        tree = tree_of(plain)
        self.trees.append(tree)
        return tree

    def _sealed(self, tree: Tree, what: int) -> bytes:
        assert self.speak is not None
        if what == 2:
            tree = self.said.pick((*self.trees, *WORDS))
        elif what == 3:
            tree = _moved(tree, self.said)
        plain = codec.pack(tree) if what > 1 else reshaped(tree, self.said)
        return self.speak.seal(self.said.blob() if what == 5 else plain)

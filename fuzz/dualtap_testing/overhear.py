"""What was said in a tap, opened by whoever made one side's ephemeral key: also what was lost on the way.

An :class:`Ear` opens the frames of one tap. A :class:`Witness` keeps the statements that were in them, of every tap, as
the bag over which :mod:`.promises` counts units and finds who contradicts itself.
"""

from __future__ import annotations

from typing import NamedTuple

from dualtap import session, wire
from dualtap.errors import TapError
from dualtap.forms import signed
from dualtap.provenance import rebuild
from dualtap.session import Channel
from dualtap.statements import (
    CloseBody,
    Kind,
    Opening,
    Outcome,
    Parent,
    ReceiptBody,
    RequestBody,
    Scheme,
    Side,
    Signed,
    TapeBody,
    Transfer,
)
from dualtap.suite import Ephemeral, derive
from dualtap.trust import Trust
from dualtap.wire import Hello, Message, OutcomeMessage, RequestMessage, TransferMessage, Welcome
from dualtap_testing.promises import Entry, Place, Statements, accepts, places


class Said(NamedTuple):
    """One frame: whether the initiator sent it, its length, and what was in it, if it could be opened."""

    by_initiator: bool
    length: int
    message: Hello | Welcome | Message | None
    inner: Message | None = None
    """What a Welcome carries."""


class Ear:
    """Opens the frames of one tap, each given once, as it was sent."""

    def __init__(self, scheme: Scheme, ephemeral: Ephemeral, initiator: bool) -> None:
        """``ephemeral`` is one side's key pair, the initiator's or the other's."""
        self._scheme, self._ephemeral, self._initiator = scheme, ephemeral, initiator
        self._hello: Hello | None = None
        self._channels: dict[bool, Channel] = {}
        self.transcript = b""

    def hear(self, by_initiator: bool, frame: bytes) -> Said:
        """Return what is in a frame."""
        message: Hello | Welcome | Message | None = None
        inner: Message | None = None
        try:
            if self._hello is None:
                message = self._hello = wire.decode_hello(frame)
            elif not self._channels:
                message = wire.decode_welcome(frame)
                self._establish(self._hello, message)
                inner = self._opened(by_initiator, message.sealed) if message.sealed else None
            else:
                message = self._opened(by_initiator, frame)
        except TapError:
            pass
        return Said(by_initiator, len(frame), message, inner)

    def _opened(self, by_initiator: bool, sealed: bytes) -> Message:
        return wire.decode(self._channels[by_initiator].open(sealed))

    def _establish(self, hello: Hello, welcome: Welcome) -> None:
        """Derive both directions' keys (SPEC §6-2)."""
        suite = self._scheme.suite
        self.transcript = session.transcript(self._scheme, hello, welcome)
        shared = self._ephemeral.exchange(welcome.ephemeral if self._initiator else hello.ephemeral)
        size = suite.seal_key_size
        keys = derive(shared, self.transcript, b"dualtap keys 1", 2 * size)
        for by_initiator, key in ((True, keys[:size]), (False, keys[size:])):
            sealer = suite.sealer(key)
            self._channels[by_initiator] = Channel(self.transcript, by_initiator, sealer, sealer)


class Sale(NamedTuple):
    """What a request asked."""

    payee: bytes
    basket: bytes
    part: int
    amount: int


class Witness:
    """Keeps every genuine statement that crossed. ``told`` are the transfers whose payer was given an outcome."""

    def __init__(self, trust: Trust) -> None:
        self.trust = trust
        self.known = Statements()
        self.sales: dict[bytes, Sale] = {}
        self.told: set[bytes] = set()
        self._request = b""
        self._shown: dict[bool, Transfer] = {}

    def begin(self) -> None:
        """A tap begins."""
        self._request, self._shown = b"", {}

    def hear(self, ear: Ear, said: Said, sender: bytes, receiver: bytes, arrived: bool) -> None:
        """Keep the statements in a frame that ``sender`` sent to ``receiver``, two wallets' keys."""
        message = said.inner or said.message
        match message:
            case RequestMessage():
                body = RequestBody(ear.transcript, said.by_initiator, *message[1:11])
                request = signed(self.trust.scheme.id, sender, body, b"", message.signature)
                if self._genuine(request):
                    self._request = request.id
                    self.sales[request.id] = Sale(sender, body.basket, body.part, body.amount)
            case TransferMessage():
                self._transfer(said, message, sender, receiver)
            case OutcomeMessage():
                self._outcome(said, message, sender, arrived)
            case _:
                pass

    def _transfer(self, said: Said, message: TransferMessage, sender: bytes, receiver: bytes) -> None:
        request = message.request or self._request
        try:
            received = rebuild(self.trust, message, receiver, request)
            for token_id, token in received.graph.tokens.items():
                self.trust.check_token(token, token_id)
        except TapError:
            return
        transfer, graph = received.transfer, received.graph
        if transfer.key != sender or not self._genuine(transfer):
            return
        self._shown[said.by_initiator] = transfer
        self.known.tokens.update(graph.tokens)
        for hand in received.order:
            self.known.transfers.setdefault(hand.id, hand)
        self.known.transfers[transfer.id] = transfer
        self.known.requests[transfer.id] = request
        self._enter(transfer.key, transfer.shown(), transfer.id)

    def _outcome(self, said: Said, message: OutcomeMessage, sender: bytes, arrived: bool) -> None:
        shown = self._shown.get(not said.by_initiator)
        if shown is None:
            return
        request = self.known.requests[shown.id]
        body: ReceiptBody | CloseBody = CloseBody(request, message.reason, message.epoch)
        if message.kind is Kind.RECEIPT:
            body = ReceiptBody(request, message.transfer or shown.id, message.epoch)
        opening = Opening(message.seed, message.prev, message.ctr)
        outcome: Outcome = signed(self.trust.scheme.id, sender, body, opening, message.signature)
        if self._genuine(outcome):
            self.known.answers[sender, request].add(accepts(outcome))
            self._enter(sender, opening, outcome.id)
            if arrived:
                self.told.add(shown.id)

    def _genuine(self, statement: Signed[TapeBody] | Signed[RequestBody]) -> bool:
        try:
            self.trust.scheme.suite.verifier(statement.key)(statement.signature, statement.id)
        except TapError:
            return False
        return True

    def _enter(self, key: bytes, opening: Opening, statement: bytes) -> None:
        self.known.tape.add(Entry(key, opening.prev, opening.ctr, statement))

    # What follows from it

    def held(self, key: bytes) -> set[Place]:
        """Return the places that this wallet owns, and has not spent, by all that was said."""
        known, found = self.known, set[Place]()
        for token_id, token in known.tokens.items():
            if token.owner == key:
                root = Parent(token_id, Side.TOKEN, 0)
                found |= {Place(root, unit) for unit in range(token.amount)}
        for transfer in known.transfers.values():
            mine = (transfer.body.payee == key and known.accepted(transfer)) or (
                transfer.key == key and known.dead(transfer)
            )
            if mine and known.good(transfer):
                side = Side.PAYEE if transfer.body.payee == key else Side.PAYER
                for place, number in places(transfer):
                    found.add(Place(Parent(transfer.id, side, number), place.unit))
        return found - known.spends().keys()

    def path(self, parent: Parent) -> tuple[int, int]:
        """Return how many hands, and how many dead transfers, are behind a parent."""
        if parent.side is Side.TOKEN:
            return 0, 0
        hops, restored = self.path(self.known.transfers[parent.id].body.spans[parent.place].parent)
        return (hops + 1, restored) if parent.side is Side.PAYEE else (hops, restored + 1)

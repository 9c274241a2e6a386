"""Three real wallets that do what the model's steps say, and what they hold in the model's words.

A step is frames between two machines: a tap is begun, goes on, is torn, is healed in a later one.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import cast

from dualtap.book import Book
from dualtap.context import Charge, Pay
from dualtap.errors import Code
from dualtap.events import Ask, Begin, Consent, Decline, Event, Received, Send, Stop
from dualtap.records import News
from dualtap.statements import CloseBody, ReceiptBody, Scheme, Side
from dualtap.suite import ED25519, Drbg, sha256
from dualtap_devices.syncing import close
from model.traces import Record, State, Value, record
from tests.playbook import TIER, Actor, World
from tests.support.devices import remembering

TOKENS = {"a": "anna", "b": "ben", "c": "anna"}
"""Token and owner, as ``Rich`` in ``Town.tla``; each has a currency of its own, so that a request chooses it."""
SUITE = remembering(ED25519)
"""One suite for all towns, which are made of the same bytes: each result is computed once."""


class Eager(Exception):
    """The code goes further than the model here, or not so far offline: the behaviour ends."""


class Session:
    """One tap of two wallets, frame by frame; what was sent and has not arrived waits in ``frames``."""

    def __init__(self, payer: Actor, payee: Actor) -> None:
        self.payer, self.payee = payer, payee
        self.frames: list[tuple[Actor, bytes]] = []
        self._feed(payee, Begin())
        self._feed(payer, Begin())

    @property
    def over(self) -> bool:
        """Whether nothing more can be heard."""
        return not self.frames

    def _feed(self, actor: Actor, event: Event) -> None:
        """Give a machine an event, and all that its keystore and person answer."""
        events = [event]
        while events and not actor.tap.ended:
            effects = actor.step(events.pop(0))
            events += actor.answers(effects)
            other = self.payee if actor is self.payer else self.payer
            self.frames += [(other, effect.frame) for effect in effects if isinstance(effect, Send)]

    def until(self, done: Callable[[], bool]) -> None:
        """Let frames arrive until something is so; raise :class:`Eager` if it never is."""
        while not done():
            if not self.frames:
                raise Eager("the tap ended before")
            actor, frame = self.frames.pop(0)
            self._feed(actor, Received(frame))

    def lose(self, *actors: Actor) -> None:
        """Lose the link, on both sides or one."""
        for actor in actors or (self.payer, self.payee):
            if not actor.tap.ended:
                actor.step(Stop(Code.LINK_LOST))
            self.frames = [item for item in self.frames if item[0] is not actor]


class Town:
    """Three wallets, and the names that the model has for what they do."""

    def __init__(self, seed: str) -> None:
        self.world = World("ed25519", seed="model")
        scheme = self.world.scheme
        self.world.scheme = Scheme(SUITE, scheme.root, scheme.id)
        self.chance = random.Random(seed)
        self.wallets = {name: self.world.wallet() for name in ("anna", "ben", "carl")}
        self.keys = {wallet.book.key: name for name, wallet in self.wallets.items()}
        self.tokens: dict[bytes, str] = {}
        for token, owner in TOKENS.items():
            issued = self.world.fund(self.wallets[owner], 1, token.upper() * 3)
            self.tokens[self.wallets[owner].book.trust.token_id(issued)] = token
        self.policy = 1
        self.requests: dict[bytes, Record] = {}
        self.transfers: dict[bytes, Record] = {}
        self.sessions: dict[Record, Session] = {}
        self.cuts = 0

    def book(self, name: str) -> Book:
        """Return what a wallet is now."""
        return self.wallets[name].book

    def actor(self, name: str, order: Charge | Pay, *, initiator: bool, agrees: bool = True) -> Actor:
        """Return one side of a tap; its person agrees to pay, or does not."""

        def person(ask: Ask) -> Consent | Decline:
            del ask
            return Consent() if agrees else Decline()

        return Actor(self.world, self.wallets[name], order, initiator, person)

    # The model's steps

    def ask(self, by: str, payer: str, basket: int, currency: str) -> None:
        """A payee asks, in a session with that payer."""
        before = set(self.book(by).questions)
        mine = [item for item in self.requests.values() if item["by"] == by]
        named = record(by=by, n=len(mine) + 1, basket=basket, **{"with": payer})
        charge = Charge(1, currency, sha256(f"{by} {basket}".encode())[:16], person=True)
        session = Session(self.actor(payer, Pay(), initiator=True), self.actor(by, charge, initiator=False))
        session.until(lambda: set(self.book(by).questions) != before)
        (request,) = set(self.book(by).questions) - before
        self.requests[request] = named
        self.sessions[named] = session

    def pay(self, by: str, transfer: Record) -> None:
        """A payer signs the transfer that answers a request, in its session."""
        payee = str(cast("Record", transfer["request"])["by"])
        if self.book(payee).pending_to(self.book(by).key):
            raise Eager("the payee heals first")
        before = set(self.book(by).pending)
        self.sessions[cast("Record", transfer["request"])].until(lambda: set(self.book(by).pending) != before)
        (made,) = set(self.book(by).pending) - before
        self.transfers[made] = transfer

    def answer(self, payee: str, transfer: Record, accept: bool) -> None:
        """The payee is shown a transfer, now or in a later tap, and decides; it refuses who is on the hotlist."""
        request = self.id_of(self.requests, transfer["request"])
        if not accept:
            self.rule(payee, (self.book(str(transfer["by"])).key,))
        session = self.session_of(transfer)
        session.until(lambda: self.book(payee).questions[request].outcome is not None)
        if not accept:
            self.rule(payee, ())

    def close(self, request: Record) -> None:
        """A till gives up, and closes its request."""
        name = str(request["by"])
        session = self.sessions[request]
        session.lose(session.payee)
        close(self.wallets[name], self.id_of(self.requests, request), Drbg(self.world.draw()))

    def take(self, payer: str, transfer: Record) -> None:
        """The payer hears the outcome, now or in a later tap."""
        named = self.id_of(self.transfers, transfer)
        session = self.session_of(transfer)
        session.until(lambda: named not in self.book(payer).pending)
        session.lose()

    def rule(self, name: str, hotlist: tuple[bytes, ...]) -> None:
        """Give a wallet a newer policy."""
        self.policy += 1
        self.wallets[name].write(News(None, (), None, self.world.ruled(self.policy, (TIER,), hotlist)))

    def session_of(self, transfer: Record) -> Session:
        """Return the session in which a transfer can be shown or answered: its own, or a new one that heals."""
        request = cast("Record", transfer["request"])
        session = self.sessions[request]
        if not session.over and not session.payee.tap.ended and not session.payer.tap.ended:
            return session
        payer, payee = str(transfer["by"]), str(transfer["to"])
        if self.book(payee).pending or len(self.book(payer).pending_to(self.book(payee).key)) > 1:
            raise Eager("more than one thing is healed")
        charge = Charge(1, "XXX", self.world.draw(16), person=True)
        again = Session(
            self.actor(payer, Pay(), initiator=True, agrees=False), self.actor(payee, charge, initiator=False)
        )
        self.sessions[request] = again
        return again

    @staticmethod
    def id_of(known: dict[bytes, Record], sought: Value) -> bytes:
        """Return the id of what the model names so."""
        return next(key for key, named in known.items() if named == sought)

    # Faults

    def power_cut(self, name: str) -> None:
        """A wallet's sessions are lost, and it opens again from what is durable."""
        for session in self.sessions.values():
            if self.wallets[name] in (session.payer.wallet, session.payee.wallet):
                session.lose()
        self.wallets[name] = self.world.reopen(self.wallets[name])
        self.cuts += 1

    # What the wallets hold, in the model's words

    def state(self) -> State:
        """Return the abstraction of all wallets. A request that healing made, and that took nothing, is none."""
        questions = {key: found for name in self.wallets for key, found in self.book(name).questions.items()}
        outcomes: set[Value] = set()
        for key, found in questions.items():
            if key not in self.requests:
                assert found.outcome is None or isinstance(found.outcome.body, CloseBody), "paid, and nobody asked"
            elif found.outcome is not None:
                body, accepts = found.outcome.body, frozenset[Value]()
                if isinstance(body, ReceiptBody):
                    accepts = frozenset({self.transfers[body.transfer]})
                named = self.requests[key]
                outcomes.add(record(by=named["by"], request=named, accepts=accepts))
        mine = {name: self.book(name) for name in self.wallets}
        known = {entry.id for book in mine.values() for entry in book.tape}
        return {
            "requests": frozenset(self.requests[key] for key in questions if key in self.requests),
            "transfers": frozenset(named for key, named in self.transfers.items() if key in known),
            "outcomes": frozenset(outcomes),
            "open": frozenset(
                self.requests[key] for book in mine.values() for key in book.open if key in self.requests
            ),
            "held": record(**{name: self.held(book) for name, book in mine.items()}),
            "doubt": record(**{n: frozenset(self.transfers[key] for key in book.pending) for n, book in mine.items()}),
        }

    def held(self, book: Book) -> frozenset[Value]:
        """Return the parents that a wallet holds."""
        found: set[Value] = set()
        for holding in book.holdings:
            token, side = self.tokens[holding.token], holding.parent.side
            of = frozenset[Value]() if side is Side.TOKEN else frozenset({self.transfers[holding.parent.id]})
            found.add(record(side=side.name.lower(), token=token, of=of))
        return frozenset(found)

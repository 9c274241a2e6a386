"""What tests play with: a world (a scheme, its authorities, wallets), and two machines that meet in it.

A :class:`Meeting` runs both sides of a tap message by message. Whoever plays may drop, alter or forge what is said,
and stop anywhere. In every story it asserts that a statement is durable before it is signed, and signed before
anything is sent.

A :class:`Playbook` plays one side by hand: ``playbook >> event << effect << effect``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple, TypeAlias, cast

from dualtap import limits, wire
from dualtap.book import Book
from dualtap.context import Charge, Order, Pay
from dualtap.errors import Code, TapError
from dualtap.events import (
    Ask,
    Begin,
    Consent,
    Decline,
    Effect,
    Event,
    Persist,
    Received,
    Report,
    Send,
    Sign,
    Signature,
    Stop,
)
from dualtap.issued import (
    Authority,
    AuthorityCertificate,
    Carrier,
    Condition,
    Header,
    Policy,
    Role,
    Tier,
    Token,
    WalletCertificate,
)
from dualtap.keystore import sign_with
from dualtap.limits import Profile
from dualtap.logcodec import decoder
from dualtap.records import Answered, Asked, Funded, News, Retired, Sent
from dualtap.session import Channel, establish
from dualtap.statements import KIND, ON_TAPE, Body, Kind, Scheme, Signed
from dualtap.states import Part, State
from dualtap.suite import SUITES, Drbg, Ephemeral, sha256
from dualtap.tap import Tap
from dualtap.trust import issue
from dualtap.wire import Hello, Message, Welcome
from dualtap_devices.keystore import MemoryKeystore
from dualtap_devices.slots import MemoryStore
from dualtap_devices.wallet import Wallet

EPOCH = 20_000
"""The date of every world: a day in 2024."""
STORE = 1 << 22
TIER = Tier(1, 1_000_000, 1_000, 1_000, 10**9)
SUITE_NAMES = tuple(SUITES)

Said: TypeAlias = Hello | Welcome | Message
Person: TypeAlias = Callable[[Ask], Consent | Decline]


def agree(ask: Ask) -> Consent:
    del ask
    return Consent()


def refuse(ask: Ask) -> Decline:
    del ask
    return Decline()


class World:
    """A scheme with an institution, a bank and a policy key, and every wallet that was made in it."""

    def __init__(
        self,
        suite: str = "ed25519",
        *,
        seed: str = "world",
        epoch: int = EPOCH,
        tiers: tuple[Tier, ...] = (TIER,),
        hotlist: tuple[bytes, ...] = (),
    ) -> None:
        self.suite = SUITES[suite]
        self._seed = sha256(f"{seed} {suite}".encode())
        self._drawn = 0
        self.epoch = epoch
        self.root, self.policy_key, self.institution, self.bank = (self.suite.signer(self.draw()) for _ in range(4))
        self.scheme = Scheme.of(self.suite, self.root.public)
        self.authorities = (
            self.authority(Authority.POLICY, self.policy_key.public),
            self.authority(Authority.INSTITUTION, self.institution.public, 1),
            issue(
                self.scheme,
                self.institution,
                AuthorityCertificate(self.bank.public, Authority.BANK, 1, 1000, epoch + 999, b"", b""),
            ),
        )
        self.header = self.dated(epoch)
        self.policy = self.ruled(1, tiers, hotlist)
        self.within: float | None = None
        """Seconds that a link allows a timed round, where :meth:`meet` is told nothing else."""
        self.wallets: list[Wallet] = []
        self.issued = 0
        self.decode = decoder(self.scheme.id)

    def draw(self, size: int = 32) -> bytes:
        """Return fresh bytes, the same in every run."""
        self._drawn += 1
        return sha256(self._seed + self._drawn.to_bytes(4, "big"))[:size]

    # What authorities sign

    def authority(self, authority: Authority, key: bytes, number: int = 0) -> AuthorityCertificate:
        return issue(
            self.scheme, self.root, AuthorityCertificate(key, authority, number, 0, self.epoch + 999, b"", b"")
        )

    def dated(self, epoch: int, policy: int = 1) -> Header:
        return issue(self.scheme, self.policy_key, Header(epoch, policy, b"", b""))

    def ruled(self, version: int, tiers: tuple[Tier, ...] = (TIER,), hotlist: tuple[bytes, ...] = ()) -> Policy:
        hints = tuple(found.hint for found in self.authorities[1:])
        return issue(self.scheme, self.policy_key, Policy(version, tiers, hotlist, hints, b"", b""))

    def token(
        self,
        owner: bytes,
        amount: int,
        currency: str = "CNY",
        *,
        spend_by: int | None = None,
        hops: int = 7,
        conditions: tuple[Condition, ...] = (),
    ) -> Token:
        last = self.epoch + 300 if spend_by is None else spend_by
        token = Token(self.draw(8), amount, currency, owner, last, last + 100, hops, conditions, b"", b"")
        return issue(self.scheme, self.institution, token)

    def certificate(
        self,
        key: bytes,
        carrier: Carrier = Carrier.PHONE,
        *,
        role: Role = Role.PAY | Role.COLLECT,
        expires: int | None = None,
        tier: int = 1,
    ) -> WalletCertificate:
        last = self.epoch + 300 if expires is None else expires
        certificate = WalletCertificate(key, carrier, tier, role, 0, b"", last, self._drawn, b"", b"")
        return issue(self.scheme, self.bank, certificate)

    # Wallets

    def wallet(
        self,
        carrier: Carrier = Carrier.PHONE,
        fund: int | tuple[int, ...] = (),
        *,
        profile: Profile = limits.FULL,
        role: Role = Role.PAY | Role.COLLECT,
        expires: int | None = None,
        header: Header | None = None,
        store: int = STORE,
        news: News | None = None,
        spend_by: int | None = None,
        hops: int = 7,
    ) -> Wallet:
        """Return a new wallet that has joined, funded with one token for each amount."""
        keystore = MemoryKeystore(self.scheme, self.draw())
        wallet = Wallet(self.scheme, profile, keystore, MemoryStore.open(store))
        certificate = self.certificate(keystore.public, carrier, role=role, expires=expires)
        if news is None:
            news = News(certificate, self.authorities, header or self.header, self.policy)
        wallet.write(news._replace(certificate=certificate))
        for amount in (fund,) if isinstance(fund, int) else fund:
            self.fund(wallet, amount, spend_by=spend_by, hops=hops)
        self.wallets.append(wallet)
        return wallet

    def fund(
        self,
        wallet: Wallet,
        amount: int,
        currency: str = "CNY",
        *,
        spend_by: int | None = None,
        hops: int = 7,
        conditions: tuple[Condition, ...] = (),
    ) -> Token:
        token = self.token(wallet.book.key, amount, currency, spend_by=spend_by, hops=hops, conditions=conditions)
        wallet.write(Funded(token))
        self.issued += amount
        return token

    def succeed(self, former: Wallet, present: Wallet) -> None:
        """Make one wallet the retired key of another's device."""
        named = former.book.succeeded_by(present.book.key)
        former.write(Retired(named))
        sign_with(former.keystore, named)
        present.retired = (*present.retired, former)

    def reopened(self, wallet: Wallet) -> Wallet:
        """Return the wallet that its keystore and a copy of its store give after a power cut."""
        store = MemoryStore.open(STORE)
        store.append(cast("MemoryStore", wallet.store).records)
        return Wallet(self.scheme, wallet.book.profile, wallet.keystore, store)

    def reopen(self, wallet: Wallet) -> Wallet:
        """Put the reopened wallet in the place of this one."""
        again = self.reopened(wallet)
        self.wallets[self.wallets.index(wallet)] = again
        return again

    def cloned(self, wallet: Wallet) -> Wallet:
        """Return what a thief of the secret makes: the same key and store, in another device."""
        keystore = cast("MemoryKeystore", wallet.keystore)
        copy = MemoryKeystore.__new__(MemoryKeystore)
        copy.__dict__.update(keystore.__dict__)
        store = MemoryStore.open(STORE)
        store.append(cast("MemoryStore", wallet.store).records)
        return Wallet(self.scheme, wallet.book.profile, copy, store)

    # Meetings

    def meet(
        self,
        payer: Wallet,
        payee: Wallet,
        amount: int = 100,
        *,
        charge: Charge | None = None,
        pay: Pay | None = None,
        payer_starts: bool = True,
        person: Person = agree,
        seconds: float | None = None,
        within: float | None = None,
    ) -> Meeting:
        """Return a tap that is about to begin; ``within`` is what the link allows a timed round, in seconds."""
        charge = charge or Charge(amount, "CNY", self.draw(16))
        collects = Actor(self, payee, charge, not payer_starts, agree)
        return Meeting(
            self,
            Actor(self, payer, pay or Pay(), payer_starts, person, within=within or self.within),
            collects,
            seconds,
        )

    def pay(self, payer: Wallet, payee: Wallet, amount: int, *, payer_starts: bool = True) -> bytes:
        """Pay; return the transfer's id."""
        meeting = self.meet(payer, payee, amount, payer_starts=payer_starts).run()
        assert meeting.payer.report.code is None, meeting.payer.report
        return meeting.payer.report.transfer

    # The promises that are checked without a ledger

    def check(self) -> None:
        """Nothing made, nothing lost, and every wallet is what its log says."""
        books = {wallet.book.key: wallet.book for wallet in self.wallets}
        units: dict[bytes, list[tuple[int, int]]] = {}
        for book in books.values():
            for held in book.holdings:
                units.setdefault(held.token, []).append((held.start, held.end))
            for sent in book.pending.values():
                payee = books.get(sent.transfer.body.payee)
                if payee is not None and sent.transfer.id in payee.taken:
                    continue
                for parent, start, end in sent.transfer.body.spans:
                    units.setdefault(book.graph.origin(parent).token, []).append((start, end))
        total = 0
        for spans in units.values():
            spans.sort()
            for (_, end), (start, _) in pairwise(spans):
                assert end <= start, "a unit is in two places"
            total += sum(end - start for start, end in spans)
        assert total == self.issued
        for wallet in self.wallets:
            wallet.check()
            assert remembered(self.reopened(wallet).book) == remembered(wallet.book)


def remembered(book: Book) -> tuple[object, ...]:
    """Return all that a wallet holds, in an order that does not depend on the path to it."""
    snapshot = book.snapshot()
    return (*snapshot._replace(certificates=()), sorted(c.key for c in snapshot.certificates))


class Actor:
    """One side of a tap: its wallet and its machine."""

    def __init__(
        self,
        world: World,
        wallet: Wallet,
        order: Order,
        initiator: bool,
        person: Person = agree,
        ephemeral: Ephemeral | None = None,
        within: float | None = None,
    ) -> None:
        wallet.check()
        self.world = world
        self.wallet = wallet
        self.person = person
        self.initiator = initiator
        self.ephemeral: Ephemeral = ephemeral or world.suite.ephemeral(world.draw())
        retired = tuple([old.book for old in wallet.retired])
        self.tap = Tap(
            wallet.book, order, initiator, self.ephemeral, Drbg(world.draw()), within=within, retired=retired
        )
        self.wallets = {one.book.key: one for one in (wallet, *wallet.retired)}
        self.effects: list[Effect] = []
        self.durable: set[bytes] = set()
        self.signing: Signed[Body] | None = None

    @property
    def book(self) -> Book:
        return self.wallet.book

    @property
    def reports(self) -> list[Report]:
        return [effect for effect in self.effects if isinstance(effect, Report)]

    @property
    def report(self) -> Report:
        """The last report: how it ended."""
        return self.reports[-1]

    @property
    def signed(self) -> list[Kind]:
        """The kinds of what the keystore was asked to sign, in order."""
        return [KIND[type(effect.statement.body)] for effect in self.effects if isinstance(effect, Sign)]

    def step(self, event: Event, seconds: float | None = None) -> tuple[Effect, ...]:
        """Take one event, and check the order of its effects. Signatures and consent are left to the caller."""
        now = float(self.world.epoch * limits.EPOCH_SECONDS) if seconds is None else seconds
        effects = self.tap.step(event, now)
        if isinstance(event, Signature):
            self.signing = None
        for effect in effects:
            self._check(effect, last=effect is effects[-1])
        self.effects += effects
        return effects

    def _check(self, effect: Effect, last: bool) -> None:
        match effect:
            case Persist(records, key):
                self.wallets[key or self.book.key].persist(records)
                for item in map(self.world.decode, records):
                    match item:
                        case Asked():
                            self.durable.add(item.request)
                        case Answered(outcome, _):
                            self.durable.add(outcome.id)
                        case Sent(transfer, _, _):
                            self.durable.add(transfer.id)
                        case _:
                            pass
            case Sign(statement):
                kind = KIND[type(statement.body)]
                assert statement.id in self.durable or kind not in ON_TAPE | {Kind.REQUEST}, "signed, not durable"
                assert last, "what is to be signed comes last"
                self.signing = statement
            case Send():
                assert self.signing is None or self.tap.ended, "sent before it was signed"
            case _:
                pass

    def signature(self) -> Signature:
        """Have the keystore sign what was asked."""
        assert self.signing is not None
        return Signature(sign_with(self.wallets[self.signing.key].keystore, self.signing))

    def answers(self, effects: tuple[Effect, ...]) -> list[Event]:
        """Return what the keystore and the person say to these effects."""
        events: list[Event] = []
        for effect in effects:
            if isinstance(effect, Sign):
                events.append(self.signature())
            elif isinstance(effect, Ask):
                events.append(self.person(effect))
        return events


class Seen(NamedTuple):
    """What one side said."""

    sender: Actor
    message: Said


Rewrite: TypeAlias = Callable[[Said], Said]
Intercept: TypeAlias = Callable[[bytes], list[bytes]]


class Meeting:
    """Two machines, and somebody between them who knows both ephemeral keys."""

    def __init__(self, world: World, payer: Actor, payee: Actor, seconds: float | None = None) -> None:
        self.world = world
        self.payer, self.payee = payer, payee
        self.seconds = seconds
        self.latency = 0.0
        """Seconds that each frame takes."""
        self.initiator, self.responder = (payer, payee) if payer.initiator else (payee, payer)
        self.heard: list[Seen] = []
        self.frames: list[bytes] = []
        self.delivered = 0
        self._queue: deque[tuple[Actor, Event]] = deque([(self.responder, Begin()), (self.initiator, Begin())])
        self._hello: Hello | None = None
        self._welcome: Welcome | None = None
        self._sealed: dict[Actor, int] = {payer: 0, payee: 0}

    def other(self, actor: Actor) -> Actor:
        return self.payee if actor is self.payer else self.payer

    def actor(self, part: Part) -> Actor:
        return self.payer if part is Part.PAYER else self.payee

    @property
    def said(self) -> list[str]:
        """What was said, in order: the names of the messages."""
        return [type(seen.message).__name__.removesuffix("Message") for seen in self.heard]

    def channel(self, actor: Actor) -> Channel | None:
        """Return this actor's side of the session as if it had said and heard nothing yet."""
        if self._hello is None or self._welcome is None:
            return None
        initiator = actor is self.initiator
        return establish(self.world.scheme, actor.ephemeral, initiator, self._hello, self._welcome)

    def forge(self, sender: Actor, message: Message) -> bytes:
        """Return the next frame of ``sender``'s with this message in it."""
        return self.seal(sender, wire.encode(message))

    def seal_next(self, sender: Actor, message: Message, later: int) -> bytes:
        """Return the frame of ``sender``'s that comes ``later`` after the next one."""
        self._sealed[sender] += later + 1
        try:
            return self.forge(sender, message)
        finally:
            self._sealed[sender] -= later + 1

    def seal(self, sender: Actor, plaintext: bytes) -> bytes:
        """Return ``sender``'s next frame."""
        channel = self.channel(sender)
        assert channel is not None
        for _ in range(self._sealed[sender]):
            channel.seal(b"")
        return channel.seal(plaintext)

    def opened(self, sender: Actor, frame: bytes) -> Message:
        """Return what is in ``sender``'s next frame."""
        channel = self.channel(self.other(sender))
        assert channel is not None
        keyed = self.channel(sender)
        assert keyed is not None
        for _ in range(self._sealed[sender]):
            channel.open(keyed.seal(b""))
        return wire.decode(channel.open(frame))

    # Playing

    def run(
        self, *, rewrite: Rewrite | None = None, intercept: Intercept | None = None, stop_after: int | None = None
    ) -> Meeting:
        """Play until nothing more is said, or ``stop_after`` frames have arrived; then the link is lost."""
        while self._queue:
            actor, event = self._queue.popleft()
            if actor.tap.ended:
                continue
            if isinstance(event, Received):
                if stop_after is not None and self.delivered >= stop_after:
                    continue
                for frame in self._between(self.other(actor), event.frame, rewrite, intercept):
                    if not actor.tap.ended:
                        self._take(actor, Received(frame))
                continue
            self._take(actor, event)
        return self.lose()

    def lose(self) -> Meeting:
        """Both sides lose the link."""
        for actor in (self.payer, self.payee):
            if not actor.tap.ended:
                actor.step(Stop(Code.LINK_LOST), self.seconds)
        return self

    def until(self, part: Part, state: State) -> Actor:
        """Play until this side stands in this state; what comes next waits."""
        actor = self.actor(part)
        while actor.tap.state is not state:
            assert self._queue, f"never stood in {state.value}"
            mover, event = self._queue.popleft()
            if isinstance(event, Received):
                for frame in self._between(self.other(mover), event.frame, None, None):
                    self._take(mover, Received(frame))
            else:
                self._take(mover, event)
        return actor

    def settle(self, actor: Actor) -> None:
        """Let the other side go on as far as it can; what comes for this side waits."""
        kept: list[tuple[Actor, Event]] = []
        while self._queue:
            mover, event = self._queue.popleft()
            if mover is actor:
                kept.append((mover, event))
            elif isinstance(event, Received):
                for frame in self._between(actor, event.frame, None, None):
                    self._take(mover, Received(frame))
            else:
                self._take(mover, event)
        self._queue.extend(kept)

    def next_for(self, actor: Actor) -> Event:
        """Return the event that waits for this side, once the other side has said what it has to say."""
        while True:
            for place, (mover, event) in enumerate(self._queue):
                if mover is actor:
                    del self._queue[place]
                    if isinstance(event, Received):
                        (frame,) = self._between(self.other(actor), event.frame, None, None)
                        self._travel()
                        return Received(frame)
                    return event
            mover, event = self._queue.popleft()
            if isinstance(event, Received):
                for frame in self._between(self.other(mover), event.frame, None, None):
                    self._take(mover, Received(frame))
            else:
                self._take(mover, event)

    def _travel(self) -> None:
        if self.latency:
            self.seconds = self.latency + (self.seconds or float(self.world.epoch * limits.EPOCH_SECONDS))

    def _take(self, actor: Actor, event: Event) -> None:
        if isinstance(event, Received):
            self._travel()
        effects = actor.step(event, self.seconds)
        for answer in actor.answers(effects):
            self._queue.append((actor, answer))
        self.post(actor, effects)

    def post(self, actor: Actor, effects: tuple[Effect, ...]) -> None:
        """Let the frames in these effects travel to the other side."""
        for effect in effects:
            if isinstance(effect, Send):
                self._queue.append((self.other(actor), Received(effect.frame)))

    def peek(self, sender: Actor, frame: bytes) -> list[Said]:
        """Return what is in a frame that has not arrived yet."""
        if self._hello is None:
            return [wire.decode_hello(frame)]
        if self._welcome is not None:
            return [self.opened(sender, frame)]
        self._welcome = wire.decode_welcome(frame)
        said: list[Said] = [self._welcome]
        if self._welcome.sealed:
            said.append(self.opened(sender, self._welcome.sealed))
        self._welcome = None
        return said

    def _between(
        self, sender: Actor, frame: bytes, rewrite: Rewrite | None, intercept: Intercept | None
    ) -> list[bytes]:
        """Hear a frame, perhaps change it, and return what arrives."""
        self.frames.append(frame)
        self.delivered += 1
        said: Said
        if self._hello is None:
            said = wire.decode_hello(frame)
            self.heard.append(Seen(sender, said))
            changed = rewrite(said) if rewrite else said
            self._hello = cast("Hello", changed)
            frame = frame if changed is said else wire.encode_hello(self._hello)
        elif self._welcome is None:
            frame = self._welcomed(sender, wire.decode_welcome(frame), rewrite)
        else:
            frame = self._overheard(sender, frame, rewrite)
        return intercept(frame) if intercept else [frame]

    def _overheard(self, sender: Actor, frame: bytes, rewrite: Rewrite | None) -> bytes:
        try:
            said = self.opened(sender, frame)
        except TapError:
            return frame  # an altered greeting gave both sides other keys than ours
        self.heard.append(Seen(sender, said))
        changed = rewrite(said) if rewrite else said
        if changed is not said:
            frame = self.forge(sender, cast("Message", changed))
        self._sealed[sender] += 1
        return frame

    def _welcomed(self, sender: Actor, welcome: Welcome, rewrite: Rewrite | None) -> bytes:
        self._welcome = welcome
        self.heard.append(Seen(sender, welcome))
        if welcome.sealed:
            welcome = welcome._replace(sealed=self._overheard(sender, welcome.sealed, rewrite))
        outer = rewrite(welcome) if rewrite else welcome
        return wire.encode_welcome(cast("Welcome", outer))


Expected: TypeAlias = type[Effect] | type[Said] | Effect | Callable[[Effect], bool]


class Playbook:
    """One side of a meeting, played by hand: ``playbook >> event << effect << effect``.

    An effect is expected by its type, by the type of the message in it, by its value, or by what is true of it.
    Each event that follows asserts that every effect before it was expected.
    """

    def __init__(self, meeting: Meeting, actor: Actor) -> None:
        self.meeting = meeting
        self.actor = actor
        assert isinstance(meeting.next_for(actor), Begin)
        self._left: deque[Effect] = deque()

    def __rshift__(self, event: Event) -> Playbook:
        assert not self._left, f"not expected: {list(self._left)}"
        effects = self.actor.step(event, self.meeting.seconds)
        self.meeting.post(self.actor, effects)
        self._left.extend(effects)
        return self

    def __lshift__(self, expected: Expected) -> Playbook:
        assert self._left, f"nothing left where {expected} was expected"
        effect = self._left.popleft()
        if not isinstance(expected, type):
            matches = expected(effect) if callable(expected) else effect == expected
            assert matches, f"{effect}, not {expected}"
        elif issubclass(expected, Persist | Sign | Send | Ask | Report):
            assert isinstance(effect, expected), f"{effect}, not {expected.__name__}"
        else:
            assert isinstance(effect, Send), f"{effect}, not {expected.__name__}"
            assert any(isinstance(said, expected) for said in self.meeting.peek(self.actor, effect.frame))
        return self

    def done(self) -> None:
        """Assert that nothing more came."""
        assert not self._left, f"not expected: {list(self._left)}"

    @property
    def signature(self) -> Signature:
        """What the keystore answers."""
        return self.actor.signature()

    @property
    def received(self) -> Event:
        """What the other side says next."""
        return self.meeting.next_for(self.actor)

"""What a tap knows while it lasts, and the few things that both parts do with it (SPEC §11).

Transitions are written in :mod:`dualtap.payee` and :mod:`dualtap.payer`, and what those share in
:mod:`dualtap.both`, :mod:`dualtap.outcome` and :mod:`dualtap.heal`, in terms of these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, cast

from dualtap import limits, session, wire
from dualtap.account import ENTRY_ROOM, amount_of
from dualtap.book import Book
from dualtap.errors import Code, TapError
from dualtap.events import Effect, Persist, Report, Result, Send, Sign, Signature
from dualtap.issued import AuthorityCertificate, Header, WalletCertificate
from dualtap.records import Asked, News, Record, Sent, SignedTail
from dualtap.select import Choice
from dualtap.statements import KIND, ON_TAPE, Body, Request, Signed, Transfer, Verification
from dualtap.states import TELLING, Part, State
from dualtap.suite import Drbg, Ephemeral, Verify
from dualtap.wire import Hello, Message, RequestMessage, TransferMessage, Want, Welcome


@dataclass(frozen=True, slots=True)
class Charge:
    """What a payee asks for: minor units, currency (ISO 4217), the basket (16 bytes) and the part of it (0-255).

    ``details`` is a 32-byte hash of what is sold, or empty. ``person`` is set if a person, not a loop, starts it.
    ``verification`` is the least verification of the payer's user that is taken.
    """

    amount: int
    currency: str
    basket: bytes
    part: int = 0
    details: bytes = b""
    person: bool = False
    verification: Verification = Verification.NONE


@dataclass(frozen=True, slots=True)
class Pay:
    """What a payer is ready for: any request that its person agrees to, or the refund of one transfer.

    ``witness`` is what conditions of the value may ask for besides (SPEC §5.6): preimages, and Grants as bytes.
    """

    refund_of: bytes = b""
    amount: int | None = None
    witness: tuple[bytes, ...] = ()


Order: TypeAlias = Charge | Pay


@dataclass(slots=True)
class Timing:
    """How near the other device is (SPEC §24): what this kind of link allows, and what was measured.

    ``within`` is in seconds, there and back; ``None``: this link's kind tells nothing of distance. ``due`` says that
    a round is still to be made before this payer may pay.
    """

    within: float | None
    due: bool = False
    nonce: bytes = b""
    sent: float = 0.0
    rounds: int = 0
    near: bool = False


class Context:
    """One tap of one wallet: its wallet, its order, its session, and the effects of the present step."""

    def __init__(
        self,
        book: Book,
        order: Order,
        initiator: bool,
        ephemeral: Ephemeral,
        random: Drbg,
        handover: session.Handover = session.NO_HANDOVER,
        within: float | None = None,
        retired: tuple[Book, ...] = (),
        *,
        news: bool = True,
    ) -> None:
        self.book = book
        self.retired = retired
        self.books = {one.key: one for one in (*retired, book)}
        """Every wallet of this device by its key, the present one last."""
        self.order = order
        self.part = Part.PAYEE if isinstance(order, Charge) else Part.PAYER
        self.initiator = initiator
        self.ephemeral = ephemeral
        self.random = random
        self.handover = handover
        self.timing = Timing(within)
        self.news = news
        self.peer_news = 0
        self.news_due = False
        self.news_began = 0.0
        self.telling: object = None
        self.state = State.READY
        self.now = 0.0
        self.hello: Hello | None = None
        self.channel: session.Channel | None = None
        self.welcome_with: Welcome | None = None
        self.peer: WalletCertificate | None = None
        self.payer = b""
        self.peer_verify: Verify | None = None
        self.proved: dict[bytes, Verify] = {}  # every key that the peer has proved in this session
        self.recalled: dict[bytes, Sent] = {}  # what the Recall asked for to which no answer has come
        self.recall_over = False
        self.returning: Book | None = None
        self.returned: set[bytes] = set()  # the retired keys that this device has proved
        self.returns_over = False
        self.paid_before = False
        self.peer_wants_authorities = False
        self.peer_epoch = 0  # the latest date that the peer has signed in this session
        self.asked: Asked | None = None
        self.request: Request | None = None
        self.request_message: RequestMessage | None = None
        self.raw = b""
        self.chosen = Choice(())
        self.answering: TransferMessage | None = None
        self.reason: TapError | None = None
        self.barred: TapError | None = None  # why this payee asks for nothing, and heals only
        self.signing: Signed[Body] | None = None
        self.shown: Sent | None = None
        self.effects: list[Effect] = []

    @property
    def epoch(self) -> int:
        """The strictest date known: what the scheme proved, or what this device's clock says, if later (SPEC §7-12)."""
        return max(self.book.trust.epoch, int(self.now) // limits.EPOCH_SECONDS)

    def end(self, code: Code | int, detail: str = "") -> None:
        """End without an outcome: not paid, or in doubt if a transfer was shown, of this tap or an older one.

        Where only news is exchanged, the person has heard already how the payment ended (SPEC §21-3).
        """
        if self.state in TELLING:
            self.state = State.ENDED
            return
        if self.shown is not None and self.shown.transfer.id in self.holder(self.shown.transfer.key).pending:
            self.tell(Result.IN_DOUBT, self.shown.transfer, code, detail)
        else:
            self.report(Result.NOT_PAID, b"", code, detail)
        self.state = State.ENDED

    # The wallets of this device

    def holder(self, key: bytes) -> Book:
        """Return this device's wallet with this key."""
        return self.books[key]

    # What actions use

    def established(self) -> session.Channel:
        """Return the channel; it exists in every state in which a message can be sent."""
        if self.channel is None:
            raise TapError(Code.UNEXPECTED_MESSAGE, "no session yet")
        return self.channel

    def greet(self) -> None:
        """Send the Hello, or wait for one."""
        if not self.initiator:
            self.state = State.AWAIT_HELLO
            return
        self.hello = Hello(self.book.scheme.hint, (wire.VERSION,), self.ephemeral.public, self.want())
        self.effects.append(Send(wire.encode_hello(self.hello)))
        self.state = State.AWAIT_WELCOME

    def want(self) -> Want:
        """Return what this side is here for."""
        role = Want.COLLECT if self.part is Part.PAYEE else Want.PAY
        return role | Want.AUTHORITIES if self.book.asks(self.epoch) else role

    def answer_hello(self, hello: Hello) -> None:
        """Derive the channel as responder; the Welcome goes out with the first message, or alone."""
        want = self.want()
        session.check_hello(self.book.scheme, hello, want)
        self._peer_wants(hello.want)
        self.hello = hello
        welcome = Welcome(wire.VERSION, self.ephemeral.public, want, b"")
        self.channel = session.establish(self.book.scheme, self.ephemeral, False, hello, welcome, self.handover)
        self.welcome_with = welcome

    def take_welcome(self, welcome: Welcome) -> None:
        """Derive the channel as initiator."""
        hello = cast("Hello", self.hello)
        session.check_welcome(welcome, hello.want)
        self._peer_wants(welcome.want)
        self.channel = session.establish(self.book.scheme, self.ephemeral, True, hello, welcome, self.handover)

    def _peer_wants(self, want: Want) -> None:
        self.peer_wants_authorities = Want.AUTHORITIES in want

    def send(self, message: Message) -> None:
        """Seal and send a message, in the Welcome if that is still to go."""
        plaintext = wire.encode(message)
        frame = self.established().seal(plaintext)
        if self.welcome_with is not None:
            frame = wire.encode_welcome(self.welcome_with._replace(sealed=frame))
            self.welcome_with = None
        self.effects.append(Send(frame))

    def send_welcome(self) -> None:
        """Send the Welcome alone: the payee speaks next."""
        self.effects.append(Send(wire.encode_welcome(cast("Welcome", self.welcome_with))))
        self.welcome_with = None

    def persist(self, *records: Record, book: Book | None = None) -> None:
        """Change a wallet by these records, and make them durable together with the last signature (SPEC §12-4).

        ``book`` is one of this device's retired ones; without it, it is the present one.
        """
        changed = book or self.book
        encoded = changed.encoded(records)
        for item in records:
            changed.apply(item)
        self.effects.append(Persist(encoded, b"" if changed is self.book else changed.key))

    def sign(self, statement: Signed[Body], state: State) -> None:
        """Ask the keystore for a signature."""
        self.signing = statement
        self.effects.append(Sign(statement))
        self.state = state

    def signed(self, event: Signature) -> Signed[Body]:
        """Return the statement that was signed. A tape entry's signature becomes durable with the next record."""
        statement = cast("Signed[Body]", self.signing)
        self.signing = None
        if KIND[type(statement.body)] in ON_TAPE:
            book = self.holder(statement.key)
            book.seal(statement.id, event.signature)
            book.unsaved = SignedTail(statement.id, event.signature)
        return statement.sealed(event.signature)

    def report(self, result: Result, transfer: bytes = b"", code: Code | int | None = None, detail: str = "") -> None:
        """Tell the person how this tap's own payment ended."""
        amount, currency = (self.asked.amount, self.asked.currency) if self.asked else (0, "")
        peer = self.peer.key if self.peer else self.payer
        self.effects.append(Report(result, amount, currency, transfer, peer, code, detail))

    def tell(self, result: Result, transfer: Transfer, code: Code | int | None = None, detail: str = "") -> None:
        """Tell the person what became of a transfer that this wallet made, in this tap or before."""
        amount, currency = amount_of(transfer), self.holder(transfer.key).currency(transfer)
        self.effects.append(Report(result, amount, currency, transfer.id, transfer.body.payee, code, detail))

    def meet(self, certificate: WalletCertificate, statement: Signed[Body]) -> None:
        """Believe that the peer holds a certified key: it signed a statement of this session (SPEC §6-11).

        Whether it may still pay or collect is judged where it does.
        """
        self.peer_verify = self.prove(certificate, statement)
        self.peer = certificate

    def prove(self, certificate: WalletCertificate, statement: Signed[Body]) -> Verify:
        """Believe that the peer holds this key, also where it is not the one with which it pays or collects."""
        trust = self.book.trust
        if certificate.key in self.books:
            raise TapError(Code.SELF_PAYMENT)
        trust.check_genuine(certificate)
        verify = trust.scheme.suite.verifier(certificate.key)
        verify(statement.signature, statement.id)
        self.proved[certificate.key] = verify
        return verify

    def learn(self, authorities: tuple[AuthorityCertificate, ...], header: Header | None) -> None:
        """Keep what the peer brought of the scheme: authorities and a later date, if the root's word proves them.

        SPEC §7-5 and §12-10.
        """
        trust = self.book.trust
        if not trust.knows(authorities) or (header is not None and header.epoch > trust.epoch):
            self.book.reserve(ENTRY_ROOM)
        new = self.book.trust.learn(authorities)
        if new:
            self.persist(News(None, new, None, None))
        if header is not None and self.book.trust.adopt(header):
            self.persist(News(None, (), header, None))

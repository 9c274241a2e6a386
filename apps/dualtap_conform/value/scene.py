"""A payee, and what is shown to it: value by hands that sign whatever they are told to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from dualtap import limits
from dualtap.compact import Bundle, CompactSpan, CompactToken, CompactTransfer, CompactWarrant
from dualtap.errors import Code
from dualtap.forms import signed
from dualtap.issued import AuthorityCertificate, Header, Policy, Token, WalletCertificate
from dualtap.limits import Profile
from dualtap.statements import (
    Body,
    CloseBody,
    Opening,
    Outcome,
    Parent,
    Private,
    ReceiptBody,
    RequestBody,
    Side,
    Signed,
    Span,
    Transfer,
    TransferBody,
    Verification,
    Warrant,
)
from dualtap.trust import issued_id
from dualtap.wire import TransferMessage, encode
from dualtap_conform.ops.accept import request_json
from dualtap_conform.setup import Json, Object, set_up
from dualtap_conform.stage import CURRENCY, TODAY, Stage
from dualtap_conform.vector import Vector, error

TILL = "till"
B = TypeVar("B", bound=Body)
DECLINED = int(Code.DECLINED)


def of(transfer: Transfer, start: int, end: int, side: Side = Side.PAYEE, place: int = 0) -> Span:
    """Return units of a side of a transfer."""
    return Span(Parent(transfer.id, side, place), start, end)


def back(transfer: Transfer, start: int, end: int, place: int = 0) -> Span:
    """Return units of the payer's side of a dead transfer."""
    return of(transfer, start, end, Side.PAYER, place)


@dataclass
class Shown:
    """What is behind one transfer, in whole form: the bundle follows from it."""

    certificates: tuple[WalletCertificate, ...]
    tokens: dict[bytes, Token]
    hands: tuple[Transfer, ...]


@dataclass
class Scene:
    """A payee, the till, and the value that anybody shows to it. One scene makes one case."""

    stage: Stage
    profile: Profile = limits.FULL
    now: int = 0
    asked: int | None = None
    currency: str = CURRENCY
    part: int = 0
    basket: str = ""
    header: Header | None = None
    policy: Policy | None = None
    verification: Verification = Verification.NONE
    authorities: tuple[AuthorityCertificate, ...] | None = None
    certificates: dict[str, WalletCertificate] = field(default_factory=dict[str, WalletCertificate])
    tokens: dict[bytes, Token] = field(default_factory=dict[bytes, Token])
    hands: dict[bytes, Transfer] = field(default_factory=dict[bytes, Transfer])
    warrants: dict[bytes, Warrant] = field(default_factory=dict[bytes, Warrant])
    seen: list[Json] = field(default_factory=list["Json"])
    _names: dict[bytes, str] = field(default_factory=dict[bytes, str])
    _counters: dict[str, int] = field(default_factory=dict[str, int])
    _body: RequestBody | None = None
    _last: str = ""

    # Who and what there is

    def key(self, name: str) -> bytes:
        """Return the key of a name, and remember whose it is."""
        key = self.stage.key(name)
        self._names[key] = name
        return key

    def certificate(self, key: bytes) -> WalletCertificate:
        """Return the certificate of whoever holds this key."""
        name = self._names[key]
        if name not in self.certificates:
            self.certificates[name] = self.stage.certificate(name)
        return self.certificates[name]

    def put(self, token: Token, issuer: str = "institution") -> Parent:
        """Take in a token, genuine or not, as one that ``issuer`` signed."""
        found = issued_id(self.stage.scheme, token, self.stage.key(issuer))
        self.tokens[found] = token
        return Parent(found, Side.TOKEN, 0)

    def token(self, owner: str, amount: int = 10_000, serial: str = "") -> Parent:
        """Take in a token that the institution issued to a name."""
        self.key(owner)
        return self.put(self.stage.token(owner, amount, serial))

    def hand(
        self,
        payer: str,
        payee: str,
        *spans: Span,
        epoch: int = TODAY,
        by: str = "",
        request: bytes | None = None,
        witness: tuple[bytes, ...] = (),
    ) -> Transfer:
        """Take in a transfer between others, signed by its payer, or ``by`` another; empty request: none."""
        number = len(self.hands)
        asked = self.stage.draw(f"request {number}") if request is None else request
        opening = self.stage.opening(f"hand {number}", *self.place(payer), request=asked)
        self.key(payer)
        return self.keep(self.signed(payer, TransferBody(self.key(payee), spans, epoch, witness), opening, by))

    def keep(self, hand: Transfer) -> Transfer:
        """Take in any transfer."""
        self.hands[hand.id] = hand
        return hand

    def place(self, name: str) -> tuple[int, int]:
        """Return the next place on somebody's tape."""
        prev = self._counters.get(name, 0)
        self._counters[name] = prev + 2
        return prev, prev + 2

    def signed(self, name: str, body: B, opening: Opening | bytes, by: str = "", scheme: bytes = b"") -> Signed[B]:
        """Return a statement of a name that ``by`` signed, perhaps in another scheme (its id)."""
        blank = signed(self.stage.scheme.id, self.stage.key(name), body, opening)
        there = signed(scheme, blank.key, body, opening) if scheme else blank
        return blank.sealed(self.stage.signer(by or name).sign(there.id))

    # Why transfers are dead

    def close(self, hand: Transfer, *, by: str = "", receipt: bytes = b"", request: bytes = b"") -> Warrant:
        """Take in the other outcome of a transfer's request: a Close, or the Receipt of another transfer.

        ``by`` may sign in place of its payee, ``request`` may be another one.
        """
        payee = self._names[hand.body.payee]
        asked = request or hand.shown().request
        opening = self.stage.opening(f"outcome {payee}", *self.place(payee))
        body = ReceiptBody(asked, receipt, TODAY) if receipt else CloseBody(asked, DECLINED, TODAY)
        outcome: Outcome = self.signed(payee, body, opening, by)
        warrant = Warrant(hand.shown().answered(), outcome)
        self.warrants[hand.id] = warrant
        return warrant

    # What is shown

    @property
    def asked_id(self) -> bytes:
        """The id of the till's Request."""
        return signed(self.stage.scheme.id, self.stage.key(TILL), self.request).id

    @property
    def request(self) -> RequestBody:
        """The till's Request."""
        if self._body is None:
            number, profile = len(self.seen), self.profile
            self._body = RequestBody(
                self.stage.draw(f"session {number}"), False, self.asked or 0, self.currency,
                self.stage.draw(self.basket or f"basket {number}", 16), self.part, b"", profile.hops, profile.spans,
                profile.message, self.verification, (self.header or self.stage.header()).epoch,
            )  # fmt: skip
        return self._body

    def pay(
        self,
        payer: str,
        *spans: Span,
        epoch: int = TODAY,
        place: tuple[int, int] | None = None,
        answering: RequestBody | None = None,
        payee: str = TILL,
        by: str = "",
        private: Private | None = None,
        witness: tuple[bytes, ...] = (),
        scheme: bytes = b"",
        also: Iterable[Transfer] = (),
        more: Iterable[Parent] = (),
    ) -> TransferMessage:
        """Return what a payer shows to the till: a transfer in answer to its Request, with all that is behind it.

        ``also`` and ``more`` are hands and tokens that are shown besides.
        """
        if self.asked is None and self._body is None:
            self.asked = sum(end - start for _, start, end in spans)
        self.key(payer)
        answered = signed(self.stage.scheme.id, self.key(TILL), answering or self.request).id
        prev, ctr = place or self.place(payer)
        opening = Opening(self.stage.draw(f"seed {len(self.seen)}", 16), prev, ctr, private or Private(), answered)
        body = TransferBody(self.key(payee), spans, epoch, witness)
        transfer = self.signed(payer, body, opening, by, scheme)
        shown = self.behind(transfer, also, more)
        self._last = transfer.id.hex()
        return TransferMessage(
            b"", self._compact(spans, shown), epoch, witness, opening.seed, prev, ctr, opening.private.verification,
            opening.private.refund_of, transfer.signature, self._bundle(shown), None, (),
        )  # fmt: skip

    def behind(self, transfer: Transfer, also: Iterable[Transfer] = (), more: Iterable[Parent] = ()) -> Shown:
        """Return what is behind a transfer, in the order in which it was taken in."""
        wanted: set[bytes] = {hand.id for hand in also}
        extra = {parent.id for parent in more}
        stack = [transfer, *also]
        while stack:
            for span in stack.pop().body.spans:
                found = span.parent.id
                if found in self.hands and found not in wanted:
                    stack.append(self.hands[found])
                (extra if found in self.tokens else wanted).add(found)
        hands = tuple(hand for key, hand in self.hands.items() if key in wanted)
        keys = dict.fromkeys([transfer.key, *(hand.key for hand in hands)])
        tokens = {key: token for key, token in self.tokens.items() if key in extra}
        return Shown(tuple(self.certificate(key) for key in keys), tokens, hands)

    def _compact(self, spans: Iterable[Span], shown: Shown) -> tuple[CompactSpan, ...]:
        tokens = {key: place for place, key in enumerate(shown.tokens)}
        hands = {hand.id: place for place, hand in enumerate(shown.hands)}
        return tuple(
            (tokens[parent.id], start, end)
            if parent.side is Side.TOKEN
            else (hands[parent.id], int(parent.side), parent.place, start, end)
            for parent, start, end in spans
        )

    def _bundle(self, shown: Shown) -> Bundle:
        wallets = {certificate.key: place for place, certificate in enumerate(shown.certificates)}
        tokens = tuple(
            CompactToken(
                token.serial, token.amount, token.currency, wallets[token.owner], token.spend_by, token.claim_by,
                token.hops, token.conditions, token.issuer, token.signature,
            )
            for token in shown.tokens.values()
        )  # fmt: skip
        hands = tuple(
            CompactTransfer(
                wallets[hand.key], wallets.get(hand.body.payee, hand.body.payee), self._compact(hand.body.spans, shown),
                hand.body.epoch, hand.body.witness, self._proof(hand), hand.signature,
            )
            for hand in shown.hands
        )  # fmt: skip
        return Bundle(shown.certificates, tokens, hands)

    def _proof(self, hand: Transfer) -> bytes | CompactWarrant:
        warrant = self.warrants.get(hand.id)
        if warrant is None:
            return hand.commitment
        outcome, body = warrant.outcome, warrant.outcome.body
        other, reason = (body.transfer, 0) if isinstance(body, ReceiptBody) else (b"", body.reason)
        return CompactWarrant(*warrant.opening, other, reason, body.epoch, outcome.commitment, outcome.signature)

    # The case

    def see(self, message: TransferMessage) -> None:
        """Have the till accept this first; the scene goes on with another request."""
        self.seen.append({"request": request_json(self.request), "message": encode(message).hex()})
        self._body, self.asked = None, None

    def _vector(self, comment: str, clauses: str, flags: str, message: TransferMessage, gives: Object) -> Vector:
        setup = set_up(
            self.stage,
            TILL,
            certificate=self.certificates.get(TILL),
            authorities=self.authorities,
            header=self.header,
            policy=self.policy,
            profile=self.profile,
        )
        given: Object = {
            "setup": setup.to_json(),
            "now": self.now,
            "seen": self.seen,
            "request": request_json(self.request),
            "message": encode(message).hex(),
        }
        suite = self.stage.suite.name
        return Vector("accept", suite, tuple(clauses.split()), tuple(flags.split()), comment, given, gives)

    def refused(self, code: Code, clauses: str, flags: str, comment: str, message: TransferMessage) -> Vector:
        """Return the case in which the till must refuse this."""
        return self._vector(comment, clauses, flags, message, error(code))

    def accepted(self, clauses: str, flags: str, comment: str, message: TransferMessage) -> Vector:
        """Return the case in which the till must accept this: its transfer's id, and the amount asked."""
        gives: Object = {"transfer": self._last, "amount": self.request.amount}
        return self._vector(comment, clauses, flags, message, gives)

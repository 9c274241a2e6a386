"""An honest till, and a thief that shows it whatever it likes instead of a Transfer.

Anna and Ben are honest, and have paid the thief Eve by taps: what she shows has honest hands in it. Mallory, and as
many more as a row needs, sign what Eve asks for.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from typing import Any

from dualtap import limits, wire
from dualtap.compact import CompactTransfer
from dualtap.errors import Code, TapError
from dualtap.events import Received, Result
from dualtap.graph import Graph
from dualtap.issued import Token
from dualtap.limits import Profile
from dualtap.provenance import bundle, rebuild
from dualtap.records import News
from dualtap.statements import (
    CloseBody,
    Kind,
    Opening,
    Outcome,
    Parent,
    Private,
    ReceiptBody,
    Side,
    Span,
    Transfer,
    TransferBody,
    Warrant,
)
from dualtap.states import Part, State
from dualtap.trust import Trust, issued_id
from dualtap.wire import TransferMessage
from tests.playbook import EPOCH, Actor, Meeting, remembered
from tests.support.arena import Arena, Attack, Thief, payee_side, payer_side, wealth

PRICE = 100


class Till:
    """The scene: :attr:`request` opens the session, so that a row may arrange things before it."""

    def __init__(self, suite: str) -> None:
        self.arena = arena = Arena(suite)
        self.anna, self.ben = arena.wallet(fund=1000), arena.wallet()
        purse = arena.wallet()
        arena.pay(self.anna, purse, 400)
        arena.pay(self.anna, self.ben, 300)
        arena.pay(self.ben, purse, 200)
        arena.settle(self.anna, self.ben, deposit=False)
        self.eve, self.mallory = arena.corrupt("eve", purse), arena.thief("mallory")
        self.till = arena.wallet()
        self.graph = Graph()
        self.graph.add(purse.book.graph)
        for thief in (self.eve, self.mallory):
            self.graph.certificates[thief.key] = thief.certificate
        self.mine = self.keep(arena.token(self.eve.key, 1000))
        self.hands = [one for one in self.graph.transfers.values() if one.body.payee == self.eve.key]
        self.bens = next(one for one in self.graph.transfers.values() if one.body.payee == self.ben.book.key)

    # What Eve has

    @property
    def trust(self) -> Trust:
        return self.till.book.trust

    @property
    def anna_token(self) -> Parent:
        return self.hands[0].body.spans[0].parent

    def keep(self, token: Token, issuer: bytes = b"") -> Parent:
        """Put a token into Eve's graph; ``issuer`` is the key that signed it, if not the institution's."""
        token_id = issued_id(self.arena.scheme, token, issuer or self.arena.institution.public)
        self.graph.tokens[token_id] = token
        return Parent(token_id, Side.TOKEN, 0)

    def own(self, start: int, end: int) -> Span:
        """Units of the token that was issued to Eve."""
        return Span(self.mine, start, end)

    def got(self, hand: int, start: int, end: int) -> Span:
        """Units that Anna (0) or Ben (1) paid to Eve, counted from the first."""
        low = self.hands[hand].body.spans[0].start
        return payee_side(self.hands[hand], low + start, low + end)

    def thief(self, name: str, **more: Any) -> Thief:
        found = self.arena.thief(name, **more)
        self.graph.certificates[found.key] = found.certificate
        return found

    def certify(self, thief: str, **more: Any) -> Thief:
        """Give a thief another certificate."""
        old = self.arena.thieves[thief]
        return self.present(thief, Thief(old.signer, self.arena.certificate(old.key, **more)))

    def present(self, name: str, thief: Thief) -> Thief:
        self.arena.thieves[name] = thief
        self.graph.certificates[thief.key] = thief.certificate
        if name == "eve":
            self.eve = thief
        elif name == "mallory":
            self.mallory = thief
        return thief

    # What the till is like

    def rule(self, *hotlist: bytes) -> None:
        """A policy with this hotlist reaches the till."""
        self.till.write(News(None, (), None, self.arena.ruled(2, hotlist=hotlist)))

    def replace(self, profile: Profile = limits.FULL, news: News | None = None) -> None:
        """Another till takes this one's place."""
        self.arena.wallets.remove(self.till)
        self.till = self.arena.wallet(profile=profile, news=news)

    @cached_property
    def meeting(self) -> Meeting:
        """The session: the till has asked for the price, and waits for a Transfer."""
        meeting = self.arena.meet(self.arena.wallet(), self.till, PRICE, payer_starts=False)
        meeting.until(Part.PAYEE, State.AWAIT_TRANSFER)
        return meeting

    @property
    def request(self) -> bytes:
        """The id of the request of this session."""
        assert self.meeting
        return list(self.till.book.questions)[-1]

    # What Eve signs and shows

    def give(self, payer: Thief, payee: Thief, *spans: Span, epoch: int = EPOCH, request: bytes = b"") -> Transfer:
        """Sign a hand, and put it into Eve's graph."""
        request = request or self.arena.draw()
        hand = self.arena.hand(payer.signer, payee.key, *spans, epoch=epoch, request=request)
        self.graph.put(hand)
        return hand

    def close(self, payee: Thief, dead: Transfer, receipt: bytes = b"") -> Outcome:
        """Sign the outcome by which a hand is dead, and put the warrant into Eve's graph."""
        request = dead.shown().request
        body = ReceiptBody(request, receipt, EPOCH) if receipt else CloseBody(request, 81, EPOCH)
        outcome = self.arena.sign(payee.signer, body, self.arena.place(payee.signer))
        self.graph.warrants[dead.id] = Warrant(dead.shown().answered(), outcome)
        return outcome

    def dead(self, start: int = 0, end: int = PRICE) -> Transfer:
        """Eve pays Mallory, who closes: a dead transfer of Eve's."""
        hand = self.give(self.eve, self.mallory, self.own(start, end))
        self.close(self.mallory, hand)
        return hand

    def chain(self, *signers: Thief, hops: int = 7) -> Span:
        """Return the price after a hand by each of these, the last of them to Eve."""
        span = Span(self.keep(self.arena.token(signers[0].key, PRICE, hops=hops)), 0, PRICE)
        for payer, payee in zip(signers, (*signers[1:], self.eve), strict=True):
            span = payee_side(self.give(payer, payee, span), 0, PRICE)
        return span

    def restored(self, times: int) -> Span:
        """Return the price after it was restored to Eve so many times."""
        span = self.own(0, PRICE)
        for _ in range(times):
            hand = self.give(self.eve, self.mallory, span)
            self.close(self.mallory, hand)
            span = payer_side(hand, 0, PRICE)
        return span

    def spend(
        self,
        *spans: Span,
        epoch: int = EPOCH,
        prev: int | None = None,
        ctr: int = 0,
        payee: bytes = b"",
        scheme: bytes = b"",
        refund_of: bytes = b"",
    ) -> TransferMessage:
        """Return what Eve shows to the till: a transfer of these spans to it, and all that her graph has behind it."""
        request = self.request
        opening = self.arena.place(self.eve.signer, request, refund_of)
        if prev is not None:
            opening = Opening(opening.seed, prev, ctr, Private(), request)
        body = TransferBody(payee or self.till.book.key, spans, epoch, ())
        return self.message(self.arena.sign(self.eve.signer, body, opening, scheme))

    def message(self, last: Transfer) -> TransferMessage:
        found, spans = bundle(self.trust, self.graph, last, self.eve.certificate)
        seed, prev, ctr, private, _ = last.shown()
        return TransferMessage(
            b"", spans, last.body.epoch, (), seed, prev, ctr, private.verification, private.refund_of,
            last.signature, found, None, (),
        )  # fmt: skip

    def all(self) -> TransferMessage:
        """Return a payment from Anna's, Ben's and Eve's own value: three certificates, two tokens, three hands."""
        message = self.spend(self.got(0, 0, 40), self.got(1, 0, 40), self.own(0, 20))
        assert [len(part) for part in message.bundle] == [3, 2, 3]
        assert message.bundle.transfers[0].signature == self.bens.signature, (
            "Ben's, and what he paid with it, come first"
        )
        return message

    def bundled(self, message: TransferMessage, **changed: Any) -> TransferMessage:
        """Return a message with another bundle, signed again by Eve."""
        return self.signed(message._replace(bundle=message.bundle._replace(**changed)))

    def signed(self, message: TransferMessage) -> TransferMessage:
        """Return a message signed by Eve for what the till will read in it, where it can read it at all."""
        with suppress(TapError):
            found = rebuild(self.trust, message, self.till.book.key, message.request or self.request).transfer
            # What she signed before for this place stays in her chip: two would be a fork, which is another attack.
            self.arena.forget(found.shown().seed)
            again = self.arena.sign(self.eve.signer, found.body, found.shown())
            message = message._replace(signature=again.signature)
        return message

    def altered(self, message: TransferMessage, place: int, **changed: Any) -> TransferMessage:
        """Return a message in which one hand was altered by Eve, who cannot sign it."""
        hands = list[CompactTransfer](message.bundle.transfers)
        hands[place] = hands[place]._replace(**changed)
        return self.bundled(message, transfers=tuple(hands))

    def show(self, message: TransferMessage) -> Actor:
        """Show it to the till, and let the till answer."""
        till = self.meeting.payee
        for answer in till.answers(till.step(Received(self.meeting.forge(self.meeting.payer, message)))):
            till.step(answer)
        return till

    def pay(self, *spans: Span, prev: int | None = None, ctr: int = 0) -> Transfer:
        """Pay the till, which takes it, and open another session."""
        message = self.spend(*spans, prev=prev, ctr=ctr)
        assert self.show(message).report.result is Result.COLLECTED
        del self.__dict__["meeting"]
        return self.till.book.graph.transfers[list(self.till.book.taken)[-1]]

    def judge(self, attack: Attack[Any]) -> None:
        """Show the till what a row says, and see what the till, the ledger and everybody honest make of it."""
        message: TransferMessage = attack.do(self)
        assert self.meeting
        held, before = list(self.till.book.holdings), wealth(self.anna, self.ben, self.till)
        till = self.show(message)
        assert till.report.code is attack.code, (till.report, attack.bug)
        if attack.code is None:
            assert till.report.result is Result.COLLECTED
            assert sum(one.amount for one in self.till.book.holdings) == sum(one.amount for one in held) + PRICE
            assert till.signed[-1] is Kind.RECEIPT
        else:
            assert till.report.result is Result.NOT_PAID
            assert self.till.book.holdings == held
            refused = attack.code is Code.UNKNOWN_REQUEST or not readable(message)
            expected = [Kind.REQUEST] if refused else [Kind.REQUEST, Kind.CLOSE]
            assert [kind for kind in till.signed if kind is not Kind.PRESENT] == expected
        assert wealth(self.anna, self.ben) == before[:2]
        assert remembered(self.arena.reopened(self.till).book) == remembered(self.till.book)
        assert set(self.till.book.trust.authorities) <= set(self.arena.authorities), "none but the root's are learnt"
        self.till.write(News(None, self.arena.authorities, None, None))
        if attack.code in (Code.DOUBLE_SPENT, Code.TAPE_FORKED):
            self.arena.settle(self.till, deposit=False)
            assert self.arena.named() == attack.named, "what a till refused is told when it syncs"
        self.arena.upload(self.graph.tokens.values(), self.graph.warrants.items())
        self.arena.judge(attack.named, self.anna, self.ben, self.till)


def readable(message: TransferMessage) -> bool:
    """Return whether a message decodes: what does not may be no transfer, and gets a Refuse, but no Close (§8.1-4)."""
    try:
        return wire.decode(wire.encode(message)) == message
    except TapError:
        return False


def swapped(items: tuple[Any, ...], one: int, other: int) -> tuple[Any, ...]:
    changed = list(items)
    changed[one], changed[other] = items[other], items[one]
    return tuple(changed)

"""The owner's session: who may bind, look and order; every cell of both ends; attacks; a cut at each frame."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dualtap import limits, wire
from dualtap.account import ENTRY_ROOM
from dualtap.errors import Code, TapError
from dualtap.events import (
    Begin,
    Consent,
    Decline,
    Event,
    Persist,
    Received,
    Send,
    Sign,
    Signature,
    Stop,
)
from dualtap.forms import signed
from dualtap.issued import Authority, AuthorityCertificate, Carrier, Role, WalletCertificate
from dualtap.keystore import sign_with
from dualtap.ownerend import OwnerEnd, order_of
from dualtap.ownermessages import (
    BoundMessage,
    ClaimMessage,
    OrderMessage,
    OwnerMessage,
    StateMessage,
    decode,
    encode,
)
from dualtap.owning import AskOwner, Bond, End, Look, OwnerEffect, Release, Restrain, Step, Told, Wish
from dualtap.records import News, Ordered, Tied
from dualtap.session import Channel, establish
from dualtap.statements import BindBody, Errand, OrderBody, OwnerOrder, PresentBody, Verification
from dualtap.suite import sha256
from dualtap.ties import Restraint
from dualtap.trust import issue
from dualtap.walletend import WalletEnd, state_of
from dualtap.wire import DoneMessage, Hello, RefuseMessage, Want, Welcome
from dualtap_devices.keystore import MemoryKeystore
from dualtap_devices.owning import Session, exchange
from dualtap_devices.slots import MemoryStore
from dualtap_devices.wallet import Wallet
from tests.playbook import EPOCH, SUITE_NAMES, World


class Town(World):
    """A phone, another phone, and a card with 500 units."""

    def __init__(self, suite: str = "ed25519") -> None:
        super().__init__(suite, seed="owner")
        self.phone, self.stranger = self.wallet(), self.wallet()
        self.card = self.wallet(Carrier.CARD, 500, profile=limits.CARD)

    def tap(self, owner: Wallet, wish: Wish, card: Wallet | None = None, cut: int | None = None) -> Told:
        """Tap once and return what the owner's end told."""
        one, other = self.sessions(owner, wish, card or self.card)
        exchange(one, other, cut)
        assert one.told is not None
        return one.told

    def sessions(self, owner: Wallet, wish: Wish, card: Wallet) -> tuple[Session, Session]:
        near, far = self.suite.ephemeral(self.draw()), self.suite.ephemeral(self.draw())
        return (
            Session(owner, OwnerEnd(owner.book, wish, near), clock=lambda: 0.0),
            Session(card, WalletEnd(card.book, far), clock=lambda: 0.0),
        )

    def bound(self) -> Town:
        assert self.tap(self.phone, Bond()).code is None
        return self


@pytest.fixture(params=SUITE_NAMES)
def town(request: pytest.FixtureRequest) -> Town:
    return Town(str(request.param))


def test_binding_is_proved_by_both_and_kept_by_both(town: Town) -> None:
    """§23-6, §23-7: the wallet's Bind and the owner's Own name the same session, and both verify."""
    told = town.tap(town.phone, Bond())
    assert told.code is None
    assert town.card.book.ties.owner == town.phone.book.key
    tied = town.phone.book.ties.owned[town.card.book.key]
    assert tied.bind is not None
    assert tied.own is not None
    for word in (tied.bind, tied.own):
        town.card.book.trust.verify_statement(word)
    assert tied.bind.body.session == tied.own.body.session
    assert (tied.bind.body.owner, tied.own.body.wallet) == (town.phone.book.key, town.card.book.key)
    assert [word.id for word in town.phone.book.ties.words()] == [tied.bind.id, tied.own.id]
    assert town.card.book.ties.words() == ()
    for wallet in (town.card, town.phone):
        again = town.reopened(wallet).book.ties
        assert (again.owner, again.number, again.owned) == (
            wallet.book.ties.owner, wallet.book.ties.number, wallet.book.ties.owned
        )  # fmt: skip


def test_the_owner_sees_what_the_wallet_holds(town: Town) -> None:
    """§23-10: balance, what is in doubt and available, dates, and the last lines, the latest first."""
    town.bound()
    state = town.tap(town.phone, Look(1)).state
    assert state is not None
    assert (state.bind, state.balance, state.doubt, state.available) == (1, 500, 0, 500)
    assert state.expiries == ((EPOCH + 300, 500),)
    assert [(line.what, line.amount, line.peer) for line in state.lines] == [("funded", 500, b"")]
    again = town.tap(town.phone, Look(0)).state
    assert again is not None
    assert again.lines == ()


def test_what_a_card_says_fits_its_frame() -> None:
    """§23-10: as much history as both ends take, and no more."""
    town = Town()
    for _ in range(60):
        town.fund(town.card, 3)
    one, other = town.sessions(town.bound().phone, Look(60), town.card)
    sent: list[int] = []
    real = other.receive

    def measured(frame: bytes) -> list[bytes]:
        frames = real(frame)
        sent.extend(map(len, frames))
        return frames

    other.receive = measured  # type: ignore[method-assign]
    exchange(one, other)
    assert one.told is not None
    assert one.told.state is not None
    assert 10 < len(one.told.state.lines) < 60
    assert limits.CARD_MESSAGE - 64 < max(sent) <= limits.CARD_MESSAGE


@pytest.mark.parametrize("wish", [Bond(), Look(), Restrain(frozen=True), Release()])
def test_a_stranger_is_told_nothing(town: Town, wish: Wish) -> None:
    """§23-3, §23-4: a bound wallet refuses before it sends its certificate, its key or any signature of it."""
    town.bound()
    one, other = town.sessions(town.stranger, wish, town.card)
    plain: list[OwnerMessage] = []
    real = other.end._say  # pyright: ignore[reportPrivateUsage]

    def heard(message: OwnerMessage) -> None:
        plain.append(message)
        real(message)

    other.end._say = heard  # type: ignore[method-assign]
    exchange(one, other)
    assert one.told is not None
    assert one.told.code is Code.BOUND
    assert one.told.peer is None
    assert plain == [RefuseMessage(int(Code.BOUND))]
    assert town.card.book.ties.owner == town.phone.book.key


def test_an_unbound_wallet_shows_itself_to_who_makes_it_press_and_to_nobody_else(town: Town) -> None:
    """§23-5: without its person's consent, nothing is said; orders need a binding."""
    near, far = town.suite.ephemeral(town.draw()), town.suite.ephemeral(town.draw())
    wishes: tuple[Wish, ...] = (Look(), Bond())
    for wish in wishes:
        one = Session(town.stranger, OwnerEnd(town.stranger.book, wish, near), clock=lambda: 0.0)
        other = Session(town.card, WalletEnd(town.card.book, far), lambda _: Decline(), clock=lambda: 0.0)
        exchange(one, other)
        assert one.told == Told(Code.DECLINED, "said by the other device")
        assert town.card.book.ties.owner == b""
    told = town.tap(town.stranger, Look())
    assert told.state is not None
    assert (told.state.bind, told.state.balance) == (0, 500)
    assert town.tap(town.stranger, Restrain(frozen=True)).code is Code.NOT_BOUND
    assert town.card.book.ties.restraint() == Restraint()


@pytest.mark.parametrize("given", list(Verification))
def test_a_wallet_with_a_pin_binds_only_by_it(given: Verification) -> None:
    """§23-5: the least verification is the device's choice."""
    town = Town()
    end = WalletEnd(town.card.book, town.suite.ephemeral(town.draw()), Verification.PIN)
    one = Session(town.phone, OwnerEnd(town.phone.book, Bond(), town.suite.ephemeral(town.draw())), clock=lambda: 0.0)
    exchange(one, Session(town.card, end, lambda _: Consent(given), clock=lambda: 0.0))
    assert one.told is not None
    assert (one.told.code is None) is (given >= Verification.PIN)
    assert bool(town.card.book.ties.owner) is (given >= Verification.PIN)


def test_limits_and_freezing_bind_payments(town: Town) -> None:
    """§23-12, §23-14: below the tier's; durable; lifted by a later order, and by unbinding."""
    card, shop = town.bound().card, town.wallet()

    def pay(amount: int) -> Code | int | None:
        from dualtap.context import Charge

        meeting = town.meet(card, shop, charge=Charge(amount, "CNY", town.draw(16)))
        meeting.run()
        return meeting.payer.reports[-1].code

    assert town.tap(town.phone, Restrain(payment=60, day=100)).code is None
    assert pay(61) is Code.OVER_LIMIT
    assert (pay(60), pay(41), pay(40)) == (None, Code.OVER_LIMIT, None)
    assert town.tap(town.phone, Restrain(frozen=True)).code is None
    assert card.book.ties.restraint() == Restraint(True, 60, 100), "what is not said stays"
    assert pay(1) is Code.FROZEN
    card.compact()
    assert town.reopened(card).book.ties.restraint() == Restraint(True, 60, 100)
    assert town.tap(town.phone, Restrain(frozen=False, day=limits.AMOUNT)).code is None
    assert (pay(60), pay(61)) == (None, Code.OVER_LIMIT)
    assert town.tap(town.phone, Release()).code is None
    assert card.book.ties.restraint() == Restraint()
    assert pay(61) is None
    card.compact()
    assert town.reopened(card).book.ties.number == 1


def test_an_owner_unbinds_and_another_may_bind(town: Town) -> None:
    """§23-9: numbers go on, so that what was said under the first binding says nothing under the second."""
    town.bound()
    old = order_of(town.phone.book, town.card.book.key, Restrain(frozen=True))
    old = old.sealed(sign_with(town.phone.keystore, old))
    assert town.tap(town.stranger, Bond()).code is Code.BOUND
    assert town.tap(town.phone, Release()).code is None
    assert (town.card.book.ties.owner, town.phone.book.ties.owned) == (b"", {})
    assert town.tap(town.stranger, Bond()).code is None
    assert town.card.book.ties.number == 2
    refused(Code.NOT_BOUND, lambda: town.card.book.ties.taken(old, frozenset()))
    assert town.tap(town.phone, Look()).code is Code.BOUND
    assert town.tap(town.stranger, Release()).code is None
    assert town.tap(town.phone, Bond()).code is None
    refused(Code.NOT_BOUND, lambda: town.card.book.ties.taken(old, frozenset()))


def refused(code: Code, act: Callable[[], object]) -> None:
    with pytest.raises(TapError) as caught:
        act()
    assert caught.value.code is code


def test_two_owners_race() -> None:
    """§23-8: while the person thinks, another session binds; the later one is refused."""
    town = Town()

    def late(ask: AskOwner) -> Consent:
        del ask
        assert town.tap(town.phone, Bond()).code is None
        return Consent()

    one, _ = town.sessions(town.stranger, Bond(), town.card)
    exchange(one, Session(town.card, WalletEnd(town.card.book, town.suite.ephemeral(town.draw())), late, lambda: 0.0))
    assert one.told is not None
    assert one.told.code is Code.BOUND
    assert town.card.book.ties.owner == town.phone.book.key
    assert town.stranger.book.ties.owned == {}


def test_an_old_order_is_refused_and_the_same_one_changes_nothing() -> None:
    """§23-13."""
    town = Town().bound()
    card, phone = town.card.book, town.phone.book
    assert town.tap(town.phone, Restrain(payment=10)).code is None
    (first,) = phone.ties.given[card.key]
    assert town.tap(town.phone, Restrain(payment=20)).code is None
    (second,) = phone.ties.given[card.key]
    assert (first.body.number, second.body.number) == (1, 2)
    refused(Code.REPLAYED_REQUEST, lambda: card.ties.taken(first, frozenset()))
    assert card.ties.taken(second, frozenset()) == ()
    assert card.ties.restraint().payment == 20


def test_an_institution_orders_too_and_the_stricter_holds() -> None:
    """§23-12, §23-14: each signer counts its own orders, and lifts only what it said."""
    town = Town().bound()
    ties, mine = town.card.book.ties, town.institution.public

    def said(number: int, errand: Errand, bind: int = 0, *, frozen: bool = False, payment: int = 300) -> None:
        body = OrderBody(town.card.book.key, bind, number, errand, frozen, payment, 900, 0, b"", EPOCH)
        for record in ties.taken(signed(town.scheme.id, mine, body), frozenset({mine})):
            ties.apply(record)

    said(1, Errand.RESTRAIN, frozen=True)
    assert town.tap(town.phone, Restrain(frozen=False, payment=200)).code is None
    assert ties.restraint() == Restraint(True, 200, 900)
    refused(Code.REPLAYED_REQUEST, lambda: said(1, Errand.RESTRAIN))
    said(2, Errand.RESTRAIN)
    assert ties.restraint() == Restraint(False, 200, 900)
    refused(Code.NOT_BOUND, lambda: said(3, Errand.UNBIND, 7))
    refused(Code.MALFORMED, lambda: said(3, Errand.FUND))
    said(3, Errand.UNBIND, 1)
    assert (ties.owner, ties.restraint()) == (b"", Restraint(False, 300, 900))
    refused(Code.REPLAYED_REQUEST, lambda: said(2, Errand.RESTRAIN))
    kept = type(ties)(town.card.book.key)
    for record in ties.kept():
        kept.apply(record)
    assert vars(kept) == vars(ties)


def test_a_reply_brings_orders_and_what_is_old_or_of_others_is_passed_over() -> None:
    """§23-16: by the owner or an institution; what was obeyed by a tap is not obeyed again; what is forged, refused."""
    town = Town().bound()
    card, phone, mine = town.card.book, town.phone.book, town.institution.public

    def said(number: int, errand: Errand, bind: int = 0, **terms: bool) -> OwnerOrder:
        body = OrderBody(card.key, bind, number, errand, terms.get("frozen", False), 70, 90, 0, b"", EPOCH)
        word = signed(town.scheme.id, mine, body)
        return word.sealed(town.institution.sign(word.id))

    wish = order_of(phone, card.key, Restrain(payment=50))
    by_owner = wish.sealed(sign_with(town.phone.keystore, wish))
    by_office = said(1, Errand.RESTRAIN, frozen=True)
    records = card.ties.told((by_owner, by_office, by_owner, *phone.ties.words()), card.trust)
    assert [record.order for record in records if isinstance(record, Ordered)] == [by_owner, by_office]
    town.card.write(*records)
    assert card.ties.restraint() == Restraint(True, 50, 90)
    assert card.ties.told((by_owner, by_office), card.trust) == ()
    refused(Code.BAD_SIGNATURE, lambda: card.ties.told((by_owner.sealed(bytes(64)),), card.trust))
    over = said(2, Errand.UNBIND, 1)
    town.card.write(*card.ties.told((over,), card.trust))
    town.phone.write(*phone.ties.told((over,), phone.trust))
    assert (card.ties.owner, phone.ties.owned) == (b"", {})
    assert card.ties.told((by_owner,), card.trust) == ()


def test_a_key_that_is_tied_names_no_successor() -> None:
    """§23-17: neither the owner's nor the wallet's, until it is unbound."""
    town = Town().bound()
    for wallet in (town.phone, town.card):
        refused(Code.BOUND, lambda wallet=wallet: wallet.book.succeeded_by(town.stranger.book.key))  # type: ignore[misc]
    assert town.tap(town.phone, Release()).code is None
    for wallet in (town.phone, town.card):
        assert wallet.book.succeeded_by(town.stranger.book.key).key == wallet.book.key


# Attacks: one end is played by hand


class Hand:
    """Plays the other end by hand, with any key and any words."""

    def __init__(self, town: Town, end: End, me: Wallet) -> None:
        self.town, self.end, self.me = town, end, me
        self.ephemeral = town.suite.ephemeral(town.draw())
        self.effects: list[OwnerEffect] = []
        self.channel: Channel | None = None
        self.wallet = {id(w.book): w for w in (town.phone, town.card, town.stranger)}[id(end.book)]

    def feed(self, event: Event) -> list[bytes]:
        """Feed an event, sign and consent as asked; return what is sent."""
        sent: list[bytes] = []
        todo = [event]
        while todo:
            for effect in self.end.step(todo.pop(0)):
                self.effects.append(effect)
                match effect:
                    case Send(frame):
                        sent.append(frame)
                    case Sign(statement):
                        todo.append(Signature(sign_with(self.wallet.keystore, statement)))
                    case Persist(records):
                        self.wallet.persist(records)
                    case AskOwner():
                        todo.append(Consent())
                    case Told():
                        pass
        return sent

    def as_owner(self) -> Channel:
        """Say Hello to a wallet's end."""
        self.feed(Begin())
        hello = Hello(self.town.scheme.hint, (1,), self.ephemeral.public, Want.OWN)
        (answer,) = self.feed(Received(wire.encode_hello(hello)))
        self.channel = establish(self.town.scheme, self.ephemeral, True, hello, wire.decode_welcome(answer))
        return self.channel

    def as_wallet(self) -> ClaimMessage:
        """Answer an owner's Hello; return its claim."""
        (first,) = self.feed(Begin())
        hello, welcome = wire.decode_hello(first), Welcome(1, self.ephemeral.public, Want.OWN, b"")
        self.channel = establish(self.town.scheme, self.ephemeral, False, hello, welcome)
        (claim,) = self.feed(Received(wire.encode_welcome(welcome)))
        found = decode(self.channel.open(claim))
        assert isinstance(found, ClaimMessage)
        return found

    def say(self, message: OwnerMessage) -> list[OwnerMessage]:
        assert self.channel is not None
        return [decode(self.channel.open(frame)) for frame in self.feed(Received(self.channel.seal(encode(message))))]

    def claim(self, **change: object) -> ClaimMessage:
        """Return an honest claim of this session, or one with something changed."""
        assert self.channel is not None
        session = change.pop("session", self.channel.transcript)
        first = change.pop("first", self.channel.initiator)
        assert isinstance(session, bytes)
        word = signed(self.town.scheme.id, self.me.book.key, PresentBody(session, bool(first), EPOCH))
        signature = sign_with(self.me.keystore, word)
        made = ClaimMessage(False, 5, limits.MESSAGE, EPOCH, signature, self.me.book.certificate, ())
        return made._replace(**change)  # type: ignore[arg-type]

    @property
    def told(self) -> Told:
        last = self.effects[-1]
        assert isinstance(last, Told)
        return last


def wallet_end(town: Town) -> WalletEnd:
    return WalletEnd(town.card.book, town.suite.ephemeral(town.draw()))


def owner_end(town: Town, wish: Wish) -> OwnerEnd:
    return OwnerEnd(town.phone.book, wish, town.suite.ephemeral(town.draw()))


@pytest.mark.parametrize(
    "change", [{"session": b"s" * 32}, {"first": False}, {"epoch": EPOCH + 1}, {"signature": bytes(64)}]
)
def test_a_proof_of_another_session_reflected_or_altered_is_none(change: dict[str, object]) -> None:
    """§23-3: so neither a replay nor a man in the middle, whose session has another transcript, comes by."""
    town = Town().bound()
    hand = Hand(town, wallet_end(town), town.phone)
    hand.as_owner()
    assert hand.say(hand.claim(**change)) == [RefuseMessage(int(Code.BAD_SIGNATURE))]
    assert hand.end.ended


def test_who_proves_nothing_leaves_nothing_behind() -> None:
    """§23-3: authorities are genuine, and are learnt from a peer that proved its key; not before, and then for good."""
    town = Town()
    key = town.suite.signer(b"i" * 32).public
    more = (town.authority(Authority.INSTITUTION, key, 9),)
    for change in ({"signature": bytes(64)}, {}):
        hand = Hand(town, wallet_end(town), town.phone)
        hand.as_owner()
        hand.say(hand.claim(authorities=more, **change))
        assert sum(isinstance(one, Persist) for one in hand.effects) == (not change)
        assert (more[0] in town.card.book.trust.authorities) is (not change)


def test_a_binding_is_counted_from_one() -> None:
    """§23-9: a broken card's number 0 ties nobody in the ledger, and its owner would not know."""
    town = Town()
    hand = Hand(town, owner_end(town, Bond()), town.card)
    hand.as_wallet()
    assert hand.channel is not None
    word = signed(town.scheme.id, town.card.book.key, BindBody(town.phone.book.key, hand.channel.transcript, 0, EPOCH))
    said = BoundMessage(0, EPOCH, sign_with(town.card.keystore, word), town.card.book.certificate, ())
    assert hand.say(said) == [RefuseMessage(int(Code.MALFORMED))]
    assert town.phone.book.ties.owned == {}


def test_a_thief_of_the_owners_certificate_is_no_owner() -> None:
    """§23-3."""
    town = Town().bound()
    hand = Hand(town, wallet_end(town), town.stranger)
    hand.as_owner()
    said = hand.say(hand.claim(certificate=town.phone.book.certificate))
    assert said == [RefuseMessage(int(Code.BAD_SIGNATURE))]


def test_a_bind_of_another_session_or_owner_or_wallet_is_none() -> None:
    """§23-7: replayed, of another number, for another owner, or by whom it does not name."""
    for change in ("replay", "number", "owner", "certificate", "epoch"):
        town = Town()
        honest = Hand(town, wallet_end(town), town.stranger if change == "owner" else town.phone)
        honest.as_owner()
        (bound,) = honest.say(honest.claim(bind=True))
        assert isinstance(bound, BoundMessage)
        hand = Hand(town, owner_end(town, Bond()), town.card)
        hand.as_wallet()
        body = BindBody(
            town.stranger.book.key if change == "owner" else town.phone.book.key,
            honest.channel.transcript if change == "replay" else hand.channel.transcript,  # type: ignore[union-attr]
            1,
            EPOCH,
        )
        word = signed(town.scheme.id, town.card.book.key, body)
        said = bound._replace(signature=sign_with(town.card.keystore, word))
        if change == "number":
            said = said._replace(number=2)
        if change == "epoch":
            said = said._replace(epoch=EPOCH - 1)
        if change == "certificate":
            said = said._replace(certificate=town.stranger.book.certificate)
        assert hand.say(said) == [RefuseMessage(int(Code.BAD_SIGNATURE))]
        assert town.phone.book.ties.owned == {}


def test_a_card_that_plays_another_card_is_found_out() -> None:
    """§23-11: what it says counts for the key that it proves; an order is made for no other."""
    town = Town().bound()
    other = town.wallet(Carrier.CARD, 7)
    near = town.suite.ephemeral(town.draw())
    one = Session(
        town.phone, OwnerEnd(town.phone.book, Restrain(frozen=True), near, town.card.book.key), clock=lambda: 0.0
    )
    exchange(one, Session(other, WalletEnd(other.book, town.suite.ephemeral(town.draw())), clock=lambda: 0.0))
    assert one.told is not None
    assert one.told.code is Code.NOT_BOUND
    assert town.phone.book.ties.given == {}
    hand = Hand(town, owner_end(town, Look()), other)
    hand.as_wallet()
    claim = hand.claim(first=False)
    lie = StateMessage(
        0, 9, 9, 9, False, 9, 9, (), (), EPOCH, claim.signature, town.card.book.certificate, ()
    )  # fmt: skip
    assert hand.say(lie) == [RefuseMessage(int(Code.BAD_SIGNATURE))]


@pytest.mark.parametrize(("what", "currency"), [("\x1b[2J\x1b[H", "CNY"), ("p\u202eaid", "CNY"), ("paid", "\x1b[2")])
def test_what_a_card_says_moves_no_cursor(what: str, currency: str) -> None:
    """§23-19: a broken card's State would else write over what the owner's terminal says of it."""
    town = Town().bound()
    message = state_of(town.card.book, EPOCH, 1, bytes(64), ())
    assert decode(encode(message)) == message
    said = message._replace(lines=(message.lines[0]._replace(what=what, currency=currency),))
    refused(Code.MALFORMED, lambda: decode(encode(said)))


def test_an_owner_who_expects_one_wallet_owns_no_other() -> None:
    """It signs no word for another, which is bound then as after a tear (SPEC §23-8)."""
    town = Town()
    near, far = town.suite.ephemeral(town.draw()), town.suite.ephemeral(town.draw())
    other = town.wallet(Carrier.CARD)
    one = Session(town.phone, OwnerEnd(town.phone.book, Bond(), near, town.card.book.key), clock=lambda: 0.0)
    exchange(one, Session(other, WalletEnd(other.book, far), clock=lambda: 0.0))
    assert one.told is not None
    assert one.told.code is Code.NOT_BOUND
    assert town.phone.book.ties.owned == {}


def test_a_line_names_the_peer_by_eight_bytes() -> None:
    """Enough to tell two shops apart, and no key."""
    world = World()
    payer, payee = world.wallet(fund=100), world.wallet()
    world.pay(payer, payee, 30)
    for book, peer in ((payer.book, payee.book.key), (payee.book, payer.book.key)):
        (line,) = state_of(book, EPOCH, 1, bytes(64), ()).lines
        assert (line.amount, line.peer) == (30, sha256(peer)[:8])


def test_the_person_of_a_bound_wallet_is_asked_for_no_stranger() -> None:
    """§23-4: it refuses before anything else."""
    town = Town().bound()
    hand = Hand(town, wallet_end(town), town.stranger)
    hand.as_owner()
    assert hand.say(hand.claim(bind=True)) == [RefuseMessage(int(Code.BOUND))]
    assert not [effect for effect in hand.effects if isinstance(effect, AskOwner)]


@pytest.mark.parametrize("bind", [True, False])
def test_who_certified_itself_is_nobody(bind: bool) -> None:
    """§23-3: neither an owner nor a wallet; its person is not asked."""
    town = Town()
    for me, end in ((town.stranger, wallet_end(town)), (town.card, owner_end(town, Bond() if bind else Look()))):
        hand = Hand(town, end, me)
        mine = me.book.certificate._replace(tier=7)
        if isinstance(end, WalletEnd):
            hand.as_owner()
            said = hand.say(hand.claim(bind=bind, certificate=mine))
        else:
            claim = hand.as_wallet()
            assert hand.channel is not None
            word = signed(town.scheme.id, me.book.key, BindBody(town.phone.book.key, hand.channel.transcript, 1, EPOCH))
            bound = BoundMessage(1, EPOCH, sign_with(me.keystore, word), mine, ())
            shown = hand.claim(first=False).signature
            state = StateMessage(0, 9, 9, 9, False, 9, 9, (), (), EPOCH, shown, mine, ())
            assert claim.bind is bind
            said = hand.say(bound if bind else state)
        assert said == [RefuseMessage(int(Code.BAD_SIGNATURE))]
        assert not [effect for effect in hand.effects if isinstance(effect, AskOwner)]
        assert town.phone.book.ties.owned == {}


def test_a_wallet_cannot_own_itself() -> None:
    """§23-3: nor is its own certificate a peer's."""
    town = Town()
    hand = Hand(town, wallet_end(town), town.card)
    hand.as_owner()
    assert hand.say(hand.claim(bind=True)) == [RefuseMessage(int(Code.SELF_PAYMENT))]


def test_who_may_bind_must_be_valid_and_an_expired_owner_stays_one() -> None:
    """§23-5: what is bound obeys its owner although the owner's certificate has expired."""
    town = Town()
    old = town.wallet(expires=EPOCH - 1)
    assert town.tap(old, Bond()).code is Code.CERTIFICATE_EXPIRED
    town.bound()
    town.card.book.trust.adopt(town.dated(EPOCH + 350))
    assert town.tap(town.phone, Look()).code is None


def test_an_order_is_taken_for_what_it_says_alone() -> None:
    """§23-12: altered in any field, it is nobody's."""
    town = Town().bound()
    hand = Hand(town, wallet_end(town), town.phone)
    for change in ({"bind": 2}, {"number": 9}, {"frozen": False}, {"payment": 8}, {"epoch": 1}, {"day": 0},
                   {"errand": Errand.UNBIND}):  # fmt: skip
        hand = Hand(town, wallet_end(town), town.phone)
        hand.as_owner()
        (state,) = hand.say(hand.claim())
        assert isinstance(state, StateMessage)
        word = order_of(town.phone.book, town.card.book.key, Restrain(frozen=True, payment=7))
        body, signature = word.body, sign_with(town.phone.keystore, word)
        said = OrderMessage(
            body.bind, body.number, body.errand, body.frozen, body.payment, body.day, body.epoch, signature
        )
        assert hand.say(said._replace(**change)) == [RefuseMessage(int(Code.BAD_SIGNATURE))]
        assert town.card.book.ties.restraint() == Restraint()


def test_a_full_log_takes_no_reserved_room() -> None:
    """§23-6 with §12-10: whoever binds or orders must not use what outcomes need."""
    town = Town()
    town.card.book.free = town.card.book.reserved() + ENTRY_ROOM - 1
    hand = Hand(town, wallet_end(town), town.phone)
    hand.as_owner()
    assert hand.say(hand.claim(bind=True)) == [RefuseMessage(int(Code.STORE_FULL))]
    assert town.card.book.ties.owner == b""


class Loud(OwnerEnd):
    """An owner's end that shows its chain, asked or not."""

    def _chain(self) -> tuple[AuthorityCertificate, ...]:
        return self.book.trust.chain(self.book.certificate)


def test_authorities_that_find_no_room_are_not_believed() -> None:
    """§23-3: kept in memory alone, value that rests on them came next, and the log could not be read again."""
    world = Town()
    signer = world.suite.signer(world.draw())
    other = world.authority(Authority.INSTITUTION, signer.public, 2)
    stranger = Wallet(world.scheme, limits.FULL, MemoryKeystore(world.scheme, world.draw()), MemoryStore.open(1 << 22))
    blank = WalletCertificate(
        stranger.book.key, Carrier.PHONE, 1, Role.PAY | Role.COLLECT, 0, b"", world.epoch + 300, 1, b"", b""
    )
    stranger.write(News(issue(world.scheme, signer, blank), (*world.authorities, other), world.header, world.policy))
    near = Session(stranger, Loud(stranger.book, Look(), world.suite.ephemeral(world.draw())), clock=lambda: 0.0)
    far = Session(world.card, wallet_end(world), clock=lambda: 0.0)
    world.card.book.free = world.card.book.reserved()
    exchange(near, far)
    assert far.told is not None
    assert far.told.code is Code.STORE_FULL
    assert other not in world.card.book.trust.authorities


# Every cell

OWNER_GRID = """
                  Hel Wel Cla Bou Sta Ord Don Ref  beg sig con dec stop
    READY          u   u   u   u   u   u   u   u    >   B   B   B   >
    AWAIT_WELCOME  u   >   u   u   u   u   u   u    B   B   B   B   >
    SIGN_CLAIM     u   u   U   U   U   U   U   U    B   >   B   B   >
    AWAIT_ANSWER   s   s   U   U   >   U   U   >    B   B   B   B   >
    SIGN_WORD      u   u   U   U   U   U   U   U    B   >   B   B   >
    AWAIT_DONE     s   s   U   U   U   U   >   >    B   B   B   B   >
    ENDED          E   E   E   E   E   E   E   E    E   E   E   E   E
"""
WALLET_GRID = """
                  Hel Wel Cla Bou Sta Ord Don Ref  beg sig con dec stop
    READY          u   u   u   u   u   u   u   u    >   B   B   B   >
    AWAIT_HELLO    >   u   L   L   L   u   u   u    B   B   B   B   >
    AWAIT_CLAIM    s   s   >   U   U   U   U   >    B   B   B   B   >
    AWAIT_CONSENT  u   u   U   U   U   U   U   U    B   B   >   >   >
    SIGN_ANSWER    u   u   U   U   U   U   U   U    B   >   B   B   >
    AWAIT_ORDER    s   s   U   U   U   >   >   >    B   B   B   B   >
    ENDED          E   E   E   E   E   E   E   E    E   E   E   E   E
"""
COLUMNS = ("Hel", "Wel", "Cla", "Bou", "Sta", "Ord", "Don", "Ref", "beg", "sig", "con", "dec", "stop")


def grid(text: str) -> list[tuple[Step, str, str]]:
    rows = [line.split() for line in text.strip().splitlines()[1:]]
    return [(Step[name], column, mark) for name, *marks in rows for column, mark in zip(COLUMNS, marks, strict=True)]


def owner_at(step: Step) -> tuple[Town, Hand]:
    """Return an owner's end, freezing a wallet, that stands here; the wallet is played by hand."""
    town = Town().bound()
    hand = Hand(town, owner_end(town, Restrain(frozen=True)), town.card)
    end = hand.end
    if step is Step.READY:
        return town, hand
    if step is Step.ENDED:
        hand.feed(Stop())
        return town, hand
    (first,) = (e.frame for e in end.step(Begin()) if isinstance(e, Send))
    if step is Step.AWAIT_WELCOME:
        return town, hand
    hello, welcome = wire.decode_hello(first), Welcome(1, hand.ephemeral.public, Want.OWN, b"")
    hand.channel = establish(town.scheme, hand.ephemeral, False, hello, welcome)
    effects = end.step(Received(wire.encode_welcome(welcome)))
    if step is Step.SIGN_CLAIM:
        return town, hand
    (sign,) = effects
    assert isinstance(sign, Sign)
    (sent,) = end.step(Signature(sign_with(town.phone.keystore, sign.statement)))
    assert isinstance(sent, Send)
    hand.channel.open(sent.frame)
    if step is Step.AWAIT_ANSWER:
        return town, hand
    effects = end.step(Received(hand.channel.seal(encode(message_of("Sta", town, hand)))))
    if step is Step.SIGN_WORD:
        return town, hand
    (sign,) = effects
    assert isinstance(sign, Sign)
    end.step(Signature(sign_with(town.phone.keystore, sign.statement)))
    return town, hand


def wallet_at(step: Step) -> tuple[Town, Hand]:
    """Return a wallet's end that stands here; its owner, or who is to be, is played by hand."""
    town = Town()
    hand = Hand(town, wallet_end(town), town.phone)
    if step is Step.AWAIT_ORDER:
        town.bound()
    if step is Step.READY:
        return town, hand
    if step is Step.ENDED:
        hand.feed(Stop())
        return town, hand
    if step is Step.AWAIT_HELLO:
        hand.feed(Begin())
        return town, hand
    hand.as_owner()
    if step is Step.AWAIT_CLAIM:
        return town, hand
    assert hand.channel is not None
    if step is Step.AWAIT_ORDER:
        hand.say(hand.claim())
        return town, hand
    hand.end.step(Received(hand.channel.seal(encode(hand.claim()))))
    if step is Step.SIGN_ANSWER:
        hand.end.step(Consent())
    return town, hand


def message_of(column: str, town: Town, hand: Hand) -> OwnerMessage:
    """Return a message; the one that is due, where it is due."""
    claim = hand.claim(first=hand.channel.initiator) if hand.channel else ClaimMessage(
        False, 5, 1024, EPOCH, bytes(64), town.phone.book.certificate, ()
    )  # fmt: skip
    if column == "Cla":
        return claim
    if column == "Bou":
        return BoundMessage(1, EPOCH, bytes(64), town.card.book.certificate, ())
    if column == "Sta":
        return StateMessage(
            1, 0, 0, 0, False, 0, 0, (), (), EPOCH, claim.signature, town.card.book.certificate, ()
        )  # fmt: skip
    if column == "Ord":
        if not town.phone.book.ties.owned:
            return OrderMessage(1, 1, Errand.RESTRAIN, False, 1, 1, EPOCH, bytes(64))
        word = order_of(town.phone.book, town.card.book.key, Restrain(frozen=True))
        return OrderMessage(*word.body[1:7], EPOCH, sign_with(town.phone.keystore, word))
    return DoneMessage() if column == "Don" else RefuseMessage(81)


def event_of(column: str, town: Town, hand: Hand) -> Event:
    match column:
        case "Hel":
            return Received(wire.encode_hello(Hello(town.scheme.hint, (1,), hand.ephemeral.public, Want.OWN)))
        case "Wel":
            return Received(wire.encode_welcome(Welcome(1, hand.ephemeral.public, Want.OWN, b"")))
        case "beg":
            return Begin()
        case "sig":
            return Signature(bytes(64))
        case "con":
            return Consent()
        case "dec":
            return Decline()
        case "stop":
            return Stop()
        case _:
            data = encode(message_of(column, town, hand))
            return Received(hand.channel.seal(data) if hand.channel else data)


CODES = {"U": Code.UNEXPECTED_MESSAGE, "u": Code.UNEXPECTED_MESSAGE, "L": Code.TOO_LARGE, "s": Code.BAD_SEAL}


@pytest.mark.parametrize(("ends", "step", "column", "mark"), [
    *[(owner_at, *cell) for cell in grid(OWNER_GRID)], *[(wallet_at, *cell) for cell in grid(WALLET_GRID)],
])  # fmt: skip
def test_every_cell(ends: Callable[[Step], tuple[Town, Hand]], step: Step, column: str, mark: str) -> None:
    """§23-15: a transition, or a refusal by its name; what comes before the channel stands is not answered."""
    town, hand = ends(step)
    assert hand.end.step_now is step
    event = event_of(column, town, hand)
    if mark in "BE":
        refused(Code.BAD_INPUT if mark == "B" else Code.ENDED, lambda: hand.end.step(event))
        assert hand.end.step_now is step
        return
    effects = hand.end.step(event)
    told = [effect for effect in effects if isinstance(effect, Told)]
    if mark == ">":
        assert hand.end.step_now is not step or column == "Ord"
        assert not told or told[0].code in (None, Code.LINK_LOST, Code.DECLINED)
        return
    assert [one.code for one in told] == [CODES[mark]]
    answers = [effect for effect in effects if isinstance(effect, Send)]
    assert bool(answers) is (mark == "U" or (mark == "u" and hand.channel is not None))
    assert hand.end.ended


@pytest.mark.parametrize("want", [Want.SYNC, Want.PAY, Want.COLLECT, Want.OWN | Want.PAY, Want.AUTHORITIES])
def test_an_owners_session_is_no_tap_and_no_sync(want: Want) -> None:
    """§23-2: silence, in both directions."""
    town = Town()
    hand = Hand(town, wallet_end(town), town.phone)
    hand.feed(Begin())
    hello = Hello(town.scheme.hint, (1,), hand.ephemeral.public, want)
    assert hand.feed(Received(wire.encode_hello(hello))) == []
    assert hand.told.code is Code.WRONG_ROLE
    hand = Hand(town, owner_end(town, Look()), town.card)
    hand.feed(Begin())
    assert hand.feed(Received(wire.encode_welcome(Welcome(1, hand.ephemeral.public, want, b"")))) == []
    assert hand.told.code is Code.WRONG_ROLE


@pytest.mark.parametrize(("longer", "code"), [(0, Code.BAD_SEAL), (1, Code.TOO_LARGE)])
def test_a_frame_that_is_too_long_is_not_opened(longer: int, code: Code) -> None:
    """At either end, to the byte, as in a tap (SPEC §14-18)."""
    town = Town()
    for end, peer in ((owner_end(town, Look()), town.card), (wallet_end(town), town.phone)):
        hand = Hand(town, end, peer)
        hand.as_wallet() if peer is town.card else hand.as_owner()
        hand.feed(Received(bytes(end.book.profile.message + longer)))
        assert hand.told.code is code


def test_a_session_ends_after_a_minute() -> None:
    """§23-15 with §6-15."""
    town = Town()
    end = owner_end(town, Look())
    end.step(Begin(), 1_000.0)
    (told,) = end.step(Received(b"late"), 1_000.0 + limits.SESSION_SECONDS + 1)
    assert told == Told(Code.TIMEOUT)


# Cuts


def test_a_release_whose_answer_was_lost_is_healed_by_the_next_look() -> None:
    """§23-20: at every tear; while the wallet says that it is bound, the owner keeps it."""
    healed, cut, told = 0, 0, Told(Code.LINK_LOST)
    while told.code is not None:
        town = Town().bound()
        told = town.tap(town.phone, Release(), cut=cut)
        torn = bool(town.phone.book.ties.owned) and not town.card.book.ties.owner
        assert town.tap(town.phone, Look()).code is None
        assert bool(town.phone.book.ties.owned) is bool(town.card.book.ties.owner)
        assert town.reopened(town.phone).book.ties.owned == town.phone.book.ties.owned
        healed, cut = healed + torn, cut + 1
    assert healed


def test_a_wallet_that_says_it_is_free_is_not_rid_of_its_owner() -> None:
    """§23-20: the owner never gave it up."""
    town = Town().bound()
    ties = town.card.book.ties
    ties.apply(Tied(town.card.book.key, ties.number, None, None))
    state = town.tap(town.phone, Look()).state
    assert state is not None
    assert state.bind == 0
    assert list(town.phone.book.ties.owned) == [town.card.book.key]


@pytest.mark.parametrize("wish", [Bond(), Restrain(payment=50), Release()])
def test_torn_at_every_frame_a_second_tap_brings_it_about(wish: Wish) -> None:
    """§23-8, §23-13: and nothing is bound or ordered twice."""
    cut, told = 0, Told(Code.LINK_LOST)
    while told.code is not None:
        town = Town()
        if not isinstance(wish, Bond):
            town.bound()
        told = town.tap(town.phone, wish, cut=cut)
        for wallet in (town.card, town.phone):
            wallet.book.ties.__dict__.update(vars(town.reopened(wallet).book.ties))
        again = town.tap(town.phone, wish)
        released = isinstance(wish, Release)
        if released:
            # Whoever had heard of it to the end has nothing left to unbind.
            assert again.code == (None if told.code else Code.NOT_BOUND)
            assert town.phone.book.ties.owned == {}
        else:
            assert again.code is None
            assert len(town.phone.book.ties.owned) == 1
        assert town.card.book.ties.owner == (b"" if released else town.phone.book.key)
        assert town.card.book.ties.number == 1
        cut += 1
    assert cut > 4


def test_an_owner_that_compacts_its_log_knows_what_it_ordered(town: Town) -> None:
    """§12-1: what is not said by a later order stays, and its number follows."""
    phone = town.bound().phone
    assert town.tap(phone, Restrain(payment=60)).code is None
    before = phone.book.ties
    (given,) = before.given[town.card.book.key]
    phone.compact()
    again = town.reopened(phone).book.ties
    assert again.given == {town.card.book.key: [given]}
    assert again.words() == before.words()

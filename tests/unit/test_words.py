"""What owners and their wallets signed reaches the ledger with a sync, and a reply brings orders to the wallet."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from dualtap.errors import Code, TapError
from dualtap.events import Ask, Consent
from dualtap.forms import signed
from dualtap.keystore import sign_with
from dualtap.ownerend import errand_of, order_of
from dualtap.owning import Bond, Release, Restrain, Told, Wish
from dualtap.records import Ordered
from dualtap.statements import BindBody, Errand, OrderBody, OwnBody, OwnerOrder, PresentBody, Word
from dualtap.sync import Upload, upload_of
from dualtap.ties import Restraint
from dualtap_apps.pins import Prompt
from dualtap_apps.recharging import owner_of
from dualtap_devices.owning import Session, exchange
from dualtap_devices.wallet import Wallet
from dualtap_issuer.facts import Fact
from dualtap_issuer.ingest import Ingest
from dualtap_issuer.ordering import give, known_of
from dualtap_issuer.registry import people_of
from tests.mint import Mint


class Family:
    """A phone that owns a card, a stranger, and their ledger."""

    def __init__(self) -> None:
        self.mint = Mint(seed="family")
        self.phone, self.card, self.stranger = self.mint.wallet(), self.mint.wallet(80), self.mint.wallet()
        assert self.tap(Bond()).code is None

    def tap(self, wish: Wish, owner: Wallet | None = None) -> Told:
        one, other = (
            Session.of(wallet, wanted, self.mint.suite.ephemeral(self.mint.draw()), clock=lambda: 0.0)
            for wallet, wanted in ((owner or self.phone, wish), (self.card, None))
        )
        exchange(one, other)
        assert one.told is not None
        return one.told

    def order(self, wish: Restrain | Release) -> None:
        """Let the phone order this, and keep it, with the card out of reach."""
        word = order_of(self.phone.book, self.card.book.key, wish)
        self.phone.write(Ordered(word.sealed(sign_with(self.phone.keystore, word))))

    def sync(self, *wallets: Wallet) -> None:
        for wallet in wallets:
            self.mint.settle_in(wallet)

    def tell(self, wallet: Wallet, *words: Word) -> None:
        """Let a wallet upload these words."""
        upload: Upload = upload_of(wallet.book)._replace(words=words)
        self.mint.sync(self.mint.signed_upload(wallet, upload))

    def office(self, number: int, errand: Errand, bind: int = 0, *, frozen: bool = False) -> OwnerOrder:
        """Return an order of the institution about the card."""
        body = OrderBody(self.card.book.key, bind, number, errand, frozen, 70, 90, 0, b"", self.mint.epoch)
        return self.mint.authority.office.order(body)

    def kept(self) -> set[bytes]:
        return set(self.mint.ledger.facts().words)


def test_words_are_facts_and_orders_come_to_the_wallet_with_its_sync() -> None:
    """§23-16: by the owner's upload to the ledger, by the wallet's reply to the wallet; repeated, nothing changes."""
    family = Family()
    card = family.card.book
    family.sync(family.phone)
    assert {type(word.body) for word in family.mint.ledger.facts().words.values()} == {BindBody, OwnBody}
    family.order(Restrain(payment=9))
    family.order(Restrain(frozen=True))
    family.sync(family.phone, family.card)
    assert card.ties.restraint() == Restraint(True, 9)
    before = family.mint.ledger.digest()
    family.sync(family.phone, family.card, family.card)
    assert family.mint.ledger.digest() == before
    family.order(Release())
    family.sync(family.phone, family.card)
    assert (card.ties.owner, card.ties.restraint()) == (b"", Restraint())
    family.mint.ledger.audit()


def test_an_institution_is_heard_by_wallet_and_owner() -> None:
    """§23-16 with §23-12: it freezes, and it unbinds for both sides; what a tap brought later is passed over."""
    family = Family()
    family.sync(family.phone)
    family.tell(family.stranger, family.office(1, Errand.RESTRAIN, frozen=True))
    family.sync(family.card)
    assert family.card.book.ties.restraint() == Restraint(True, 70, 90)
    family.tell(family.stranger, family.office(2, Errand.UNBIND, 1))
    family.sync(family.card, family.phone)
    assert family.card.book.ties.owner == b""
    assert family.phone.book.ties.owned == {}
    assert family.card.book.ties.restraint() == Restraint(True, 70, 90), "it lifts only what the owner said"


def test_who_gave_a_wallet_up_and_does_not_tell_is_not_its_owner() -> None:
    """§23-18: else whoever sells a card keeps the tie, and is paid what its next owner's card held when it is lost."""
    family = Family()
    tied = family.phone.book.ties.owned[family.card.book.key]
    assert tied.bind is not None
    assert tied.own is not None
    assert family.tap(Release()).code is None
    family.card.compact()
    assert family.tap(Bond(), family.stranger).code is None
    body = OrderBody(family.card.book.key, 1, 9, Errand.LOST, False, 0, 0, 0, b"", family.mint.epoch)
    family.tell(family.phone, tied.bind, tied.own, family.mint.sign(family.phone, body))
    family.mint.epoch += 1
    family.sync(family.card, family.stranger)
    key = family.card.book.key
    tie = people_of(family.mint.store, family.mint.scheme, family.mint.ledger.institutions, [key]).tie(key)
    assert tie is not None
    assert (tie.owner, tie.number) == (family.stranger.book.key, 2)
    family.mint.epoch += 100
    family.mint.ledger.settle(family.mint.epoch)
    assert family.mint.settle_in(family.phone).funded == 0
    family.mint.ledger.audit()


def test_a_stranger_makes_no_reply_longer() -> None:
    """§23-16: only keys to which the wallet bound itself, and institutions; of each the last."""
    family = Family()
    family.sync(family.phone)
    key = family.card.book.key

    def stranger(number: int, bind: int) -> OwnerOrder:
        body = OrderBody(key, bind, number, Errand.RESTRAIN, True, 0, 0, 0, b"", family.mint.epoch)
        word = signed(family.mint.scheme.id, family.stranger.book.key, body)
        return word.sealed(sign_with(family.stranger.keystore, word))

    family.tell(family.stranger, *(stranger(number, bind) for number in range(1, 6) for bind in (0, 1)))
    family.order(Restrain(payment=7))
    family.sync(family.phone)
    family.order(Restrain(payment=8))
    family.sync(family.phone)
    reply = family.mint.ledger._reply(upload_of(family.card.book), family.mint.epoch)  # pyright: ignore[reportPrivateUsage]
    assert [(word.key, word.body.payment) for word in reply.words] == [(family.phone.book.key, 8)]
    assert len(family.kept()) == 2 + 10 + 2, "kept for ever, all the same"


def test_a_strangers_words_cost_the_wallet_and_its_ledger_nothing() -> None:
    """§23-16: else who knows a key makes that wallet's every sync, and each settlement, read what he says of it."""
    family = Family()
    family.sync(family.phone)
    key, session, mint = family.card.book.key, b"s" * 32, family.mint
    body = OrderBody(key, 0, 1, Errand.LOST, True, 0, 0, 0, b"", mint.epoch)
    said = [mint.sign(family.stranger, body._replace(number=number)) for number in range(1, 20)]
    family.tell(family.stranger, *said, mint.sign(family.stranger, OwnBody(key, session, mint.epoch)))
    read, find = set[bytes](), mint.store.find

    def watched(digests: Iterable[bytes]) -> list[tuple[Fact, int]]:
        wanted = list(digests)
        read.update(wanted)
        return find(wanted)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mint.store, "find", watched)
        family.sync(family.card)
        people = people_of(mint.store, mint.scheme, mint.ledger.institutions, [key])
    assert people.tie(key) is not None
    assert not read & {word.id for word in said}


def test_who_says_that_a_wallet_is_his_is_not_told_what_becomes_of_it() -> None:
    """§23-16: an institution's UNBIND comes to whom the wallet has bound itself to."""
    family = Family()
    mint, key = family.mint, family.card.book.key
    family.sync(family.phone)
    family.tell(family.stranger, mint.sign(family.stranger, OwnBody(key, b"s" * 32, mint.epoch)))
    family.tell(family.stranger, family.office(2, Errand.UNBIND, 1))
    told = [
        mint.ledger._reply(upload_of(wallet.book), mint.epoch).words  # pyright: ignore[reportPrivateUsage]
        for wallet in (family.phone, family.stranger)
    ]
    assert [len(words) for words in told] == [1, 0]


def test_what_is_for_the_issuer_is_not_told_to_the_wallet() -> None:
    """§23-12: FUND and MOVE."""
    family = Family()
    for errand in (Errand.FUND, Errand.MOVE):
        word = errand_of(family.phone.book, family.card.book.key, errand, amount=5)
        family.phone.write(Ordered(word.sealed(sign_with(family.phone.keystore, word))))
    family.sync(family.phone)
    reply = family.mint.ledger._reply(upload_of(family.card.book), family.mint.epoch)  # pyright: ignore[reportPrivateUsage]
    assert (reply.words, len(family.kept())) == ((), 4)


def test_forged_words_and_other_statements_are_left_out() -> None:
    """§14-6 and §23-16: and the rest of the upload is taken."""
    family = Family()
    good, other = family.phone.book.ties.words()
    present = signed(family.mint.scheme.id, family.phone.book.key, PresentBody(b"s" * 32, True, family.mint.epoch))
    present = present.sealed(sign_with(family.phone.keystore, present))
    ingest = Ingest(family.mint.store, family.mint.ledger.trust, family.mint.ledger.institutions, family.mint.epoch)
    for bad, code in ((good.sealed(bytes(64)), Code.BAD_SIGNATURE), (present, Code.MALFORMED)):
        with pytest.raises(TapError) as caught:
            ingest.word(bad)  # type: ignore[arg-type]
        assert caught.value.code is code
    family.tell(family.stranger, good.sealed(bytes(64)), present, other)  # type: ignore[arg-type]
    assert family.kept() == {other.id}
    assert family.mint.ledger.refused == 2


def test_an_institution_unbinds_what_nobody_told_it_of() -> None:
    """§16-27: by the binding's number; for both sides, whenever the owner tells after that, and for its inheritance."""
    family = Family()
    ledger, key = family.mint.ledger, family.card.book.key
    with pytest.raises(TapError, match="binding's number") as caught:
        give(ledger, key, Errand.UNBIND, family.mint.epoch)
    assert caught.value.code is Code.NOT_BOUND
    with pytest.raises(TapError, match="UNBIND alone"):
        give(ledger, key, Errand.LOST, family.mint.epoch, binding=1)
    give(ledger, key, Errand.UNBIND, family.mint.epoch, binding=2)
    family.sync(family.card)
    assert family.card.book.ties.owner == family.phone.book.key, "that is another binding"
    give(ledger, key, Errand.UNBIND, family.mint.epoch, binding=1)
    family.sync(family.card)
    assert family.card.book.ties.owner == b""
    family.sync(family.phone)
    assert family.phone.book.ties.owned == {}
    assert known_of(ledger, key).tie(key) is None
    ledger.audit()


def test_the_next_owner_has_a_silent_sellers_binding_ended_without_the_card() -> None:
    """§16-27: the card never syncs again; the number of the binding before one's own is enough."""
    family = Family()
    ledger, key = family.mint.ledger, family.card.book.key
    tied = family.phone.book.ties.owned[key]
    assert tied.bind is not None
    assert tied.own is not None
    assert family.tap(Release()).code is None
    assert family.tap(Bond(), family.stranger).code is None
    family.tell(family.phone, tied.bind, tied.own)
    family.mint.epoch += 1
    family.sync(family.stranger)
    found = known_of(ledger, key).tie(key)
    assert found is not None
    assert found.owner == family.phone.book.key, "nothing that the ledger has says otherwise"
    give(ledger, key, Errand.UNBIND, family.mint.epoch, binding=1)
    found = known_of(ledger, key).tie(key)
    assert found is not None
    assert (found.owner, found.number) == (family.stranger.book.key, 2)
    ledger.audit()


def test_an_owner_recharges_the_wallet_that_was_named() -> None:
    """§23: of two that are owned, another one may wait at that address."""
    family = Family()
    other = family.mint.wallet()
    family.card, first = other, family.card
    assert family.tap(Bond()).code is None
    keypad, keys = Prompt(None, lambda asked, _: asked), (first.book.key, other.book.key)
    for named in (b"", *keys):
        person = owner_of(family.phone, keypad, named)
        said = [person(Ask(1, "CNY", wallet.book.certificate)) for wallet in (first, other)]
        assert [isinstance(one, Consent) for one in said] == [named in (b"", key) for key in keys]

"""Attacks on conditions, authorities and the ledger's order that a review tried: each is tried again here."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from dualtap.account import ENTRY_ROOM
from dualtap.conditions import Rule
from dualtap.context import Pay
from dualtap.errors import Code, TapError
from dualtap.graph import check_spans
from dualtap.issued import Authority, AuthorityCertificate, Condition
from dualtap.records import News
from dualtap.statements import Body, Parent, Side, Signed, Span, TransferBody
from dualtap.states import Part, State
from dualtap.suite import Drbg, sha256
from dualtap.sync import Reply, upload_of
from dualtap.trust import Trust, issue
from dualtap_devices.syncing import finish, prepare
from dualtap_devices.wallet import Wallet
from dualtap_issuer.rows import TodoRow
from dualtap_issuer.sqlite import SqliteStore
from tests.mint import Mint
from tests.playbook import EPOCH, World, refuse, remembered
from tests.unit.test_conditions import GROCER, Bench, categories


def test_a_bank_that_another_institution_certifies_anew_closes_no_wallet() -> None:
    """What a wallet keeps, and what it shows, names every authority after its issuer."""
    world = World()
    other = world.suite.signer(world.draw())
    moved = AuthorityCertificate(world.bank.public, Authority.BANK, 1, 1000, world.epoch + 1500, b"", b"")
    wallet = world.wallet(fund=100)
    news = (world.authority(Authority.INSTITUTION, other.public, 2), issue(world.scheme, other, moved))
    wallet.write(News(None, news, None, None))
    wallet.compact()
    assert world.reopened(wallet).book.trust.authorities == wallet.book.trust.authorities
    stranger = Trust(world.scheme)
    stranger.learn(wallet.book.trust.chain(wallet.book.certificate))
    stranger.check_genuine(wallet.book.certificate)


@pytest.mark.parametrize(("side", "place"), [(Side.PAYEE, 5), (Side.PAYER, 15), (Side.TOKEN, 0), (Side.TOKEN, 1)])
@pytest.mark.parametrize("of_a_token", [False, True])
def test_a_side_that_a_parent_does_not_have_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, side: Side, place: int, of_a_token: bool
) -> None:
    """Where other processes write too, the ledger looks again for what came meanwhile: this never comes."""
    looks = 0

    def publish(self: SqliteStore, todo: Iterable[TodoRow] = ()) -> bool:
        nonlocal looks
        del self, todo
        looks += 1
        assert looks < 100, "the ledger waits for ever"
        return True

    mint = Mint()
    payer, payee = mint.wallet(1000), mint.wallet()
    mint.pay(payer, payee, 100)
    mint.settle_in(payee)
    (hand,) = payee.book.graph.transfers.values()
    monkeypatch.setattr(SqliteStore, "publish", publish)
    parent = Parent(hand.body.spans[0].parent.id if of_a_token else hand.id, side, place or int(of_a_token))
    body = TransferBody(mint.authority.institution, (Span(parent, 0, 1),), mint.epoch, ())
    upload = upload_of(payee.book)._replace(tape=(mint.sign(payee, body, mint.opening(50, 51)),))
    mint.ledger.sync(mint.signed_upload(payee, upload), mint.epoch)
    mint.ledger.audit()
    assert not mint.ledger.conflicts()


def test_a_witness_is_verified_once_however_many_conditions_ask_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen tokens of eight conditions, and sixteen certificates, were two thousand verifications in 3 KB."""
    bench = Bench()
    tokens = [bench.bind(*[categories(GROCER)] * 4, *[bench.signed] * 4) for _ in range(8)]
    shown = [bench.certificate(expires=EPOCH + day) for day in range(8)]
    shown += [bench.grant(token, category=GROCER) for token in tokens]
    transfer = bench.transfer([Span(token, 0, 60) for token in tokens], shown)
    verified = 0
    real, real_statement = Trust.verify, Trust.verify_statement

    def verify(self: Trust, key: bytes, signature: bytes, digest: bytes) -> None:
        nonlocal verified
        verified += 1
        real(self, key, signature, digest)

    def verify_statement(self: Trust, statement: Signed[Body]) -> None:
        nonlocal verified
        verified += 1
        real_statement(self, statement)

    monkeypatch.setattr(Trust, "verify", verify)
    monkeypatch.setattr(Trust, "verify_statement", verify_statement)
    check_spans(bench.graph, transfer, bench.trust)
    assert verified == len(shown)


def crowded(world: World, *bound: tuple[Condition, ...]) -> Wallet:
    """Return a wallet that is in doubt eight times, and has room for one payment besides, and little more."""
    wallet = world.wallet(fund=80, store=1 << 16)
    for conditions in bound:
        world.fund(wallet, 1000, conditions=conditions)
    for _ in range(8):
        meeting = world.meet(wallet, world.wallet(), 10)
        meeting.until(Part.PAYEE, State.ENDED)
        meeting.lose()
    assert len(wallet.book.pending) == 8
    while wallet.book.free >= wallet.book.reserved() + 2 * ENTRY_ROOM + 1024:
        wallet.write(News(None, (), world.header, None))
    return wallet


def test_what_a_payment_shows_takes_no_room_from_outcomes_that_are_to_come() -> None:
    """Sixteen preimages are 8 KB of log."""
    world = World()
    words = [bytes([number]) * 512 for number in range(16)]
    locks = [Condition(Rule.PREIMAGE, sha256(word)) for word in words]
    wallet = crowded(world, tuple(locks[:8]), tuple(locks[8:]))
    meeting = world.meet(wallet, world.wallet(), 1500, pay=Pay(witness=tuple(words))).run()
    assert wallet.book.free >= wallet.book.reserved()
    assert meeting.payer.report.code is Code.STORE_FULL


def test_more_authorities_than_a_message_takes_hold_no_payment_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hands certified by many banks, and a payee that has since heard of another: it can judge without them."""
    world = World()
    payer, payee = world.wallet(fund=100), world.wallet()
    world.meet(payer, payee, 10).run(stop_after=3)
    assert payer.book.in_doubt() == 10
    hints = (*world.policy.authorities, b"none")
    payee.write(News(None, (), None, issue(world.scheme, world.policy_key, world.ruled(2)._replace(authorities=hints))))
    banks = tuple(
        issue(
            world.scheme,
            world.institution,
            AuthorityCertificate(world.suite.signer(world.draw()).public, Authority.BANK, number, 9, EPOCH, b"", b""),
        )
        for number in range(2, 10)
    )
    payer.write(News(None, banks, None, None))

    def chain(self: Trust, *behind: object) -> tuple[AuthorityCertificate, ...]:
        del behind
        return self.authorities  # as if each bank stood behind a hand

    monkeypatch.setattr(Trust, "chain", chain)
    world.meet(payer, payee, 10, person=refuse).run()
    assert payer.book.in_doubt() == 0


def test_a_reply_that_could_not_be_kept_is_not_believed() -> None:
    """Believed all the same, it let in value of an institution that the log does not know, and never opened again."""
    world = World()
    wallet = world.wallet(store=1 << 16)
    other = world.authority(Authority.INSTITUTION, world.suite.signer(world.draw()).public, 2)
    tokens = tuple(world.token(wallet.book.key, 5) for _ in range(300))
    reply = Reply(News(None, (other,), world.dated(EPOCH + 3), None), (), (), tokens, 1)
    with pytest.raises(TapError) as caught:
        finish(wallet, prepare(wallet, Drbg(world.draw()), deposit=False), reply)
    assert caught.value.code is Code.STORE_FULL
    assert remembered(world.reopened(wallet).book) == remembered(wallet.book)

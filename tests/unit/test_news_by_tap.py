"""News from device to device (SPEC §21): policies and evidence after the payment, whoever is behind."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import pytest

from dualtap import codec, limits, wire
from dualtap.book import Book
from dualtap.context import Charge, Pay
from dualtap.errors import Code, TapError
from dualtap.events import Effect, Report, Result
from dualtap.evidence import Fraud
from dualtap.issued import Tier
from dualtap.logcodec import decoder, encode_record
from dualtap.pieces import Joiner
from dualtap.records import News, Warned
from dualtap.states import TELLING, Part
from dualtap.suite import Drbg
from dualtap.tap import Tap
from dualtap.telling import Handed, hint, room_of, take
from dualtap.verdict import verify_evidence
from dualtap.wire import NewsHave, NewsPiece, RefuseMessage
from dualtap_devices.driver import Driver, exchange
from dualtap_devices.wallet import Wallet
from tests.playbook import TIER, Meeting, Said, World

THIEF = b"\x02" + bytes(31)
WIDE = tuple(TIER._replace(number=number) for number in range(1, 40))


@pytest.fixture
def world() -> World:
    return World()


def version(wallet: Wallet) -> int:
    assert wallet.book.trust.policy is not None
    return wallet.book.trust.policy.version


def newer(world: World, wallet: Wallet, number: int = 2, tiers: tuple[Tier, ...] = (TIER,)) -> Wallet:
    wallet.write(News(None, (), None, world.ruled(number, tiers, (THIEF,))))
    return wallet


def warned(world: World, *, fund: int = 0) -> tuple[Wallet, bytes]:
    """Return a till that has refused a double spend, and the cheat's key."""
    till, thief = world.wallet(fund=fund or ()), world.wallet(fund=500)
    clone = world.cloned(thief)
    world.pay(thief, till, 500)
    assert world.meet(clone, till, 500).run().payee.report.code is Code.DOUBLE_SPENT
    return till, thief.book.key


def payment(meeting: Meeting) -> tuple[Result, Result]:
    return meeting.payer.report.result, meeting.payee.report.result


PAID = (Result.PAID, Result.COLLECTED)


@pytest.mark.parametrize("starts", [True, False])
@pytest.mark.parametrize("behind", list(Part))
@pytest.mark.parametrize("profile", [limits.FULL, limits.CARD])
def test_the_newer_side_hands_its_policy_on(world: World, behind: Part, starts: bool, profile: limits.Profile) -> None:
    """§21-3, §21-5 and §21-6: after the payment, whichever side is behind, over frames that a card takes."""
    old, new = world.wallet(fund=500, profile=profile), newer(world, world.wallet(fund=500), tiers=WIDE)
    payer, payee = (old, new) if behind is Part.PAYER else (new, old)
    meeting = world.meet(payer, payee, 100, payer_starts=starts).run()
    assert payment(meeting) == PAID
    assert (version(old), version(new)) == (2, 2)
    assert version(world.reopened(old)) == 2
    assert len([one for one in meeting.said if one == "NewsPiece"]) >= (3 if profile is limits.CARD else 1)
    assert all(len(frame) <= profile.message for frame in meeting.frames)
    again = world.meet(payer, payee, 1, payer_starts=starts).run()
    assert "NewsHave" not in again.said


def test_equal_news_costs_no_frame(world: World) -> None:
    """§21-1 and §21-2: equal hints, equal news; a payer's word that nothing follows is one byte."""
    meeting = world.meet(world.wallet(fund=500), world.wallet(), 100).run()
    assert meeting.said[-1] == "Outcome"
    assert meeting.payer.tap.ended
    assert meeting.payee.tap.ended


def test_a_healing_tap_brings_news_too(world: World) -> None:
    """§21-3: in place of Done, where the part is paid already."""
    payer, till = world.wallet(fund=500), newer(world, world.wallet())
    world.pay(payer, till, 100)
    newer(world, till, 4)
    paid = next(iter(till.book.parts))
    again = world.meet(payer, till, charge=Charge(100, "CNY", *paid))
    again.run()
    assert "Done" not in again.said
    assert (again.payer.report.result, again.payee.report.result) == (Result.DONE, Result.DONE)
    assert version(payer) == 4


def test_a_payee_makes_evidence_of_what_it_refuses(world: World) -> None:
    """§21-9: its own store is one half, what it is shown the other."""
    till, thief = warned(world)
    (evidence,) = till.book.warned.values()
    verdict = verify_evidence(evidence, world.scheme.root)
    assert (verdict.key, verdict.fraud) == (thief, Fraud.FORK)
    assert world.reopened(till).book.warned == till.book.warned


@pytest.mark.parametrize("thief_first", [True, False])
def test_payments_that_lie_side_by_side_are_not_taken_for_the_conflict(world: World, thief_first: bool) -> None:
    """§21-9: anna's two payments touch; the cheat's two overlap, and only they prove something."""
    till, anna, thief = world.wallet(), world.wallet(fund=300), world.wallet()
    for payee in (thief, till) if thief_first else (till, thief):
        world.pay(anna, payee, 100 if payee is till else 200)
    clone = world.cloned(thief)
    world.pay(thief, till, 200)
    assert world.meet(clone, till, 200).run().payee.report.code is Code.DOUBLE_SPENT
    assert [*till.book.warned] == [thief.book.key]


@pytest.mark.parametrize("till_pays", [True, False])
def test_evidence_blocks_a_cheat_offline(world: World, till_pays: bool) -> None:
    """§21-7 and §21-8: whoever has met one who knows refuses the cheat, before any sync."""
    till, thief = warned(world, fund=100)
    other = world.wallet(fund=100)
    payer, payee = (till, other) if till_pays else (other, till)
    assert payment(world.meet(payer, payee, 50).run()) == PAID
    assert other.book.warned.keys() == {thief}
    with pytest.raises(TapError) as caught:
        other.book.trust.check_hotlist(thief)
    assert caught.value.code is Code.HOTLISTED
    again = world.reopened(other)
    assert again.book.trust.blocked == {thief}
    again.compact()
    assert world.reopened(again).book.trust.blocked == {thief}


def test_evidence_travels_on(world: World) -> None:
    """§21-5: from who was told, not only from who has seen it."""
    till, thief = warned(world)
    one, two = world.wallet(fund=100), world.wallet(fund=100)
    world.pay(one, till, 10)
    world.pay(one, two, 10)
    assert two.book.warned.keys() == {thief}


def test_a_policy_that_lists_a_key_takes_the_place_of_evidence(world: World) -> None:
    """§21-8: then there is nothing to hand on, and the hints are equal again."""
    till, thief = warned(world)
    listed = world.ruled(2, hotlist=(thief,))
    till.write(News(None, (), None, listed))
    assert till.book.warned == {}
    assert till.book.trust.blocked == frozenset()
    other = world.wallet(fund=100)
    other.write(News(None, (), None, listed))
    assert hint(other.book) == hint(till.book)


@pytest.mark.parametrize("behind", list(Part))
def test_torn_anywhere_it_has_no_effect_or_its_whole(world: World, behind: Part) -> None:
    """§21-3: the payment stands as it was reported, and a policy is there or not."""
    frames = 100
    for cut in range(4, 12):
        old, new = world.wallet(fund=500, profile=limits.CARD), newer(world, world.wallet(fund=500), tiers=WIDE)
        payer, payee = (old, new) if behind is Part.PAYER else (new, old)
        meeting = world.meet(payer, payee, 100)
        meeting.run(stop_after=cut)
        frames = min(frames, len(meeting.frames))
        assert payment(meeting) == PAID
        assert [len(meeting.payer.reports), len(meeting.payee.reports)] == [1, 1]
        assert version(world.reopened(old)) == version(old)
        assert old.book.available(world.epoch) == (400 if behind is Part.PAYER else 600)
        payer.check()
        payee.check()


def hostile(world: World, change: Callable[[Said], Said], behind: Part = Part.PAYER) -> tuple[Wallet, Meeting]:
    """Return a wallet that is behind, and its tap with one whose news is changed on the way."""
    old, new = world.wallet(fund=500), newer(world, world.wallet(fund=500))
    payer, payee = (old, new) if behind is Part.PAYER else (new, old)
    meeting = world.meet(payer, payee, 100)
    return old, meeting.run(rewrite=change)


@pytest.mark.parametrize(("left", "size"), [(limits.MESSAGE, limits.NEWS_LEAST), (900, limits.NEWS_LEAST - 1)])
def test_a_piece_that_announces_too_much_or_brings_too_little_is_refused(world: World, left: int, size: int) -> None:
    """§21-4: at once, before anything is kept."""
    bad = NewsPiece(left, bytes(size))
    _, meeting = hostile(world, lambda said: bad if isinstance(said, NewsPiece) else said, Part.PAYEE)
    assert meeting.said[-2:] == ["NewsPiece", "Refuse"]


@pytest.mark.parametrize("behind", list(Part))
@pytest.mark.parametrize(
    "message",
    [
        NewsPiece(limits.MESSAGE, b"x" * 64),
        NewsPiece(100, b"x"),
        NewsPiece(0, b""),
        NewsPiece(0, b"\x93\x90\xc0"),
        NewsHave(9, (), 5000, 5000),
        RefuseMessage(21),
        wire.DoneMessage(),
    ],
    ids=repr,
)
def test_a_hostile_peer_changes_nothing(world: World, message: Said, behind: Part) -> None:
    """§21-3, §21-4 and §21-6: whatever is said instead, the payment stands and one report was made."""
    old, meeting = hostile(world, lambda said: message if isinstance(said, NewsPiece) else said, behind)
    assert payment(meeting) == PAID
    assert [len(meeting.payer.reports), len(meeting.payee.reports)] == [1, 1]
    assert (version(old), old.book.warned) == (1, {})
    assert meeting.payer.tap.ended
    assert meeting.payee.tap.ended


def test_a_policy_is_not_rolled_back(world: World) -> None:
    """§21-6 and §7-19: an older policy is passed over, however genuine."""
    old = newer(world, world.wallet(), 7)
    chain = world.authorities[:1]
    assert take(old.book, codec.pack(Handed(chain, world.ruled(3), ()))) == ()
    assert take(old.book, codec.pack(Handed(chain, world.ruled(7, WIDE), ()))) == ()
    records = take(old.book, codec.pack(Handed(chain, world.ruled(8), ())))
    assert [type(one) for one in records] == [News]


def test_a_policy_of_another_signer_is_refused(world: World) -> None:
    """§21-6: nobody but the root's policy key makes policies."""
    stranger = World(seed="another")
    victim = world.wallet()
    data = codec.pack(Handed(stranger.authorities[:1], stranger.ruled(9), ()))
    with pytest.raises(TapError):
        take(victim.book, data)


def test_nobody_is_blocked_without_proof(world: World) -> None:
    """§21-7: evidence is checked by the root's key: altered, of another scheme, or against nobody, it is refused."""
    till, _ = warned(world)
    (evidence,) = till.book.warned.values()
    victim = world.wallet()
    other = World(seed="another")
    foreign = next(iter(warned(other)[0].book.warned.values()))
    for item in (evidence[:-1], evidence[:-70] + bytes(70), foreign, b"", b"\xc0"):
        with pytest.raises(TapError):
            take(victim.book, codec.pack(Handed((), None, (item,))))
    (record,) = take(victim.book, codec.pack(Handed((), None, (evidence,))))
    assert record == Warned(next(iter(till.book.warned)), evidence)


def test_one_bad_item_spoils_all(world: World) -> None:
    """§21-6: all or nothing, so that nothing half-checked is kept."""
    till, _ = warned(world)
    (evidence,) = till.book.warned.values()
    data = codec.pack(Handed(world.authorities[:1], world.ruled(5), (evidence, evidence[:-1] + b"\0")))
    victim = world.wallet()
    with pytest.raises(TapError):
        take(victim.book, data)
    assert (version(victim), victim.book.warned) == (1, {})


def test_a_store_is_not_filled(world: World) -> None:
    """§21-4 and §21-8: at most so many, and so many bytes; the oldest gives way; reserved room is left alone."""
    card = world.wallet(profile=limits.CARD)
    for number in range(limits.WARNED + 4):
        card.write(Warned(number.to_bytes(32, "big"), bytes(100)))
    assert len(card.book.warned) == limits.WARNED
    assert next(iter(card.book.warned)) == (4).to_bytes(32, "big")
    card.write(Warned(b"\xff" * 32, bytes(limits.EVIDENCE)))
    card.write(Warned(b"\xfe" * 32, bytes(limits.EVIDENCE)))
    assert sum(map(len, card.book.warned.values())) <= limits.CARD.log // 8
    assert card.book.trust.blocked == card.book.warned.keys()
    till, _ = warned(world)
    card.book.free = card.book.reserved() + 100
    with pytest.raises(TapError) as caught:
        take(card.book, codec.pack(Handed((), None, tuple(till.book.warned.values()))))
    assert caught.value.code is Code.STORE_FULL


def test_ones_own_key_is_not_blocked_here(world: World) -> None:
    """§21-8: what names this very wallet is for the issuer to judge."""
    till, thief = warned(world)
    assert thief != till.book.key
    (evidence,) = till.book.warned.values()
    cheat = next(wallet for wallet in world.wallets if wallet.book.key == thief)
    assert take(cheat.book, codec.pack(Handed((), None, (evidence,)))) == ()


def test_evidence_longer_than_a_device_keeps_is_refused(world: World) -> None:
    """§21-4: before it is checked."""
    with pytest.raises(TapError) as caught:
        take(world.wallet().book, codec.pack(Handed((), None, (bytes(limits.EVIDENCE + 1),))))
    assert caught.value.code is Code.TOO_LARGE


def test_a_peer_cannot_spin_it_out(world: World) -> None:
    """§21-4: small pieces are refused, and a device with a clock gives up soon, without a second report."""
    joiner = Joiner(1000, limits.NEWS_LEAST)
    with pytest.raises(TapError):
        joiner.take(900, bytes(limits.NEWS_LEAST - 1))
    old, new = world.wallet(fund=500), newer(world, world.wallet())
    meeting = world.meet(old, new, 100)
    meeting.until(Part.PAYER, next(state for state in TELLING if state.value == "await news"))
    assert meeting.payer.tap.telling
    later = float(world.epoch * limits.EPOCH_SECONDS) + limits.NEWS_SECONDS + 1
    effects = meeting.payer.step(meeting.next_for(meeting.payer), later)
    assert effects == ()
    assert meeting.payer.tap.ended
    assert [report.result for report in meeting.payer.reports] == [Result.PAID]


def test_half_duplex_holds(world: World) -> None:
    """§21-3: the sides alternate to the end, each frame answered by one, so that it maps onto APDUs."""
    till, _ = warned(world, fund=100)
    newer(world, till, tiers=WIDE)
    for starts in (True, False):
        other = world.wallet(fund=100, profile=limits.CARD)
        meeting = world.meet(other, till, 10, payer_starts=starts).run()
        senders = [seen.sender for seen in meeting.heard[2:]]
        assert all(one is not two for one, two in itertools.pairwise(senders))
        assert meeting.said[-1] in ("NewsPiece", "Proceed")


def test_a_device_without_a_policy_takes_no_part(world: World) -> None:
    """§21-1: 0 says so, and nothing is asked of it."""
    book = Book(world.scheme, limits.CARD, world.wallet().book.key)
    assert hint(book) == 0
    assert room_of(book) == 5 * 1024


def test_a_warned_record_is_read_as_it_was_written(world: World) -> None:
    """§12-1: number 14."""
    record = Warned(bytes(32), b"evidence")
    assert decoder(world.scheme.id)(encode_record(record)) == record


def test_what_is_sent_for_it_is_four_bytes_at_most(world: World) -> None:
    """§21-1: a hint of two bytes, with its head, and one byte of the Transfer's."""
    meeting = world.meet(world.wallet(fund=500), world.wallet(), 100).run()
    said = [seen.message for seen in meeting.heard]
    (request,) = [one for one in said if isinstance(one, wire.RequestMessage)]
    (transfer,) = [one for one in said if isinstance(one, wire.TransferMessage)]
    assert len(wire.encode(request)) - len(wire.encode(request._replace(news=0))) <= 2
    assert len(wire.encode(transfer)) == len(wire.encode(transfer._replace(news=True)))


def test_a_device_that_takes_no_part_is_left_alone(world: World) -> None:
    """§21-1 and §21-2: its hint is 0, and its payer's Transfer says that nothing follows."""
    for behind in Part:
        old, new = world.wallet(fund=500), newer(world, world.wallet(fund=500))
        payer, payee = (old, new) if behind is Part.PAYER else (new, old)
        meeting = world.meet(payer, payee, 100)
        silent = meeting.actor(behind)
        order = Pay() if behind is Part.PAYER else Charge(100, "CNY", world.draw(16))
        silent.tap = Tap(silent.book, order, silent.initiator, silent.ephemeral, Drbg(world.draw()), news=False)
        meeting.run()
        assert payment(meeting) == PAID
        assert meeting.said[-1] == "Outcome"
        assert version(old) == 1


@pytest.mark.parametrize("behind", list(Part))
def test_a_store_that_fails_in_news_changes_no_result(world: World, behind: Part) -> None:
    """§21-3: the payment is reported and stands; what follows is kept by a store that works, or not at all."""
    payer, till = world.wallet(fund=500), world.wallet()
    newer(world, till if behind is Part.PAYER else payer)
    failing, said = (payer, Result.PAID) if behind is Part.PAYER else (till, Result.COLLECTED)
    working = failing.store.append

    def append(records: Sequence[bytes]) -> None:
        raise TapError(Code.STORE_FAILED, f"{len(records)} records")

    def watch(effect: Effect) -> None:
        if isinstance(effect, Report) and effect.result is said:
            failing.store.append = append  # type: ignore[method-assign]

    def clock() -> float:
        return float(world.epoch * limits.EPOCH_SECONDS)

    def ready(wallet: Wallet, order: Charge | Pay, *, starts: bool) -> Driver:
        return Driver(
            wallet, order, starts, world.suite.ephemeral(world.draw()), world.draw(), watch=watch, clock=clock
        )

    pays = ready(payer, Pay(), starts=True)
    collects = ready(till, Charge(100, "CNY", world.draw(16)), starts=False)
    exchange(pays, collects)
    assert [report.result for report in (*pays.reports, *collects.reports)] == list(PAID)
    again = world.reopened(failing)
    assert version(again) == 1
    assert again.book.available(world.epoch) == (400 if behind is Part.PAYER else 100)
    again.check()
    failing.store.append = working  # type: ignore[method-assign]
    world.pay(payer, till, 50)
    for wallet in (payer, till):
        tape = world.reopened(wallet).book.tape
        assert len(tape) == 2
        assert all(entry.signature for entry in tape), "a signature that waited in memory is written with what follows"

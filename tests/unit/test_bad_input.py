"""What a hostile or broken peer may say: each gets a named refusal, and no value moves."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any, NamedTuple, cast

import pytest

from dualtap import limits
from dualtap.codec import pack
from dualtap.compact import CompactTransfer, CompactWarrant
from dualtap.context import Charge, Pay
from dualtap.errors import Code, TapError, decode_code
from dualtap.events import Received, Report, Result
from dualtap.issued import Condition, Role, WalletCertificate
from dualtap.keystore import Head
from dualtap.records import Healed, Sent
from dualtap.statements import Kind, Side, TapeOpening
from dualtap.states import Part, State
from dualtap.trust import issue
from dualtap.wire import DoneMessage, OutcomeMessage, PresentMessage, RefuseMessage, RequestMessage, TransferMessage
from dualtap_devices.keystore import MemoryKeystore
from dualtap_devices.wallet import Wallet
from tests.playbook import EPOCH, Actor, Meeting, Said, World, refuse

APPLES = Charge(100, "CNY", b"basket of apples")
LITTLE = 1 << 20
"""Bytes: what a hostile message may cost."""


def alter(kind: type[Said], change: Callable[[Any], Said]) -> Callable[[Said], Said]:
    """Return a rewrite of every message of this kind."""
    return lambda said: change(said) if type(said) is kind else said


def fields(**changed: object) -> Callable[[Any], Said]:
    return lambda said: cast("Said", said._replace(**changed))


def codes(meeting: Meeting) -> tuple[object, object]:
    return meeting.payer.report.code, meeting.payee.report.code


def value(world: World) -> list[int]:
    return [wallet.book.available(EPOCH) + wallet.book.in_doubt() for wallet in world.wallets]


def measured(actor: Actor, frame: bytes) -> Report:
    """Feed a hostile frame; return the report, and see that it cost little memory and ended the tap."""
    tracemalloc.start()
    try:
        effects = actor.step(Received(frame))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < LITTLE
    report = effects[-1]
    assert isinstance(report, Report)
    assert actor.tap.ended
    return report


# Frames

STANDS = [
    (Part.PAYEE, State.AWAIT_HELLO, True), (Part.PAYER, State.AWAIT_HELLO, False),
    (Part.PAYEE, State.AWAIT_WELCOME, False), (Part.PAYER, State.AWAIT_WELCOME, True),
    (Part.PAYEE, State.AWAIT_TRANSFER, False), (Part.PAYER, State.AWAIT_REQUEST, False),
    (Part.PAYER, State.AWAIT_OUTCOME, False),
]  # fmt: skip


@pytest.mark.parametrize(("part", "state", "payer_starts"), STANDS)
def test_random_frames(part: Part, state: State, payer_starts: bool) -> None:
    random = Random(7)
    for size in (0, 1, 15, 16, 17, 40, 100, 128, 129, 1000, limits.MESSAGE, limits.MESSAGE + 1):
        world = World()
        payer, payee = world.wallet(fund=1000), world.wallet()
        before = value(world)
        actor = world.meet(payer, payee, payer_starts=payer_starts).until(part, state)
        report = measured(actor, random.randbytes(size))
        allowed = {Code.BAD_SEAL, Code.TOO_LARGE, Code.MALFORMED, Code.NOT_CANONICAL, Code.UNEXPECTED_MESSAGE}
        assert report.code in allowed
        assert value(world) == before
        world.check()


@pytest.mark.parametrize("payer_starts", [True, False])
def test_a_frame_that_is_cut_longer_or_changed_by_a_bit(payer_starts: bool) -> None:
    random = Random(11)
    for place in range(4 if payer_starts else 5):
        for change in ("cut", "longer", "bit", "twice"):
            world = World()
            payer, payee = world.wallet(fund=1000), world.wallet()
            count = 0

            def spoil(frame: bytes) -> list[bytes]:
                nonlocal count
                count += 1
                if count != place + 1:  # noqa: B023
                    return [frame]
                if change == "twice":  # noqa: B023
                    return [frame, frame]
                if change == "bit":  # noqa: B023
                    bit = random.randrange(8 * len(frame))
                    return [bytes(byte ^ (1 << bit % 8 if n == bit // 8 else 0) for n, byte in enumerate(frame))]
                return [frame[:-1] if change == "cut" else frame + b"\x00"]  # noqa: B023

            meeting = world.meet(payer, payee, charge=APPLES, payer_starts=payer_starts).run(intercept=spoil)
            if change != "twice":
                assert Result.PAID not in [report.result for report in meeting.payer.reports]
            world.check()
            world.meet(payer, payee, charge=replace(APPLES, person=True)).run()
            assert sum(value(world)) == 1000
            assert payer.book.available(EPOCH) == 900
            world.check()


HOSTILE = {
    "a map": b"\x80",
    "arrays in arrays": b"\x91" * (limits.MESSAGE - 32),
    "an array of four billion": b"\xdd\xff\xff\xff\xff",
    "a list of thousands": b"\xdc\x3f\x00" + bytes(0x3F00),
    "bytes of four billion": b"\x92\x08\xc6\xff\xff\xff\xff",
    "a float": b"\x92\x08\xcb" + bytes(8),
    "a long integer": b"\x92\x08\xcd\x00\x01",
    "trailing bytes": pack((7,)) + b"\x00",
    "an unknown kind": pack((99,)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_sealed_message_that_is_no_message(name: str) -> None:
    """§5.1-3, §5.2-2."""
    world = World()
    meeting = world.meet(world.wallet(fund=100), world.wallet(), payer_starts=False)
    actor = meeting.until(Part.PAYEE, State.AWAIT_TRANSFER)
    meeting.settle(actor)
    report = measured(actor, meeting.seal(meeting.payer, HOSTILE[name]))
    assert report.code in (Code.MALFORMED, Code.NOT_CANONICAL, Code.UNKNOWN_MESSAGE)
    meeting.lose()
    world.check()


def test_a_message_longer_than_a_card_takes() -> None:
    """§5.2-3."""
    world = World()
    meeting = world.meet(world.wallet(fund=100), world.wallet(profile=limits.CARD), payer_starts=False)
    actor = meeting.until(Part.PAYEE, State.AWAIT_TRANSFER)
    meeting.settle(actor)
    report = measured(actor, meeting.seal(meeting.payer, bytes(limits.CARD_MESSAGE)))
    assert report.code is Code.TOO_LARGE


# The handshake


class Case(NamedTuple):
    """Who changes what, and what each side says of it (the payer, then the payee)."""

    kind: type[Said]
    change: Callable[[Any], Said]
    payer: Code | None
    payee: Code | None


def test_a_wallet_of_another_scheme() -> None:
    """§6-6."""
    world, other = World(seed="one"), World(seed="another")
    meeting = world.meet(world.wallet(fund=100), other.wallet()).run()
    assert codes(meeting) == (Code.LINK_LOST, Code.WRONG_SCHEME)


# The request

REQUESTS = {
    "another amount": Case(RequestMessage, fields(amount=101), Code.BAD_SIGNATURE, Code.BAD_SIGNATURE),
    "nothing": Case(RequestMessage, fields(amount=0), Code.BAD_SIGNATURE, Code.BAD_SIGNATURE),
    "another currency": Case(RequestMessage, fields(currency="EUR"), Code.BAD_SIGNATURE, Code.BAD_SIGNATURE),
    "another basket": Case(RequestMessage, fields(basket=bytes(16)), Code.BAD_SIGNATURE, Code.BAD_SIGNATURE),
    "another part": Case(RequestMessage, fields(part=1), Code.BAD_SIGNATURE, Code.BAD_SIGNATURE),
    "other details": Case(RequestMessage, fields(details=bytes(32)), Code.BAD_SIGNATURE, Code.BAD_SIGNATURE),
    "more hops": Case(RequestMessage, fields(hops=8), Code.BAD_SIGNATURE, Code.BAD_SIGNATURE),
    "more spans": Case(RequestMessage, fields(spans=17), Code.BAD_SIGNATURE, Code.BAD_SIGNATURE),
    "a smaller size": Case(RequestMessage, fields(size=1), Code.BAD_SIGNATURE, Code.BAD_SIGNATURE),
    "another day": Case(RequestMessage, fields(epoch=EPOCH - 1), Code.BAD_SIGNATURE, Code.BAD_SIGNATURE),
    "another signature": Case(RequestMessage, fields(signature=bytes(64)), Code.BAD_SIGNATURE, Code.BAD_SIGNATURE),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_that_was_altered(name: str) -> None:
    """§5.2-4, §11.3-2."""
    world = World()
    case = REQUESTS[name]
    meeting = world.meet(world.wallet(fund=1000), world.wallet()).run(rewrite=alter(case.kind, case.change))
    assert codes(meeting) == (case.payer, case.payee)
    assert meeting.payer.signed == []
    world.check()


CERTIFICATES: dict[str, tuple[Callable[[World, Any], object], Code]] = {
    "another key": (lambda world, found: found._replace(key=world.root.public), Code.BAD_SIGNATURE),
    "another role": (lambda world, found: found._replace(role=Role.PAY), Code.BAD_SIGNATURE),
    "later": (lambda world, found: found._replace(expires=EPOCH + 9999), Code.BAD_SIGNATURE),
    "no issuer": (lambda world, found: found._replace(issuer=b"none"), Code.UNKNOWN_ISSUER),
    "by the root": (lambda world, found: found._replace(issuer=world.authorities[0].issuer), Code.UNKNOWN_ISSUER),
    "by the policy key": (
        lambda world, found: found._replace(issuer=world.authorities[0].hint),
        Code.WRONG_CERTIFICATE,
    ),
    "expired": (lambda world, found: world.certificate(found.key, expires=EPOCH - 1), Code.CERTIFICATE_EXPIRED),
    "only pays": (lambda world, found: world.certificate(found.key, role=Role.PAY), Code.WRONG_CERTIFICATE),
}


@pytest.mark.parametrize("name", CERTIFICATES)
def test_a_payee_whose_certificate_does_not_do(name: str) -> None:
    """§5.2-5, §7-14, §7-18, §11.3-5."""
    world = World()
    change, code = CERTIFICATES[name]
    meeting = world.meet(world.wallet(fund=1000), world.wallet()).run(
        rewrite=alter(RequestMessage, lambda said: said._replace(certificate=change(world, said.certificate)))
    )
    assert codes(meeting) == (code, code)
    assert meeting.payer.signed == []
    world.check()


def test_a_present_of_another_session_heals_nothing() -> None:
    """§6-11, §11.4-1."""
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    world.meet(watch, till, charge=APPLES).run(stop_after=3)
    kept: list[PresentMessage] = []

    def keep(said: Said) -> Said:
        if isinstance(said, PresentMessage):
            kept.append(said)
            return kept[0]._replace(signature=bytes(64)) if len(kept) == 1 else kept[0]
        return said

    for _ in range(2):
        meeting = world.meet(watch, till, charge=APPLES).run(rewrite=keep)
        assert meeting.payer.report.code is Code.BAD_SIGNATURE
        assert watch.book.in_doubt() == 100
    world.check()


def test_a_payer_that_pays_itself() -> None:
    """§8.1-7."""
    world = World()
    watch = world.wallet(fund=1000)
    meeting = world.meet(watch, world.cloned(watch), 10).run()
    assert codes(meeting) == (Code.SELF_PAYMENT, Code.SELF_PAYMENT)
    assert meeting.payer.signed == []


def test_a_transfer_from_the_payee_itself() -> None:
    """§8.1-7."""
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet(fund=50)

    def own(said: TransferMessage) -> Said:
        certificates = (till.book.certificate, *said.bundle.certificates[1:])
        return said._replace(bundle=said.bundle._replace(certificates=certificates))

    meeting = world.meet(watch, till, 10).run(rewrite=alter(TransferMessage, own))
    assert meeting.payee.report.code is Code.SELF_PAYMENT
    world.check()


@pytest.mark.parametrize("currency", ["EUR", "USD"])
def test_another_currency(currency: str) -> None:
    """§8.4-2, §11.3-5."""
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    meeting = world.meet(watch, till, charge=Charge(10, currency, b"basket of apples")).run()
    assert codes(meeting) == (Code.WRONG_CURRENCY, Code.WRONG_CURRENCY)
    world.check()


def test_the_payee_also_checks_the_currency() -> None:
    """§8.1-12."""
    world = World()
    watch, till = world.wallet(), world.wallet()
    world.fund(watch, 100, "EUR")
    world.fund(watch, 100, "CNY")
    meeting = world.meet(watch, till, 100)
    watch.book.holdings.pop()
    token = watch.book.holdings[0].token
    euro = watch.book.graph.tokens[token]
    watch.book.graph.tokens[token] = euro._replace(currency="CNY")
    watch.book.graph.tokens[bytes(32)] = euro._replace(currency="CNY")
    meeting.until(Part.PAYER, State.AWAIT_CONSENT)
    watch.book.graph.tokens[token] = euro
    meeting.run()
    assert meeting.payee.report.code is Code.WRONG_CURRENCY


def test_a_token_with_a_condition_is_left_in_the_purse() -> None:
    """§5.6-3."""
    world = World()
    watch, till = world.wallet(), world.wallet()
    world.fund(watch, 100, conditions=(Condition(99, b"no"),))
    meeting = world.meet(watch, till, 100)
    assert watch.book.available(EPOCH) == 0
    assert codes(meeting.run()) == (Code.INSUFFICIENT, Code.INSUFFICIENT)
    world.check()


# The transfer: every field of what a payer shows, after two earlier hands and one restoration


def chain() -> tuple[World, Wallet, Wallet]:
    """Anna pays Ben twice; Ben's value is restored once; then he pays a till."""
    world = World()
    anna, ben, till = world.wallet(fund=(60, 60)), world.wallet(), world.wallet()
    world.pay(anna, ben, 60)
    world.pay(anna, ben, 60)
    lost = Charge(120, "CNY", b"basket of pears.")
    world.meet(ben, world.wallet(), charge=lost).run(stop_after=2)
    other = world.wallets[-1]
    world.meet(ben, other, charge=lost, person=refuse).run()
    assert ben.book.available(EPOCH) == 120
    return world, ben, till


def shown() -> TransferMessage:
    world, ben, till = chain()
    meeting = world.meet(ben, till, 100).run()
    assert codes(meeting) == (None, None)
    (message,) = [seen.message for seen in meeting.heard if isinstance(seen.message, TransferMessage)]
    assert [type(hand.proof) for hand in message.bundle.transfers].count(CompactWarrant) == 1
    assert len(message.bundle.transfers) == 3
    return message


SHOWN = shown()
Path = tuple[int, ...]


def leaves(item: object, path: Path = ()) -> list[tuple[Path, object]]:
    if isinstance(item, tuple):
        parts = cast("tuple[object, ...]", item)
        return [leaf for place, part in enumerate(parts) for leaf in leaves(part, (*path, place))]
    return [(path, item)]


def flipped(leaf: object) -> object:
    match leaf:
        case bool():
            return not leaf
        case Side() | Role():
            return type(leaf)(leaf ^ 3)
        case int():
            return leaf ^ 1
        case str():
            return "EUR"
        case bytes():
            return bytes([leaf[0] ^ 1, *leaf[1:]]) if leaf else bytes(32)
        case _:
            return leaf


def put(item: Any, path: Path, leaf: object) -> Any:
    if not path:
        return leaf
    place, *rest = path
    parts = list(item)
    parts[place] = put(parts[place], tuple(rest), leaf)
    return type(item)(*parts) if hasattr(item, "_fields") else tuple(parts)


UNSIGNED = ((TransferMessage._fields.index("news"),),)
"""What is but a hint: altered, it changes nothing of value (SPEC §21-2)."""
ALTERED = [(path, leaf) for path, leaf in leaves(SHOWN) if leaf is not None and path not in UNSIGNED]
ACCEPTABLE = {
    Code.BAD_SIGNATURE, Code.BROKEN_PROVENANCE, Code.NOT_OWNER, Code.SPAN_OUTSIDE, Code.SPANS_OVERLAP,
    Code.EPOCH_BACKWARDS, Code.EPOCH_AHEAD, Code.UNKNOWN_ISSUER, Code.WRONG_CERTIFICATE, Code.WRONG_CURRENCY,
    Code.UNKNOWN_REQUEST, Code.MALFORMED, Code.WRONG_AMOUNT, Code.CERTIFICATE_EXPIRED, Code.BAD_KEY,
    Code.DOUBLE_SPENT, Code.TOKEN_EXPIRED,
}  # fmt: skip


def test_every_altered_field_of_what_a_payer_shows_is_refused() -> None:
    """§5.4-4, §8.1-1, §8.1-9, §8.1-10, §8.1-11."""
    seen: set[object] = set()
    for path, leaf in ALTERED:
        world, ben, till = chain()
        meeting = world.meet(ben, till, 100)
        meeting.run(rewrite=alter(TransferMessage, partial(put, path=path, leaf=flipped(leaf))))
        report = meeting.payee.report
        assert report.result is Result.NOT_PAID, path
        assert report.code in ACCEPTABLE, (path, report)
        assert till.book.holdings == [], path
        seen.add(report.code)
        world.check()
    assert len(ALTERED) > 80
    assert {Code.BAD_SIGNATURE, Code.BROKEN_PROVENANCE, Code.UNKNOWN_ISSUER, Code.UNKNOWN_REQUEST} <= seen


def hand(said: TransferMessage, place: int, **changed: object) -> TransferMessage:
    hands = list(said.bundle.transfers)
    hands[place] = cast("CompactTransfer", cast("Any", hands[place])._replace(**changed))
    return said._replace(bundle=said.bundle._replace(transfers=tuple(hands)))


def stranger(world: World) -> WalletCertificate:
    return world.wallet().book.certificate


BUNDLES: dict[str, tuple[Callable[[World, TransferMessage], Said], Code]] = {
    "a stranger's certificate": (
        lambda world, said: said._replace(
            bundle=said.bundle._replace(certificates=(*said.bundle.certificates, stranger(world)))
        ),
        Code.BROKEN_PROVENANCE,
    ),
    "a forged certificate beside the true one": (
        lambda world, said: said._replace(
            bundle=said.bundle._replace(
                certificates=(said.bundle.certificates[0]._replace(role=Role.PAY), *said.bundle.certificates)
            )
        ),
        Code.BROKEN_PROVENANCE,
    ),
    "a hand's certificate that points nowhere": (lambda _, said: hand(said, 0, payer=9), Code.BROKEN_PROVENANCE),
    "a payee that points nowhere": (lambda _, said: hand(said, 0, payee=9), Code.BROKEN_PROVENANCE),
    "a token that is not there": (lambda _, said: hand(said, 0, spans=((9, 0, 60),)), Code.BROKEN_PROVENANCE),
    "a hand that is not there": (lambda _, said: said._replace(spans=((9, 1, 0, 0, 60),)), Code.BROKEN_PROVENANCE),
    "a span that is not there": (lambda _, said: said._replace(spans=((2, 1, 9, 0, 60),)), Code.BAD_SIGNATURE),
    "a hand before itself": (lambda _, said: hand(said, 0, spans=((0, 1, 0, 0, 60),)), Code.BROKEN_PROVENANCE),
    "no warrant": (lambda _, said: hand(said, 2, proof=bytes(32)), Code.BAD_SIGNATURE),
}


@pytest.mark.parametrize("name", BUNDLES)
def test_a_bundle_that_does_not_hold_together(name: str) -> None:
    """§5.4-1, §5.4-2, §5.4-3, §8.1-3, §8.1-8."""
    world, ben, till = chain()
    change, code = BUNDLES[name]
    meeting = world.meet(ben, till, 100).run(rewrite=alter(TransferMessage, lambda said: change(world, said)))
    assert codes(meeting) == (code, code)
    assert till.book.holdings == []
    assert meeting.payee.signed == [Kind.REQUEST, Kind.CLOSE], "after a Transfer every refusal is a Close"
    world.check()


def test_what_is_known_is_not_replaced_by_what_is_shown() -> None:
    """A hand that a till has verified comes again with another signature: the till passes on the good one.

    §8.1-15, §8.3-4.
    """
    world = World()
    anna, ben, till, last = world.wallet(fund=100), world.wallet(), world.wallet(), world.wallet()
    world.pay(anna, ben, 60)
    world.pay(ben, till, 20)

    def spoil(said: TransferMessage) -> Said:
        token = said.bundle.tokens[0]._replace(signature=bytes(64))
        bundle = said.bundle._replace(tokens=(token,))
        return hand(said._replace(bundle=bundle), 0, signature=bytes(64))

    meeting = world.meet(ben, till, 20).run(rewrite=alter(TransferMessage, spoil))
    assert codes(meeting) == (None, None)
    world.pay(till, last, 40)
    world.check()


def test_a_known_hand_with_a_forged_certificate_is_refused() -> None:
    """§8.1-10."""
    world = World()
    anna, ben, till = world.wallet(fund=100), world.wallet(), world.wallet()
    world.pay(anna, ben, 60)
    world.pay(ben, till, 20)

    def spoil(said: TransferMessage) -> Said:
        forged = said.bundle.certificates[1]._replace(signature=bytes(64))
        return said._replace(bundle=said.bundle._replace(certificates=(said.bundle.certificates[0], forged)))

    meeting = world.meet(ben, till, 20).run(rewrite=alter(TransferMessage, spoil))
    assert codes(meeting) == (Code.BAD_SIGNATURE, Code.BAD_SIGNATURE)
    world.check()


def test_half_of_a_chain_of_authorities_is_not_believed() -> None:
    """§7-7, §8.1-6."""
    world = World()
    watch = world.wallet(fund=100)
    till = world.wallet()
    known = till.book.trust.authorities
    other = world.authority(known[1].authority, World(seed="other").institution.public, 2)
    bad = (other, known[2]._replace(expires=known[2].expires + 1, signature=bytes(64)))
    meeting = world.meet(watch, till, 10).run(rewrite=alter(TransferMessage, fields(authorities=bad)))
    assert meeting.payee.report.code is Code.BAD_SIGNATURE
    assert till.book.trust.authorities == known
    world.check()


# The outcome

OUTCOMES = {
    "another signature": fields(signature=bytes(64)),
    "a Close": fields(kind=Kind.CLOSE),
    "a Close for a reason": fields(kind=Kind.CLOSE, reason=81),
    "for another transfer": fields(transfer=bytes(32)),
    "another day": fields(epoch=EPOCH + 1),
    "another place": fields(ctr=99),
    "another seed": fields(seed=bytes(16)),
    "no outcome": fields(kind=Kind.PRESENT),
}


@pytest.mark.parametrize("name", OUTCOMES)
def test_an_outcome_that_was_altered_leaves_the_payer_in_doubt(name: str) -> None:
    """§10.1-4, §11.3-11, §11.3-12."""
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    meeting = world.meet(watch, till, charge=APPLES).run(rewrite=alter(OutcomeMessage, OUTCOMES[name]))
    code = Code.MALFORMED if name == "no outcome" else Code.BAD_SIGNATURE
    assert (meeting.payer.report.result, meeting.payer.report.code) == (Result.IN_DOUBT, code)
    assert watch.book.in_doubt() == 100
    world.check()
    world.meet(watch, till, charge=APPLES).run()
    assert watch.book.in_doubt() == 0
    world.check()


@pytest.mark.parametrize("code", [81, 5000])
def test_a_refusal_is_told_by_its_name_or_its_number(code: int) -> None:
    """§9-1, §9-2."""
    world = World()
    meeting = world.meet(world.wallet(fund=100), world.wallet(), payer_starts=False)
    actor = meeting.until(Part.PAYEE, State.AWAIT_TRANSFER)
    meeting.settle(actor)
    report = measured(actor, meeting.forge(meeting.payer, RefuseMessage(code)))
    assert report.code == code
    assert type(report.code) is (Code if code == 81 else int)
    assert str(TapError(decode_code(code), "why"))
    assert "why" in str(TapError(5000, "why"))


def test_a_payer_that_is_done_without_paying_has_paid_nothing() -> None:
    """§11.2-9."""
    world = World()
    meeting = world.meet(world.wallet(fund=100), world.wallet(), payer_starts=False)
    actor = meeting.until(Part.PAYEE, State.AWAIT_TRANSFER)
    meeting.settle(actor)
    report = measured(actor, meeting.forge(meeting.payer, DoneMessage()))
    assert (report.result, report.code) == (Result.NOT_PAID, Code.DECLINED)
    assert actor.book.open, "its request waits for the next tap or sync, as after any refusal"


def test_a_transfer_to_a_till_that_only_presents() -> None:
    """§6-12."""
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    world.meet(watch, till, charge=APPLES).run()
    meeting = world.meet(watch, till, charge=APPLES, payer_starts=False)
    actor = meeting.until(Part.PAYEE, State.AWAIT_TRANSFER)
    meeting.settle(actor)
    assert measured(actor, meeting.forge(meeting.payer, SHOWN)).code is Code.REPLAYED_REQUEST


def test_a_stranger_cannot_refuse_without_the_keys() -> None:
    """§6-3, §6-13."""
    world = World()
    meeting = world.meet(world.wallet(fund=1000), world.wallet(), payer_starts=False)
    actor = meeting.until(Part.PAYEE, State.AWAIT_TRANSFER)
    assert measured(actor, pack((8, 81)) + bytes(16)).code is Code.BAD_SEAL


# The device's own store


def test_a_store_that_is_older_than_its_keystore_only_syncs() -> None:
    """§12-6."""
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    old = world.cloned(watch)
    world.pay(watch, till, 10)
    world.pay(watch, till, 10)
    rolled_back = Wallet(world.scheme, limits.FULL, watch.keystore, old.store)
    assert rolled_back.quarantined
    with pytest.raises(TapError) as caught:
        rolled_back.check()
    assert caught.value.code is Code.QUARANTINED


def test_a_store_one_entry_behind_its_keystore_goes_on() -> None:
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    meeting = world.meet(watch, till, 10)
    meeting.until(Part.PAYER, State.SIGN_TRANSFER)
    meeting.payer.signature()
    again = world.reopen(watch)
    assert not again.quarantined
    assert again.book.in_doubt() == 10


def test_a_chip_that_skipped_past_the_tail_moves_it() -> None:
    """§12-7."""
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    world.pay(watch, till, 5)
    meeting = world.meet(watch, till, charge=APPLES)
    meeting.until(Part.PAYER, State.AWAIT_CONSENT)
    keystore = watch.keystore
    assert isinstance(keystore, MemoryKeystore)
    keystore.head = Head(keystore.head.ctr + 50, keystore.head.id)
    with pytest.raises(TapError) as caught:
        meeting.until(Part.PAYER, State.SIGN_TRANSFER)
    assert caught.value.code is Code.KEYSTORE_REFUSED
    watch = world.reopen(watch)
    tail = watch.book.tail
    assert tail is not None
    assert tail.signature
    assert tail.shown().ctr > 50
    assert watch.book.in_doubt() == 100
    healed = world.meet(watch, till, charge=APPLES).run()
    assert healed.payer.report.result is Result.PAID
    world.check()


@pytest.mark.parametrize("record", ["sent", "healed", "tail", "moved"])
def test_a_log_that_this_wallet_did_not_write(record: str) -> None:
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    world.meet(watch, till, charge=APPLES).run(stop_after=2)
    (sent,) = watch.book.pending.values()
    outcome = world.wallet(fund=5)
    world.pay(outcome, till, 5)
    receipt = till.book.tape[-1]
    foreign = {
        "sent": Sent(sent.transfer, bytes(16), 0),
        "healed": Healed(bytes(32), cast("Any", receipt)),
        "tail": cast("Any", world.decode(pack((6, bytes(32), bytes(64))))),
        "moved": cast("Any", world.decode(pack((7, bytes(32), 1, 2)))),
    }[record]
    with pytest.raises((TapError, KeyError)):
        watch.write(foreign)
    with pytest.raises(TapError) as caught:
        world.reopened(watch)
    assert caught.value.code is Code.STORE_FAILED


# What a second look found


def test_a_genuine_token_that_is_not_behind_the_transfer_is_refused() -> None:
    """§5.4-1, §8.3-6."""
    world = World()
    watch, till = world.wallet(fund=100), world.wallet()
    spare = world.token(watch.book.key, 5)

    def with_junk(message: TransferMessage) -> TransferMessage:
        bundle = message.bundle
        junk = bundle.tokens[0]._replace(
            serial=spare.serial, amount=5, spend_by=spare.spend_by, claim_by=spare.claim_by, signature=spare.signature
        )
        return message._replace(bundle=bundle._replace(tokens=(*bundle.tokens, junk)))

    meeting = world.meet(watch, till, 10).run(rewrite=alter(TransferMessage, with_junk))
    assert meeting.payee.report.code is Code.BROKEN_PROVENANCE
    assert set(till.book.graph.tokens) == set()
    world.check()


def test_an_older_certificate_from_a_stranger_does_not_undo_a_renewal() -> None:
    """§7-8."""
    world = World()
    watch, till = world.wallet(fund=100), world.wallet()
    current = till.book.trust.authorities[1]
    old = issue(world.scheme, world.root, current._replace(expires=EPOCH - 1))
    world.meet(watch, till, 10).run(rewrite=alter(TransferMessage, fields(authorities=(old,))))
    assert current in till.book.trust.authorities
    assert world.meet(watch, till, 10).run().payee.report.result is Result.COLLECTED


def test_a_keystore_refuses_fields_that_could_be_read_with_other_borders() -> None:
    """§13-7."""
    world = World()
    keystore = world.wallet().keystore
    place = (0).to_bytes(8, "big") + (1).to_bytes(8, "big")
    for opening in (
        TapeOpening(b"S" * 16, 0, 1, place + bytes(32), bytes(32)),
        TapeOpening(bytes(32), 0, 1, bytes(31), bytes(32)),
        TapeOpening(bytes(32), 0, 1, bytes(32), bytes(33)),
    ):
        with pytest.raises(TapError, match=Code.KEYSTORE_REFUSED.name):
            keystore.sign_tape(Kind.CLOSE, bytes(32), opening, b"\0")
    with pytest.raises(TapError, match=Code.KEYSTORE_REFUSED.name):
        keystore.sign(Kind.REQUEST, bytes(31))
    assert keystore.head.ctr == 0


def test_two_taps_at_once_refund_a_receipt_once() -> None:
    """§11.3-8."""
    world = World()
    watch, till = world.wallet(fund=100), world.wallet(fund=100)
    sale = world.pay(watch, till, 50)
    lanes = [world.meet(till, watch, 50, pay=Pay(sale)) for _ in range(2)]
    for lane in lanes:
        lane.until(Part.PAYER, State.AWAIT_CONSENT)
    results = [lane.run().payer.report for lane in lanes]
    assert [report.result for report in results] == [Result.PAID, Result.NOT_PAID]
    assert results[1].code is Code.NOT_A_REFUND
    assert till.book.taken[sale].refunded == 50

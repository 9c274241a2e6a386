"""Conditions of value (SPEC §5.6): each is met or not at its edges, by the signed transfer alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import cast

import pytest

from dualtap import limits
from dualtap.conditions import Here, Rule
from dualtap.errors import Code, TapError
from dualtap.evidence import fork
from dualtap.forms import decode_certificate, decode_grant, encode_certificate, encode_grant, signed
from dualtap.graph import Graph, check_spans
from dualtap.issued import AuthorityCertificate, Condition, WalletCertificate
from dualtap.keystore import sign_with
from dualtap.statements import GrantBody, Opening, Parent, Side, Span, Transfer, TransferBody
from dualtap.suite import Signer, sha256
from dualtap.trust import issue
from dualtap.verdict import verify_evidence
from dualtap_devices.keystore import MemoryKeystore
from dualtap_issuer.authority import SchemeAuthority, Secrets
from tests.playbook import EPOCH, World

GROCER, CINEMA = 5411, 7832
SECRET = b"the word that opens it"


def categories(*numbers: int) -> Condition:
    return Condition(Rule.CATEGORY, b"".join(number.to_bytes(2, "big") for number in numbers))


def cap(units: int) -> Condition:
    return Condition(Rule.CAP, units.to_bytes(8, "big"))


def window(first: int, last: int) -> Condition:
    return Condition(Rule.WINDOW, first.to_bytes(4, "big") + last.to_bytes(4, "big"))


def times(number: int) -> Condition:
    return Condition(Rule.COUNT, number.to_bytes(4, "big"))


MERCHANT = Condition(Rule.MERCHANT, b"")
PREIMAGE = Condition(Rule.PREIMAGE, sha256(SECRET))


class Bench:
    """An owner of conditional value, a grocer, a person, and a second signer, as bare keys."""

    def __init__(self, suite: str = "ed25519") -> None:
        self.world = World(suite, seed="conditions")
        self.trust = self.world.wallet().book.trust
        self.graph = Graph()
        self.owner, self.shop, self.person, self.parent = (self.world.suite.signer(self.world.draw()) for _ in range(4))
        self.signed = Condition(Rule.SIGNED, self.parent.public)

    def payees(self, *signers: Signer) -> Condition:
        return Condition(Rule.PAYEE, b"".join(signer.public for signer in signers))

    def bind(self, *conditions: Condition) -> Parent:
        """Issue 1000 units under these conditions, to the owner."""
        token = self.world.token(self.owner.public, 1000, conditions=conditions)
        token_id = self.trust.token_id(token)
        self.graph.tokens[token_id] = token
        return Parent(token_id, Side.TOKEN, 0)

    def certificate(self, of: Signer | None = None, category: int = GROCER, expires: int = EPOCH) -> bytes:
        blank = self.world.certificate((of or self.shop).public, expires=expires)
        return encode_certificate(issue(self.world.scheme, self.world.bank, blank._replace(category=category)))

    def grant(self, token: Parent, by: Signer | None = None, **changes: object) -> bytes:
        body = GrantBody(token.id, b"", 0, 60, b"", EPOCH, EPOCH)._replace(**changes)  # type: ignore[arg-type]
        key = by or self.parent
        blank = signed(self.world.scheme.id, key.public, body)
        return encode_grant(blank.sealed(key.sign(blank.id)))

    def transfer(
        self,
        spans: Iterable[Span],
        witness: Iterable[bytes] = (),
        to: Signer | None = None,
        by: Signer | None = None,
        epoch: int = EPOCH,
    ) -> Transfer:
        signer = by or self.owner
        body = TransferBody((to or self.shop).public, tuple(spans), epoch, tuple(witness))
        blank = signed(self.world.scheme.id, signer.public, body, Opening(self.world.draw(16), 1, 2))
        transfer = blank.sealed(signer.sign(blank.id))
        self.graph.put(transfer)
        return transfer

    def pay(
        self,
        token: Parent,
        *witness: bytes,
        to: Signer | None = None,
        units: int = 60,
        epoch: int = EPOCH,
        here: Here | None = None,
    ) -> Code | None:
        """Return why a payment of the owner's is no statement; ``None`` if it is one."""
        return self.judge(self.transfer([Span(token, 0, units)], witness, to, epoch=epoch), here)

    def judge(self, transfer: Transfer, here: Here | None = None) -> Code | None:
        try:
            check_spans(self.graph, transfer, self.trust, here)
        except TapError as error:
            return cast("Code", error.code)
        return None


Story = Callable[[Bench], "Code | None"]
UNMET, EXTRA = Code.CONDITION_UNMET, Code.MALFORMED
GOOD: dict[str, Story] = {
    "payee": lambda b: b.pay(b.bind(b.payees(b.shop))),
    "one of two payees": lambda b: b.pay(b.bind(b.payees(b.person, b.shop))),
    "category": lambda b: b.pay(b.bind(categories(GROCER)), b.certificate()),
    "one of sixteen categories": lambda b: b.pay(b.bind(categories(*range(1, 16), GROCER)), b.certificate()),
    "merchant": lambda b: b.pay(b.bind(MERCHANT), b.certificate(category=1)),
    "cap": lambda b: b.pay(b.bind(cap(60))),
    "cap of another token": lambda b: b.judge(b.transfer([Span(b.bind(cap(60)), 0, 60), Span(b.bind(cap(60)), 0, 60)])),
    "first day": lambda b: b.pay(b.bind(window(EPOCH, EPOCH + 1))),
    "last day": lambda b: b.pay(b.bind(window(EPOCH - 1, EPOCH))),
    "preimage": lambda b: b.pay(b.bind(PREIMAGE), SECRET),
    "preimage of the greatest size": lambda b: b.pay(
        b.bind(Condition(Rule.PREIMAGE, sha256(bytes(limits.WITNESS)))), bytes(limits.WITNESS)
    ),
    "the last of three uses": lambda b: b.judge(b.transfer([Span(b.bind(times(3)), 2, 60)])),
    "a use in a second span": lambda b: b.judge(b.transfer([Span(t := b.bind(times(3)), 9, 60), Span(t, 0, 1)])),
    "a use of each of two": lambda b: b.judge(b.transfer([Span(b.bind(times(1)), 0, 9), Span(b.bind(times(1)), 0, 1)])),
    "signed": lambda b: b.pay(t := b.bind(b.signed), b.grant(t)),
    "signed for this payee": lambda b: b.pay(t := b.bind(b.signed), b.grant(t, payee=b.shop.public)),
    "signed for a category": lambda b: b.pay(t := b.bind(b.signed), b.grant(t, category=GROCER), b.certificate()),
    "signed for a basket that later hands cannot see": lambda b: b.pay(
        t := b.bind(b.signed), b.grant(t, basket=bytes(16))
    ),
    "all at once, and one certificate for two": lambda b: b.pay(
        t := b.bind(b.payees(b.shop), categories(GROCER), MERCHANT, cap(60), window(0, EPOCH), PREIMAGE, b.signed),
        b.certificate(),
        SECRET,
        b.grant(t),
    ),
    "one preimage for two tokens": lambda b: b.judge(
        b.transfer([Span(b.bind(PREIMAGE), 0, 1), Span(b.bind(PREIMAGE), 0, 1)], [SECRET])
    ),
}
BAD: dict[str, tuple[Story, Code]] = {
    "another payee": (lambda b: b.pay(b.bind(b.payees(b.person))), UNMET),
    "half a key": (lambda b: b.pay(b.bind(Condition(Rule.PAYEE, b.shop.public + b"\x00"))), UNMET),
    "no payee": (lambda b: b.pay(b.bind(b.payees())), UNMET),
    "too many payees": (lambda b: b.pay(b.bind(b.payees(*[b.shop] * 17))), UNMET),
    "no certificate": (lambda b: b.pay(b.bind(categories(GROCER))), UNMET),
    "another category": (lambda b: b.pay(b.bind(categories(CINEMA)), b.certificate()), UNMET),
    "another's certificate": (lambda b: b.pay(b.bind(categories(GROCER)), b.certificate(b.person)), UNMET),
    "a forged certificate": (
        lambda b: b.pay(b.bind(categories(GROCER)), b.certificate()[:-64] + bytes(64)),
        UNMET,
    ),
    "a certificate of yesterday": (
        lambda b: b.pay(b.bind(categories(GROCER)), b.certificate(expires=EPOCH - 1)),
        UNMET,
    ),
    "odd categories": (lambda b: b.pay(b.bind(Condition(Rule.CATEGORY, b"\x15\x23\x00")), b.certificate()), UNMET),
    "no category": (lambda b: b.pay(b.bind(categories()), b.certificate()), UNMET),
    "a person's category": (lambda b: b.pay(b.bind(categories(0)), b.certificate(category=0)), UNMET),
    "a person": (lambda b: b.pay(b.bind(MERCHANT), b.certificate(b.person, 0), to=b.person), UNMET),
    "merchant with a value": (
        lambda b: b.pay(b.bind(Condition(Rule.MERCHANT, b"\x00")), b.certificate()),
        UNMET,
    ),
    "above the cap": (lambda b: b.pay(b.bind(cap(59))), UNMET),
    "above the cap in two spans": (
        lambda b: b.judge(b.transfer([Span(t := b.bind(cap(60)), 0, 31), Span(t, 31, 61)])),
        UNMET,
    ),
    "a short cap": (lambda b: b.pay(b.bind(Condition(Rule.CAP, b"\xff" * 7))), UNMET),
    "a day early": (lambda b: b.pay(b.bind(window(EPOCH + 1, EPOCH + 2))), UNMET),
    "a day late": (lambda b: b.pay(b.bind(window(0, EPOCH - 1))), UNMET),
    "half a window": (lambda b: b.pay(b.bind(Condition(Rule.WINDOW, bytes(4)))), UNMET),
    "another word": (lambda b: b.pay(b.bind(PREIMAGE), b"another word"), UNMET),
    "no word": (lambda b: b.pay(b.bind(PREIMAGE)), UNMET),
    "too long a word": (
        lambda b: b.pay(b.bind(Condition(Rule.PREIMAGE, sha256(bytes(513)))), bytes(513)),
        UNMET,
    ),
    "grant removed": (lambda b: b.pay(b.bind(b.signed)), UNMET),
    "grant of another token": (lambda b: b.pay(b.bind(b.signed), b.grant(b.bind(b.signed))), UNMET),
    "grant for another payee": (
        lambda b: b.pay(t := b.bind(b.signed), b.grant(t, payee=b.person.public)),
        UNMET,
    ),
    "grant of another signer": (lambda b: b.pay(t := b.bind(b.signed), b.grant(t, by=b.owner)), UNMET),
    "grant of less": (lambda b: b.pay(t := b.bind(b.signed), b.grant(t, amount=59)), UNMET),
    "grant of tomorrow": (lambda b: b.pay(t := b.bind(b.signed), b.grant(t, first=EPOCH + 1, last=EPOCH + 9)), UNMET),
    "grant of yesterday": (lambda b: b.pay(t := b.bind(b.signed), b.grant(t, first=0, last=EPOCH - 1)), UNMET),
    "grant for another category": (
        lambda b: b.pay(t := b.bind(b.signed), b.grant(t, category=CINEMA), b.certificate()),
        UNMET,
    ),
    "grant for a category, and no certificate": (
        lambda b: b.pay(t := b.bind(b.signed), b.grant(t, category=GROCER)),
        UNMET,
    ),
    "a second signer of two keys": (
        lambda b: b.pay(t := b.bind(Condition(Rule.SIGNED, b.parent.public * 2)), b.grant(t)),
        UNMET,
    ),
    "one of two conditions": (lambda b: b.pay(b.bind(cap(60), b.payees(b.person))), UNMET),
    "of one token, not of the other": (
        lambda b: b.judge(b.transfer([Span(b.bind(cap(60)), 0, 60), Span(b.bind(cap(59)), 0, 60)])),
        UNMET,
    ),
    "no use": (lambda b: b.judge(b.transfer([Span(b.bind(times(3)), 3, 60)])), UNMET),
    "a use of one of two": (
        lambda b: b.judge(b.transfer([Span(b.bind(times(1)), 0, 9), Span(b.bind(times(1)), 1, 9)])),
        UNMET,
    ),
    "a use of the greater of two counts": (
        lambda b: b.judge(b.transfer([Span(b.bind(times(3), times(2)), 2, 9)])),
        UNMET,
    ),
    "a count of none": (lambda b: b.pay(b.bind(times(0))), UNMET),
    "a short count": (lambda b: b.pay(b.bind(Condition(Rule.COUNT, b"\xff" * 3))), UNMET),
    "an unknown code": (lambda b: b.pay(b.bind(Condition(9, b""))), UNMET),
    "a witness of nothing": (lambda b: b.pay(b.bind(), SECRET), EXTRA),
    "a witness too many": (lambda b: b.pay(b.bind(PREIMAGE), SECRET, b"and more"), EXTRA),
    "a witness twice": (lambda b: b.pay(b.bind(PREIMAGE), SECRET, SECRET), EXTRA),
    "a certificate that nothing asks for": (lambda b: b.pay(b.bind(cap(60)), b.certificate()), EXTRA),
    "a second grant that does not fit": (
        lambda b: b.pay(t := b.bind(b.signed), b.grant(t), b.grant(t, amount=59)),
        EXTRA,
    ),
}
SUITES = ("ed25519", "p256")


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("story", GOOD.values(), ids=GOOD)
def test_a_condition_is_met(story: Story, suite: str) -> None:
    """§5.6-1, §5.6-6, §5.6-7, §5.6-8."""
    assert story(Bench(suite)) is None


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize(("story", "code"), BAD.values(), ids=BAD)
def test_a_condition_is_not_met(story: Story, code: Code, suite: str) -> None:
    """§5.3-9, §5.6-1, §5.6-7, §5.6-8, §5.6-9."""
    assert story(Bench(suite)) is code


def test_it_falls_away_in_the_payees_hands_and_binds_again_whom_it_bound() -> None:
    """§5.6-1: a refund, and a restored side, come back to the owner under the same conditions."""
    bench = Bench()
    token = bench.bind(bench.payees(bench.shop))
    sale = bench.transfer([Span(token, 0, 60)])
    sold = Parent(sale.id, Side.PAYEE, 0)
    assert bench.judge(bench.transfer([Span(sold, 0, 9)], by=bench.shop, to=bench.person)) is None
    refund = bench.transfer([Span(sold, 9, 60)], by=bench.shop, to=bench.owner)
    assert bench.judge(refund) is None
    for mine in (Parent(refund.id, Side.PAYEE, 0), Parent(sale.id, Side.PAYER, 0)):
        assert bench.judge(bench.transfer([Span(mine, 9, 60)], to=bench.person)) is UNMET
        assert bench.judge(bench.transfer([Span(mine, 9, 60)])) is None


def test_a_use_is_no_use_once_a_payee_had_it() -> None:
    """§5.6-14: a warrant gives it back; a refund does not, nor a warrant for what was refunded."""
    bench = Bench()
    token = bench.bind(times(2))
    sale = bench.transfer([Span(token, 0, 60)])
    refund = bench.transfer([Span(Parent(sale.id, Side.PAYEE, 0), 0, 60)], by=bench.shop, to=bench.owner)
    mine, back = Parent(refund.id, Side.PAYEE, 0), Parent(sale.id, Side.PAYER, 0)
    again = bench.transfer([Span(mine, 0, 60), Span(token, 1, 2)])
    for parent, place, code in ((mine, 0, UNMET), (back, 0, None)):
        assert bench.judge(bench.transfer([Span(parent, place, 60)])) is code
    for place, units, code in ((0, (0, 60), UNMET), (1, (1, 2), None)):
        assert bench.judge(bench.transfer([Span(Parent(again.id, Side.PAYER, place), *units)])) is code
    assert bench.judge(bench.transfer([Span(mine, 0, 1), Span(token, 60, 61), Span(back, 1, 2)])) is None


def test_a_deposit_meets_every_condition() -> None:
    """§5.6-4: to the institution that signed the token, and to no other key."""
    bench = Bench()
    token = bench.bind(Condition(Rule.PAYEE, b""), cap(1), times(0), Condition(99, b""))
    home = bench.world.institution
    assert bench.pay(token, to=home) is None
    assert bench.pay(token, to=bench.world.bank) is UNMET
    assert bench.pay(token, SECRET, to=home) is EXTRA


def test_what_only_the_two_at_a_tap_know() -> None:
    """§5.6-10: later hands and ledgers see a statement all the same."""
    bench = Bench()
    signed_, day = bench.bind(bench.signed), bench.bind(window(0, EPOCH))
    food, basket = bench.bind(categories(GROCER)), bytes(16)
    once = bench.grant(signed_, basket=basket)
    for here, code in (
        (Here(EPOCH, basket), None),
        (Here(EPOCH, None), None),
        (Here(EPOCH - 1, basket), None),
        (Here(EPOCH, b"another basket.."), UNMET),
        (Here(EPOCH + 1, basket), UNMET),
    ):
        assert bench.pay(signed_, once, here=here) is code
    for token, witness in ((day, ()), (food, (bench.certificate(),))):
        assert bench.pay(token, *witness, here=Here(EPOCH, None)) is None
        assert bench.pay(token, *witness, here=Here(EPOCH + 1, None)) is UNMET
        assert bench.pay(token, *witness) is None


def test_an_authority_that_is_not_known_is_named_so() -> None:
    """§5.6-7: it may be met, and a device that gets the authority's certificate will see it."""
    bench = Bench()
    stranger = bench.world.suite.signer(bench.world.draw())
    shop = decode_certificate(bench.certificate())
    theirs = issue(bench.world.scheme, stranger, shop)
    token = bench.bind(MERCHANT)
    assert bench.pay(token, encode_certificate(theirs)) is Code.UNKNOWN_ISSUER
    bank = AuthorityCertificate(stranger.public, bench.world.authorities[2].authority, 2, 9, EPOCH - 1, b"", b"")
    bench.trust.learn([issue(bench.world.scheme, bench.world.institution, bank)])
    assert bench.pay(token, encode_certificate(theirs)) is None, "an expired authority changes nothing"


def test_evidence_brings_the_chain_of_the_payees_certificate() -> None:
    """§5.6-7: with the root key alone it can be seen that both transfers met their conditions."""
    bench = Bench()
    bank = bench.world.suite.signer(bench.world.draw())
    certified = AuthorityCertificate(bank.public, bench.world.authorities[2].authority, 2, 9, EPOCH, b"", b"")
    bench.trust.learn([issue(bench.world.scheme, bench.world.institution, certified)])
    shop = encode_certificate(issue(bench.world.scheme, bank, decode_certificate(bench.certificate())))
    token = bench.bind(categories(GROCER))
    one, other = (bench.transfer([Span(token, 0, units)], [shop]) for units in (10, 20))
    bench.graph.certificates[bench.owner.public] = bench.world.certificate(bench.owner.public)
    evidence = fork(bench.trust, bench.graph, one, other)
    assert verify_evidence(evidence, bench.world.scheme.root).key == bench.owner.public
    assert bank.public in {authority.key for authority in evidence.authorities}
    fewer = tuple(item for item in evidence.authorities if item.key != bank.public)
    with pytest.raises(TapError) as caught:
        verify_evidence(replace(evidence, authorities=fewer), bench.world.scheme.root)
    assert caught.value.code is Code.UNKNOWN_ISSUER


def test_a_second_signature_cannot_be_taken_for_another_statement() -> None:
    """§5.6-8: a keystore signs it off the tape, and it reads back as it was."""
    bench = Bench()
    keystore = MemoryKeystore(bench.world.scheme, bench.world.draw())
    blank = signed(bench.world.scheme.id, keystore.public, GrantBody(bytes(32), b"", 0, 9, b"", 1, 2))
    grant = blank.sealed(sign_with(keystore, blank))
    bench.trust.verify_statement(grant)
    assert keystore.head.ctr == 0
    assert decode_grant(bench.world.scheme.id, keystore.public, encode_grant(grant)) == grant
    bent = grant._replace(body=grant.body._replace(amount=10))
    other = decode_grant(bench.world.scheme.id, keystore.public, encode_grant(bent))
    with pytest.raises(TapError):
        bench.trust.verify_statement(other)


# What is issued


class Counted:
    def ordinal(self, bank: bytes, key: bytes, quota: int) -> int | None:
        del bank, key, quota
        return 0


def issued(*conditions: Condition, suite: str = "p256") -> str:
    bench = Bench(suite)
    secrets = Secrets(*[bench.world.draw() for _ in range(4)])
    authority = SchemeAuthority(bench.world.suite, secrets, Counted(), EPOCH + 900, 9)
    try:
        authority.token(bytes(8), 5, "CNY", bench.owner.public, EPOCH, EPOCH, EPOCH, 7, conditions)
    except TapError as error:
        return str(error)
    return "issued"


KEY = Bench("p256").shop.public


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        (Condition(8, b""), "BAD_INPUT.*COUNT"),
        (times(0), "BAD_INPUT.*COUNT"),
        (Condition(Rule.COUNT, bytes(4) + b"\1"), "BAD_INPUT.*COUNT"),
        (Condition(9, b""), "UNKNOWN_CONDITION.*where it is"),
        (Condition(10, b""), "UNKNOWN_CONDITION.*what the others spent"),
        (Condition(11, b""), "UNKNOWN_CONDITION.*silence proves nothing"),
        (Condition(12, b""), "UNKNOWN_CONDITION.*code 12"),
        (Condition(0, b""), "UNKNOWN_CONDITION.*code 0"),
        (Condition(Rule.PAYEE, b""), "BAD_INPUT.*PAYEE"),
        (Condition(Rule.PAYEE, KEY[:-1]), "BAD_INPUT.*PAYEE"),
        (Condition(Rule.PAYEE, KEY * 17), "BAD_INPUT.*PAYEE"),
        (Condition(Rule.PAYEE, KEY + bytes(33)), "BAD_KEY"),
        (categories(), "BAD_INPUT.*CATEGORY"),
        (categories(0), "BAD_INPUT.*CATEGORY"),
        (categories(10_000), "BAD_INPUT.*CATEGORY"),
        (categories(*range(1, 18)), "BAD_INPUT.*CATEGORY"),
        (Condition(Rule.CATEGORY, b"\x15"), "BAD_INPUT.*CATEGORY"),
        (Condition(Rule.MERCHANT, b"\x00"), "BAD_INPUT.*MERCHANT"),
        (cap(0), "BAD_INPUT.*CAP"),
        (cap(limits.AMOUNT + 1), "BAD_INPUT.*CAP"),
        (Condition(Rule.CAP, bytes(7)), "BAD_INPUT.*CAP"),
        (window(2, 1), "BAD_INPUT.*WINDOW"),
        (Condition(Rule.WINDOW, bytes(9)), "BAD_INPUT.*WINDOW"),
        (Condition(Rule.PREIMAGE, bytes(31)), "BAD_INPUT.*PREIMAGE"),
        (Condition(Rule.SIGNED, b""), "BAD_INPUT.*SIGNED"),
        (Condition(Rule.SIGNED, KEY * 2), "BAD_INPUT.*SIGNED"),
        (Condition(Rule.SIGNED, bytes(33)), "BAD_KEY"),
    ],
)
def test_what_nothing_can_meet_is_not_issued(condition: Condition, why: str) -> None:
    """§5.6-5, §5.6-11."""
    assert re.match(why, issued(condition))


def test_what_can_be_met_is_issued() -> None:
    """§5.6-11."""
    key = Condition(Rule.SIGNED, KEY)
    every = (Condition(Rule.PAYEE, KEY * 16), categories(*range(1, 17)), MERCHANT, cap(1), window(1, 1), PREIMAGE, key)
    assert issued(times(1), times(2**32 - 1)) == "issued"
    assert issued(*every) == issued(*[MERCHANT] * limits.CONDITIONS) == "issued"
    assert issued(*[MERCHANT] * (limits.CONDITIONS + 1)).startswith("BAD_INPUT")


def test_a_certificate_reads_back() -> None:
    bench = Bench()
    shop = decode_certificate(bench.certificate())
    assert isinstance(shop, WalletCertificate)
    assert (shop.key, shop.category) == (bench.shop.public, GROCER)

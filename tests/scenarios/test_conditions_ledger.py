"""Purpose-bound value at the ledger and in evidence (SPEC §5.6): what breaks a condition does nothing, to anybody."""

from __future__ import annotations

import pytest

from dualtap.errors import Code, TapError
from dualtap.evidence import Fraud, decode_evidence, fork
from dualtap.forms import encode_certificate
from dualtap.issued import Carrier, Condition, Role, Token, WalletCertificate
from dualtap.records import Funded, News
from dualtap.statements import Parent, PresentBody, Side, Span, Transfer, TransferBody
from dualtap.sync import upload_of
from dualtap.verdict import verify_evidence
from dualtap_devices.wallet import Wallet
from tests.mint import Mint

FOOD = Condition(2, b"\x15\x23")
"""For grocers: category 5411."""


class Office(Mint):
    """A mint with a grocer, whose bank certified it as one, and a child with 1000 for food."""

    def __init__(self, *conditions: Condition) -> None:
        super().__init__(seed="office")
        self.child, self.friend, self.grocer = self.wallet(), self.wallet(), self.wallet()
        self.grocer.write(News(self.as_grocer(), (), None, None))
        self.token: Token = self.ledger.issue(self.child.book.key, 1000, self.epoch, self.draw(8), conditions)
        self.child.write(Funded(self.token))
        self.top = Parent(self.ledger.trust.token_id(self.token), Side.TOKEN, 0)
        self.count = 0

    def as_grocer(self) -> WalletCertificate:
        proof = self.sign(self.grocer, PresentBody(bytes(32), initiator=False, epoch=self.epoch))
        return self.authority.certify(
            proof, bytes(32), Carrier.POS, 1, Role.PAY | Role.COLLECT, self.epoch + 300, category=5411
        )

    def spend(self, start: int, end: int, to: bytes, *witness: bytes, by: Wallet | None = None,
              of: Parent | None = None) -> Transfer:  # fmt: skip
        self.count += 2
        body = TransferBody(to, (Span(of or self.top, start, end),), self.epoch, witness)
        return self.sign(by or self.child, body, self.opening(self.count, self.count + 1))

    def tell(self, *transfers: Transfer) -> None:
        """Upload these transfers, in this order, under the certificates of all."""
        certificates = tuple(wallet.book.certificate for wallet in self.wallets)
        upload = upload_of(self.friend.book)._replace(
            tokens=(self.token,), certificates=certificates, transfers=transfers
        )
        self.sync(self.signed_upload(self.friend, upload))

    @property
    def proof(self) -> bytes:
        return encode_certificate(self.grocer.book.certificate)


def test_what_breaks_a_condition_names_nobody_and_moves_nothing() -> None:
    """§5.3-9: it is kept, and its signer neither named nor believed, whoever passes it on."""
    office = Office(FOOD)
    home = office.authority.institution
    broken = office.spend(0, 600, office.friend.book.key)
    there = Parent(broken.id, Side.PAYEE, 0)
    claimed = office.spend(0, 600, home, by=office.friend, of=there)
    good = office.spend(500, 700, office.grocer.book.key, office.proof)
    sold = office.spend(500, 700, home, by=office.grocer, of=Parent(good.id, Side.PAYEE, 0))
    back = office.spend(700, 1000, home)
    for order in ((claimed, broken), (sold, good), (back,)):
        office.tell(*order)
    audit = office.ledger.audit()
    assert not audit.conflicts
    assert {broken.id, claimed.id} <= office.ledger.facts().transfers.keys()
    credits = {(credit.key, credit.amount) for credit in office.store.credits()}
    assert credits == {(office.grocer.book.key, 200), (office.child.book.key, 300)}
    office.ledger.settle(office.token.claim_by + 1)
    leaves = office.store.settled()[office.top.id]
    assert sum(leaf.amount for leaf in leaves if leaf.holder == office.child.book.key) == 800
    office.ledger.audit()


def test_a_refund_is_bound_at_the_ledger_too() -> None:
    """§5.6-1: whether the ledger judges one by one, or all at once as an audit does."""
    office = Office(FOOD)
    sale = office.spend(0, 600, office.grocer.book.key, office.proof)
    refund = office.spend(0, 600, office.child.book.key, by=office.grocer, of=Parent(sale.id, Side.PAYEE, 0))
    mine = Parent(refund.id, Side.PAYEE, 0)
    broken = office.spend(0, 600, office.friend.book.key, of=mine)
    good = office.spend(0, 600, office.grocer.book.key, office.proof, of=mine)
    for transfer in (sale, refund, broken, good):
        office.tell(transfer)
    assert not office.ledger.audit().conflicts
    assert [kid.transfer for kid in office.ledger.world().kids[mine]] == [good.id]


def test_who_spends_bound_value_twice_is_named_by_evidence_that_shows_why_it_was_value() -> None:
    """§5.3-9, §5.6-7: the payee's bank is in the evidence, and nothing that is not needed."""
    office = Office(FOOD)
    one, other = (office.spend(at, at + 300, office.grocer.book.key, office.proof) for at in (0, 200))
    office.tell(one, other)
    (named,) = office.ledger.audit().conflicts
    verdict = verify_evidence(named.evidence, office.scheme.root)
    assert (verdict.key, verdict.fraud) == (office.child.book.key, Fraud.FORK)
    evidence = decode_evidence(named.evidence, office.scheme.root)
    assert len(evidence.authorities) == 2


def test_evidence_needs_two_statements() -> None:
    """§5.3-9: a conflict with what breaks a condition is none."""
    office = Office(FOOD)
    good = office.spend(0, 300, office.grocer.book.key, office.proof)
    broken = office.spend(200, 500, office.grocer.book.key)
    trust, behind = office.ledger.trust, office.child.book.graph
    for transfer in (good, broken):
        behind.put(transfer)
    with pytest.raises(TapError) as caught:
        verify_evidence(fork(trust, behind, good, broken), office.scheme.root)
    assert caught.value.code is Code.CONDITION_UNMET


def test_a_deposit_is_never_refused_for_a_condition() -> None:
    """§5.6-4: whoever holds bound value is credited for it at home."""
    office = Office(FOOD, Condition(4, bytes(7) + b"\x01"), Condition(5, bytes(8)), Condition(6, bytes(32)))
    report = office.settle_in(office.child, deposit=True)
    assert report.deposited == 1000
    assert {(credit.key, credit.amount) for credit in office.store.credits()} == {(office.child.book.key, 1000)}
    office.ledger.audit()

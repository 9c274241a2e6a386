"""Attacks on conditions, authorities and the ledger's order that a review tried: each is tried again here."""

from __future__ import annotations

from dualtap.records import News
from dualtap.statements import Authority, AuthorityCertificate
from dualtap.trust import Trust, issue
from tests.playbook import World


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

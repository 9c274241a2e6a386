"""Whom to believe: what a chain to the root proves, and nothing else."""

from __future__ import annotations

import pytest

from dualtap import limits
from dualtap.errors import Code, TapError
from dualtap.issued import Authority, AuthorityCertificate
from dualtap.trust import Trust, issue
from tests.playbook import EPOCH, TIER, World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def trust(world: World) -> Trust:
    trust = Trust(world.scheme)
    trust.learn(world.authorities)
    trust.adopt(world.header, any_step=True)
    trust.set_policy(world.policy)
    return trust


def bank(world: World, key: bytes) -> AuthorityCertificate:
    certificate = AuthorityCertificate(key, Authority.BANK, 2, 10, EPOCH + 9, b"", b"")
    return issue(world.scheme, world.institution, certificate)


def code_of(caught: pytest.ExceptionInfo[TapError]) -> Code | int:
    return caught.value.code


def test_authorities_are_learnt_in_order(world: World) -> None:
    trust = Trust(world.scheme)
    assert trust.epoch == 0
    assert trust.learn(world.authorities) == world.authorities
    assert trust.learn(world.authorities) == ()
    assert trust.authorities == world.authorities


def test_an_issuer_comes_before_those_whom_it_certifies(world: World) -> None:
    """§7-5."""
    trust = Trust(world.scheme)
    with pytest.raises(TapError) as caught:
        trust.learn(world.authorities[::-1])
    assert code_of(caught) is Code.UNKNOWN_ISSUER
    assert trust.authorities == ()


def test_what_a_chain_to_the_root_does_not_prove(world: World, trust: Trust) -> None:
    """§7-1, §7-5, §7-7."""
    other = World(seed="other")
    signer = world.suite.signer(world.draw())
    by_bank = issue(world.scheme, world.bank, bank(world, signer.public))
    by_institution = issue(
        world.scheme,
        world.institution,
        AuthorityCertificate(signer.public, Authority.INSTITUTION, 2, 0, EPOCH + 9, b"", b""),
    )
    for certificate, code in (
        (by_bank, Code.WRONG_CERTIFICATE),
        (by_institution, Code.WRONG_CERTIFICATE),
        (other.authorities[1], Code.WRONG_CERTIFICATE),
        (world.authority(Authority.INSTITUTION, signer.public)._replace(number=7), Code.BAD_SIGNATURE),
        (bank(world, signer.public)._replace(quota=99), Code.BAD_SIGNATURE),
        (bank(world, signer.public)._replace(issuer=b"none"), Code.UNKNOWN_ISSUER),
    ):
        with pytest.raises(TapError) as caught:
            trust.learn((world.authority(Authority.INSTITUTION, world.draw()), certificate))
        assert code_of(caught) is code
        assert trust.authorities == world.authorities, "all or none"


def test_an_authority_is_renewed_but_its_hint_is_never_taken(
    world: World, trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    """§7-6, §7-8."""
    held = trust.authorities[2]
    renewed = issue(world.scheme, world.institution, held._replace(expires=held.expires + 1))
    assert trust.learn((renewed,)) == (renewed,)
    assert trust.learn((held,)) == (), "an older one replaces nothing"
    assert renewed in trust.authorities
    assert len(trust.authorities) == 3
    signer = world.suite.signer(world.draw())
    monkeypatch.setattr(AuthorityCertificate, "hint", property(lambda _: renewed.issuer))
    with pytest.raises(TapError) as caught:
        trust.learn((world.authority(Authority.INSTITUTION, signer.public),))
    assert code_of(caught) is Code.WRONG_CERTIFICATE


def test_a_bank_that_has_another_issuer_now_is_handed_on_behind_it(world: World, trust: Trust) -> None:
    """§7-4, §7-5: whoever is told in this order believes all of them."""
    signer = world.suite.signer(world.draw())
    institution = world.authority(Authority.INSTITUTION, signer.public)
    held = next(one for one in trust.authorities if one.authority is Authority.BANK)
    moved = issue(world.scheme, signer, held._replace(issuer=institution.hint, expires=held.expires + 1))
    trust.learn((institution, moved))
    told = trust.chain(world.certificate(world.draw()))
    assert [one.hint for one in told] == [institution.hint, held.hint]
    Trust(world.scheme).learn(told)


def test_wallets(world: World, trust: Trust) -> None:
    """§7-1, §7-2, §7-14, §7-16."""
    good = world.certificate(world.draw())
    trust.check_wallet(good, EPOCH)
    trust.check_wallet(good, good.expires)
    for certificate, epoch, code in (
        (good, good.expires + 1, Code.CERTIFICATE_EXPIRED),
        (world.certificate(world.draw(), expires=EPOCH + 99_999), EPOCH + 1000, Code.CERTIFICATE_EXPIRED),
        (good._replace(tier=2), EPOCH, Code.BAD_SIGNATURE),
        (good._replace(issuer=b"none"), EPOCH, Code.UNKNOWN_ISSUER),
        (good._replace(issuer=world.authorities[0].hint), EPOCH, Code.WRONG_CERTIFICATE),
    ):
        with pytest.raises(TapError) as caught:
            trust.check_wallet(certificate, epoch)
        assert code_of(caught) is code
    trust.set_policy(world.ruled(2, hotlist=(good.key,)))
    with pytest.raises(TapError) as caught:
        trust.check_wallet(good, EPOCH)
    assert code_of(caught) is Code.HOTLISTED
    trust.check_genuine(good)


def test_tokens(world: World, trust: Trust) -> None:
    """§7-1, §7-2."""
    token = world.token(world.draw(), 10)
    trust.check_token(token, trust.token_id(token))
    assert trust.issuer_key(world.authorities[0].issuer) == world.scheme.root
    by_bank = issue(world.scheme, world.bank, token)
    for bad, code in (
        (token._replace(amount=11), Code.BAD_SIGNATURE),
        (by_bank, Code.WRONG_CERTIFICATE),
    ):
        with pytest.raises(TapError) as caught:
            trust.check_token(bad, trust.token_id(bad))
        assert code_of(caught) is code
    unknown = token._replace(issuer=b"none")
    with pytest.raises(TapError) as caught:
        trust.token_id(unknown)
    assert code_of(caught) is Code.UNKNOWN_ISSUER
    with pytest.raises(TapError) as caught:
        trust.check_token(unknown, bytes(32))
    assert code_of(caught) is Code.UNKNOWN_ISSUER


def test_the_date_goes_forward_in_bounded_steps(world: World, trust: Trust) -> None:
    """§7-10, §7-11."""
    assert trust.adopt(world.dated(EPOCH + limits.EPOCH_STEP))
    assert not trust.adopt(world.dated(EPOCH))
    assert not trust.adopt(world.dated(EPOCH + limits.EPOCH_STEP))
    assert not trust.adopt(world.dated(EPOCH + limits.EPOCH_STEP, policy=2)), "the same day: not moved"
    with pytest.raises(TapError) as caught:
        trust.adopt(world.dated(EPOCH + 2 * limits.EPOCH_STEP + 1))
    assert code_of(caught) is Code.EPOCH_AHEAD
    assert trust.epoch == EPOCH + limits.EPOCH_STEP


def test_a_date_is_not_beyond_its_signer(world: World, trust: Trust) -> None:
    """§7-9: else the policy in force, by the same key, could not be verified again."""
    last = EPOCH + 999
    with pytest.raises(TapError) as caught:
        trust.adopt(world.dated(last + 1), any_step=True)
    assert code_of(caught) is Code.CERTIFICATE_EXPIRED
    assert trust.adopt(world.dated(last), any_step=True)


@pytest.mark.parametrize("who", ["institution", "bank", "root"])
def test_only_the_policy_key_dates_and_rules(world: World, trust: Trust, who: str) -> None:
    """§7-1, §7-9."""
    signer = {"institution": world.institution, "bank": world.bank, "root": world.root}[who]
    with pytest.raises(TapError) as caught:
        trust.adopt(issue(world.scheme, signer, world.dated(EPOCH + 1)))
    assert code_of(caught) in (Code.WRONG_CERTIFICATE, Code.UNKNOWN_ISSUER)
    with pytest.raises(TapError) as caught:
        trust.set_policy(issue(world.scheme, signer, world.ruled(9)))
    assert code_of(caught) in (Code.WRONG_CERTIFICATE, Code.UNKNOWN_ISSUER)
    assert trust.policy == world.policy


def test_a_policy_replaces_an_older_one(world: World, trust: Trust) -> None:
    """§7-19, §7-21."""
    assert trust.tier(1) == TIER
    assert not trust.set_policy(world.ruled(1, ()))
    assert trust.set_policy(world.ruled(2, ()))
    assert not trust.set_policy(world.policy)
    with pytest.raises(TapError) as caught:
        trust.tier(1)
    assert code_of(caught) is Code.OVER_LIMIT
    with pytest.raises(TapError) as caught:
        Trust(world.scheme).tier(1)
    assert code_of(caught) is Code.OVER_LIMIT
    Trust(world.scheme).check_hotlist(bytes(32))


def test_a_chain_has_issuers_first_and_no_more_than_is_needed(world: World, trust: Trust) -> None:
    """§7-4."""
    trust.learn((world.authority(Authority.INSTITUTION, world.suite.signer(world.draw()).public, 9),))
    certificate = world.certificate(world.draw())
    assert trust.chain(certificate) == world.authorities[1:]
    assert trust.chain(certificate, (world.token(world.draw(), 1),), (certificate,)) == world.authorities[1:]
    assert trust.chain(certificate._replace(issuer=b"none")) == ()

"""Hostile certificates, as a matrix: what is issued, by whom; and chains that bite their own tail.

Rows of ``tests/scenarios/attacks/test_authority.py`` show the rest at a till: other schemes, changed fields, dates,
hotlists, malleable signatures, weak keys.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dualtap import codec, forms
from dualtap.errors import Code, TapError
from dualtap.issued import Authority, AuthorityCertificate, Carrier, Header, Policy, Role, Token, WalletCertificate
from dualtap.statements import Scheme
from dualtap.suite import Signer
from dualtap.trust import Trust, issue, issued_id
from tests.playbook import EPOCH, SUITE_NAMES, TIER, World

LAST = EPOCH + 300
U, W, B = Code.UNKNOWN_ISSUER, Code.WRONG_CERTIFICATE, Code.BAD_SIGNATURE


class Court:
    """A scheme, everybody who has a key in it, and a device that judges."""

    def __init__(self, suite: str) -> None:
        self.world = World(suite, seed="court")
        world = self.world
        stranger, wallet = (world.suite.signer(world.draw()) for _ in range(2))
        self.signers: dict[str, Signer] = {
            "root": world.root, "policy": world.policy_key, "institution": world.institution, "bank": world.bank,
            "wallet": wallet, "stranger": stranger,
        }  # fmt: skip
        self.subject = world.suite.signer(world.draw())
        self.trust = world.wallet().book.trust.copy()

    def authority(self, what: Authority) -> AuthorityCertificate:
        return AuthorityCertificate(self.subject.public, what, 9, 9, LAST, b"", b"")

    def judge(self, what: str, signer: str) -> Code | int | None:
        """Let the device judge what somebody issued; return why it refuses."""
        scheme, by, trust = self.world.scheme, self.signers[signer], self.trust.copy()
        key = self.subject.public

        def token() -> None:
            made = issue(scheme, by, Token(b"12345678", 5, "CNY", key, LAST, LAST, 7, (), b"", b""))
            trust.check_token(made, trust.token_id(made))

        def wallet() -> None:
            blank = WalletCertificate(key, Carrier.CARD, 1, Role.PAY, 0, b"", LAST, 1, b"", b"")
            trust.check_wallet(issue(scheme, by, blank), EPOCH)

        acts: dict[str, Callable[[], Any]] = {
            "policy key": lambda: trust.learn((issue(scheme, by, self.authority(Authority.POLICY)),)),
            "institution": lambda: trust.learn((issue(scheme, by, self.authority(Authority.INSTITUTION)),)),
            "bank": lambda: trust.learn((issue(scheme, by, self.authority(Authority.BANK)),)),
            "wallet": wallet,
            "token": token,
            "header": lambda: trust.adopt(issue(scheme, by, Header(EPOCH + 1, 1, b"", b""))),
            "policy": lambda: trust.set_policy(issue(scheme, by, Policy(9, (TIER,), (), (), b"", b""))),
        }
        try:
            acts[what]()
        except TapError as error:
            return error.code
        return None


SIGNERS = ("root", "policy", "institution", "bank", "wallet", "stranger")
MATRIX: dict[str, tuple[Code | None, ...]] = {
    "policy key": (None, W, W, W, W, W),
    "institution": (None, W, W, W, W, W),
    "bank": (U, W, None, W, U, U),
    "wallet": (U, W, None, None, U, U),
    "token": (U, W, None, W, U, U),
    "header": (U, None, W, W, U, U),
    "policy": (U, None, W, W, U, U),
}
"""What is issued, and what a device says of it by who signed: the root, the policy key, an institution, and so on."""


@pytest.mark.parametrize("suite", SUITE_NAMES)
def test_who_may_issue_what(suite: str) -> None:
    """§7-1, §7-2: seven kinds by six signers, and nothing else is taken."""
    court = Court(suite)
    found = {what: tuple(court.judge(what, signer) for signer in SIGNERS) for what in MATRIX}
    assert found == MATRIX


def pair_of_banks(world: World) -> tuple[AuthorityCertificate, AuthorityCertificate]:
    """Return two authorities of which each certifies the other."""
    one, two = (world.suite.signer(world.draw()) for _ in range(2))

    def by(signer: Signer, key: bytes, what: Authority) -> AuthorityCertificate:
        return issue(world.scheme, signer, AuthorityCertificate(key, what, 1, 1, LAST, b"", b""))

    return by(two, one.public, Authority.INSTITUTION), by(one, two.public, Authority.BANK)


def test_a_loop_proves_nothing_and_ends() -> None:
    """§7-1, §7-5: certificates that certify one another, or themselves, are kept by nobody, in whatever order."""
    world = World(seed="loop")
    trust, known = world.wallet().book.trust, len(world.authorities)
    one, two = pair_of_banks(world)
    own = world.suite.signer(world.draw())
    selves = [
        issue(world.scheme, own, AuthorityCertificate(own.public, what, 1, 1, LAST, b"", b"")) for what in Authority
    ]
    for chain in ((one, two), (two, one), *((item,) for item in selves), (*world.authorities, one, two)):
        with pytest.raises(TapError) as caught:
            trust.learn(chain)
        assert caught.value.code in (U, W)
        assert len(trust.authorities) == known, "of a message, all are kept or none"


@pytest.mark.parametrize(
    ("last", "at", "code"),
    [(EPOCH, EPOCH, None), (EPOCH - 1, EPOCH, Code.CERTIFICATE_EXPIRED), (LAST, LAST + 1, Code.CERTIFICATE_EXPIRED)],
)
def test_a_certificate_is_valid_through_its_last_day(last: int, at: int, code: Code | None) -> None:
    """§7-14: at the edge, on either side."""
    world = World(seed="edge")
    trust = world.wallet().book.trust
    certificate = world.certificate(world.draw(32), expires=last)
    if code is None:
        trust.check_valid(certificate, at)
        return
    with pytest.raises(TapError) as caught:
        trust.check_valid(certificate, at)
    assert caught.value.code is code


def test_an_authority_that_has_expired_certifies_nobody() -> None:
    """§7-16: an institution's expiry is judged for what its bank signed, at the same epoch."""
    world = World(seed="old institution")
    scheme, bank = world.scheme, world.suite.signer(world.draw())
    office = world.suite.signer(world.draw())
    old = issue(scheme, world.root, AuthorityCertificate(office.public, Authority.INSTITUTION, 5, 0, EPOCH, b"", b""))
    young = issue(scheme, office, AuthorityCertificate(bank.public, Authority.BANK, 5, 99, LAST, b"", b""))
    trust = world.wallet().book.trust
    trust.learn((old, young))
    blank = WalletCertificate(world.draw(32), Carrier.CARD, 1, Role.PAY, 0, b"", LAST, 1, b"", b"")
    certificate = issue(scheme, bank, blank)
    trust.check_wallet(certificate, EPOCH)
    with pytest.raises(TapError) as caught:
        trust.check_wallet(certificate, EPOCH + 1)
    assert caught.value.code is Code.CERTIFICATE_EXPIRED


@pytest.mark.parametrize("more", [0, b"", (), "critical"])
def test_a_certificate_with_a_further_field_is_none(more: object) -> None:
    """§5.1-6: there are no extensions, critical or other, and no field is longer than its table says."""
    world = World(seed="fields")
    certificate = world.wallet().book.certificate
    fields = tuple(certificate)
    forms.decode_certificate(codec.pack(fields))
    for bad in (
        (*fields, more),
        fields[:-1],
        certificate._replace(attestation=bytes(33)),
        certificate._replace(key=bytes(34)),
        certificate._replace(signature=bytes(65)),
        certificate._replace(issuer=bytes(5)),
        certificate._replace(expires=2**24 + 1),
        certificate._replace(ordinal=2**32),
        certificate._replace(category=10_000),
        certificate._replace(tier=256),
        (fields[0], 99, *fields[2:]),
        (*fields[:3], 4, *fields[4:]),
    ):
        with pytest.raises(TapError) as caught:
            forms.decode_certificate(codec.pack(tuple(bad)))
        assert caught.value.code is Code.MALFORMED


def test_a_certificate_is_bound_to_its_scheme_and_kind() -> None:
    """§3-16, §4.1-3: the same bytes under another root, or as another kind, have another id."""
    world = World(seed="kinds")
    certificate = world.wallet().book.certificate
    ids = {issued_id(world.scheme, certificate, world.bank.public)}
    for seed in (b"1", b"2"):
        other = Scheme.of(world.suite, world.suite.signer(seed * 32).public)
        ids.add(issued_id(other, certificate, world.bank.public))
        with pytest.raises(TapError):
            Trust(other).check_genuine(certificate)
    assert len(ids) == 3

"""``trust.jsonl``: whose certificate is believed, by whom it was signed, when, and under which policy (SPEC §7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from dualtap.errors import Code
from dualtap.issued import Authority, AuthorityCertificate, Carrier, Header, Policy, Role, WalletCertificate, key_hint
from dualtap.statements import Scheme
from dualtap.suite import SUITES, Suite
from dualtap.trust import issue
from dualtap_conform.curves import P256, Edwards
from dualtap_conform.setup import Json, Object, whole
from dualtap_conform.stage import TODAY, Stage
from dualtap_conform.vector import Vector, error

_NAME = "alice"
Chain = Sequence[AuthorityCertificate]


class Court:
    """A stage, and what is judged on it if nothing else is said."""

    def __init__(self, suite: Suite) -> None:
        self.stage = Stage(suite)
        self.policy_key, self.institution, self.bank = self.stage.authorities
        self.good = self.stage.certificate(_NAME)

    def judge(
        self,
        clauses: tuple[str, ...],
        flag: str,
        comment: str,
        wrong: Code | None = None,
        *,
        certificate: WalletCertificate | None = None,
        authorities: Chain | None = None,
        header: Header | None = None,
        policy: Policy | None = None,
        epoch: int = TODAY,
        bare: bool = False,
    ) -> Vector:
        """Return a question. A ``bare`` device has no policy, and no header but one that is given."""
        stage = self.stage
        chain: list[Json] = [whole(item) for item in (stage.authorities if authorities is None else authorities)]
        given: Object = {
            "root": stage.key("root").hex(),
            "authorities": chain,
            "header": None if bare and header is None else whole(header or stage.header()),
            "policy": None if bare else whole(policy or stage.policy()),
            "certificate": whole(certificate or self.good),
            "epoch": epoch,
        }
        return Vector("certificate", stage.suite.name, clauses, (flag,), comment, given, error(wrong) if wrong else {})


def _right(court: Court) -> Iterator[Vector]:
    stage, judge = court.stage, court.judge
    yield judge(("7-1",), "Basic", "a wallet that a bank certified")
    yield judge(("7-1",), "Basic", "a device without date and policy", bare=True)
    direct = stage.certificate(_NAME, issuer="institution")
    yield judge(("7-1",), "Basic", "a wallet that an institution certified", certificate=direct)
    chain: Chain = (court.policy_key, court.institution)
    yield judge(("7-1", "7-4"), "Basic", "no bank is needed then", certificate=direct, authorities=chain)
    chain = (court.institution, court.bank)
    yield judge(("7-1", "7-4"), "Basic", "no policy key is needed for a certificate", authorities=chain, bare=True)
    chain = (court.institution, court.bank, court.policy_key)
    yield judge(("7-1",), "Basic", "the policy key comes last", authorities=chain)
    yield judge(("7-8",), "Renewal", "every authority twice", authorities=stage.authorities * 2)
    second = stage.authority("second institution", Authority.INSTITUTION, number=2)
    chain = (*stage.authorities, second)
    yield judge(("7-1",), "Basic", "another institution besides", authorities=chain)
    yield judge(("7-20",), "Hotlist", "others are on the hotlist", policy=stage.policy(hotlist=[stage.key("bob")]))
    for carrier in Carrier:
        certificate = stage.certificate(_NAME, carrier=carrier, tier=255, category=9999, role=Role.COLLECT)
        yield judge(("4.3-1",), "Basic", f"a wallet of the form {carrier.name}", certificate=certificate)
    for role in (Role(0), Role.PAY, Role.COLLECT):
        certificate = stage.certificate(_NAME, role=role)
        yield judge(("7-18",), "Basic", f"the role {int(role)}: judged where it plays it", certificate=certificate)
    blank = court.good._replace(attestation=stage.draw("attestation"))
    certificate = issue(stage.scheme, stage.signer("bank"), blank)
    yield judge(("4.3-1",), "Basic", "an attestation", certificate=certificate)


def _expiry(court: Court) -> Iterator[Vector]:
    stage, judge = court.stage, court.judge
    expired = Code.CERTIFICATE_EXPIRED
    long = stage.certificate(_NAME, expires=TODAY + 5000)
    for last, what, found in ((court.good.expires, "the wallet's", None), (TODAY + 900, "its authorities'", long)):
        for epoch, wrong in ((last - 1, None), (last, None), (last + 1, expired), (2**24, expired)):
            day = f"{abs(epoch - last)} days {'before' if epoch < last else 'after'} {what} last epoch"
            yield judge(("7-14", "7-16"), "Expiry", day, wrong, certificate=found, epoch=epoch)
    yield judge(("7-14",), "Expiry", "epoch 0", epoch=0)
    zero = stage.certificate(_NAME, expires=0)
    yield judge(("7-14",), "Expiry", "a wallet that expires with epoch 0, then", certificate=zero, epoch=0)
    yield judge(("7-14",), "Expiry", "the same a day later", expired, certificate=zero, epoch=1)
    never = stage.certificate(_NAME, expires=2**24)
    chain: Chain = (
        court.policy_key,
        stage.authority("institution", Authority.INSTITUTION, expires=TODAY + 10),
        stage.authority("bank", Authority.BANK, "institution", quota=1000, expires=TODAY + 20),
    )
    for epoch, wrong in ((TODAY + 10, None), (TODAY + 11, expired)):
        comment = f"{epoch - TODAY - 10} days after the last epoch of the institution above its bank"
        yield judge(("7-16",), "Chain", comment, wrong, certificate=never, authorities=chain, epoch=epoch)
    chain = (*stage.authorities[:2], stage.authority("bank", Authority.BANK, "institution", expires=TODAY + 5))
    for epoch, wrong in ((TODAY + 5, None), (TODAY + 6, expired)):
        comment = f"{epoch - TODAY - 5} days after its bank's last epoch"
        yield judge(("7-16",), "Chain", comment, wrong, certificate=never, authorities=chain, epoch=epoch)
    direct = stage.certificate(_NAME, issuer="institution", expires=2**24)
    comment = "the bank has expired, but did not sign this"
    yield judge(("7-16",), "Chain", comment, certificate=direct, authorities=chain, epoch=TODAY + 6)
    key = stage.authority("policy", Authority.POLICY, number=0, expires=TODAY + 3)
    chain = (key, court.institution, court.bank)
    for epoch, wrong in ((TODAY + 3, None), (TODAY + 4, expired)):
        comment = f"a header dated {epoch - TODAY - 3} days after the last epoch of the policy key"
        yield judge(("7-9",), "Chain", comment, wrong, authorities=chain, header=stage.header(epoch), bare=True)
    comment = "the policy key has expired since, which takes nothing back"
    header = stage.header(TODAY + 3)
    yield judge(("7-9",), "Chain", comment, authorities=chain, header=header, epoch=TODAY + 4)
    older = stage.authority("bank", Authority.BANK, "institution", quota=1000, expires=TODAY + 5)
    for chain, what in (
        ((*stage.authorities, older), "an older certificate of its bank came later: it replaces none"),
        ((*stage.authorities[:2], older, court.bank), "a newer certificate of its bank replaces the older"),
    ):
        yield judge(("7-8",), "Renewal", what, certificate=never, authorities=chain, epoch=TODAY + 100)


def _issuers(court: Court) -> Iterator[Vector]:
    stage, judge = court.stage, court.judge
    unknown, wrong = Code.UNKNOWN_ISSUER, Code.WRONG_CERTIFICATE
    chain: Chain
    for chain, what in (
        ((), "no authority is known"), (stage.authorities[1:2], "only the institution is known, and not the bank"),
    ):  # fmt: skip
        yield judge(("7-2",), "UnknownIssuer", what, unknown, authorities=chain, bare=True)
    chain = (court.policy_key, court.bank)
    yield judge(("7-2", "7-5"), "UnknownIssuer", "a bank without its institution", unknown, authorities=chain)
    strange = court.good._replace(issuer=b"none")
    yield judge(("7-2",), "UnknownIssuer", "a hint that nobody has", unknown, certificate=strange)
    second = stage.certificate(_NAME, issuer="second bank")
    yield judge(("7-2",), "UnknownIssuer", "a bank that nobody certified", unknown, certificate=second)
    alone = stage.certificate(_NAME, issuer=_NAME)
    yield judge(("7-2",), "UnknownIssuer", "a wallet that certified itself", unknown, certificate=alone)
    by_policy = stage.certificate(_NAME, issuer="policy")
    yield judge(("7-1",), "WrongIssuer", "the policy key certifies a wallet", wrong, certificate=by_policy)
    for name, kind, issuer, what in (
        ("second bank", Authority.BANK, "bank", "a bank certifies a bank"),
        ("second bank", Authority.BANK, "policy", "the policy key certifies a bank"),
        ("second", Authority.INSTITUTION, "institution", "an institution certifies an institution"),
        ("second", Authority.INSTITUTION, "bank", "a bank certifies an institution"),
        ("second", Authority.INSTITUTION, "policy", "the policy key certifies an institution"),
        ("second", Authority.POLICY, "institution", "an institution certifies a policy key"),
        ("second", Authority.POLICY, "policy", "a policy key certifies a policy key"),
    ):
        found = stage.authority(name, kind, issuer)
        chain = (*stage.authorities, found)
        yield judge(("7-1", "7-7"), "WrongIssuer", what, wrong, authorities=chain)
    for signer in ("institution", "bank"):
        header = stage.header(issuer=signer)
        yield judge(("7-1", "7-9"), "WrongIssuer", f"the {signer} signs the date", wrong, header=header)
        policy = issue(stage.scheme, stage.signer(signer), stage.policy())
        yield judge(("7-1",), "WrongIssuer", f"the {signer} signs the policy", wrong, policy=policy)
    header = stage.header(issuer=_NAME)
    yield judge(("7-2", "7-9"), "UnknownIssuer", "a wallet signs the date", unknown, header=header)
    twins = stage.twins
    assert twins[0].hint == twins[1].hint
    chain = (*stage.authorities, twins[0])
    yield judge(("7-6",), "SharedHint", "an institution whose hint another key has too", authorities=chain)
    chain = (*stage.authorities, *twins)
    yield judge(("7-6",), "SharedHint", "two institutions with one hint", wrong, authorities=chain)


def _signatures(court: Court) -> Iterator[Vector]:
    stage, judge, good = court.stage, court.judge, court.good
    bad = Code.BAD_SIGNATURE
    altered = {
        "key": stage.key("bob"), "carrier": Carrier.PHONE, "tier": 2, "role": Role.PAY, "category": 1,
        "attestation": stage.draw("attestation"), "expires": good.expires + 1, "ordinal": good.ordinal + 1,
    }  # fmt: skip
    for name, value in altered.items():
        place = WalletCertificate._fields.index(name)
        found = WalletCertificate._make((*good[:place], value, *good[place + 1 :]))
        yield judge(("4.1-1", "4.3-1"), "Altered", f"its {name} was altered", bad, certificate=found)
    for signature, what in (
        (bytes([good.signature[0] ^ 1]) + good.signature[1:], "its first byte was altered"), (bytes(64), "of zeros"),
        (stage.certificate("bob").signature, "another wallet's"),
        (stage.signer(_NAME).sign(bytes(32)), "the wallet's own"),
    ):  # fmt: skip
        found = good._replace(signature=signature)
        yield judge(("7-1",), "Altered", f"the signature: {what}", bad, certificate=found)
    for hint, what in ((court.institution.hint, "institution"), (key_hint(stage.key("policy")), "policy key")):
        found = good._replace(issuer=hint)
        wrong = bad if what == "institution" else Code.WRONG_CERTIFICATE
        comment = f"it names the {what} in place of the bank that signed it"
        yield judge(("4.3-1", "7-1"), "HintProvesNothing", comment, wrong, certificate=found)
    forged = issue(stage.scheme, stage.signer("bob"), good)._replace(issuer=court.bank.hint)
    yield judge(("4.3-1",), "HintProvesNothing", "anybody's signature under the bank's hint", bad, certificate=forged)
    other = Scheme.of(stage.suite, stage.key("another root"))
    found = issue(other, stage.signer("bank"), good)
    comment = "the same bank signed it, for another scheme"
    yield judge(("3-16", "4.1-1"), "OtherScheme", comment, bad, certificate=found)
    for place, (name, change) in enumerate(_CHANGES):
        item = stage.authorities[place]
        chain = (*stage.authorities[:place], change(item), *stage.authorities[place + 1 :])
        comment = f"the {item.authority.name}'s {name} was altered"
        yield judge(("7-5", "7-7"), "Altered", comment, bad, authorities=chain)
    foreign = issue(other, stage.signer("another root"), court.institution)
    foreign = foreign._replace(issuer=key_hint(stage.key("root")))
    chain = (court.policy_key, foreign, court.bank)
    yield judge(("7-5",), "OtherScheme", "another root certified the institution", bad, authorities=chain)
    header = stage.header()
    for name, value in (("epoch", header.epoch + 1), ("policy", header.policy + 1)):
        fields = zip(header._fields, header, strict=True)
        found_header = Header._make(value if field == name else old for field, old in fields)
        yield judge(("7-9",), "Altered", f"the header's {name} was altered", bad, header=found_header)
    listed = stage.policy(hotlist=[good.key])
    for policy, what in (
        (listed._replace(hotlist=()), "hotlist was emptied"), (listed._replace(version=2), "version was raised"),
        (stage.policy()._replace(authorities=()), "authorities were left out"),
    ):  # fmt: skip
        yield judge(("7-1", "7-19"), "Altered", f"the policy's {what}", bad, policy=policy)


_CHANGES: tuple[tuple[str, Callable[[AuthorityCertificate], AuthorityCertificate]], ...] = (
    ("expires", lambda found: found._replace(expires=found.expires + 1)),
    ("number", lambda found: found._replace(number=found.number + 1)),
    ("quota", lambda found: found._replace(quota=found.quota + 1)),
)
"""What is altered in the policy key's, the institution's and the bank's certificate."""


def _policies(court: Court) -> Iterator[Vector]:
    stage, judge = court.stage, court.judge
    for hotlist, what in (
        ([court.good.key], "its key alone"), ([stage.key("bob"), court.good.key], "its key, after another"),
        ([court.good.key, *(stage.key(f"thief {n}") for n in range(63))], "its key, before 63 others"),
    ):  # fmt: skip
        policy = stage.policy(hotlist=hotlist)
        comment = f"the hotlist holds {what}"
        yield judge(("7-20", "8.1-8"), "Hotlist", comment, Code.HOTLISTED, policy=policy)
    near = court.good.key[:-1] + bytes([court.good.key[-1] ^ 1])
    comment = "the hotlist holds a key that differs in one bit"
    yield judge(("7-20",), "Hotlist", comment, policy=stage.policy(hotlist=[near]))
    empty = stage.policy(authorities=())
    yield judge(("7-3",), "Basic", "the policy names no authority: what is known stays", policy=empty)
    for bad, what in _bad_keys(stage):
        blank = AuthorityCertificate(bad, Authority.INSTITUTION, 9, 0, TODAY + 900, b"", b"")
        found = issue(stage.scheme, stage.signer("root"), blank)
        wallet = court.good._replace(issuer=found.hint)
        chain = (*stage.authorities, found)
        comment = f"the root certified an institution whose key is {what}"
        yield judge(("3-2", "5.1-8"), "AuthorityKey", comment, Code.BAD_KEY, certificate=wallet, authorities=chain)


def _bad_keys(stage: Stage) -> Iterator[tuple[bytes, str]]:
    """Yield keys that decode in a certificate, and that no signature is verified by."""
    other = next(suite for suite in SUITES.values() if suite is not stage.suite)
    yield Stage(other).key("institution"), "of the other suite"
    if stage.suite.number == 1:
        off = next(x for x in range(1, 10) if P256.at(x) is None)
        yield b"\x02" + off.to_bytes(32, "big"), "not on the curve"
        yield b"\x04" + stage.key("institution")[1:], "not compressed"
    else:
        yield (Edwards.P - 1).to_bytes(32, "little"), "of small order"
        yield (Edwards.P + 3).to_bytes(32, "little"), "not canonical"


def vectors() -> Iterator[Vector]:
    """Yield every vector of the file."""
    for suite in SUITES.values():
        court = Court(suite)
        for part in (_right, _expiry, _issuers, _signatures, _policies):
            yield from part(court)

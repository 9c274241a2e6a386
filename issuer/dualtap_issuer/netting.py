"""What each institution holds of the others' value: a function of the ledger alone.

A unit that one institution issued, and that is credited to a wallet of another (whose certificate's chain leads to it),
is a claim of the second on the first. At risk until its token's ``claim_by``, final afterwards, as all credits are
(SPEC §16-7, §16-10). Amounts are minor units.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from dualtap.errors import Code, TapError
from dualtap.issued import Authority
from dualtap.trust import Trust
from dualtap_issuer.facts import Facts
from dualtap_issuer.guarantee import Share
from dualtap_issuer.rules import Credit, Leaf


class Sum(NamedTuple):
    """Minor units: what may still change, and what may not."""

    at_risk: int = 0
    final: int = 0

    def plus(self, other: Sum) -> Sum:
        """Return both together."""
        return Sum(self.at_risk + other.at_risk, self.final + other.final)

    def negated(self) -> Sum:
        """Return what is owed the other way."""
        return Sum(-self.at_risk, -self.final)


class Claim(NamedTuple):
    """What the customers of one institution were credited of another's value, in one currency."""

    currency: str
    creditor: bytes
    debtor: bytes
    sum: Sum


class Position(NamedTuple):
    """What one institution is owed by all the others together, less what it owes them; negative if it owes more."""

    currency: str
    institution: bytes
    sum: Sum


class Netting(NamedTuple):
    """The claims between institutions, and what is left of them: each pair's by itself, and everybody's at once.

    ``pairs`` name the one that is owed first, by its final sum and then by what is at risk. ``positions`` have every
    institution for every currency, and sum to zero.
    """

    claims: tuple[Claim, ...]
    pairs: tuple[Claim, ...]
    positions: tuple[Position, ...]


def homes(facts: Facts, trust: Trust) -> dict[bytes, bytes]:
    """Return the institution of each wallet: that above the first certificate of its key that the ledger saw."""
    found: dict[bytes, bytes] = {}
    for digest in sorted(facts.certificates, key=lambda digest: (facts.seen[digest], digest)):
        certificate = facts.certificates[digest]
        if certificate.key not in found:
            found[certificate.key] = institution_of(trust, certificate.issuer)
    return found


def institution_of(trust: Trust, hint: bytes) -> bytes:
    """Return the key of the institution that an authority is, or belongs to; raise ``UNKNOWN_ISSUER``."""
    found = trust.authority(hint, frozenset({Authority.INSTITUTION, Authority.BANK}), 0)
    return trust.issuer_key(found.issuer) if found.authority is Authority.BANK else found.key


def net(
    facts: Facts,
    trust: Trust,
    credits: Iterable[Credit],
    settled: Mapping[bytes, list[Leaf]],
    shares: Iterable[Share],
    institutions: set[bytes],
) -> Netting:
    """Return the claims and net positions that these credits and settlements make between these institutions.

    Of an overspent token a holder has what the settlement paid it (``shares``): what the token backed, and what the
    guarantee added, both at its issuer's cost. A wallet without a certificate is nobody's customer: what it is credited
    stays with who issued it.
    """
    home = homes(facts, trust)
    owed: dict[tuple[str, bytes, bytes], Sum] = defaultdict(Sum)
    for token, key, sum_ in _credited(credits, settled, shares):
        issued = facts.tokens[token]
        debtor = trust.issuer_key(issued.issuer)
        creditor = home.get(key, debtor)
        if creditor != debtor and sum_ != Sum():
            owed[issued.currency, creditor, debtor] = owed[issued.currency, creditor, debtor].plus(sum_)
    claims = tuple(Claim(*parties, sum_) for parties, sum_ in sorted(owed.items()))
    currencies = sorted({token.currency for token in facts.tokens.values()})
    totals = {(currency, key): Sum() for currency in currencies for key in sorted(institutions)}
    for currency, creditor, debtor, sum_ in claims:
        totals[currency, creditor] = totals[currency, creditor].plus(sum_)
        totals[currency, debtor] = totals[currency, debtor].plus(sum_.negated())
    return Netting(claims, tuple(_pairs(owed)), tuple(Position(*who, sum_) for who, sum_ in totals.items()))


def _credited(
    credits: Iterable[Credit], settled: Mapping[bytes, list[Leaf]], shares: Iterable[Share]
) -> Iterator[tuple[bytes, bytes, Sum]]:
    """Yield each token, who is credited, and how much: a settled token's leaves hold what its deposits credited."""
    for credit in credits:
        if credit.token not in settled:
            yield credit.token, credit.key, Sum(at_risk=credit.amount)
    given = {(one.token, one.holder): one.backed + one.guaranteed for one in shares}
    for token, leaves in settled.items():
        held: Counter[bytes] = Counter()
        for leaf in leaves:
            held[leaf.holder] += leaf.amount
        for holder, amount in held.items():
            yield token, holder, Sum(final=given.get((token, holder), amount))


def _pairs(owed: Mapping[tuple[str, bytes, bytes], Sum]) -> Iterator[Claim]:
    for currency, one, other in sorted({(each, min(a, b), max(a, b)) for each, a, b in owed}):
        there, back = owed.get((currency, one, other), Sum()), owed.get((currency, other, one), Sum())
        left = there.plus(back.negated())
        ahead = (left.final, left.at_risk) >= (0, 0)
        yield Claim(currency, one, other, left) if ahead else Claim(currency, other, one, left.negated())


def check_balanced(found: Netting) -> None:
    """Raise ``LEDGER_CORRUPT`` unless the positions of each currency sum to zero."""
    totals: dict[str, Sum] = defaultdict(Sum)
    for position in found.positions:
        totals[position.currency] = totals[position.currency].plus(position.sum)
    for currency, sum_ in totals.items():
        if sum_ != Sum():
            raise TapError(Code.LEDGER_CORRUPT, f"net positions in {currency} sum to {sum_.at_risk} and {sum_.final}")

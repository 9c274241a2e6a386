"""Purpose-bound value (SPEC §5.6): the conditions that a token may carry, and when a transfer meets them.

They bind every transfer that the token's owner signs, and fall away in the payee's hands. Whether they are met follows
from the signed transfer, what it is cut from and the scheme's authorities alone: payer, payee, later hands, ledgers and
verifiers of evidence judge by this one file, for ever, and agree. What a condition needs to know besides (the payee's
category, a preimage, a second signature) is therefore carried in the transfer's ``witness``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from enum import IntEnum
from functools import cached_property
from typing import Final, NamedTuple

from dualtap import limits
from dualtap.errors import Code, TapError
from dualtap.forms import decode_certificate, decode_grant
from dualtap.issued import Condition, Token, WalletCertificate
from dualtap.renewal import is_renewal
from dualtap.statements import Grant, Transfer
from dualtap.suite import DIGEST, Suite, sha256
from dualtap.trust import Trust


class Rule(IntEnum):
    """The conditions of this version, by their codes. All of a token's conditions must be met."""

    PAYEE = 1
    CATEGORY = 2
    MERCHANT = 3
    CAP = 4
    WINDOW = 5
    PREIMAGE = 6
    SIGNED = 7
    COUNT = 8


NOT_ISSUED: Final[Mapping[int, str]] = {
    9: "a place: no device can prove offline where it is",
    10: "a quota across devices: no device sees offline what the others spent",
    11: "a refund on time-out: offline, silence proves nothing",
}
"""Codes that are reserved, so that an issuer can say why it refuses them."""

_KNOWN = frozenset(int(rule) for rule in Rule)


def understood(conditions: tuple[Condition, ...]) -> bool:
    """Return whether every condition is one of this version's."""
    return not conditions or all(condition.code in _KNOWN for condition in conditions)


def check_understood(conditions: tuple[Condition, ...]) -> None:
    """Raise ``UNKNOWN_CONDITION`` unless every condition is one of this version's."""
    for code, _ in conditions:
        if code not in _KNOWN:
            raise TapError(Code.UNKNOWN_CONDITION, f"code {code}")


def check_issuable(suite: Suite, conditions: tuple[Condition, ...]) -> None:
    """Raise unless these conditions can be issued.

    Raises ``UNKNOWN_CONDITION`` for what cannot be decided offline, saying why, and ``BAD_INPUT`` for a value that no
    transfer could ever meet.
    """
    if len(conditions) > limits.CONDITIONS:
        raise TapError(Code.BAD_INPUT, f"more than {limits.CONDITIONS} conditions")
    for condition in conditions:
        if condition.code in NOT_ISSUED:
            raise TapError(Code.UNKNOWN_CONDITION, NOT_ISSUED[condition.code])
    check_understood(conditions)
    for condition in conditions:
        _check_value(suite, condition)


def _check_value(suite: Suite, condition: Condition) -> None:
    rule, value = Rule(condition.code), condition.value
    match rule:
        case Rule.PAYEE:
            good = bool(_keys(suite, value))
        case Rule.CATEGORY:
            good = bool(_categories(value))
        case Rule.MERCHANT:
            good = not value
        case Rule.CAP:
            good = 0 < _cap(value) <= limits.AMOUNT
        case Rule.WINDOW:
            good = _window(value) is not None
        case Rule.PREIMAGE:
            good = len(value) == DIGEST
        case Rule.SIGNED:
            good = len(_keys(suite, value)) == 1
        case Rule.COUNT:
            good = _count(value) > 0
    if not good:
        raise TapError(Code.BAD_INPUT, f"the value of a {rule.name} condition")
    if rule in (Rule.PAYEE, Rule.SIGNED):
        for key in _keys(suite, value):
            suite.verifier(key)


# Values: what is malformed names nothing, and so is never met


def _keys(suite: Suite, value: bytes) -> tuple[bytes, ...]:
    """Return the 1 to ``LISTED`` public keys in a value, or none."""
    size = suite.public_size
    if len(value) % size or len(value) > size * limits.LISTED:
        return ()
    return tuple(value[place : place + size] for place in range(0, len(value), size))


def _categories(value: bytes) -> tuple[int, ...]:
    """Return the 1 to ``LISTED`` merchant categories in a value (two bytes each, big-endian), or none."""
    if len(value) % 2 or len(value) > 2 * limits.LISTED:
        return ()
    found = tuple(int.from_bytes(value[place : place + 2], "big") for place in range(0, len(value), 2))
    return found if all(0 < category <= 9999 for category in found) else ()


def _cap(value: bytes) -> int:
    """Return the greatest amount in a value (eight bytes, big-endian), in minor units; 0 if it is none."""
    return int.from_bytes(value, "big") if len(value) == 8 else 0


def _window(value: bytes) -> tuple[int, int] | None:
    """Return the first and the last epoch in a value (four bytes each, big-endian), or ``None``."""
    first, last = int.from_bytes(value[:4], "big"), int.from_bytes(value[4:], "big")
    return (first, last) if len(value) == 8 and first <= last else None


def _count(value: bytes) -> int:
    """Return the number of uses in a value (four bytes, big-endian); 0 if it is none."""
    return int.from_bytes(value, "big") if len(value) == 4 else 0


def uses(token: Token) -> int | None:
    """Return how many of a token's first units are uses, for its owner; ``None`` if it is not counted (§5.6-14)."""
    return min([_count(value) for code, value in token.conditions if code == Rule.COUNT], default=None)


# Meeting them


class Here(NamedTuple):
    """What only the two wallets at a tap know: the strictest date, and the basket. Both make them stricter only."""

    epoch: int
    basket: bytes | None


class Bound(NamedTuple):
    """A token with conditions, and how many of its units a transfer of its owner's spends.

    ``use`` is the least of these units that never was in a payee's hands: what a count of uses is judged by.
    """

    token: Token
    amount: int = 0
    use: int = limits.AMOUNT

    def plus(self, start: int, end: int, hops: int) -> Bound:
        """Return this with one span more, cut from a parent with so many hops."""
        return Bound(self.token, self.amount + end - start, self.use if hops else min(self.use, start))


class Case(NamedTuple):
    """What conditions are judged by: a transfer's payee and epoch, what it carries, and what the tap knows."""

    payee: bytes
    epoch: int
    material: tuple[bytes, ...]
    here: Here | None

    @property
    def latest(self) -> int:
        """The epoch by which what has an end is judged."""
        return self.epoch if self.here is None else max(self.epoch, self.here.epoch)


class Way(NamedTuple):
    """One way in which a condition is met: for at most so many units of the token, by these witnesses."""

    most: int
    by: tuple[bytes, ...]


class _Judge:
    """Judges one case. Each signature in it is verified once, however many conditions and tokens ask for it."""

    def __init__(self, trust: Trust, case: Case) -> None:
        self.suite = trust.scheme.suite
        self.case = case
        self._trust = trust
        self._grants: dict[tuple[bytes, bytes], bool] = {}

    @cached_property
    def categorised(self) -> tuple[tuple[bytes, int], ...]:
        """Each witness that certifies the payee, and the category it gives; raises ``UNKNOWN_ISSUER``."""
        return tuple(_categorised(self._trust, self.case))

    def grant(self, key: bytes, item: bytes) -> Grant | None:
        """Return the Grant of this key in a witness, not verified, if there is one."""
        with suppress(TapError):
            return decode_grant(self._trust.scheme.id, key, item)
        return None

    def genuine(self, grant: Grant) -> bool:
        """Return whether a Grant's key signed it."""
        named = (grant.id, grant.signature)
        if named not in self._grants:
            self._grants[named] = _genuine(self._trust, grant)
        return self._grants[named]


def _ways(judge: _Judge, token: bytes, condition: Condition, use: int) -> Iterator[Way]:
    """Yield every way in which one condition of a token (its id) is met; none if it is not, or is unknown.

    ``use`` is as in :class:`Bound`.
    """
    code, value = condition
    suite, case = judge.suite, judge.case
    if code not in _KNOWN:
        return
    match Rule(code):
        case Rule.PAYEE:
            if case.payee in _keys(suite, value):
                yield Way(limits.AMOUNT, ())
        case Rule.CATEGORY:
            listed = _categories(value)
            yield from (Way(limits.AMOUNT, (item,)) for item, found in judge.categorised if found in listed)
        case Rule.MERCHANT:
            if not value:
                yield from (Way(limits.AMOUNT, (item,)) for item, found in judge.categorised if found)
        case Rule.CAP:
            yield Way(_cap(value), ())
        case Rule.WINDOW:
            window = _window(value)
            if window is not None and window[0] <= case.epoch and case.latest <= window[1]:
                yield Way(limits.AMOUNT, ())
        case Rule.PREIMAGE:
            for item in case.material:
                if len(item) <= limits.WITNESS and sha256(item) == value:
                    yield Way(limits.AMOUNT, (item,))
        case Rule.SIGNED:
            yield from _granted(judge, token, value)
        case Rule.COUNT:
            if use < _count(value):
                yield Way(limits.AMOUNT, ())


def _categorised(trust: Trust, case: Case) -> Iterator[tuple[bytes, int]]:
    """Yield each witness that is a certificate of the payee, genuine and not expired, and the category it gives.

    The authorities' own dates are not judged: a renewed certificate of theirs must not change what was once true.
    """
    for item in case.material:
        certificate = _certificate(item)
        if certificate is None or certificate.key != case.payee or case.latest > certificate.expires:
            continue
        try:
            trust.check_genuine(certificate)
        except TapError as error:
            if error.code is Code.UNKNOWN_ISSUER:
                raise  # it may be met: whoever lacks an authority must hear which remedy helps
            continue
        yield item, certificate.category


def _certificate(witness: bytes) -> WalletCertificate | None:
    with suppress(TapError):
        return decode_certificate(witness)
    return None


def _granted(judge: _Judge, token: bytes, key: bytes) -> Iterator[Way]:
    """Yield the ways that Grants of the second signer's key open."""
    for item in judge.case.material:
        grant = judge.grant(key, item)
        if grant is None or grant.body.token != token or not _fits(judge.case, grant) or not judge.genuine(grant):
            continue
        body = grant.body
        if not body.category:
            yield Way(body.amount, (item,))
        else:
            for shown, category in judge.categorised:
                if category == body.category:
                    yield Way(body.amount, (item, shown))


def _fits(case: Case, grant: Grant) -> bool:
    body = grant.body
    basket = body.basket if case.here is None or case.here.basket is None else case.here.basket
    return (
        body.payee in (b"", case.payee)
        and body.first <= case.epoch
        and case.latest <= body.last
        and body.basket in (b"", basket)
    )


def _genuine(trust: Trust, grant: Grant) -> bool:
    try:
        trust.verify_statement(grant)
    except TapError:
        return False
    return True


def allowance(trust: Trust, case: Case, token_id: bytes, token: Token) -> int:
    """Return how many units of a token its owner may spend in one transfer, in this case; 0 if none.

    If it is counted, one of them must be a use (:func:`uses`).
    """
    most, judge = token.amount, _Judge(trust, case)
    for condition in token.conditions:
        most = min(most, max((way.most for way in _ways(judge, token_id, condition, 0)), default=0))
    return most


def witnesses(trust: Trust, case: Case, bound: Mapping[bytes, Bound]) -> tuple[bytes, ...]:
    """Return what a payer must carry of its material, and nothing else; raise ``CONDITION_UNMET``."""
    used: dict[bytes, None] = {}
    judge = _Judge(trust, case)
    for token_id, spent in bound.items():
        for condition in spent.token.conditions:
            first = _met(judge, token_id, condition, spent)[0]
            used.update(dict.fromkeys(first.by))
    return tuple(used)


def _met(judge: _Judge, token: bytes, condition: Condition, spent: Bound) -> list[Way]:
    found = [way for way in _ways(judge, token, condition, spent.use) if way.most >= spent.amount]
    if not found:
        raise TapError(Code.CONDITION_UNMET, _name(condition.code))
    return found


def _name(code: int) -> str:
    return Rule(code).name if code in _KNOWN else f"code {code}"


def check_met(trust: Trust, transfer: Transfer, bound: Mapping[bytes, Bound], here: Here | None) -> None:
    """Raise unless a transfer meets the conditions of its signer's own tokens (by id), and shows nothing else.

    A deposit, a transfer to the institution that issued the token, meets all. Raises ``CONDITION_UNMET``,
    ``UNKNOWN_ISSUER`` where a certificate cannot be judged here, or ``MALFORMED`` for a witness that serves nothing.
    """
    body = transfer.body
    judge = _Judge(trust, Case(body.payee, body.epoch, body.witness, here))
    served: set[bytes] = set()
    for token_id, spent in bound.items():
        if trust.issuer_key(spent.token.issuer) == body.payee:
            continue
        for condition in spent.token.conditions:
            for way in _met(judge, token_id, condition, spent):
                served.update(way.by)
    if len(served) != len(body.witness) and not is_renewal(transfer):
        raise TapError(Code.MALFORMED, "a witness that serves no condition")


def shown_certificates(witness: Iterable[bytes]) -> list[WalletCertificate]:
    """Return the certificates among these witnesses: whoever judges them needs their chains."""
    found = [_certificate(item) for item in witness]
    return [certificate for certificate in found if certificate is not None]

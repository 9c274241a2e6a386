"""Whose certificates a store knows, read by hand: what the checkers of authorities and dates stop at."""

from __future__ import annotations

import hashlib

import pytest

from dualtap import codec
from dualtap_testing.chains import BANK, INSTITUTION, POLICY, Chain
from dualtap_testing.checkers import Checkers, PromiseBroken
from dualtap_testing.reading import Raw
from dualtap_testing.rules import Bounds, Rules
from dualtap_testing.stub import STUB

OFFICE, PARTNER, DATER = b"office" * 5, b"bank" * 8, b"policy" * 5


def hint(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()[:4]


def certified(key: bytes, kind: int, expires: int) -> Raw:
    issuer = hint(OFFICE) if kind == BANK else b"root"
    return (key, kind, 0, 0, expires, issuer, bytes(64))


def scheme(office: int = 20, bank: int = 20, policy: int = 20) -> list[Raw]:
    return [certified(DATER, POLICY, policy), certified(OFFICE, INSTITUTION, office), certified(PARTNER, BANK, bank)]


def dated(epoch: int, key: bytes = DATER) -> Raw:
    return (epoch, 1, hint(key), bytes(64))


def begun() -> Chain:
    chain = Chain()
    own: Raw = (b"", 1, 1, 3, 0, b"", 99, 0, hint(PARTNER), bytes(64))
    assert not chain.read(own, scheme(), dated(10), whole=False)
    return chain


@pytest.mark.parametrize(
    ("authorities", "header", "whole", "said"),
    [
        ([], dated(20), False, ""),
        ([], dated(21), False, "is dated by a policy key whose certificate had ended"),
        (scheme(policy=30), dated(21), False, ""),
        ([], dated(11, OFFICE), False, "is dated by who may not date"),
        (scheme(bank=19), None, False, "takes an older certificate of an authority for a later one"),
        (scheme(office=25), None, True, ""),
        (scheme()[:2], None, True, "has lost an authority"),
    ],
)
def test_what_a_store_takes_of_its_scheme(authorities: list[Raw], header: Raw | None, whole: bool, said: str) -> None:
    """§7-8, §7-9."""
    assert begun().read(None, authorities, header, whole=whole) == said


@pytest.mark.parametrize(("ends", "until"), [((20, 20), 20), ((15, 20), 15), ((20, 16), 16)])
def test_a_bank_lasts_no_longer_than_its_institution(ends: tuple[int, int], until: int) -> None:
    """§7-16, §7-25: and who is below it asks from the day after."""
    chain = Chain()
    own: Raw = (b"", 1, 1, 3, 0, b"", 99, 0, hint(PARTNER), bytes(64))
    chain.read(own, scheme(*ends), dated(10), whole=False)
    assert chain.until(hint(PARTNER)) == until
    assert not chain.asks(until)
    assert chain.asks(until + 1)


@pytest.mark.parametrize("by_tap", [True, False])
def test_an_older_date_moves_nothing_where_a_sync_brings_it(by_tap: bool) -> None:
    """§7-11: an institution without the policy key may know an older one than a tap brought."""
    checkers = Checkers(bytes(32), (OFFICE,), STUB.verifier)
    rules, shelf = Rules(checkers, STUB.verifier), checkers.shelf(b"anna")
    records: list[Raw] = [(1, None, scheme(), dated(12), None), (1, None, (), dated(11), None)]
    journal = [codec.pack(list(one)) for one in records]
    bounds = Bounds(9, 9, 100, 7, 1 << 16)
    rules.read(shelf, journal[:1], bounds)
    rules.by_tap = by_tap
    if by_tap:
        with pytest.raises(PromiseBroken, match="date goes back"):
            rules.read(shelf, journal, bounds)
    else:
        rules.read(shelf, journal, bounds)
        assert rules.date(shelf) == 12

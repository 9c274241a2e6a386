"""Faults of banks (SPEC §4.3-5, §4.3-6, §15-11): an ordinal given to two keys, or one that is not below the quota."""

from __future__ import annotations

from collections import defaultdict
from enum import Enum
from typing import NamedTuple

from dualtap.issued import Authority
from dualtap_issuer.facts import Facts


class Overstep(Enum):
    """What a bank did."""

    TWICE = "ordinal_twice"
    BEYOND = "beyond_quota"


class Fault(NamedTuple):
    """A bank (its key), what it did, the ordinal, and the digests of the certificates that show it, in order."""

    bank: bytes
    overstep: Overstep
    ordinal: int
    certificates: tuple[bytes, ...]


def faults(facts: Facts) -> tuple[Fault, ...]:
    """Return every fault of a bank that its genuine certificates show: a function of the set.

    A key keeps its ordinal when it is certified again, so that one ordinal on one key is none. A bank's quota is the
    greatest that its institution ever certified.
    """
    quotas: dict[bytes, int] = defaultdict(int)
    keys: dict[bytes, bytes] = {}
    for authority in facts.authorities.values():
        if authority.authority is Authority.BANK:
            quotas[authority.hint] = max(quotas[authority.hint], authority.quota)
            keys[authority.hint] = authority.key
    given: dict[tuple[bytes, int], list[bytes]] = defaultdict(list)
    for digest, certificate in facts.certificates.items():
        if certificate.issuer in quotas:
            given[certificate.issuer, certificate.ordinal].append(digest)
    found: list[Fault] = []
    for (hint, ordinal), digests in given.items():
        shown = tuple(sorted(digests))
        if len({facts.certificates[digest].key for digest in shown}) > 1:
            found.append(Fault(keys[hint], Overstep.TWICE, ordinal, shown))
        if ordinal >= quotas[hint]:
            found.append(Fault(keys[hint], Overstep.BEYOND, ordinal, shown))
    return tuple(sorted(found, key=lambda fault: (fault.bank, fault.ordinal, fault.overstep.value)))

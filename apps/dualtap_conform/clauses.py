"""The clauses of SPEC: how many each section has, and which sections bind whom (SPEC §2.1)."""

from __future__ import annotations

from collections.abc import Iterable

from dualtap.states import Part

SECTIONS: dict[str, int] = {
    "1": 7,
    "2.1": 2,
    "3": 16,
    "4.1": 12,
    "4.2": 6,
    "4.3": 8,
    "5.1": 9,
    "5.2": 6,
    "5.3": 9,
    "5.4": 5,
    "5.5": 1,
    "5.6": 15,
    "5.7": 1,
    "6": 18,
    "7": 28,
    "8.1": 15,
    "8.2": 6,
    "8.3": 7,
    "8.4": 5,
    "9": 2,
    "10": 2,
    "10.1": 10,
    "11.1": 4,
    "11.2": 11,
    "11.3": 13,
    "11.4": 9,
    "12": 14,
    "13": 10,
    "14": 30,
    "15": 11,
    "16": 28,
    "17": 6,
    "18": 14,
    "19": 18,
    "19.1": 5,
    "20": 11,
    "20.1": 7,
    "21": 10,
    "22": 16,
    "23": 20,
    "24": 6,
    "25": 6,
    "26": 4,
}
"""The last clause's number, by section."""

_EVERY_WALLET = ("3", "4", "5", "6", "7", "8.2", "9", "10", "11.1", "11.4", "12", "13", "14", "17", "20", "22", "24")
BOUND: dict[Part, tuple[str, ...]] = {
    Part.PAYER: (*_EVERY_WALLET, "8.1-5", "8.4", "11.3"),
    Part.PAYEE: (*_EVERY_WALLET, "8.1", "8.3", "11.2"),
}
"""The sections that bind a part, each with those inside it."""


def place(clause: str) -> tuple[int, ...]:
    """Return what orders clauses as SPEC does: ``10.1-2`` after ``9-1``."""
    section, _, number = clause.rpartition("-")
    return (*(int(item) for item in section.split(".")), 0, int(number))


def all_clauses() -> tuple[str, ...]:
    """Return every clause, in SPEC's order."""
    return tuple(f"{section}-{number}" for section, last in SECTIONS.items() for number in range(1, last + 1))


OTHERS: dict[str, frozenset[str]] = {
    "p256": frozenset({"3-10", "3-11", "3-12"}),
    "ed25519": frozenset({"3-5", "3-6", "3-7", "3-8", "3-9"}),
}
"""The clauses that speak of the other suite, by suite."""


def bound(part: Part) -> tuple[str, ...]:
    """Return the clauses that bind a part, in SPEC's order."""
    sections = BOUND[part]
    return tuple(
        clause
        for clause in all_clauses()
        if any(clause == section or clause.startswith((f"{section}-", f"{section}.")) for section in sections)
    )


def ordered(clauses: Iterable[str]) -> list[str]:
    """Return clauses in SPEC's order."""
    return sorted(clauses, key=place)

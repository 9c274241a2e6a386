"""The ledger's rows: one interface, over SQLite or PostgreSQL (:mod:`dualtap_issuer.sqlite`, ``.postgres``).

What both say in the same SQL stands in three parts: facts and what follows from them (:mod:`dualtap_issuer.index`),
deposits and settlements (``.credits``), and the front door (``.door``). ``.database`` has what a database must offer.
Every table but the few of the front door distributes by a fact's digest, by token or by tape key: :data:`DISTRIBUTION`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Final

from dualtap.errors import Code, TapError
from dualtap_issuer.credits import Credits
from dualtap_issuer.door import Door

DISTRIBUTION: Final = MappingProxyType({
    "fact": "digest", "todo": "batch", "wait": "missing", "deposit": "transfer",
    "renewal": "transfer", "span": "token", "credit": "transfer", "settled": "token", "leaf": "token",
    "share": "token", "liability": "token", "payout": "token",
    "tape": "key", "outcome": "key", "asked": "payee", "certified": "key", "mark": "key", "delivery": "owner",
    "authority": "hint", "successor": "key", "word": "wallet",
})  # fmt: skip
"""The column by which each table distributes: the first of its primary key."""
FRONT_DOOR: Final = frozenset({
    "challenge", "ordinal", "policy", "dated", "closed", "party", "setting", "migration",
})  # fmt: skip
"""Tables that the front door alone reads and writes."""


class Store(Credits, Door):
    """The rows of one ledger. Not for two threads at once; on PostgreSQL, many processes may share one ledger.

    Methods raise ``ISSUER_UNREACHABLE`` or ``LEDGER_CORRUPT`` where the database itself fails.
    """

    @staticmethod
    def open(where: str | Path = ":memory:", *, create: bool = True) -> Store:
        """Open ``sqlite:///path``, a path, ``":memory:"`` or ``postgresql://…``, and bring its tables up to date.

        Raises ``LEDGER_CORRUPT`` for what is no ledger, or is missing and not to be created; ``ISSUER_UNREACHABLE``
        for a server that does not answer; ``BAD_INPUT`` for another kind of URL, or where PostgreSQL's driver is not
        installed.
        """
        scheme, found, rest = str(where).partition("://")
        if not found:
            return _maker("sqlite", "SqliteStore")(where, create)
        match scheme:
            case "sqlite":
                return _maker("sqlite", "SqliteStore")(rest, create)
            case "postgresql" | "postgres":
                return _maker("postgres", "PostgresStore")(str(where), create)
            case _:
                raise TapError(Code.BAD_INPUT, f"{scheme}:// is no store; use sqlite:///path or postgresql://…")


def _maker(module: str, name: str) -> Callable[[str | Path, bool], Store]:
    """Return a store's class, loaded only where it is asked for."""
    found: Callable[[str | Path, bool], Store] = getattr(import_module(f"dualtap_issuer.{module}"), name)
    return found

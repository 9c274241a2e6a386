"""What a simulation need not do twice in one process: verify the same signature, make a new ledger's tables.

Each signature is verified for real, by the real suite, the first time that this process meets it under its key and
digest; what was refused is verified anew each time. Whoever skips a verification is caught as ever: what was never
verified is not remembered.
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from functools import lru_cache

from dualtap.suite import Suite, Verify
from dualtap_issuer.sqlite import SqliteStore

VERIFIED, KEYS = 1 << 15, 1 << 10
"""Signatures and keys that are remembered."""


def remembering(suite: Suite) -> Suite:
    """Return the same suite, which remembers what it verified."""

    @lru_cache(KEYS)
    def loaded(public: bytes) -> Verify:
        return suite.verifier(public)

    @lru_cache(VERIFIED)
    def verified(public: bytes, signature: bytes, digest: bytes) -> None:
        loaded(public)(signature, digest)

    def verifier(public: bytes) -> Verify:
        loaded(public)
        return lambda signature, digest: verified(public, signature, digest)

    return replace(suite, verifier=verifier)


class EmptyStore(SqliteStore):
    """A ledger's rows in memory, of which none is there yet: its tables are a copy of tables that were made once."""

    def __init__(self) -> None:
        super().__init__(":memory:", create=True)

    def _migrate(self) -> None:
        _migrated().backup(self._db)


@lru_cache(1)
def _migrated() -> sqlite3.Connection:
    """Return a database with every migration, and nothing else."""
    return SqliteStore(":memory:", create=True)._db  # pyright: ignore[reportPrivateUsage]

"""A PostgreSQL server of the tests' own, with a schema for each ledger."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from itertools import count

import psycopg

from dualtap_apps.throwaway import server

OPTIONS = "-c fsync=off -c max_connections=40 -c deadlock_timeout=200ms"
"""Nothing here cuts the machine's power: what is tested is processes that die."""


class Postgres:
    """A running server."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._numbers = count(1)
        self._places: dict[str, str] = {}

    def place(self, name: str = ":memory:") -> str:
        """Return the URL of a ledger: of an empty one, or of the one with this name."""
        if name not in self._places or name == ":memory:":
            schema = f"ledger{next(self._numbers)}"
            with psycopg.connect(self.url, autocommit=True) as database:
                database.execute(f"CREATE SCHEMA {schema}".encode())
            self._places[name] = f"{self.url}&options=-csearch_path%3D{schema}"
        return self._places[name]

    def waits(self, name: str) -> bool:
        """Return whether the connection with this application name waits for a lock."""
        with psycopg.connect(self.url, autocommit=True) as database:
            query = "SELECT wait_event_type FROM pg_stat_activity WHERE application_name = %s"
            return database.execute(query, (name,)).fetchone() == ("Lock",)


@contextmanager
def running() -> Generator[Postgres]:
    """Start a server, and stop it at the end."""
    with server(OPTIONS) as url:
        yield Postgres(url)

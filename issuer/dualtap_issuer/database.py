"""What a database must offer, so that a ledger's rows can be kept in it: SQLite or PostgreSQL.

Everything is asked and written in bulk, so that an upload costs a bounded number of queries. Every write is idempotent,
and no constraint refuses a fact: overlap is a query.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.resources import files
from typing import Any, ClassVar

from dualtap.errors import Code, TapError
from dualtap_issuer.rows import TodoRow

Raw = tuple[Any, ...]
"""A row as a driver gives it: its query says what is in it."""


class Database(ABC):
    """The tables of one ledger. Not for two threads at once; on PostgreSQL, many processes may share one ledger.

    Methods raise ``ISSUER_UNREACHABLE`` or ``LEDGER_CORRUPT`` where the database itself fails.
    """

    LOCK: ClassVar[str] = ""
    """What makes a SELECT lock its rows, where there are other writers."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection."""

    @abstractmethod
    def transaction(self, *, alone: bool = False) -> AbstractContextManager[None]:
        """Make everything inside durable, or, up to the last :meth:`publish`, change nothing if it raises.

        ``alone`` waits until no other process is inside one, and keeps them out.
        """

    @abstractmethod
    def snapshot(self) -> AbstractContextManager[None]:
        """Read, inside, everything as it is at one instant, between other processes' transactions, and hold none up."""

    @abstractmethod
    def publish(self, todo: Iterable[TodoRow] = ()) -> bool:
        """Show other processes what was written so far; return whether there may be others.

        Whoever publishes first and looks then, misses no pair: of two processes, the later to publish sees what the
        earlier wrote. ``todo`` stays behind if this process dies before :meth:`finish`.
        """

    @abstractmethod
    def pending(self, digests: Collection[bytes]) -> list[TodoRow]:
        """Return those of these facts of which what follows may not be written, by a process that died or is busy."""

    @abstractmethod
    def unfinished(self) -> list[TodoRow]:
        """Return every such fact."""

    @abstractmethod
    def finish(self, todo: Collection[TodoRow]) -> None:
        """Forget them: what follows is written."""

    @abstractmethod
    def lock(self, name: str) -> None:
        """Keep other processes' holders of this name out until the transaction ends."""

    @abstractmethod
    def ask(self, query: str, wanted: Sequence[Raw] | None = None, values: Sequence[object] = ()) -> list[Raw]:
        """Return a query's rows; ``{wanted}`` in it is a table ``w`` of the wanted rows, columns a, b, c …"""

    @abstractmethod
    def scan(self, query: str) -> Iterator[Raw]:
        """Yield a query's rows, without holding all of them."""

    @abstractmethod
    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Raw]) -> set[object]:
        """Insert rows, in the order of their keys, where they are missing; return the new ones' first column."""

    @abstractmethod
    def size(self) -> int:
        """Return the bytes that this ledger takes on disk."""

    @abstractmethod
    def catalogue(self) -> dict[str, tuple[str, ...]]:
        """Return every table with the columns of its primary key, as the database itself tells it."""


def ones(items: Iterable[bytes]) -> list[Raw]:
    """Return these, each once and in order, as wanted rows of one column."""
    return [(item,) for item in sorted(set(items))]


def migrations(kind: str) -> list[tuple[int, list[str]]]:
    """Return the numbered migrations of one kind of store, in order, each as its statements."""
    folder = files("dualtap_issuer") / "migrations" / kind
    texts = sorted((one.name, one.read_text(encoding="utf-8")) for one in folder.iterdir() if one.name.endswith(".sql"))
    return [(int(name[:4]), [part for part in text.split(";") if part.strip()]) for name, text in texts]


@contextmanager
def explained(where: str, gone: type[Exception], failed: type[Exception]) -> Generator[None]:
    """Turn a driver's errors into typed ones: ``gone`` means that the server, or the disk, does not answer."""
    try:
        yield
    except gone as error:
        raise TapError(Code.ISSUER_UNREACHABLE, f"{where}: {_first_line(error)}") from error
    except failed as error:
        raise TapError(Code.LEDGER_CORRUPT, f"{where}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]

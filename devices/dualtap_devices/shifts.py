"""A till's shifts: every line of its history, kept in a small file beside the wallet, which its log forgets in time.

A wallet's log is compacted and keeps the last lines of its history; this file keeps all, each once. Lines are taken
over whenever the wallet is opened and closed, so that one which a power cut kept out comes in at the next opening. A
torn last line is dropped and written again. Amounts are minor units.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple, cast

from dualtap.book import Book
from dualtap.errors import Code, TapError
from dualtap.standing import Standing
from dualtap_devices.durable import keep_names
from dualtap_devices.small import parsed_text

NAME: Final = "shifts.log"


class Entry(NamedTuple):
    """A line of a shift: a line of the wallet's history, ``opened`` or ``closed``, or how a deposit stands.

    ``at`` is the host's time in seconds, when the line was written here; it proves nothing. ``peer`` is the other
    wallet's key and ``transfer`` the receipt, both in hexadecimal digits; ``epoch`` the wallet's date, or for a
    deposit's standing the epoch until or since which it holds.
    """

    shift: int
    at: int
    what: str
    amount: int = 0
    currency: str = ""
    peer: str = ""
    transfer: str = ""
    epoch: int = 0


class Shifts:
    """The file of one till."""

    def __init__(self, folder: Path) -> None:
        """Read the file; raise ``STORE_FAILED`` if a line that is not the last is damaged."""
        self.path = folder / NAME
        self.entries: list[Entry] = []
        self._good = 0
        if self.path.exists():
            self._read(self.path.read_bytes())

    def _read(self, data: bytes) -> None:
        lines = data.split(b"\n")
        for number, line in enumerate(lines[:-1]):
            entry = _decoded(line)
            if entry is None:
                if number == len(lines) - 2:
                    return  # torn, as what follows the last end of line is: it is written again
                raise TapError(Code.STORE_FAILED, f"{self.path}, line {number + 1} is damaged")
            self.entries.append(entry)
            self._good += len(line) + 1

    @property
    def number(self) -> int:
        """The number of the last shift, from 1; 0 before the first."""
        return max((entry.shift for entry in self.entries), default=0)

    @property
    def is_open(self) -> bool:
        """Whether a shift is going on."""
        return self.number > 0 and not any(one.what == "closed" and one.shift == self.number for one in self.entries)

    def begin(self, at: int) -> int:
        """Open a shift and return its number; raise ``BAD_INPUT`` if one is open."""
        if self.is_open:
            raise TapError(Code.BAD_INPUT, f"shift {self.number} is open; close it first")
        self._append([Entry(self.number + 1, at, "opened")])
        return self.number

    def end(self, at: int) -> int:
        """Close the shift that is open and return its number; raise ``BAD_INPUT`` if none is."""
        if not self.is_open:
            raise TapError(Code.BAD_INPUT, "no shift is open")
        self._append([Entry(self.number, at, "closed")])
        return self.number

    def take(self, book: Book, at: int) -> int:
        """Take over what is new in a wallet's history, and how its deposits stand; return how many lines that is.

        A till that takes money has a shift: without one, a new one begins.
        """
        known = {(entry.what, entry.transfer) for entry in self.entries}
        told = {entry.transfer: entry for entry in self.entries if entry.what.startswith("told ")}
        fresh: list[Entry] = []
        number = self.number if self.is_open else self.number + 1
        for line in book.history:
            if (line.what, line.transfer.hex()) not in known:
                names = (line.peer.hex(), line.transfer.hex())
                fresh.append(Entry(number, at, line.what, line.amount, line.currency, *names, line.epoch))
        for key, stands in book.told.items():
            name, transfer = f"told {stands.standing.name.lower()}", key.hex()
            last = told.get(transfer)
            if last is None or (last.what, last.amount, last.epoch) != (name, stands.amount, stands.epoch):
                fresh.append(Entry(number, at, name, stands.amount, stands.currency, "", transfer, stands.epoch))
        if fresh and not self.is_open:
            fresh.insert(0, Entry(number, at, "opened"))
        self._append(fresh)
        return len(fresh)

    def _append(self, entries: Iterable[Entry]) -> None:
        """Make entries durable, after what is whole in the file; raise ``STORE_FAILED``, with nothing taken in."""
        entries = list(entries)
        data = b"".join(map(_encoded, entries))
        if not data:
            return
        try:
            with open(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
                file.truncate(self._good)
                file.seek(self._good)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if not self._good:
                keep_names(self.path.parent)
        except OSError as error:
            raise TapError(Code.STORE_FAILED, f"{self.path}: {error.strerror or error}") from error
        self._good += len(data)
        self.entries += entries

    def of(self, shift: int) -> list[Entry]:
        """Return the lines of a shift, oldest first; raise ``BAD_INPUT`` if there was none with this number."""
        found = [entry for entry in self.entries if entry.shift == shift]
        if not found:
            raise TapError(Code.BAD_INPUT, f"there is no shift {shift}; the last is {self.number}")
        return found


class Total(NamedTuple):
    """The Z-total of one currency: payments taken and refunds paid, their sums, and what is left.

    A refund that came back, since its payee refused it, is taken off again, in the shift in which it came back.
    ``first`` and ``last`` are the host's times of the first and the last payment, 0 where there was none.
    """

    currency: str
    payments: int
    sum: int
    refunds: int
    refunded: int
    net: int
    first: int
    last: int


def totals(entries: Iterable[Entry], everything: Iterable[Entry]) -> list[Total]:
    """Return the Z-totals of these lines, by currency. ``everything`` knows the refunds of earlier shifts."""
    entries = list(entries)
    paid_back = {entry.transfer for entry in everything if entry.what == "refunded"}
    found: list[Total] = []
    for currency in sorted({one.currency for one in entries if one.what in {"received", "refunded", "restored"}}):
        mine = [one for one in entries if one.currency == currency]
        taken = [one for one in mine if one.what == "received"]
        given = [one for one in mine if one.what == "refunded"]
        undone = [one for one in mine if one.what == "restored" and one.transfer in paid_back]
        times = [one.at for one in taken]
        whole = sum(one.amount for one in taken)
        refunded = sum(one.amount for one in given) - sum(one.amount for one in undone)
        ends = (min(times, default=0), max(times, default=0))
        count = len(given) - len(undone)
        found.append(Total(currency, len(taken), whole, count, refunded, whole - refunded, *ends))
    return found


class Payout(NamedTuple):
    """What became of a shift's deposits in one currency: how much stands how, by the last that the issuer told.

    ``waiting``: nothing was told yet. ``received``, ``at_risk`` and ``final`` are as in SPEC §16-12; ``lost`` is what
    was deposited and is not in a final credit: it was overspent, and no guarantee covered it.
    """

    currency: str
    deposited: int
    waiting: int
    received: int
    at_risk: int
    final: int
    lost: int


def payouts(entries: Iterable[Entry], everything: Iterable[Entry]) -> list[Payout]:
    """Return what became of these lines' deposits, by currency; ``everything`` is all that was ever told."""
    told = {entry.transfer: entry for entry in everything if entry.what.startswith("told ")}
    deposits = {entry.transfer: entry for entry in entries if entry.what == "deposited"}
    found: list[Payout] = []
    for currency in sorted({entry.currency for entry in deposits.values()}):
        sums: dict[str, int] = dict.fromkeys(("deposited", "waiting", "received", "at_risk", "final", "lost"), 0)
        for entry in deposits.values():
            if entry.currency != currency:
                continue
            sums["deposited"] += entry.amount
            last = told.get(entry.transfer)
            standing = "waiting" if last is None else _STANDS.get(last.what, "waiting")
            amount = entry.amount if last is None or standing == "waiting" else last.amount
            sums[standing] += amount
            sums["lost"] += entry.amount - amount if standing == "final" else 0
        found.append(Payout(currency, **sums))
    return found


_STANDS: Final[Mapping[str, str]] = {
    f"told {standing.name.lower()}": standing.name.lower()
    for standing in (Standing.RECEIVED, Standing.AT_RISK, Standing.FINAL)
} | {"told renewed": "final"}


def _encoded(entry: Entry) -> bytes:
    text = json.dumps(entry, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _decoded(line: bytes) -> Entry | None:
    """Return the entry in a line; ``None`` for one that was torn or altered."""
    digits, _, text = line.partition(b" ")
    if digits != b"%08x" % zlib.crc32(text):
        return None
    try:
        fields = parsed_text(text)
    except ValueError:
        return None
    kinds = (int, int, str, int, str, str, str, int)
    if not isinstance(fields, list):
        return None
    given = cast("list[object]", fields)
    if len(given) != len(kinds) or not all(type(one) is kind for one, kind in zip(given, kinds, strict=True)):
        return None
    return Entry(*cast("tuple[int, int, str, int, str, str, str, int]", tuple(given)))

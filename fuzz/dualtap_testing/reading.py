"""Reads a wallet's log and uploads by hand, from SPEC §4 and §12 alone: the checkers believe no code under test.

Nothing here imports the core. A record is taken apart as msgpack; ids and commitments are computed anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias, cast

import msgpack

from dualtap_testing.intervals import minus

Raw: TypeAlias = tuple[Any, ...]
Parent: TypeAlias = tuple[bytes, int, int]
"""What units are cut from: a token or transfer, a side (below) and the place of a span."""
TOKEN, PAYEE, PAYER = 0, 1, 2
TRANSFER, RECEIPT, CLOSE = 32, 33, 34
_ZERO = bytes(32)


class Piece(NamedTuple):
    """Units ``[start, end)`` and what they are cut from."""

    parent: Parent
    start: int
    end: int


class Word(NamedTuple):
    """One statement of a tape. ``place`` is ``(prev, ctr]`` where it is shown, ``request`` what a transfer answers."""

    id: bytes
    kind: int
    key: bytes
    payee: bytes
    pieces: tuple[Piece, ...]
    request: bytes
    accepts: bytes
    """Of a Receipt, the transfer that it accepts."""
    commitment: bytes
    place: tuple[int, int] | None
    renews: bool
    """Whether a deposit asks for fresh tokens in place of its credit."""
    epoch: int
    """Its signer's date."""
    witness: tuple[bytes, ...] = ()
    """What a transfer shows for the conditions of its value."""


class Coin(NamedTuple):
    """A token: whose, how much, until when it can be claimed and spent, who issued it (a hint), how far it travels.

    ``serial`` tells it from others of its issuer; ``conditions`` are codes and values.
    """

    owner: bytes
    amount: int
    claim_by: int
    issuer: bytes
    spend_by: int
    hops: int
    serial: bytes = b""
    conditions: tuple[tuple[int, bytes], ...] = ()


def _sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


_packb = cast("Callable[[object], bytes]", msgpack.Packer().pack)  # pyright: ignore[reportUnknownMemberType]
_unpackb = cast("Callable[..., Raw]", msgpack.unpackb)  # pyright: ignore[reportUnknownMemberType]


def _public(fields: Sequence[object]) -> bytes:
    return _sha(_packb(fields))


@lru_cache(maxsize=512)
def unpack(data: bytes) -> Raw:
    """Return the array in these bytes, as tuples: whoever else looks at the same bytes is given the same."""
    return _unpackb(data, use_list=False, strict_map_key=False, max_array_len=1 << 24)


def pieces(spans: Iterable[Raw]) -> tuple[Piece, ...]:
    """Return the spans of a transfer."""
    return tuple([Piece((parent[0], parent[1], parent[2]), start, end) for parent, start, end in spans])


def _commitment(opening: Raw) -> bytes:
    """Return the commitment that an opening opens (SPEC §4.2-2)."""
    seed, prev, ctr, private, request = opening
    place = _sha(
        _sha(b"place", seed), prev.to_bytes(8, "big"), ctr.to_bytes(8, "big"), _sha(bytes([private[0]]), private[1])
    )
    hidden = _sha(_sha(b"request", seed), request) if request else _ZERO
    return _sha(place, hidden)


def word(scheme: bytes, raw: Raw) -> Word:
    """Return a statement from its whole form: kind, key, body, opening or commitment, signature."""
    said = scheme, _packb(raw[:4])
    found = _words.get(said)
    if found is None:
        if len(_words) >= _KNOWN:
            _words.clear()
        found = _words[said] = _read(scheme, *raw[:4])
    return found


_KNOWN = 1 << 14
_words: dict[tuple[bytes, bytes], Word] = {}
"""By scheme and bytes: one statement is met again in other stores, in snapshots and uploads."""


def _read(scheme: bytes, kind: int, key: bytes, body: Raw, shown: Any) -> Word:
    opened = not isinstance(shown, bytes)
    commitment: bytes = _commitment(shown) if opened else shown
    named = _sha(scheme, bytes([kind]), key, _public(body), commitment)
    place = (shown[1], shown[2]) if opened else None
    if kind == TRANSFER:
        asked = shown[4] if opened else b""
        renews = body[3] == (b"dualtap renewal 1",)
        cut = pieces(body[1])
        return Word(named, kind, key, body[0], cut, asked, b"", commitment, place, renews, body[2], body[3])
    accepts = body[1] if kind == RECEIPT else b""
    return Word(named, kind, key, b"", (), body[0], accepts, commitment, place, False, body[2])


def untaped_id(scheme: bytes, raw: Raw) -> bytes:
    """Return the id of a statement off the tape, from its whole form."""
    return _sha(scheme, bytes([raw[0]]), raw[1], _public(raw[2]), _ZERO)


def coin(raw: Raw) -> Coin:
    """Return what a token says."""
    return Coin(raw[3], raw[1], raw[5], raw[8], raw[4], raw[6], raw[0], raw[7])


def coin_id(scheme: bytes, issuer: bytes, raw: Raw) -> bytes:
    """Return a token's id; ``issuer`` is the whole key of who signed it."""
    return _sha(scheme, b"\x01", issuer, _public(raw[:-2]), _ZERO)


class Question(NamedTuple):
    """A request: the basket and part that it is for, and the transfer accepted; ``None`` while it is open."""

    basket: bytes
    part: int
    outcome: bytes | None
    epoch: int = 0


KEPT = 1_100
"""Days for which the outcome of a request is kept (SPEC §10, §4.1-9)."""


class Shelf:
    """What one store holds, folded from its records: units, transfers in doubt, questions, and all its statements."""

    def __init__(self, scheme: bytes, issuers: dict[bytes, bytes]) -> None:
        self._scheme, self._issuers = scheme, issuers
        self.words: list[Word] = []
        """Every statement that was read, the latest last; the checkers take them away."""
        self.moved: list[bytes] = []
        """Ids of statements that were never signed, and took another place; likewise taken away."""
        self.told: set[bytes] = set()
        """Transfers that an outcome restored, ever."""
        self.funded: dict[bytes, Coin] = {}
        """Tokens that were ever delivered here."""
        self.paid: dict[tuple[bytes, int], set[bytes]] = {}
        """By basket and part, every transfer that was ever accepted."""
        self.dropped = ""
        """What a compacted log has lost of what it must keep (SPEC §12-12)."""
        self._read = 0
        self._tail: Raw = ()
        self.held: dict[Parent, list[tuple[int, int]]] = {}
        self.pending: dict[bytes, Word] = {}
        self.questions: dict[bytes, Question] = {}
        self.coins: dict[bytes, Coin] = {}

    def copy(self) -> Shelf:
        """Return another that has read the same, of another copy of the store."""
        twin = Shelf(self._scheme, self._issuers)
        twin.told, twin.funded, twin.coins = set(self.told), dict(self.funded), dict(self.coins)
        twin.paid = {part: set(transfers) for part, transfers in self.paid.items()}
        twin.held = {parent: list(parts) for parent, parts in self.held.items()}
        twin.pending, twin.questions = dict(self.pending), dict(self.questions)
        twin._read, twin._tail = self._read, self._tail
        return twin

    def read(self, journal: Sequence[bytes]) -> int:
        """Take in what is new in a journal: every record that was ever durable. Return how many that were."""
        new = journal[self._read :]
        for record in new:
            self._take(unpack(record))
        self._read += len(new)
        return len(new)

    def _coin(self, raw: Raw) -> bytes:
        found = coin_id(self._scheme, self._issuers[raw[8]], raw)
        self.coins[found] = coin(raw)
        return found

    def _word(self, raw: Raw) -> Word:
        found = word(self._scheme, raw)
        self.words.append(found)
        return found

    def _take(self, record: Raw) -> None:
        match record:
            case [2, token]:
                named = self._coin(token)
                self.funded[named] = self.coins[named]
                if (named, TOKEN, 0) not in self.held:
                    self.held[named, TOKEN, 0] = [(0, token[1])]
            case [3, request, basket, part, _, _, epoch, _]:
                self.questions[request] = Question(basket, part, None, epoch)
            case [4, statement, message]:
                self._tail = statement
                self._answered(self._word(statement), message)
            case [5, statement, *_]:
                self._tail = statement
                self._sent(self._word(statement))
            case [7, moved, prev, ctr]:
                self._move(moved, prev, ctr)
            case [8, transfer, outcome]:
                self._healed(transfer, self._word(outcome))
            case [9, _, ended, _]:
                for transfer in ended:
                    self.pending.pop(transfer, None)
            case [10, *fields]:
                self._snapshot(tuple(fields))
            case _:
                pass

    def _answered(self, outcome: Word, message: bytes) -> None:
        asked = self.questions[outcome.request]
        self.questions[outcome.request] = asked._replace(outcome=outcome.accepts)
        if outcome.kind == RECEIPT:
            self.paid.setdefault((asked.basket, asked.part), set()).add(outcome.accepts)
            for place, (start, end) in enumerate(_spans_of(unpack(message))):
                self.held[outcome.accepts, PAYEE, place] = [(start, end)]

    def _sent(self, transfer: Word) -> None:
        self.pending[transfer.id] = transfer
        for parent, start, end in transfer.pieces:
            self.held[parent] = minus(self.held.get(parent, []), start, end)

    def _move(self, moved: bytes, prev: int, ctr: int) -> None:
        """The last entry, not signed yet, takes another place: another id."""
        self.moved.append(moved)
        self.pending.pop(moved, None)
        self._tail = (*self._tail[:3], (self._tail[3][0], prev, ctr, *self._tail[3][3:]), self._tail[4])
        again = self._word(self._tail)
        if again.kind == TRANSFER:
            self.pending[again.id] = again

    def _healed(self, transfer: bytes, outcome: Word) -> None:
        sent = self.pending.pop(transfer)
        if outcome.accepts == transfer:
            return
        self.told.add(transfer)
        for place, (_, start, end) in enumerate(sent.pieces):
            self.held[transfer, PAYER, place] = [(start, end)]

    def _snapshot(self, fields: Raw) -> None:
        held, pending, questions = self.held, self.pending, self.questions
        self.held, self.pending, self.questions = {}, {}, {}
        for token in fields[1]:
            self._coin(token)
        for statement in (*fields[2], *[entry[1][1] for entry in fields[3]], *fields[10], *fields[11]):
            self._word(statement)
        for parent, _, start, end in fields[5]:
            self.held.setdefault((parent[0], parent[1], parent[2]), []).append((start, end))
        for statement, *_ in fields[6]:
            sent = self._word(statement)
            self.pending[sent.id] = sent
        for asked, outcome in fields[7]:
            given = None if outcome is None else self._word(outcome).accepts
            self.questions[asked[0]] = Question(asked[1], asked[2], given, asked[5])
        if fields[10]:
            self._tail = fields[10][-1]
        date: int = fields[0][2][0] if fields[0][2] else 0
        lost = {
            "units": {parent: sorted(parts) for parent, parts in held.items() if parts}
            != {parent: sorted(parts) for parent, parts in self.held.items() if parts},
            "a doubt": pending.keys() != self.pending.keys(),
            "an outcome": any(
                self.questions.get(request) != one for request, one in questions.items() if one.epoch + KEPT >= date
            ),
        }
        self.dropped = self.dropped or next((what for what, is_so in lost.items() if is_so), "")


def _spans_of(message: Raw) -> list[tuple[int, int]]:
    """Return the units of each span of a TransferMessage (SPEC §5.2): its third field."""
    return [(start, end) for *_, start, end in message[2]]

"""When value that is bound to a purpose may be paid: SPEC §5.6 judged by hand, from what reading.py reads.

Nothing here imports the core. What binds a transfer is found in :mod:`dualtap_testing.bag`, which calls this.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple, cast

import msgpack

from dualtap_testing.reading import Coin, Raw, Word, unpack, untaped_id

PAYEE, CATEGORY, MERCHANT, CAP, WINDOW, PREIMAGE, SIGNED, COUNT = range(1, 9)
RENEWAL: Final = (b"dualtap renewal 1",)
"""The witnesses of a deposit that asks for fresh tokens (SPEC §14-23)."""
_WALLET, _GRANT = 3, 20
_LISTED, _LONGEST, _NONE = 16, 512, 1 << 60
_packb = cast("Callable[[object], bytes]", msgpack.Packer().pack)  # pyright: ignore[reportUnknownMemberType]


class Tied(NamedTuple):
    """A token that binds its owner, how many of its units one transfer spends, and the least of them that is fresh.

    Fresh are units that never were in a payee's hands.
    """

    coin: Coin
    units: int = 0
    fresh: int = _NONE

    def plus(self, start: int, end: int, hops: int) -> Tied:
        """Return this with one piece more, cut from a parent with so many hands behind it."""
        return Tied(self.coin, self.units + end - start, self.fresh if hops else min(self.fresh, start))


class Here(NamedTuple):
    """What only who is at the tap can judge: the latest date that it knows, and the basket that is paid."""

    today: int
    basket: bytes


class Binding:
    """Judges transfers by the conditions of their signers' own tokens."""

    def __init__(
        self, scheme: bytes, offices: Collection[bytes], banks: Iterable[bytes], verifier: Callable[..., Any]
    ) -> None:
        """``offices`` are the institutions' keys, ``banks`` those of the banks; ``verifier`` is the suite's."""
        self._scheme, self._verifier = scheme, verifier
        self._offices = {hashlib.sha256(key).digest()[:4]: key for key in offices}
        self._authorities = {**self._offices, **{hashlib.sha256(key).digest()[:4]: key for key in banks}}

    def unmet(self, transfer: Word, tied: Mapping[bytes, Tied], here: Here | None = None) -> str:
        """Return which condition a transfer does not meet, or that a witness serves none; empty if all is well.

        ``tied`` are, by id, the tokens with conditions of its signer's own of which it spends units.
        """
        served: set[bytes] = set()
        for named, one in tied.items():
            if self._offices.get(one.coin.issuer) == transfer.payee:
                continue  # a deposit with who signed the token (§5.6-4)
            for code, value in one.coin.conditions:
                ways = [by for most, by in self._ways(transfer, named, one, code, value, here) if most >= one.units]
                if not ways:
                    return f"condition {code} is not met"
                served.update(*ways)
        if len(served) != len(transfer.witness) and transfer.witness != RENEWAL:
            return "a witness serves no condition"
        return ""

    def _ways(
        self, transfer: Word, named: bytes, one: Tied, code: int, value: bytes, here: Here | None
    ) -> list[tuple[int, tuple[bytes, ...]]]:
        """Return how one condition is met: up to how many units, and by which witnesses."""
        free: list[tuple[int, tuple[bytes, ...]]] = [(_NONE, ())]
        shown = self._categories(transfer, here)
        size = len(transfer.payee)
        match code:
            case 1:
                fits = len(value) % size == 0 and len(value) <= _LISTED * size
                return free if fits and transfer.payee in _parts(value, size) else []
            case 2:
                listed = [int.from_bytes(part, "big") for part in _parts(value, 2)]
                fits = len(value) % 2 == 0 and len(listed) <= _LISTED and all(0 < one < 10_000 for one in listed)
                return [(_NONE, (item,)) for item, category in shown if fits and category in listed]
            case 3:
                return [(_NONE, (item,)) for item, category in shown if category and not value]
            case 4:
                return [(int.from_bytes(value, "big"), ())] if len(value) == 8 else []
            case 5:
                first, last = int.from_bytes(value[:4], "big"), int.from_bytes(value[4:], "big")
                return free if len(value) == 8 and first <= transfer.epoch and _latest(transfer, here) <= last else []
            case 6:
                short = [item for item in transfer.witness if len(item) <= _LONGEST]
                return [(_NONE, (item,)) for item in short if hashlib.sha256(item).digest() == value]
            case 7:
                return self._granted(transfer, named, value, shown, here)
            case 8:
                return free if len(value) == 4 and one.fresh < int.from_bytes(value, "big") else []
            case _:
                return []

    def _categories(self, transfer: Word, here: Here | None) -> list[tuple[bytes, int]]:
        """Return the witnesses that certify the payee now, and in which category (§5.6-7)."""
        found: list[tuple[bytes, int]] = []
        for item in transfer.witness:
            raw = _array(item, 10)
            if raw is None or raw[0] != transfer.payee or raw[6] < _latest(transfer, here):
                continue
            issuer = self._authorities.get(raw[8])
            if issuer is not None and self._signed(issuer, _WALLET, raw[:-2], raw[-1]):
                found.append((item, raw[4]))
        return found

    def _granted(
        self, transfer: Word, named: bytes, key: bytes, shown: list[tuple[bytes, int]], here: Here | None
    ) -> list[tuple[int, tuple[bytes, ...]]]:
        """Return what the second signer's Grants among the witnesses allow (§5.6-8, §5.6-10)."""
        found: list[tuple[int, tuple[bytes, ...]]] = []
        for item in transfer.witness:
            raw = _array(item, 8)
            if raw is None:
                continue
            token, payee, category, amount, basket, first, last, signature = raw
            fits = token == named and payee in (b"", transfer.payee)
            fits = fits and first <= transfer.epoch and _latest(transfer, here) <= last
            fits = fits and (here is None or basket in (b"", here.basket))
            if not fits or not self._signed(key, _GRANT, raw[:-1], signature):
                continue
            if not category:
                found.append((amount, (item,)))
            found += [(amount, (item, one)) for one, other in shown if category and other == category]
        return found

    def _signed(self, key: bytes, kind: int, fields: Raw, signature: bytes) -> bool:
        try:
            self._verifier(key)(signature, untaped_id(self._scheme, (kind, key, fields)))
        except Exception:
            return False
        return True


def _latest(transfer: Word, here: Here | None) -> int:
    return transfer.epoch if here is None else max(transfer.epoch, here.today)


def _parts(value: bytes, size: int) -> list[bytes]:
    return [value[place : place + size] for place in range(0, len(value), size)]


def _array(item: bytes, size: int) -> Raw | None:
    """Return the array of this size in a witness, if it is one in its shortest form."""
    try:
        raw = cast("object", unpack(item))
    except Exception:
        return None
    if not isinstance(raw, tuple) or len(item) > _LONGEST:
        return None
    found = cast("Raw", raw)
    return found if len(found) == size and _packb(found) == item else None

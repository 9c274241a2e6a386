"""Who owns whom, read from stores by hand (SPEC §12 and §23): no code under test is believed.

One wallet has one owner at most, as its own store says; what an owner keeps of it is what the wallet had durable first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dualtap_testing.reading import Raw, unpack

UNBIND = 2


class TieBroken(Exception):
    """What the stores say of a tie contradicts itself."""


class Kept(NamedTuple):
    """What an owner keeps of a wallet: the binding's number, and both statements."""

    number: int
    bind: Raw
    own: Raw


@dataclass
class Ties:
    """One key's ties, folded from all records that were ever durable in its store."""

    key: bytes
    owner: bytes = b""
    number: int = 0
    owners: dict[int, bytes] = field(default_factory=dict[int, bytes])
    """Whose each binding of this wallet was, ever."""
    owned: dict[bytes, Kept] = field(default_factory=dict[bytes, Kept])
    released: set[tuple[bytes, int]] = field(default_factory=set[tuple[bytes, int]])
    """Owners that ordered an end of which binding."""
    obeyed: set[tuple[bytes, int]] = field(default_factory=set[tuple[bytes, int]])
    """Orders about this wallet: whose, and their numbers."""
    given: set[tuple[bytes, int]] = field(default_factory=set[tuple[bytes, int]])
    """Orders that this key signed: about whom, and their numbers."""

    @classmethod
    def of(cls, key: bytes, journal: Sequence[bytes]) -> Ties:
        """Read a store; raise :class:`TieBroken` where it lets two own one wallet."""
        found = cls(key)
        for record in map(unpack, journal):
            match record:
                case [17, wallet, number, bind, own]:
                    found._tied(wallet, number, bind, own)
                case [18, [_, signer, [wallet, bind, number, errand, *_], *_]]:
                    found._ordered(signer, wallet, bind, number, errand)
                case _:
                    pass
        return found

    def _tied(self, wallet: bytes, number: int, bind: Raw | None, own: Raw | None) -> None:
        if wallet != self.key:
            self._owned(wallet, number, bind, own)
        elif bind is None:
            if self.owner and (self.owner, number) not in self.released:
                raise TieBroken("a wallet forgets its owner, who did not order it")
            self.owner = b""
        else:
            owner: bytes = bind[2][0]
            if self.owner not in (b"", owner):
                raise TieBroken("a wallet binds itself to another while it has an owner")
            if self.owner and number != self.number:
                raise TieBroken("a wallet binds itself again to its owner, by another number")
            if self.owners.setdefault(number, owner) != owner or number != max(self.owners):
                raise TieBroken("one binding has two owners, or an older number comes again")
            self.owner, self.number = owner, number

    def _ordered(self, signer: bytes, wallet: bytes, bind: int, number: int, errand: int) -> None:
        if signer == self.key:
            self.given.add((wallet, number))
            return
        self.obeyed.add((signer, number))
        if errand == UNBIND:
            self.released.add((signer, bind))

    def _owned(self, wallet: bytes, number: int, bind: Raw | None, own: Raw | None) -> None:
        if bind is None or own is None:
            self.owned.pop(wallet, None)
            return
        (_, signer, (owner, session, counted, _), *_), (_, owns, (whose, again, _), *_) = bind, own
        if (signer, owner, counted) != (wallet, self.key, number) or (owns, whose) != (self.key, wallet):
            raise TieBroken("an owner keeps proofs of another tie")
        if session != again:
            raise TieBroken("an owner keeps proofs of two sessions")
        self.owned[wallet] = Kept(number, bind, own)


def check(wallet: Ties, owners: Sequence[Ties], verify: Callable[[Raw], None]) -> None:
    """Raise :class:`TieBroken` unless every owner keeps of a wallet what was durable there first, and one owns it.

    ``verify`` raises for a statement that is not signed as it says.
    """
    now = [one for one in owners if wallet.key in one.owned and one.owned[wallet.key].number == wallet.number]
    if wallet.owner and any(one.key != wallet.owner for one in now):
        raise TieBroken("two own one wallet")
    for one in owners:
        if any(signer == one.key and (wallet.key, number) not in one.given for signer, number in wallet.obeyed):
            raise TieBroken("a wallet obeyed what its owner does not remember")
        kept = one.owned.get(wallet.key)
        if kept is None:
            continue
        if wallet.owners.get(kept.number) != one.key:
            raise TieBroken("an owner keeps a binding that the wallet never had")
        verify(kept.bind)
        verify(kept.own)

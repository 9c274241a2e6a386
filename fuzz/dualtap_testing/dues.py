"""What institutions owe in the end, as a checker: each pays what it was asked to issue, once, to whom it is due.

It knows the statements that the ledger was told, and whose customer each wallet is; nothing here imports the core.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from dualtap_testing.checkers import Checkers, PromiseBroken
from dualtap_testing.reading import unpack


class Paid(NamedTuple):
    """Units of a settled token that a holder was credited, by a deposit or, where it is empty, without one."""

    coin: bytes
    holder: bytes
    deposit: bytes
    units: int


class Cut(NamedTuple):
    """What a holder of an overspent token was paid of its claim: by the token, and by the guarantee."""

    coin: bytes
    holder: bytes
    backed: int
    guaranteed: int


class Dues:
    """Whose customer each wallet is, and what must follow."""

    def __init__(self, checkers: Checkers, offices: Mapping[bytes, bytes]) -> None:
        """``offices`` are the institutions' keys, by the hint of themselves and of each bank below them."""
        self._checkers, self._told, self._offices = checkers, checkers.told, offices
        self._homes: dict[bytes, bytes] = {}

    def uploaded(self, data: bytes) -> None:
        """Take in a signed upload that the ledger took: the certificates in it."""
        upload = unpack(unpack(data)[0])
        for certificate in (upload[0], *upload[2]):
            if certificate[8] in self._offices:
                self._homes.setdefault(certificate[0], self._offices[certificate[8]])

    def renewed(self, deposit: bytes) -> bool:
        """Whether a fresh token replaced a deposit (SPEC §14-25): its serial says so."""
        serial = hashlib.sha256(b"dualtap renewal" + deposit + b"\0").digest()[:8]
        return any(coin.serial == serial for coin in self._told.coins.values())

    def check(
        self,
        paid: Iterable[Paid],
        cuts: Iterable[Cut],
        claims: Mapping[tuple[bytes, bytes], tuple[int, int]],
        positions: Mapping[bytes, tuple[int, int]],
    ) -> None:
        """Raise unless, once every token is settled, it all adds up.

        ``claims`` are by creditor and debtor what the ledger says that one institution owes another: at risk, and
        final (SPEC §16-20); ``positions`` what each is owed by all others, less what it owes.
        """
        self._handed_in()
        cash, again = self._cash(paid)
        overspent = self._cut(cash, list(cuts))
        self._each_coin(cash, again, overspent)
        self._fresh(again)
        owed: Counter[tuple[bytes, bytes]] = Counter()
        for (coin, holder), units in cash.items():
            debtor = self._offices[self._told.coins[coin].issuer]
            creditor = self._homes.get(holder, debtor)
            if creditor != debtor:
                owed[creditor, debtor] += units
        for pair in {*owed, *claims}:
            at_risk, final = claims.get(pair, (0, 0))
            if at_risk:
                raise PromiseBroken(2, "what institutions owe is still at risk when every token is settled", at_risk)
            if final != owed[pair]:
                more = final - owed[pair]
                raise PromiseBroken(
                    1 if more > 0 else 2, "institutions owe each other another sum than was paid", abs(more)
                )
        for office, (_, final) in positions.items():
            due = sum(units * ((creditor == office) - (debtor == office)) for (creditor, debtor), units in owed.items())
            if final != due:
                raise PromiseBroken(2, "an institution's position is not what it is owed", abs(final - due))

    def _handed_in(self) -> None:
        """An honest wallet hands in to each institution what that one issued (SPEC §14-1)."""
        for one in self._told.transfers.values():
            for parent, _, _ in (
                one.pieces if one.payee in self._told.offices and self._checkers.honest(one.key) else ()
            ):
                source = self._told.source(parent)
                if source is not None and self._offices[self._told.coins[source.coin].issuer] != one.payee:
                    raise PromiseBroken(2, "an honest wallet hands in value to an institution that did not issue it")

    def _cash(self, paid: Iterable[Paid]) -> tuple[Counter[tuple[bytes, bytes]], Counter[bytes]]:
        """Return what each holder has of each token, and the units of each token that fresh ones replaced."""
        cash: Counter[tuple[bytes, bytes]] = Counter()
        again: Counter[bytes] = Counter()
        known: dict[bytes, bool] = {}
        for one in paid:
            hand = self._told.transfers.get(one.deposit)
            if one.deposit not in known:
                known[one.deposit] = hand is not None and hand.renews and self.renewed(one.deposit)
            if known[one.deposit]:
                again[one.coin] += one.units
            else:
                cash[one.coin, one.holder] += one.units
        return cash, again

    def _cut(self, cash: Counter[tuple[bytes, bytes]], cuts: list[Cut]) -> dict[bytes, int]:
        """Bring holders of overspent tokens down to what they were paid; return what each guarantee added."""
        added: dict[bytes, int] = defaultdict(int)
        for one in cuts:
            if (one.coin, one.holder) in cash:
                cash[one.coin, one.holder] = one.backed + one.guaranteed
            added[one.coin] += one.guaranteed
        return added

    def _each_coin(self, cash: Counter[tuple[bytes, bytes]], again: Counter[bytes], added: Mapping[bytes, int]) -> None:
        """Each token is paid whole and once; of an overspent one, no more than it backs and the guarantee adds."""
        total = Counter(again)
        for (spent, _), units in cash.items():
            total[spent] += units
        over = self._told.overspent()
        for named, coin in self._told.coins.items():
            if named in over:
                least, most = 0, coin.amount + added.get(named, 0) + again[named]
            else:
                least = most = coin.amount
            if total[named] > most:
                raise PromiseBroken(1, "more is paid of a token than it is worth", total[named] - most)
            if total[named] < least:
                raise PromiseBroken(2, "less is paid of a token than it is worth", least - total[named])

    def _fresh(self, again: Counter[bytes]) -> None:
        """What an institution issued beyond what it was asked to replaces what itself had issued (SPEC §16-26)."""
        extra: Counter[bytes] = Counter()
        for named, coin in self._told.coins.items():
            if named not in self._checkers.issued:
                extra[self._offices[coin.issuer]] += coin.amount
        for named, units in again.items():
            extra[self._offices[self._told.coins[named].issuer]] -= units
        if any(extra.values()):
            raise PromiseBroken(1, "an institution renewed another sum than it was handed of its own value")

"""How much a payer may still pay: in one epoch, and since its user was last verified (SPEC §22)."""

from __future__ import annotations

from dualtap import limits
from dualtap.errors import Code, TapError
from dualtap.issued import Tier
from dualtap.records import Spent
from dualtap.statements import Transfer, Verification

BY_CHIP = Verification.PIN
"""The least verification that only the keystore can vouch for."""


def check_day(tier: Tier, spent: Spent, epoch: int, amount: int) -> None:
    """Raise ``OVER_LIMIT`` if ``amount`` more is above what may be paid in this epoch, the wallet's date (§22-1)."""
    if tier.day < limits.AMOUNT and today(spent, epoch) + amount > tier.day:
        raise TapError(Code.OVER_LIMIT, "more than this wallet's tier allows for a day")


def today(spent: Spent, epoch: int) -> int:
    """Return the minor units paid in this epoch, the wallet's date (§22-1)."""
    return spent.day if spent.epoch == epoch else 0


def needed(tier: Tier, spent: Spent, amount: int, asked: Verification) -> Verification:
    """Return the least verification to pay ``amount`` with: the payee's, or a PIN above ``unverified`` (§22-5)."""
    limited = tier.unverified < limits.AMOUNT
    return max(asked, BY_CHIP) if limited and spent.unverified + amount > tier.unverified else asked


def paid(spent: Spent, transfer: Transfer, amount: int) -> Spent:
    """Return the sums after a transfer that answers a request, whatever becomes of it."""
    epoch, opening = transfer.body.epoch, transfer.shown()
    day = _sum(amount, today(spent, epoch))
    if opening.private.verification >= BY_CHIP:
        return Spent(epoch, day, 0, opening.ctr)
    return Spent(epoch, day, _sum(spent.unverified, amount), spent.verified)


def given_back(spent: Spent, transfer: Transfer, amount: int) -> Spent:
    """Return the sums after a transfer was found dead, so that nothing was paid by it (§22-3)."""
    opening = transfer.shown()
    day = spent.day - amount if transfer.body.epoch == spent.epoch else spent.day
    counted = opening.private.verification < BY_CHIP and opening.ctr > spent.verified
    unverified = spent.unverified - amount if counted else spent.unverified
    return Spent(spent.epoch, max(0, day), max(0, unverified), spent.verified)


def _sum(*amounts: int) -> int:
    """Return a sum that a record can hold: where no limit is set, it may have grown for years."""
    return min(sum(amounts), limits.AMOUNT)

"""What people are told of a tap, compared with what became of it."""

from __future__ import annotations

from dualtap.errors import Code
from dualtap.events import Report, Result
from dualtap_testing.bag import Bag
from dualtap_testing.checkers import PromiseBroken
from dualtap_testing.reading import Shelf

REASONS = frozenset({
    Code.INSUFFICIENT, Code.OVER_LIMIT, Code.BASKET_PAID, Code.CERTIFICATE_EXPIRED, Code.TOKEN_EXPIRED,
    Code.TOO_MANY_HOPS, Code.TOO_MANY_WARRANTS, Code.HOTLISTED, Code.DOUBLE_SPENT, Code.TAPE_FORKED, Code.TOO_LARGE,
    Code.NOT_A_REFUND, Code.STORE_FULL, Code.DECLINED, Code.CONDITION_UNMET, Code.FROZEN,
})  # fmt: skip
"""Why a tap of two honest devices may end without a payment, where nothing fails."""


def check_told(bag: Bag, report: Report, paid: bool) -> None:
    """Raise unless a person was told what is so; ``paid`` says whether the part that was asked for is paid."""
    if report.code is Code.STORE_FAILED:
        raise PromiseBroken(2, "a wallet contradicts its own log")
    transfer = bag.transfers.get(report.transfer)
    match report.result:
        case Result.PAID | Result.HEALED_PAID | Result.COLLECTED:
            is_so = transfer is not None and bag.accepted(transfer)
        case Result.HEALED_RESTORED:
            is_so = transfer is not None and bag.dead(transfer)
        case Result.DONE:
            is_so = paid
        case Result.NOT_PAID | Result.IN_DOUBT:
            is_so = True
    if not is_so:
        raise PromiseBroken(2, f"a person is told {report.result.value}, and it is not so")


def check_unpaid(report: Report | None, doubts: set[bytes]) -> None:
    """Raise if a payer is told that it has not paid, and is in doubt since this tap: it may have."""
    if report is not None and report.result is Result.NOT_PAID and doubts:
        raise PromiseBroken(2, "a payer that is in doubt is told that it has not paid")


def check_reason(report: Report) -> None:
    """Raise unless a clean tap of two honest devices ended as it may."""
    if report.result is Result.NOT_PAID and report.code not in REASONS:
        name = report.code.name if isinstance(report.code, Code) else report.code
        raise PromiseBroken(4, f"a clean tap of two honest devices ends with {name}")


def check_paid_once(shelves: list[Shelf]) -> None:
    """Raise unless each part of a basket was paid to one key of a device at most (SPEC §11.2-5, §20)."""
    if len(shelves) > 1:
        parts = [part for shelf in shelves for part in shelf.paid]
        if len(parts) != len(set(parts)):
            raise PromiseBroken(7, "two keys of one device were paid for one part of a basket")


def is_paid(shelves: list[Shelf], basket: bytes, part: int) -> bool:
    """Return whether any of these stores has accepted a payment for this part."""
    return any(shelf.paid.get((basket, part)) for shelf in shelves)

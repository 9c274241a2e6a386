"""A command that pays takes several links if one is torn, and pays once all the same."""

from __future__ import annotations

from dualtap.errors import Code, TapError
from dualtap.events import Ask, Consent, Decline, Result
from dualtap_apps.hosting import in_vain
from dualtap_apps.output import note
from dualtap_devices.driver import Driver, Person
from dualtap_devices.wallet import Wallet


class PayingOnce:
    """Watches the taps of one command: nothing is paid by it while an earlier tap of it paid, or may have."""

    def __init__(self, wallet: Wallet) -> None:
        self._wallet, self._before, self._refused = wallet, frozenset(wallet.book.pending), False
        self.taps = list[Driver]()
        """All of them, the last one last; each from before its first event."""

    def only(self, person: Person) -> Person:
        """Return ``person``, who declines without being asked where this command has paid, or may have."""

        def once(ask: Ask) -> Consent | Decline:
            if not self._spent():
                return person(ask)
            self._refused = True
            note("An earlier tap of this command paid, or may have paid: another payment needs another command")
            return Decline()

        return once

    def in_vain(self) -> TapError | None:
        """Return why the last tap leaves the command waiting, as :func:`~.hosting.in_vain`; forget it if it paid
        nothing because an earlier one did."""
        tap, refused, self._refused = self.taps[-1], self._refused, False
        if refused:
            self.taps.pop()
            return TapError(Code.DECLINED)
        return in_vain(tap)

    def _spent(self) -> bool:
        """Return whether a transfer of one of these taps is in doubt, or has arrived."""
        reports = [report for tap in self.taps for report in tap.reports]
        doubted = {report.transfer for report in reports if report.result is Result.IN_DOUBT}
        arrived = {report.transfer for report in reports if report.result is Result.HEALED_PAID}
        return bool(doubted & arrived or set(self._wallet.book.pending) - self._before)

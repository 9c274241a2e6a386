"""Whose person is credited, for good, what a wallet held at ``claim_by`` (SPEC §16-25).

A person who is known has an account at their institution. What such a wallet never deposited is credited there when
its token is settled, unless it has an heir then that can be paid; later orders change nothing. What a wallet without a
known person held stays open: its heir is paid, or whoever presents it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, cast

from dualtap.issued import WalletCertificate
from dualtap_issuer.facts import decode_fact
from dualtap_issuer.guarantee import parted
from dualtap_issuer.insured import Certified
from dualtap_issuer.netting import institution_of
from dualtap_issuer.registry import people_of

if TYPE_CHECKING:
    from dualtap_issuer.ledger import Ledger

WALLETS = 500
"""Wallets of which words are read at once."""


class Accounts:
    """The registry of those to whose person a settlement up to an epoch credits what they held."""

    def __init__(self, ledger: Ledger, epoch: int) -> None:
        self._ledger, self._epoch = ledger, epoch

    def bound(self, keys: Collection[bytes]) -> Collection[bytes]:
        """Return those of these holders whose person is known, and who have no heir that can be paid."""
        known, found = sorted(identified(self._ledger, keys)), set[bytes]()
        for place in range(0, len(known), WALLETS):
            batch = known[place : place + WALLETS]
            people = people_of(self._ledger.store, self._ledger.scheme, self._ledger.institutions, batch)
            home = homes(self._ledger, batch)
            heirs = {key: people.heir(key, home[key], self._epoch - 1) for key in batch}
            found |= {key for key, heir in heirs.items() if not heir or not payable(self._ledger, key, heir)}
        return found


def identified(ledger: Ledger, keys: Collection[bytes]) -> Collection[bytes]:
    """Return those of these wallets whose person is known now, by a certificate of their own."""
    return Certified(ledger.store, ledger.scheme, ledger.terms.anonymous).bound(keys)


def homes(ledger: Ledger, keys: Collection[bytes]) -> dict[bytes, bytes]:
    """Return the institutions above these keys' first certificates, as :func:`dualtap_issuer.netting.homes` does."""
    ledger.trust.refresh(ledger.store)
    found = ledger.store.find([row.certificate for row in ledger.store.certificates(keys)])
    homes: dict[bytes, bytes] = {}
    for fact, _ in sorted(found, key=lambda one: (one[1], one[0].digest)):
        certificate = cast("WalletCertificate", decode_fact(ledger.scheme, fact))
        homes.setdefault(certificate.key, institution_of(ledger.trust, certificate.issuer))
    return homes


def payable(ledger: Ledger, holder: bytes, heir: bytes) -> bool:
    """Return whether an heir can be paid: it is certified, whether or not it has synced, and nobody is named."""
    certified = bool(ledger.store.certificates([heir])) or bool(
        ledger.store.ask("SELECT number FROM ordinal WHERE key = %s", values=(heir,))
    )
    return certified and not ledger.lines.is_named(holder) and not ledger.lines.is_named(heir)


def open_tokens(ledger: Ledger, holder: bytes) -> tuple[list[bytes], bool]:
    """Return the settled tokens of which what a wallet held is still to be paid; and whether a person was credited any.

    Of a token settled before that was recorded, a person was credited who is known now.
    """
    rows = ledger.store.ask(
        "SELECT DISTINCT l.token, s.accounts FROM leaf l CROSS JOIN settled s WHERE s.token = l.token "
        "AND l.holder = %s AND l.lot <> 3 AND NOT EXISTS "
        "(SELECT 1 FROM payout p WHERE p.token = l.token AND p.holder = l.holder) ORDER BY 1",
        values=(holder,),
    )
    size, known = ledger.scheme.suite.public_size, holder in identified(ledger, [holder])
    credited = {token for token, accounts in rows if (known if accounts is None else holder in parted(accounts, size))}
    return [token for token, _ in rows if token not in credited], known or bool(credited)

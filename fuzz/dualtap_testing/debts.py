"""Seeded bugs about several institutions (SPEC §14-1, §16-20, §16-26): wrong lines that no life found with one.

Add one by adding to :data:`DEBTS`.
"""

# What is broken is broken from inside:
# pyright: reportPrivateUsage=false

from __future__ import annotations

from typing import Final

from dualtap_devices import syncing
from dualtap_issuer import netting, renewals
from dualtap_testing.slip import Slip

DEBTS: Final[dict[str, Slip]] = {
    "nobody owes anybody": Slip(
        "what is credited to another institution's customer is no claim", netting.net,
        "home.get(key, debtor)", "debtor",
    ),
    "owed the other way": Slip(
        "a claim stands against the institution whose customer was credited", netting.net,
        "owed[issued.currency, creditor, debtor] = owed[issued.currency, creditor, debtor].plus(sum_)",
        "owed[issued.currency, debtor, creditor] = owed[issued.currency, debtor, creditor].plus(sum_)",
    ),
    "owed what nobody paid": Slip(
        "an institution owes all that was claimed of an overspent token", netting._credited,
        "given.get((token, holder), amount)", "amount",
    ),
    "renewed and owed": Slip(
        "a renewed deposit is owed as well once it is settled", renewals.unspent,
        "if not is_spent(leaf, given)", "",
    ),
    "one office for all": Slip(
        "a wallet hands in all that it holds to one institution", syncing._batches, "if other == key and", "if"
    ),
    "another renews": Slip(
        "whoever takes a sync renews what another institution issued", renewals.renew,
        "ledger.store.take_renewals(office.key)", "ledger.store.take_renewals(max(ledger.institutions))",
    ),
    "still at risk": Slip(
        "what is settled is owed at risk for ever", netting._credited, "Sum(final=given", "Sum(at_risk=given"
    ),
}  # fmt: skip
"""By name."""

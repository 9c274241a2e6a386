"""Seeded bugs of a fourth hand: wrong lines about conditional value, and about limits of tier, owner and issuer.

No life found them before people of a simulated world were given such value (``purposes.py``) and such limits
(``owners.py``), and a checker knew of both (``binding.py``, ``curbs.py``). Add one by adding to :data:`CURBED`.
"""

# What is broken is broken from inside:
# pyright: reportPrivateUsage=false

from __future__ import annotations

from typing import Final

from dualtap import conditions, payer, provenance, select
from dualtap.account import Account
from dualtap.book import Book
from dualtap.compaction import snapshot_of
from dualtap.graph import Graph, check_origins
from dualtap.ties import Ties
from dualtap_devices import rotation
from dualtap_issuer import renewals
from dualtap_issuer.following import Following
from dualtap_testing.slip import Slip

_CONDITIONS: Final = {
    "bound in any hand": Slip(
        "conditions bind whoever holds the value", check_origins,
        "if origin.bound is not None and origin.bound.owner == transfer.key:", "if origin.bound is not None:",
    ),
    "restored is free": Slip(
        "conditions fall away from what comes back", Graph._trace,
        "up.restored + 1, epoch, up.bound)", "up.restored + 1, epoch)",
    ),
    "cap of both": Slip(
        "a cap binds each span, not their sum", conditions.Bound.plus,
        "self.amount + end - start", "max(self.amount, end - start)",
    ),
    "passed on": Slip(
        "uses that were given back, and came back again, count for the ledger as fresh", Following._load,
        "kept = int(row in passed)", "kept = 0",
    ),
    "given back, counts": Slip(
        "uses that were given back count again", conditions.Bound.plus,
        "self.use if hops else min(self.use, start)", "min(self.use, start)",
    ),
    "window by the tape": Slip(
        "what has a last day is judged by its payer's date alone", conditions._ways,
        "case.latest <= window[1]", "case.epoch <= window[1]",
    ),
    "window of any end": Slip(
        "a payee does not judge by what only the tap knows", provenance.verify,
        "check_spans(graph, transfer, trust, Here(accept.epoch, accept.basket))", "check_spans(graph, transfer, trust)",
    ),
    "Grant of any basket": Slip(
        "a Grant for one basket pays another", conditions._fits, "        and body.basket in (b\"\", basket)\n", ""
    ),
    "Grant not verified": Slip(
        "a Grant counts that nobody signed", conditions._granted, " or not judge.genuine(grant)", ""
    ),
    "Grant of any payee": Slip(
        "a Grant for one payee pays another", conditions._fits,
        "        body.payee in (b\"\", case.payee)\n        and body.first", "        body.first",
    ),
    "another's category": Slip(
        "anybody's certificate shows a payee's category", conditions._categorised,
        "certificate.key != case.payee or ", "",
    ),
    "idle witness": Slip(
        "a witness may serve nothing", conditions.check_met,
        "if len(served) != len(body.witness) and not is_renewal(transfer):", "if False:",
    ),
    "deposit is bound": Slip(
        "conditions stand against a deposit", conditions.check_met,
        "if trust.issuer_key(spent.token.issuer) == body.payee:", "if False:",
    ),
    "nobody is a merchant": Slip(
        "a payer does not show who is paid", select._case,
        "(*wanted.material, encode_certificate(wanted.payee))", "wanted.material",
    ),
    "renewed, and free": Slip(
        "a renewal frees value from its conditions", renewals.fresh_tokens,
        "token.conditions if bound else ()", "()",
    ),
    "renewed for longer": Slip(
        "a renewal gives conditional value a later last day", renewals.fresh_tokens,
        "dates = (token.spend_by, token.claim_by) if bound else None", "dates = None",
    ),
}  # fmt: skip

_LIMITS: Final = {
    "frozen, and pays": Slip(
        "a wallet that is turned off pays", Account.check_restraint, "if bound.frozen:", "if False:"
    ),
    "owner's limit": Slip(
        "a wallet pays more at once than its owner lets it", Account.check_restraint,
        "if amount > bound.payment or day:", "if day:",
    ),
    "owner's day": Slip(
        "a wallet pays more in a day than its owner lets it", Account.check_restraint,
        "if amount > bound.payment or day:", "if amount > bound.payment:",
    ),
    "limits at asking": Slip(
        "an owner's limits are not looked at again after a person has agreed", payer.consent,
        '    check_request(context, cast("RequestMessage", context.request_message), asked)\n', "",
    ),
    "day not checked": Slip(
        "a tier's day limits nothing", payer.check_request,
        "    allowance.check_day(tier, book.spent, book.trust.epoch, body.amount)\n", "",
    ),
    "day begins with a sync": Slip(
        "a sync forgets what was paid today", Book._synced,
        "self.since, self.heard, self.witnessed = Since(), [], []",
        "self.since, self.heard, self.witnessed, self.spent = Since(), [], [], type(self.spent)()",
    ),
    "day begins with a compaction": Slip(
        "a compacted log forgets what was paid today", snapshot_of, "account.spent", "type(account.spent)()"
    ),
    "day begins with a key": Slip(
        "a new key forgets what was paid today", rotation._join, "Carried(spent._replace(verified=0))",
        "Carried(type(spent)())",
    ),
    "dead, and paid": Slip(
        "what came back counts as paid today", Book._heal,
        "self.spent = allowance.given_back(self.spent, transfer, amount)", "pass",
    ),
    "order forgotten": Slip(
        "a compacted log forgets its owner's limits", Ties.kept,
        "found += [Ordered(order) for order in self._restraints.values()]", "pass",
    ),
    "limits after the end": Slip(
        "an owner's limits outlast its binding", Ties.apply, "self._restraints.pop(old, None)", "pass"
    ),
    "later is laxer": Slip(
        "of owner's and issuer's limits the later one holds", Ties.restraint,
        "payment, day = min(payment, body.payment), min(day, body.day)", "payment, day = body.payment, body.day",
    ),
}  # fmt: skip

CURBED: Final[dict[str, Slip]] = {**_CONDITIONS, **_LIMITS}
"""By name."""

"""What an audit of a ledger does (SPEC §16-14): it looks at one instant, while syncs go on, and recomputes everything.

What it recomputes is in :mod:`dualtap_issuer.rowcheck` and ``.doorcheck``, its totals in ``.audit``.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, cast

from dualtap_issuer import netting
from dualtap_issuer.audit import Audit, Named, totals, wallet_id
from dualtap_issuer.findings import Finding, refuse
from dualtap_issuer.netting import Netting
from dualtap_issuer.quotas import faults
from dualtap_issuer.renewals import unspent
from dualtap_issuer.rowcheck import examine
from dualtap_issuer.rules import World
from dualtap_issuer.settling import all_shares

if TYPE_CHECKING:
    from dualtap_issuer.ledger import Ledger


def net(ledger: Ledger) -> Netting:
    """Return what the institutions hold of one another's value, audited; raise as :func:`audit`."""
    with _snapshot(ledger):
        world, _ = _audited(ledger)
        credits, settled = unspent(world, ledger.store.settled())
        shares = all_shares(ledger.store)
        found = netting.net(world.facts, world.trust, credits, settled, shares, set(world.institutions))
    netting.check_balanced(found)
    return found


@contextmanager
def _snapshot(ledger: Ledger) -> Generator[None]:
    """See the rows as they are at one instant, at which nothing is half written; others go on writing."""
    with ExitStack() as stack:
        stack.enter_context(ledger.store.snapshot())
        while ledger.store.unfinished():
            stack.close()
            with ledger.store.transaction():
                ledger.resume()
            stack.enter_context(ledger.store.snapshot())
        ledger.trust.refresh(ledger.store)
        yield


def _audited(ledger: Ledger) -> tuple[World, list[Finding]]:
    """Return the world of the facts, in a snapshot, and questions; raise unless it is genuine and rows agree."""
    world, found = examine(ledger.store, ledger.scheme)
    refuse(found)
    return cast("World", world), found


def findings(ledger: Ledger) -> list[Finding]:
    """Recompute everything from the statements, and return every row that differs, with what it is about."""
    with _snapshot(ledger):
        return examine(ledger.store, ledger.scheme)[1]


def audit(ledger: Ledger) -> Audit:
    """Recompute everything from the statements, compare it with the rows, and return the totals.

    It looks at one instant, while syncs go on. Raises ``LEDGER_CORRUPT``, naming the first row that differs, which
    amount it is about, and how many more there are: :func:`findings` has them all.

    SPEC §16-14.
    """
    with _snapshot(ledger):
        world, questions = _audited(ledger)
        named = tuple(
            Named(
                wallet_id(found.key),
                found.fraud.name.lower(),
                ledger.evidence(found),
                tuple([wallet_id(key) for key in ledger.lines.line(found.key)]),
            )
            for found in ledger.conflicts()
        )
        settled = ledger.store.settled()
        found = totals(world, ledger.store.marks(), settled, ledger.terms.currency, named)
        return found._replace(banks=faults(world.facts), questions=tuple(questions))

"""Audits (SPEC §16): everything is recomputed from the statements, and compared with the rows of the store.

:func:`account` is promise 2 of the design: it reads every wallet's store beside the ledger, and counts each unit once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from dualtap.book import Book
from dualtap.evidence import outcome_of
from dualtap.statements import TapeStatement
from dualtap.suite import sha256
from dualtap.trust import Trust
from dualtap_issuer.facts import Facts, asked_fact, certificate_fact, statement_facts, token_fact
from dualtap_issuer.findings import Finding
from dualtap_issuer.marks import Mark, marks_of, overspent
from dualtap_issuer.payouts import paid_out
from dualtap_issuer.quotas import Fault
from dualtap_issuer.renewals import renewals
from dualtap_issuer.rules import EVER, NEVER, Leaf, Lot, World
from dualtap_issuer.words import subject


def wallet_id(key: bytes) -> str:
    """Return the name by which people know a wallet: 16 hexadecimal digits."""
    return sha256(key)[:8].hex()


class Named(NamedTuple):
    """A wallet that cheated: its id, how (a fraud's name), the evidence's bytes, and the ids of its line's keys."""

    wallet_id: str
    kind: str
    evidence: bytes
    line: tuple[str, ...] = ()


class Audit(NamedTuple):
    """What a ledger holds, in minor units of one currency.

    ``settled`` is what deposits credited and what was credited at ``claim_by``; ``at_risk`` is the part of it that is
    provisional; ``outstanding`` is what is still in wallets: issued + overspend - settled. ``renewed`` is what fresh
    tokens were given for: to who deposited it for that, or was paid out what was credited at ``claim_by``. It counts
    neither as settled nor as issued again, so that each unit is counted once.
    ``questions`` are gaps on tapes and ordinals that certificates tell otherwise: they name nobody.
    """

    currency: str
    issued: int
    settled: int
    at_risk: int
    outstanding: int
    overspend: int
    conflicts: tuple[Named, ...]
    banks: tuple[Fault, ...] = ()
    renewed: int = 0
    questions: tuple[Finding, ...] = ()


class Account(NamedTuple):
    """Every unit of one currency, counted once, by what wallets' stores say.

    ``overspend`` is proved by the ledger's evidence, ``unseen`` only by the stores put together: somebody has yet to
    sync. ``held`` is with whoever accepted it, ``in_doubt`` with its payer.
    """

    issued: int
    overspend: int
    unseen: int
    held: int
    in_doubt: int
    settled: int

    @property
    def accounted(self) -> bool:
        """Whether nothing was lost, and nothing came from nowhere."""
        return self.issued + self.overspend + self.unseen == self.held + self.in_doubt + self.settled


def index_of(world: World) -> dict[str, set[tuple[object, ...]]]:
    """Return the rows of every index that facts imply: what :meth:`Store.index` should hold."""
    facts = world.facts
    found: dict[str, set[tuple[object, ...]]] = {
        "span": set(), "asked": set(), "outcome": set(), "tape": set(), "certified": set(),
        "deposit": set(), "authority": set(), "word": set(),
    }  # fmt: skip
    for parent, kids in world.kids.items():
        token = world.token_of(parent)
        found["span"].update((token, *parent, kid.start, kid.end, kid.transfer, kid.place) for kid in kids)
    for key, transfer in facts.transfers.items():
        body = transfer.body
        asked = facts.asked.get(transfer.commitment)
        if asked is not None:
            found["asked"].add((body.payee, asked.request, key))
        if key in world.shaped and body.payee in world.institutions:
            found["deposit"].add((key, int(world.whole_at[key] < NEVER)))
    for key, outcome in facts.outcomes.items():
        found["outcome"].add((outcome.key, outcome.body.request, key, outcome_of(outcome)))
    for statement in facts.statements():
        opening = facts.openings.get(statement.id)
        if opening is not None:
            found["tape"].add((statement.key, opening.prev, opening.ctr, statement.id))
    found["authority"].update((one.hint, key) for key, one in facts.authorities.items())
    found["word"].update((subject(one), key, one.key) for key, one in facts.words.items())
    found["certified"].update((one.key, key) for key, one in facts.certificates.items())
    return found


def overspend_of(world: World, marks: Iterable[Mark], settled: Collection[bytes], currency: str) -> int:
    """Return the units of a currency that marks prove overspent; of a settled token, as of its ``claim_by``."""
    tokens = world.facts.tokens
    found = overspent(world, marks, lambda key: tokens[key].claim_by if key in settled else EVER)
    return sum(sum(named.values()) for key, named in found.items() if tokens[key].currency == currency)


def totals(
    world: World,
    marks: Collection[Mark],
    settled: dict[bytes, list[Leaf]],
    currency: str,
    named: tuple[Named, ...],
) -> Audit:
    """Return the totals of a currency."""
    tokens = {key: token for key, token in world.facts.tokens.items() if token.currency == currency}
    fresh = renewals(world)
    anew = {key for given in fresh.values() for key in given} | paid_out(world, settled)
    renewed = sum(tokens[key].amount for key in anew if key in tokens)
    issued = sum(token.amount for token in tokens.values()) - renewed
    overspend = overspend_of(world, marks, settled, currency)
    final = sum(leaf.amount for key, leaves in settled.items() if key in tokens for leaf in leaves)
    credits = [credit for credit in world.credits() if credit.token in tokens and credit.token not in settled]
    at_risk = sum(credit.amount for credit in credits if credit.transfer not in fresh)
    total = final + sum(credit.amount for credit in credits) - renewed
    return Audit(currency, issued, total, at_risk, issued + overspend - total, overspend, named, renewed=renewed)


def take_store(facts: Facts, trust: Trust, book: Book, epoch: int) -> None:
    """Add what a wallet's store says to a set of facts, also what it has not signed yet: that counts already."""
    graph = book.graph
    for token in graph.tokens.values():
        facts.put(token_fact(trust, token), epoch)
    for certificate in graph.certificates.values():
        facts.put(certificate_fact(trust, certificate), epoch)
    answers = [item.outcome for item in book.questions.values() if item.outcome is not None]
    warrants = list(graph.warrants.values())
    outcomes = [warrant.outcome for warrant in warrants]
    statements: list[TapeStatement] = [*graph.transfers.values(), *book.tape, *answers, *book.heard, *outcomes]
    for statement in statements:
        for fact in statement_facts(statement):
            facts.put(fact, epoch)
    for warrant in warrants:
        facts.put(asked_fact(warrant.opening), epoch)


def account(
    ledger: World,
    marks: Collection[Mark],
    settled: dict[bytes, list[Leaf]],
    stores: World,
    currency: str,
) -> Account:
    """Count every unit of a currency, each once, by the ledger's evidence on one side and all stores on the other.

    ``stores`` is the world of what the ledger and every wallet's store know together (:func:`take_store`). A deposit
    that the ledger has not credited is in doubt.
    """
    credited = {credit.transfer for credit in ledger.credits()}
    held = in_doubt = final = issued = 0
    tokens = ledger.facts.tokens
    known = overspend_of(ledger, marks, settled, currency)
    shown = overspent(stores, marks_of(stores), lambda _: EVER)
    open_ = overspent(ledger, marks, lambda _: EVER)
    unseen = sum(
        sum(named.get(key, {}).values()) * sign
        for key, token in tokens.items()
        if token.currency == currency and key not in settled
        for named, sign in ((shown, 1), (open_, -1))
    )
    for key, token in tokens.items():
        if token.currency != currency:
            continue
        issued += token.amount
        if key in settled:
            final += sum(leaf.amount for leaf in settled[key])
            continue
        for leaf in stores.leaves(key, EVER):
            if leaf.lot is Lot.HELD:
                held += leaf.amount
            elif leaf.lot is Lot.DEPOSITED and leaf.transfer in credited:
                final += leaf.amount
            else:
                in_doubt += leaf.amount
    fresh = {token for given in renewals(ledger).values() for token in given} | paid_out(ledger, settled)
    renewed = sum(token.amount for token in map(ledger.facts.tokens.__getitem__, fresh) if token.currency == currency)
    return Account(issued - renewed, known, unseen, held, in_doubt, final - renewed)

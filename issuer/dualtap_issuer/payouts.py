"""Who is paid what a wallet held at ``claim_by``, in a fresh token, once (SPEC §16-22, §16-23).

A settlement credits a leaf to its holder, for good. What the holder never deposited is paid out to the wallet's heir,
if it was moved, or is lost and bound; and to the wallet itself, if nobody knows its person, when it is presented; or it
was credited to its person (:mod:`dualtap_issuer.accounts`), and is not paid out. The serial follows from the settled
token and the holder: nothing that is ordered, presented or repeated pays it out twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, NamedTuple, cast

from dualtap import limits
from dualtap.errors import Code, TapError
from dualtap.issued import Token, key_hint
from dualtap.statements import Present
from dualtap.suite import sha256
from dualtap_issuer import netting
from dualtap_issuer.accounts import WALLETS, homes, open_tokens, payable
from dualtap_issuer.facts import decode_fact
from dualtap_issuer.ingest import Ingest
from dualtap_issuer.registry import people_of
from dualtap_issuer.rules import Leaf, Lot, World
from dualtap_issuer.settling import Settled
from dualtap_issuer.states import NOTHING, Paid, divided, paid
from dualtap_issuer.store import Store

if TYPE_CHECKING:
    from dualtap_issuer.ledger import Ledger


class PayoutRow(NamedTuple):
    """A ledger settled up to an epoch paid out, by a fresh token, what a wallet held of a settled one."""

    token: bytes
    holder: bytes
    epoch: int
    fresh: bytes


def payout_serial(token: bytes, holder: bytes) -> bytes:
    """Return the serial (8 bytes) of the fresh token that pays out what a holder was credited of a settled token."""
    return sha256(b"dualtap payout" + token + holder)[:8]


def paid_out(world: World, settled: Mapping[bytes, Collection[Leaf]]) -> set[bytes]:
    """Return the fresh tokens that paid out what was held of these settled tokens, and was not deposited.

    They are of the institutions that keep the holders' accounts: others choose what serials they like.
    """
    holders = {
        (token, leaf.holder) for token, held in settled.items() for leaf in held if leaf.lot is not Lot.DEPOSITED
    }
    home = netting.homes(world.facts, world.trust) if holders else {}
    serials = {(key_hint(home[holder]), payout_serial(token, holder)) for token, holder in holders if holder in home}
    return {key for key, token in world.facts.tokens.items() if (token.issuer, token.serial) in serials}


def undeposited(one: Settled, renewed: Collection[bytes]) -> dict[bytes, int]:
    """Return, by holder, what a settlement paid for what was not deposited, in minor units."""
    claims: dict[bytes, dict[bytes, int]] = defaultdict(lambda: defaultdict(int))
    deposits = {leaf.transfer for leaf in one.leaves if leaf.lot is Lot.DEPOSITED}
    for leaf in one.leaves:
        if leaf.transfer not in deposits or leaf.transfer not in renewed:
            claims[leaf.holder][leaf.transfer] += leaf.amount
    whole = {share.holder: Paid(share.backed, share.guaranteed) for share in one.shares}
    found: dict[bytes, int] = {}
    for holder, given in claims.items():
        parts = divided(given, whole.get(holder, Paid(sum(given.values()), 0)))
        found[holder] = payable_of(sum(sum(parts.get(transfer, NOTHING)) for transfer in given.keys() - deposits))
    return {holder: amount for holder, amount in found.items() if amount}


def payable_of(amount: int) -> int:
    """Return what a fresh token pays out of an amount: a guarantee without a cap may add to a whole token's."""
    return min(amount, limits.AMOUNT)


def _deposited(store: Store, token: bytes, holder: bytes) -> set[bytes]:
    """Return the transfers by which a holder deposited what it was credited of a settled token."""
    query = "SELECT l.transfer, l.lot FROM {wanted} CROSS JOIN leaf l WHERE l.token = w.a AND l.holder = w.b"
    return {row[0] for row in store.ask(query, [(token, holder)]) if row[1] == Lot.DEPOSITED}


def pay_heirs(ledger: Ledger, epoch: int) -> int:
    """Pay out what lost and replaced wallets held of all that is settled, by the words seen before an epoch.

    Returns the minor units. Each wallet is a transaction of its own: an interrupted call is gone on with by the next.
    """
    epoch = max(epoch, ledger.store.closed_epoch())
    told = (
        "SELECT DISTINCT l.holder FROM leaf l WHERE l.lot <> 3 AND NOT EXISTS "
        "(SELECT 1 FROM payout p WHERE p.token = l.token AND p.holder = l.holder) "
        "AND l.holder IN (SELECT wallet FROM word) ORDER BY 1"
    )
    rows = ledger.store.ask(told)
    wallets, total = [row[0] for row in rows], 0
    for place in range(0, len(wallets), WALLETS):
        batch = wallets[place : place + WALLETS]
        people = people_of(ledger.store, ledger.scheme, ledger.institutions, batch)
        for wallet in batch:
            heir = people.heir(wallet, ledger.authority.office.key, epoch - 1)
            if heir and _may(ledger, wallet, heir):
                total += _pay(ledger, wallet, ledger.lines.present(heir), epoch, epoch)
    return total


def redeem(ledger: Ledger, proof: Present, epoch: int) -> int:
    """Pay out to a wallet that answered a challenge what it held of tokens that are settled; return the minor units.

    Raises ``REPLAYED_REQUEST``, ``BAD_SIGNATURE``, and ``BAD_INPUT`` for a wallet whose person has it on account,
    that has an heir, that is named, or that is not this institution's. SPEC §16-23.
    """
    ledger.trust.verify_statement(proof)
    key = proof.key
    tokens, credited = open_tokens(ledger, key)
    if credited and not tokens:
        raise TapError(Code.BAD_INPUT, "this wallet's value is on its person's account; an anonymous one's is redeemed")
    people = people_of(ledger.store, ledger.scheme, ledger.institutions, [key])
    if people.heir(key, ledger.authority.office.key):
        raise TapError(Code.BAD_INPUT, "this wallet was lost or replaced: its value is another's")
    if not _may(ledger, key, key):
        raise TapError(Code.BAD_INPUT, "this wallet is not of this institution, or evidence names it")
    with ledger.store.transaction():
        if not ledger.store.take_challenge(proof.body.session):
            raise TapError(Code.REPLAYED_REQUEST, "this challenge was not given, or was answered before")
    closed = ledger.store.closed_epoch()
    return _pay(ledger, key, ledger.lines.present(key), max(epoch, closed), closed)


def _may(ledger: Ledger, holder: bytes, heir: bytes) -> bool:
    """Return whether this institution keeps the holder's account, and nobody is named; the heir must be certified."""
    return homes(ledger, [holder]).get(holder) == ledger.authority.office.key and payable(ledger, holder, heir)


def _pay(ledger: Ledger, holder: bytes, to: bytes, epoch: int, closed: int) -> int:
    """Issue a token at an epoch for each settled token of which a holder was credited what it did not deposit.

    Rows and facts are stamped ``closed``, up to which the ledger has settled: no sync's stamp is lower, so that rows
    stay what facts tell. With today's, a fresh token that another host took in before its midnight would differ.
    """
    store, terms, total = ledger.store, ledger.terms, 0
    with store.transaction():
        store.lock("payout " + holder.hex())
        tokens, _ = open_tokens(ledger, holder)
        facts = {fact.digest: cast("Token", decode_fact(ledger.scheme, fact)) for fact, _ in store.find(tokens)}
        ingest, issued = Ingest(store, ledger.trust, ledger.institutions, closed), set[bytes]()
        for token, known in sorted(facts.items()):
            given, deposits = paid(store, ledger.scheme, holder, [token]), _deposited(store, token, holder)
            amount = payable_of(sum(sum(part) for transfer, part in given.items() if transfer not in deposits))
            if not amount:
                continue
            last = epoch + terms.spend
            serial = payout_serial(token, holder)
            fresh = ledger.authority.office.token(
                serial, amount, known.currency, to, epoch, last, last + terms.grace, terms.hops
            )
            row = PayoutRow(token, holder, closed, ledger.trust.token_id(fresh))
            if row.fresh in issued or store.has(row.fresh):
                continue  # of one serial and all else alike they would be one token: the next settlement's dates differ
            issued.add(row.fresh)
            store.insert("payout", PayoutRow._fields, [row])
            store.put_delivery(to, row.fresh)
            ingest.token(fresh)
            total += amount
        ingest.finish()
    return total

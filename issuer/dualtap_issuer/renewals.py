"""Fresh tokens in place of deposited value (SPEC §14-23 to §14-26): what a deposit that asks for them is given.

A deposit was renewed iff there is a token with the serial that its id gives: that follows from the facts alone. Its
credit stands, as every deposit's does, and the fresh token has spent it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, NamedTuple, cast

from dualtap import limits
from dualtap.conditions import uses
from dualtap.issued import Condition, Token, key_hint
from dualtap.renewal import is_renewal, renewal_serial
from dualtap.statements import Scheme, Transfer
from dualtap_issuer.facts import Facts, OpeningOf, decode_fact, opening_digest
from dualtap_issuer.following import behind
from dualtap_issuer.ingest import Ingest
from dualtap_issuer.lines import line_of
from dualtap_issuer.rules import Credit, Leaf, Lot, World
from dualtap_issuer.store import Store

if TYPE_CHECKING:
    from dualtap_issuer.ledger import Ledger


class Fresh(NamedTuple):
    """A token to be issued: ``spend_by`` and ``claim_by`` are those of the old token where conditions still bind."""

    serial: bytes
    amount: int
    currency: str
    conditions: tuple[Condition, ...]
    dates: tuple[int, int] | None


def fresh_tokens(world: World, deposit: bytes, epoch: int) -> list[Fresh]:
    """Return what a credited deposit is renewed with at ``epoch``; nothing where it stays a credit.

    Units of the signer's own token with conditions keep conditions and dates, and are not renewed once they can no
    longer be spent, nor if they are counted: the fresh token's uses would be new. All others are one token for each
    currency. Nothing is renewed where one of the tokens would be of more than ``AMOUNT``.
    """
    transfer = world.shaped[deposit]
    amounts: dict[tuple[str, tuple[Condition, ...], tuple[int, int] | None], int] = defaultdict(int)
    for credit in world.credits_of(deposit):
        token = world.facts.tokens[credit.token]
        bound = bool(token.conditions) and token.owner == transfer.key
        if bound and (token.spend_by < epoch or uses(token) is not None):
            return []
        dates = (token.spend_by, token.claim_by) if bound else None
        amounts[token.currency, token.conditions if bound else (), dates] += credit.amount
    if max(amounts.values(), default=0) > limits.AMOUNT:
        return []  # more than a token can hold: refused, it would keep every later sync from being answered
    order = sorted(amounts.items(), key=lambda item: (item[0][0], item[0][1], item[0][2] or ()))
    return [
        Fresh(renewal_serial(deposit, number), amount, currency, conditions, dates)
        for number, ((currency, conditions, dates), amount) in enumerate(order)
    ]


def renewable(world: World, deposit: bytes, closed: int) -> bool:
    """Return whether all that a deposit hands in was credited, and none of it was settled, before the epoch ``closed``.

    What was settled was paid as a credit; what came too late to be credited is still its holder's. What another
    institution issued, that one renews: else who took the deposit would owe it, without a claim (SPEC §16-20).
    """
    transfer, epoch = world.shaped[deposit], world.whole_at[deposit]
    tokens = [world.facts.tokens[world.token_of(parent)] for parent, _, _ in transfer.body.spans]
    own = all(token.issuer == key_hint(transfer.body.payee) for token in tokens)
    return own and max(epoch, closed) <= min(token.claim_by for token in tokens)


def hands_behind(world: World, deposit: bytes) -> set[bytes]:
    """Return the keys that signed anything behind a deposit, or the deposit itself."""
    keys, seen, queue = set[bytes](), {deposit}, [deposit]
    while queue:
        transfer = world.shaped[queue.pop()]
        keys.add(transfer.key)
        for parent, _, _ in transfer.body.spans:
            if parent.id in world.shaped and parent.id not in seen:
                seen.add(parent.id)
                queue.append(parent.id)
    return keys


def renew(ledger: Ledger, epoch: int) -> bool:
    """Issue what credited deposits ask for in place of their credit; return whether somebody is named by it.

    What cannot be renewed, may answer a request, or has a cheat's hand behind it, stays a credit, at risk as any
    other: SPEC §14-26 and §14-30.
    """
    office = ledger.authority.office
    deposits, tokens = ledger.store.take_renewals(office.key), list[Token]()
    if not deposits:
        return False
    closed, unasked = ledger.store.closed_epoch(), _unasked(ledger.store, ledger.scheme, deposits)
    world = World(behind(ledger.store, ledger.trust, deposits), ledger.institutions, ledger.trust)
    for deposit in unasked:
        transfer = world.shaped[deposit]
        if ledger.store.is_named(hands_behind(world, deposit)) or not renewable(world, deposit, closed):
            continue
        owner = ledger.lines.present(transfer.key)  # a retired key's value is its line's
        if owner != transfer.key and ledger.lines.is_named(transfer.key):
            continue
        for fresh in fresh_tokens(world, deposit, epoch):
            last = epoch + ledger.terms.spend
            dates = fresh.dates or (last, last + ledger.terms.grace)
            token = office.token(
                fresh.serial, fresh.amount, fresh.currency, owner, epoch, *dates, ledger.terms.hops, fresh.conditions
            )
            ledger.store.put_delivery(owner, ledger.trust.token_id(token))
            tokens.append(token)
    ingest = Ingest(ledger.store, ledger.trust, ledger.institutions, epoch)
    for token in tokens:
        ingest.token(token)
    ingest.finish()
    return ingest.named


def _unasked(store: Store, scheme: Scheme, deposits: Collection[bytes]) -> list[bytes]:
    """Return those of these deposits that are shown to answer no request, in order.

    Of another a request may be shown later: it is a payment then, and its units another's beside the fresh token.
    """
    known = store.find(map(opening_digest, deposits))
    shown = {one.statement: one.opening for one in (cast("OpeningOf", decode_fact(scheme, fact)) for fact, _ in known)}
    return [deposit for deposit in deposits if deposit in shown and not shown[deposit].request]


def renewals(world: World) -> dict[bytes, list[bytes]]:
    """Return the renewed deposits, each with the fresh tokens that it was given, in the order of their numbers."""
    by_serial = _by_serial(world.facts)
    found: dict[bytes, list[bytes]] = {}
    for key, transfer in world.shaped.items():
        if transfer.body.payee in world.institutions and is_renewal(transfer):
            tokens = _given(by_serial, transfer)
            if tokens:
                found[key] = tokens
    return found


def _by_serial(facts: Facts) -> dict[tuple[bytes, bytes], bytes]:
    """Return tokens by issuer and serial, whoever owns them: a retired key's renewal is its line's last key's.

    A serial alone is no sign: any institution may give its own tokens what serials it likes. SPEC §20-9, §14-25.
    """
    order = sorted(facts.tokens.items(), key=lambda item: item[0], reverse=True)
    return {(token.issuer, token.serial): key for key, token in order}


def _given(by_serial: dict[tuple[bytes, bytes], bytes], transfer: Transfer) -> list[bytes]:
    found, issuer = list[bytes](), key_hint(transfer.body.payee)
    while len(found) < len(transfer.body.spans):
        token = by_serial.get((issuer, renewal_serial(transfer.id, len(found))))
        if token is None:
            break
        found.append(token)
    return found


def renewed_in(store: Store, scheme: Scheme, deposits: Collection[bytes]) -> set[bytes]:
    """Return those of these deposits that fresh tokens have replaced, as a store's rows tell.

    Each fresh token was delivered to a key of its depositor's line (SPEC §14-25).
    """
    facts = cast("list[Transfer]", [decode_fact(scheme, fact) for fact, _ in store.find(deposits)])
    asked = [one for one in facts if is_renewal(one)]
    serials = set[tuple[bytes, bytes]]()
    for key in {key for owner in {one.key for one in asked} for key in line_of(store, owner)}:
        tokens = [decode_fact(scheme, fact) for fact, _ in store.find(token for _, token in store.deliveries(key, 0))]
        serials |= {(token.issuer, token.serial) for token in cast("list[Token]", tokens)}
    return {one.id for one in asked if (key_hint(one.body.payee), renewal_serial(one.id, 0)) in serials}


def replaced(tokens: dict[bytes, Token], given: list[bytes]) -> int:
    """Return the units that these fresh tokens replaced."""
    return sum(tokens[key].amount for key in given)


def unspent(world: World, settled: Mapping[bytes, list[Leaf]]) -> tuple[list[Credit], dict[bytes, list[Leaf]]]:
    """Return the credits and the settled leaves that no fresh token has spent: what somebody has on account."""
    given = renewals(world)
    left = {token: [leaf for leaf in leaves if not is_spent(leaf, given)] for token, leaves in settled.items()}
    return [credit for credit in world.credits() if credit.transfer not in given], left


def is_spent(leaf: Leaf, given: Collection[bytes]) -> bool:
    """Return whether a leaf is of a deposit that is among those renewed."""
    return leaf.lot is Lot.DEPOSITED and leaf.transfer in given

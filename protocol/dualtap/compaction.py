"""What of a wallet survives when its log is compacted (SPEC §12-12, §12-14)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar, cast

from dualtap import limits
from dualtap.account import Account
from dualtap.issued import Token
from dualtap.records import News, Snapshot
from dualtap.statements import Side, Transfer, TransferBody

_T = TypeVar("_T")


def snapshot_of(account: Account) -> Snapshot:
    """Return the whole wallet as one record: what it still needs, and nothing else (SPEC §12-12)."""
    needed: dict[bytes, Transfer] = {}
    tokens: dict[bytes, Token] = {}
    spent = [sent.transfer for sent in account.pending.values()]
    for held in account.holdings:
        tokens[held.token] = account.graph.tokens[held.token]
        if held.parent.side is not Side.TOKEN:
            spent.append(account.graph.transfers[held.parent.id])
    spent += [cast("Transfer", entry) for entry in account.tape if isinstance(entry.body, TransferBody)]
    for transfer in spent:
        for hand in (*account.graph.ancestors(transfer), transfer):
            needed[hand.id] = hand
            for parent, _, _ in hand.body.spans:
                if parent.side is Side.TOKEN:
                    tokens[parent.id] = account.graph.tokens[parent.id]
    # In order: a log's bytes follow from the wallet alone.
    hands = dict.fromkeys([*[hand.key for hand in needed.values()], *[token.owner for token in tokens.values()]])
    oldest = account.trust.epoch - limits.MAX_LIFE
    certificates = account.graph.certificates
    own = account.certificate if account.joined else None
    return Snapshot(
        News(own, account.trust.authorities, account.trust.header, account.trust.policy),
        tuple(tokens.values()),
        tuple(needed.values()),
        tuple((key, warrant) for key, warrant in account.graph.warrants.items() if key in needed),
        tuple(certificates[key] for key in hands if key in certificates),
        tuple(account.holdings),
        tuple(account.pending.values()),
        tuple(question for question in account.questions.values() if question.asked.epoch >= oldest),
        _newest(account.taken.values(), account.profile.history),
        _newest(account.history, account.profile.history),
        tuple(account.tape),
        tuple(account.heard),
        tuple(account.witnessed),
        account.delivered,
        account.previous,
        account.counter,
        account.since,
        account.spent,
    )


def _newest(items: Iterable[_T], most: int) -> tuple[_T, ...]:
    """Return the last ``most`` of these; of none, nothing."""
    found = tuple(items)
    return found[max(0, len(found) - most) :]

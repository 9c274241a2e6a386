"""Evidence (SPEC §15): statements by which anyone who holds the scheme's root key sees that a wallet cheated.

Four things are never done by an honest wallet, whatever its peers, its network or its power supply do:

- ``FORK``: it signs two transfers that share a parent and whose spans overlap there;
- ``TAPE_FORK``: it signs two tape entries whose intervals ``(prev, ctr]`` overlap (only their places are shown);
- ``TWO_OUTCOMES``: it signs two different outcomes of one request;
- ``DEAD_SPENT``: it spends the payee's side of a transfer whose request it answered otherwise.

A transfer is a statement only if its signer owns each parent and no unit twice, and so is everything behind it
(SPEC §5.3): anything else names nobody. ``FORK`` and ``DEAD_SPENT`` therefore carry what stands behind their
transfers, tokens first, for most thieves just the one token; the checker applies the very rule that payees and
ledgers apply, so that none of them disagrees about who is named. Warrants of restored value behind a fork are not
needed: whoever signs a payer's side twice cheats, dead or not, and must not hide by keeping its warrant back.
The other two kinds say nothing about ownership: a keystore's interval and a request's outcome are given once,
whatever the statement is about. No certificate's expiry, and no hotlist, excuses or accuses anybody.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from itertools import product
from typing import Final, TypeVar, cast

from dualtap import codec
from dualtap.codec import Check, enumeration, list_of, maybe, record
from dualtap.conditions import shown_certificates
from dualtap.errors import Code, TapError
from dualtap.forms import issued_check, plain, request_opening, statement_check, tape_opening
from dualtap.graph import Graph
from dualtap.issued import AuthorityCertificate, Token, WalletCertificate
from dualtap.logcodec import ITEMS
from dualtap.statements import (
    Body,
    CloseBody,
    Outcome,
    ReceiptBody,
    Scheme,
    Side,
    Signed,
    TapeOpening,
    TapeStatement,
    Transfer,
    TransferBody,
    Warrant,
)
from dualtap.suite import SUITES, Suite
from dualtap.trust import Trust

VERSION: Final = 1
BYTES: Final = 16 * 1024 * 1024
"""The longest evidence that is read: a thief must not escape by passing its loot through thousands of hands."""

T = TypeVar("T", bound=Body)


class Fraud(IntEnum):
    """What a wallet did."""

    FORK = 1
    TAPE_FORK = 2
    TWO_OUTCOMES = 3
    DEAD_SPENT = 4


@dataclass(frozen=True, slots=True)
class Evidence:
    """Statements that name ``key``, with all that is needed to check them but the root key.

    ``first`` and ``second`` are the conflicting statements, the smaller id first; of ``DEAD_SPENT``, the dead
    transfer and the one that spends its payee's side. ``openings`` show the two places of a ``TAPE_FORK``,
    ``warrant`` why the first of ``DEAD_SPENT`` is dead. ``tokens`` and ``transfers`` stand behind the two, each once,
    in any order.
    """

    fraud: Fraud
    suite: int
    key: bytes
    certificate: WalletCertificate
    authorities: tuple[AuthorityCertificate, ...]
    first: TapeStatement
    second: TapeStatement
    openings: tuple[TapeOpening, ...] = ()
    warrant: Warrant | None = None
    tokens: tuple[Token, ...] = ()
    transfers: tuple[Transfer, ...] = ()


def _closed(statement: Signed[T]) -> Signed[T]:
    """Return a statement without its opening: evidence shows no more than it must."""
    return statement._replace(opening=None, place=None)


def outcome_of(outcome: Outcome) -> bytes:
    """Return the transfer that an outcome accepts, or nothing for a Close: two outcomes differ iff these do."""
    return outcome.body.transfer if isinstance(outcome.body, ReceiptBody) else b""


def tape_overlap(one: TapeOpening, other: TapeOpening) -> bool:
    """Return whether two intervals ``(prev, ctr]`` of a tape share a counter."""
    return max(one.prev, other.prev) < min(one.ctr, other.ctr)


def spans_overlap(one: Transfer, other: Transfer) -> bool:
    """Return whether two transfers spend the same units of the same parent."""
    return any(
        a.parent == b.parent and max(a.start, b.start) < min(a.end, b.end)
        for a, b in product(one.body.spans, other.body.spans)
    )


def spends_payee(transfer: Transfer, dead: bytes) -> bool:
    """Return whether a transfer spends the payee's side of the transfer with the id ``dead``."""
    return any(parent.id == dead and parent.side is Side.PAYEE for parent, _, _ in transfer.body.spans)


# Making it


def fork(trust: Trust, graph: Graph, one: Transfer, other: Transfer) -> Evidence:
    """Return the evidence that the signer of both spent the same units twice.

    ``graph`` holds what is behind them, and the signer's certificate. Raises ``BROKEN_PROVENANCE`` where it does
    not; whether this is evidence is for :func:`dualtap.verdict.verify_evidence` to say, here and below.
    """
    first, second = sorted((_closed(one), _closed(other)), key=lambda item: item.id)
    return _with_provenance(trust, graph, Fraud.FORK, first, second, None)


def dead_spent(trust: Trust, graph: Graph, dead: Transfer, warrant: Warrant, spender: Transfer) -> Evidence:
    """Return the evidence that ``spender`` spends the payee's side of a transfer that ``warrant`` shows dead."""
    bare = Warrant(warrant.opening, _closed(warrant.outcome))
    return _with_provenance(trust, graph, Fraud.DEAD_SPENT, _closed(dead), _closed(spender), bare)


def tape_fork(
    trust: Trust, certificate: WalletCertificate, one: TapeStatement, other: TapeStatement, *openings: TapeOpening
) -> Evidence:
    """Return the evidence that one key signed two entries at overlapping places, which ``openings`` show."""
    pairs = zip((one, other), openings, strict=True)
    pair = sorted(((_bare(entry), place) for entry, place in pairs), key=lambda item: item[0].id)
    chain = trust.chain(certificate)
    (first, place), (second, there) = pair
    number = trust.scheme.suite.number
    return Evidence(Fraud.TAPE_FORK, number, first.key, certificate, chain, first, second, (place, there))


def two_outcomes(trust: Trust, certificate: WalletCertificate, one: Outcome, other: Outcome) -> Evidence:
    """Return the evidence that one key gave two different outcomes of one request."""
    first, second = sorted((_bare(one), _bare(other)), key=lambda item: item.id)
    chain = trust.chain(certificate)
    return Evidence(Fraud.TWO_OUTCOMES, trust.scheme.suite.number, first.key, certificate, chain, first, second)


def _bare(statement: TapeStatement) -> TapeStatement:
    return _closed(statement)


def _with_provenance(
    trust: Trust, graph: Graph, fraud: Fraud, first: Transfer, second: Transfer, warrant: Warrant | None
) -> Evidence:
    order = hands_behind(graph, first, second)
    hands = tuple([_closed(hand) for hand in order if hand.id not in (first.id, second.id)])
    try:
        tokens = tuple([graph.tokens[key] for key in tokens_behind(order)])
        certificate = graph.certificates[second.key]
    except KeyError as error:
        raise TapError(Code.BROKEN_PROVENANCE, "a token or the named wallet's certificate is missing") from error
    shown = shown_certificates(item for hand in order for item in hand.body.witness)
    number, chain = trust.scheme.suite.number, trust.chain(certificate, tokens, shown)
    return Evidence(fraud, number, second.key, certificate, chain, first, second, (), warrant, tokens, hands)


def hands_behind(graph: Graph, first: Transfer, second: Transfer) -> tuple[Transfer, ...]:
    """Return both transfers and all that is behind them, each before those that spend it.

    One may be behind the other: a thief may pay itself, and spend both the payment and what it had paid with.
    """
    order: dict[bytes, Transfer] = {}
    for end in (first, second):
        for hand in (*graph.ancestors(end), end):
            order.setdefault(hand.id, hand)
    return tuple(order.values())


def tokens_behind(transfers: Iterable[Transfer]) -> tuple[bytes, ...]:
    """Return the ids of the tokens that these transfers spend, each once."""
    spans = [span for transfer in transfers for span in transfer.body.spans]
    return tuple(dict.fromkeys(parent.id for parent, _, _ in spans if parent.side is Side.TOKEN))


# Its bytes


def encode_evidence(evidence: Evidence) -> bytes:
    """Return the bytes of evidence, whole: a file to be shown to anyone."""
    return codec.pack((
        VERSION, evidence.suite, evidence.fraud, evidence.key,
        *[plain(item) for item in (evidence.certificate, evidence.authorities, evidence.first, evidence.second)],
        *[plain(item) for item in (evidence.openings, evidence.warrant, evidence.tokens, evidence.transfers)],
    ))  # fmt: skip


def decode_evidence(data: bytes, root: bytes) -> Evidence:
    """Return the evidence in these bytes. Verifies nothing; the ids follow from the suite named in it and ``root``.

    Raises ``MALFORMED``, ``NOT_CANONICAL``, ``TOO_LARGE``, ``WRONG_VERSION``, or ``BAD_KEY`` for a root of another
    suite.
    """
    value = codec.unpack(data, BYTES, ITEMS)
    items = cast("list[object]", value) if type(value) is list else []
    if len(items) < 2 or items[0] != VERSION or type(items[0]) is not int:
        raise TapError(Code.MALFORMED if len(items) < 2 else Code.WRONG_VERSION, "not evidence of this version")
    suite = suite_of(items[1])
    statement = _closed_check(Scheme.of(suite, root).id)

    outcome = cast("Check[Outcome]", _of(statement, ReceiptBody, CloseBody))
    transfer = cast("Check[Transfer]", _of(statement, TransferBody))
    make = record(
        partial(_evidence, suite.number),
        enumeration(Fraud),
        codec.blob(suite.public_size),
        issued_check(WalletCertificate),
        list_of(issued_check(AuthorityCertificate), ITEMS),
        statement,
        statement,
        list_of(tape_opening, 2),
        maybe(record(Warrant, request_opening, outcome)),
        list_of(issued_check(Token), ITEMS),
        list_of(transfer, ITEMS),
    )
    return make(items[2:])


def _evidence(
    suite: int,
    fraud: Fraud,
    key: bytes,
    certificate: WalletCertificate,
    authorities: tuple[AuthorityCertificate, ...],
    first: TapeStatement,
    second: TapeStatement,
    openings: tuple[TapeOpening, ...],
    warrant: Warrant | None,
    tokens: tuple[Token, ...],
    transfers: tuple[Transfer, ...],
) -> Evidence:
    return Evidence(fraud, suite, key, certificate, authorities, first, second, openings, warrant, tokens, transfers)


def suite_of(number: object) -> Suite:
    """Return the suite of this number; raise ``MALFORMED``."""
    for suite in SUITES.values():
        if type(number) is int and suite.number == number:
            return suite
    raise TapError(Code.MALFORMED, "an unknown suite")


def _closed_check(scheme: bytes) -> Check[TapeStatement]:
    """Return the check for a tape statement that shows nothing of what it commits to."""
    whole = statement_check(scheme)

    def check(value: object) -> TapeStatement:
        found = whole(value)
        if found.opening is not None or not isinstance(found.body, TransferBody | ReceiptBody | CloseBody):
            raise TapError(Code.MALFORMED, "not a closed statement of a tape")
        return cast("TapeStatement", found)

    return check


def _of(statement: Check[TapeStatement], *kinds: type[Body]) -> Check[TapeStatement]:
    def check(value: object) -> TapeStatement:
        found = statement(value)
        if not isinstance(found.body, kinds):
            raise TapError(Code.MALFORMED, "a statement of another kind")
        return found

    return check

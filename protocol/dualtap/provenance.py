"""Where value comes from (SPEC §5.4, §8): the proof that a payee checks.

:func:`rebuild` turns a compact bundle into statements, :func:`verify` decides whether a payee may believe them, and
:func:`bundle` makes the bundle that the next payee needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from dualtap import limits
from dualtap.compact import Bundle, CompactSpan, CompactToken, CompactTransfer, CompactWarrant
from dualtap.conditions import Here, check_understood
from dualtap.errors import Code, TapError
from dualtap.forms import signed
from dualtap.graph import Graph, Origin, check_sides, check_spans, overlaps
from dualtap.issued import Token, WalletCertificate
from dualtap.statements import (
    CloseBody,
    Opening,
    Parent,
    Private,
    ReceiptBody,
    RequestOpening,
    Scheme,
    Side,
    Span,
    Transfer,
    TransferBody,
    Warrant,
)
from dualtap.trust import Trust
from dualtap.wire import TransferMessage


def check_warrant(trust: Trust, transfer: Transfer, warrant: Warrant) -> None:
    """Raise ``BROKEN_PROVENANCE`` or ``BAD_SIGNATURE`` unless the warrant shows that the transfer is dead.

    SPEC §8.2-4.
    """
    outcome = warrant.outcome
    if (
        warrant.opening.commitment() != transfer.commitment
        or outcome.key != transfer.body.payee
        or outcome.body.request != warrant.opening.request
        or (isinstance(outcome.body, ReceiptBody) and outcome.body.transfer == transfer.id)
    ):
        raise TapError(Code.BROKEN_PROVENANCE, "a warrant for something else")
    trust.verify_statement(outcome)


class Received(NamedTuple):
    """A transfer rebuilt from a message, with the graph behind it. Nothing in it is verified yet."""

    transfer: Transfer
    graph: Graph
    order: tuple[Transfer, ...]


def rebuild(trust: Trust, message: TransferMessage, payee: bytes, request: bytes) -> Received:
    """Return the statements in a Transfer or Resume shown to ``payee``, answering the request with this id.

    Raises ``BROKEN_PROVENANCE`` for references that point nowhere, ``UNKNOWN_ISSUER`` for a token, and ``MALFORMED``
    for a transfer without a place on its tape (SPEC §4.2-1).
    """
    scheme, graph = trust.scheme, Graph()
    certificates = message.bundle.certificates
    parents: list[Parent] = []
    for certificate in certificates:
        if graph.certificates.setdefault(certificate.key, certificate) is not certificate:
            raise TapError(Code.BROKEN_PROVENANCE, "two certificates of one key")
    for compact in message.bundle.tokens:
        token = Token(
            compact.serial,
            compact.amount,
            compact.currency,
            _at(certificates, compact.owner).key,
            compact.spend_by,
            compact.claim_by,
            compact.hops,
            compact.conditions,
            compact.issuer,
            compact.signature,
        )
        token_id = trust.token_id(token)
        if graph.tokens.setdefault(token_id, token) is not token:
            raise TapError(Code.BROKEN_PROVENANCE, "a token twice")
        parents.append(Parent(token_id, Side.TOKEN, 0))
    order: list[Transfer] = []
    for earlier in message.bundle.transfers:
        hand = _rebuild_hand(scheme, graph, earlier, certificates, parents, order)
        order.append(hand)
        graph.put(hand)
    if message.ctr <= message.prev:
        raise TapError(Code.MALFORMED, "no place on a tape")
    private = Private(message.verification, message.refund_of)
    opening = Opening(message.seed, message.prev, message.ctr, private, request)
    body = TransferBody(payee, _spans(message.spans, parents, order), message.epoch, message.witness)
    transfer = signed(scheme.id, certificates[0].key, body, opening, message.signature)
    return Received(transfer, graph, tuple(order))


def _at(items: tuple[WalletCertificate, ...], index: int) -> WalletCertificate:
    if index >= len(items):
        raise TapError(Code.BROKEN_PROVENANCE, "a reference points nowhere")
    return items[index]


def _spans(compact: tuple[CompactSpan, ...], tokens: list[Parent], transfers: list[Transfer]) -> tuple[Span, ...]:
    spans: list[Span] = []
    for item in compact:
        if item[0] >= (len(tokens) if len(item) == 3 else len(transfers)):
            raise TapError(Code.BROKEN_PROVENANCE, "a reference points nowhere")
        if len(item) == 3:
            spans.append(Span(tokens[item[0]], item[1], item[2]))
        else:
            spans.append(Span(Parent(transfers[item[0]].id, Side(item[1]), item[2]), item[3], item[4]))
    return tuple(spans)


def _rebuild_hand(
    scheme: Scheme,
    graph: Graph,
    compact: CompactTransfer,
    certificates: tuple[WalletCertificate, ...],
    tokens: list[Parent],
    transfers: list[Transfer],
) -> Transfer:
    payee = compact.payee if isinstance(compact.payee, bytes) else _at(certificates, compact.payee).key
    if payee is compact.payee and payee in graph.certificates:
        raise TapError(Code.BROKEN_PROVENANCE, "a key beside its certificate")
    body = TransferBody(payee, _spans(compact.spans, tokens, transfers), compact.epoch, compact.witness)
    payer = _at(certificates, compact.payer).key
    proof = compact.proof
    if isinstance(proof, bytes):
        return signed(scheme.id, payer, body, proof, compact.signature)
    opening = RequestOpening(proof.place, proof.salt, proof.request)
    hand = signed(scheme.id, payer, body, opening.commitment(), compact.signature)
    answer = (
        ReceiptBody(proof.request, proof.transfer, proof.epoch)
        if proof.transfer
        else CloseBody(proof.request, proof.reason, proof.epoch)
    )
    outcome = signed(scheme.id, payee, answer, proof.commitment, proof.signature)
    graph.warrants[hand.id] = Warrant(opening, outcome)
    return hand


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What a payee asks of value: currency, the strictest epoch it knows, what it can carry, and for which basket."""

    currency: str
    epoch: int
    hops: int
    spans: int
    basket: bytes | None = None


def offline_refusal(token: Token, origin: Origin, epoch: int, hops: int) -> Code | None:
    """Return why a payee that takes ``hops`` refuses value of this origin offline, if it does (SPEC §8.1)."""
    if epoch > token.spend_by:
        return Code.TOKEN_EXPIRED
    if origin.hops >= min(hops, token.hops):
        return Code.TOO_MANY_HOPS
    if origin.restored > limits.WARRANTS:
        return Code.TOO_MANY_WARRANTS
    return None


def verify(trust: Trust, received: Received, accept: Acceptance, known: Graph | None = None) -> int:
    """Return the amount (minor units) that a payee may accept; raise the first refusal that is found.

    Statements that ``known`` already holds are not verified again; everything else is.

    SPEC §8.1-8 to §8.1-13.
    """
    transfer, graph, order = received
    if graph.certificates.keys() != {transfer.key, *(hand.key for hand in order)}:
        raise TapError(Code.BROKEN_PROVENANCE, "a certificate of no hand")
    trust.check_wallet(graph.certificates[transfer.key], accept.epoch)
    for token_id, token in graph.tokens.items():
        if known is None or token_id not in known.tokens:
            trust.check_token(token, token_id)
        check_understood(token.conditions)
    for hand in order:
        _check_hand(trust, graph, hand, known)
    trust.verify_statement(transfer)
    check_spans(graph, transfer, trust, Here(accept.epoch, accept.basket))
    check_sides(graph, transfer)
    if len(transfer.body.spans) > accept.spans:
        raise TapError(Code.TOO_LARGE, "too many spans")
    for parent, _, _ in transfer.body.spans:
        origin = graph.origin(parent)
        token = graph.tokens[origin.token]
        if token.currency != accept.currency:
            raise TapError(Code.WRONG_CURRENCY)
        refusal = offline_refusal(token, origin, accept.epoch, accept.hops)
        if refusal is not None:
            raise TapError(refusal)
    graph.put(transfer)
    check_conflicts(graph, known)
    _check_needed(received)
    return sum(end - start for _, start, end in transfer.body.spans)


def _check_needed(received: Received) -> None:
    """Raise ``BROKEN_PROVENANCE`` unless each statement shown stands behind the transfer: what is kept is passed on.

    SPEC §8.3-6.
    """
    transfer, graph, order = received
    hands = [hand.id for hand in order]
    behind = {hand.id for hand in graph.ancestors(transfer)}
    spent = {
        span.parent.id for hand in (*order, transfer) for span in hand.body.spans if span.parent.side is Side.TOKEN
    }
    if len(hands) != len(behind) or set(hands) != behind or graph.tokens.keys() != spent:
        raise TapError(Code.BROKEN_PROVENANCE, "a statement that is not behind this transfer")


def _check_hand(trust: Trust, graph: Graph, hand: Transfer, known: Graph | None) -> None:
    seen = known is not None and hand.id in known.transfers
    certificate = graph.certificates[hand.key]
    if known is None or not seen or certificate != known.certificates.get(hand.key):
        trust.check_wallet(certificate, hand.body.epoch)
    if not seen:
        trust.verify_statement(hand)
    else:
        trust.check_hotlist(hand.key)
    check_spans(graph, hand, trust)
    check_sides(graph, hand)
    warrant = graph.warrants.get(hand.id)
    if warrant is not None:
        check_warrant(trust, hand, warrant)


def check_conflicts(graph: Graph, known: Graph | None) -> None:
    """Raise ``DOUBLE_SPENT`` or ``TAPE_FORKED`` if this device can see that what it is shown is spent otherwise.

    SPEC §8.3.
    """
    for taken in graph.spends.values():
        if any(first.end > second.start for first, second in pairwise(taken)):
            raise TapError(Code.DOUBLE_SPENT)
    if known is None:
        return
    for dead in graph.warrants:
        if any(known.spends.get(Parent(dead, Side.PAYEE, place)) for place in range(limits.SPANS)):
            raise TapError(Code.DOUBLE_SPENT, "restored, and spent by the payee")
    for hand in graph.transfers.values():
        seen = hand.id in known.transfers
        for parent, start, end in hand.body.spans:
            if parent.side is Side.PAYEE and parent.id in known.warrants:
                raise TapError(Code.DOUBLE_SPENT, "spent by the payee of a dead transfer")
            if not seen and overlaps(known.spends.get(parent, []), start, end):
                raise TapError(Code.DOUBLE_SPENT)
        opening = hand.opening
        if opening is not None and not seen and overlaps(known.tapes.get(hand.key, []), opening.prev, opening.ctr):
            raise TapError(Code.TAPE_FORKED)


def bundle(
    trust: Trust, graph: Graph, transfer: Transfer, own: WalletCertificate
) -> tuple[Bundle, tuple[CompactSpan, ...]]:
    """Return the provenance of a transfer that ``own``'s wallet signs, and its spans in compact form (SPEC §5.4)."""
    order = graph.ancestors(transfer)
    certificates: dict[bytes, int] = {own.key: 0}
    wallets = [own]
    tokens: dict[bytes, int] = {}
    compact_tokens: list[CompactToken] = []

    def wallet(key: bytes) -> int:
        if key not in certificates:
            found = graph.certificates.get(key)
            if found is None:
                raise TapError(Code.BROKEN_PROVENANCE, "a hand's certificate is missing")
            certificates[key] = len(wallets)
            wallets.append(found)
        return certificates[key]

    places = {hand.id: place for place, hand in enumerate(order)}
    for hand in (*order, transfer):
        for parent, _, _ in hand.body.spans:
            if parent.side is Side.TOKEN and parent.id not in tokens:
                token = graph.tokens[parent.id]
                tokens[parent.id] = len(compact_tokens)
                compact_tokens.append(_compact_token(token, wallet(token.owner)))

    def spans(hand: Transfer) -> tuple[CompactSpan, ...]:
        return tuple(
            (tokens[parent.id], start, end)
            if parent.side is Side.TOKEN
            else (places[parent.id], parent.side, parent.place, start, end)
            for parent, start, end in hand.body.spans
        )

    spenders = {hand.key for hand in (*order, transfer)}
    hands = tuple(
        CompactTransfer(
            wallet(hand.key),
            wallet(hand.body.payee) if hand.body.payee in spenders else hand.body.payee,
            spans(hand),
            hand.body.epoch,
            hand.body.witness,
            _proof(hand, graph.warrants.get(hand.id)),
            hand.signature,
        )
        for hand in order
    )
    return Bundle(tuple(wallets), tuple(compact_tokens), hands), spans(transfer)


def _compact_token(token: Token, owner: int) -> CompactToken:
    return CompactToken(
        token.serial,
        token.amount,
        token.currency,
        owner,
        token.spend_by,
        token.claim_by,
        token.hops,
        token.conditions,
        token.issuer,
        token.signature,
    )


def _proof(hand: Transfer, warrant: Warrant | None) -> bytes | CompactWarrant:
    if warrant is None:
        return hand.commitment
    opening, outcome = warrant.opening, warrant.outcome
    other, reason = b"", 0
    if isinstance(outcome.body, ReceiptBody):
        other = outcome.body.transfer
    else:
        reason = outcome.body.reason
    return CompactWarrant(
        opening.place,
        opening.salt,
        opening.request,
        other,
        reason,
        outcome.body.epoch,
        outcome.commitment,
        outcome.signature,
    )

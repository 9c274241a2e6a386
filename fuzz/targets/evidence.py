"""Evidence, from bytes that anybody wrote, names nobody but who signed what contradicts itself.

The first byte chooses a file of the vectors, which edits alter; or the bytes of a person's file follow.
Half the time every signature is believed: whom it names then is judged here a second time, by other means.
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import NamedTuple

from dualtap.errors import Code, TapError
from dualtap.evidence import Evidence, Fraud, decode_evidence, encode_evidence
from dualtap.statements import Side, TransferBody
from dualtap.verdict import verify_evidence
from targets._lenient import lenient
from targets._reshape import Tree, reshaped, tree_of
from targets._said import Said

SHARE = 60
LENGTH = 1500
COST = 4
_VECTORS = Path(__file__).parents[2] / "protocol" / "vectors" / "evidence.jsonl"
_REFUSALS = {
    Code.MALFORMED, Code.NOT_CANONICAL, Code.TOO_LARGE, Code.WRONG_VERSION, Code.BAD_KEY, Code.NOT_EVIDENCE,
    Code.BAD_SIGNATURE, Code.UNKNOWN_ISSUER, Code.WRONG_CERTIFICATE, Code.BROKEN_PROVENANCE, Code.NOT_OWNER,
    Code.SPAN_OUTSIDE, Code.SPANS_OVERLAP, Code.EPOCH_BACKWARDS, Code.CONDITION_UNMET, Code.UNKNOWN_CONDITION,
}  # fmt: skip


class _Base(NamedTuple):
    """A file of the vectors, and whom it names, if anybody."""

    root: bytes
    file: bytes
    tree: Tree
    key: bytes


def _bases() -> tuple[_Base, ...]:
    lines = [json.loads(line) for line in _VECTORS.read_text().splitlines()]
    found: list[_Base] = []
    for line in lines:
        root, file = bytes.fromhex(line["in"]["root"]), bytes.fromhex(line["in"]["evidence"])
        key = bytes.fromhex(line["out"]["key"]) if line["result"] == "valid" else b""
        if line["suite"] == "ed25519" and _is_tree(file):
            found.append(_Base(root, file, tree_of(file), key))
    return tuple(found)


def _is_tree(file: bytes) -> bool:
    try:
        tree_of(file)
    except TapError:
        return False
    return True


BASES = _bases()
NAMED = {(base.key, base.file) for base in BASES if base.key}


def one(data: bytes) -> None:
    """Show evidence to somebody who holds the root key."""
    said = Said(data)
    base, how = said.pick(BASES), said.below(4)
    file = said.rest() if how == 3 else reshaped(base.tree, said)
    if how % 2:
        genuine(base, file)
        return
    with lenient():
        believed(base, file)


def genuine(base: _Base, file: bytes) -> None:
    """Check it as everybody does: altered, it still names the one who signed, or nobody."""
    try:
        verdict = verify_evidence(file, base.root)
    except TapError as error:
        assert error.code in _REFUSALS, error
        return
    assert (verdict.key, file) in NAMED, "somebody is framed, or in another form of the same evidence"


def believed(base: _Base, file: bytes) -> None:
    """Check it as if every signature were good: what it says must still contradict itself."""
    try:
        verdict = verify_evidence(file, base.root)
    except TapError as error:
        assert error.code in _REFUSALS, error
        return
    found = decode_evidence(file, base.root)
    assert encode_evidence(found) == file
    assert verdict.key == found.key == found.certificate.key == found.second.key
    assert found.first.id != found.second.id, "one statement contradicts itself"
    assert _contradicts(found), "two statements that one wallet may well sign"
    assert _owned(found), "value that its signer does not own"


def _contradicts(found: Evidence) -> bool:
    one, other = found.first, found.second
    first, second = one.body, other.body
    if found.fraud is Fraud.TAPE_FORK:
        (a, b) = found.openings
        covers = (a.commitment(), b.commitment()) == (one.commitment, other.commitment)
        return covers and one.key == other.key and a.prev < b.ctr and b.prev < a.ctr and a.ctr > a.prev < b.ctr
    if found.fraud is Fraud.TWO_OUTCOMES:
        if isinstance(first, TransferBody) or isinstance(second, TransferBody) or one.key != other.key:
            return False
        return first.request == second.request and getattr(first, "transfer", b"") != getattr(second, "transfer", b"")
    if not isinstance(first, TransferBody) or not isinstance(second, TransferBody):
        return False
    if found.fraud is Fraud.DEAD_SPENT:
        warrant = found.warrant
        assert warrant is not None
        answer = warrant.outcome
        dead = answer.key == first.payee and getattr(answer.body, "transfer", b"") != one.id
        asked = warrant.opening.commitment() == one.commitment and answer.body.request == warrant.opening.request
        return dead and asked and any(p.id == one.id and p.side is Side.PAYEE for p, _, _ in second.spans)
    pairs = product(first.spans, second.spans)
    units = (range(max(a.start, b.start), min(a.end, b.end)) for a, b in pairs if a.parent == b.parent)
    return one.key == other.key and any(units)


def _owned(found: Evidence) -> bool:
    """Return whether all that is spent in two transfers was its spender's, as far as ownership goes."""
    if not found.tokens:
        return found.fraud in (Fraud.TAPE_FORK, Fraud.TWO_OUTCOMES)
    owners = {token.owner for token in found.tokens}
    hands = {hand.id: hand for hand in (*found.transfers, found.first, found.second)}
    for hand in hands.values():
        assert isinstance(hand.body, TransferBody)
        for parent, start, end in hand.body.spans:
            if not 0 <= start < end:
                return False
            if parent.side is Side.TOKEN:
                if hand.key not in owners:
                    return False
                continue
            behind = hands[parent.id].body
            assert isinstance(behind, TransferBody)
            outer = behind.spans[parent.place]
            owner = behind.payee if parent.side is Side.PAYEE else hands[parent.id].key
            if hand.key != owner or not outer.start <= start < end <= outer.end or hand.body.epoch < behind.epoch:
                return False
    return True

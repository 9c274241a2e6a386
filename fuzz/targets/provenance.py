"""A payee accepts just the units that their history gives the payer, and of altered value nothing.

The first byte chooses a payment of the vectors which edits alter. Half the time every signature
is believed, as if all hands behind were thieves; what is accepted then is counted here a second time, by other means.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple, cast

from dualtap import codec, limits, wire
from dualtap.compact import CompactSpan, CompactWarrant
from dualtap.context import Charge, Context
from dualtap.errors import Code, TapError
from dualtap.forms import signed
from dualtap.outcome import examine
from dualtap.provenance import rebuild
from dualtap.records import Asked
from dualtap.statements import Transfer
from dualtap.suite import TAG, Drbg
from dualtap.wire import TransferMessage
from dualtap_conform.ops.accept import read_request
from dualtap_conform.setup import Json, Object, Setup
from dualtap_devices.wallet import Wallet
from targets._lenient import lenient
from targets._reshape import Tree, reshaped, tree_of
from targets._said import Said

SHARE = 40
LENGTH = 600
COST = 7
_VECTORS = Path(__file__).parents[2] / "protocol" / "vectors"
_TRANSFER = 5
_BESIDE = 12
"""Where the header stands in the message of a transfer, and the authorities behind it: no signature covers them."""
_FOREIGN = {Code.ENDED, Code.BAD_INPUT, Code.STORE_FAILED, Code.STORE_FULL, Code.LEDGER_CORRUPT, Code.IN_USE}
"""What can have nothing to do with value that is shown."""


class _Base(NamedTuple):
    """A payee that believes what it is shown, one that checks, what it asked, and what it was shown; the transfer's
    id is empty where that is refused.
    """

    strict: Wallet
    easy: Wallet
    asked: Asked
    now: int
    tree: Tree
    transfer: bytes


def _bases() -> tuple[_Base, ...]:
    found: list[_Base] = []
    for name in ("provenance", "conditions"):
        for line in map(json.loads, (_VECTORS / f"{name}.jsonl").read_text().splitlines()):
            given = line["in"]
            raw = bytes.fromhex(given["message"])
            # A Resume is shown to a payee that knows of no request; here each has asked.
            answers = line["suite"] == "ed25519" and not given["seen"] and "Resume" not in line["flags"]
            if answers and raw[1] == _TRANSFER:
                found.append(_base(given, line["out"] or {}))
    return tuple(found)


@cache
def _wallets(setup: str) -> tuple[Wallet, Wallet]:
    """Return a wallet that checks signatures, and one that believes them."""
    read = cast("Object", json.loads(setup))
    strict = Setup.from_json(read).wallet()
    with lenient():
        return strict, Setup.from_json(read).wallet()


def _base(given: Object, out: Mapping[str, Json]) -> _Base:
    strict, easy = _wallets(json.dumps(given["setup"]))
    body = read_request(given["request"])
    named = signed(strict.book.scheme.id, strict.book.key, body).id
    asked = Asked(named, body.basket, body.part, body.amount, body.currency, body.epoch, body.verification)
    raw = bytes.fromhex(cast("str", given["message"]))
    return _Base(
        strict, easy, asked, cast("int", given["now"]), tree_of(raw), bytes.fromhex(str(out.get("transfer", "")))
    )


BASES = _bases()


def one(data: bytes) -> None:
    """Show a payment to its payee."""
    said = Said(data)
    base, easy = said.pick(BASES), said.below(2)
    raw = reshaped(base.tree, said)
    book = (base.easy if easy else base.strict).book
    charge = Charge(base.asked.amount, base.asked.currency, base.asked.basket, base.asked.part)
    context = Context(book, charge, False, book.scheme.suite.ephemeral(bytes(32)), Drbg(bytes(32)))
    context.now, context.asked = float(base.now), base.asked
    trust = book.trust.copy()
    try:
        message = wire.decode(raw)
        if not isinstance(message, TransferMessage) or len(raw) + TAG > book.profile.message:
            return
        transfer = examine(context, base.asked, message)
    except TapError as error:
        assert error.code not in _FOREIGN, error
        return
    finally:
        book.trust = trust
    if not easy:
        assert transfer.id == (base.transfer or _freed(base, raw)), "altered value is accepted"
    counted(base, message, transfer)


def _freed(base: _Base, raw: bytes) -> bytes:
    """Return the id of a transfer that was refused, if what stands beside it has changed: the header or the
    authorities alone may have been to blame, and an edit takes them away.
    """
    before, after = cast("list[Tree]", base.tree), cast("list[Tree]", tree_of(raw))
    if before[_BESIDE:] == after[_BESIDE:]:
        return b""
    payee, message = base.strict.book, cast("TransferMessage", wire.decode(codec.pack(base.tree)))
    return rebuild(payee.trust, message, payee.key, base.asked.request).transfer.id


class _Given(NamedTuple):
    """What a place in a history gives: units of a token, to a key, after so many hops and restorations."""

    token: int
    start: int
    end: int
    owner: bytes
    hops: int
    restored: int


def counted(base: _Base, message: TransferMessage, transfer: Transfer) -> None:
    """Count what a transfer gives, from its compact form: an oracle that shares no code with the payee."""
    keys = [certificate.key for certificate in message.bundle.certificates]
    hands = message.bundle.transfers

    def given(span: CompactSpan, signer: bytes) -> _Given:
        """Return what a span takes, having judged that its signer may take it."""
        start, end = span[-2], span[-1]
        if len(span) == 3:
            token = message.bundle.tokens[span[0]]
            above = _Given(span[0], 0, token.amount, keys[token.owner], 0, 0)
        else:
            hand, side = hands[span[0]], span[1]
            inner = given(hand.spans[span[2]], keys[hand.payer])
            payee = hand.payee if isinstance(hand.payee, bytes) else keys[hand.payee]
            dead = isinstance(hand.proof, CompactWarrant)
            assert dead == (side == 2), "a side that is not alive"
            above = (
                inner._replace(owner=keys[hand.payer], restored=inner.restored + 1)
                if dead
                else inner._replace(owner=payee, hops=inner.hops + 1)
            )
        assert signer == above.owner, "spent by another than its owner"
        assert above.start <= start < end <= above.end, "more than there was"
        return above._replace(start=start, end=end)

    units: set[tuple[int, int, int]] = set()
    total = 0
    for span in message.spans:
        found = given(span, transfer.key)
        token = message.bundle.tokens[found.token]
        assert token.currency == base.asked.currency
        assert found.hops < min(token.hops, base.strict.book.profile.hops)
        assert found.restored <= limits.WARRANTS
        for other, start, end in units:
            assert other != found.token or found.end <= start or end <= found.start, "a unit twice"
        units.add((found.token, found.start, found.end))
        total += found.end - found.start
    assert total == base.asked.amount, "another amount than was asked"
    for hand in hands:
        for span in hand.spans:
            given(span, keys[hand.payer])
    _once(message)


def _once(message: TransferMessage) -> None:
    """Raise if anybody in a history, or its last hand, takes of one parent a unit that was taken already."""
    taken: dict[tuple[int, ...], list[tuple[int, int]]] = {}
    for spans in (message.spans, *(hand.spans for hand in message.bundle.transfers)):
        for span in spans:
            others = taken.setdefault(span[:-2], [])
            assert all(end <= span[-2] or span[-1] <= start for start, end in others), "a history with a unit twice"
            others.append((span[-2], span[-1]))

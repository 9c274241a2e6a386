"""Compact provenance, as bytes (SPEC §5.4): what a receiver cannot derive. References are indices into the same bundle.

:mod:`dualtap.provenance` turns it back into statements, with what the receiver knows.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias, cast

from dualtap import limits
from dualtap.codec import (
    any_blob,
    blob,
    currency,
    digest,
    digest_or_none,
    epoch,
    hint,
    list_of,
    malformed,
    money,
    number,
    public_key,
    record,
    signature,
    uint,
)
from dualtap.forms import condition, issued_check
from dualtap.issued import Condition, WalletCertificate


class CompactWarrant(NamedTuple):
    """A dead transfer's opened request and that request's other outcome (``transfer`` empty for a Close)."""

    place: bytes
    salt: bytes
    request: bytes
    transfer: bytes
    reason: int
    epoch: int
    commitment: bytes
    signature: bytes


CompactSpan: TypeAlias = tuple[int, ...]
"""(token, start, end), or (transfer, side, span, start, end)."""


class CompactTransfer(NamedTuple):
    """An earlier hand: payer's certificate, payee's (or its bare key), spans, and a commitment or warrant."""

    payer: int
    payee: int | bytes
    spans: tuple[CompactSpan, ...]
    epoch: int
    witness: tuple[bytes, ...]
    proof: bytes | CompactWarrant
    signature: bytes


class CompactToken(NamedTuple):
    """A token whose owner is a certificate of the bundle."""

    serial: bytes
    amount: int
    currency: str
    owner: int
    spend_by: int
    claim_by: int
    hops: int
    conditions: tuple[Condition, ...]
    issuer: bytes
    signature: bytes


class Bundle(NamedTuple):
    """Provenance, ancestors first. The payer's own certificate is the first."""

    certificates: tuple[WalletCertificate, ...]
    tokens: tuple[CompactToken, ...]
    transfers: tuple[CompactTransfer, ...]


_index = uint(limits.STATEMENTS - 1)


def _compact_warrant(value: object) -> CompactWarrant:
    found = _warrant_fields(value)
    if found.transfer and found.reason:
        raise malformed("a Receipt gives no reason")
    return found


_warrant_fields = record(CompactWarrant, digest, digest, digest, digest_or_none, number, epoch, digest, signature)


def _compact_span(value: object) -> CompactSpan:
    if type(value) is not list or len(cast("list[object]", value)) not in (3, 5):
        raise malformed("not a span")
    items = cast("list[object]", value)
    ref, *side, start, end = items
    if not side:
        return (_index(ref), money(start), money(end))
    return (_index(ref), uint(2, 1)(side[0]), uint(limits.SPANS - 1)(side[1]), money(start), money(end))


spans_form = list_of(_compact_span, limits.SPANS, 1)
witness_form = list_of(any_blob, limits.SPANS)
_compact_transfer = record(
    CompactTransfer,
    _index,
    lambda value: public_key(value) if type(value) is bytes else _index(value),
    spans_form,
    epoch,
    witness_form,
    lambda value: digest(value) if type(value) is bytes else _compact_warrant(value),
    signature,
)
_compact_token = record(
    CompactToken, blob(8), uint(limits.AMOUNT, 1), currency, _index, epoch, epoch, uint(255),
    list_of(condition), hint, signature,
)  # fmt: skip
bundle_form = record(
    Bundle,
    list_of(issued_check(WalletCertificate), least=1),
    list_of(_compact_token, least=1),
    list_of(_compact_transfer),
)

"""Hypothesis strategies of everything that crosses, is signed or is kept (``pip install dualtap[testing]``).

    from dualtap_testing import strategies as taps

    @given(taps.payments())                 # really made: keys, signatures, proof
    @given(taps.forged_payments())          # and then tampered with: no payee may accept it
    @given(taps.messages)                   # of the right form; hardly a signature verifies
    @given(taps.damaged(frames))            # bytes with one thing wrong

What is called as a function is made; what is a plain name is a form (:mod:`.shapes` has the smaller ones).
``st.from_type`` knows the types of ``dualtap`` without any import of this module.
"""

from __future__ import annotations

from typing import TypeVar, get_args, get_origin

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from dualtap import wire
from dualtap.compact import Bundle, CompactToken, CompactTransfer, CompactWarrant
from dualtap.issued import AuthorityCertificate, Condition, Header, Policy, Tier, Token, WalletCertificate
from dualtap.statements import Body, Opening, Parent, Private, RequestOpening, Scheme, Signed, Span, TapeBody, Warrant
from dualtap.sync import Reply, SignedUpload, Upload
from dualtap.wire import Hello, Welcome
from dualtap_devices.wallet import Wallet
from dualtap_testing import shapes
from dualtap_testing.genuine import Payment, payments, provenances, schemes, wallets
from dualtap_testing.hostile import Foreign, Forged, damaged, foreign_bytes, forged_payments
from dualtap_testing.links import Delay, Drop, Duplicate, Plan, Tear
from dualtap_testing.seeded import SeededScheme
from dualtap_testing.shapes import (
    authority_certificates,
    bundles,
    headers,
    hellos,
    messages,
    openings,
    policies,
    records,
    replies,
    sent_statements,
    signed_uploads,
    tape_entries,
    tokens,
    uploads,
    wallet_certificates,
    warrants,
    welcomes,
)

__all__ = [
    "Foreign",
    "Forged",
    "Payment",
    "SeededScheme",
    "authority_certificates",
    "bundles",
    "damaged",
    "foreign_bytes",
    "forged_payments",
    "frames",
    "headers",
    "hellos",
    "messages",
    "of_type",
    "openings",
    "payments",
    "plans",
    "policies",
    "provenances",
    "records",
    "replies",
    "schemes",
    "sent_statements",
    "shapes",
    "signed_uploads",
    "tape_entries",
    "tokens",
    "uploads",
    "wallet_certificates",
    "wallets",
    "warrants",
    "welcomes",
]

T = TypeVar("T")
frames: SearchStrategy[bytes] = st.one_of(
    messages.map(wire.encode), hellos.map(wire.encode_hello), welcomes.map(wire.encode_welcome)
)
"""What is in a frame, before it is sealed if it is."""


def plans(frames: int = 8) -> SearchStrategy[Plan]:
    """Return what goes wrong on a link in its first frames, for :class:`~dualtap_transports.faults.Faulty`."""
    place = st.integers(0, frames - 1)
    faults = st.one_of(
        st.builds(Drop, place),
        st.builds(Duplicate, place),
        st.builds(Tear, place, st.integers(0, 512)),
        st.builds(Delay, place, st.floats(0, 90)),
    )
    return st.lists(faults, max_size=frames, unique_by=lambda fault: fault.n).map(lambda found: Plan(tuple(found)))


_BY_TYPE: dict[object, SearchStrategy[object]] = {
    AuthorityCertificate: authority_certificates,
    Bundle: bundles,
    CompactToken: shapes.compact_tokens,
    CompactTransfer: shapes.compact_transfers,
    CompactWarrant: shapes.compact_warrants,
    Condition: shapes.condition,
    Header: headers,
    Hello: hellos,
    Opening: openings,
    Parent: shapes.parents,
    Policy: policies,
    Private: shapes.privates,
    Reply: replies,
    RequestOpening: shapes.request_openings,
    SignedUpload: signed_uploads,
    Span: shapes.spans,
    Tier: shapes.tiers,
    Token: tokens,
    Upload: uploads,
    WalletCertificate: wallet_certificates,
    Warrant: warrants,
    Welcome: welcomes,
    Plan: plans(),
    Payment: payments(),
    Scheme: schemes().map(lambda made: made.scheme),
    SeededScheme: schemes(),
    Wallet: wallets(),
}
for _forms in (shapes.RECORDS.items(), shapes.MESSAGES.items(), shapes.BODIES.items()):
    _BY_TYPE.update(_forms)


def of_type(thing: object) -> SearchStrategy[object] | None:
    """Return the strategy of a type of ``dualtap``, or ``None`` for one that is none of these.

    A ``Signed[...]`` is a statement of the scheme ``shapes.SCHEME``, with its true id and any signature.
    """
    if thing is Signed or get_origin(thing) is Signed:
        said = get_args(thing)
        kinds = [kind for kind in shapes.BODIES if not said or _says(said[0], kind)]
        if not kinds:
            return None
        return st.one_of([_statements(kind) for kind in kinds])
    try:
        return _BY_TYPE.get(thing)
    except TypeError:  # not hashable, so none of ours
        return None


def _says(said: object, kind: type[Body]) -> bool:
    """Whether a statement of this annotation may say this kind of body; a bare type variable says any."""
    return isinstance(said, TypeVar) or kind in (said, *get_args(said))


def _statements(kind: type[Body]) -> SearchStrategy[object]:
    return shapes.statements(shapes.BODIES[kind], tape=kind in get_args(TapeBody))

"""Strategies by form: whatever the strict decoder takes, genuine or not. What a signature proves is in ``genuine``.

A value of these reads back as it was; hardly one of its signatures verifies. They are what a decoder, a store or a
user interface has to survive.
"""

from __future__ import annotations

from typing import TypeVar, cast

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from dualtap import forms, limits
from dualtap.compact import Bundle, CompactSpan, CompactToken, CompactTransfer, CompactWarrant
from dualtap.issued import (
    Authority,
    AuthorityCertificate,
    Carrier,
    Condition,
    Header,
    Policy,
    Role,
    Tier,
    Token,
    WalletCertificate,
)
from dualtap.records import (
    Answered,
    Asked,
    Carried,
    Funded,
    Healed,
    Holding,
    Line,
    Moved,
    News,
    Ordered,
    Question,
    Record,
    Retired,
    Sent,
    SignedTail,
    Since,
    Snapshot,
    Spent,
    Synced,
    Taken,
    Tied,
    Told,
    ToldLine,
    Warned,
    Witnessed,
)
from dualtap.standing import Settlement, Standing
from dualtap.statements import (
    BindBody,
    Body,
    CloseBody,
    Errand,
    GrantBody,
    Kind,
    Opening,
    OrderBody,
    Outcome,
    OwnBody,
    OwnerBody,
    Parent,
    PresentBody,
    Private,
    ReceiptBody,
    RequestBody,
    RequestOpening,
    Scheme,
    Side,
    Signed,
    Span,
    SuccessorBody,
    SyncBody,
    TapeStatement,
    Transfer,
    TransferBody,
    Verification,
    Warrant,
)
from dualtap.suite import ED25519
from dualtap.sync import Reply, SignedUpload, Upload
from dualtap.wire import (
    DoneMessage,
    Hello,
    Message,
    NewsHave,
    NewsPiece,
    OutcomeMessage,
    PingMessage,
    PongMessage,
    PresentMessage,
    ProceedMessage,
    RecallMessage,
    RefuseMessage,
    RequestMessage,
    TransferMessage,
    Want,
    Welcome,
)

T = TypeVar("T")
SCHEME = Scheme.of(ED25519, ED25519.signer(b"the root key of every shape here").public)
"""The scheme in which the ids of the statements here are computed."""

digests = st.binary(min_size=32, max_size=32)
maybe_digests = st.just(b"") | digests
keys = digests | st.binary(min_size=33, max_size=33)
signatures = st.binary(min_size=64, max_size=64)
hints = st.binary(min_size=4, max_size=4)
seeds = st.binary(min_size=16, max_size=16)
baskets = seeds
money = st.integers(0, limits.AMOUNT)
bytes_of = st.integers(0, 255)
numbers = st.integers(0, 2**32 - 1)
counters = st.integers(0, 2**63 - 1)
epochs = st.integers(0, 2**24)
currencies = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=3, max_size=3)
texts = st.text(max_size=8)
roles = st.sampled_from([Role(0), Role.PAY, Role.COLLECT, Role.PAY | Role.COLLECT])
wants = st.integers(0, 15).map(Want)
verifications = st.sampled_from(Verification)
blobs = st.binary(max_size=40)


def tuples(of: SearchStrategy[T], most: int = 3, least: int = 0) -> SearchStrategy[tuple[T, ...]]:
    """Return tuples of these, ``least`` to ``most`` long."""
    return st.lists(of, min_size=least, max_size=most).map(tuple[T, ...])


condition = st.builds(Condition, numbers, blobs)
conditions = tuples(condition)
tokens = st.builds(
    Token, st.binary(min_size=8, max_size=8), st.integers(1, limits.AMOUNT), currencies, keys, epochs, epochs, bytes_of,
    conditions, hints, signatures,
)  # fmt: skip
authority_certificates = st.builds(
    AuthorityCertificate, keys, st.sampled_from(Authority), numbers, numbers, epochs, hints, signatures
)
wallet_certificates = st.builds(
    WalletCertificate, keys, st.sampled_from(Carrier), bytes_of, roles, st.integers(0, 9999), maybe_digests, epochs,
    numbers, hints, signatures,
)  # fmt: skip
headers = st.builds(Header, epochs, numbers, hints, signatures)
tiers = st.builds(Tier, numbers, money, numbers, numbers, money, money, money, money, money)
policies = st.builds(Policy, numbers, tuples(tiers), tuples(keys), tuples(hints), hints, signatures)
parents = st.builds(Parent, digests, st.sampled_from(Side), st.integers(0, limits.SPANS - 1))
spans = st.builds(Span, parents, money, money)

requests = st.builds(
    RequestBody, digests, st.booleans(), money, currencies, baskets, bytes_of, maybe_digests, bytes_of, bytes_of,
    st.integers(0, limits.MESSAGE), verifications, epochs,
)  # fmt: skip
transfers = st.builds(TransferBody, keys, tuples(spans, least=1), epochs, tuples(blobs))
receipts = st.builds(ReceiptBody, digests, digests, epochs)
closes = st.builds(CloseBody, digests, numbers, epochs)
presents = st.builds(PresentBody, digests, st.booleans(), epochs)
syncs = st.builds(SyncBody, digests, digests, epochs)
successors = st.builds(SuccessorBody, keys, epochs)
grants = st.builds(
    GrantBody, digests, st.just(b"") | keys, st.integers(0, 9999), money, st.just(b"") | baskets, epochs, epochs
)
binds = st.builds(BindBody, keys, digests, counters, epochs)
owns = st.builds(OwnBody, keys, digests, epochs)
orders = st.builds(
    OrderBody, keys, counters, counters, st.sampled_from(Errand), st.booleans(), money, money, money,
    st.just(b"") | keys, epochs,
)  # fmt: skip
owner_bodies: SearchStrategy[OwnerBody] = st.one_of(binds, owns, orders)
off_tape: SearchStrategy[Body] = st.one_of(requests, presents, syncs, successors, grants, owner_bodies)
BODIES: dict[type[Body], SearchStrategy[Body]] = {
    RequestBody: requests,
    PresentBody: presents,
    SyncBody: syncs,
    SuccessorBody: successors,
    GrantBody: grants,
    BindBody: binds,
    OwnBody: owns,
    OrderBody: orders,
    TransferBody: transfers,
    ReceiptBody: receipts,
    CloseBody: closes,
}
"""What each kind of statement says, by its type."""
two_of_a_kind: SearchStrategy[tuple[Body, Body]] = st.one_of(*[st.tuples(each, each) for each in BODIES.values()])
privates = st.builds(Private, verifications, maybe_digests)
openings = st.builds(Opening, seeds, counters, counters, privates, maybe_digests)


@st.composite
def statements(draw: DrawFn, bodies: SearchStrategy[Body], *, tape: bool = True) -> Signed[Body]:
    """Return statements with such bodies; ``tape`` says whether they are entries of a tape."""
    shown = draw(openings | digests) if tape else b""
    return forms.signed(SCHEME.id, draw(keys), draw(bodies), shown, draw(st.just(b"") | signatures))


sent_statements = cast("SearchStrategy[Transfer]", statements(transfers))
outcomes = cast("SearchStrategy[Outcome]", statements(receipts | closes))
tape_entries = cast("SearchStrategy[TapeStatement]", statements(transfers | receipts | closes))
request_openings = st.builds(RequestOpening, digests, digests, digests)
warrants = st.builds(Warrant, request_openings, outcomes)
dead = st.tuples(digests, warrants)

# Messages

indices = st.integers(0, limits.STATEMENTS - 1)
compact_spans: SearchStrategy[CompactSpan] = st.one_of(
    st.tuples(indices, money, money),
    st.tuples(indices, st.integers(1, 2), st.integers(0, limits.SPANS - 1), money, money),
)
compact_warrants = st.builds(
    CompactWarrant, digests, digests, digests, digests, st.just(0), epochs, digests, signatures
) | st.builds(CompactWarrant, digests, digests, digests, st.just(b""), numbers, epochs, digests, signatures)
compact_transfers = st.builds(
    CompactTransfer, indices, indices | keys, tuples(compact_spans, least=1), epochs, tuples(blobs),
    digests | compact_warrants, signatures,
)  # fmt: skip
compact_tokens = st.builds(
    CompactToken, st.binary(min_size=8, max_size=8), st.integers(1, limits.AMOUNT), currencies, indices, epochs, epochs,
    bytes_of, conditions, hints, signatures,
)  # fmt: skip
bundles = st.builds(
    Bundle, tuples(wallet_certificates, least=1), tuples(compact_tokens, least=1), tuples(compact_transfers)
)
words = st.integers(0, 0xFFFF)
MESSAGES: dict[type[Message], SearchStrategy[Message]] = {
    RequestMessage: st.builds(
        RequestMessage, st.booleans(), money, currencies, baskets, bytes_of, maybe_digests, bytes_of, bytes_of,
        st.integers(0, limits.MESSAGE), verifications, epochs, signatures, wallet_certificates,
        tuples(authority_certificates), words,
    ),
    PresentMessage: st.builds(
        PresentMessage, st.booleans(), epochs, signatures, wallet_certificates, tuples(authority_certificates), words
    ),
    TransferMessage: st.builds(
        TransferMessage, maybe_digests, tuples(compact_spans, least=1), epochs, tuples(blobs), seeds, counters,
        counters, verifications, maybe_digests, signatures, bundles, st.none() | headers,
        tuples(authority_certificates), st.booleans(),
    ),
    OutcomeMessage: st.builds(
        OutcomeMessage, st.just(Kind.RECEIPT), maybe_digests, st.just(0), epochs, seeds, counters, counters, signatures,
        st.none() | headers,
    ) | st.builds(
        OutcomeMessage, st.just(Kind.CLOSE), st.just(b""), numbers, epochs, seeds, counters, counters, signatures,
        st.none() | headers,
    ),
    ProceedMessage: st.builds(ProceedMessage),
    RefuseMessage: st.builds(RefuseMessage, numbers),
    DoneMessage: st.builds(DoneMessage),
    RecallMessage: st.builds(RecallMessage, tuples(digests, least=1)),
    NewsHave: st.builds(
        NewsHave, numbers, tuples(hints), st.integers(0, limits.MESSAGE), st.integers(0, limits.MESSAGE)
    ),
    NewsPiece: st.builds(NewsPiece, numbers, blobs),
    PingMessage: st.builds(PingMessage, st.binary(min_size=8, max_size=8)),
    PongMessage: st.builds(PongMessage, st.binary(min_size=8, max_size=8)),
}  # fmt: skip
"""Each kind of sealed message, by its type."""
messages: SearchStrategy[Message] = st.one_of(*MESSAGES.values())
hellos = st.builds(Hello, hints, tuples(bytes_of, least=1), keys, wants)
welcomes = st.builds(Welcome, bytes_of, keys, wants, blobs)

# Records

news = st.builds(
    News, st.none() | wallet_certificates, tuples(authority_certificates), st.none() | headers, st.none() | policies
)
asked = st.builds(Asked, digests, baskets, bytes_of, money, currencies, epochs, verifications)
holdings = st.builds(Holding, parents, digests, money, money)
lines = st.builds(Line, texts, money, currencies, maybe_digests, maybe_digests, epochs)
sent = st.builds(Sent, sent_statements, baskets, bytes_of)
questions = st.builds(Question, asked, st.none() | outcomes)
takings = st.builds(Taken, digests, keys, money, money)
RECORDS: dict[type[Record], SearchStrategy[Record]] = {
    News: news,
    Funded: st.builds(Funded, tokens),
    Asked: asked,
    Answered: st.builds(Answered, outcomes, blobs),
    Sent: sent,
    SignedTail: st.builds(SignedTail, digests, signatures),
    Moved: st.builds(Moved, digests, counters, counters),
    Healed: st.builds(Healed, digests, outcomes),
    Synced: st.builds(Synced, counters, tuples(digests), counters),
    Retired: st.builds(Retired, statements(successors, tape=False)),
    Told: st.builds(Told, tuples(st.builds(ToldLine, digests, st.sampled_from(Standing), epochs, money, currencies))),
    Warned: st.builds(Warned, keys, blobs),
    Tied: st.builds(
        Tied, keys, counters, st.none() | statements(binds, tape=False), st.none() | statements(owns, tape=False)
    ),
    Ordered: st.builds(Ordered, statements(orders, tape=False)),
    Carried: st.builds(Carried, st.builds(Spent, epochs, money, money, counters)),
    Snapshot: st.builds(
        Snapshot, news, tuples(tokens), tuples(sent_statements), tuples(dead), tuples(wallet_certificates),
        tuples(holdings), tuples(sent), tuples(questions), tuples(takings), tuples(lines), tuples(tape_entries),
        tuples(outcomes), tuples(st.builds(Witnessed, digests, blobs)), counters, maybe_digests, counters,
        st.builds(Since, numbers, numbers, money), st.builds(Spent, epochs, money, money, counters),
    ),
}  # fmt: skip
"""Each kind of record of a wallet's log, by its type."""
records: SearchStrategy[Record] = st.one_of(*RECORDS.values())
uploads = st.builds(
    Upload, wallet_certificates, tuples(tokens), tuples(wallet_certificates), tuples(sent_statements), tuples(dead),
    tuples(tape_entries), tuples(outcomes), tuples(digests), counters, st.none() | statements(successors, tape=False),
    tuples(statements(owner_bodies, tape=False)),
)  # fmt: skip
settlements = st.builds(Settlement, digests, st.sampled_from(Standing), epochs, money)
signed_uploads = st.builds(SignedUpload, blobs, digests, epochs, signatures, st.just(b"") | signatures)
replies = st.builds(
    Reply,
    news,
    tuples(outcomes),
    tuples(digests),
    tuples(tokens),
    counters,
    tuples(settlements),
    st.none() | wallet_certificates,
    tuples(statements(orders, tape=False)),
)

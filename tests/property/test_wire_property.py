"""Whatever can be said has one encoding: it reads back as it was, and a changed byte never means the same."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, TypeVar, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy  # noqa: TC002 - hypothesis reads the annotations

from dualtap import limits, wire
from dualtap.errors import TapError
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
    Told,
    ToldLine,
    Warned,
    Witnessed,
    decoder,
    encode_record,
)
from dualtap.standing import Settlement, Standing
from dualtap.statements import (
    Authority,
    AuthorityCertificate,
    Body,
    Carrier,
    CloseBody,
    Condition,
    GrantBody,
    Header,
    Kind,
    Opening,
    Outcome,
    Parent,
    Policy,
    PresentBody,
    Private,
    ReceiptBody,
    RequestBody,
    RequestOpening,
    Role,
    Side,
    Signed,
    Span,
    SuccessorBody,
    SyncBody,
    TapeStatement,
    Tier,
    Token,
    Transfer,
    TransferBody,
    Verification,
    WalletCertificate,
    Warrant,
)
from dualtap.sync import (
    Reply,
    SignedUpload,
    Upload,
    decode_reply,
    decode_signed_upload,
    decode_upload,
    encode_reply,
    encode_signed_upload,
    encode_upload,
)
from dualtap.wire import (
    Bundle,
    CompactSpan,
    CompactToken,
    CompactTransfer,
    CompactWarrant,
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
from tests.playbook import World

T = TypeVar("T")
WORLD = World(seed="property")
SCHEME = WORLD.scheme

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
    return st.lists(of, min_size=least, max_size=most).map(tuple[T, ...])


conditions = tuples(st.builds(Condition, numbers, blobs))
tokens = st.builds(
    Token, st.binary(min_size=8, max_size=8), st.integers(1, limits.AMOUNT), currencies, keys, epochs, epochs, bytes_of,
    conditions, hints, signatures,
)  # fmt: skip
authorities = st.builds(
    AuthorityCertificate, keys, st.sampled_from(Authority), numbers, numbers, epochs, hints, signatures
)
wallets = st.builds(
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
off_tape: SearchStrategy[Body] = st.one_of(requests, presents, syncs, successors, grants)
EACH: tuple[SearchStrategy[Body], ...] = (requests, presents, syncs, successors, transfers, receipts, closes)
two_of_a_kind: SearchStrategy[tuple[Body, Body]] = st.one_of(*[st.tuples(each, each) for each in EACH])
privates = st.builds(Private, verifications, maybe_digests)
openings = st.builds(Opening, seeds, counters, counters, privates, maybe_digests)


@st.composite
def statements(draw: DrawFn, bodies: SearchStrategy[Body], *, tape: bool = True) -> Signed[Body]:
    shown = draw(openings | digests) if tape else b""
    return wire.signed(SCHEME.id, draw(keys), draw(bodies), shown, draw(st.just(b"") | signatures))


sent_statements = cast("SearchStrategy[Transfer]", statements(transfers))
outcomes = cast("SearchStrategy[Outcome]", statements(receipts | closes))
tape_entries = cast("SearchStrategy[TapeStatement]", statements(transfers | receipts | closes))
warrants = st.builds(Warrant, st.builds(RequestOpening, digests, digests, digests), outcomes)
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
bundles = st.builds(Bundle, tuples(wallets, least=1), tuples(compact_tokens, least=1), tuples(compact_transfers))
words = st.integers(0, 0xFFFF)
messages: SearchStrategy[Message] = st.one_of(
    st.builds(
        RequestMessage, st.booleans(), money, currencies, baskets, bytes_of, maybe_digests, bytes_of, bytes_of,
        st.integers(0, limits.MESSAGE), verifications, epochs, signatures, wallets, tuples(authorities),
        words,
    ),
    st.builds(PresentMessage, st.booleans(), epochs, signatures, wallets, tuples(authorities), words),
    st.builds(
        TransferMessage, maybe_digests, tuples(compact_spans, least=1), epochs, tuples(blobs), seeds, counters,
        counters, verifications, maybe_digests, signatures, bundles, st.none() | headers, tuples(authorities),
        st.booleans(),
    ),
    st.builds(
        OutcomeMessage, st.just(Kind.RECEIPT), maybe_digests, st.just(0), epochs, seeds, counters, counters, signatures,
        st.none() | headers,
    ),
    st.builds(
        OutcomeMessage, st.just(Kind.CLOSE), st.just(b""), numbers, epochs, seeds, counters, counters, signatures,
        st.none() | headers,
    ),
    st.builds(ProceedMessage),
    st.builds(RefuseMessage, numbers),
    st.builds(DoneMessage),
    st.builds(RecallMessage, tuples(digests, least=1)),
    st.builds(NewsHave, numbers, tuples(hints), st.integers(0, limits.MESSAGE), st.integers(0, limits.MESSAGE)),
    st.builds(NewsPiece, numbers, blobs),
    st.builds(PingMessage, st.binary(min_size=8, max_size=8)),
    st.builds(PongMessage, st.binary(min_size=8, max_size=8)),
)  # fmt: skip
hellos = st.builds(Hello, hints, tuples(bytes_of, least=1), keys, wants)
welcomes = st.builds(Welcome, bytes_of, keys, wants, blobs)

# Records

news = st.builds(News, st.none() | wallets, tuples(authorities), st.none() | headers, st.none() | policies)
asked = st.builds(Asked, digests, baskets, bytes_of, money, currencies, epochs, verifications)
holdings = st.builds(Holding, parents, digests, money, money)
lines = st.builds(Line, texts, money, currencies, maybe_digests, maybe_digests, epochs)
sent = st.builds(Sent, sent_statements, baskets, bytes_of)
questions = st.builds(Question, asked, st.none() | outcomes)
takings = st.builds(Taken, digests, keys, money, money)
records: SearchStrategy[Record] = st.one_of(
    news,
    st.builds(Funded, tokens),
    asked,
    st.builds(Answered, outcomes, blobs),
    sent,
    st.builds(SignedTail, digests, signatures),
    st.builds(Moved, digests, counters, counters),
    st.builds(Healed, digests, outcomes),
    st.builds(Synced, counters, tuples(digests), counters),
    st.builds(Retired, statements(successors, tape=False)),
    st.builds(Told, tuples(st.builds(ToldLine, digests, st.sampled_from(Standing), epochs, money, currencies))),
    st.builds(Warned, keys, blobs),
    st.builds(Carried, st.builds(Spent, epochs, money, money, counters)),
    st.builds(
        Snapshot, news, tuples(tokens), tuples(sent_statements), tuples(dead), tuples(wallets), tuples(holdings),
        tuples(sent), tuples(questions), tuples(takings), tuples(lines), tuples(tape_entries), tuples(outcomes),
        tuples(st.builds(Witnessed, digests, blobs)), counters, maybe_digests, counters,
        st.builds(Since, numbers, numbers, money), st.builds(Spent, epochs, money, money, counters),
    ),
)  # fmt: skip
uploads = st.builds(
    Upload, wallets, tuples(tokens), tuples(wallets), tuples(sent_statements), tuples(dead), tuples(tape_entries),
    tuples(outcomes), tuples(digests), counters, st.none() | statements(successors, tape=False),
)  # fmt: skip
settlements = st.builds(Settlement, digests, st.sampled_from(Standing), epochs, money)
replies = st.builds(
    Reply, news, tuples(outcomes), tuples(digests), tuples(tokens), counters, tuples(settlements), st.none() | wallets
)
some = settings(max_examples=60, deadline=None, derandomize=True)


@given(messages)
@some
def test_every_message_reads_back(message: Message) -> None:
    """§5.1-1."""
    assert wire.decode(wire.encode(message)) == message


@given(hellos, welcomes)
@some
def test_every_greeting_reads_back(hello: Hello, welcome: Welcome) -> None:
    assert wire.decode_hello(wire.encode_hello(hello)) == hello
    assert wire.decode_welcome(wire.encode_welcome(welcome)) == welcome


@given(records)
@some
def test_every_record_reads_back(record: Record) -> None:
    assert decoder(SCHEME.id)(encode_record(record)) == record


@given(statements(off_tape, tape=False) | cast("SearchStrategy[Signed[Body]]", tape_entries))
@some
def test_every_statement_reads_back(statement: Signed[Body]) -> None:
    data = wire.pack(wire.statement_fields(statement))
    assert wire.statement_check(SCHEME.id)(wire.unpack(data)) == statement


@given(uploads, replies, st.builds(SignedUpload, blobs, digests, epochs, signatures, st.just(b"") | signatures))
@some
def test_every_sync_reads_back(upload: Upload, reply: Reply, item: SignedUpload) -> None:
    assert decode_upload(SCHEME, encode_upload(upload)) == upload
    assert decode_reply(SCHEME, encode_reply(reply)) == reply
    assert decode_signed_upload(encode_signed_upload(item)) == item


@given(messages, st.data())
@some
def test_a_changed_byte_never_means_the_same(message: Message, data: st.DataObject) -> None:
    encoded = bytearray(wire.encode(message))
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] ^= data.draw(st.integers(1, 255))
    _reads_otherwise(bytes(encoded), message)


@given(messages, st.integers(0, 64), blobs)
@some
def test_a_message_that_is_cut_or_longer_is_refused(message: Message, cut: int, more: bytes) -> None:
    """§5.1-3."""
    encoded = wire.encode(message)
    for changed in (encoded[: -1 - cut], encoded + more + b"\x00"):
        try:
            wire.decode(changed)
        except TapError:
            continue
        raise AssertionError("read something that nobody said")


@given(hellos, st.data())
@some
def test_a_changed_byte_of_a_hello_never_means_the_same(hello: Hello, data: st.DataObject) -> None:
    encoded = bytearray(wire.encode_hello(hello))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        other = wire.decode_hello(bytes(encoded))
    except TapError:
        return
    assert other != hello
    assert wire.encode_hello(other) == bytes(encoded)


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_random_bytes_are_refused_or_canonical(data: bytes) -> None:
    """§5.1-4."""
    with suppress(TapError):
        assert wire.encode(wire.decode(data)) == data
    with suppress(TapError):
        assert wire.encode_hello(wire.decode_hello(data)) == data


def _reads_otherwise(data: bytes, message: Message) -> None:
    try:
        other = wire.decode(data)
    except TapError:
        return
    assert (type(other), other) != (type(message), message)
    assert wire.encode(other) == data


@given(two_of_a_kind, keys, keys, openings, openings, st.data())
@some
def test_any_field_of_a_statement_changes_its_id(
    bodies: tuple[Body, Body], key: bytes, another: bytes, opening: Opening, closing: Opening, data: st.DataObject
) -> None:
    """§3-16, §4.1-3."""
    body, other = bodies
    first = wire.signed(SCHEME.id, key, body, opening).id
    field = data.draw(st.sampled_from(body._fields))
    changed = cast("Body", cast("Any", body)._replace(**{field: getattr(other, field)}))
    assert (wire.signed(SCHEME.id, key, changed, opening).id == first) is (changed == body)
    assert (wire.signed(SCHEME.id, another, body, opening).id == first) is (another == key)
    assert (wire.signed(SCHEME.id, key, body, closing).id == first) is (closing == opening)
    assert wire.signed(bytes(32), key, body, opening).id != first


@given(openings)
@some
def test_both_halves_of_an_opening_open_the_same_commitment(opening: Opening) -> None:
    """§4.2-2."""
    tape, request = opening.tape(), opening.answered()
    assert (tape.commitment() == request.commitment()) is bool(opening.request)

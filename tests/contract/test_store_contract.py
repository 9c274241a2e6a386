"""What every store of a ledger does. The same tests run on PostgreSQL: ``make test-postgres``."""

from __future__ import annotations

import os
import random
import signal
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from multiprocessing import get_context
from pathlib import Path

import pytest

from dualtap.errors import Code, TapError
from dualtap.evidence import Fraud
from dualtap.issued import WalletCertificate
from dualtap.statements import (
    CloseBody,
    Opening,
    Parent,
    ReceiptBody,
    Side,
    Span,
    TapeStatement,
    Transfer,
    TransferBody,
)
from dualtap.suite import sha256
from dualtap.sync import upload_of
from dualtap_devices.wallet import Wallet
from dualtap_issuer import naming, rowcheck, settling
from dualtap_issuer.database import migrations
from dualtap_issuer.facts import Fact, FactKind, statement_facts
from dualtap_issuer.guarantee import Caps, Liability, Ruling, Share
from dualtap_issuer.index import Row
from dualtap_issuer.ingest import Ingest
from dualtap_issuer.ledger import Ledger
from dualtap_issuer.marks import Mark
from dualtap_issuer.rows import (
    AskedRow,
    AuthorityRow,
    CertifiedRow,
    DepositRow,
    HandRow,
    Kept,
    OutcomeRow,
    PlaceRow,
    SpanRow,
    TodoRow,
    WaitRow,
    WordRow,
)
from dualtap_issuer.rules import Credit, Leaf, Lot
from dualtap_issuer.settling import Settled
from dualtap_issuer.store import DISTRIBUTION, FRONT_DOOR, Store
from tests.mint import EPOCH, TERMS, Mint

KILLS = 60
A, B, C, D, E, F = (bytes([number]) * 32 for number in range(1, 7))


@pytest.fixture
def where(tmp_path: Path) -> str:
    """Where there is room for an empty ledger."""
    return f"sqlite://{tmp_path}/ledger.db"


@pytest.fixture
def store(where: str) -> Iterator[Store]:
    """An empty ledger's store."""
    with closing(Store.open(where)) as found:
        yield found


def fact(digest: bytes) -> Fact:
    return Fact(FactKind.STATEMENT, digest, b"body of " + digest)


def put(store: Store, *rows: Row) -> None:
    with store.transaction():
        store.put(rows)


# The tables


def test_every_table_distributes_or_is_the_front_doors(store: Store) -> None:
    """Each primary key begins with the column by which its table distributes: a fact's digest, a token or a key."""
    found = store.catalogue()
    assert {table: key[0] for table, key in found.items() if table not in FRONT_DOOR} == {
        table: column for table, column in DISTRIBUTION.items() if table in found
    }
    assert set(DISTRIBUTION) - found.keys() <= {"todo"}
    assert found.keys() >= FRONT_DOOR


def test_a_ledger_is_kept_and_migrated_once(where: str) -> None:
    first = Store.open(where)
    with first.transaction():
        first.put_facts([fact(A)], 7)
    first.close()
    again = Store.open(where, create=False)
    assert again.fact(A) == (fact(A), 7)
    assert len(again.ask("SELECT number FROM migration")) == len(migrations("sqlite")) == len(migrations("postgres"))
    again.close()


def test_what_is_missing_is_not_created_unasked(where: str) -> None:
    with pytest.raises(TapError) as caught:
        Store.open(where, create=False)
    assert caught.value.code is Code.LEDGER_CORRUPT


@pytest.mark.parametrize("url", ["mysql://host/ledger", "://", "http://[::1]/x"])
def test_another_kind_of_url_is_refused(url: str) -> None:
    with pytest.raises(TapError) as caught:
        Store.open(url)
    assert caught.value.code is Code.BAD_INPUT


# Facts


def test_a_fact_is_kept_once_with_its_smallest_stamp(store: Store) -> None:
    """§16-1, §16-2, §16-4."""
    with store.transaction():
        assert store.put_facts([fact(A), fact(B)], 5) == {A: Kept.NEW, B: Kept.NEW}
        assert store.put_facts([fact(A), fact(C)], 6) == {A: Kept.KNOWN, C: Kept.NEW}
        assert store.put_facts([fact(B), fact(C), fact(A)], 5) == {A: Kept.KNOWN, B: Kept.KNOWN, C: Kept.EARLIER}
        assert store.put_facts([fact(B)], 2) == {B: Kept.EARLIER}
    assert store.stamps([A, B, C, D]) == {A: 5, B: 2, C: 5}
    assert sorted(store.facts()) == [(fact(A), 5), (fact(B), 2), (fact(C), 5)]
    assert store.find([C, D]) == [(fact(C), 5)]
    assert (store.fact(D), store.has(A), store.has(D)) == (None, True, False)


def test_nothing_is_asked_for_nothing(store: Store) -> None:
    with store.transaction():
        assert store.put_facts([], 5) == {}
        store.put([])
    assert (store.stamps([]), store.spans([]), naming.overlapping(store, [])) == ({}, [], {})


def test_what_raises_changes_nothing(store: Store) -> None:
    def fail() -> None:
        with store.transaction():
            store.put_facts([fact(A)], 5)
            store.put([DepositRow(A, 0)])
            store.put_challenge(B)
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fail()
    assert (list(store.facts()), store.deposits(), store.take_challenge(B)) == ([], [], False)
    with store.transaction():
        store.put_facts([fact(A)], 6)
    assert store.stamps([A]) == {A: 6}


# The index

ROWS: list[Row] = [
    PlaceRow(A, 1, 3, B), OutcomeRow(A, B, C, b""), AskedRow(A, B, C), CertifiedRow(A, B),
    AuthorityRow(A[:4], B), WordRow(A, B, C),
    SpanRow(A, B, 1, 0, 3, 9, C, 2), WaitRow(A, B), DepositRow(A, 0), Mark(A, Fraud.FORK, B),
    Leaf(A, 0, 5, B, Lot.HELD, b""),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=[type(row).__name__ for row in ROWS])
def test_a_row_repeated_changes_nothing(store: Store, row: Row) -> None:
    """§16-4."""
    put(store, row)
    before = everything(store)
    put(store, row, row)
    assert everything(store) == before
    assert sum(before.values()) == 1


def everything(store: Store) -> Counter[object]:
    tables = store.catalogue().keys() - {"migration"}
    return Counter((table, row) for table in tables for row in store.ask(f"SELECT * FROM {table}"))


def test_hands_and_their_requests_are_told_by_the_facts(store: Store) -> None:
    """Of two transfers with one commitment, both answer the request that it is opened to."""
    mint = Mint()
    payer, payee = mint.wallet(100), mint.wallet().book.key
    opening = Opening(A[:16], 0, 1, request=B)
    spans = [(Span(Parent(A, Side.TOKEN, 0), 0, amount),) for amount in (5, 6)]
    one, twin = [mint.sign(payer, TransferBody(payee, span, EPOCH, ()), opening) for span in spans]
    other = mint.sign(payer, TransferBody(payee, spans[0], EPOCH, ()), F)
    receipt = mint.sign(payer, ReceiptBody(B, one.id, EPOCH), Opening(A[:16], 1, 2))
    with store.transaction():
        store.put_facts([fact for said in (one, twin, other, receipt) for fact in statement_facts(said)], 5)
    hands = {key.id: HandRow(key.id, key.key, payee, EPOCH, key.commitment) for key in (one, twin, other)}
    assert store.hands([*hands, receipt.id, E]) == hands
    assert set(store.asked([*hands, receipt.id])) == {AskedRow(payee, B, one.id), AskedRow(payee, B, twin.id)}
    assert (store.paid([payee]), store.paid([E])) == (sorted(hands), [])


def test_requests_and_outcomes(store: Store) -> None:
    asked = [AskedRow(A, B, C), AskedRow(A, B, D), AskedRow(B, B, E)]
    put(store, *asked)
    assert set(store.answering([(A, B), (C, C)])) == set(asked[:2])
    outcomes = [OutcomeRow(A, B, D, b""), OutcomeRow(A, B, C, E), OutcomeRow(A, C, E, b"")]
    put(store, *outcomes)
    assert store.outcomes([(A, B)]) == [outcomes[1], outcomes[0]]
    certified = [CertifiedRow(A, D), CertifiedRow(A, C), CertifiedRow(B, C)]
    put(store, *certified)
    assert store.certificates([A, A]) == [certified[1], certified[0]]
    put(store, WaitRow(A, B), WaitRow(A, C), WaitRow(B, C))
    assert set(store.waiting([A])) == {WaitRow(A, B), WaitRow(A, C)}


@pytest.mark.parametrize(
    ("start", "end", "met"),
    [(0, 10, False), (0, 11, True), (19, 25, True), (20, 25, False), (12, 13, True), (0, 99, True), (10, 20, True)],
)
def test_spans_overlap_where_they_share_a_unit(store: Store, start: int, end: int, met: bool) -> None:
    """§16-3: both are kept."""
    mine = SpanRow(A, B, Side.PAYEE, 1, start, end, D, 0)
    put(store, SpanRow(A, B, Side.PAYEE, 1, 10, 20, C, 0), mine)
    there = Parent(B, Side.PAYEE, 1)
    both = {(start, end, D), (10, 20, C)}
    assert naming.overlapping(store, [mine]) == {there: both if met else {(start, end, D)}}


def test_spans_of_other_parents_and_ones_own_do_not_overlap(store: Store) -> None:
    mine = SpanRow(A, B, Side.PAYEE, 1, 10, 20, D, 0)
    others = [
        mine._replace(number=1), mine._replace(side=Side.PAYER, transfer=C), mine._replace(place=2, transfer=C),
        mine._replace(parent=C, transfer=C), mine._replace(token=C, transfer=C),
    ]  # fmt: skip
    put(store, mine, *others)
    assert naming.overlapping(store, [mine]) == {mine.origin: {(10, 20, D)}}
    assert set(store.spans([D])) == {mine, others[0]}


def test_who_spends_a_payees_side_and_what_is_behind(store: Store) -> None:
    first = SpanRow(A, A, Side.TOKEN, 0, 0, 20, B, 0)
    second = SpanRow(A, B, Side.PAYEE, 0, 0, 20, C, 0)
    third = SpanRow(A, C, Side.PAYER, 0, 0, 20, D, 0)
    put(store, first, second, third)
    assert set(store.payee_kids([B, C, D])) == {(B, C)}
    assert store.behind([D]) == {A, B, C, D}
    assert store.behind([C, E]) == {A, B, C, E}


@pytest.mark.parametrize("long", [3, 100, 10**6])
def test_places_on_a_tape(store: Store, long: int) -> None:
    """Intervals ``(prev, ctr]``, short or long; an empty one meets nothing."""
    there = [PlaceRow(A, 10, 10 + long, B), PlaceRow(A, 5, 5, C), PlaceRow(B, 0, 99, D)]
    put(store, *there)
    last = 10 + long
    met = {(0, 10): False, (0, 11): True, (last - 1, last + 9): True, (last, last + 9): False, (11, 12): True}
    for (prev, ctr), expected in {**met, (0, 2 * long + 99): True, (11, 11): False}.items():
        mine = PlaceRow(A, prev, ctr, E)
        assert naming.beside(store, [mine]) == ({A: {(10, last, B)}} if expected else {})
    assert naming.beside(store, [there[0]]) == {A: {(10, last, B)}}


def test_a_credit_only_moves_back(store: Store) -> None:
    one = Credit(B, 0, A, C, 50, 7)
    put(store, DepositRow(B, 0), DepositRow(C, 0))
    with store.transaction():
        store.put_credits([B], [one])
        store.put_credits([B], [one._replace(epoch=9)])
    assert (store.credits(), store.deposits([B, E])) == ([one], [DepositRow(B, 1)])
    with store.transaction():
        store.put_credits([B], [one._replace(epoch=3)])
    assert store.credits() == [one._replace(epoch=3)]
    assert sorted(store.deposits()) == [DepositRow(B, 1), DepositRow(C, 0)]


def test_names_and_settlement(store: Store) -> None:
    marks = [Mark(A, Fraud.FORK, B), Mark(A, Fraud.TAPE_FORK, C), Mark(B, Fraud.FORK, C)]
    put(store, *marks)
    assert (store.marks(), store.named()) == (marks, [A, B])
    assert (store.is_named([C, B]), store.is_named([C]), store.is_named([])) == (True, False, False)
    leaves = [Leaf(A, 0, 5, B, Lot.HELD, b""), Leaf(A, 5, 9, C, Lot.IN_DOUBT, D)]
    ruling = Ruling(9, Caps(), frozenset())
    share, liable = Share(A, B, 5, 4, 1), Liability(A, C, 1)
    with store.transaction(alone=True):
        settling.put(store, Settled(A, ruling, leaves, [liable], [share]))
        settling.put(store, Settled(B, ruling, [], [], []))
        store.close_epoch(9)
        store.close_epoch(8)
    assert ({key: sorted(held) for key, held in store.settled().items()}) == {A: leaves, B: []}
    assert store.closed_epoch() == 9
    assert settling.done(store, [A, B, C]) == {A, B}
    assert (settling.all_shares(store), settling.all_liabilities(store)) == ([share], [liable])


# The front door


def test_the_front_door(store: Store) -> None:
    """§4.3-6, §14-3."""
    assert [store.ordinal(D, key, 2) for key in (A, B, A, C)] == [0, 1, 0, None]
    assert (store.closed_epoch(), store.policy()) == (0, None)
    with store.transaction():
        store.put_challenge(A)
        assert [store.is_open(key) for key in (A, B)] == [True, False]
        assert [store.take_challenge(key) for key in (A, A, B)] == [True, False, False]
        for version in (2, 1):
            store.put_policy(version, bytes([version]))
        for owner, token in ((A, B), (A, C), (B, D)):
            store.put_delivery(owner, token)
    assert (store.policy(), store.deliveries(A, 0), store.deliveries(A, 1)) == (b"\x02", [(1, B), (2, C)], [(2, C)])


def test_each_bank_counts_for_itself(store: Store) -> None:
    """§4.3-6: and what an older ledger counted is its one bank's."""
    assert [store.ordinal(D, A, 9), store.ordinal(E, A, 9), store.ordinal(D, B, 9)] == [0, 0, 1]
    assert [store.ordinals(bank) for bank in (D, E, F)] == [2, 1, 0]
    with store.transaction():
        store.insert("ordinal", ("bank", "number", "key"), [(b"", 0, A), (b"", 1, C)])
        store.adopt_ordinals(F)
    assert (store.ordinals(F), store.ordinal(F, C, 9), store.ordinal(F, B, 9)) == (2, 1, 2)


def test_an_older_ledger_is_brought_up_to_date(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """§4.3-6: one that knew one bank only; no ordinal is given again."""
    with monkeypatch.context() as patched:
        kind = "sqlite" if where.startswith("sqlite") else "postgres"

        def first(kind: str) -> list[tuple[int, list[str]]]:
            return migrations(kind)[:1]

        patched.setattr(f"dualtap_issuer.{kind}.migrations", first)
        with closing(Store.open(where)) as old, old.transaction():
            old.insert("ordinal", ("number", "key"), [(0, A), (1, B)])
    with closing(Store.open(where)) as store:
        with store.transaction():
            store.adopt_ordinals(D)
        assert [store.ordinal(D, key, 9) for key in (B, C, A)] == [1, 2, 0]


def test_a_ledger_with_hands_is_brought_up_to_date(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is lost, also not what a process that died left undone; who hid a request waits for it."""
    mint = Mint()
    mint.settle_in(paid(mint, 1), deposit=True)
    payer, shop = mint.wallet(100), mint.wallet()
    (token,) = payer.book.graph.tokens
    opening, body = (
        mint.opening(0, 1, B),
        TransferBody(shop.book.key, (Span(Parent(token, Side.TOKEN, 0), 0, 5),), 1, ()),
    )
    hidden = mint.sign(payer, body, opening)
    mint.sync(mint.signed_upload(payer, upload_of(payer.book)._replace(transfers=(closed(hidden),))))
    with monkeypatch.context() as patched:
        kind = "sqlite" if where.startswith("sqlite") else "postgres"

        def before(kind: str) -> list[tuple[int, list[str]]]:
            return [one for one in migrations(kind) if one[0] < 70]

        patched.setattr(f"dualtap_issuer.{kind}.migrations", before)
        with closing(Store.open(where)) as old, old.transaction():
            copied(mint, old)
    ledger = Ledger(Store.open(where), mint.authority, TERMS)
    with closing(ledger.store) as store:
        assert (ledger.digest(), ledger.audit()) == (mint.ledger.digest(), mint.ledger.audit())
        assert store.unfinished() == []
        with store.transaction():
            ingest = Ingest(store, ledger.trust, ledger.institutions, mint.epoch)
            ingest.asked(opening.answered())
            ingest.finish()
        assert store.answering([(shop.book.key, B)]) == [AskedRow(shop.book.key, B, hidden.id)]
        ledger.audit()


def closed(transfer: Transfer) -> Transfer:
    """Return a transfer as later hands see it: without what it commits to."""
    return transfer._replace(opening=None, place=None)


def copied(mint: Mint, old: Store) -> None:
    """Copy a ledger into an older one: of each transfer a hand, and openings under their older digests."""
    columns = {
        table: [row[0] for row in mint.store.ask(NAMES["sqlite"], values=(table,))] for table in mint.store.catalogue()
    }
    todo: list[TodoRow] = []
    for table, names in columns.items():
        if table in {"migration", "wait"}:
            continue
        listed = [quoted(name) for name in names]
        rows = [tuple(row) for row in mint.store.ask(f"SELECT {', '.join(listed)} FROM {table}")]
        if table == "fact":
            rows = [(older(row[2]) if row[1] == FactKind.OPENING else row[0], *row[1:]) for row in rows]
            todo = [TodoRow(row[0], 0) for row in rows]
        old.insert(table, listed, sorted(rows))
    hands = [
        (one.id, one.key, one.body.payee, one.body.epoch, one.commitment)
        for one in mint.ledger.facts().transfers.values()
    ]
    old.insert("hand", ("id", "key", "payee", "epoch", "commitment"), sorted(hands))
    old.publish(todo)


def older(body: bytes) -> bytes:
    """Return the digest of an opening's fact before it was near its statement's."""
    return sha256(b"dualtap opening" + body[3:35])


def test_dates_parties_and_settings(store: Store) -> None:
    with store.transaction():
        assert store.header(9) is None
        for epoch in (5, 7):
            store.put_header(epoch, bytes([epoch]))
            store.put_header(epoch, b"again")
        assert [store.header(epoch) for epoch in (4, 5, 6, 7, 99)] == [None, b"\5", b"\5", b"\7", b"\7"]
        for what, name, key, taken in (
            ("bank", "one", A, True), ("bank", "one", A, True), ("bank", "one", B, False), ("bank", "two", A, False),
            ("maker", "one", B, True), ("bank", "two", B, True),
        ):  # fmt: skip
            assert store.put_party(name, what, key) is taken
        assert (store.parties("bank"), store.parties("maker")) == ({"one": A, "two": B}, {"one": B})
        assert store.setting("x") is None
        for value in (b"1", b"", b"2"):
            store.put_setting("x", value)
            assert store.setting("x") == value


def test_authorities(store: Store) -> None:
    put(store, AuthorityRow(A[:4], C), AuthorityRow(A[:4], B))
    assert store.authorities() == [B, C]


# The ledger on it


def paid(mint: Mint, payments: int) -> Wallet:
    """Return a shop that was paid by as many wallets, one of which paid elsewhere with the same units."""
    shop, other = mint.wallet(), mint.wallet()
    for _ in range(payments):
        mint.pay(mint.wallet(100), shop, 60)
    thief = mint.wallet(100)
    clone = mint.clone(thief)
    mint.pay(thief, shop, 70)
    mint.pay(clone, other, 80)
    mint.settle_in(other, deposit=True)
    return shop


def test_an_upload_costs_a_bounded_number_of_queries(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much is in it."""
    mint = Mint(path=where)
    shops, counts = [paid(mint, payments) for payments in (2, 8)], list[int]()
    for shop in shops:
        calls = list[str]()
        with monkeypatch.context() as patched:
            for name in ("ask", "insert", "publish"):
                counted(patched, mint.store, name, calls)
            mint.settle_in(shop, deposit=True)
        counts.append(len(calls))
    assert abs(counts[0] - counts[1]) <= 2
    assert max(counts) < 100
    mint.store.close()


def counted(patched: pytest.MonkeyPatch, store: Store, name: str, calls: list[str]) -> None:
    real: Callable[..., object] = getattr(store, name)

    def call(*arguments: object, **named: object) -> object:
        calls.append(name)
        return real(*arguments, **named)

    patched.setattr(store, name, call)


@pytest.mark.parametrize("change", ["DELETE FROM {}", "UPDATE {} SET {}"])
@pytest.mark.parametrize(
    ("table", "altered"),
    [
        ("span", "start = start + 1"), ("asked", "request = transfer"),
        ("outcome", "request = id"), ("tape", "ctr = ctr + 1"), ("certified", "certificate = key"),
        ("deposit", "credited = 1 - credited"), ("mark", "fraud = 5 - fraud"), ("credit", "amount = amount + 1"),
        ("leaf", "lot = 4 - lot"),
    ],
)  # fmt: skip
def test_an_audit_names_the_row_that_is_wrong(where: str, table: str, altered: str, change: str) -> None:
    """§16-14."""
    mint = Mint(path=where)
    mint.settle_in(paid(mint, 1), deposit=True)
    mint.epoch += 16
    mint.ledger.settle(mint.epoch)
    mint.ledger.audit()
    columns = mint.store.catalogue()[table]
    row = mint.store.ask(f"SELECT * FROM {table} ORDER BY {', '.join(map(quoted, columns))} LIMIT 1")[0]
    where_clause = " AND ".join(f"{quoted(column)} = %s" for column in columns)
    names = [item[0] for item in mint.store.ask(NAMES[scheme_of(where)], values=(table,))]
    key = tuple(row[names.index(column)] for column in columns)
    with mint.store.transaction():
        text = change.format(table, altered) + f" WHERE {where_clause} RETURNING {quoted(columns[0])}"
        assert len(mint.store.ask(text, values=key)) == 1
    with pytest.raises(TapError) as caught:
        mint.ledger.audit()
    assert caught.value.code is Code.LEDGER_CORRUPT
    assert caught.value.detail.startswith(table + " ")
    mint.store.close()


NAMES = {
    "sqlite": "SELECT name FROM pragma_table_info(%s) ORDER BY cid",
    "postgresql": "SELECT attname::text FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum",
}


def scheme_of(where: str) -> str:
    return where.partition("://")[0]


def quoted(column: str) -> str:
    return f'"{column}"'


def restored(mint: Mint) -> tuple[list[TapeStatement], list[TapeStatement]]:
    """Return a payment with the deposit of its payer's side, and two outcomes by either of which it is dead."""
    payer, shop = mint.wallet(100), mint.wallet()
    ((token, _),) = payer.book.graph.tokens.items()
    whole, request = Span(Parent(token, Side.TOKEN, 0), 0, 100), bytes([7]) * 32
    body = TransferBody(shop.book.key, (whole,), mint.epoch, ())
    payment = mint.sign(payer, body, mint.opening(0, 1, request))
    back = Span(Parent(payment.id, Side.PAYER, 0), 0, 100)
    deposit = mint.sign(payer, TransferBody(mint.authority.institution, (back,), mint.epoch, ()), mint.opening(1, 2))
    close = mint.sign(shop, CloseBody(request, 1, mint.epoch), mint.opening(0, 1))
    other = mint.sign(shop, ReceiptBody(request, token, mint.epoch), mint.opening(1, 2))
    return [payment, deposit], [close, other]


def take(mint: Mint, epoch: int, *items: TapeStatement | WalletCertificate) -> list[int]:
    """Take items in, stamped; compare with the whole set, and return when what is credited was whole."""
    ledger = mint.ledger
    with ledger.store.transaction():
        ingest = Ingest(ledger.store, ledger.trust, ledger.institutions, epoch)
        for item in items:
            if isinstance(item, WalletCertificate):
                ingest.certificate(item)
            else:
                ingest.statement(item)
        ingest.finish()
    rowcheck.check_rows(ledger.world(), ledger.store)
    return [credit.epoch for credit in ledger.store.credits()]


@pytest.mark.parametrize("at_once", [False, True])
def test_a_deposit_waits_for_the_death_of_what_was_restored(where: str, at_once: bool) -> None:
    """§16-7; the earlier of two warrants counts, whichever came first."""
    mint = Mint(path=where)
    told, (close, other) = restored(mint)
    if not at_once:
        assert take(mint, EPOCH, *told) == []
    assert take(mint, EPOCH + 5, *told, close) == [EPOCH + 5]
    take(mint, EPOCH, *told)
    assert take(mint, EPOCH + 3, other) == [EPOCH + 3]
    assert take(mint, EPOCH + 1, close) == [EPOCH + 1]
    mint.store.close()


@pytest.mark.parametrize("at_once", [False, True])
def test_a_deposit_waits_for_its_signers_certificate(where: str, at_once: bool) -> None:
    """The earlier of two certificates counts, whichever came first."""
    mint = Mint(path=where)
    payer, partner = mint.wallet(100), mint.wallet()
    ((token, _),) = payer.book.graph.tokens.items()
    whole = Span(Parent(token, Side.TOKEN, 0), 0, 100)
    body = TransferBody(partner.book.key, (whole,), mint.epoch, ())
    payment = mint.sign(payer, body, mint.opening(0, 1))
    there = Span(Parent(payment.id, Side.PAYEE, 0), 0, 100)
    deposit = mint.sign(partner, TransferBody(mint.authority.institution, (there,), mint.epoch, ()), mint.opening(0, 1))
    if not at_once:
        assert take(mint, EPOCH, payment, deposit) == []
    first = partner.book.certificate
    mint.epoch += 1
    second = mint.certify(partner)
    assert first != second
    assert take(mint, EPOCH + 5, payment, deposit, first) == [EPOCH + 5]
    take(mint, EPOCH, payment, deposit)
    assert take(mint, EPOCH + 3, second) == [EPOCH + 3]
    mint.store.close()


# Killed


def test_killed_at_any_instant_no_acknowledged_sync_is_lost_and_none_counts_twice(where: str) -> None:
    """§14-6, §16-1, §16-4: SIGKILL at a random call of the store, again and again, until all is in."""
    mint = Mint(path=where)
    uploads = [(shop, upload_of(shop.book)) for shop in [paid(mint, 1) for _ in range(3)]]
    twin = Store.open()
    with twin.transaction():
        for fact_, epoch in mint.store.facts():
            twin.put_facts([fact_], epoch)
        for _, upload in uploads:
            ingest = Ingest(twin, mint.ledger.trust, mint.ledger.institutions, mint.epoch)
            ingest.upload(upload)
            ingest.finish()
    mint.store.close()
    draw, kills, taken = random.Random(1), 0, set[bytes]()
    turn = 0
    while turn < len(uploads) or kills < KILLS:
        shop, upload = uploads[turn % len(uploads)]
        if synced_or_killed(mint, where, shop, draw.randrange(1, 80) if kills < KILLS else 10**9):
            taken |= {statement.id for statement in (*upload.transfers, *upload.tape)}
            turn += 1
        else:
            kills += 1
        after = Store.open(where)
        assert after.stamps(taken).keys() == taken
        after.close()
    last = Ledger(Store.open(where), mint.authority, TERMS)
    last.audit()
    assert dict(last.store.facts()) == dict(twin.facts())
    last.store.close()


def synced_or_killed(mint: Mint, where: str, shop: Wallet, countdown: int) -> bool:
    """Sync a shop in a process that is killed at a call of its store; return whether it had its answer before."""
    context = get_context("fork")
    reader, writer = context.Pipe(duplex=False)

    def act() -> None:
        store = Store.open(where)
        dying(store, countdown)
        mint.store, mint.ledger = store, Ledger(store, mint.authority, TERMS)
        mint.sync(mint.signed_upload(shop))
        writer.send(b"taken")
        os._exit(0)

    child = context.Process(target=act)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of other tests, which the child never needs
        child.start()
    writer.close()
    child.join()
    acknowledged = False
    with suppress(EOFError):
        acknowledged = reader.recv() == b"taken"
    reader.close()
    assert child.exitcode == (0 if acknowledged else -signal.SIGKILL)
    return acknowledged


def dying(store: Store, countdown: int) -> None:
    """Kill this process at the store's n-th call from now."""
    left = [countdown]
    for name in ("ask", "insert", "publish"):
        real: Callable[..., object] = getattr(store, name)

        def call(*arguments: object, real: Callable[..., object] = real, **named: object) -> object:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **named)

        setattr(store, name, call)

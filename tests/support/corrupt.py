"""A ledger with something in every table, and every way to corrupt one of its rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from dualtap.forms import signed
from dualtap.keystore import sign_with
from dualtap.statements import (
    BindBody,
    Errand,
    OrderBody,
    OwnBody,
    OwnerBody,
    Parent,
    PresentBody,
    Side,
    Span,
    TransferBody,
    Word,
)
from dualtap.sync import upload_of
from dualtap_devices.wallet import Wallet
from dualtap_issuer.database import Raw
from dualtap_issuer.guarantee import Caps
from dualtap_issuer.payouts import redeem
from dualtap_issuer.store import Store
from tests.mint import EPOCH, TERMS, Mint

LAST = EPOCH + TERMS.spend + TERMS.grace


class Some:
    """A registry that binds some keys."""

    def __init__(self, *keys: bytes) -> None:
        self.keys = set(keys)

    def bound(self, keys: Collection[bytes]) -> Collection[bytes]:
        return self.keys


def rich(where: str) -> Mint:
    """Return a ledger where value was paid, torn, stolen, deposited, settled and issued again, and some waits."""
    mint = Mint(path=where)
    mint.ledger.terms = TERMS._replace(guarantee=Caps(payee=40, token=50))
    payer, shop, liar = mint.wallet(100), mint.wallet(), mint.wallet()
    mint.pay(payer, shop, 60)
    mint.pay(payer, shop, 10, cut=3)
    thief = mint.wallet(100)
    clones = [thief, mint.clone(thief), mint.clone(thief)]
    tills = [mint.wallet() for _ in clones]
    for clone, till in zip(clones, tills, strict=True):
        mint.pay(clone, till, 90)
    for wallet in (*tills, shop, payer):
        mint.settle_in(wallet, deposit=wallet is not payer)
    mint.ledger.terms = mint.ledger.terms._replace(anonymous=frozenset({1}))
    for _ in range(2):
        mint.wallet(20, tier=2)  # of a person who is known
    mint.ledger.settle(LAST + 1, Some(*(till.book.key for till in tills[:2])))
    mint.epoch = LAST + 1
    redeemed(mint, payer)
    for wallet in (payer, liar):
        for amount in (30, 40):
            mint.fund(wallet, amount)
    mint.pay(payer, shop, 35)
    mint.settle_in(shop, deposit=True)
    ((token, _), *_) = liar.book.graph.tokens.items()
    unknown = Span(Parent(b"u" * 32, Side.PAYEE, 0), 0, 7)
    waiting = mint.sign(liar, TransferBody(shop.book.key, (unknown,), mint.epoch, ()), mint.opening(0, 1))
    ghost = Mint(seed="elsewhere").wallet()
    mint.secrets[ghost.book.key] = mint.draw()
    nobody = mint.suite.signer(mint.secrets[ghost.book.key]).public
    whole = Span(Parent(token, Side.TOKEN, 0), 0, 30)
    given = mint.sign(liar, TransferBody(nobody, (whole,), mint.epoch, ()), mint.opening(1, 2))
    there = Span(Parent(given.id, Side.PAYEE, 0), 0, 30)
    deposit = mint.sign(ghost, TransferBody(mint.authority.institution, (there,), mint.epoch, ()), mint.opening(0, 1))
    told = upload_of(liar.book)._replace(transfers=(waiting, given, deposit), words=ties(mint, payer, shop))
    mint.sync(mint.signed_upload(liar, told))
    mint.challenge()
    return mint


def ties(mint: Mint, owner: Wallet, wallet: Wallet) -> tuple[Word, ...]:
    """Return what ties a wallet to an owner, and an order about it."""
    bind = BindBody(owner.book.key, b"s" * 32, 1, mint.epoch)
    own = OwnBody(wallet.book.key, b"s" * 32, mint.epoch)
    order = OrderBody(wallet.book.key, 1, 1, Errand.RESTRAIN, True, 5, 6, 0, b"", mint.epoch)
    blank: list[tuple[Wallet, OwnerBody]] = [(wallet, bind), (owner, own), (owner, order)]
    words = [(one, signed(mint.scheme.id, one.book.key, body)) for one, body in blank]
    return tuple([word.sealed(sign_with(one.keystore, word)) for one, word in words])


def redeemed(mint: Mint, wallet: Wallet) -> None:
    """Let a wallet that nobody knows be presented, and be paid what it held of settled tokens."""
    proof = mint.sign(wallet, PresentBody(mint.challenge(), initiator=True, epoch=mint.epoch))
    assert redeem(mint.ledger, proof, mint.epoch) > 0


class Corruption(NamedTuple):
    """What is done to a row: the row as it is, and as it will be; ``None`` for one that is not there."""

    table: str
    how: str
    old: Raw | None
    new: Raw | None

    def tells(self, table: str, row: Raw) -> bool:
        """Return whether a row that an audit shows, by all its values or the first of them, is this one."""
        return table == self.table and any(one is not None and row == one[: len(row)] for one in (self.old, self.new))


def corruptions(store: Store, table: str, columns: list[str], every: bool) -> Iterator[Corruption]:
    """Yield each way to corrupt the first and the last row of a table, or every row."""
    keys = store.catalogue()[table]
    names = ", ".join(f'"{name}"' for name in columns)
    order = ", ".join(f'"{name}"' for name in keys)
    rows = [tuple(row) for row in store.ask(f"SELECT {names} FROM {table} ORDER BY {order}")]
    taken = {tuple(row[columns.index(key)] for key in keys) for row in rows}
    chosen = rows if every else [rows[place] for place in sorted({0, len(rows) - 1}) if rows]
    for row in chosen:
        yield Corruption(table, "delete", row, None)
        for place, name in enumerate(columns):
            new = (*row[:place], altered(row[place]), *row[place + 1 :])
            if name not in keys or tuple(new[columns.index(key)] for key in keys) not in taken:
                yield Corruption(table, name, row, new)
                if name == keys[-1]:
                    yield Corruption(table, "add", None, new)


def altered(value: object) -> object:
    """Return another value of the same type."""
    if isinstance(value, bytes):
        return value[:-1] + bytes([value[-1] ^ 1]) if value else b"\x01"
    assert isinstance(value, int)
    return value + 1


def write(store: Store, corruption: Corruption, columns: list[str], *, undo: bool = False) -> bool:
    """Do a corruption, or take it back; return whether the table let it in: some keys are unique."""
    keys = store.catalogue()[corruption.table]
    gone, come = (corruption.new, corruption.old) if undo else (corruption.old, corruption.new)
    with store.transaction():
        if gone is not None:
            where = " AND ".join(f'"{key}" = %s' for key in keys)
            values = tuple(gone[columns.index(key)] for key in keys)
            found = store.ask(f'DELETE FROM {corruption.table} WHERE {where} RETURNING "{keys[0]}"', values=values)
            assert len(found) == 1
        if come is None:
            return True
        count = f"SELECT count(*) FROM {corruption.table}"
        before = store.ask(count)
        store.insert(corruption.table, [f'"{name}"' for name in columns], [come])
        return store.ask(count) != before

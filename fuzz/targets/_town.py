"""A ledger with a past, its wallets, and the means to sign anything in their names: what comes to an issuer's door."""

from __future__ import annotations

from dataclasses import dataclass, field
from sqlite3 import Connection
from typing import NamedTuple, cast

from dualtap import limits
from dualtap.forms import signed
from dualtap.issued import Carrier, Role, Tier
from dualtap.statements import (
    CloseBody,
    Kind,
    Opening,
    Outcome,
    Parent,
    PresentBody,
    ReceiptBody,
    Scheme,
    Side,
    Span,
    Transfer,
    TransferBody,
)
from dualtap.suite import Drbg, sha256
from dualtap.sync import Upload, decode_upload
from dualtap_devices.keystore import MemoryKeystore
from dualtap_devices.slots import MemoryStore
from dualtap_devices.syncing import prepare, sync
from dualtap_devices.wallet import Wallet
from dualtap_issuer.authority import SchemeAuthority, Secrets
from dualtap_issuer.ledger import Ledger, Terms
from dualtap_issuer.rules import Credit
from dualtap_issuer.sqlite import SqliteStore
from dualtap_issuer.store import Store
from targets._lenient import LENIENT, lenient
from targets._pair import tap
from targets._said import Said

TODAY = 20_000
TERMS = Terms("CNY", 200, 400, 4, (Tier(1, 1_000_000, 1000, 1000, 10**9),))
SECRETS = Secrets(*[bytes([number]) * 32 for number in range(1, 5)])
SCHEME = Scheme.of(LENIENT, LENIENT.signer(SECRETS.root).public)
UNSIGNED = bytes(64)
"""Under the suite that believes every signature, as good as any."""


class Piece(NamedTuple):
    """What a parent gives, and whose it is."""

    parent: Parent
    start: int
    end: int
    owner: bytes


class Town(NamedTuple):
    """A ledger's file, what it held and had credited, what its wallets have to tell, and what they may spend."""

    store: SqliteStore
    file: bytes
    facts: frozenset[bytes]
    credits: frozenset[Credit]
    uploads: tuple[Upload, ...]
    pieces: tuple[Piece, ...]
    office: bytes

    def opened(self) -> Ledger:
        """Return the ledger as it was, whatever was done to it since."""
        database(self.store).deserialize(self.file)
        return ledger_on(self.store)


class _Office:
    """The issuer, as a wallet reaches it."""

    def __init__(self, ledger: Ledger, name: str) -> None:
        self._ledger, self._entropy = ledger, sha256(b"challenge " + name.encode())

    def challenge(self) -> bytes:
        return self._ledger.challenge(self._entropy)

    def sync(self, signed_upload: bytes) -> bytes:
        return self._ledger.sync(signed_upload, TODAY)


def ledger_on(store: SqliteStore) -> Ledger:
    """Open a ledger."""
    return Ledger(store, SchemeAuthority(LENIENT, SECRETS, store, TODAY + 900, 1000), TERMS)


def database(store: Store) -> Connection:
    """Return the connection of a store, to copy its file and to read its rows."""
    return cast("SqliteStore", store)._db  # pyright: ignore[reportPrivateUsage]


def _join(ledger: Ledger, name: str) -> Wallet:
    keystore = MemoryKeystore(SCHEME, sha256(name.encode()))
    wallet = Wallet(SCHEME, limits.FULL, keystore, MemoryStore.open(1 << 22))
    present = signed(SCHEME.id, keystore.public, PresentBody(ledger.challenge(sha256(name.encode())), True, TODAY))
    proof = present.sealed(keystore.sign(Kind.PRESENT, present.public))
    wallet.write(ledger.news(TODAY, ledger.certify(proof, Carrier.PHONE, 1, Role.PAY | Role.COLLECT, TODAY + 800)))
    ledger.issue(keystore.public, 1000, TODAY, sha256(name.encode())[:8])
    sync(wallet, _Office(ledger, name), sha256(name.encode()), deposit=False)
    return wallet


def town() -> Town:
    """Return a town of three wallets that paid each other; two taps were torn, and one wallet has synced since.

    Each would now close what is open, deposit all that it holds, and sync.
    """
    with lenient():
        store = SqliteStore(":memory:", create=True)
        ledger = ledger_on(store)
        anna, ben, carla = wallets = [_join(ledger, name) for name in ("anna", "ben", "carla")]
        tap(anna, ben, 70, "one")
        tap(ben, carla, 30, "two")
        sync(ben, _Office(ledger, "ben again"), sha256(b"ben"), deposit=True)
        tap(anna, carla, 20, "three", 4)
        tap(carla, anna, 5, "four", 3)
        prepared = [prepare(one, Drbg(one.book.key), deposit=True) for one in wallets]
        uploads = tuple([decode_upload(SCHEME, one.upload) for one in prepared])
        facts = frozenset(fact.digest for fact, _ in store.facts())
        pieces = _pieces(ledger, uploads)
        file, office = database(store).serialize(), ledger.authority.office.key
        return Town(store, file, facts, frozenset(store.credits()), uploads, pieces, office)


def _pieces(ledger: Ledger, uploads: tuple[Upload, ...]) -> tuple[Piece, ...]:
    """Return every token, and both sides of every transfer, as something to cut from."""
    tokens = {ledger.trust.token_id(token): token for upload in uploads for token in upload.tokens}
    transfers = {one.id: one for upload in uploads for one in (*upload.transfers, *upload.tape)}
    found = [Piece(Parent(key, Side.TOKEN, 0), 0, token.amount, token.owner) for key, token in tokens.items()]
    for one in transfers.values():
        if isinstance(one.body, TransferBody):
            found += sides(cast("Transfer", one))
    return tuple(found)


def sides(transfer: Transfer) -> list[Piece]:
    """Return what each span of a transfer gives to its payee, and to its payer should it be dead."""
    whose = ((Side.PAYEE, transfer.body.payee), (Side.PAYER, transfer.key))
    spans = list(enumerate(transfer.body.spans))
    return [
        Piece(Parent(transfer.id, side, place), start, end, owner)
        for side, owner in whose
        for place, (_, start, end) in spans
    ]  # fmt: skip


@dataclass
class Forger:
    """Signs transfers and outcomes in anybody's name, mostly such as might be genuine."""

    town: Town
    pieces: list[Piece]
    transfers: list[Transfer] = field(default_factory=list[Transfer])
    outcomes: list[Outcome] = field(default_factory=list[Outcome])

    def transfer(self, said: Said) -> None:
        """Sign a transfer of one to three spans: a deposit, or a payment that answers a request."""
        # What came last is cut most: a history grows.
        first = self.pieces[-1 - said.below(len(self.pieces))]
        spans = [self._span(first, said)]
        for _ in range(max(0, said.below(6) - 3)):
            spans.append(self._span(said.pick(self.pieces), said))
        keys = [upload.certificate.key for upload in self.town.uploads]
        signer = said.pick(keys) if said.below(8) == 7 else first.owner
        deposit = said.below(2)
        payee = self.town.office if deposit else said.pick(keys)
        request = b"" if deposit else sha256(b"request" + bytes([said.below(8)]))
        prev = said.below(4) * 100
        place = Opening(bytes([len(self.transfers)]) * 16, prev, prev + 1 + said.below(3), request=request)
        body = TransferBody(payee, tuple(spans), TODAY - said.below(2), ())
        forged = signed(SCHEME.id, signer, body, place).sealed(UNSIGNED)
        self.transfers.append(forged)
        self.pieces += sides(forged)

    def _span(self, piece: Piece, said: Said) -> Span:
        """Cut from a piece: all of it, a part, or what is not quite in it."""
        start, end = piece.start, piece.end
        match said.below(6):
            case 0:
                end = start + 1 + said.byte()
            case 1:
                start = max(0, end - 1 - said.byte())
            case 2:
                start, end = max(0, start + said.byte() - 128), end + said.byte()
            case _:
                pass
        return Span(piece.parent, start, end)

    def outcome(self, said: Said) -> None:
        """Have a payee accept a transfer, another one, or none."""
        asked = [one for one in self.transfers if one.shown().request]
        if not asked:
            return
        of, other = said.pick(asked), said.pick(self.transfers)
        request, place = of.shown().request, Opening(bytes([len(self.outcomes)]) * 16, 900, 901 + said.below(3))
        body = CloseBody(request, 1, TODAY) if said.below(2) else ReceiptBody(request, other.id, TODAY)
        self.outcomes.append(signed(SCHEME.id, of.body.payee, body, place).sealed(UNSIGNED))

    def told(self, upload: Upload) -> Upload:
        """Return an upload that tells all this besides."""
        tape = tuple(one for one in self.transfers if one.key == upload.certificate.key)
        rest = tuple(one for one in self.transfers if one.key != upload.certificate.key)
        return upload._replace(
            transfers=upload.transfers + rest, tape=upload.tape + tape, heard=upload.heard + tuple(self.outcomes)
        )

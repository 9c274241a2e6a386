"""A device's side of a sync (SPEC §14): close, deposit, upload, and take what the issuer says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, cast

from dualtap import limits
from dualtap.account import amount_of
from dualtap.book import Book
from dualtap.errors import Code, TapError
from dualtap.forms import signed
from dualtap.keystore import Keystore, sign_with
from dualtap.logcodec import encode_record
from dualtap.records import Answered, Healed, Holding, Record, Retired, Sent, SignedTail
from dualtap.renewal import RENEWAL, is_renewal, renewal_serial
from dualtap.statements import Span, Successor, TapeStatement, TransferBody
from dualtap.suite import SIGNATURE, Drbg
from dualtap.sync import (
    Reply,
    SignedUpload,
    encode_signed_upload,
    encode_upload,
    open_reply,
    sync_statement,
    take_reply,
    upload_of,
)
from dualtap_devices.renewing import renewable, worn
from dualtap_devices.wallet import Wallet


class Issuer(Protocol):
    """The issuer, as a device reaches it. Both raise ``ISSUER_UNREACHABLE`` when it cannot."""

    def challenge(self) -> bytes:
        """Return 32 fresh bytes, good for one sync."""
        ...

    def sync(self, signed_upload: bytes) -> bytes:
        """Take an upload and return the reply's bytes (SPEC §14-1)."""
        ...


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync did: requests closed, minor units deposited and received as tokens, transfers healed.

    ``renewed`` of the units received replace what this sync, or one that was torn before it, handed back for renewal.
    """

    closed: int
    deposited: int
    funded: int
    healed: int
    renewed: int = 0


@dataclass(frozen=True, slots=True)
class Prepared:
    """An upload that is ready: its bytes, the tape's counter then, requests closed and minor units deposited.

    ``heard`` has the ids of the outcomes heard that it tells. ``heir`` is the keystore of the successor that it names,
    if it names one.
    """

    upload: bytes
    told: int
    closed: int
    deposited: int
    heir: Keystore | None = None
    heard: frozenset[bytes] = frozenset()

    def told_of(self, book: Book) -> int:
        """Return the counter up to which all is told; 0 where an outcome was heard since: all goes up again."""
        return self.told if self.heard.issuperset(one.id for one in book.heard) else 0


def prepare(
    wallet: Wallet, random: Drbg, deposit: bool, heir: Keystore | None = None, *, renew: bool = False
) -> Prepared:
    """Close open requests, deposit if asked, and return the upload (SPEC §14-1).

    ``renew`` hands back what is restored or far travelled, for fresh tokens; to ``deposit`` is to hand over all.
    ``heir`` is a keystore with a fresh key, which becomes this wallet's successor: the wallet is retired from then
    on. What a retired wallet holds is handed back, all of it, for tokens of its line's present key. SPEC §20-3, §20-4.
    """
    closed = deposited = 0
    successor = None
    if heir is not None:
        wallet.check_sound()
    if not wallet.quarantined:
        wallet.check()
        for request in list(wallet.book.open):
            close(wallet, request, random)
            closed += 1
        if heir is not None:
            successor = _retire(wallet, heir.public)
        if wallet.book.successor is not None:
            given = renewable(wallet.book)
            deposited = _deposit(wallet, random, given, (RENEWAL,))
            deposited += _deposit(wallet, random, list(wallet.book.holdings), ())
        elif deposit:
            deposited = _deposit(wallet, random, wallet.book.holdings, ())
        elif renew:
            _deposit(wallet, random, worn(wallet.book), (RENEWAL,))
    upload = upload_of(wallet.book, successor)
    book = wallet.book
    return Prepared(
        encode_upload(upload), book.counter, closed, deposited, heir, frozenset(one.id for one in book.heard)
    )


def _retire(wallet: Wallet, heir: bytes) -> Successor:
    """Have the wallet's key name its successor: durably first, then signed; return the statement.

    Raises ``RETIRED`` if it has named another.
    """
    if wallet.book.successor is None:
        wallet.write(Retired(wallet.book.succeeded_by(heir)))
    successor = cast("Successor", wallet.book.successor)
    if successor.body.successor != heir:
        raise TapError(Code.RETIRED, "another key is its successor")
    return successor.sealed(sign_with(wallet.keystore, successor))


def finish(wallet: Wallet, prepared: Prepared, reply: Reply) -> SyncReport:
    """Take a reply that was proved to be the issuer's, all or nothing."""
    records = take_reply(wallet.book, reply, prepared.told_of(wallet.book))
    renewed, book = renewed_by(wallet.book, reply), wallet.book
    room = wallet.store.cost([encode_record(item) for item in records])
    least = 0 if prepared.deposited else book.reserved() + wallet.pledge
    if wallet.store.free < least + room:
        wallet.exchange(*records)
    else:
        wallet.write(*records)
        wallet.shorten()
    funded = sum(token.amount for token in reply.tokens)
    healed = sum(isinstance(item, Healed) for item in records)
    return SyncReport(prepared.closed, prepared.deposited, funded, healed, renewed)


def sync(wallet: Wallet, issuer: Issuer, entropy: bytes, deposit: bool, *, renew: bool = False) -> SyncReport:
    """Sync a wallet with an issuer in this process. Torn anywhere, it can be repeated: nothing has an effect twice.

    ``entropy`` is 32 fresh bytes; ``deposit`` hands all that is held to the institution that issued it, ``renew``
    what is restored or far travelled, for fresh tokens.
    :func:`dualtap_devices.remote.sync_sealed` reaches an issuer elsewhere.
    """
    prepared = prepare(wallet, Drbg(entropy), deposit, renew=renew)
    return finish(wallet, prepared, tell(wallet, prepared, issuer))


def tell(wallet: Wallet, prepared: Prepared, issuer: Issuer) -> Reply:
    """Give an issuer in this process an upload, and return its reply to this very upload."""
    book = wallet.book
    challenge, epoch = issuer.challenge(), book.trust.epoch

    def word(keystore: Keystore) -> bytes:
        return sign_with(keystore, sync_statement(book.scheme, keystore.public, prepared.upload, challenge, epoch))

    heir = b"" if prepared.heir is None else word(prepared.heir)
    item = SignedUpload(prepared.upload, challenge, epoch, word(wallet.keystore), heir)
    return open_reply(book.trust, item, issuer.sync(encode_signed_upload(item)))


def close(wallet: Wallet, request: bytes, random: Drbg) -> None:
    """Close an open request: durably first, then signed."""
    outcome = wallet.book.close_of(request, Code.TIMEOUT, random)
    enter(wallet, Answered(outcome, b""), outcome)


def enter(wallet: Wallet, entry: Record, statement: TapeStatement) -> None:
    """Write a tape entry, sign it, and write its signature."""
    wallet.write(entry)
    signature = sign_with(wallet.keystore, statement)
    wallet.write(SignedTail(statement.id, signature))


def renewed_by(book: Book, reply: Reply) -> int:
    """Return the units of a reply's tokens that replace pending deposits of this wallet, and are not here yet."""
    asked = [key for key, sent in book.pending.items() if is_renewal(sent.transfer)]
    serials = {renewal_serial(key, number) for key in asked for number in range(limits.SPANS)}
    return sum(token.amount for token in reply.tokens if token.serial in serials)


def _deposit(wallet: Wallet, random: Drbg, holdings: list[Holding], witness: tuple[bytes, ...]) -> int:
    """Sign transfers of these holdings to the institutions that issued them; return the minor units.

    What finds no room beside what is reserved (SPEC §12-13) waits for the next sync: this one makes room. No outcome of
    a deposit is written: a reply ends it, and takes its place.
    """
    book, total = wallet.book, 0
    for key, batch in _batches(wallet, holdings):
        spans = tuple(Span(held.parent, held.start, held.end) for held in batch)
        body = TransferBody(key, spans, book.trust.epoch, witness)
        transfer = signed(book.scheme.id, book.key, body, book.place(random))
        entry = Sent(transfer, bytes(16), 0)
        if wallet.store.free < book.reserved() + room_of(wallet, entry):
            break
        enter(wallet, entry, transfer)
        total += amount_of(transfer)
    return total


def room_of(wallet: Wallet, entry: Sent) -> int:
    """Return the bytes of log that an entry of the tape takes, with its signature."""
    first: list[Record] = [entry] if wallet.book.unsaved is None else [wallet.book.unsaved, entry]
    tail = SignedTail(entry.transfer.id, bytes(SIGNATURE))
    return wallet.store.cost([encode_record(item) for item in first]) + wallet.store.cost([encode_record(tail)])


def _batches(wallet: Wallet, holdings: list[Holding]) -> list[tuple[bytes, list[Holding]]]:
    """Return holdings by institution, as many as a transfer takes, no unit of a token twice in one.

    Nor more units than a record holds: who was paid so much could not read its own log, or the reply, afterwards.
    """
    book = wallet.book
    batches: list[tuple[bytes, list[Holding]]] = []
    for held in holdings:
        key = book.trust.issuer_key(book.graph.tokens[held.token].issuer)
        for other, batch in batches:
            clash = any(held.token == c.token and held.start < c.end and c.start < held.end for c in batch)
            fits = sum(c.amount for c in batch) + held.amount <= limits.AMOUNT
            if other == key and len(batch) < limits.SPANS and not clash and fits:
                batch.append(held)
                break
        else:
            batches.append((key, [held]))
    return batches

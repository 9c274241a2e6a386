"""What a wallet and its issuer tell each other (SPEC §14): an upload, signed off the tape, and a reply.

An upload repeats everything that may matter; each fact is keyed by its digest, so that repeating it changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple, cast

from dualtap import codec
from dualtap.book import Book
from dualtap.codec import Check, any_blob, blob, counter, digest, list_of, maybe, record
from dualtap.errors import Code, TapError
from dualtap.forms import issued_check, plain, public_digest, signed, statement_check, warrants_check
from dualtap.issued import Authority, Token, WalletCertificate
from dualtap.logcodec import BYTES, ITEMS, news_check
from dualtap.records import TOLD, Funded, Healed, News, Record, Synced, Told, ToldLine
from dualtap.seen import seen_of
from dualtap.standing import OPEN, Settlement, settlement_check
from dualtap.statements import (
    Body,
    Kind,
    Outcome,
    OwnerOrder,
    ReceiptBody,
    Scheme,
    Signed,
    Successor,
    SyncBody,
    TapeStatement,
    Transfer,
    Warrant,
    Word,
    statement_id,
)
from dualtap.suite import SIGNATURE, sha256
from dualtap.trust import Trust


class Upload(NamedTuple):
    """What a wallet knows: its certificate, provenance, tape, outcomes given and heard, and deliveries taken."""

    certificate: WalletCertificate
    tokens: tuple[Token, ...]
    certificates: tuple[WalletCertificate, ...]
    transfers: tuple[Transfer, ...]
    warrants: tuple[tuple[bytes, Warrant], ...]
    tape: tuple[TapeStatement, ...]
    heard: tuple[Outcome, ...]
    pending: tuple[bytes, ...]
    delivered: int
    successor: Successor | None = None
    words: tuple[Word, ...] = ()


class SignedUpload(NamedTuple):
    """An upload's bytes, and the wallet's word for them in answer to a challenge.

    ``heir`` is the successor's word for the same, as if the upload were its own; empty without one (SPEC §20-5).
    """

    upload: bytes
    challenge: bytes
    epoch: int
    signature: bytes
    heir: bytes = b""


class Reply(NamedTuple):
    """What the issuer knows: the scheme's news, outcomes of transfers in doubt, deposits kept, fresh tokens.

    ``delivered`` numbers the last token here; a wallet repeats it, so that no token reaches it twice. ``standing``
    is how each transfer stands that the upload named, and of which the issuer has no outcome.
    ``successor`` is the certificate of the key that the upload named as its successor.
    """

    news: News
    outcomes: tuple[Outcome, ...]
    deposits: tuple[bytes, ...]
    tokens: tuple[Token, ...]
    delivered: int
    standing: tuple[Settlement, ...] = ()
    successor: WalletCertificate | None = None
    words: tuple[OwnerOrder, ...] = ()


class SignedReply(NamedTuple):
    """A reply's bytes, and the institution's word for them in answer to one upload."""

    reply: bytes
    issuer: bytes
    signature: bytes


def upload_of(book: Book, successor: Successor | None = None) -> Upload:
    """Return all that a wallet has to tell (SPEC §14-5). Only signed statements are told.

    ``successor`` is what this key signed to name its next one, until that is certified (SPEC §20-4).
    """
    graph, seen = book.reported(), seen_of(book)
    graph.add(seen.graph)
    return Upload(
        book.certificate,
        tuple(graph.tokens.values()),
        tuple(graph.certificates.values()),
        tuple(transfer for transfer in graph.transfers.values() if transfer.signature),
        tuple(graph.warrants.items()),
        tuple(entry for entry in book.tape if entry.signature),
        tuple({outcome.id: outcome for outcome in (*book.heard, *seen.outcomes)}.values()),
        tuple(dict.fromkeys((*book.pending, *book.asks_after()))),
        book.delivered,
        successor,
        book.ties.words(),
    )


def encode_upload(upload: Upload) -> bytes:
    """Return an upload's bytes."""
    return codec.pack(plain(upload))


def decode_upload(scheme: Scheme, data: bytes) -> Upload:
    """Return the upload in these bytes; raise ``MALFORMED``, ``NOT_CANONICAL`` or ``TOO_LARGE``. Verifies nothing."""
    statement = cast("Check[Transfer]", statement_check(scheme.id))
    outcome = cast("Check[Outcome]", statement)
    tape = cast("Check[TapeStatement]", statement)
    word = cast("Check[Word]", statement)  # who takes it in passes over what is none
    wallet = issued_check(WalletCertificate)
    dead = warrants_check(scheme.id)
    check = record(
        Upload,
        wallet,
        list_of(issued_check(Token), ITEMS),
        list_of(wallet, ITEMS),
        list_of(statement, ITEMS),
        list_of(dead, ITEMS),
        list_of(tape, ITEMS),
        list_of(outcome, ITEMS),
        list_of(digest, ITEMS),
        counter,
        maybe(cast("Check[Successor]", statement)),
        list_of(word, ITEMS),
    )
    return check(codec.unpack(data, BYTES, ITEMS))


def sync_statement(scheme: Scheme, key: bytes, upload: bytes, challenge: bytes, epoch: int) -> Signed[Body]:
    """Return the statement that a wallet signs over its upload."""
    return signed(scheme.id, key, SyncBody(challenge, sha256(upload), epoch))


def encode_signed_upload(item: SignedUpload) -> bytes:
    """Return the bytes that go to the issuer."""
    return codec.pack(item)


def decode_signed_upload(data: bytes) -> SignedUpload:
    """Return the signed upload in these bytes, or raise as :func:`decode_upload`."""
    check = record(SignedUpload, any_blob, digest, codec.epoch, codec.signature, blob(0, SIGNATURE))
    return check(codec.unpack(data, BYTES, ITEMS))


def reply_id(scheme: Scheme, issuer: bytes, challenge: bytes, upload: bytes, reply: bytes) -> bytes:
    """Return what an institution (its whole key) signs: this reply, to this upload, under this challenge.

    SPEC §14-6.
    """
    fields = (challenge, sha256(upload), sha256(reply))
    return statement_id(scheme.id, Kind.REPLY, issuer, public_digest(fields))


def encode_signed_reply(item: SignedReply) -> bytes:
    """Return the bytes that go back to the wallet."""
    return codec.pack(item)


def decode_signed_reply(data: bytes) -> SignedReply:
    """Return the signed reply in these bytes, or raise as :func:`decode_upload`. Verifies nothing."""
    check = record(SignedReply, any_blob, blob(4), codec.signature)
    return check(codec.unpack(data, BYTES, ITEMS))


def open_reply(trust: Trust, asked: SignedUpload, data: bytes) -> Reply:
    """Return the reply to an upload; raise unless an institution of the scheme signed it for this very upload.

    Without this, whoever carries a sync could swallow it, or hand a wallet a token that it has spent.

    SPEC §14-7.
    """
    item = decode_signed_reply(data)
    issuer = trust.authority(item.issuer, frozenset({Authority.INSTITUTION}), 0)
    named = reply_id(trust.scheme, issuer.key, asked.challenge, asked.upload, item.reply)
    trust.verify(issuer.key, item.signature, named)
    return decode_reply(trust.scheme, item.reply)


def encode_reply(reply: Reply) -> bytes:
    """Return a reply's bytes."""
    return codec.pack(plain(reply))


def decode_reply(scheme: Scheme, data: bytes) -> Reply:
    """Return the reply in these bytes, or raise as :func:`decode_upload`. Verifies nothing."""
    outcome = cast("Check[Outcome]", statement_check(scheme.id))
    check = record(
        Reply,
        news_check,
        list_of(outcome, ITEMS),
        list_of(digest, ITEMS),
        list_of(issued_check(Token), ITEMS),
        counter,
        list_of(settlement_check, ITEMS),
        maybe(issued_check(WalletCertificate)),
        list_of(cast("Check[OwnerOrder]", outcome), ITEMS),
    )
    return check(codec.unpack(data, BYTES, ITEMS))


def take_reply(book: Book, reply: Reply, told: int) -> tuple[Record, ...]:
    """Verify a reply and return the records that a wallet writes, all at once; raise, and write none, otherwise.

    ``told`` is the tape's counter when the upload was made: entries after it stay for the next sync. The issuer is
    believed only where it signs: dates, policy, tokens. Outcomes are believed by their payee's key.

    SPEC §14-8 to §14-13.
    """
    trust = book.trust.copy()  # what is not durable yet is not believed yet
    trust.learn(reply.news.authorities)
    if reply.news.certificate is not None:
        if reply.news.certificate.key != book.key:
            raise TapError(Code.WRONG_CERTIFICATE, "another wallet's")
        trust.check_wallet(reply.news.certificate, trust.epoch)
    if reply.news.header is not None:
        trust.adopt(reply.news.header, any_step=True)
    if reply.news.policy is not None:
        trust.set_policy(reply.news.policy)
    healed: dict[bytes, Healed] = {}
    for outcome in reply.outcomes:
        trust.verify_statement(outcome)
        for sent in book.pending.values():
            transfer = sent.transfer
            if transfer.body.payee == outcome.key and transfer.shown().request == outcome.body.request:
                accepted = isinstance(outcome.body, ReceiptBody) and outcome.body.transfer == transfer.id
                if accepted or transfer.id not in healed:
                    healed[transfer.id] = Healed(transfer.id, outcome)
    fresh = reply.tokens if reply.delivered > book.delivered else ()  # else an old reply, replayed: taken before
    for token in fresh:
        token_id = trust.token_id(token)
        trust.check_token(token, token_id)
        if token.owner != book.key:
            raise TapError(Code.NOT_OWNER, "a token for another wallet")
    # Only a deposit ends by the issuer's word. A payment ends by its payee's, or by the date: past ``claim_by`` the
    # ledger has settled it, whatever the payee did.
    ended = tuple(
        key
        for key, sent in book.pending.items()
        if (key in reply.deposits and not sent.transfer.shown().request) or book.claim_by(sent.transfer) < trust.epoch
    )
    funded = tuple(Funded(token) for token in fresh)
    synced = Synced(told, ended, reply.delivered)
    lines = told_by(book, reply.standing, healed.keys())
    changed = lines or book.told
    ties = book.ties.told(reply.words, trust)
    return (reply.news, *healed.values(), *funded, *ties, synced, *((Told(lines),) if changed else ()))


def told_by(book: Book, standing: Iterable[Settlement], healed: Collection[bytes]) -> tuple[ToldLine, ...]:
    """Return the lines that a wallet keeps of a reply: of its own transfers, the last ``TOLD`` (SPEC §14-28).

    What the issuer was asked after and says nothing of stays as it was: it is not forgotten by being left out.
    """
    lines = {key: line for key, line in book.told.items() if line.standing in OPEN and key not in healed}
    for transfer, state, epoch, amount in standing:
        sent, line = book.pending.get(transfer), book.told.get(transfer)
        if sent is not None:
            lines[transfer] = ToldLine(transfer, state, epoch, amount, book.currency(sent.transfer))
        elif line is not None:
            lines[transfer] = line._replace(standing=state, epoch=epoch, amount=amount)
    return tuple(lines.values())[-TOLD:]

"""News from device to device (SPEC §21): after the payment, the side with the newer policy, or evidence, hands it on.

The payment has been reported before anything here happens, and nothing here changes it: whatever goes wrong ends the
tap without a word to the person. What is handed is believed by the root's word alone, and kept all or not at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from dualtap import codec, limits
from dualtap.account import ENTRY_ROOM
from dualtap.book import Book
from dualtap.codec import any_blob, list_of, maybe
from dualtap.context import Context
from dualtap.errors import Code, TapError
from dualtap.forms import issued_check
from dualtap.issued import AuthorityCertificate, Policy, key_hint
from dualtap.pieces import Cutter, Joiner
from dualtap.records import News, Record, Warned
from dualtap.states import Part, State
from dualtap.suite import TAG, sha256
from dualtap.verdict import verify_evidence
from dualtap.wire import NewsHave, NewsPiece, ProceedMessage

_HEADERS = 16
"""Bytes of a piece besides its data, rounded up."""


class Handed(NamedTuple):
    """What one side hands the other: the policy's signer, the policy if it is newer, and evidence."""

    authorities: tuple[AuthorityCertificate, ...]
    policy: Policy | None
    evidence: tuple[bytes, ...]


_handed = codec.record(
    Handed,
    list_of(issued_check(AuthorityCertificate), 8),
    maybe(issued_check(Policy)),
    list_of(any_blob, limits.NEWS_EVIDENCE),
)


@dataclass(slots=True)
class Telling:
    """How far this side has come: what it takes, and what it has to give."""

    joiner: Joiner
    cutter: Cutter = field(default_factory=lambda: Cutter(b"", 1))


def room_of(book: Book) -> int:
    """Return the most bytes that this wallet takes from a peer in one tap (SPEC §21-4)."""
    return min(limits.MESSAGE, limits.NEWS_FRAMES * book.profile.message)


def hint(book: Book) -> int:
    """Return two bytes of what this wallet knows: equal hints, equal news (SPEC §21-1); 0 before the first policy."""
    policy = book.trust.policy
    if policy is None:
        return 0
    known = b"".join(sorted(_blocked(book)))
    digest = sha256(b"dualtap news" + policy.version.to_bytes(4, "big") + known)
    return 1 + int.from_bytes(digest[:2], "big") % 0xFFFF


def own_hint(context: Context) -> int:
    """Return this side's hint; 0 where it takes no part in news."""
    return hint(context.book) if context.news else 0


def due(context: Context) -> bool:
    """Return whether this payer and its payee know different things, and both take part (SPEC §21-2)."""
    own = own_hint(context)
    return bool(own and context.peer_news and own != context.peer_news)


def after_payment(context: Context, *, agreed: bool) -> None:
    """End, or if this tap's Transfer ``agreed`` to it, go on with news: the payer speaks (SPEC §21-3)."""
    context.news_began = context.now
    if not agreed:
        context.state = State.ENDED
    elif context.part is Part.PAYER:
        say_have(context)
    else:
        context.state = State.AWAIT_NEWS


def say_have(context: Context) -> None:
    """Tell what this side has: it begins, or answers, the exchange."""
    book = context.book
    context.telling = Telling(Joiner(room_of(book), limits.NEWS_LEAST))
    policy = book.trust.policy
    hints = tuple(sorted({key_hint(key) for key in _blocked(book)}))
    version = policy.version if policy else 0
    context.send(NewsHave(version, hints, room_of(book), book.profile.message))
    context.state = State.AWAIT_NEWS


def have(context: Context, message: NewsHave) -> None:
    """Learn what the peer has. The payer then gives; the payee says what it has itself, and takes."""
    check_part(context)
    if context.part is Part.PAYEE:
        say_have(context)
    telling = cast("Telling", context.telling)
    room = min(context.book.profile.message, message.size) - TAG - _HEADERS
    data = handed(context.book, message)
    if room >= limits.NEWS_LEAST:
        telling.cutter = Cutter(data, room)
    if context.part is Part.PAYEE:
        context.state = State.TAKE_NEWS
    else:
        give(context)


def check_part(context: Context) -> None:
    """Raise ``UNEXPECTED_MESSAGE`` if this device takes no part, as its message has said."""
    if not own_hint(context):
        raise TapError(Code.UNEXPECTED_MESSAGE, "this device takes no part in news")


def handed(book: Book, peer: NewsHave) -> bytes:
    """Return what this side has and the peer lacks, within its room; nothing if there is nothing (SPEC §21-5)."""
    trust, policy = book.trust, book.trust.policy
    newer = policy if policy is not None and policy.version > peer.policy else None
    chain = tuple(one for one in trust.authorities if newer is not None and one.hint == newer.issuer)
    found = Handed(chain, newer, ())
    data = codec.pack(found)
    if len(data) > peer.room:
        return b""  # without the policy that may list them already, evidence waits for a sync
    for key in sorted(_blocked(book)):
        more = found._replace(evidence=(*found.evidence, book.warned[key]))
        size = len(codec.pack(more))
        if key_hint(key) not in peer.blocked and len(more.evidence) <= limits.NEWS_EVIDENCE and size <= peer.room:
            found, data = more, codec.pack(more)
    return data if newer is not None or found.evidence else b""


def give(context: Context) -> None:
    """Send the next piece, or say that there is none; the payee's last word ends the tap."""
    cutter, payee = cast("Telling", context.telling).cutter, context.part is Part.PAYEE
    if cutter.left:
        context.send(NewsPiece(*cutter.next()))
        context.state = State.ENDED if payee and not cutter.left else State.GIVE_NEWS
    else:
        context.send(ProceedMessage())
        context.state = State.ENDED if payee else State.TAKE_NEWS


def went_on(context: Context, message: ProceedMessage) -> None:
    """The peer has taken the last piece, or has nothing to give."""
    del message
    cutter = cast("Telling", context.telling).cutter
    if context.part is Part.PAYEE or cutter.left:
        give(context)
    else:
        context.state = State.ENDED


def piece(context: Context, message: NewsPiece) -> None:
    """Take a piece; after the last, keep what it was a piece of. The payee then gives, the payer is done."""
    telling = cast("Telling", context.telling)
    if telling.cutter.left and context.part is Part.PAYER:
        raise TapError(Code.UNEXPECTED_MESSAGE, "a piece before the last of ours")
    if not telling.joiner.take(message.left, message.data):
        context.send(ProceedMessage())
        context.state = State.TAKE_NEWS
        return
    records = take(context.book, telling.joiner.whole())
    if records:
        context.persist(*records)
    if context.part is Part.PAYEE:
        give(context)
    else:
        context.state = State.ENDED


def take(book: Book, data: bytes) -> tuple[Record, ...]:
    """Verify what was handed and return the records that keep it; raise, and keep nothing, if any of it is not genuine.

    An older policy, and evidence against who is blocked already, are passed over. Raises ``STORE_FULL`` where there is
    no room beside what is reserved. SPEC §21-6 to §21-8.
    """
    found = _handed(codec.unpack(data, room_of(book)))
    trust = book.trust.copy()
    new = trust.learn(found.authorities)
    newer = found.policy is not None and trust.set_policy(found.policy)
    records: list[Record] = [News(None, new, None, found.policy)] if newer else []
    listed = trust.policy.hotlist if trust.policy else ()
    size = len(data)
    for item in found.evidence:
        if len(item) > limits.EVIDENCE:
            raise TapError(Code.TOO_LARGE, "evidence that is longer than a device keeps")
        key = verify_evidence(item, book.scheme.root).key
        if key != book.key and key not in listed and key not in book.warned:
            records.append(Warned(key, item))
    if records:
        book.reserve(size + 2 * ENTRY_ROOM)
    return tuple(records)


def _blocked(book: Book) -> set[bytes]:
    """Return the keys that evidence names, and that the policy in force does not list."""
    listed = book.trust.policy.hotlist if book.trust.policy else ()
    return {key for key in book.warned if key not in listed}


ACTIONS: dict[str, Callable[[Context, Any], None]] = {act.__name__: act for act in (have, went_on, piece)}

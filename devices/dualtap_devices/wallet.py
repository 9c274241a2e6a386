"""A device's wallet: a book, the keystore that signs for it, and the store that remembers it.

Opening one finishes what a power cut left: an entry that is durable but unsigned counts, and is signed first.
"""

from __future__ import annotations

from collections.abc import Iterable

from dualtap.account import ENTRY_ROOM
from dualtap.book import Book
from dualtap.errors import Code, TapError
from dualtap.keystore import Keystore, sign_with
from dualtap.limits import Profile
from dualtap.logcodec import decoder, encode_record
from dualtap.records import Moved, Record, SignedTail
from dualtap.statements import Scheme
from dualtap_devices.slots import Store


class Wallet:
    """A wallet that is open. ``quarantined`` wallets can sync and nothing else."""

    def __init__(self, scheme: Scheme, profile: Profile, keystore: Keystore, store: Store) -> None:
        """Replay the store's log, compare it with the keystore, and sign the unsigned tail.

        Raises ``STORE_FAILED`` for a log that no wallet wrote. A store older than its keystore does not raise:
        the wallet opens in quarantine.
        """
        self.keystore = keystore
        self.store = store
        self.retired: tuple[Wallet, ...] = ()
        """The wallets of this device's former keys, oldest first: they heal, and hand back what comes to them."""
        self._pledged = 0
        self.book = Book(scheme, profile, keystore.public)
        decode = decoder(scheme.id)
        try:
            self.book.replay(decode(item) for item in store.records)
        except (TapError, LookupError) as error:
            raise TapError(Code.STORE_FAILED, "the log was not written by this wallet") from error
        self.book.free = store.free
        self.quarantined = keystore.head.id not in self.book.tail_ids()
        if not self.quarantined:
            self._finish_tail()

    def _finish_tail(self) -> None:
        """Sign an unsigned tail; move it first where the keystore's counter skipped past its interval (SPEC §12-7)."""
        book, head = self.book, self.keystore.head
        tail = book.tail
        if tail is not None and not tail.signature:
            if tail.id != head.id and tail.shown().prev < head.ctr:
                self.write(Moved(tail.id, head.ctr, head.ctr + 1))
                tail = book.tape[-1]
            signature = sign_with(self.keystore, tail)
            self.write(SignedTail(tail.id, signature))
        book.counter = max(book.counter, self.keystore.head.ctr)  # it may have skipped past an entry that it signed

    def check(self) -> None:
        """Raise ``QUARANTINED`` if this wallet may only sync; sign what a tap that was stopped left unsigned.

        SPEC §12-5 and §12-6.
        """
        self.check_sound()
        self._finish_tail()

    def check_sound(self) -> None:
        """Raise ``QUARANTINED`` if this wallet may only sync."""
        if self.quarantined:
            raise TapError(Code.QUARANTINED)

    def write(self, *records: Record) -> None:
        """Change the wallet by these records, durably first.

        Raises ``BAD_INPUT``, and writes nothing, for a record that could not be read again.
        """
        unsaved = self.book.unsaved
        try:
            self.persist(self.book.encoded(records))
        except TapError:
            self.book.unsaved = unsaved
            raise
        self.book.replay(records)

    def persist(self, records: Iterable[bytes]) -> None:
        """Make records durable that the book already has; raise ``STORE_FULL`` or ``STORE_FAILED``."""
        self.store.append(tuple(records))
        self._count()

    def tidy(self) -> None:
        """Compact the log if it has no room left for a tap."""
        if self.book.free < self.book.reserved() + self.pledge:
            self.shorten()

    @property
    def pledge(self) -> int:
        """Bytes of log for two taps, or for the deposits that make room again."""
        return 2 * (self.book.profile.message + 2 * ENTRY_ROOM)

    def shorten(self) -> None:
        """Compact the log; one that would take more room so is left as it is, and its room kept for deposits.

        What is kept is longer than what was sent: who pays with long histories makes such a log. Until deposits have
        made room, taps heal and do nothing else.
        """
        try:
            self.compact()
        except TapError as error:
            if error.code is not Code.STORE_FULL:
                raise
            self._pledged = self.pledge
            self._count()

    def _count(self) -> None:
        self.book.free = max(self.store.free - self._pledged, 0)

    def exchange(self, *records: Record) -> None:
        """Change the wallet by these records in a compacted log: for what finds room only in place of what it settles.

        Raises ``STORE_FULL``, and changes nothing, if there is no room even so.
        """
        after = Book(self.book.scheme, self.book.profile, self.book.key)
        after.replay(self.book.compacted())
        after.replay(records)
        kept = after.compacted()
        self.store.compact([encode_record(item) for item in kept])
        self.book.replay((*records, *kept))
        self.book.unsaved = None
        self._pledged = 0
        self._count()

    def compact(self) -> None:
        """Replace the log by records that hold what the wallet still needs, and forget the rest (SPEC §12-12)."""
        records = self.book.compacted()
        self.store.compact([encode_record(item) for item in records])
        self.book.replay(records)
        self.book.unsaved = None
        self._pledged = 0
        self._count()

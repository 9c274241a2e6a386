"""Lines of keys (SPEC §20): which key succeeded which.

The issuer alone keeps these links. A line is everything that is linked: all the keys that one wallet has had.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import cast

from dualtap import codec
from dualtap.errors import Code, TapError
from dualtap.forms import plain
from dualtap.issued import WalletCertificate
from dualtap.statements import SuccessorBody
from dualtap.sync import SignedUpload, Upload, sync_statement
from dualtap_issuer.authority import Bank, Signers
from dualtap_issuer.database import ones
from dualtap_issuer.facts import decode_fact
from dualtap_issuer.roll import Roll
from dualtap_issuer.store import Store


def line_of(store: Store, key: bytes) -> tuple[bytes, ...]:
    """Return every key of a key's line, the oldest first (SPEC §20-11)."""
    older: list[bytes] = []
    while before := _before(store, [older[-1] if older else key]) - {key, *older}:
        older.append(min(before))
    line = [*reversed(older), key]
    while (after := _following(store, [line[-1]]).get(line[-1])) is not None and after not in line:
        line.append(after)
    return tuple(line)


def _following(store: Store, keys: Iterable[bytes]) -> dict[bytes, bytes]:
    query = "SELECT s.key, s.successor FROM {wanted} CROSS JOIN successor s WHERE s.key = w.a"
    return {row[0]: row[1] for row in store.ask(query, ones(keys))}


def _before(store: Store, keys: Iterable[bytes]) -> set[bytes]:
    query = "SELECT s.key FROM {wanted} CROSS JOIN successor s WHERE s.successor = w.a"
    return {row[0] for row in store.ask(query, ones(keys))}


class Lines:
    """The links of one ledger."""

    def __init__(self, store: Store, authority: Signers, trust: Roll) -> None:
        self.store, self.authority, self.trust = store, authority, trust

    # What links say

    def following(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return the successors of those of these keys that are retired."""
        return _following(self.store, keys)

    def line(self, key: bytes) -> tuple[bytes, ...]:
        """Return every key of a key's line, the oldest first (SPEC §20-11)."""
        return line_of(self.store, key)

    def spread(self, values: dict[bytes, int]) -> dict[bytes, int]:
        """Return these keys' values, and for every other key of their lines the value of the one it is linked to."""
        found, fresh = dict(values), set(values)
        while fresh:
            pairs = self.store.ask(
                "SELECT s.key, s.successor FROM {wanted} CROSS JOIN successor s WHERE s.key = w.a "
                "OR s.successor = w.a ORDER BY 1, 2",
                ones(fresh),
            )
            fresh = set[bytes]()
            for one, other in [pair for row in pairs for pair in ((row[0], row[1]), (row[1], row[0]))]:
                if one in found and other not in found:
                    found[other] = found[one]
                    fresh.add(other)
        return found

    def ages(self, keys: Collection[bytes]) -> dict[bytes, int]:
        """Return how many keys came after each of these, which are whole lines: 0 for the last one of each."""
        after = self.following(keys)
        before = {heir: key for key, heir in after.items()}
        found = dict.fromkeys(keys, 0)
        for last in keys:
            line = [] if last in after else [last]
            while line and line[-1] in before:
                line.append(before[line[-1]])
            found |= {key: age for age, key in enumerate(line)}
        return found

    def present(self, key: bytes) -> bytes:
        """Return the last key of a key's line."""
        return self.line(key)[-1]

    def is_named(self, key: bytes) -> bool:
        """Return whether a conflict names any key of this key's line."""
        return self.store.is_named(self.line(key))

    # A rotation

    def admit(self, item: SignedUpload, upload: Upload) -> WalletCertificate | None:
        """Keep the link that an upload brings; return the successor's certificate, or ``None`` if there is none.

        There is none for a key that has another successor, for a successor that was certified before, and where the key
        of the bank that certified the old one is not held here. Raises ``MALFORMED``, ``BAD_SIGNATURE``, ``BAD_KEY`` or
        ``WRONG_CERTIFICATE`` unless both keys have signed for this very sync. To be called outside of a transaction.
        SPEC §20-5 and §20-6.
        """
        named, key = upload.successor, upload.certificate.key
        if named is None:
            return None
        if not isinstance(cast("object", named.body), SuccessorBody):
            raise TapError(Code.MALFORMED, "not a Successor")
        heir = named.body.successor
        if named.key != key:
            raise TapError(Code.WRONG_CERTIFICATE, "another key's successor")
        if heir == key:
            raise TapError(Code.BAD_KEY, "a key cannot succeed itself")
        self.trust.verify_statement(named)
        word = sync_statement(self.trust.scheme, heir, item.upload, item.challenge, item.epoch)
        self.trust.verify_statement(word.sealed(item.heir))
        if not self.store.is_open(item.challenge):
            return None  # refused in a moment, and nothing has changed
        with self.store.transaction():
            self.store.lock("line " + key.hex())
            known = self.following([key]).get(key)
            if known is None and self._is_fresh(heir):
                body = codec.pack(plain(named))
                self.store.insert("successor", ("key", "successor", "body"), [(key, heir, body)])
                known = heir
        if known != heir:
            return None
        old = self._best([*self._certificates(key), upload.certificate])
        bank = self._bank(old)
        if bank is None:
            return None
        try:
            return bank.succeed(old, heir)
        except TapError as error:
            if error.code is not Code.QUOTA_USED:
                raise
            return None  # the bank's quota is used up: what else the upload brings must not wait for that

    def _is_fresh(self, heir: bytes) -> bool:
        taken = self.store.ask("SELECT number FROM ordinal WHERE key = %s", values=(heir,))
        return not taken and not _before(self.store, [heir]) and not self.following([heir])

    def _certificates(self, key: bytes) -> list[WalletCertificate]:
        digests = [row.certificate for row in self.store.certificates([key])]
        found = [decode_fact(self.trust.scheme, fact) for fact, _ in self.store.find(digests)]
        return cast("list[WalletCertificate]", found)

    def _best(self, certificates: list[WalletCertificate]) -> WalletCertificate:
        """Return the certificate that holds longest: who downgrades a wallet renews it."""
        return max(certificates, key=lambda one: one.expires)

    def _bank(self, certificate: WalletCertificate) -> Bank | None:
        """Return the bank that certified a wallet, if its key is held here: the wallet is this institution's own."""
        return next((bank for bank in self.authority.banks if bank.certificate.hint == certificate.issuer), None)

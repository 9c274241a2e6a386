"""Takes facts in: verifies each, and keeps what is genuine, in batches. What follows is another file's idea."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from dualtap.errors import Code, TapError
from dualtap.graph import Graph
from dualtap.issued import AuthorityCertificate, Token, WalletCertificate
from dualtap.statements import KIND, ON_TAPE, BindBody, OrderBody, OwnBody, RequestOpening, TapeStatement, Word
from dualtap.suite import Verify
from dualtap.sync import Upload
from dualtap.trust import Trust
from dualtap_issuer.facts import (
    Fact,
    Facts,
    FactValue,
    OpeningOf,
    asked_value,
    authority_fact,
    decode_fact,
    genuine_fact,
    statement_values,
    token_fact,
    word_fact,
)
from dualtap_issuer.following import Following
from dualtap_issuer.rows import Kept, TodoRow
from dualtap_issuer.store import Store

T = TypeVar("T")


class Ingest:
    """One batch of facts under one stamp. :meth:`finish` keeps it, inside one transaction of the store."""

    def __init__(self, store: Store, trust: Trust, institutions: frozenset[bytes], epoch: int) -> None:
        self.store = store
        self.trust = trust
        self.institutions = institutions
        self.epoch = epoch
        self.refused = 0
        self.named = False
        self._facts: dict[bytes, Fact] = {}
        self._values: dict[bytes, FactValue] = {}
        self._genuine: set[bytes] = set()
        self._likely: set[bytes] = set()
        self._loaded: tuple[bytes, Verify] | None = None

    # What comes in

    def upload(self, upload: Upload) -> None:
        """Take in all that is genuine in an upload; count, and leave out, what is not."""
        warrants = [warrant for _, warrant in upload.warrants]
        outcomes = [warrant.outcome for warrant in warrants]
        statements = (*upload.transfers, *upload.tape, *upload.heard, *outcomes)
        # What is known was verified before it was kept, and is never forgotten.
        self._genuine = set(self.store.stamps(statement.id for statement in statements))
        for token in upload.tokens:
            self._try(self.token, token)
        for certificate in (upload.certificate, *upload.certificates):
            self._try(self.certificate, certificate)
        for statement in statements:
            self._try(self.statement, statement)
        for warrant in warrants:
            self.asked(warrant.opening)
        for word in upload.words:
            self._try(self.word, word)

    def _try(self, action: Callable[[T], None], item: T) -> None:
        try:
            action(item)
        except TapError:
            # One bad statement of a hostile wallet must not keep the good ones of its victims out.
            self.refused += 1

    def token(self, token: Token) -> None:
        """Take in a token; raise unless an institution of the scheme issued it."""
        fact = token_fact(self.trust, token)
        self.trust.check_token(token, fact.digest)
        self._take(fact, token)

    def authority(self, certificate: AuthorityCertificate) -> None:
        """Take in an authority's certificate, which ``trust`` has learnt."""
        self._take(authority_fact(self.trust, certificate), certificate)

    def certificate(self, certificate: WalletCertificate) -> None:
        """Take in a wallet's certificate, expired or not; raise unless it is genuine."""
        self._take(genuine_fact(self.trust.check_genuine(certificate), certificate), certificate)

    def statement(self, statement: TapeStatement) -> None:
        """Take in a statement and what it shows; raise ``BAD_SIGNATURE``, ``BAD_KEY``, or ``MALFORMED`` off the tape.

        SPEC §16-1.
        """
        if KIND[type(statement.body)] not in ON_TAPE:
            raise TapError(Code.MALFORMED, "a statement that is on no tape")
        known, found = statement.id in self._genuine, statement_values(statement)
        if not known:
            self._verify(statement)
            self._genuine.add(statement.id)
        for fact, value in found:
            self._take(fact, value)
            if known:
                self._likely.add(fact.digest)

    def _verify(self, statement: TapeStatement) -> None:
        # A tape is one key's: to load it once for each of its entries would take a fifth of verifying them.
        if self._loaded is None or self._loaded[0] != statement.key:
            self._loaded = statement.key, self.trust.scheme.suite.verifier(statement.key)
        self._loaded[1](statement.signature, statement.id)

    def asked(self, opening: RequestOpening) -> None:
        """Take in which request a commitment answers."""
        self._take(*asked_value(opening))

    def word(self, word: Word) -> None:
        """Take in what ties a wallet to its owner, or an order; raise ``BAD_SIGNATURE``, ``BAD_KEY`` or ``MALFORMED``.

        SPEC §23-16.
        """
        if not isinstance(cast("object", word.body), BindBody | OwnBody | OrderBody):
            raise TapError(Code.MALFORMED, "no word of an owner or a wallet")
        self.trust.verify_statement(word)
        self._take(word_fact(word), word)

    def _take(self, fact: Fact, value: FactValue) -> None:
        self._facts.setdefault(fact.digest, fact)
        self._values.setdefault(fact.digest, value)

    # What becomes of it

    def finish(self) -> set[bytes]:
        """Keep what came, and all that follows from it; return the digests of what is new."""
        kept = self.store.put_facts(self._facts.values(), self.epoch, self._likely)
        new = {digest for digest, change in kept.items() if change is Kept.NEW}
        moved = {digest for digest, change in kept.items() if change is Kept.EARLIER}
        left = set(self.store.pending(kept))
        todo = {TodoRow(digest, 0) for digest in new} | {TodoRow(digest, 1) for digest in moved}
        self._follow(todo | left)
        return new

    def resume(self) -> None:
        """Do what a process that died left undone."""
        self._follow(set(self.store.unfinished()))

    def _follow(self, todo: set[TodoRow]) -> None:
        if not todo:
            return
        new = {row.digest for row in todo if not row.moved}
        stamps = dict.fromkeys(new, self.epoch)
        for fact, epoch in self.store.find(new - self._values.keys()):
            self._values[fact.digest], stamps[fact.digest] = decode_fact(self.trust.scheme, fact), epoch
        openings = [self._values[digest] for digest in new]
        signed = {one.statement for one in openings if isinstance(one, OpeningOf)}
        for fact, _ in self.store.find(signed - self._values.keys()):
            self._values[fact.digest] = decode_fact(self.trust.scheme, fact)
        following = Following(self.store, self.trust, self.institutions, self._values)
        following.run(stamps, sorted(todo), moved=any(row.moved for row in todo))
        certified = [one.key for one in map(self._values.get, new) if isinstance(one, WalletCertificate)]
        self.named |= bool(following.found) or self.store.is_named(certified)


def graph_of(facts: Facts) -> Graph:
    """Return a graph of these facts; of two certificates of a key, the one with the smaller digest."""
    graph = Graph()
    graph.tokens = dict(facts.tokens)
    for transfer in facts.transfers.values():
        graph.put(transfer)
    for digest in sorted(facts.certificates, reverse=True):
        graph.certificates[facts.certificates[digest].key] = facts.certificates[digest]
    return graph

"""What follows from new facts: the rows of the index, names and credits, for a whole batch at once.

It is the working set of one batch: what the batch refers to is asked for in a bounded number of queries, everything is
judged in memory, and written in bulk. Each kind of row is published before anybody looks for what it meets: of two
processes that write at the same time, the later then sees what the earlier wrote (:meth:`Store.publish`). What is
found is what :mod:`dualtap_issuer.rules` computes from the whole set; an audit shows that they agree.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import cast

from dualtap.errors import Code, TapError
from dualtap.evidence import Fraud, outcome_of
from dualtap.graph import Origin, check_origins
from dualtap.issued import Authority, Token
from dualtap.renewal import is_renewal
from dualtap.statements import Outcome, Parent, Side, Transfer
from dualtap.suite import sha256
from dualtap.trust import Trust
from dualtap_issuer import naming
from dualtap_issuer.facts import AskedBy, FactKind, Facts, FactValue, asked_digest, decode_fact
from dualtap_issuer.marks import Mark
from dualtap_issuer.roll import Watched, charter
from dualtap_issuer.rows import (
    AskedRow,
    AuthorityRow,
    CertifiedRow,
    DepositRow,
    OutcomeRow,
    PlaceRow,
    SpanRow,
    TodoRow,
    WaitRow,
    WordRow,
)
from dualtap_issuer.rules import NEVER, World, sides
from dualtap_issuer.store import Store
from dualtap_issuer.words import subject


class _Missing(Exception):
    """Something behind a transfer is not here yet."""

    def __init__(self, digest: bytes) -> None:
        super().__init__(digest)
        self.digest = digest


def death(transfer: bytes) -> bytes:
    """Return that for which a deposit waits until a transfer is known to be dead."""
    return sha256(b"dualtap death" + transfer)


def introduction(key: bytes) -> bytes:
    """Return that for which a deposit waits until a key has a certificate."""
    return sha256(b"dualtap introduction" + key)


class Following:
    """One batch of new facts, inside one transaction of the store, which has kept the facts themselves."""

    def __init__(
        self, store: Store, trust: Trust, institutions: frozenset[bytes], known: dict[bytes, FactValue]
    ) -> None:
        """``known`` holds facts that need not be decoded again, by digest, new or not."""
        self.store = store
        self.trust = trust
        self.institutions = institutions
        self._watched = Watched(trust)
        self.known = known
        self.found: set[Mark] = set()
        self._new = Facts(trust.scheme)
        self._origins: dict[Parent, Origin] = {}
        self._given: set[bytes] = set()  # tokens and statements of which every origin is known
        self._shaped: dict[bytes, Transfer] = {}
        self._spans: list[SpanRow] = []
        self._waking: set[bytes] = set()
        self._stamps: dict[bytes, int] = {}

    def run(self, new: dict[bytes, int], todo: list[TodoRow], *, moved: bool) -> None:
        """Write all that follows from new facts, given by digest with their stamps; ``moved`` if older stamps fell."""
        for digest, epoch in new.items():
            self._new.take(digest, self.known[digest], epoch)
        moved |= self._place()
        # Where nobody else writes, what is new keeps its stamp.
        self._stamps = {} if self.store.publish(todo) else new
        asked = self._asked()
        self._judge()
        # All that this batch adds to the index can be seen now: whoever adds to it later looks later.
        self._name(asked)
        self._credit(moved, {row.transfer for row in asked if row.payee in self.institutions})
        self.store.finish(todo)

    # Each fact alone

    def _place(self) -> bool:
        """Index each fact by itself; return whether one is seen earlier than another that says the same."""
        new, store = self._new, self.store
        unasked = [WaitRow(asked_digest(one.commitment), key) for key, one in new.transfers.items() if self._hides(one)]
        outcomes = [OutcomeRow(one.key, one.body.request, key, outcome_of(one)) for key, one in new.outcomes.items()]
        keys = self._keys()
        places = [PlaceRow(keys[key], one.prev, one.ctr, key) for key, one in new.openings.items()]
        certified = [CertifiedRow(one.key, digest) for digest, one in new.certificates.items()]
        authorities = [AuthorityRow(one.hint, digest) for digest, one in new.authorities.items()]
        words = [WordRow(subject(one), digest, one.key) for digest, one in new.words.items()]
        alike = [row.certificate for row in store.certificates(row.key for row in certified)]
        alike += [row.id for row in store.outcomes((row.key, row.request) for row in outcomes)]
        first = min(new.seen.values(), default=NEVER)
        self._outcomes, self._places, self._certified = outcomes, places, certified
        for rows in (places, outcomes, certified, authorities, words, unasked):
            store.put(rows)
        return any(epoch > first for epoch in store.stamps(alike).values())

    def _hides(self, transfer: Transfer) -> bool:
        """Return whether a new transfer answers a request that this batch does not show; of a deposit it shows none."""
        opening = self._new.openings.get(transfer.id)
        return transfer.commitment not in self._new.asked and (opening is None or bool(opening.request))

    def _keys(self) -> dict[bytes, bytes]:
        """Return who signed each statement whose opening is new."""
        return {key: self._statement(key).key for key in self._new.openings}

    def _statement(self, key: bytes) -> Transfer | Outcome:
        found = self._new.transfers.get(key) or self._new.outcomes.get(key)
        return found or cast("Transfer | Outcome", self.known[key])

    # Which request each transfer answers

    def _asked(self) -> list[AskedRow]:
        waited = [row.transfer for row in self.store.waiting(map(asked_digest, self._new.asked))]
        rows = self._answered({*self._new.transfers, *waited})
        self.store.put(rows)
        return rows

    def _answered(self, transfers: Iterable[bytes]) -> list[AskedRow]:
        """Return which requests these transfers answer, as far as that is known."""
        values = cast("dict[bytes, Transfer]", self._values(transfers))
        digests = {key: asked_digest(one.commitment) for key, one in values.items()}
        shown = cast("dict[bytes, AskedBy]", self._values(digests.values()))
        return [
            AskedRow(values[key].body.payee, shown[digest].opening.request, key)
            for key, digest in digests.items()
            if digest in shown
        ]

    def _values(self, digests: Iterable[bytes]) -> dict[bytes, FactValue]:
        """Return what these facts say, as far as they are known; each is decoded once."""
        wanted = set(digests)
        unknown = wanted - self.known.keys()
        for fact, _ in self.store.find(unknown) if unknown else ():
            self.known[fact.digest] = decode_fact(self.trust.scheme, fact)
        return {digest: self.known[digest] for digest in wanted if digest in self.known}

    # Which transfers are statements

    def _judge(self) -> None:
        """Index the spans of all that can now be judged, and of what waited for it; let the rest wait."""
        candidates = set(self._new.transfers) | self._woken(self._new.tokens)
        if self._new.authorities:
            candidates |= self._woken(charter(one.hint) for one in self._new.authorities.values())
        while True:
            before = set(self._shaped)
            waits = self._shape(cast("dict[bytes, Transfer]", self._values(candidates)))
            self.store.put(waits)
            others = self.store.publish()
            arrived = self._shaped.keys() - before
            # What came while this waited for it did not see it wait.
            came = self._here({row.missing for row in waits}) if others and waits else set[bytes]()
            candidates = {row.transfer for row in waits if row.missing in came} | self._woken(arrived)
            if not candidates:
                return

    def _woken(self, arrived: Iterable[bytes]) -> set[bytes]:
        waiting = {row.transfer for row in self.store.waiting(arrived)}
        return waiting - {row.transfer for row in self.store.spans(waiting)}

    def _here(self, missing: set[bytes]) -> set[bytes]:
        tokens = {fact.digest for fact, _ in self.store.find(missing) if fact.kind is FactKind.TOKEN}
        return tokens | {row.transfer for row in self.store.spans(missing)}

    def _shape(self, candidates: dict[bytes, Transfer]) -> list[WaitRow]:
        """Index the spans of those that are statements; return who waits for what. Others are none, for ever."""
        self._load({span.parent for one in candidates.values() for span in one.body.spans})
        stuck: dict[bytes, list[bytes]] = defaultdict(list)
        queue, spans, deposits = list(candidates), list[SpanRow](), list[DepositRow]()
        while queue:
            key = queue.pop()
            transfer = candidates[key]
            try:
                check_origins(transfer, self._origin, self._watched)
            except _Missing as missing:
                stuck[missing.digest].append(key)
                continue
            except TapError as error:
                if error.code is Code.UNKNOWN_ISSUER:  # whether it is a statement cannot be known before
                    stuck[charter(self._watched.last)].append(key)
                continue
            self._shaped[key] = transfer
            self._given.add(key)
            for number, (parent, start, end) in enumerate(transfer.body.spans):
                above = self._origins[parent]
                self._origins.update(sides(transfer, number, above))
                spans.append(SpanRow(above.token, *parent, start, end, key, number))
            if transfer.body.payee in self.institutions:
                deposits.append(DepositRow(key, 0))
            queue += stuck.pop(key, [])
        self._spans += spans
        self.store.put(spans)
        self.store.put(deposits)
        return [WaitRow(digest, key) for digest, keys in stuck.items() for key in keys]

    def _load(self, parents: set[Parent]) -> None:
        """Ask for what these parents give, if it is known."""
        unknown = {parent.id for parent in parents if parent not in self._origins}
        rows = self.store.spans(unknown)
        hands = self.store.hands(row.transfer for row in rows)
        ids = {row.token for row in rows} | unknown - hands.keys()
        tokens = {key: one for key, one in self._values(ids).items() if isinstance(one, Token)}
        self._given |= tokens.keys() | hands.keys()
        for key, token in tokens.items():
            self._origins[Parent(key, Side.TOKEN, 0)] = Origin(
                key, 0, token.amount, token.owner, 0, 0, 0, _bound(token)
            )
        passed = self._passed_on([row for row in rows if tokens[row.token].conditions])
        for row in rows:
            hand, bound = hands[row.transfer], _bound(tokens[row.token])
            kept = int(row in passed)
            for side, owner, hops in ((Side.PAYEE, hand.payee, 1), (Side.PAYER, hand.key, kept)):
                origin = Origin(row.token, row.start, row.end, owner, hops, 0, hand.epoch, bound)
                self._origins[Parent(row.transfer, side, row.number)] = origin

    def _passed_on(self, rows: list[SpanRow]) -> set[SpanRow]:
        """Return those of these spans that once were in a payee's hands; each may have been restored many times."""
        found: set[SpanRow] = set()
        behind = {row: row for row in rows}
        while behind:
            found |= {row for row, above in behind.items() if above.side == Side.PAYEE}
            restored = {row: above for row, above in behind.items() if above.side == Side.PAYER}
            dead = self.store.spans({above.parent for above in restored.values()})
            places = {(one.transfer, one.number): one for one in dead}
            behind = {row: places[above.parent, above.place] for row, above in restored.items()}
        return found

    def _origin(self, parent: Parent) -> Origin:
        found = self._origins.get(parent)
        if found is not None:
            return found
        if parent.id in self._given:
            # It is here, and has no such side or place: to wait for it would be to wait for ever.
            raise TapError(Code.BROKEN_PROVENANCE, "a side or a place that this parent does not have")
        raise _Missing(parent.id)

    # Names

    def _name(self, asked: list[AskedRow]) -> None:
        store, found = self.store, self.found
        found |= naming.forks(store, self._spans, {key: one.key for key, one in self._shaped.items()})
        found |= naming.tape_forks(store, self._places)
        given = {(row.key, row.request) for row in self._outcomes}
        answers = [*asked, *store.answering(given)]
        behind = self._answered({span.parent for span in self._spans if span.side == Side.PAYEE})
        outcomes: dict[tuple[bytes, bytes], list[OutcomeRow]] = defaultdict(list)
        for row in store.outcomes(given | {(row.payee, row.request) for row in (*answers, *behind)}):
            outcomes[row.key, row.request].append(row)
        found |= naming.two_outcomes(row for request in given for row in outcomes[request])
        dead = {
            row.transfer: row.payee
            for row in (*answers, *behind)
            if any(outcome.transfer != row.transfer for outcome in outcomes[row.payee, row.request])
        }
        died = dead.keys() & {row.transfer for row in answers}
        spent = {
            (span.parent, span.transfer) for span in self._spans if span.side == Side.PAYEE and span.parent in dead
        }
        for parent, spender in spent.union(store.payee_kids(died)):
            found.add(Mark(dead[parent], Fraud.DEAD_SPENT, spender))
        store.put(found)
        self._waking |= {death(transfer) for transfer in died}

    # Credits

    def _credit(self, moved: bool, asked: set[bytes]) -> None:
        """Credit deposits whose provenance became whole; all again if anything was seen earlier than thought.

        What was ``asked`` for, as is known now, is none: it is credited no more (SPEC §16-28).
        """
        waking = self._waking | {introduction(row.key) for row in self._certified}
        deposits = {key for key, one in self._shaped.items() if one.body.payee in self.institutions}
        deposits |= {row.transfer for row in self.store.waiting(waking)} | self._late()
        if moved:
            deposits = {row.transfer for row in self.store.deposits()}
        elif asked:
            deposits |= {row.transfer for row in self.store.deposits(asked)}
        shown: set[bytes] = set()
        while deposits:
            facts = behind(self.store, self.trust, deposits, self.known, self._stamps)
            world = World(facts, self.institutions, self.trust)
            whole = {key for key in deposits if world.whole_at.get(key, NEVER) < NEVER}
            credits = [credit for key in whole for credit in world.credits_of(key)]
            self.store.put_credits(whole, credits, {key for key in whole if is_renewal(world.shaped[key])})
            self.store.drop_credits(whole & world.asked_at.keys(), credits)
            waits = {row for key in deposits - whole if (row := lacking(world, key)) is not None}
            fresh = waits - set(self.store.waiting({row.missing for row in waits}))
            hidden = {key for key in whole - shown - world.asked_at.keys() if self._hides(world.shaped[key])}
            if not fresh and not hidden:
                return
            self.store.put(fresh)
            shown |= hidden
            # As above: what came meanwhile did not see them wait, or credited.
            deposits = {row.transfer for row in fresh} | hidden if self.store.publish() else set[bytes]()

    def _late(self) -> set[bytes]:
        """Return the deposits to institutions that were not known to be such; index them."""
        keys = [one.key for one in self._new.authorities.values() if one.authority is Authority.INSTITUTION]
        late = {row.transfer for row in self.store.spans(self.store.paid(keys))} if keys else set[bytes]()
        self.store.put(DepositRow(key, 0) for key in late)
        return late


def lacking(world: World, deposit: bytes) -> WaitRow | None:
    """Return what a deposit waits for first before it can be credited: a certificate, or a death of what was restored.

    It is looked at again when that comes. A row for each thing behind each deposit would be a square of an upload.
    """
    seen, queue = {deposit}, [deposit]
    while queue:
        transfer = world.shaped[queue.pop()]
        if transfer.key not in world.certified_at:
            return WaitRow(introduction(transfer.key), deposit)
        for parent, _, _ in transfer.body.spans:
            if parent.side is Side.PAYER and parent.id not in world.dead_at:
                return WaitRow(death(parent.id), deposit)
            if parent.side is not Side.TOKEN and parent.id not in seen:
                seen.add(parent.id)
                queue.append(parent.id)
    return None


def behind(
    store: Store,
    trust: Trust,
    transfers: Iterable[bytes],
    known: dict[bytes, FactValue] | None = None,
    stamps: dict[bytes, int] | None = None,
) -> Facts:
    """Return the facts behind statements: provenance, warrants and certificates.

    Those ``known`` are not read again; of some of them, ``stamps`` are known too.
    """
    facts, values, stamped = Facts(trust.scheme), known or {}, stamps or {}

    def take(digests: set[bytes]) -> None:
        for digest in digests & stamped.keys():
            facts.take(digest, values[digest], stamped[digest])
        here, there = (digests & values.keys()) - stamped.keys(), digests - values.keys()
        for digest, epoch in store.stamps(here).items() if here else ():
            facts.take(digest, values[digest], epoch)
        for fact, epoch in store.find(there) if there else ():
            facts.put(fact, epoch)

    take(store.behind(transfers))
    more = {asked_digest(transfer.commitment) for transfer in facts.transfers.values()}
    take(more | {row.certificate for row in store.certificates(one.key for one in facts.transfers.values())})
    hands = [one for one in facts.transfers.values() if one.commitment in facts.asked]
    answers = store.outcomes((one.body.payee, facts.asked[one.commitment].request) for one in hands)
    take({row.id for row in answers})
    return facts


def _bound(token: Token) -> Token | None:
    return token if token.conditions else None

"""The ledger (SPEC §16): keeps every genuine statement, names who cheated, credits who is owed.

This is the seam that a service puts a network in front of. It has no clock and no randomness: epochs, entropy and
serials are passed in. How it settles is in :mod:`dualtap_issuer.settling`, how it renews in ``.renewals``, what it pays
out in ``.payouts``, orders in ``.ordering``, audits in ``.auditing``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple, cast

from dualtap import limits
from dualtap.errors import Code, TapError
from dualtap.issued import (
    AuthorityCertificate,
    Carrier,
    Condition,
    Header,
    Policy,
    Role,
    Tier,
    Token,
    WalletCertificate,
)
from dualtap.records import News
from dualtap.statements import Outcome, Present
from dualtap.suite import sha256
from dualtap.sync import (
    Reply,
    Upload,
    decode_signed_upload,
    decode_upload,
    encode_reply,
    encode_signed_reply,
    sync_statement,
)
from dualtap_issuer import auditing, settling
from dualtap_issuer.accounts import Accounts
from dualtap_issuer.audit import Audit
from dualtap_issuer.authority import Bank, Signers
from dualtap_issuer.facts import Facts, token_fact
from dualtap_issuer.findings import Finding
from dualtap_issuer.guarantee import Caps, Registry
from dualtap_issuer.ingest import Ingest
from dualtap_issuer.insured import caps_in
from dualtap_issuer.lines import Lines
from dualtap_issuer.makers import attested
from dualtap_issuer.netting import Netting
from dualtap_issuer.payouts import pay_heirs
from dualtap_issuer.policies import Policies, check_tiers
from dualtap_issuer.proofs import Proofs, values
from dualtap_issuer.registry import Bound
from dualtap_issuer.renewals import renew
from dualtap_issuer.roll import Roll, admitted
from dualtap_issuer.rows import OutcomeRow
from dualtap_issuer.rules import Conflict, World
from dualtap_issuer.standings import standings
from dualtap_issuer.store import Store
from dualtap_issuer.words import orders_for

HOTLIST = limits.STATEMENTS
"""Keys on the hotlist: as many as every device's decoder takes."""


class Terms(NamedTuple):
    """What the institution issues: currency, epochs to spend it, epochs of grace to claim it, hops, and the tiers.

    ``guarantee`` caps what the scheme pays where a token was overspent, until others are set (:func:`set_caps`).
    ``anonymous`` are the tiers that carry no identity.
    """

    currency: str
    spend: int
    grace: int
    hops: int
    tiers: tuple[Tier, ...]
    guarantee: Caps = Caps()
    anonymous: frozenset[int] = frozenset()


class Ledger:
    """One scheme's ledger over one store. Not for two threads at once."""

    def __init__(self, store: Store, authority: Signers, terms: Terms, epoch: int = 0) -> None:
        """``epoch`` stamps the certificates of ``authority`` that a ledger with others does not know yet."""
        self.store = store
        self.authority = authority
        self.terms = terms
        self.scheme = authority.scheme
        self.trust = Roll(self.scheme)
        self.policies = Policies(store, authority, self.trust)
        self.lines = Lines(store, authority, self.trust)
        self.refused = 0
        self.trust.refresh(store)
        self._found(epoch)
        if store.policy() is None:
            with store.transaction():
                self.policies.found(terms.tiers)
        if store.unfinished():
            with store.transaction():
                self.resume()

    def _found(self, epoch: int) -> None:
        """Take in the certificates of whom this ledger signs for; those with which it begins are known from ever."""
        mine = [one for one in self.authority.authorities if one not in self.trust.authorities]
        founded = bool(self.store.authorities())
        if not founded and len(self.authority.banks) == 1:
            self.store.adopt_ordinals(self.authority.banks[0].certificate.key)
        if mine:
            self.admit(mine, max(epoch, self.store.closed_epoch()) if founded else 0)

    def admit(self, certificates: Iterable[AuthorityCertificate], epoch: int) -> int:
        """Take in authorities, issuers first, stamped ``epoch``; return how many were new.

        What waited for them is judged then. Raises ``UNKNOWN_ISSUER``, ``WRONG_CERTIFICATE`` or ``BAD_SIGNATURE`` for
        what no chain to the root proves, ``BAD_INPUT`` for a certificate that expires no later than the one known, for
        more than a policy can name, or for an epoch that was settled.
        """
        with self.store.transaction(alone=True):
            self.trust.refresh(self.store)
            if epoch and epoch < self.store.closed_epoch():
                raise TapError(Code.BAD_INPUT, "this epoch was settled")
            fresh = admitted(self.trust, certificates)
            if not fresh:
                return 0
            grown = Roll(self.scheme)
            grown.refresh(self.store)
            grown.take(fresh, dict.fromkeys(fresh, epoch))
            ingest = Ingest(self.store, grown, grown.institutions, epoch)
            for certificate in fresh.values():
                ingest.authority(certificate)
            ingest.finish()
            self.store.publish()
            self.trust.refresh(self.store)
            if self.store.policy() is not None:
                self._revise(epoch)
        return len(fresh)

    @property
    def institutions(self) -> frozenset[bytes]:
        """The keys to which deposits are made: of every institution of the scheme."""
        return self.trust.institutions

    def resume(self) -> None:
        """Do what a process that died left undone; it is no harm if it lives, and does it too."""
        self.trust.refresh(self.store)
        ingest = Ingest(self.store, self.trust, self.institutions, 0)
        ingest.resume()
        if ingest.named:
            self._revise(self.store.closed_epoch())

    # Joining

    def challenge(self, entropy: bytes) -> bytes:
        """Return 32 bytes for one sync or one certificate; ``entropy`` is 32 fresh bytes."""
        challenge = sha256(b"dualtap challenge" + entropy)
        with self.store.transaction():
            self.store.put_challenge(challenge)
        return challenge

    def certify(
        self,
        proof: Present,
        carrier: Carrier,
        tier: int,
        role: Role,
        expires: int,
        category: int = 0,
        attestation: bytes = b"",
        bank: Bank | None = None,
    ) -> WalletCertificate:
        """Return the certificate of the key that answered a challenge by ``proof``; see :meth:`Bank.certify`.

        ``attestation`` holds a maker's word for the chip. Raises ``BAD_INPUT`` where ``bank`` is not given and
        no bank's key is held here, or as :func:`attested`.
        """
        bank = bank or self.authority.bank
        chip = attested(self.scheme, self.store, attestation, proof.key, carrier)
        with self.store.transaction():
            if not self.store.take_challenge(proof.body.session):
                raise TapError(Code.REPLAYED_REQUEST, "this challenge was not given, or was answered before")
        return bank.certify(proof, proof.body.session, carrier, tier, role, expires, category, chip)

    def news(self, epoch: int, certificate: WalletCertificate | None = None) -> News:
        """Return what the scheme says at ``epoch``: for a reply, or for a wallet that joins."""
        policy = self.policy
        if certificate is not None:  # a sync has looked already
            self.trust.refresh(self.store)
        return News(certificate, self.trust.authorities, self.policies.header(epoch, policy), policy)

    def issue(
        self, owner: bytes, amount: int, epoch: int, serial: bytes, conditions: tuple[Condition, ...] = ()
    ) -> Token:
        """Issue a token to a wallet's key and queue it for that wallet's next sync; ``serial`` is 8 fresh bytes.

        A key that was succeeded holds nothing new: the token is its line's present key's.

        Raises as :meth:`SchemeAuthority.token`, ``BAD_KEY``, and ``BAD_INPUT`` for a serial that was used.
        """
        self.scheme.suite.verifier(owner)
        terms, owner = self.terms, self.lines.present(owner)
        spend_by = epoch + terms.spend
        token = self.authority.office.token(
            serial, amount, terms.currency, owner, epoch, spend_by, spend_by + terms.grace, terms.hops, conditions
        )
        fact = token_fact(self.trust, token)
        with self.store.transaction():
            self.store.put_delivery(owner, fact.digest)
            if self.store.has(fact.digest):
                raise TapError(Code.BAD_INPUT, "this serial was used")
            ingest = Ingest(self.store, self.trust, self.institutions, epoch)
            ingest.token(token)
            ingest.finish()
        return token

    # Syncing

    def sync(self, signed_upload: bytes, epoch: int) -> bytes:
        """Take a wallet's upload, stamped ``epoch`` as a whole, and return the reply's bytes.

        Raises what :func:`dualtap.sync.decode_upload` raises, ``BAD_SIGNATURE``, or ``REPLAYED_REQUEST`` for a
        challenge that is not open; ``BAD_INPUT`` for an epoch that was settled. Nothing has changed then.
        A statement in it that is not genuine is left out, and counted in ``refused``.
        """
        item = decode_signed_upload(signed_upload)
        upload = decode_upload(self.scheme, item.upload)
        self.trust.refresh(self.store)
        self.trust.check_genuine(upload.certificate)
        key = upload.certificate.key
        word = sync_statement(self.scheme, key, item.upload, item.challenge, item.epoch)
        self.trust.verify_statement(word.sealed(item.signature))
        ingest = Ingest(self.store, self.trust, self.institutions, epoch)
        successor = self.lines.admit(item, upload)
        if self.store.is_open(item.challenge):
            # Outside the transaction, in which others may have to wait: it takes most of the time.
            ingest.upload(upload)
        with self.store.transaction():
            if epoch < self.store.closed_epoch():
                raise TapError(Code.BAD_INPUT, "this epoch was settled")
            if not self.store.take_challenge(item.challenge):
                raise TapError(Code.REPLAYED_REQUEST, "this challenge was not given, or was answered before")
            if self.trust.refresh(self.store):
                ingest.institutions = self.institutions
            ingest.finish()
            ingest.named |= renew(self, epoch)
            if successor is not None and self.lines.is_named(key):
                # The link stands, so that naming follows it; but who is named gets no new certificate.
                successor, ingest.named = None, True
            if ingest.named:
                # Seen first: a certificate that comes now finds its key named, or is found here.
                self.store.publish()
                self._revise(epoch)
            reply = self._reply(upload, epoch)._replace(successor=successor)
        self.refused += ingest.refused
        answer = encode_reply(reply)
        return encode_signed_reply(self.authority.office.word_for(item.challenge, item.upload, answer))

    def _reply(self, upload: Upload, epoch: int) -> Reply:
        key = upload.certificate.key
        deposits = tuple([row.transfer for row in self.store.deposits(upload.pending) if row.credited])
        # An outcome is told to the transfer's payer, and to nobody else.
        mine = [row.id for row in self.store.hands(upload.pending).values() if row.key == key]
        asked = self.store.asked(mine)
        found: dict[tuple[bytes, bytes], list[OutcomeRow]] = defaultdict(list)
        for row in self.store.outcomes((one.payee, one.request) for one in asked):
            found[row.key, row.request].append(row)
        told: list[bytes] = []
        for one in asked:
            # Its Receipt first, if a lying payee gave both: the payer's money then counts as paid.
            given = sorted(found[one.payee, one.request], key=lambda row: row.transfer != one.transfer)
            told += [row.id for row in given[:1]]
        outcomes = cast("list[Outcome]", self._all(told))
        queued = self.store.deliveries(key, upload.delivered)
        tokens = tuple(cast("list[Token]", self._all([token for _, token in queued])))
        delivered = max([upload.delivered, *[number for number, _ in queued]])
        standing = standings(self.store, self.scheme, key, upload.pending)
        words = orders_for(self.store, self.scheme, self.institutions, key)
        return Reply(self.news(epoch), tuple(outcomes), deposits, tokens, delivered, standing, words=words)

    def _all(self, digests: list[bytes]) -> list[object]:
        return values(self.store, self.scheme, digests)

    # Naming

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self.policies.current()

    def set_tiers(self, tiers: tuple[Tier, ...], epoch: int) -> Policy:
        """Put a policy with these tiers in force, the hotlist kept; return it. Raises ``BAD_INPUT``."""
        check_tiers(tiers)
        self.authority.dating  # noqa: B018 - refuses where no policy can be signed
        with self.store.transaction():
            self._revise(epoch, tiers)
        return self.policy

    def date(self, epoch: int) -> Header:
        """Sign the date, for institutions without the policy key too, and bring the policy up to date; return it.

        Raises ``BAD_INPUT`` where the policy key is not held.
        """
        with self.store.transaction():
            self.trust.refresh(self.store)
            self._revise(epoch)
            return self.policies.date(epoch)

    def _revise(self, epoch: int, tiers: tuple[Tier, ...] | None = None) -> None:
        """Put a new policy in force if it has anything new to say: tiers, authorities, or who is named.

        Every named key is on the hotlist while its certificate lasts: expiry blocks it after.
        With a key, all of its line: a new key does not clear the wallet, and is certified as long (SPEC §20-11). Where
        they are too many, each line's newer keys go first: whoever rotates often must not take the room of all others.
        """
        self.store.lock("policy")
        named: dict[bytes, int] = defaultdict(int)
        digests = [row.certificate for row in self.store.certificates(self.store.named())]
        for certificate in cast("list[WalletCertificate]", self._all(digests)):
            named[certificate.key] = max(named[certificate.key], certificate.expires)
        spread = self.lines.spread(named)
        ages = self.lines.ages(spread)
        live = sorted((ages[key], -expires, key) for key, expires in spread.items() if expires >= epoch)
        self.policies.revise(tuple(sorted(key for _, _, key in live[:HOTLIST])), tiers)

    def conflicts(self) -> list[Conflict]:
        """Return pairs that prove every mark of a certified wallet. A key without a certificate is nobody."""
        found = self.store.conflicts()
        certified = {row.key for row in self.store.certificates(one.key for one in found)}
        return [one for one in found if one.key in certified]

    def evidence(self, conflict: Conflict) -> bytes:
        """Return the portable evidence of a conflict, for :func:`dualtap.verdict.verify_evidence`."""
        return Proofs(self.store, self.trust).evidence(conflict)

    # Settling and auditing

    def facts(self) -> Facts:
        """Return everything that this ledger knows."""
        facts = Facts(self.scheme)
        for fact, epoch in self.store.facts():
            facts.put(fact, epoch)
        return facts

    def world(self) -> World:
        """Return everything that this ledger knows, indexed."""
        facts = self.facts()
        roll = Roll.of(self.scheme, facts.authorities, facts.seen)
        return World(facts, roll.institutions, roll)

    @property
    def guarantee(self) -> Caps:
        """The caps of the guarantee for what is settled now."""
        return caps_in(self.store, self.terms.guarantee)

    def settle(self, epoch: int, people: Registry | None = None) -> int:
        """Credit the holder of every leaf of every token whose ``claim_by`` is past; return the minor units.

        To be called once every sync stamped before ``epoch`` is stored: none is taken afterwards. What was overspent is
        booked, and ``people`` tells whom the guarantee makes whole (SPEC §16-15 to §16-18); without it, whoever is
        certified in a tier that carries an identity. It goes in batches, beside syncs; where one was interrupted, the
        next call goes on.
        """
        with self.store.transaction(alone=True):
            self.resume()
            if renew(self, epoch):  # what a process left that died: else it would be paid here, and renewed later
                self._revise(epoch)
            self.store.close_epoch(epoch)
        people = people or Bound(self.store, self.scheme, self.institutions, self.terms.anonymous)
        total = settling.settle(self.store, self.trust, epoch, self.guarantee, people, Accounts(self, epoch))
        pay_heirs(self, epoch)
        return total

    def net(self) -> Netting:
        """Return what the institutions hold of one another's value, audited; raise as :meth:`audit`."""
        return auditing.net(self)

    def findings(self) -> list[Finding]:
        """Recompute everything from the statements, and return every row that differs, with what it is about."""
        return auditing.findings(self)

    def audit(self) -> Audit:
        """Recompute everything from the statements, compare it with the rows, and return the totals.

        It looks at one instant, while syncs go on. Raises ``LEDGER_CORRUPT``, naming the first row that differs, which
        amount it is about, and how many more there are: :meth:`findings` has them all.

        SPEC §16-14.
        """
        return auditing.audit(self)

    def digest(self) -> bytes:
        """Return a digest of the stamped set: a function of nothing else."""
        return self.facts().digest()

"""What the issuer's benchmark feeds a ledger: tills' uploads, as genuine as any."""

from __future__ import annotations

import secrets
from typing import NamedTuple, TypeVar

from dualtap import limits
from dualtap.forms import signed
from dualtap.issued import Carrier, Role, Tier, Token, WalletCertificate
from dualtap.statements import (
    Body,
    Opening,
    Parent,
    ReceiptBody,
    Side,
    Signed,
    Span,
    TapeStatement,
    Transfer,
    TransferBody,
)
from dualtap.suite import Signer, Suite
from dualtap.sync import SignedUpload, Upload, encode_signed_upload, encode_upload, sync_statement
from dualtap.trust import issue
from dualtap_issuer.authority import SchemeAuthority, Secrets
from dualtap_issuer.facts import Fact, certificate_fact, statement_facts, token_fact
from dualtap_issuer.ledger import Ledger, Terms
from dualtap_issuer.store import Store

EPOCH = 20_000
TERMS = Terms("CNY", 300, 60, limits.HOPS, (Tier(1, limits.AMOUNT, 2**31, 2**31, limits.AMOUNT),))
AMOUNT = 10_000
B = TypeVar("B", TransferBody, ReceiptBody)


class Check(NamedTuple):
    """A signature as it is verified: by a wallet's key, or, already loaded, an authority's."""

    key: bytes
    signature: bytes
    digest: bytes
    authority: bool


class Load(NamedTuple):
    """One wallet's sync: its upload, ready but for a challenge, and what the floor does with it."""

    wallet: Signer
    upload: bytes
    payments: int
    checks: list[Check]
    facts: list[Fact]


class Scheme:
    """A scheme whose keys are at hand, and whose ledger may be opened over any store."""

    def __init__(self, suite: Suite) -> None:
        self.suite = suite
        self._secrets = Secrets(*(secrets.token_bytes(32) for _ in range(4)))
        self._bank = suite.signer(self._secrets.bank)
        self._ordinal = 0
        self.authority = self._authority(Store.open())
        self.trust = self.authority.trust()

    def _authority(self, store: Store) -> SchemeAuthority:
        return SchemeAuthority(self.suite, self._secrets, store, EPOCH + 900, 10**9)

    def ledger(self, where: str) -> Ledger:
        """Open a ledger of this scheme."""
        store = Store.open(where)
        return Ledger(store, self._authority(store), TERMS)

    def request(self, ledger: Ledger, load: Load) -> bytes:
        """Return a wallet's sync in answer to a fresh challenge."""
        challenge = ledger.challenge(secrets.token_bytes(32))
        statement = sync_statement(ledger.scheme, load.wallet.public, load.upload, challenge, EPOCH)
        signature = load.wallet.sign(statement.id)
        return encode_signed_upload(SignedUpload(load.upload, challenge, EPOCH, signature))

    def load(self, payments: int) -> Load:
        """Return the sync of a till that as many different customers paid once, and that deposits it all."""
        till = self.suite.signer(secrets.token_bytes(32))
        mine = self._certificate(till.public)
        tokens: list[Token] = []
        certificates: list[WalletCertificate] = []
        transfers: list[Transfer] = []
        tape: list[TapeStatement] = []
        for place in range(payments):
            payer = self.suite.signer(secrets.token_bytes(32))
            token = self.authority.token(
                secrets.token_bytes(8), AMOUNT, "CNY", payer.public, EPOCH, EPOCH + 300, EPOCH + 360
            )
            span = Span(Parent(self.trust.token_id(token), Side.TOKEN, 0), 0, 1 + place)
            request = secrets.token_bytes(32)
            paid = self._sign(payer, TransferBody(till.public, (span,), EPOCH, ()), 0, request)
            tokens.append(token)
            certificates.append(self._certificate(payer.public))
            transfers.append(paid)
            tape.append(self._sign(till, ReceiptBody(request, paid.id, EPOCH), place))
        for first in range(0, payments, limits.SPANS):
            paid_in = transfers[first : first + limits.SPANS]
            spans = tuple([Span(Parent(one.id, Side.PAYEE, 0), *one.body.spans[0][1:]) for one in paid_in])
            body = TransferBody(self.authority.institution, spans, EPOCH, ())
            tape.append(self._sign(till, body, len(tape)))
        upload = Upload(mine, tuple(tokens), tuple(certificates), tuple(transfers), (), tuple(tape), (), (), 0)
        return Load(till, encode_upload(upload), payments, self._checks(upload), self._facts(upload))

    def _certificate(self, key: bytes) -> WalletCertificate:
        self._ordinal += 1
        role = Role.PAY | Role.COLLECT
        blank = WalletCertificate(key, Carrier.PHONE, 1, role, 0, b"", EPOCH + 300, self._ordinal, b"", b"")
        return issue(self.authority.scheme, self._bank, blank)

    def _sign(self, signer: Signer, body: B, place: int, request: bytes = b"") -> Signed[B]:
        opening = Opening(secrets.token_bytes(16), place, place + 1, request=request)
        blank = signed(self.authority.scheme.id, signer.public, body, opening)
        return blank.sealed(signer.sign(blank.id))

    def _checks(self, upload: Upload) -> list[Check]:
        statements: list[Signed[Body]] = [*upload.transfers, *upload.tape]
        found = [Check(one.key, one.signature, one.id, False) for one in statements]
        institution, bank = self.authority.institution, self._bank.public
        found += [Check(institution, one.signature, token_fact(self.trust, one).digest, True) for one in upload.tokens]
        for one in (upload.certificate, *upload.certificates):
            found.append(Check(bank, one.signature, certificate_fact(self.trust, one).digest, True))
        return found

    def _facts(self, upload: Upload) -> list[Fact]:
        found = [token_fact(self.trust, one) for one in upload.tokens]
        found += [certificate_fact(self.trust, one) for one in (upload.certificate, *upload.certificates)]
        return found + [fact for one in (*upload.transfers, *upload.tape) for fact in statement_facts(one)]

"""A scheme in memory, with keys made on the spot, for benchmarks: two institutions, each with a bank."""

from __future__ import annotations

import secrets
import time
from itertools import count

from dualtap import limits
from dualtap.issued import (
    Authority,
    AuthorityCertificate,
    Carrier,
    Header,
    Policy,
    Role,
    Tier,
    Token,
    WalletCertificate,
)
from dualtap.keystore import Keystore
from dualtap.records import Funded, News
from dualtap.statements import Scheme
from dualtap.suite import Signer, Suite
from dualtap.trust import issue
from dualtap_devices.keystore import MemoryKeystore
from dualtap_devices.slots import MemoryStore, Store
from dualtap_devices.wallet import Wallet

CURRENCY = "CNY"
_YEAR = 365


class ToyScheme:
    """Everything that a tap needs and no ledger."""

    def __init__(self, suite: Suite) -> None:
        self.today = int(time.time()) // limits.EPOCH_SECONDS
        self._ordinals = count(1)
        root, policy, *rest = (suite.signer(secrets.token_bytes(32)) for _ in range(6))
        self._institution, self._bank, self._far_institution, self._far_bank = rest
        self.scheme = Scheme.of(suite, root.public)
        self._policy_key = self._certify(root, policy, Authority.POLICY)
        self._near = (
            self._certify(root, self._institution, Authority.INSTITUTION),
            self._certify(self._institution, self._bank, Authority.BANK),
        )
        self._far = (
            self._certify(root, self._far_institution, Authority.INSTITUTION),
            self._certify(self._far_institution, self._far_bank, Authority.BANK),
        )
        tier = Tier(1, limits.AMOUNT, 2**31, 2**31, limits.AMOUNT)
        hints = tuple(certificate.hint for certificate in (*self._near, *self._far))
        self._header = issue(self.scheme, policy, Header(self.today, 1, b"", b""))
        self._policy = issue(self.scheme, policy, Policy(1, (tier,), (), hints, b"", b""))

    def _certify(self, issuer: Signer, holder: Signer, authority: Authority) -> AuthorityCertificate:
        blank = AuthorityCertificate(holder.public, authority, 1, 1_000_000, self.today + 9 * _YEAR, b"", b"")
        return issue(self.scheme, issuer, blank)

    def memory_wallet(self, carrier: Carrier, amount: int = 0) -> Wallet:
        """Return a wallet in memory, funded with one token, that knows its own institution and every other."""
        return self.join(self._keystore(), MemoryStore.open(1 << 30), carrier, amount)

    def stranger_wallet(self, carrier: Carrier) -> Wallet:
        """Return a wallet of the other institution, which knows both; a :meth:`newcomer` lacks its chain."""
        return self.join(self._keystore(), MemoryStore.open(1 << 30), carrier, 0, far=True)

    def newcomer(self, carrier: Carrier, amount: int) -> Wallet:
        """Return a wallet that knows its own institution and bank only."""
        return self.join(self._keystore(), MemoryStore.open(1 << 30), carrier, amount, knows_far=False)

    def _keystore(self) -> Keystore:
        return MemoryKeystore(self.scheme, secrets.token_bytes(32))

    def join(
        self, keystore: Keystore, store: Store, carrier: Carrier, amount: int, far: bool = False, knows_far: bool = True
    ) -> Wallet:
        """Return a wallet on this keystore and store, certified and funded."""
        wallet = Wallet(self.scheme, limits.FULL, keystore, store)
        blank = WalletCertificate(
            keystore.public,
            carrier,
            1,
            Role.PAY | Role.COLLECT,
            0,
            b"",
            self.today + _YEAR,
            next(self._ordinals),
            b"",
            b"",
        )
        certificate = issue(self.scheme, self._far_bank if far else self._bank, blank)
        authorities = (self._policy_key, *self._near, *(self._far if knows_far else ()))
        wallet.write(News(certificate, authorities, self._header, self._policy))
        if amount:
            token = Token(
                secrets.token_bytes(8),
                amount,
                CURRENCY,
                keystore.public,
                self.today + _YEAR,
                self.today + 2 * _YEAR,
                limits.HOPS,
                (),
                b"",
                b"",
            )
            wallet.write(Funded(issue(self.scheme, self._institution, token)))
        return wallet

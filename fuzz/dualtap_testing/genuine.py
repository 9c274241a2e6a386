"""Strategies of what is valid by construction: schemes, wallets with balances, whole payments and their proofs.

Each is drawn as a few small numbers and then really made: keys, signatures and all. So it shrinks to the smallest
story, and whatever the core accepts is accepted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from dualtap import wire
from dualtap.issued import Carrier
from dualtap.limits import FULL, Profile
from dualtap.logcodec import decoder
from dualtap.provenance import Acceptance, Received, rebuild
from dualtap.records import Answered
from dualtap.statements import Outcome, Transfer
from dualtap.suite import SUITES
from dualtap.wire import TransferMessage
from dualtap_devices.wallet import Wallet
from dualtap_testing.seeded import CURRENCY, SeededScheme

MOST = 10_000
"""Minor units: the most that a wallet here is given, unless a test asks for more."""
HANDS = 3
"""The most hands behind a payment here, unless a test asks for more."""


@dataclass(frozen=True)
class Payment:
    """A payment that was made, and whoever made it: ``message`` is the Transfer as it crossed, ``request`` what it
    answered, by id.
    """

    scheme: SeededScheme
    payer: Wallet
    payee: Wallet
    amount: int
    message: TransferMessage
    request: bytes
    outcome: Outcome

    @property
    def transfer(self) -> Transfer:
        """The transfer itself."""
        return self.received().transfer

    def received(self) -> Received:
        """Return the transfer and what is behind it, rebuilt as its payee does; nothing in it is verified."""
        return rebuild(self.payee.book.trust, self.message, self.payee.book.key, self.request)

    def acceptance(self) -> Acceptance:
        """Return what its payee asked of the value."""
        profile = self.payee.book.profile
        return Acceptance(CURRENCY, self.scheme.epoch, profile.hops, profile.spans)

    def __repr__(self) -> str:
        """Show what it is, in a line."""
        hands = len(self.message.bundle.transfers)
        return f"Payment({self.amount} of {self.scheme!r}, {len(self.message.spans)} spans, {hands} hands behind)"


def schemes(suites: tuple[str, ...] = tuple(SUITES)) -> st.SearchStrategy[SeededScheme]:
    """Return schemes of these suites, each with authorities, a ledger and a date of its own."""
    return st.builds(SeededScheme, st.integers(0, 255), st.sampled_from(suites))


@st.composite
def wallets(
    draw: DrawFn,
    scheme: SeededScheme | None = None,
    balance: st.SearchStrategy[int] | None = None,
    profile: Profile = FULL,
) -> Wallet:
    """Return wallets that have joined ``scheme``, or one of their own, and hold ``balance`` minor units in tokens."""
    scheme = scheme or draw(schemes())
    wallet = scheme.wallet(0, draw(st.sampled_from(Carrier)), profile)
    left = draw(st.integers(0, MOST) if balance is None else balance)
    while left:
        part = draw(st.integers(1, left)) if left > 1 and draw(st.booleans()) else left
        scheme.fund(wallet, part)
        left -= part
    return wallet


@st.composite
def payments(draw: DrawFn, scheme: SeededScheme | None = None, hands: int = HANDS) -> Payment:
    """Return payments that were accepted: value that went through up to ``hands`` hands before, exact or with change.

    Both wallets are still there, and hold what they then hold.
    """
    scheme = scheme or draw(schemes())
    payer = draw(wallets(scheme, st.integers(1, MOST)))
    held = sum(item.amount for item in payer.book.holdings)
    for _ in range(draw(st.integers(0, hands))):
        held, following = draw(st.integers(1, held)), scheme.wallet()
        _paid(scheme, payer, following, held)
        payer = following
    amount, payee = draw(st.integers(1, held)), scheme.wallet()
    return _paid(scheme, payer, payee, amount, payer_starts=draw(st.booleans()))


def provenances(scheme: SeededScheme | None = None, hands: int = HANDS) -> st.SearchStrategy[Received]:
    """Return a transfer with the proof behind it, as a payee rebuilds it."""
    return payments(scheme, hands).map(lambda payment: payment.received())


def _paid(scheme: SeededScheme, payer: Wallet, payee: Wallet, amount: int, *, payer_starts: bool = True) -> Payment:
    reports = scheme.pay(payer, payee, amount, payer_starts=payer_starts)
    if reports.payer.code is not None:
        raise AssertionError(f"a payment that must be good was refused: {reports.payer}")
    decode = decoder(scheme.scheme.id)
    answered = [item for item in map(decode, payee.store.records) if isinstance(item, Answered)][-1]
    message = cast("TransferMessage", wire.decode(answered.message))
    return Payment(scheme, payer, payee, amount, message, answered.outcome.body.request, answered.outcome)

"""dualtap: two devices, neither online, move value in one tap; every double spend is proved and named.

This package is the core: no clock, randomness, files, sockets or asyncio of its own. A tap is a machine::

    tap = Tap(book, Pay(), initiator=True, ephemeral=suite.ephemeral(secret), random=Drbg(entropy))
    effects = tap.step(Begin())

Follow one through :mod:`dualtap.tap`, and the law it keeps in ``protocol/SPEC.md``.
"""

from __future__ import annotations

from dualtap.book import Book
from dualtap.context import Charge, Pay
from dualtap.errors import Code, Fault, TapError
from dualtap.events import (
    Ask,
    Begin,
    Consent,
    Decline,
    Effect,
    Event,
    Persist,
    Received,
    Report,
    Result,
    Send,
    Sign,
    Signature,
    Stop,
)
from dualtap.issued import Carrier, Token, WalletCertificate
from dualtap.keystore import Head, Keystore
from dualtap.limits import CARD, FULL, Profile
from dualtap.statements import Scheme
from dualtap.suite import ED25519, P256, SUITES, Drbg, Suite
from dualtap.tap import Tap

__all__ = [
    "CARD",
    "ED25519",
    "FULL",
    "P256",
    "SUITES",
    "Ask",
    "Begin",
    "Book",
    "Carrier",
    "Charge",
    "Code",
    "Consent",
    "Decline",
    "Drbg",
    "Effect",
    "Event",
    "Fault",
    "Head",
    "Keystore",
    "Pay",
    "Persist",
    "Profile",
    "Received",
    "Report",
    "Result",
    "Scheme",
    "Send",
    "Sign",
    "Signature",
    "Stop",
    "Suite",
    "Tap",
    "TapError",
    "Token",
    "WalletCertificate",
]

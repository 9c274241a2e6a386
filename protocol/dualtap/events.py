"""What goes into a tap and what comes out of it (SPEC §11): events in, effects out.

Effects are carried out in order: what is persisted is durable before anything is signed, and what is signed is
signed before anything is sent. :class:`Sign` and :class:`Ask` are answered by an event.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, TypeAlias

from dualtap.errors import Code
from dualtap.issued import WalletCertificate
from dualtap.statements import Body, Signed, Verification


@dataclass(frozen=True, slots=True)
class Begin:
    """Start the tap."""


class Received(NamedTuple):
    """A frame arrived."""

    frame: bytes


class Signature(NamedTuple):
    """The keystore signed what :class:`Sign` asked for: 64 bytes."""

    signature: bytes


class Consent(NamedTuple):
    """The person agreed, verified in this way: never claim more than the keystore has seen (SPEC §22-6)."""

    verification: Verification = Verification.PRESENCE


@dataclass(frozen=True, slots=True)
class Decline:
    """The person did not agree."""


class Stop(NamedTuple):
    """The link ended or the device must stop; ``code`` says why."""

    code: Code = Code.LINK_LOST


Event: TypeAlias = Begin | Received | Signature | Consent | Decline | Stop


class Persist(NamedTuple):
    """Make these records durable, all or none, before anything else.

    ``key`` names the wallet of this device whose they are, if it is not the present one.
    """

    records: tuple[bytes, ...]
    key: bytes = b""


class Sign(NamedTuple):
    """Sign this statement, with the key that it names; answer with :class:`Signature`."""

    statement: Signed[Body]


class Send(NamedTuple):
    """Send this frame."""

    frame: bytes


class Ask(NamedTuple):
    """Ask the person whether to pay; answer with :class:`Consent` or :class:`Decline`.

    A consent with less than ``verification`` ends the tap as ``UNVERIFIED``.
    """

    amount: int
    currency: str
    payee: WalletCertificate
    verification: Verification = Verification.NONE


class Result(Enum):
    """How a tap, or one pending transfer in it, ended."""

    PAID = "paid"
    COLLECTED = "collected"
    HEALED_PAID = "healed_paid"
    HEALED_RESTORED = "healed_restored"
    NOT_PAID = "not_paid"
    IN_DOUBT = "in_doubt"
    DONE = "done"


class Report(NamedTuple):
    """What a person is told: amount in minor units, the transfer's id, and the error if there was one."""

    result: Result
    amount: int = 0
    currency: str = ""
    transfer: bytes = b""
    peer: bytes = b""
    code: Code | int | None = None
    detail: str = ""


Effect: TypeAlias = Persist | Sign | Send | Ask | Report

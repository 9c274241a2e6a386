"""The one table of errors (SPEC §9).

Every refusal in dualtap is a row here: a number that crosses the wire, a name, who is at fault, and what a
person can do. Rows stand in order of precedence: where several are known to apply, the first is the one reported;
but who checks may stop at the first that it finds (SPEC §8.1). A number that this version does not know still
decodes, as a plain ``int``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum


class Fault(Enum):
    """Who is to blame for an error."""

    ME = "me"
    PEER = "peer"
    LINK = "link"
    SCHEME = "scheme"


class Code(IntEnum):
    """The number of an error, as it crosses the wire (SPEC §9)."""

    LINK_LOST = 10
    TIMEOUT = 11
    TOO_FAR = 12
    TOO_LARGE = 20
    MALFORMED = 21
    NOT_CANONICAL = 22
    UNKNOWN_MESSAGE = 23
    UNEXPECTED_MESSAGE = 24
    ENDED = 25
    WRONG_SCHEME = 30
    WRONG_VERSION = 31
    WRONG_ROLE = 32
    BAD_KEY = 33
    BAD_SEAL = 34
    UNKNOWN_ISSUER = 40
    BAD_SIGNATURE = 41
    WRONG_CERTIFICATE = 42
    CERTIFICATE_EXPIRED = 43
    HOTLISTED = 44
    EPOCH_AHEAD = 45
    EPOCH_BACKWARDS = 46
    FROZEN = 47
    NOT_BOUND = 48
    BOUND = 49
    REPLAYED_REQUEST = 50
    SELF_PAYMENT = 51
    ZERO_AMOUNT = 52
    WRONG_CURRENCY = 53
    OVER_LIMIT = 54
    UNKNOWN_REQUEST = 55
    BASKET_PAID = 56
    BASKET_WAITS = 57
    NOT_A_REFUND = 58
    UNVERIFIED = 59
    NOT_OWNER = 60
    SPANS_OVERLAP = 61
    SPAN_OUTSIDE = 62
    WRONG_AMOUNT = 63
    TOKEN_EXPIRED = 64
    UNKNOWN_CONDITION = 65
    TOO_MANY_HOPS = 66
    TOO_MANY_WARRANTS = 67
    BROKEN_PROVENANCE = 68
    DOUBLE_SPENT = 69
    TAPE_FORKED = 70
    CONDITION_UNMET = 71
    INSUFFICIENT = 80
    DECLINED = 81
    STORE_FULL = 82
    STORE_FAILED = 83
    QUARANTINED = 84
    KEYSTORE_REFUSED = 85
    IN_USE = 86
    PIN_WRONG = 87
    PIN_BLOCKED = 88
    RETIRED = 89
    NOT_EVIDENCE = 90
    LEDGER_CORRUPT = 91
    ISSUER_UNREACHABLE = 92
    BAD_INPUT = 93
    QUOTA_USED = 94
    NOT_ATTESTED = 95


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the error table: who is at fault, what it means, and what a person can do."""

    fault: Fault
    meaning: str
    remedy: str


_ME, _PEER, _LINK, _SCHEME = Fault.ME, Fault.PEER, Fault.LINK, Fault.SCHEME
_AGAIN = "tap the same device again"

TABLE: dict[Code, Row] = {
    Code.LINK_LOST: Row(_LINK, "the link ended before the tap did", _AGAIN),
    Code.TIMEOUT: Row(_LINK, "the other device took too long", _AGAIN),
    Code.TOO_FAR: Row(
        _LINK, "the other device is too far away for this amount", "hold the devices closer, or pay less"
    ),
    Code.TOO_LARGE: Row(_PEER, "a message is longer than this device takes", "sync the paying device, then tap again"),
    Code.MALFORMED: Row(_PEER, "bytes are not a message of this protocol", _AGAIN),
    Code.NOT_CANONICAL: Row(_PEER, "a message is not in its one canonical form", "update the other device"),
    Code.UNKNOWN_MESSAGE: Row(_PEER, "a message is of an unknown kind", "update one of the devices"),
    Code.UNEXPECTED_MESSAGE: Row(_PEER, "a message came at the wrong moment", _AGAIN),
    Code.ENDED: Row(_ME, "the tap has ended", "start another"),
    Code.WRONG_SCHEME: Row(_PEER, "the other device is of another scheme", "use a device of this scheme"),
    Code.WRONG_VERSION: Row(_PEER, "no protocol version in common", "update one of the devices"),
    Code.WRONG_ROLE: Row(_PEER, "both devices want to pay, or both to collect", "let one charge and the other pay"),
    Code.BAD_KEY: Row(_PEER, "a public key is invalid, reflected or of another suite", _AGAIN),
    Code.BAD_SEAL: Row(_PEER, "a sealed message was altered, replayed or reordered", _AGAIN),
    Code.UNKNOWN_ISSUER: Row(_PEER, "no trusted authority is known for a certificate or token", "sync, then tap again"),
    Code.BAD_SIGNATURE: Row(_PEER, "a signature does not verify", "do not accept this device"),
    Code.WRONG_CERTIFICATE: Row(_PEER, "a certificate does not allow this", "use another device"),
    Code.CERTIFICATE_EXPIRED: Row(_PEER, "a certificate has expired", "sync that device"),
    Code.HOTLISTED: Row(_PEER, "a key in this payment's history is on the hotlist", "do not accept this device"),
    Code.EPOCH_AHEAD: Row(_PEER, "a statement is dated further ahead than can be checked here", "sync this device"),
    Code.EPOCH_BACKWARDS: Row(_PEER, "dates run backwards along a payment's history", "do not accept this device"),
    Code.FROZEN: Row(_ME, "this wallet is frozen by its owner or issuer", "have it unfrozen by who froze it"),
    Code.NOT_BOUND: Row(_ME, "the wallet is not bound to this owner", "bind it first"),
    Code.BOUND: Row(
        _ME, "the wallet is bound: it has an owner, or owns one", "have it unbound by owner or issuer first"
    ),
    Code.REPLAYED_REQUEST: Row(_PEER, "a request or transfer belongs to another session", "start another tap"),
    Code.SELF_PAYMENT: Row(_ME, "payer and payee are the same wallet", "use two wallets"),
    Code.ZERO_AMOUNT: Row(_PEER, "an amount is zero", "enter an amount"),
    Code.WRONG_CURRENCY: Row(_PEER, "the currencies differ", "use a wallet of that currency"),
    Code.OVER_LIMIT: Row(_ME, "a limit of this wallet's tier is exceeded", "pay less, or sync this device"),
    Code.UNKNOWN_REQUEST: Row(_ME, "a payment answers a request that this device never made", "sync both devices"),
    Code.BASKET_PAID: Row(_ME, "this basket has been paid", "start another basket"),
    Code.BASKET_WAITS: Row(_ME, "this basket was tried too often", "cancel it, then charge again"),
    Code.NOT_A_REFUND: Row(_ME, "this refund does not match a received payment", "name a receipt of this wallet"),
    Code.UNVERIFIED: Row(_ME, "the user was not verified as this payment needs it", "pay with the PIN, or set one"),
    Code.NOT_OWNER: Row(_PEER, "the signer does not own what it spends", "do not accept this device"),
    Code.SPANS_OVERLAP: Row(_PEER, "a transfer spends a unit twice", "do not accept this device"),
    Code.SPAN_OUTSIDE: Row(_PEER, "a span lies outside what its parent gave", "do not accept this device"),
    Code.WRONG_AMOUNT: Row(_PEER, "the spans do not add up to the amount asked", _AGAIN),
    Code.TOKEN_EXPIRED: Row(_PEER, "the value can no longer be spent offline", "sync the paying device"),
    Code.UNKNOWN_CONDITION: Row(
        _PEER, "the value carries a condition that is not understood here", "pay with other value"
    ),
    Code.TOO_MANY_HOPS: Row(_PEER, "the value changed hands too often since its last sync", "sync the paying device"),
    Code.TOO_MANY_WARRANTS: Row(
        _PEER, "the value was restored too often since its last sync", "sync the paying device"
    ),
    Code.BROKEN_PROVENANCE: Row(_PEER, "the value's history is incomplete or altered", "do not accept this device"),
    Code.DOUBLE_SPENT: Row(_PEER, "this device already saw the same value spent otherwise", "sync to report it"),
    Code.TAPE_FORKED: Row(_PEER, "this device already saw another statement at the same counter", "sync to report it"),
    Code.CONDITION_UNMET: Row(_PEER, "a condition of the value is not met", "pay with other value"),
    Code.INSUFFICIENT: Row(_ME, "the balance does not cover the amount", "recharge, or pay less"),
    Code.DECLINED: Row(_ME, "the person declined", "ask again"),
    Code.STORE_FULL: Row(
        _ME, "the store has no room for a payment and its outcome", "sync this device; if it stays full, change its key"
    ),
    Code.STORE_FAILED: Row(_ME, "the store could not be written", "replace this device's storage"),
    Code.QUARANTINED: Row(_ME, "the store is older than its keystore", "sync this device: it cannot pay"),
    Code.KEYSTORE_REFUSED: Row(_ME, "the keystore refused to sign", "reopen this wallet"),
    Code.IN_USE: Row(_ME, "another process has this open", "wait until it ends"),
    Code.PIN_WRONG: Row(_ME, "the PIN is wrong", "enter the right one"),
    Code.PIN_BLOCKED: Row(_ME, "the PIN is blocked", "unblock it with the issuer's code"),
    Code.RETIRED: Row(_ME, "this key was rotated out: it signs nothing new", "use the device's present key"),
    Code.NOT_EVIDENCE: Row(_PEER, "the statements prove nothing", "keep the device's history and sync"),
    Code.LEDGER_CORRUPT: Row(_SCHEME, "the ledger's rows contradict its statements", "restore the ledger"),
    Code.ISSUER_UNREACHABLE: Row(_SCHEME, "the issuer cannot be reached", "sync later; nothing is lost"),
    Code.BAD_INPUT: Row(_ME, "the input cannot be used", "correct it and try again"),
    Code.QUOTA_USED: Row(
        _SCHEME, "the bank has certified as many wallets as it may", "have its institution certify it for more"
    ),
    Code.NOT_ATTESTED: Row(_ME, "the maker of this wallet's chip must attest it", "bring its maker's word"),
}

PRECEDENCE: tuple[Code, ...] = tuple(TABLE)


class TapError(Exception):
    """A named refusal. ``code`` is a :class:`Code`, or a bare ``int`` of a newer peer's; ``detail`` never
    holds a secret.
    """

    def __init__(self, code: Code | int, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        """Return the meaning, the detail and the remedy in one line."""
        if not isinstance(self.code, Code):
            return f"error {self.code}, unknown to this version" + (f": {self.detail}" if self.detail else "")
        row = TABLE[self.code]
        detail = f" ({self.detail})" if self.detail else ""
        return f"{self.code.name}: {row.meaning}{detail}; {row.remedy}"


def decode_code(number: int) -> Code | int:
    """Return the :class:`Code` with this number, or the number itself if this version does not know it."""
    try:
        return Code(number)
    except ValueError:
        return number

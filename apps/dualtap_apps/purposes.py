"""Conditions as people write them (SPEC §5.6), for ``wallet fund --conditions``.

:data:`FORMS` says how each is written. Several are separated by semicolons, and all of them must be met.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from dualtap import limits
from dualtap.conditions import NOT_ISSUED, Rule, check_issuable
from dualtap.errors import Code, TapError
from dualtap.issued import Condition
from dualtap.suite import DIGEST, Suite
from dualtap_apps.dates import parse_day
from dualtap_apps.money import parse
from dualtap_devices.disk import opened

FORMS = {
    "payee": "payee=KEY or payee=KEY,KEY: public keys in hexadecimal digits, or wallets' folders",
    "category": "category=5411 or category=5411,5812: merchant codes of ISO 18245",
    "merchant": "merchant: any merchant, and no person",
    "cap": "cap=20.00: the most that one payment may take",
    "window": "window=2026-11-01..2026-12-31: the first and the last day",
    "preimage": "preimage=HEX: the SHA-256, 64 hexadecimal digits, of what the payer must show",
    "count": "count=3: the most payments that it is for; each takes one of its first units",
    "signed": "signed=KEY: the public key of the second signer, or its wallet's folder",
}
_RESERVED = {"place": 9, "quota": 10, "refund": 11}


def parse_conditions(texts: Iterable[str], suite: Suite, currency: str) -> tuple[Condition, ...]:
    """Return the conditions; raise ``BAD_INPUT``, or ``UNKNOWN_CONDITION`` for what no device can decide."""
    words = [word.strip() for text in texts for word in text.split(";")]
    found = tuple(_condition(word, suite, currency) for word in words if word)
    if not found and words:
        raise TapError(Code.BAD_INPUT, f"no condition in {words[0]!r}; write some of: " + "; ".join(FORMS.values()))
    check_issuable(suite, found)
    return found


def _condition(word: str, suite: Suite, currency: str) -> Condition:
    name, has_value, value = word.partition("=")
    name, value = name.strip().lower(), value.strip()
    if name in _RESERVED:
        raise TapError(Code.UNKNOWN_CONDITION, f"{name}: {NOT_ISSUED[_RESERVED[name]]}")
    if name not in FORMS:
        raise TapError(Code.BAD_INPUT, f"{name!r} is no condition; write some of: " + "; ".join(FORMS.values()))
    rule = Rule[name.upper()]
    if bool(has_value and value) == (rule is Rule.MERCHANT):
        raise TapError(Code.BAD_INPUT, f"write {FORMS[name]}")
    try:
        return Condition(int(rule), _value(rule, value, suite, currency))
    except TapError as error:
        raise TapError(error.code, f"{error.detail}; write {FORMS[name]}") from error


def _value(rule: Rule, value: str, suite: Suite, currency: str) -> bytes:
    match rule:
        case Rule.PAYEE:
            return b"".join(key_of(item, suite) for item in _items(value))
        case Rule.CATEGORY:
            return b"".join(category(item).to_bytes(2, "big") for item in _items(value))
        case Rule.MERCHANT:
            return b""
        case Rule.CAP:
            return parse(value, currency).to_bytes(8, "big")
        case Rule.WINDOW:
            return _window(value)
        case Rule.PREIMAGE:
            return _hex(value, DIGEST)
        case Rule.SIGNED:
            return key_of(value, suite)
        case Rule.COUNT:
            return _count(value)


def _count(value: str) -> bytes:
    if not re.fullmatch(r"[1-9][0-9]{0,8}", value, flags=re.ASCII):
        raise TapError(Code.BAD_INPUT, f"{value!r} is no number of payments")
    return int(value).to_bytes(4, "big")


def _items(value: str) -> list[str]:
    items = [item.strip() for item in value.split(",")]
    if len(items) > limits.LISTED:
        raise TapError(Code.BAD_INPUT, f"{len(items)} are listed, at most {limits.LISTED} can be")
    return items


def category(text: str) -> int:
    """Return a merchant code of ISO 18245, 1 to 9999; raise ``BAD_INPUT``."""
    if not re.fullmatch(r"[0-9]{1,4}", text, flags=re.ASCII) or not int(text):
        raise TapError(Code.BAD_INPUT, f"{text!r} is no merchant code of ISO 18245, such as 5411")
    return int(text)


def _window(value: str) -> bytes:
    first, dots, last = value.partition("..")
    if not dots:
        raise TapError(Code.BAD_INPUT, f"{value!r} is no window")
    start, end = parse_day(first), parse_day(last)
    if end < start:
        raise TapError(Code.BAD_INPUT, f"{last} is before {first}")
    return start.to_bytes(4, "big") + end.to_bytes(4, "big")


def _hex(text: str, size: int) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != size:
        raise TapError(Code.BAD_INPUT, f"{text!r} is not {2 * size} hexadecimal digits")
    return found


def key_of(text: str, suite: Suite) -> bytes:
    """Return a public key of its hexadecimal digits, or a wallet's of its folder; raise ``BAD_INPUT``, ``BAD_KEY``."""
    if (Path(text) / "wallet.json").is_file():
        with opened(Path(text)) as wallet:
            return wallet.book.key
    key = _hex(text, suite.public_size)
    suite.verifier(key)
    return key

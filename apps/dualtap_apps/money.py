"""Amounts as people write them, and as the protocol counts them: integers of minor units."""

from __future__ import annotations

import re

from dualtap import limits
from dualtap.errors import Code, TapError

_DIGITS = {"BHD": 3, "CLP": 0, "JPY": 0, "JOD": 3, "KRW": 0, "KWD": 3, "OMR": 3, "TND": 3, "VND": 0}
"""ISO 4217 currencies whose minor unit is not a hundredth, among those likely to be typed."""


def digits(currency: str) -> int:
    """Return the number of decimals of a currency."""
    return _DIGITS.get(currency, 2)


def parse(text: str, currency: str) -> int:
    """Return minor units; raise ``BAD_INPUT`` for anything but a positive amount with the right decimals."""
    places = digits(currency)
    found = re.fullmatch(r"([0-9]{1,16})(?:\.([0-9]+))?", text.strip(), flags=re.ASCII)
    if found is None or len(found[2] or "") > places:
        example = "12." + "5".ljust(places, "0") if places else "12"
        raise TapError(Code.BAD_INPUT, f"{text!r} is not an amount of {currency}; write it like {example}")
    amount = int(found[1]) * int(10**places) + int((found[2] or "").ljust(places, "0") or "0")
    if not 0 < amount <= limits.AMOUNT:
        raise TapError(Code.BAD_INPUT, f"{text!r} is zero or too large")
    return amount


def show(amount: int, currency: str) -> str:
    """Return an amount as people read it, such as ``12.50 CNY``."""
    places = digits(currency)
    whole, rest = divmod(amount, int(10**places))
    number = f"{whole}.{rest:0{places}d}" if places else str(whole)
    return f"{number} {currency}".rstrip()

"""Seeded bugs about the guarantee (SPEC §16-16 to §16-18): wrong lines that no life found before there were caps.

Add one by adding to :data:`PREMIUMS`.
"""

from __future__ import annotations

from typing import Final

from dualtap_issuer import guarantee
from dualtap_testing.slip import Slip

PREMIUMS: Final[dict[str, Slip]] = {
    "no cap per token": Slip(
        "the guarantee of one token has no end", guarantee.shares,
        "sum(lack.values()) <= ruling.caps.token", "True", seed=3,
    ),
    "cheats are made whole": Slip(
        "the guarantee pays who is named", guarantee.short, " and key not in named", ""
    ),
    "nobody is made whole": Slip(
        "the guarantee pays nobody", guarantee.shares, "paid.get(key, 0)", "0"
    ),
    "all or nothing": Slip(
        "where the guarantee does not reach for all, it pays nobody", guarantee.shares,
        "split(ruling.caps.token, lack)", "{}", seed=3,
    ),
}  # fmt: skip
"""By name."""

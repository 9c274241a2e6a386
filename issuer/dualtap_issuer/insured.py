"""Whom the guarantee makes whole, and up to what: what a scheme's people decided (SPEC §16-9, §16-16).

The caps are a setting of the ledger, which outlives the process that set it. Who is bound to a person follows from
certificates: whoever has one of a tier that carries an identity (SPEC §4.3-7).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Final, cast

from dualtap import codec, limits
from dualtap.codec import money, record
from dualtap.errors import Code, TapError
from dualtap.issued import WalletCertificate
from dualtap.statements import Scheme
from dualtap_issuer.facts import decode_fact
from dualtap_issuer.guarantee import Caps
from dualtap_issuer.store import Store

_SETTING: Final = "guarantee"
_caps: Final = record(Caps, money, money)


def caps_in(store: Store, otherwise: Caps) -> Caps:
    """Return the caps that were set, or ``otherwise``; raise ``LEDGER_CORRUPT``."""
    kept = store.setting(_SETTING)
    if kept is None:
        return otherwise
    try:
        return _caps(codec.unpack(kept))
    except TapError as error:
        raise TapError(Code.LEDGER_CORRUPT, "the setting 'guarantee'") from error


def set_caps(store: Store, caps: Caps) -> None:
    """Set the caps of all settlements from now on; raise ``BAD_INPUT`` for a cap that is no amount."""
    if not all(0 <= cap <= limits.AMOUNT for cap in caps):
        raise TapError(Code.BAD_INPUT, f"a cap is an amount of 0 to {limits.AMOUNT} minor units")
    with store.transaction():
        store.put_setting(_SETTING, codec.pack(tuple(caps)))


class Certified:
    """The registry of persons that certificates make."""

    def __init__(self, store: Store, scheme: Scheme, anonymous: Collection[int]) -> None:
        """``anonymous`` are the numbers of the tiers whose holders nobody knows."""
        self._store, self._scheme, self._anonymous = store, scheme, frozenset(anonymous)

    def bound(self, keys: Collection[bytes]) -> Collection[bytes]:
        """Return those of these keys that have a certificate of a tier that carries an identity."""
        rows = self._store.certificates(keys)
        tiers: dict[bytes, set[int]] = defaultdict(set)
        for fact, _ in self._store.find(row.certificate for row in rows):
            certificate = cast("WalletCertificate", decode_fact(self._scheme, fact))
            tiers[certificate.key].add(certificate.tier)
        return {key for key, found in tiers.items() if not found <= self._anonymous}

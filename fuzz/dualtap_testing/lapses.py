"""Seeded bugs about authorities that end and are renewed (SPEC §7): wrong lines that no life found before they did.

Add one by adding to :data:`LAPSES`.
"""

# What is broken is broken from inside:
# pyright: reportPrivateUsage=false

from __future__ import annotations

from typing import Final

from dualtap.account import Account
from dualtap.context import Context
from dualtap.trust import Trust
from dualtap_issuer.policies import Policies
from dualtap_issuer.roll import Roll
from dualtap_testing.slip import Slip

LAPSES: Final[dict[str, Slip]] = {
    "authorities never end": Slip(
        "an authority certifies on after its own certificate has ended", Trust.authority,
        "if epoch > found.expires:", "if False:",
    ),
    "above a bank, nobody ends": Slip(
        "a bank certifies on after its institution's certificate has ended", Trust.authority,
        "self.authority(found.issuer, _INSTITUTION, epoch)", "self.authority(found.issuer, _INSTITUTION, 0)",
    ),
    "dated by the old date": Slip(
        "a header is taken by a policy key whose certificate had ended by then", Trust.adopt,
        "self._verify_by_policy_key(header, header.epoch)", "self._verify_by_policy_key(header, self.epoch)",
    ),
    "an older certificate": Slip(
        "an older certificate of an authority takes the place of a later one", Trust.learn,
        "known.key == certificate.key and _stands(known, certificate)", "known == certificate",
    ),
    "renewed and not believed": Slip(
        "a later certificate of an authority that is known is not taken", Trust.learn,
        " and _stands(known, certificate)", "",
    ),
    "does not ask": Slip(
        "a device asks for authorities only where one is missing", Account.asks,
        "self.trust.asks(self.certificate.issuer, epoch)", "self.trust.lacks_authorities",
    ),
    "asks by its date": Slip(
        "a device does not ask for what has ended by its clock", Context.want,
        "self.book.asks(self.epoch)", "self.book.asks(self.book.trust.epoch)",
    ),
    "who dates is not sent": Slip(
        "a date goes without the certificate of whoever signed it", Trust.chain,
        "issuers.append(header.issuer)", "pass",
    ),
    "a date too late": Slip(
        "an issuer hands out dates after its policy key's certificate has ended", Policies.header,
        "min(epoch, self.last())", "epoch",
    ),
    "renewals are not read": Slip(
        "a ledger knows an authority by its first certificate", Roll.refresh,
        "if len(digests) == self._read:", "if self._read:",
    ),
}  # fmt: skip
"""By name."""

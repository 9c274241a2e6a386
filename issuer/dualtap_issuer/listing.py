"""Who signs in a scheme, as people and programs are told."""

from __future__ import annotations

from dualtap.issued import Authority
from dualtap_issuer.audit import wallet_id
from dualtap_issuer.ledger import Ledger
from dualtap_issuer.makers import PARTY
from dualtap_issuer.netting import Claim, Netting

INSTITUTION, BANK = "institution", "bank"
"""What an institution and a bank are among the scheme's parties."""


def listed(ledger: Ledger) -> dict[str, list[dict[str, object]]]:
    """Return the institutions, banks and makers that a ledger knows, in the order in which they joined."""
    names = {key: name for what in (INSTITUTION, BANK) for name, key in ledger.store.parties(what).items()}
    found: dict[str, list[dict[str, object]]] = {"institutions": [], "banks": [], "makers": []}
    for one in sorted(ledger.trust.authorities, key=lambda one: (one.number, one.key)):
        row: dict[str, object] = {
            "name": names.get(one.key, ""), "number": one.number, "key": one.key.hex(), "id": wallet_id(one.key),
            "expires": one.expires,
        }  # fmt: skip
        if one.authority is Authority.INSTITUTION:
            found["institutions"].append(row)
        elif one.authority is Authority.BANK:
            above = ledger.trust.issuer_key(one.issuer)
            used = ledger.store.ordinals(one.key)
            found["banks"].append({**row, "institution": names.get(above, ""), "quota": one.quota, "used": used})
    for name, key in ledger.store.parties(PARTY).items():
        found["makers"].append({"name": name, "key": key.hex(), "id": wallet_id(key)})
    return found


def net_fields(found: Netting, names: dict[bytes, str]) -> dict[str, object]:
    """Return net positions as fields: institutions by name and in their order, amounts in minor units."""

    def claims(of: tuple[Claim, ...]) -> list[tuple[str | int, ...]]:
        return sorted((one.currency, called(one.creditor, names), called(one.debtor, names), *one.sum) for one in of)

    told = ("currency", "creditor", "debtor", "at_risk", "final")
    positions = sorted((one.currency, called(one.institution, names), *one.sum) for one in found.positions)
    return {
        "claims": [dict(zip(told, row, strict=True)) for row in claims(found.claims)],
        "pairs": [dict(zip(told, row, strict=True)) for row in claims(found.pairs)],
        "positions": [
            dict(zip(("currency", "institution", "at_risk", "final"), row, strict=True)) for row in positions
        ],
    }


def called(key: bytes, names: dict[bytes, str]) -> str:
    """Return the name of an institution, or what its key is known by."""
    return names.get(key) or wallet_id(key)

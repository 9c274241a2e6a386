"""``scheme audit`` and ``evidence verify``: count every unit, name who spent twice, and check a proof alone."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import cast

from dualtap.errors import Code, TapError
from dualtap.evidence import BYTES
from dualtap.suite import SUITES, sha256
from dualtap.verdict import verify_evidence
from dualtap_apps.exits import Exit
from dualtap_apps.money import show
from dualtap_apps.output import emit, wallet_id
from dualtap_apps.schemes import Office, read_scheme, today
from dualtap_devices.disk import opened
from dualtap_issuer.audit import account, take_store
from dualtap_issuer.listing import BANK
from dualtap_issuer.rules import World


@dataclass(frozen=True, slots=True)
class AuditFields:
    """What an audit found, in minor units. The fields from ``held`` on are known only with the wallets' stores.

    ``unproved`` is what the stores together show spent twice, and the ledger cannot prove before somebody syncs.
    """

    issued: int
    settled: int
    at_risk: int
    outstanding: int
    overspend: int
    conflicts: list[dict[str, object]]
    banks: list[dict[str, object]]
    held: int = 0
    in_doubt: int = 0
    unproved: int = 0
    accounted: bool | None = None

    def as_dict(self) -> dict[str, object]:
        """Return the fields, without those that are not known."""
        fields: dict[str, object] = asdict(self)
        if self.accounted is None:
            for name in ("held", "in_doubt", "unproved", "accounted"):
                del fields[name]
        return fields


def audit_fields(folder: Path, wallets: Sequence[Path]) -> AuditFields:
    """Audit a ledger, write the evidence files, and count the stores of these wallets. Raises ``LEDGER_CORRUPT``."""
    with Office.open(folder) as office, ExitStack() as stack:
        ledger = office.ledger
        audit = ledger.audit()
        conflicts: list[dict[str, object]] = [
            {
                "wallet_id": named.wallet_id,
                "kind": named.kind,
                "evidence": str(_write(folder, named.evidence)),
                "line": list(named.line),
            }
            for named in audit.conflicts
        ]
        names = {key: name for name, key in ledger.store.parties(BANK).items()}
        banks: list[dict[str, object]] = [
            {"bank": names.get(fault.bank) or wallet_id(fault.bank), "fault": fault.overstep.value,
             "ordinal": fault.ordinal, "certificates": [digest.hex() for digest in fault.certificates]}
            for fault in audit.banks
        ]  # fmt: skip
        fields = AuditFields(
            audit.issued, audit.settled, audit.at_risk, audit.outstanding, audit.overspend, conflicts, banks
        )
        if not wallets:
            return fields
        everything = ledger.facts()
        for path in dict.fromkeys(path.resolve() for path in wallets):
            wallet = stack.enter_context(opened(path))
            if wallet.book.scheme.id != ledger.scheme.id:
                raise TapError(Code.WRONG_SCHEME, f"{path} belongs to another scheme")
            for one in (wallet, *wallet.retired):
                take_store(everything, ledger.trust, one.book, today())
        count = account(
            ledger.world(),
            ledger.store.marks(),
            ledger.store.settled(),
            World(everything, ledger.institutions, ledger.trust),
            audit.currency,
        )
        accounted = count.issued + count.overspend == count.held + count.in_doubt + count.settled
        return replace(fields, held=count.held, in_doubt=count.in_doubt, unproved=count.unseen, accounted=accounted)


def _write(folder: Path, evidence: bytes) -> Path:
    """Write evidence under its digest, and return its path. The same evidence is one file."""
    place = folder / "evidence"
    place.mkdir(exist_ok=True)
    path = place / f"{sha256(evidence)[:16].hex()}.evidence"
    path.write_bytes(evidence)
    return path


def audit(folder: Path, wallets: Sequence[Path], as_json: bool) -> Exit:
    """Print an audit; exit code 4 if anybody is named."""
    scheme = read_scheme(folder)
    currency = scheme.currency
    found = audit_fields(folder, wallets)
    lines = [
        f"issued      {show(found.issued, currency)}",
        f"settled     {show(found.settled, currency)} (at risk {show(found.at_risk, currency)})",
        f"outstanding {show(found.outstanding, currency)}",
        f"overspend   {show(found.overspend, currency)}",
    ]
    if found.accounted is not None:
        lines.append(f"held        {show(found.held, currency)}; in doubt {show(found.in_doubt, currency)}")
        if found.accounted:
            lines.append("every unit is accounted for")
        elif found.unproved:
            lines.append(f"{show(found.unproved, currency)} are spent twice, not yet proved: somebody has to sync")
        else:
            lines.append("NOT every unit is accounted for: a wallet is not listed, or has not synced")
    for item in found.conflicts:
        lines.append(f"named: wallet {item['wallet_id']} ({item['kind']}); check it yourself:")
        line = cast("list[str]", item["line"])
        if len(line) > 1:
            lines.append(f"  its keys, the oldest first: {', '.join(line)}")
        file = shlex.quote(str(item["evidence"]))
        lines.append(f"  dualtap evidence verify {file} --root {scheme.suite}:{scheme.root}")
    for fault in found.banks:
        lines.append(f"bank {fault['bank']} gave ordinal {fault['ordinal']} against the rules: {fault['fault']}")
    if not found.conflicts:
        lines.append("nobody is named")
    emit(as_json, found.as_dict(), *lines)
    return Exit.DOUBLE_SPEND if found.conflicts else Exit.OK


_NOT_BYTES = frozenset({Code.MALFORMED, Code.NOT_CANONICAL, Code.TOO_LARGE, Code.UNKNOWN_MESSAGE})


def verify(file: Path, root: str, as_json: bool) -> Exit:
    """Verify a file of evidence with nothing but the root key."""
    key = root_key(root)
    try:
        with file.open("rb") as opened:
            data = opened.read(BYTES + 1)  # more is no evidence, whatever follows
    except OSError as error:
        raise TapError(Code.BAD_INPUT, f"{file} cannot be read") from error
    try:
        verdict = verify_evidence(data, key)
    except TapError as error:
        if error.code in _NOT_BYTES:
            raise TapError(Code.NOT_EVIDENCE, f"{file} is no file of evidence") from error
        raise
    kind = verdict.fraud.name.lower()
    named = wallet_id(verdict.key)
    emit(
        as_json,
        {"wallet_id": named, "kind": kind, "key": verdict.key.hex()},
        f"This proves that wallet {named} cheated: {kind}",
    )
    return Exit.OK


def root_key(text: str) -> bytes:
    """Return the key in ``p256:02ab…``; raise ``BAD_INPUT`` for anything that is no root key."""
    name, _, digits = text.rpartition(":")
    suites = [suite for suite in SUITES.values() if name in {"", suite.name}]
    try:
        key = bytes.fromhex(digits)
        for suite in suites:
            if len(key) == suite.public_size:
                suite.verifier(key)
                return key
    except (ValueError, TapError):
        pass
    raise TapError(Code.BAD_INPUT, "a root key is written like p256:02ab…, as `dualtap scheme new` prints it")

"""``scheme institution|bank|maker add`` and ``scheme show``: who signs in a scheme."""

from __future__ import annotations

import secrets
import shlex
from pathlib import Path

from dualtap.errors import Code, TapError
from dualtap.forms import signed
from dualtap.issued import Authority
from dualtap.statements import Present, PresentBody, Scheme
from dualtap.suite import SUITES
from dualtap_apps.dates import day
from dualtap_apps.exits import Exit
from dualtap_apps.keyring import MAKER, Key, Keyring, check_name
from dualtap_apps.output import emit
from dualtap_apps.schemes import Office, read_scheme, today
from dualtap_issuer import makers
from dualtap_issuer.authority import check_possession
from dualtap_issuer.ledger import Ledger
from dualtap_issuer.listing import BANK, INSTITUTION, listed
from dualtap_issuer.register import Register


def _proved(scheme: Scheme, key: Key) -> bytes:
    """Return a new key, which has answered a challenge (SPEC §3-15)."""
    signer, challenge = key.signer, secrets.token_bytes(32)
    blank = signed(scheme.id, signer.public, PresentBody(challenge, True, today()))
    proof: Present = blank.sealed(signer.sign(blank.id))
    check_possession(scheme, proof, challenge)
    return signer.public


def _fresh(suite: str) -> Key:
    return Key(suite, secrets.token_bytes(32))


def _next(ledger: Ledger, what: Authority) -> int:
    return 1 + max((one.number for one in ledger.trust.authorities if one.authority is what), default=0)


def add_institution(folder: Path, name: str, db: str, as_json: bool) -> Exit:
    """Make an institution's key, have the root certify it, and let it join."""
    check_name(name)
    card, keyring = read_scheme(folder), Keyring(folder)
    with Office.open(folder, db) as office:
        ledger, root = office.ledger, keyring.root()
        key = _fresh(card.suite)
        public = _proved(ledger.scheme, key)
        number = _next(ledger, Authority.INSTITUTION)
        certificate = root.certify(public, Authority.INSTITUTION, number, card.expires)
        keyring.write(INSTITUTION, name, Key(card.suite, key.secret, certificate))
        _join(office, name, INSTITUTION, keyring)
    emit(
        as_json,
        {"institution": name, "number": number, "key": public.hex(), "file": str(keyring.path(INSTITUTION, name))},
        f"{name} is institution {number}; its key is in {keyring.path(INSTITUTION, name)}",
        f"Next: dualtap scheme bank add {shlex.quote(str(folder))} NAME --institution {name} --quota 1000",
    )
    return Exit.OK


def add_bank(
    folder: Path, name: str, institution: str, quota: int, db: str, as_json: bool, register: bool = False
) -> Exit:
    """Make a bank's key and have its institution certify it, or certify a bank that is here anew, for another quota."""
    check_name(name)
    card, keyring = read_scheme(folder), Keyring(folder)
    if register and keyring.has(BANK, name):
        raise TapError(Code.BAD_INPUT, f"{name} counts already; a bank has one place to count in")
    known = keyring.read(BANK, name) if keyring.has(BANK, name) else None
    with Office.open(folder, db, institution) as office:
        ledger = office.ledger
        signer = ledger.authority.office
        key = known or _fresh(card.suite)
        public, expires, number = _proved(ledger.scheme, key), card.expires, _next(ledger, Authority.BANK)
        if known is not None:
            if known.certified.issuer != signer.certificate.hint:
                raise TapError(Code.BAD_INPUT, f"{name} is a bank of another institution")
            # Only a certificate that expires later replaces one (SPEC §7-8).
            expires, number = known.certified.expires + 1, known.certified.number
        certificate = signer.certify_bank(public, number, quota, expires)
        if register and known is None:
            keyring.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            Register.create(keyring.register_path(name))
        keyring.write(BANK, name, Key(card.suite, key.secret, certificate), new=known is None)
        _join(office, name, BANK, keyring)
        own = keyring.register(name)
        used = own.count(len(public)) if own else ledger.store.ordinals(public)
    emit(
        as_json,
        {"bank": name, "number": number, "key": public.hex(), "quota": quota, "used": used,
         "file": str(keyring.path(BANK, name))},
        f"{name} is bank {number}, and may certify {quota} wallets; it has certified {used}",
        f"Next: dualtap wallet new anna --scheme {shlex.quote(str(folder))} --bank {name} --carrier watch --name Anna",
    )  # fmt: skip
    return Exit.OK


def _join(office: Office, name: str, what: str, keyring: Keyring) -> None:
    certificate = keyring.read(what, name).certified
    office.ledger.admit((certificate,), today())
    with office.ledger.store.transaction():
        office.ledger.store.put_party(name, what, certificate.key)


def add_maker(folder: Path, name: str, key: str, db: str, as_json: bool) -> Exit:
    """Register a maker's key, or make one here."""
    check_name(name)
    card, keyring = read_scheme(folder), Keyring(folder)
    with Office.open(folder, db) as office:
        if key:
            public = _public(card.suite, key)
        else:
            fresh = _fresh(card.suite)
            public = _proved(office.ledger.scheme, fresh)
            keyring.write(MAKER, name, fresh)
        makers.register(office.ledger.scheme, office.ledger.store, name, public)
    emit(
        as_json,
        {"maker": name, "key": public.hex()},
        f"{name} is registered: its word for a chip counts",
        f"Next: dualtap scheme policy set {shlex.quote(str(folder))} --attested card,watch",
    )
    return Exit.OK


def _public(suite: str, text: str) -> bytes:
    try:
        key = bytes.fromhex(text)
    except ValueError as error:
        raise TapError(Code.BAD_INPUT, f"{text!r} is no public key in hexadecimal digits") from error
    try:
        SUITES[suite].verifier(key)
    except TapError as error:
        raise TapError(Code.BAD_INPUT, f"{text!r} is no public key of suite {suite}") from error
    return key


def show(folder: Path, db: str, as_json: bool) -> Exit:
    """Show who signs in a scheme, and what they may."""
    with Office.open(folder, db) as office:
        ledger = office.ledger
        rows = listed(ledger)
        for row in rows["banks"]:
            own = Keyring(folder).register(str(row["name"]))
            if own is not None:
                row["used"] = own.count(ledger.scheme.suite.public_size)
        policy, header = ledger.policy, ledger.policies.kept(today())
        demanded = sorted(carrier.name.lower() for carrier in makers.demanded(ledger.store))
    fields = {
        **rows, "policy": policy.version, "hotlist": len(policy.hotlist), "attested": demanded,
        "dated": header.epoch if header else None, "root": ledger.scheme.root.hex(),
    }  # fmt: skip
    lines = [f"institution {row['name']}: number {row['number']}, key {row['id']}" for row in rows["institutions"]]
    lines += [
        f"bank {row['name']} of {row['institution']}: {row['used']} of {row['quota']} wallets certified"
        for row in rows["banks"]
    ]
    lines += [f"maker {row['name']}: key {row['id']}" for row in rows["makers"]]
    lines += [f"policy {policy.version}, {len(policy.hotlist)} keys on the hotlist"]
    lines += [f"last date signed for everybody: {day(header.epoch)}" if header else "no date signed for everybody yet"]
    emit(as_json, fields, *lines)
    return Exit.OK

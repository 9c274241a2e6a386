"""The keys of a scheme in its folder, a file each, so that any may be moved to a host of its own.

``root.json``, ``policy.json``, ``institution-NAME.json``, ``bank-NAME.json`` and ``maker-NAME.json`` in ``keys/``
hold a secret each and, but for the root and makers, its certificate. For trials: a bank keeps them in hardware.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from dualtap import codec, forms
from dualtap.errors import Code, TapError
from dualtap.forms import plain
from dualtap.issued import Authority, AuthorityCertificate
from dualtap.logcodec import BYTES, ITEMS
from dualtap.statements import Scheme
from dualtap.suite import SUITES, Signer
from dualtap_devices.durable import write_durably
from dualtap_devices.small import parsed
from dualtap_issuer.authority import Bank, Institution, Ordinals, PolicyKey, Root
from dualtap_issuer.listing import BANK, INSTITUTION
from dualtap_issuer.makers import PARTY
from dualtap_issuer.register import Register

FIRST = "first"
"""The name of the institution and of the bank with which a scheme begins."""
MAKER = PARTY
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a scheme: its suite, its secret, and its certificate, if it has one."""

    suite: str
    secret: bytes = field(repr=False)
    certificate: AuthorityCertificate | None = None

    @property
    def signer(self) -> Signer:
        """What signs with it."""
        return SUITES[self.suite].signer(self.secret)

    @property
    def certified(self) -> AuthorityCertificate:
        """Its certificate; raise ``BAD_INPUT`` where there is none."""
        if self.certificate is None:
            raise TapError(Code.BAD_INPUT, "this key's file holds no certificate")
        return self.certificate


class Keyring:
    """The key files of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "keys"

    def path(self, what: str, name: str = "") -> Path:
        """Return where a key is, or would be."""
        return self.folder / (f"{what}-{name}.json" if name else f"{what}.json")

    def has(self, what: str, name: str = "") -> bool:
        """Return whether a key is here."""
        return self.path(what, name).is_file()

    def names(self, what: str) -> list[str]:
        """Return the names of the institutions, banks or makers whose keys are here, the first to join first."""
        found = [path.stem.partition("-")[2] for path in sorted(self.folder.glob(f"{what}-*.json"))]
        return sorted(found, key=lambda name: (self._number(what, name), name))

    def _number(self, what: str, name: str) -> int:
        certificate = self.read(what, name).certificate
        return certificate.number if certificate else 0

    def read(self, what: str, name: str = "") -> Key:
        """Return a key; raise ``BAD_INPUT`` where it is not here, saying which are."""
        path = self.path(what, name)
        try:
            fields = cast("dict[str, str]", parsed(path))
            suite, secret = fields["suite"], bytes.fromhex(fields["secret"])
            body = bytes.fromhex(fields["certificate"])
            raw = codec.unpack(body, BYTES, ITEMS) if body else None
            certificate = None if raw is None else forms.issued_check(AuthorityCertificate)(raw)
            SUITES[suite].signer(secret)
        except FileNotFoundError:
            known = ", ".join(self.names(what)) if name else ""
            here = f"; here are {known}" if known else ""
            raise TapError(Code.BAD_INPUT, f"the key of {what} {name}".rstrip() + f" is not in {path}{here}") from None
        except (OSError, ValueError, KeyError, TypeError, TapError) as error:
            raise TapError(Code.BAD_INPUT, f"{path} is damaged, or cannot be read") from error
        return Key(suite, secret, certificate)

    def write(self, what: str, name: str, key: Key, *, new: bool = True) -> None:
        """Keep a key, for its owner's eyes only; raise ``BAD_INPUT`` if a ``new`` one is there already."""
        path, body = self.path(what, name), b""
        if key.certificate is not None:
            body = codec.pack(plain(key.certificate))
        text = json.dumps({"suite": key.suite, "secret": key.secret.hex(), "certificate": body.hex()}, indent=2)
        if new and path.exists():
            raise TapError(Code.BAD_INPUT, f"{path} exists: choose another name")
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(path, text + "\n", 0o600)

    # What signs with them

    def root(self) -> Root:
        """Return the root key; raise ``BAD_INPUT`` where it is not here: then certify where it is."""
        key = self.read("root")
        return Root(SUITES[key.suite], key.secret)

    def policy_key(self, scheme: Scheme) -> PolicyKey | None:
        """Return the policy key, if it is here."""
        if not self.has("policy"):
            return None
        key = self.read("policy")
        return PolicyKey(scheme, key.secret, key.certified)

    def institution(self, scheme: Scheme, name: str) -> Institution:
        """Return an institution's key; raise ``BAD_INPUT``."""
        key = self.read(INSTITUTION, name)
        return Institution(scheme, key.secret, key.certified)

    def bank(self, scheme: Scheme, name: str, ordinals: Ordinals) -> Bank:
        """Return a bank's key, which counts in its own register if it has one; raise ``BAD_INPUT``."""
        key = self.read(BANK, name)
        return Bank(scheme, key.secret, key.certified, self.register(name) or ordinals)

    def register_path(self, name: str) -> Path:
        """Return where a bank's own register is, or would be."""
        return self.path(BANK, name).with_suffix(".ordinals")

    def register(self, name: str) -> Register | None:
        """Return a bank's own register, if it has one."""
        path = self.register_path(name)
        return Register(path) if path.exists() else None

    def banks_of(self, institution: AuthorityCertificate) -> list[str]:
        """Return the names of an institution's banks whose keys are here."""
        return [name for name in self.names(BANK) if self.read(BANK, name).certified.issuer == institution.hint]

    def institution_of(self, hint: bytes) -> str:
        """Return the name of the institution that an authority here (its hint) is, or is a bank of; empty for none."""
        for name in self.names(BANK):
            certificate = self.read(BANK, name).certified
            if certificate.hint == hint:
                hint = certificate.issuer
                break
        for name in self.names(INSTITUTION):
            if self.read(INSTITUTION, name).certified.hint == hint:
                return name
        return ""


def check_name(name: str) -> str:
    """Return a name that is fit for a file; raise ``BAD_INPUT``."""
    if not _NAME.fullmatch(name):
        raise TapError(Code.BAD_INPUT, f"{name!r} is no name: take small letters, digits, - and _, at most 32")
    return name


def found(keyring: Keyring, suite: str, secrets: tuple[bytes, bytes, bytes, bytes], expires: int, quota: int) -> Scheme:
    """Make the keys of a new scheme: root, policy key, one institution and its bank, from these secrets."""
    root = Root(SUITES[suite], secrets[0])
    policy, institution, bank = (SUITES[suite].signer(secret).public for secret in secrets[1:])
    keyring.write("root", "", Key(suite, secrets[0]))
    keyring.write("policy", "", Key(suite, secrets[1], root.certify(policy, Authority.POLICY, 0, expires)))
    office = Key(suite, secrets[2], root.certify(institution, Authority.INSTITUTION, 1, expires))
    keyring.write(INSTITUTION, FIRST, office)
    certificate = keyring.institution(root.scheme, FIRST).certify_bank(bank, 1, quota, expires)
    keyring.write(BANK, FIRST, Key(suite, secrets[3], certificate))
    return root.scheme

"""What a device is given before it is tested: a key, a certificate, the scheme's news, and tokens.

The same object stands in the vectors, and in the file by which a device under test is made ready
(protocol/vectors/README.md). Private keys in it are published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar, cast

from dualtap import limits
from dualtap.codec import pack, unpack
from dualtap.errors import Code, TapError
from dualtap.forms import issued_check, plain
from dualtap.issued import AuthorityCertificate, Header, Issued, Policy, Token, WalletCertificate
from dualtap.limits import Profile
from dualtap.records import Funded, News
from dualtap.statements import Scheme
from dualtap.suite import SUITES, Suite
from dualtap_conform.stage import Stage, secret_of
from dualtap_devices.keystore import MemoryKeystore
from dualtap_devices.slots import MemoryStore
from dualtap_devices.wallet import Wallet

Json: TypeAlias = "bool | int | str | list[Json] | dict[str, Json] | None"
Object: TypeAlias = dict[str, Json]
I = TypeVar("I", bound=Issued)


def whole(issued: Issued) -> str:
    """Return a token, certificate, header or policy in its whole form, in hexadecimal."""
    return pack(plain(issued)).hex()


def unhex(value: Json) -> bytes:
    """Return the bytes of a string of hexadecimal digits; raise ``BAD_INPUT``."""
    try:
        return bytes.fromhex(cast("str", value))
    except (TypeError, ValueError):
        raise TapError(Code.BAD_INPUT, "not hexadecimal digits") from None


def read_whole(kind: type[I], value: Json) -> I:
    """Return what :func:`whole` wrote."""
    return issued_check(kind)(unpack(unhex(value)))


@dataclass(frozen=True, slots=True)
class Setup:
    """A device as it leaves personalisation. ``private`` is its private key, as any library takes it."""

    suite: Suite
    root: bytes
    private: bytes
    certificate: WalletCertificate
    authorities: tuple[AuthorityCertificate, ...]
    header: Header
    policy: Policy
    tokens: tuple[Token, ...] = ()
    profile: Profile = limits.FULL

    @property
    def scheme(self) -> Scheme:
        """The scheme of the root key."""
        return Scheme.of(self.suite, self.root)

    def to_json(self) -> Object:
        """Return the object that stands in a vector or a file."""
        profile = self.profile
        return {
            "suite": self.suite.name,
            "root": self.root.hex(),
            "private": self.private.hex(),
            "certificate": whole(self.certificate),
            "authorities": [whole(item) for item in self.authorities],
            "header": whole(self.header),
            "policy": whole(self.policy),
            "tokens": [whole(item) for item in self.tokens],
            "profile": {
                "message": profile.message,
                "hops": profile.hops,
                "spans": profile.spans,
                "log": profile.log,
            },
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Setup:
        """Read what :meth:`to_json` wrote; raise ``BAD_INPUT`` or what its decoders raise."""
        try:
            profile = cast("dict[str, int]", value["profile"])
            return cls(
                SUITES[cast("str", value["suite"])],
                unhex(value["root"]),
                unhex(value["private"]),
                read_whole(WalletCertificate, value["certificate"]),
                tuple(read_whole(AuthorityCertificate, item) for item in cast("list[Json]", value["authorities"])),
                read_whole(Header, value["header"]),
                read_whole(Policy, value["policy"]),
                tuple(read_whole(Token, item) for item in cast("list[Json]", value["tokens"])),
                Profile(profile["message"], profile["hops"], profile["spans"], profile["log"]),
            )
        except (KeyError, TypeError) as error:
            raise TapError(Code.BAD_INPUT, f"a setup without a usable {error}") from error

    def wallet(self) -> Wallet:
        """Return a new wallet in memory that is set up so."""
        keystore = MemoryKeystore(self.scheme, secret_of(self.suite, self.private))
        wallet = Wallet(self.scheme, self.profile, keystore, MemoryStore.open(2 * self.profile.log))
        wallet.write(News(self.certificate, self.authorities, self.header, self.policy))
        if self.tokens:
            wallet.write(*map(Funded, self.tokens))
        return wallet


def set_up(
    stage: Stage,
    name: str,
    *,
    certificate: WalletCertificate | None = None,
    authorities: tuple[AuthorityCertificate, ...] | None = None,
    header: Header | None = None,
    policy: Policy | None = None,
    tokens: tuple[Token, ...] = (),
    profile: Profile = limits.FULL,
) -> Setup:
    """Return the setup of a named wallet of a stage; what is not given is as for everybody there."""
    return Setup(
        stage.suite,
        stage.scheme.root,
        stage.private(name),
        certificate or stage.certificate(name),
        stage.authorities if authorities is None else authorities,
        header or stage.header(),
        policy or stage.policy(),
        tokens,
        profile,
    )

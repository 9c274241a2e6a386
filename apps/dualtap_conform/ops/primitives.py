"""How our core answers what needs no device: bytes, digests, signatures, agreement, the channel, certificates."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar, cast

from dualtap import codec, forms, sync, wire
from dualtap.errors import Code, TapError
from dualtap.issued import AuthorityCertificate, Header, Issued, Policy, Token, WalletCertificate
from dualtap.session import check_hello, check_welcome, establish
from dualtap.statements import ZERO, Kind, Opening, Private, Scheme, Verification, statement_id
from dualtap.suite import SUITES, Suite, sha256
from dualtap.trust import Trust
from dualtap_conform.setup import Json, Object, read_whole, unhex
from dualtap_conform.stage import secret_of

I = TypeVar("I", bound=Issued)
_ISSUED: tuple[type[Issued], ...] = (Token, AuthorityCertificate, WalletCertificate, Header, Policy)
_SYNC: dict[str, Callable[[Scheme, bytes], object]] = {
    "SignedUpload": lambda _, data: sync.decode_signed_upload(data),
    "Upload": sync.decode_upload,
    "SignedReply": lambda _, data: sync.decode_signed_reply(data),
    "Reply": sync.decode_reply,
}


def _hexes(values: Iterable[bytes]) -> list[Json]:
    return [value.hex() for value in values]


def _suite(name: str) -> Suite:
    try:
        return SUITES[name]
    except KeyError:
        raise TapError(Code.BAD_INPUT, f"no suite {name!r}") from None


def decode(suite: str, given: Object) -> Object:
    """Return the type of a message, or of a whole form."""
    del suite
    name, most, data = cast("str", given["as"]), cast("int", given["most"]), unhex(given["bytes"])
    match name:
        case "Hello":
            found: object = wire.decode_hello(data)
        case "Welcome":
            found = wire.decode_welcome(data, most)
        case "Message":
            found = wire.decode(data, most)
        case _:
            _whole(name, data, most)
            return {"type": name}
    return {"type": type(found).__name__}


def _whole(name: str, data: bytes, most: int) -> None:
    """Decode a whole form. Its scheme is of no account: nothing is verified."""
    if name in _SYNC:
        if len(data) > most:
            raise TapError(Code.TOO_LARGE)
        _SYNC[name](Scheme(SUITES["p256"], b"", ZERO), data)
        return
    checks: dict[str, codec.Check[object]] = {kind.__name__: forms.issued_check(kind) for kind in _ISSUED}
    checks["Statement"] = forms.statement_check(ZERO)
    checks["Warrant"] = forms.warrant_check(ZERO)
    checks["Dead"] = forms.warrants_check(ZERO)
    if name not in checks:
        raise TapError(Code.BAD_INPUT, f"no type {name!r}")
    checks[name](codec.unpack(data, most))


def scheme(suite: str, given: Object) -> Object:
    """Return the id and hint of a root key's scheme."""
    found = Scheme.of(_suite(suite), unhex(given["root"]))
    return {"id": found.id.hex(), "hint": found.hint.hex()}


def id_(suite: str, given: Object) -> Object:
    """Return the id of anything signed."""
    del suite
    kind, public = Kind(cast("int", given["kind"])), sha256(unhex(given["public"]))
    found = statement_id(unhex(given["scheme"]), kind, unhex(given["key"]), public, unhex(given["commitment"]))
    return {"id": found.hex()}


def commit(suite: str, given: Object) -> Object:
    """Return what a place, a private half and a request are committed to by."""
    del suite
    prev, ctr = (int.from_bytes(unhex(given[name]), "big") for name in ("prev", "ctr"))
    private = Private(Verification(cast("int", given["verification"])), unhex(given["refund_of"]))
    opening = Opening(unhex(given["seed"]), prev, ctr, private, unhex(given["request"]))
    tape, answered = opening.tape(), opening.answered()
    if tape.commitment() != answered.commitment() and opening.request:
        raise TapError(Code.BAD_INPUT, "two openings of one entry differ")
    return {"place": answered.place.hex(), "request": tape.request.hex(), "commitment": tape.commitment().hex()}


def verify(suite: str, given: Object) -> Object:
    """Verify a signature."""
    _suite(suite).verifier(unhex(given["key"]))(unhex(given["signature"]), unhex(given["digest"]))
    return {}


def agree(suite: str, given: Object) -> Object:
    """Return one's own public key, and the secret shared with a peer's."""
    found = _suite(suite)
    ephemeral = found.ephemeral(secret_of(found, unhex(given["private"])))
    return {"public": ephemeral.public.hex(), "shared": ephemeral.exchange(unhex(given["peer"])).hex()}


def channel(suite: str, given: Object) -> Object:
    """Establish a session, then seal and open frames."""
    found = Scheme.of(_suite(suite), unhex(given["root"]))
    hello, welcome = wire.decode_hello(unhex(given["hello"])), wire.decode_welcome(unhex(given["welcome"]))
    initiator = cast("bool", given["initiator"])
    if initiator:
        check_welcome(welcome, hello.want)
    else:
        check_hello(found, hello, welcome.want)
    ephemeral = found.suite.ephemeral(secret_of(found.suite, unhex(given["private"])))
    session = establish(found, ephemeral, initiator, hello, welcome)
    seal, frames = cast("list[Json]", given["seal"]), cast("list[Json]", given["open"])
    return {
        "transcript": session.transcript.hex(),
        "sealed": _hexes(session.seal(unhex(plaintext)) for plaintext in seal),
        "opened": _hexes(session.open(unhex(frame)) for frame in frames),
    }


def certificate(suite: str, given: Object) -> Object:
    """Judge a wallet's certificate at an epoch, knowing these authorities, date and policy."""
    trust = Trust(Scheme.of(_suite(suite), unhex(given["root"])))
    trust.learn(read_whole(AuthorityCertificate, item) for item in cast("list[Json]", given["authorities"]))
    if given["header"] is not None:
        trust.adopt(read_whole(Header, given["header"]), any_step=True)
    if given["policy"] is not None:
        trust.set_policy(read_whole(Policy, given["policy"]))
    trust.check_wallet(read_whole(WalletCertificate, given["certificate"]), cast("int", given["epoch"]))
    return {}


OPS: dict[str, Callable[[str, Object], Object]] = {
    "decode": decode,
    "scheme": scheme,
    "id": id_,
    "commit": commit,
    "verify": verify,
    "agree": agree,
    "channel": channel,
    "certificate": certificate,
}

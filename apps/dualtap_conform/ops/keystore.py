"""How our core answers for a keystore: a fresh one, asked to sign one thing after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from dualtap.errors import Code, TapError
from dualtap.keystore import check_off_tape
from dualtap.statements import Kind, Scheme, TapeOpening
from dualtap.suite import SUITES
from dualtap_conform.setup import Json, Object, unhex
from dualtap_conform.stage import secret_of
from dualtap_devices.keystore import MemoryKeystore


def keystore(suite: str, given: Object) -> Object:
    """Answer each call by the id that was signed, or the error."""
    scheme = Scheme.of(SUITES[suite], unhex(given["root"]))
    opened = MemoryKeystore(scheme, secret_of(scheme.suite, unhex(given["private"])))
    answers: list[Json] = []
    for call in cast("list[Object]", given["calls"]):
        try:
            if "pin" in call:
                answers.append({"verified": _pin(opened, call)})
            else:
                answers.append({"id": _sign(scheme, opened, call).hex()})
        except TapError as error:
            answers.append({"error": cast("Code", error.code).name})
    return {"answers": answers}


def _pin(opened: MemoryKeystore, call: Object) -> bool:
    """Do with the PIN what a call says; return whether the user is verified then."""
    acts: dict[str, Callable[..., None]] = {
        act.__name__: act
        for act in (
            opened.pin.personalise, opened.pin.set, opened.pin.verify, opened.pin.change, opened.pin.unblock,
            opened.pin.forget,
        )
    }  # fmt: skip
    acts[cast("str", call["pin"])](*[unhex(item) for item in cast("list[Json]", call["given"])])
    return opened.pin.cell.verified


def _sign(scheme: Scheme, opened: MemoryKeystore, call: Object) -> bytes:
    """Have the keystore sign, and return the id that its signature verifies over."""
    try:
        kind = Kind(cast("int", call["kind"]))
    except ValueError:
        raise TapError(Code.KEYSTORE_REFUSED, "no such kind") from None
    public, opening = unhex(call["public"]), cast("Object | None", call["opening"])
    if opening is None:
        signature = opened.sign(kind, public)
        named = check_off_tape(scheme.id, opened.public, kind, public)
    else:
        prev, ctr = (int.from_bytes(unhex(opening[name]), "big") for name in ("prev", "ctr"))
        salt, private, request = (unhex(opening[name]) for name in ("salt", "private", "request"))
        shown = unhex(call["shown"])
        signature = opened.sign_tape(kind, public, TapeOpening(salt, prev, ctr, private, request), shown)
        named = opened.head.id
    scheme.suite.verifier(opened.public)(signature, named)
    return named


OPS: dict[str, Callable[[str, Object], Object]] = {"keystore": keystore}

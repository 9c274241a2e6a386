"""What a run leaves behind: a JSON report, signed, that anybody can check who has the tester's public key."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from dualtap.errors import Code, TapError
from dualtap.states import Part
from dualtap_conform.bench import Bench
from dualtap_conform.clauses import ordered
from dualtap_conform.paths import read_json, unusable
from dualtap_conform.setup import Json, Object
from dualtap_conform.tester import Finding, Outcome

VERSION = 1
KEY = 32
"""Bytes of a tester's public key."""
_DOMAIN = b"dualtap conform report 1\n"


def report_of(
    bench: Bench, outcome: Outcome, vectors: Object | None, *, tool: str, address: str, started: int
) -> Object:
    """Return the report of a run. ``started`` is in seconds since 1970, by the caller's clock."""
    clauses: Object = {clause: outcome.clauses[clause].value for clause in ordered(outcome.clauses)}
    skipped: Object = dict(outcome.skipped)
    return {
        "version": VERSION,
        "tool": tool,
        "part": bench.part.value,
        "suite": bench.scheme.suite.name,
        "device": bench.key.hex(),
        "address": address,
        "started": started,
        "taps": bench.memory.sessions,
        "used": seems_used(bench, outcome),
        "clauses": clauses,
        "failures": [_finding(item) for item in outcome.findings],
        "advice": [_finding(item) for item in outcome.advice],
        "skipped": skipped,
        "vectors": vectors,
    }


def seems_used(bench: Bench, outcome: Outcome) -> bool:
    """Return whether a payer seems not to have been made ready anew: its tape began earlier, or it had no money."""
    empty = bench.memory.began is None and any(item.got == "Refuse INSUFFICIENT" for item in outcome.findings)
    return bench.part is Part.PAYER and bool(bench.memory.began or empty)


def _finding(item: Finding) -> Object:
    return {"clause": item.clause, "check": item.check, "expected": item.expected, "got": item.got}


def canonical(value: Json) -> bytes:
    """Return the one form of a JSON value that is signed: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def write_key(path: Path, secret: bytes) -> bytes:
    """Write a new key file, which must not exist; return the public key. ``secret`` is 32 fresh bytes."""
    try:
        with path.open("x", encoding="ascii") as file:
            path.chmod(0o600)
            file.write(secret.hex() + "\n")
    except FileExistsError:
        raise TapError(Code.BAD_INPUT, f"{path} is there already: a key is not overwritten") from None
    except OSError as error:
        raise unusable(path, error) from error
    return Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def read_key(path: Path) -> Ed25519PrivateKey:
    """Read a key file; raise ``BAD_INPUT``."""
    try:
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(path.read_text(encoding="ascii")))
    except OSError as error:
        raise unusable(path, error) from error
    except ValueError:
        raise TapError(Code.BAD_INPUT, f"{path} is no key; write one by `dualtap conform key`") from None


def sign_report(report: Object, key: Ed25519PrivateKey) -> Object:
    """Return a report with its signature."""
    public = key.public_key().public_bytes_raw()
    return {"report": report, "key": public.hex(), "signature": key.sign(_DOMAIN + canonical(report)).hex()}


def read_public(text: str) -> bytes:
    """Return the public key in an option; raise ``BAD_INPUT``."""
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) == KEY:
        return key
    with suppress(OSError):  # too long for a name, say
        if Path(text).is_file():
            raise TapError(Code.BAD_INPUT, f"{text} is a file: --key takes the public key itself, from `conform key`")
    raise TapError(Code.BAD_INPUT, f"--key {text}: a public key is {2 * KEY} hexadecimal digits")


def check_overwrite(path: Path) -> None:
    """Raise ``BAD_INPUT`` if a file stands there that is neither empty nor a report, signed or not."""
    if not path.is_file() or not path.stat().st_size:
        return
    try:
        found = read_json(path)
    except TapError:
        found = None
    if isinstance(found, dict):
        found = found.get("report", found)
    if not (isinstance(found, dict) and {"version", "tool", "clauses"} <= found.keys()):
        raise TapError(
            Code.BAD_INPUT,
            f"{path} is there already, and is no report: it is not overwritten; name another file, or remove it",
        )


def check_report(signed: Json, public: bytes) -> Object:
    """Return the report that this key signed; raise ``BAD_INPUT``, also for another format, or ``BAD_SIGNATURE``."""
    if isinstance(signed, dict) and "clauses" in signed:
        raise TapError(Code.BAD_INPUT, "this report is not signed: run with --key to have it signed")
    try:
        fields = cast("Object", signed)
        report, signature = fields["report"], bytes.fromhex(cast("str", fields["signature"]))
        found, signer = dict(cast("Object", report)), str(fields["key"])
    except (KeyError, TypeError, ValueError):
        raise TapError(Code.BAD_INPUT, "not a signed report of `conform run`") from None
    version = found.get("version")
    if version != VERSION:
        raise TapError(Code.BAD_INPUT, f"a report of format version {version}: this dualtap reads version {VERSION}")
    if signer != public.hex():
        raise TapError(Code.BAD_SIGNATURE, f"another key signed it: {signer}")
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, _DOMAIN + canonical(report))
    except (InvalidSignature, ValueError):
        raise TapError(Code.BAD_SIGNATURE, "the report was altered after it was signed") from None
    return found

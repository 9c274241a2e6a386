"""Write the seed corpus that follows from the vectors: ``python fuzz/seeds.py``. What a fuzzer found is kept beside it.

A seed is named ``seed-…``; every other file in a corpus is an input that once broke something, or reached something
new, and stays.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

from dualtap_transports.handover import Offer, encode_request, encode_select, to_text

HERE = Path(__file__).parent
VECTORS = HERE.parent / "protocol" / "vectors"
LONGEST = 700
AS = {"Message": 0, "Hello": 1, "Welcome": 2, "Statement": 11, "Warrant": 12, "Token": 13, "Policy": 14}
"""Which selector of fuzz/targets/wire.py decodes it."""


def lines(name: str) -> Iterator[dict[str, Any]]:
    """Yield the vectors of a family."""
    return map(json.loads, (VECTORS / f"{name}.jsonl").read_text().splitlines())


def wire() -> Iterator[bytes]:
    """Yield each kind of message once, with every field at its greatest, as it stands."""
    for line in lines("codec"):
        data = bytes.fromhex(line["in"]["bytes"])
        what = line["in"]["as"]
        if line["result"] == "valid" and "LowerBound" in line["flags"] and len(data) <= LONGEST:
            yield bytes([AS.get(what, 0), 0]) + data


def evidence() -> Iterator[bytes]:
    """Yield one file of each kind of fraud, as a person would be handed it."""
    seen: set[str] = set()
    for line in lines("evidence"):
        fraud = line["out"].get("fraud", "") if line["result"] == "valid" and line["suite"] == "ed25519" else ""
        if fraud and fraud not in seen:
            seen.add(fraud)
            yield b"\0\3" + bytes.fromhex(line["in"]["evidence"])


def handover() -> Iterator[bytes]:
    """Yield an introduction in each of its forms."""
    offer = Offer(UUID(int=5), bytes(16), bytes(6))
    yield b"\0" + encode_select(offer)
    yield b"\1" + encode_request(b"ab")
    yield b"\2" + to_text(offer).encode()


def write(name: str, seeds: Iterable[bytes]) -> None:
    """Replace a target's seeds."""
    folder = HERE / "corpus" / name
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("seed-*"):
        old.unlink()
    for seed in seeds:
        (folder / f"seed-{hashlib.sha256(seed).hexdigest()[:8]}").write_bytes(seed)


if __name__ == "__main__":
    write("wire", wire())
    write("evidence", evidence())
    write("handover", handover())

"""The vector files: their names, who writes each, and how they are written anew.

Run as ``python -m dualtap_conform.files FOLDER``; ``make vectors`` does so.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from dualtap_conform.families import (
    calls,
    channel,
    codec,
    codes,
    conditions,
    digests,
    evidence,
    keys,
    keystore,
    payee_taps,
    payer_taps,
    pins,
    provenance,
    signatures,
    timed_taps,
    trust,
)
from dualtap_conform.vector import Vector, lines

FILES: dict[str, Callable[[], Iterator[Vector]]] = {
    "codec": codec.vectors,
    "codes": codes.vectors,
    "digests": digests.vectors,
    "signatures": signatures.vectors,
    "keys": keys.vectors,
    "channel": channel.vectors,
    "calls": calls.vectors,
    "trust": trust.vectors,
    "keystore": keystore.vectors,
    "pins": pins.vectors,
    "provenance": provenance.vectors,
    "conditions": conditions.vectors,
    "evidence": evidence.vectors,
    "payer_taps": payer_taps.vectors,
    "payee_taps": payee_taps.vectors,
    "timed_taps": timed_taps.vectors,
}
"""What yields the vectors of each file, by its name without ``.jsonl``."""


def text_of(name: str) -> str:
    """Return a whole vector file."""
    return "".join(lines(FILES[name]()))


def write(folder: Path) -> None:
    """Write every file into a folder, and remove vector files that nobody writes any more."""
    folder.mkdir(parents=True, exist_ok=True)
    for found in folder.glob("*.jsonl"):
        if found.stem not in FILES:
            found.unlink()
    for name in FILES:
        (folder / f"{name}.jsonl").write_text(text_of(name), encoding="ascii", newline="\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]))

"""Every error by its number, and numbers that no version 1 device knows."""

from __future__ import annotations

from collections.abc import Iterator

from dualtap.errors import TABLE
from dualtap_conform.vector import Vector

UNKNOWN = (0, 1, 13, 19, 255, 256, 4711, 2**32 - 1)


def vectors() -> Iterator[Vector]:
    """Yield a vector for every error, and some that are unknown."""
    for code, row in TABLE.items():
        gives = {"name": code.name, "fault": row.fault.value}
        yield Vector(
            "code", "p256", ("9-1",), ("Basic",), f"{row.meaning}.".capitalize(), {"number": int(code)}, {**gives}
        )
    for number in UNKNOWN:
        comment = "A number of a later version: it decodes, and ends the tap as any other does."
        yield Vector(
            "code", "p256", ("9-2",), ("UnknownCode",), comment, {"number": number}, {"name": None, "fault": None}
        )

"""``--pace``: a tap without a radio takes the time of one, so that people see what a tap is like.

Each side slows what it says, by the radio's model: both must be told the same. A card's cryptography, which takes
longer than its radio, is not in it: ``dualtap bench radio`` has the whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import click

from dualtap_transports.apdu import COUNTER, SHORT, Command, Ins, Status, encode_answer, encode_command
from dualtap_transports.chunks import split
from dualtap_transports.link import Link
from dualtap_transports.nearness import BLE_SECONDS, NFC_SECONDS
from dualtap_transports.timing.ble import Ble
from dualtap_transports.timing.nfc import Nfc
from dualtap_transports.timing.paced import Pace, Paced

_FIELDS = {"nfc106": Nfc(106), "nfc424": Nfc(424), "nfc848": Nfc(848)}
_CONNECTIONS = {"ble15": Ble(0.015), "ble30": Ble(0.03), "ble50": Ble(0.05)}
PACE = click.option(
    "--pace",
    type=click.Choice([*_FIELDS, *_CONNECTIONS]),
    help="Take the time of this radio (kbit/s, or ms between events), on both sides: a demonstration without one.",
)


def paced(
    link: Link,
    name: str | None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Link:
    """Return ``link``, as slow as this radio; without a name, ``link`` itself."""
    if not name:
        return link
    pace = _nfc(_FIELDS[name]) if name in _FIELDS else _ble(_CONNECTIONS[name], clock)
    return Paced(link, pace, sleep)


def within_of(name: str | None) -> float | None:
    """Return what a timed round is allowed on this radio, in seconds (SPEC §24-3)."""
    if not name:
        return None
    return NFC_SECONDS if name in _FIELDS else BLE_SECONDS


def _nfc(field: Nfc) -> Pace:
    """Each chunk is a command, and half of an answer without data: whoever says it."""
    empty = len(encode_answer(Status.OK, bytes(COUNTER)))

    def seconds(size: int) -> float:
        chunks = split(bytes(size), SHORT.command)
        commands = [len(encode_command(Command(0x80, Ins.EXCHANGE, 0, 0, chunk, SHORT.answer))) for chunk in chunks]
        return sum(field.spoken(command) + field.spoken(empty, 0) / 2 for command in commands)

    return seconds


def _ble(link: Ble, clock: Callable[[], float]) -> Pace:
    """What is said waits for the next event, at whole multiples of the interval."""

    def seconds(size: int) -> float:
        now = clock()
        return link.arrival(now, [len(chunk) for chunk in split(bytes(size), link.value)]) - now

    return seconds

"""A timed round (SPEC §24) in a model's time: one short frame there and one back, each sealed and opened."""

from __future__ import annotations

from dualtap.suite import TAG
from dualtap.timed import NONCE
from dualtap.wire import PingMessage, encode
from dualtap_transports.apdu import COUNTER, SHORT, Command, Ins, Status, encode_answer, encode_command
from dualtap_transports.chunks import split
from dualtap_transports.timing.ble import Ble
from dualtap_transports.timing.cards import Crypto, Work, ccm_blocks
from dualtap_transports.timing.nfc import Nfc

_PLAIN = len(encode(PingMessage(bytes(NONCE))))
FRAME = _PLAIN + TAG
"""Bytes of a sealed Ping, and of a Pong."""
TURN = Work(aes_blocks=2 * ccm_blocks(_PLAIN))
"""What one side computes between a frame and the next: it opens one and seals one."""


def nfc_round(field: Nfc, card: Crypto) -> float:
    """Return the seconds of a round, as a reader that pays measures it: one APDU and its answer."""
    (chunk,) = split(bytes(FRAME), SHORT.command)
    command = encode_command(Command(0x80, Ins.EXCHANGE, 0, 0, chunk, SHORT.answer))
    answer = encode_answer(Status.OK, bytes(COUNTER) + chunk)
    return field.apdu(len(command), len(answer), card.seconds(TURN))


def ble_round(link: Ble, peripheral: Crypto, now: float = 0.0) -> float:
    """Return the seconds of a round that begins at ``now``: each side waits for the next connection event."""
    (value,) = split(bytes(FRAME), link.value)
    there = link.arrival(now, [len(value)])
    return link.arrival(there + peripheral.seconds(TURN), [len(value)]) - now


def longest_ble_round(link: Ble, peripheral: Crypto) -> float:
    """Return the seconds of a round whose Ping has just missed an event: no packet is lost."""
    return ble_round(link, peripheral, link.interval * 1e-3)

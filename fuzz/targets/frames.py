"""Frames cut out of bytes, or joined of chunks and GATT values, come whole, in order and within their bounds.

The first byte chooses: a byte stream (TCP), chunks, one end of a Bluetooth link, or ISO-DEP's blocks.
"""

from __future__ import annotations

from dualtap import limits
from dualtap.errors import Code, TapError
from dualtap_transports import framing, gatt
from dualtap_transports.apdu import EXTENDED
from dualtap_transports.chunks import MIN_CHUNK, Joiner, split
from dualtap_transports.gatt import Duplex
from dualtap_transports.iso_dep import Deliver, IsoDepCard, Leave, Say
from targets._said import Said

SHARE = 321
LENGTH = 2048
COST = 2
_REFUSALS = {Code.MALFORMED, Code.TOO_LARGE}


def one(data: bytes) -> None:
    """Play one of the stories."""
    said = Said(data)
    said.pick((_stream, _chunks, _values, _whole, _blocks))(said)


def _stream(said: Said) -> None:
    """Cut a stream as it comes, in pieces; whatever the pieces, the frames are those that the lengths tell."""
    pieces: list[bytes] = []
    while said:
        pieces.append(said.blob() * said.pick((1, 1, 1, 100)))
    assert _cut(pieces) == _told(b"".join(pieces)), "other frames than came"


def _told(stream: bytes) -> tuple[list[bytes], Code | int | None]:
    """Return the frames of a whole stream, and what is wrong behind them."""
    frames, at = list[bytes](), 0
    while len(stream) - at >= framing.PREFIX:
        size = int.from_bytes(stream[at : at + framing.PREFIX], "big")
        if not 1 <= size <= limits.MESSAGE:
            return frames, Code.TOO_LARGE if size else Code.MALFORMED
        at += framing.PREFIX + size
        if at > len(stream):
            break
        frames.append(stream[at - size : at])
    return frames, None


def _cut(pieces: list[bytes]) -> tuple[list[bytes], Code | int | None]:
    deframer, frames = framing.Deframer(), list[bytes]()
    try:
        for piece in pieces:
            deframer.feed(piece)
            while (frame := deframer.take()) is not None:
                frames.append(frame)
    except TapError as error:
        return frames, error.code
    return frames, None


def _chunks(said: Said) -> None:
    """Join chunks that anybody wrote: what comes out is what their payloads say, and a failure is for good."""
    most = said.pick((16, 300, limits.MESSAGE, 10**6))
    joiner, payload, failed, number = Joiner(most), b"", False, 0
    while said:
        chunk = said.blob()
        try:
            frame = joiner.feed(chunk)
        except TapError as error:
            assert error.code in _REFUSALS, error
            failed = True
            continue
        assert not failed, "taken after a failure"
        assert chunk[0] % 128 == number % 128, "taken out of order"
        number = 0 if frame is not None else number + 1
        payload += chunk[1:]
        if frame is not None:
            assert payload[2:] == frame, "other bytes than came"
            assert len(frame) == int.from_bytes(payload[:2], "big") <= min(most, limits.MESSAGE)
            payload = b""


def _values(said: Said) -> None:
    """Take GATT values that anybody wrote: no more waits than the window, and failing is for good."""
    duplex, waiting = Duplex(gatt.VALUE, central=bool(said.byte() % 2)), 0
    while said:
        if said.byte() % 8 == 0 and len(duplex):
            frame, _ = duplex.take()
            waiting -= len(frame)
            continue
        size = said.pick((0, 1, 2, 3, 20, 244, 512, 513))
        failed, before = duplex.failed, len(duplex)
        duplex.feed(said.take(size))
        assert failed is None or (duplex.failed is failed and len(duplex) == before), "taken after a failure"
        assert duplex.failed is None or duplex.failed.code in _REFUSALS, duplex.failed
        assert 0 <= duplex.room <= gatt.WINDOW
        assert gatt.LEAST_VALUE <= duplex.most <= gatt.VALUE
    while len(duplex):
        frame, _ = duplex.take()
        assert 1 <= len(frame) <= limits.MESSAGE


def _whole(said: Said) -> None:
    """Cut frames and join them again: the same frames."""
    joiner, duplex = Joiner(), Duplex(gatt.VALUE, central=True)
    while said:
        room = MIN_CHUNK + said.below(gatt.VALUE - MIN_CHUNK)
        frame = said.blob() * said.pick((1, 1, 1, 17, 64)) or b"\0"
        frame = frame[: limits.MESSAGE]
        found: list[bytes] = []
        for chunk in split(frame, room):
            assert len(chunk) <= room
            joined = joiner.feed(chunk)
            found += [] if joined is None else [joined]
            duplex.feed(chunk)
        assert found == [frame], "cut and joined to another frame"
        assert duplex.failed is None
        assert duplex.take()[0] == frame


def _blocks(said: Said) -> None:
    """Take a reader's blocks: whole commands come, in order and within bounds; each answer fits the reader."""
    longest = said.pick((32, EXTENDED.command + 12))
    card, room = IsoDepCard(longest), 256
    while said:
        try:
            step = card.block(said.blob())
        except TapError as error:
            assert error.code in {Code.TOO_LARGE, Code.LINK_LOST}, error
            return
        match step:
            case Deliver(apdu):
                assert len(apdu) <= longest
                block = card.answer(said.blob()) if said.byte() % 2 else card.wait()
                assert 0 < len(block) <= room
            case Say(block):
                assert block is None or 0 < len(block) <= room
            case Leave():
                return

"""An introduction is read in one form alone, and neither a tag nor a tag's reader falls over what the other says.

The first byte chooses: a select message, a request, a text, NDEF, a tag under a hostile reader, a hostile tag.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from dualtap.errors import Code, TapError
from dualtap_transports import handover, ndef
from dualtap_transports.apdu import SHORT_DATA, Command, encode_command
from dualtap_transports.handover import Offer
from dualtap_transports.tag import AID, CONTAINER, FILE, ROOM, Tag, container, read_message
from targets._said import Said

T = TypeVar("T")
SHARE = 140
LENGTH = 700
COST = 4
HONEST = 10
"""Answers that a tag gives at most before it says anything: with them, a request is written and a message read."""
_OK = b"\x90\0"
_BEARABLE = {Code.MALFORMED, Code.LINK_LOST}
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567="
"""What a text is written in, and what fills it up elsewhere."""


def one(data: bytes) -> None:
    """Play one of the stories."""
    said = Said(data)
    said.pick((_select, _request, _text, _records, _tag, _reader, _offer))(said)


def _select(said: Said) -> None:
    message = said.rest()
    try:
        offer = handover.decode_select(message)
    except TapError as error:
        assert error.code is Code.MALFORMED, error
        return
    assert handover.encode_select(offer) == message, "two forms of one introduction"


def _request(said: Said) -> None:
    message = said.rest()
    try:
        handover.check_request(message)
    except TapError as error:
        assert error.code is Code.MALFORMED, error
        return
    assert any(message == handover.encode_request(message[at : at + 2]) for at in range(len(message) - 1))


def _text(said: Said) -> None:
    text = said.rest().decode("utf-8", "replace")
    try:
        offer = handover.from_text(text)
    except TapError as error:
        assert error.code is Code.BAD_INPUT, error
        return
    assert "".join(text.split()).replace("-", "").upper() == handover.to_text(offer), "two texts of one introduction"


def _records(said: Said) -> None:
    message = said.rest()
    try:
        records = ndef.decode(message)
    except TapError as error:
        assert error.code is Code.MALFORMED, error
        return
    assert ndef.encode(records) == message


def _offer(said: Said) -> None:
    """Write an introduction and read it again, whole, with a byte altered, and with a letter of its text altered."""
    offer = Offer(UUID(bytes=said.full(16)), said.pick((b"", said.full(16))), said.pick((b"", said.full(6))))
    message, text = handover.encode_select(offer), handover.to_text(offer)
    assert handover.decode_select(message) == offer
    assert handover.from_text(text) == offer
    at = said.below(len(message))
    changed = message[:at] + bytes([message[at] ^ (said.byte() or 1)]) + message[at + 1 :]
    assert _or_none(handover.decode_select, changed) != offer, "an altered introduction says the same"
    spoilt = _spoilt(text, said)
    assert spoilt == text or _or_none(handover.from_text, spoilt) != offer, "an altered text says the same"


def _spoilt(text: str, said: Said) -> str:
    """Return a text with another letter, or one more; most often at its end, where bits may be left over."""
    at = len(text) - said.below(len(text))
    letter = _LETTERS[(_LETTERS.index(text[at - 1]) + 1 + said.byte()) % len(_LETTERS)]
    return text[: at - 1 + said.below(2)] + letter + text[at:]


def _or_none(read: Callable[[T], Offer], what: T) -> Offer | None:
    try:
        return read(what)
    except TapError as error:
        assert error.code in (Code.MALFORMED, Code.BAD_INPUT), error
        return None


def _tag(said: Said) -> None:
    """Be a reader that says anything to a tag."""
    taken: list[bytes] = []

    def take(message: bytes) -> None:
        handover.check_request(message)
        taken.append(message)

    tag = Tag(handover.encode_select(Offer(UUID(int=5), bytes(16))), take)
    commands: tuple[Callable[[], Command], ...] = (
        lambda: Command(0, 0xA4, 4, 0, AID, 0),
        lambda: Command(0, 0xA4, 0, 0x0C, said.pick((CONTAINER, FILE, 7)).to_bytes(2, "big"), 0),
        lambda: Command(0, 0xB0, said.pick((0, said.byte())), said.byte(), b"", said.number(1)),
        lambda: Command(0, 0xD6, said.pick((0, said.byte())), said.byte(), said.blob(), 0),
        lambda: Command(0, 0xD6, 0, 0, _whole(handover.encode_request(said.full(2))), 0),
        lambda: Command(said.byte(), said.byte(), said.byte(), said.byte(), said.blob(), said.byte()),
    )
    while said:
        apdu = encode_command(said.pick(commands)()) if said.below(8) else said.blob()
        answer = tag.command(apdu)
        assert answer is None or 2 <= len(answer) <= SHORT_DATA + 2
        assert tag.request in (b"", *taken), "taken without being judged"
        assert len(vars(tag)["_written"]) == ROOM, "written past its end"
        if said.byte() == 1:
            tag.reset()


def _whole(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


def _reader(said: Said) -> None:
    """Be a tag that is honest for a while, then answers anything, and says its last answer for ever."""
    how, asked = said.byte(), 0
    talk, honest = read_message((b"", handover.encode_request(b"ab"))[how & 1]), how // 2 % HONEST
    tag = Tag(handover.encode_select(Offer(UUID(int=5), bytes(16))), handover.check_request)
    answers: tuple[Callable[[], bytes | None], ...] = (
        lambda: None,
        lambda: _OK,
        lambda: container() + _OK,
        said.blob,
        lambda: said.blob() + _OK,
    )
    last: bytes | None = None
    try:
        command = next(talk)
        while True:
            asked += 1
            assert asked < 4 * ROOM, "a reader asks for ever"
            if asked <= honest:
                last = tag.command(command)
            elif said:
                last = said.pick(answers)()
            command = talk.send(last)
    except StopIteration as stop:
        message: bytes = stop.value
        assert 0 < len(message) <= ROOM
    except TapError as error:
        assert error.code in _BEARABLE, error

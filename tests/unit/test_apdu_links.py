"""Links over APDUs where something stalls: bounded waits, and what a person's slow consent looks like."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import closing
from threading import Event

import pytest

from dualtap import limits
from dualtap.errors import Code, TapError
from dualtap_transports import nfc, pcsc, vpcd
from dualtap_transports.apdu import SELECT, SHORT, Status, encode_selected
from dualtap_transports.apdu_loopback import MemorySlot, pair
from dualtap_transports.apdu_reader import Reader
from dualtap_transports.card_link import CardEnd
from dualtap_transports.reader_link import ReaderLink, opened

PATIENCE = 20.0


def refused(call: Callable[[], object]) -> TapError:
    with pytest.raises(TapError) as caught:
        call()
    return caught.value


class Counting(MemorySlot):
    """Tells after how many WAITs the device behind the card may speak."""

    def __init__(self, end: CardEnd, waits: int, then: Callable[[], None]) -> None:
        super().__init__(end)
        self.waits, self.then = waits, then

    def transceive(self, apdu: bytes) -> bytes | None:
        answer = super().transceive(apdu)
        if answer is not None and answer[-2:] == Status.WAIT.to_bytes(2, "big"):
            self.waits -= 1
            if self.waits == 0:
                self.then()
        return answer


def test_a_person_who_takes_long_is_waited_for() -> None:
    """§18-11: the card says WAIT again and again, and then what it has to say."""
    end = CardEnd(hold=0.001)
    slot = Counting(end, 5, lambda: card.send(b"agreed"))
    with closing(opened(slot)) as reader, closing(end.accept(PATIENCE)) as card:
        end.finished = True
        reader.send(b"will you pay?")
        assert card.receive(PATIENCE) == b"will you pay?"
        assert reader.receive(PATIENCE) == b"agreed"
    assert slot.waits <= 0


class Script:
    """A slot whose answers come from a function of the command, after SELECT."""

    def __init__(self, answer: Callable[[bytes], bytes | None]) -> None:
        self.answer = answer
        self.released = 0

    def transceive(self, apdu: bytes) -> bytes | None:
        return encode_selected(SHORT) + b"\x90\0" if apdu == SELECT else self.answer(apdu)

    def release(self) -> None:
        self.released += 1


@pytest.mark.parametrize("status", ["9130", "9000"])
def test_a_card_that_answers_for_ever_is_given_up(status: str) -> None:
    """§18-13: after SESSION_SECONDS, by a clock that passes a second at each look."""
    seconds = iter(range(10**6))
    looks = 0

    def answer(command: bytes) -> bytes:
        nonlocal looks
        looks += 1
        chunk = (
            b"" if status == "9130" else (b"\x80\x40\x00x" if looks == 1 else bytes([0x80 | (looks - 1) % 128]) + b"x")
        )
        return command[2:4] + chunk + bytes.fromhex(status)

    slot = Script(answer)
    reader = Reader(0)
    link = ReaderLink(slot, reader, clock=lambda: float(next(seconds)))
    with closing(link):
        link.send(b"x")
        assert refused(lambda: link.receive(PATIENCE)).code is Code.TIMEOUT
    assert looks <= limits.SESSION_SECONDS
    assert slot.released == 1


def test_a_card_that_takes_nothing_stops_the_sender(monkeypatch: pytest.MonkeyPatch) -> None:
    """§18-13."""
    monkeypatch.setattr(limits, "SESSION_SECONDS", 0.01)
    blocked = Event()

    def answer(command: bytes) -> bytes:
        blocked.wait(PATIENCE)
        return command[2:4] + b"\x91\x20"

    link = opened(Script(answer))

    def send_on() -> None:
        while True:
            link.send(bytes(limits.MESSAGE))

    assert refused(send_on).code is Code.TIMEOUT
    assert refused(lambda: link.send(b"x")).code is Code.LINK_LOST
    blocked.set()
    link.close()


def test_a_reader_that_fetches_nothing_stops_the_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """§18-13."""
    monkeypatch.setattr(limits, "SESSION_SECONDS", 0.01)
    reader, card = pair()

    def send_on() -> None:
        while True:
            card.send(bytes(limits.MESSAGE))

    assert refused(send_on).code is Code.TIMEOUT
    assert refused(lambda: card.send(b"x")).code is Code.LINK_LOST
    reader.close()
    card.close()


def test_a_second_reader_ends_the_first_ones_link() -> None:
    """§18-4."""
    end = CardEnd()
    first = opened(MemorySlot(end))
    card = end.accept(PATIENCE)
    first.send(b"one")
    assert card.receive(PATIENCE) == b"one"
    with closing(opened(MemorySlot(end))) as second, closing(end.accept(PATIENCE)) as other:
        assert refused(lambda: card.receive(PATIENCE)).code is Code.LINK_LOST
        second.send(b"two")
        assert other.receive(PATIENCE) == b"two"
    end.finish("done")
    first.close()
    card.close()
    end.stop()


def test_a_listener_that_stops_takes_no_more_readers_and_keeps_the_link() -> None:
    end = CardEnd()
    with closing(opened(MemorySlot(end))) as reader, closing(end.accept(PATIENCE)) as card:
        end.stop()
        assert refused(lambda: end.accept(PATIENCE)).code is Code.LINK_LOST
        reader.send(b"still")
        assert card.receive(PATIENCE) == b"still"
        assert end.respond(SELECT) == b"\x6a\x82"
        end.finished = True


def test_what_cannot_be_meant_is_said() -> None:
    for call, said in (
        (lambda: pcsc.SCHEME.listen("ACR"), "use nfc: or vpcd:"),
        (lambda: vpcd.SCHEME.connect("127.0.0.1:1", 0), "use pcsc:"),
        (lambda: vpcd.SCHEME.listen("127.0.0.1"), "HOST:PORT"),
    ):
        error = refused(call)
        assert error.code is Code.BAD_INPUT
        assert said in error.detail


@pytest.mark.parametrize(
    ("missing", "extra", "call"),
    [
        ("nfc", "nfc", lambda: nfc.SCHEME.connect("usb", 0)),
        ("nfc", "nfc", lambda: nfc.SCHEME.listen("usb")),
        ("smartcard.scard", "pcsc", lambda: pcsc.SCHEME.connect("reader", 0)),
    ],
)
def test_a_missing_library_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, missing: str, extra: str, call: Callable[[], object]
) -> None:
    def absent(name: str) -> object:
        assert name == missing
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", absent)
    error = refused(call)
    assert error.code is Code.BAD_INPUT
    assert f"pip install 'dualtap[{extra}]'" in error.detail

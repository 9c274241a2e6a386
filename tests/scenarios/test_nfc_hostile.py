"""Cards and readers that break ISO-DEP on nfcpy's UDP device: a typed error, within bounds, and the next tap works."""

from __future__ import annotations

import errno
import importlib
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from threading import Thread
from typing import cast

import pytest

from dualtap.errors import Code, TapError
from dualtap_transports import apdu, nfc
from dualtap_transports.apdu import SHORT
from dualtap_transports.iso_dep import ATS
from dualtap_transports.nfc import NfcScheme

PATIENCE = 20.0
HOST = "127.0.0.1"
UID = b"\x08\x01\x02\x03\x08"
ACTIVATION = {b"\x26": b"\x04\x00", b"\x93\x20": UID, b"\x93\x70" + UID: b"\x20", b"\xe0\x80": ATS}


def frame(data: bytes) -> bytes:
    return b"106A " + data.hex().encode()


class HostileCard:
    """Is activated and selected as a card should be, and then answers what it likes; ``None``: nothing."""

    def __init__(self, answers: Iterator[bytes | None], activation: dict[bytes, bytes] = ACTIVATION) -> None:
        self._sock = socket.socket(type=socket.SOCK_DGRAM)
        self._sock.bind((HOST, 0))
        self._answers, self._activation = answers, activation
        self.given = 0
        self.address = f"udp:{HOST}:{self._sock.getsockname()[1]}"
        self._thread = Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        with closing(socket.socket(type=socket.SOCK_DGRAM)) as last:
            last.sendto(b"end", self._sock.getsockname())
        self._thread.join(PATIENCE)
        self._sock.close()

    def _serve(self) -> None:
        while True:
            data, reader = self._sock.recvfrom(2048)
            if data == b"end":
                return
            if data.startswith(b"RFOFF"):
                continue
            block = bytes.fromhex(data.removeprefix(b"106A ").decode())
            if block in self._activation:
                answer: bytes | None = frame(self._activation[block])
            elif block == b"\x02" + apdu.SELECT:
                answer = frame(b"\x02" + apdu.encode_selected(SHORT) + b"\x90\0")
            else:
                answer = next(self._answers)
                self.given += 1
            if answer is not None:
                self._sock.sendto(answer, reader)


def forever(answer: bytes | None) -> Callable[[], Iterator[bytes | None]]:
    def answers() -> Iterator[bytes | None]:
        while True:
            yield answer

    return answers


def endless_chain() -> Iterator[bytes | None]:
    for n in count(1):
        yield frame(bytes([0x12 | n % 2]) + bytes(200))


HOSTILE: dict[str, tuple[Callable[[], Iterator[bytes | None]], Code]] = {
    "no-hex": (forever(b"106A zz"), Code.LINK_LOST),
    "no-frame": (forever(b"\xff\xfe\xfd three words"), Code.LINK_LOST),
    "empty": (forever(b"106A 03"), Code.MALFORMED),
    "no-status": (forever(b"106A 03ab"), Code.MALFORMED),
    "another-number": (forever(b"106A 029000"), Code.LINK_LOST),
    "deselected": (forever(b"106A c2"), Code.LINK_LOST),
    "waits-for-ever": (forever(b"106A f201"), Code.TIMEOUT),
    "waits-for-nothing": (forever(b"106A f200"), Code.TIMEOUT),
    "chains-for-ever": (endless_chain, Code.TIMEOUT),
    "silent": (forever(None), Code.LINK_LOST),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_card_costs_a_tap_and_a_moment(name: str) -> None:
    """§18-13: below the APDUs too, nothing that a card says takes more than bounded time and memory."""
    answers, code = HOSTILE[name]
    # Where only time ends it, time is made to pass faster.
    scheme = NfcScheme(clock=lambda: time.monotonic() * 20) if name.startswith("waits") else nfc.SCHEME
    with closing(HostileCard(answers())) as card, closing(scheme.connect(card.address, PATIENCE)) as link:
        link.send(b"hello")
        with pytest.raises(TapError) as caught:
            link.receive(PATIENCE)
        # With time made faster, a machine that stalls takes the card for gone: as short a wait, by another name.
        assert caught.value.code in ({code, Code.LINK_LOST} if name.startswith("waits") else {code})
        assert name.startswith("waits") or card.given <= 100, "memory for one answer, and no more"


@pytest.mark.parametrize(
    ("block", "answer"),
    [
        (b"\xe0\x80", b"\x05\x78"),
        (b"\xe0\x80", b""),
        (b"\x93\x70" + UID, b"\x00"),
        (b"\x26", b"\x04"),
        (b"\x26", b"\0\0"),
    ],
)
def test_what_is_no_card_of_ours_is_no_card(block: bytes, answer: bytes) -> None:
    """A sticker, or what cannot even be activated, is passed over: there may be another in a moment."""
    hurried = NfcScheme(clock=lambda: time.monotonic() * 20)
    with closing(HostileCard(forever(None)(), {**ACTIVATION, block: answer})) as card:
        with pytest.raises(TapError) as caught:
            hurried.connect(card.address, 0.1)
        assert caught.value.code is Code.LINK_LOST


class RawReader:
    """A socket that says whatever it likes to a card."""

    def __init__(self, address: str) -> None:
        self._sock = socket.socket(type=socket.SOCK_DGRAM)
        self._sock.settimeout(0.3)
        self._card = HOST, int(address.rpartition(":")[2])

    def __call__(self, block: bytes | None, raw: bytes = b"") -> bytes | None:
        self._sock.sendto(raw if block is None else frame(block), self._card)
        try:
            return bytes.fromhex(self._sock.recv(2048).removeprefix(b"106A ").decode())
        except TimeoutError:
            return None

    def activate(self) -> None:
        for block, answer in ACTIVATION.items():
            while (said := self(block)) is None:
                pass
            assert said == answer or (block == b"\x93\x70" + UID and said == b"\x20")
        assert self(b"\x02" + apdu.SELECT) == b"\x02" + apdu.encode_selected(SHORT) + b"\x90\0"

    def close(self) -> None:
        self._sock.close()


def chain_without_end(say: RawReader) -> None:
    for n in count():
        if say(bytes([0x12 | (n + 1) % 2]) + bytes(100)) is None:
            return


def garbage(say: RawReader) -> None:
    for raw in (b"", b"106A", b"106A zz", b"\xff", b"106A 0", b"a b c", b"106A " + b"00" * 500):
        assert say(None, raw) in (None, b"\x6f\x00")
    say(b"\x03" + b"\x80\x10")


def bad_chunk(say: RawReader) -> None:
    assert say(b"\x03" + bytes.fromhex("80100000048040ff00")) is not None


HOSTILE_READERS: dict[str, tuple[Callable[[RawReader], None], Code]] = {
    "chain": (chain_without_end, Code.LINK_LOST),
    "garbage": (garbage, Code.MALFORMED),
    "bad-chunk": (bad_chunk, Code.TOO_LARGE),
}


@pytest.mark.parametrize("name", HOSTILE_READERS)
def test_a_hostile_reader_costs_a_tap_and_the_next_one_is_served(name: str) -> None:
    """§18-10, §18-14."""
    attack, code = HOSTILE_READERS[name]
    with closing(nfc.SCHEME.listen(f"udp:{HOST}:0")) as listener:
        with closing(RawReader(listener.address)) as say:
            say.activate()
            with closing(listener.accept(PATIENCE)) as card:
                attack(say)
                with pytest.raises(TapError) as caught:
                    card.receive(PATIENCE)
                assert caught.value.code is code
            say(None, b"RFOFF")
        with closing(nfc.SCHEME.connect(listener.address, PATIENCE)) as reader:
            reader.send(b"honest")
            with closing(listener.accept(PATIENCE)) as card:
                assert card.receive(PATIENCE) == b"honest"


def test_garbage_before_a_tap_is_nothing_to_a_card() -> None:
    with (
        closing(nfc.SCHEME.listen(f"udp:{HOST}:0")) as listener,
        closing(socket.socket(type=socket.SOCK_DGRAM)) as sock,
    ):
        port = int(listener.address.rpartition(":")[2])
        for raw in (
            b"",
            b"106A",
            b"106A zz",
            b"\xff",
            b"106A 0",
            b"a b c",
            b"RFOFF",
            b"106A e0",
            b"106A " + b"f0" * 30,
        ):
            sock.sendto(raw, (HOST, port))
        with closing(nfc.SCHEME.connect(listener.address, PATIENCE)), closing(listener.accept(PATIENCE)):
            pass


@pytest.mark.parametrize(
    "address", ["udp", "udp:", "udp:127.0.0.1", "udp:127.0.0.1:99999", "nonsense", "usb:ffff:ffff"]
)
def test_addresses_that_name_no_device(address: str) -> None:
    for call in (lambda: nfc.SCHEME.connect(address, 0), lambda: nfc.SCHEME.listen(address)):
        with pytest.raises(TapError) as caught:
            call()
        assert caught.value.code is Code.BAD_INPUT


def test_usb_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    usb = importlib.import_module("usb1")

    def fail(_: object) -> None:
        raise cast("Exception", usb.USBErrorOther())

    # As if libusb were here, also where it is not.
    monkeypatch.setattr(usb, "loadLibrary", lambda: True)
    monkeypatch.setattr(usb, "getVersion", lambda: (1, 0, 26))
    monkeypatch.setattr(usb.USBContext, "open", fail)
    with pytest.raises(TapError, match="USB failed") as caught:
        nfc.SCHEME.connect("usb", 0)
    assert caught.value.code is Code.BAD_INPUT


def test_usb_without_libusb_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise FileNotFoundError(errno.ENOENT, "cannot find a suitable libusb-1.0")

    monkeypatch.setattr(importlib.import_module("usb1"), "loadLibrary", missing)
    for call in (lambda: nfc.SCHEME.connect("usb:072f:2200", 0), lambda: nfc.SCHEME.listen("usb")):
        with pytest.raises(TapError, match="apt install libusb") as caught:
            call()
        assert caught.value.code is Code.BAD_INPUT


def test_an_address_in_use_is_named() -> None:
    with closing(nfc.SCHEME.listen(f"udp:{HOST}:0")) as listener:
        with pytest.raises(TapError) as caught:
            nfc.SCHEME.listen(listener.address)
        assert caught.value.code is Code.BAD_INPUT
        assert listener.address in caught.value.detail
    with closing(nfc.SCHEME.listen(listener.address)) as again:
        assert again.address == listener.address

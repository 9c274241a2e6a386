"""A handover read from a tag, and the tap over Bluetooth to which it leads: APDUs in memory, Bumble's controllers."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar
from uuid import UUID

import pytest

from dualtap import limits
from dualtap.context import Charge, Pay
from dualtap.errors import Code, TapError
from dualtap.events import Report, Result
from dualtap.session import Handover, ident
from dualtap.suite import sha256
from dualtap_devices.driver import Driver, run
from dualtap_transports import ble_bumble_central, ble_central, ndef, nfc_handover, tag
from dualtap_transports.apdu import SELECT, Command, encode_command
from dualtap_transports.apdu_loopback import MemorySlot
from dualtap_transports.ble import BleLink, BleListener
from dualtap_transports.blocking import LoopThread
from dualtap_transports.card_link import CardEnd
from dualtap_transports.handover import (
    HandedOver,
    Offer,
    agreed,
    encode_request,
    encode_select,
    from_text,
    handover_of,
    introduce,
)
from dualtap_transports.link import Link, Listener
from dualtap_transports.nfc_handover import HandoverScheme, TagEnd
from dualtap_transports.reader_link import Slot
from dualtap_transports.tag import Tag, container, read_message
from tests.playbook import EPOCH, World
from tests.support.virtual import Air, listen

T = TypeVar("T")
PATIENCE = 20.0
NOW = float(EPOCH * limits.EPOCH_SECONDS)
OFFER = Offer(UUID(int=7), bytes(range(16)), bytes(6))
REQUEST = encode_request(b"ab")


def refused(call: Callable[[], object]) -> TapError:
    with pytest.raises(TapError) as caught:
        call()
    return caught.value


# In memory


class MemoryNfc:
    """One place in which a card may lie, and a reader above it that counts commands."""

    def __init__(self) -> None:
        self.card: CardEnd | None = None
        self.commands: list[bytes] = []
        self.garble: Callable[[int, bytes], bytes | None] = lambda n, answer: answer

    def present(self, address: str, end: CardEnd) -> Listener:
        self.card = end
        nfc = self

        class Lying:
            address = "memory"

            def accept(self, timeout: float | None) -> Link:
                raise AssertionError("a tag opens no link")

            def close(self) -> None:
                nfc.card = None

        return Lying()

    def held(self, address: str, timeout: float | None, take: Callable[[Slot], T]) -> T:
        if self.card is None:
            raise TapError(Code.LINK_LOST, "no card")
        return take(Watched(self, MemorySlot(self.card)))


class Watched:
    def __init__(self, nfc: MemoryNfc, slot: MemorySlot) -> None:
        self.nfc, self.slot = nfc, slot
        self.release = slot.release

    def transceive(self, apdu: bytes) -> bytes | None:
        self.nfc.commands.append(apdu)
        answer = self.slot.transceive(apdu)
        assert answer is not None
        return self.nfc.garble(len(self.nfc.commands) - 1, answer)


@dataclass
class VirtualBle:
    """Bluetooth over one air of virtual controllers, by the addresses of ``ble:``."""

    air: Air
    thread: LoopThread

    def listen(self, address: str) -> BleListener:
        assert address == "new"
        self.thread.retain()
        dongle = self.thread.run(self.air.dongle())
        return BleListener(self.thread.run(listen(dongle)), self.thread)

    def connect(self, address: str, timeout: float | None) -> BleLink:
        offer = from_text(address)
        dongle = self.thread.run(self.air.dongle())
        radio = ble_bumble_central.radio(dongle)
        link = self.thread.run(ble_central.connect(offer.service, offer.address, timeout, radio))
        self.thread.retain()
        return BleLink(link, self.thread, agreed(offer))


@pytest.fixture
def nfc() -> MemoryNfc:
    return MemoryNfc()


@contextmanager
def schemes(nfc: MemoryNfc) -> Generator[HandoverScheme]:
    thread = LoopThread()
    try:
        yield HandoverScheme(nfc, nfc, VirtualBle(Air(), thread))
    finally:
        thread.release()


class Shop:
    """A payer and a payee who tap over a handover."""

    def __init__(self) -> None:
        self.world = World(seed="handover")
        self.payer, self.payee = self.world.wallet(fund=500), self.world.wallet()

    def tap(
        self, scheme: HandoverScheme, change: Callable[[Handover], Handover] = lambda told: told
    ) -> tuple[Report, Report, Handover]:
        suite = self.world.suite
        ephemeral = suite.ephemeral(self.world.draw())
        with closing(scheme.listen("memory")) as listener, ThreadPoolExecutor(1) as pool:
            introduce(listener, ident(ephemeral.public))
            link = scheme.connect(listener.address, PATIENCE)
            accepted = listener.accept(PATIENCE)
            charge = Charge(100, "CNY", self.world.draw(16))
            collects = Driver(
                self.payee, charge, False, ephemeral, self.world.draw(), clock=lambda: NOW,
                handover=change(handover_of(accepted)),
            )  # fmt: skip
            pays = Driver(
                self.payer, Pay(), True, suite.ephemeral(self.world.draw()), self.world.draw(), clock=lambda: NOW,
                handover=handover_of(link),
            )  # fmt: skip
            job = pool.submit(run, collects, accepted, PATIENCE)
            paid = run(pays, link, PATIENCE)
            return paid, job.result(PATIENCE), handover_of(link)


def test_a_tag_leads_to_a_tap_over_bluetooth(nfc: MemoryNfc) -> None:
    """§19-16, §19-17, §19-18: the request was written, the select read, and both are in the transcript."""
    with schemes(nfc) as scheme:
        shop = Shop()
        paid, collected, told = shop.tap(scheme)
        assert (paid.result, collected.result) == (Result.PAID, Result.COLLECTED)
        assert told.said[:32] != sha256(b""), "a request was written"
        again, _, other = shop.tap(scheme)
        assert again.result is Result.PAID
        assert other.ident != told.ident
        assert other.said[:32] != told.said[:32]
        assert other.said[32:] != told.said[32:]


def test_a_device_that_was_told_another_request_is_in_no_session(nfc: MemoryNfc) -> None:
    """§19-18: a request that only one side counts is as good as changed."""
    with schemes(nfc) as scheme:
        shop = Shop()
        paid, _, _ = shop.tap(scheme, lambda told: replace(told, said=sha256(b"") + told.said[32:]))
        assert paid.code is Code.BAD_SEAL


def test_a_tag_that_takes_no_request_is_read_and_that_is_all(nfc: MemoryNfc) -> None:
    """§19-17: a static handover."""

    def read_only(n: int, answer: bytes) -> bytes:
        return answer[:14] + b"\xff" + answer[15:] if n == 2 else answer

    nfc.garble = read_only
    with schemes(nfc) as scheme:
        paid, _, told = Shop().tap(scheme)
        assert paid.result is Result.PAID
        assert told.said[:32] == sha256(b"")
        assert not [apdu for apdu in nfc.commands if apdu[1] == 0xD6]


def test_no_card_and_no_way_to_be_one(nfc: MemoryNfc) -> None:
    with schemes(nfc) as scheme:
        assert refused(lambda: scheme.connect("memory", 0)).code is Code.LINK_LOST
    for call, said in (
        (lambda: nfc_handover.PCSC.listen("ACR"), "only reads"),
        (lambda: nfc_handover.VPCD.connect("127.0.0.1:1", 0), "pcsc+ble:"),
    ):
        error = refused(call)
        assert error.code is Code.BAD_INPUT
        assert said in error.detail


def test_a_place_that_is_no_card_lets_the_radio_go(nfc: MemoryNfc) -> None:
    class Broken(MemoryNfc):
        def present(self, address: str, end: CardEnd) -> Listener:
            raise TapError(Code.BAD_INPUT, "no device")

    closed: list[bool] = []

    class Far:
        address = "x"

        def listen(self, address: str) -> Listener:
            return self

        def connect(self, address: str, timeout: float | None) -> Link:
            raise AssertionError

        def accept(self, timeout: float | None) -> Link:
            raise AssertionError

        def close(self) -> None:
            closed.append(True)

    assert refused(lambda: HandoverScheme(None, Broken(), Far()).listen("memory")).code is Code.BAD_INPUT
    assert closed == [True]


def test_what_is_handed_over_is_a_link() -> None:
    with schemes(MemoryNfc()) as scheme, closing(scheme.listen("memory@")) as listener:
        link = scheme.connect("memory", PATIENCE)
        with closing(link), closing(listener.accept(PATIENCE)) as accepted:
            assert isinstance(accepted, HandedOver)
            assert link.max_frame == accepted.max_frame == limits.MESSAGE
            link.send(b"hello")
            assert accepted.receive(PATIENCE) == b"hello"


# The tag


def talk(card: Callable[[bytes], bytes | None], request: bytes = b"", most: int = 10_000) -> tuple[bytes, int]:
    """Read a card; return its message and the number of commands."""
    conversation = read_message(request)
    command, count = next(conversation), 1
    try:
        while count <= most:
            command, count = conversation.send(card(command)), count + 1
    except StopIteration as stop:
        return stop.value, count
    raise AssertionError("the reader asks and asks")


@pytest.mark.parametrize("size", [1, 238, 239, 240, 241, 480, 510])
def test_a_message_of_any_size_is_read_whole(size: int) -> None:
    message = bytes(n % 251 for n in range(size))
    card = Tag(message, lambda _: None)
    assert talk(card.command)[0] == message
    assert card.read
    assert not card.request


def test_the_containers_bytes_are_as_the_forum_has_them() -> None:
    """§19-16."""
    assert container().hex() == "000f2000f000f00406e10402000000"


def test_a_request_counts_once_its_length_is_written_and_until_the_next_reader() -> None:
    """§19-17."""
    end = TagEnd()
    end.show(encode_select(OFFER))
    assert talk(end.respond, REQUEST)[0] == encode_select(OFFER)
    assert end.request == REQUEST
    assert talk(end.respond)[0] == encode_select(OFFER)
    assert end.request == b""
    for wrong in (b"x", REQUEST[:-1], REQUEST + b"\0", encode_select(OFFER), ndef.encode((ndef.Record(
        ndef.Naming.WELL_KNOWN, b"Hr", b"\x15"),))):  # fmt: skip
        assert refused(lambda: talk(end.respond, wrong)).code is Code.LINK_LOST  # noqa: B023 - called at once
        assert end.request == b""
    conversation = read_message(REQUEST)
    command = next(conversation)
    while command[1] != 0xD6 or command[2:4] != b"\0\2":
        command = conversation.send(end.respond(command))
    end.respond(command)
    assert end.request == b"", "its length is not written yet"
    end.reset("torn")
    assert talk(end.respond, REQUEST)[0] == encode_select(OFFER)
    assert end.request == REQUEST


COMMANDS: dict[str, tuple[str, str]] = {
    "dualtap's own application": (SELECT.hex(), "6a82"),
    "before SELECT": ("00b0000002", "6a82"),
}
AFTER: dict[str, tuple[str, str]] = {
    "no such file": ("00a4000c02e105", "6a82"),
    "a file by another way": ("00a4020c02e104", "6a86"),
    "a file of three bytes": ("00a4000c03e10400", "6a86"),
    "reading no file": ("00b0000002", "6985"),
    "writing no file": ("00d600000100", "6982"),
    "another class": ("80b0000002", "6e00"),
    "another command": ("00200000", "6d00"),
    "a length that is none": ("00d6000005ff", "6700"),
}
IN_FILE: dict[str, tuple[str, str]] = {
    "reading behind the end": ("00b07fff10", "6b00"),
    "writing behind the end": ("00d6020001ff", "6b00"),
    "writing nothing": ("00d60000", "6700"),
    "a message longer than the tag": ("00d6000002ffff", "6a80"),
    "an empty request": ("00d60000020001", "6a80"),
}


@pytest.mark.parametrize("case", [*COMMANDS, *AFTER, *IN_FILE])
def test_what_a_reader_may_not_do_is_answered_and_changes_nothing(case: str) -> None:
    """§19-16: every command has its answer, and the message is as it was."""
    end = TagEnd()
    end.show(encode_select(OFFER))
    select = encode_command(Command(0, 0xA4, 4, 0, tag.AID, 256))
    if case not in COMMANDS:
        assert end.respond(select) == b"\x90\0"
    if case in IN_FILE:
        assert end.respond(bytes.fromhex("00a4000c02e104")) == b"\x90\0"
    command, status = {**COMMANDS, **AFTER, **IN_FILE}[case]
    assert (end.respond(bytes.fromhex(command)) or b"").hex() == status
    assert end.request == b""
    assert talk(end.respond)[0] == encode_select(OFFER)


def test_a_tag_bears_any_bytes() -> None:
    """§19-16: random commands, by a seed: an answer each, and no more memory than the file."""
    source = random.Random(5)
    end = TagEnd()
    end.show(encode_select(OFFER))
    starts = [b"", b"\0\xa4\4\0\7" + tag.AID, b"\0\xa4\0\x0c\2\xe1\4", b"\0\xd6\0", b"\0\xb0", b"\0\xd6\1"]
    for _ in range(3000):
        apdu = source.choice(starts) + source.randbytes(source.randrange(12))
        answer = end.respond(apdu)
        assert answer is not None
        assert 2 <= len(answer) <= 242
    assert talk(end.respond, REQUEST)[0] == encode_select(OFFER)


def test_a_message_that_no_tag_holds_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="no tag holds"):
        Tag(bytes(511), lambda _: None)


# Hostile tags


def honest(change: Callable[[int, bytes], bytes | None]) -> Callable[[bytes], bytes | None]:
    card, count = Tag(encode_select(OFFER), lambda _: None), iter(range(10**6))

    def respond(apdu: bytes) -> bytes | None:
        return change(next(count), card.command(apdu) or b"")

    return respond


def at(place: int, said: bytes | None) -> Callable[[int, bytes], bytes | None]:
    return lambda n, answer: said if n == place else answer


def with_container(**fields: str) -> Callable[[int, bytes], bytes | None]:
    """Return an honest tag with other values, by the offset of each in its container."""
    data = bytearray(container())
    for offset, value in fields.items():
        data[int(offset[1:]) : int(offset[1:]) + len(value) // 2] = bytes.fromhex(value)
    return at(2, bytes(data) + b"\x90\0")


HOSTILE: dict[str, tuple[Callable[[int, bytes], bytes | None], Code]] = {
    "is no tag": (at(0, b"\x6a\x82"), Code.LINK_LOST),
    "says nothing": (lambda n, answer: None, Code.LINK_LOST),
    "says too little": (at(1, b"\x90"), Code.MALFORMED),
    "says more than it was asked": (at(4, bytes(9) + b"\x90\0"), Code.MALFORMED),
    "gives more of its message than was asked": (at(5, bytes(300) + b"\x90\0"), Code.MALFORMED),
    "has a short container": (at(2, bytes(14) + b"\x90\0"), Code.MALFORMED),
    "is of another version": (with_container(_2="30"), Code.MALFORMED),
    "has a file of another kind": (with_container(_7="05"), Code.MALFORMED),
    "gives a byte at a time": (with_container(_3="0001"), Code.MALFORMED),
    "holds nothing": (with_container(_11="0001"), Code.MALFORMED),
    "has an empty message": (at(4, b"\0\0\x90\0"), Code.MALFORMED),
    "has a message longer than itself": (at(4, b"\xff\xff\x90\0"), Code.MALFORMED),
    "gives nothing of its message": (lambda n, answer: b"\x90\0" if n > 4 else answer, Code.MALFORMED),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_tag_costs_a_moment(case: str) -> None:
    """§19-16: bounded commands, a typed error."""
    change, code = HOSTILE[case]
    assert refused(lambda: talk(honest(change), most=40)).code is code


def test_a_tag_that_trickles_is_read_in_bounded_commands() -> None:
    """One byte in each answer: as many commands as the message has bytes, and no more."""
    message, count = talk(honest(lambda n, answer: answer[:1] + b"\x90\0" if n > 4 else answer), most=ndef.MESSAGE)
    assert len(message) == len(encode_select(OFFER))
    assert count < ndef.MESSAGE


@pytest.mark.parametrize("place", range(6))
def test_an_answer_that_is_lost_is_asked_for_again(place: int) -> None:
    """To read or write again changes nothing."""
    assert talk(honest(at(place, None)))[0] == encode_select(OFFER)


@pytest.mark.parametrize("heard", [False, True], ids=["command-lost", "command-heard"])
def test_a_reading_torn_at_any_command_leaves_a_tag_that_is_read_again(heard: bool) -> None:
    """§19-17: and what was half written is nobody's request."""
    _, commands = talk(honest(lambda n, answer: answer), REQUEST)
    for place in range(commands):
        end = TagEnd()
        end.show(encode_select(OFFER))
        conversation = read_message(REQUEST)
        command = next(conversation)
        for _ in range(place):
            command = conversation.send(end.respond(command))
        if heard:
            end.respond(command)
        end.reset("the field has gone")
        assert talk(end.respond)[0] == encode_select(OFFER)
        assert end.request == b""

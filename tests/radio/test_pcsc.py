"""Taps through pcscd: a virtual card of ours in its reader, torn out at every command, and foreign clients."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from functools import partial

import pytest

from dualtap import limits
from dualtap.context import Charge, Order, Pay
from dualtap.errors import Code, TapError
from dualtap.events import Result
from dualtap_devices.driver import Driver, run
from dualtap_devices.wallet import Wallet
from dualtap_transports import apdu, pcsc, tcp, vpcd
from dualtap_transports.apdu import SHORT, Ins
from dualtap_transports.chunks import Joiner, split
from dualtap_transports.link import Link
from tests.playbook import EPOCH, World
from tests.support.cable import Cable, take
from tests.support.pcscd import Pcscd

PATIENCE = 20.0
NOW = float(EPOCH * limits.EPOCH_SECONDS)
BASKET = b"sixteen bytes..."
NEVER = 1000


def drive(world: World, wallet: Wallet, order: Order, starts: bool) -> Driver:
    return Driver(wallet, order, starts, world.suite.ephemeral(world.draw()), world.draw(), clock=lambda: NOW)


def read_and_run(driver: Driver, name: str) -> None:
    run(driver, pcsc.SCHEME.connect(name, PATIENCE), PATIENCE)


def tap(pcscd: Pcscd, sides: tuple[Driver, Driver], payer_reads: bool, at: int, heard: bool) -> tuple[Result, int]:
    """Tap once through a cable; return how the payer's side ended, and how many commands passed."""
    reads, answers = sides if payer_reads else sides[::-1]
    before = pcscd.events(pcscd.readers[0])
    cable = Cable(pcscd.addresses[0], at, heard)
    with closing(cable), closing(vpcd.SCHEME.listen(cable.address)) as listener, ThreadPoolExecutor() as threads:
        reading = threads.submit(read_and_run, reads, pcscd.readers[0])
        card = listener.accept(PATIENCE)
        listener.close()
        run(answers, card, PATIENCE)
        reading.result(PATIENCE)
    pcscd.wait_for(pcscd.readers[0], before + 2)
    return sides[0].result.result, cable.commands


@pytest.mark.parametrize("heard", [False, True], ids=["command-lost", "answer-lost"])
@pytest.mark.parametrize("payer_reads", [True, False], ids=["payer-reads", "payee-reads"])
def test_a_tear_at_every_command_is_healed_by_a_second_tap(pcscd: Pcscd, payer_reads: bool, heard: bool) -> None:
    """§1-4: from the first command after SELECT on; before it nothing has been said."""
    at, ends = 1, set[Result]()
    while True:
        world = World(seed=f"pcsc {at}")
        payer, payee = world.wallet(fund=500), world.wallet()

        def sides(world: World = world, payer: Wallet = payer, payee: Wallet = payee) -> tuple[Driver, Driver]:
            return drive(world, payer, Pay(), payer_reads), drive(
                world, payee, Charge(100, "CNY", BASKET), not payer_reads
            )

        result, commands = tap(pcscd, sides(), payer_reads, at, heard)
        world.check()
        ends.add(result)
        if commands < at:
            break
        tap(pcscd, sides(), payer_reads, NEVER, heard)
        assert not payer.book.pending
        assert payee.book.available(EPOCH) == 100
        world.check()
        at += 1
    assert at >= 5
    assert ends == {Result.NOT_PAID, Result.IN_DOUBT, Result.PAID}


# Clients that we did not write


def opensc_tool(pcscd: Pcscd, commands: list[bytes]) -> list[bytes]:
    """Give commands by OpenSC's tool; return the answers, status words first as it prints them."""
    arguments = [part for command in commands for part in ("-s", command.hex())]
    out = subprocess.run(
        ["opensc-tool", "-r", pcscd.readers[0], *arguments], capture_output=True, text=True, check=True, timeout=30
    ).stdout
    answers: list[bytes] = []
    for part in out.split("Received (SW1=0x")[1:]:
        head, _, rest = part.partition("\n")
        word = bytes.fromhex(head[:2] + head.partition("SW2=0x")[2][:2])
        lines = rest.partition("Sending")[0].splitlines()
        # Three columns for each byte, then the bytes as text: the first lines of many are filled up to 16 bytes.
        sizes = [len(line) - 48 if len(line) > 48 else len(line) // 4 for line in lines]
        data = b"".join(bytes.fromhex(line[: 3 * size]) for line, size in zip(lines, sizes, strict=True))
        answers.append(data + word)
    return answers


def scriptor(pcscd: Pcscd, commands: list[bytes]) -> list[bytes]:
    """Give commands by pcsc-tools' scriptor; return the answers."""
    out = subprocess.run(
        ["scriptor", "-r", pcscd.readers[0]],
        input="".join(f"{command.hex(' ')}\n" for command in commands),
        capture_output=True, text=True, check=True, timeout=30,
    ).stdout  # fmt: skip
    answers = out.split("\n< ")[1:]
    return [bytes.fromhex(answer.partition(":")[0]) for answer in answers]


CLIENTS = {"opensc-tool": opensc_tool, "scriptor": scriptor}


def say_welcome(listener: vpcd.VpcdListener, payee: Driver) -> Link:
    """Be a till that is tapped: answer one Hello."""
    link: Link = listener.accept(PATIENCE)
    payee.begin()
    for frame in payee.receive(link.receive(PATIENCE)):
        link.send(frame)
    return link


@pytest.mark.parametrize("name", CLIENTS)
def test_a_foreign_client_opens_a_tap(pcscd: Pcscd, name: str) -> None:
    """§18-1, §18-2, §18-5 to §18-7: Hello and Welcome of a real tap, in APDUs that somebody else's program sent."""
    world = World(seed="foreign")
    payer, payee = world.wallet(fund=500), world.wallet()
    payer_side = drive(world, payer, Pay(), True)
    payee_side = drive(world, payee, Charge(100, "CNY", BASKET), False)
    [hello] = payer_side.begin()
    [chunk] = split(hello, SHORT.command)
    commands = [
        apdu.SELECT,
        bytes.fromhex("00a4040007d276000085010100"),
        apdu.request(Ins.EXCHANGE, 0x00FF, chunk, SHORT),
        apdu.request(Ins.REPEAT, 0x00FF, b"", SHORT),
        *(apdu.request(Ins.CONTINUE, 0x0100 + n, b"", SHORT) for n in range(2)),
        apdu.request(Ins.CONTINUE, 0x0200, b"", SHORT),
    ]
    before = pcscd.events(pcscd.readers[0])
    with closing(vpcd.SCHEME.listen(pcscd.addresses[0])) as listener, ThreadPoolExecutor() as threads:
        pcscd.wait_for(pcscd.readers[0], before + 1)
        card = threads.submit(say_welcome, listener, payee_side)
        selected, other, first, again, second, third, wrong = CLIENTS[name](pcscd, commands)
        with closing(card.result(PATIENCE)) as link:
            assert refusal(link) is Code.MALFORMED
    assert apdu.decode_selected(selected[:-2]) == SHORT
    assert other == b"\x6a\x82"
    assert first[:2] == b"\x00\xff"
    assert again == first
    joiner = Joiner()
    assert joiner.feed(first[2:-2]) is None
    welcome = joiner.feed(second[2:-2])
    assert welcome is not None
    assert third == b"\x01\x01\x91\x20", "a till that waits says so"
    assert wrong == b"\x6a\x86"
    payer_side.receive(welcome)
    assert payer.book.pending, "the payer understood the Welcome and paid"


def refusal(link: Link) -> Code | int:
    with pytest.raises(TapError) as caught:
        link.receive(PATIENCE)
    return caught.value.code


# Cards that break the rules


class Hostile:
    """A card of vpcd's that selects properly, and then answers as it likes; ``None``: not at all."""

    def __init__(self, address: str, answers: Iterator[bytes | None]) -> None:
        self._sock = socket.create_connection(tcp.parse_address(address))
        self._answers = answers

    def serve(self) -> None:
        with closing(self._sock), suppress(EOFError, OSError):
            self._serve()

    def close(self) -> None:
        self._sock.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        while True:
            command = take(self._sock)[2:]
            answer: bytes | None
            if len(command) == 1:
                answer = vpcd.ATR if command[0] == 4 else None
            elif command == apdu.SELECT:
                answer = apdu.encode_selected(SHORT) + b"\x90\0"
            else:
                said = next(self._answers)
                answer = None if said is None else said.replace(b"CC", command[2:4])
            if answer is not None:
                self._sock.sendall(len(answer).to_bytes(2, "big") + answer)


def endless_chain() -> Iterator[bytes | None]:
    yield b"CC\x80\x40\x00x\x90\0"
    n = 1
    while True:
        yield b"CC" + bytes([0x80 | n % 128]) + b"x\x90\0"
        n += 1


def repeated(answer: bytes | None) -> Iterator[bytes | None]:
    while True:
        yield answer


HOSTILE: dict[str, tuple[Callable[[], Iterator[bytes | None]], Code]] = {
    "garbage": (partial(repeated, b"\xff" * 200), Code.MALFORMED),
    "no-status": (partial(repeated, b"CC"), Code.MALFORMED),
    "stale": (partial(repeated, b"\0\0\0\0\1x\x90\0"), Code.LINK_LOST),
    "flood": (partial(repeated, b"CC\0\0\xeb" + bytes(60_000) + b"\x90\0"), Code.TOO_LARGE),
    "chain": (endless_chain, Code.MALFORMED),
    "stall": (partial(repeated, None), Code.TIMEOUT),
    "never-ready": (partial(repeated, b"CC\x91\x20"), Code.TIMEOUT),
    "busy": (partial(repeated, b"CC\x91\x30"), Code.TIMEOUT),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_card_costs_a_tap_and_a_moment(pcscd: Pcscd, name: str) -> None:
    """§18-10, §18-13: a typed error, and the next card is read as ever."""
    answers, code = HOSTILE[name]
    world = World(seed="hostile")
    payer = world.wallet(fund=500)
    before = pcscd.events(pcscd.readers[1])
    hostile = Hostile(pcscd.addresses[1], answers())
    with ExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor())
        threads.submit(hostile.serve)
        stack.callback(hostile.close)
        driver = drive(world, payer, Pay(), True)
        report = run(
            driver, pcsc.SCHEME.connect(pcscd.readers[1], PATIENCE), PATIENCE if code is not Code.TIMEOUT else 0.5
        )
    assert (report.result, report.code) == (Result.NOT_PAID, code)
    assert payer.book.available(EPOCH) == 500
    world.check()
    pcscd.wait_for(pcscd.readers[1], before + 2)
    with (
        closing(vpcd.SCHEME.listen(pcscd.addresses[1])) as listener,
        closing(pcsc.SCHEME.connect(pcscd.readers[1], PATIENCE)) as reader,
    ):
        reader.send(b"still here")
        with closing(listener.accept(PATIENCE)) as card:
            assert card.receive(PATIENCE) == b"still here"


# Addresses


def test_a_reader_that_is_not_there_is_named_with_those_that_are(pcscd: Pcscd) -> None:
    for wrong in ("no such reader", "Virtual PCD"):
        with pytest.raises(TapError) as caught:
            pcsc.SCHEME.connect(wrong, 0)
        assert caught.value.code is Code.BAD_INPUT
        assert pcscd.readers[0] in caught.value.detail


def test_a_reader_without_a_card_is_a_lost_link(pcscd: Pcscd) -> None:
    with pytest.raises(TapError) as caught:
        pcsc.SCHEME.connect(pcscd.readers[1].upper(), 0.3)
    assert caught.value.code is Code.LINK_LOST
    assert pcscd.readers[1] in caught.value.detail


def test_a_card_that_another_reader_holds_is_waited_for(pcscd: Pcscd) -> None:
    with closing(vpcd.SCHEME.listen(pcscd.addresses[0])) as listener:
        with closing(pcsc.SCHEME.connect(pcscd.readers[0], PATIENCE)):
            listener.accept(PATIENCE)
            with pytest.raises(TapError) as caught:
                pcsc.SCHEME.connect(pcscd.readers[0], 0.3)
        assert caught.value.code is Code.LINK_LOST
        assert "another program" in caught.value.detail

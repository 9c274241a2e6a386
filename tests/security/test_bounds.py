"""What a stranger's bytes can cost: memory and calls for each message and each nesting, counted and not timed.

Every decoder is given what claims much, nests deep, spreads wide, or is as long as it may be.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NamedTuple, get_args

import pytest

from dualtap import codec, forms, limits, syncmessages, wire
from dualtap.call import decode_call
from dualtap.errors import TapError
from dualtap.evidence import decode_evidence
from dualtap.logcodec import decoder
from dualtap.statements import Kind, Verification
from dualtap.suite import P256, Verify
from dualtap.sync import decode_reply, decode_signed_upload, decode_upload
from dualtap.wire import (
    DoneMessage,
    Hello,
    NewsHave,
    NewsPiece,
    OutcomeMessage,
    PingMessage,
    PongMessage,
    PresentMessage,
    ProceedMessage,
    RecallMessage,
    RefuseMessage,
    RequestMessage,
    TransferMessage,
    Want,
)
from dualtap_transports.apdu import decode_command
from dualtap_transports.handover import decode_select
from tests.playbook import Meeting, World

WORLD = World("p256", seed="bounds")
SIZE = limits.MESSAGE
MEMORY = 96
"""Bytes of memory for one byte of a message: an empty list is one byte long, and takes 64 in memory."""
FLOOR = 288 * 1024
"""Bytes that any call takes: the buffer of msgpack's packer, an exception and its text."""
CALLS = 3
"""Calls of functions, ours and the interpreter's, for one byte; of what is refused at once, far fewer."""
NUMBERS = (3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 32, 127)

Decode = Callable[[bytes], object]
DECODERS: dict[str, Decode] = {
    "message": wire.decode,
    "Hello": wire.decode_hello,
    "Welcome": wire.decode_welcome,
    "Call": decode_call,
    "message of a sync": syncmessages.decode,
    "upload": lambda data: decode_upload(WORLD.scheme, data),
    "signed upload": decode_signed_upload,
    "reply": lambda data: decode_reply(WORLD.scheme, data),
    "evidence": lambda data: decode_evidence(data, WORLD.scheme.root),
    "record": decoder(WORLD.scheme.id),
    "certificate": forms.decode_certificate,
    "Grant": lambda data: forms.decode_grant(WORLD.scheme.id, WORLD.bank.public, data),
    "handover": decode_select,
    "APDU": decode_command,
}


def array(count: int) -> bytes:
    """Return the head of an array."""
    return bytes([0x90 + count]) if count < 16 else b"\xdc" + count.to_bytes(2, "big")


def wide(item: bytes, most: int, size: int) -> bytes:
    """Return arrays of arrays with as many items as a size holds, each array of at most so many."""
    level = item
    while len(level) < size:
        count = min(most, (size - 3) // len(level))
        if count < 2:
            break
        level = array(count) + level * count
    return level


def hostile() -> Iterator[tuple[str, bytes]]:
    """Yield what makes careless decoders reserve, recurse or repeat."""
    for name, head in (("array", b"\xdd"), ("map", b"\xdf"), ("bytes", b"\xc6"), ("text", b"\xdb"), ("ext", b"\xc9")):
        yield f"{name} that claims 4 GiB", head + b"\xff" * 4 + bytes(40)
        yield f"{name} that claims 4 GiB, in a message", b"\x92\x05" + head + b"\xff" * 4 + bytes(40)
    for depth in (9, 100, 511, 1024, 1025, SIZE - 1):
        yield f"arrays {depth} deep", b"\x91" * depth + b"\xc0"
        yield f"arrays {depth} deep, in a message", b"\x92\x05" + b"\x91" * min(depth, SIZE - 3) + b"\xc0"
    for name, item in (("empty arrays", b"\x90"), ("nils", b"\xc0"), ("empty bytes", b"\xc4\x00"), ("floats", b"\xca")):
        filled = item + bytes(4) if item == b"\xca" else item
        yield f"wide: {name}", wide(filled, 64, SIZE)
    yield "as long as may be, of nothing", bytes(SIZE)
    yield "one byte too long", codec.pack(bytes(SIZE))


def numbered() -> Iterator[tuple[str, bytes]]:
    """Yield the same within each message."""
    for number in NUMBERS:
        body = wide(b"\x90", 64, SIZE - 8)
        yield f"message {number} of empty arrays", array(2) + codec.pack(number) + body
        yield f"message {number} of one long byte string", array(2) + codec.pack(number) + codec.pack(bytes(SIZE - 8))


HOSTILE = dict(hostile())
NUMBERED = dict(numbered())
NUMBERING = ("message", "message of a sync")


class Cost(NamedTuple):
    """What a call took: the peak of memory in bytes, and the calls of functions."""

    memory: int
    calls: int


def refused(decode: Decode, data: bytes) -> None:
    """Decode, and take the documented refusal for an answer."""
    try:
        decode(data)
    except TapError:
        return


def cost(act: Callable[[], None]) -> Cost:
    """Measure a call twice: its memory, then its calls."""
    tracemalloc.start()
    try:
        act()
        memory = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        del frame, argument
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        act()
    finally:
        sys.setprofile(before)
    return Cost(memory, calls)


@pytest.mark.parametrize("name", DECODERS)
def test_hostile_bytes_cost_no_more_than_their_length(name: str) -> None:
    """§5.1-2, §5.1-5: each decoder raises nothing but what is documented, and stays within its bounds."""
    decode = DECODERS[name]
    for what, data in (HOSTILE | NUMBERED if name in NUMBERING else HOSTILE).items():
        found = cost(lambda data=data: refused(decode, data))  # type: ignore[misc]
        assert found.memory <= FLOOR + MEMORY * len(data), (what, found)
        assert found.calls <= 200 + CALLS * len(data), (what, found)


def largest() -> Iterator[wire.Message]:
    """Yield each kind of message, as long as it may be."""
    certificate, chain = WORLD.certificate(WORLD.bank.public), WORLD.authorities
    authorities = tuple((chain * 3)[:8])
    head = (bytes(64), certificate, authorities, 9)
    yield RequestMessage(
        True, 1, "CNY", bytes(16), 1, bytes(32), 7, 16, SIZE, Verification.PIN, WORLD.epoch, *head
    )  # fmt: skip
    yield PresentMessage(True, WORLD.epoch, *head)
    yield OutcomeMessage(Kind.CLOSE, b"", 1, WORLD.epoch, bytes(16), 1, 2, bytes(64), WORLD.header)
    yield ProceedMessage()
    yield RefuseMessage(2**32 - 1)
    yield DoneMessage()
    yield RecallMessage((bytes(32),) * limits.RECALLS)
    yield NewsHave(1, (bytes(4),) * 64, SIZE, SIZE)
    yield NewsPiece(1, bytes(SIZE - 16))
    yield PingMessage(bytes(8))
    yield PongMessage(bytes(8))


def test_each_message_costs_what_its_length_says() -> None:
    """The largest of each kind, well formed: decoding is linear in its bytes."""
    seen: set[type] = set()
    for message in [*largest(), *longest_transfers()]:
        seen.add(type(message))
        data = wire.encode(message)
        found = cost(lambda data=data: refused(wire.decode, data))  # type: ignore[misc]
        assert wire.decode(data) == message
        assert found.memory <= FLOOR + MEMORY * len(data), (message, found)
        assert found.calls <= 200 + CALLS * len(data), (message, found)
    assert seen == set(get_args(wire.Message))
    hello = wire.encode_hello(Hello(WORLD.scheme.hint, tuple(range(8)), WORLD.bank.public, Want.PAY))
    assert cost(lambda: refused(wire.decode_hello, hello)).calls < 200


# Signatures to verify


class Line:
    """Value that goes from hand to hand; each hand pays on what it got, in as many spans as it can."""

    def __init__(self, hands: int) -> None:
        self.world = World("p256", seed="line")
        self.wallets = [self.world.wallet(fund=(10, 10, 10)), *[self.world.wallet() for _ in range(hands)]]
        self.last: Meeting | None = None

    def walk(self) -> None:
        for payer, payee in zip(self.wallets, self.wallets[1:], strict=False):
            self.last = self.world.meet(payer, payee, 30).run()
            assert self.last.payer.report.code is None

    @property
    def transfer(self) -> TransferMessage:
        assert self.last is not None
        return next(seen.message for seen in self.last.heard if isinstance(seen.message, TransferMessage))


def longest_transfers() -> Iterator[TransferMessage]:
    line = Line(limits.HOPS)
    line.walk()
    yield line.transfer


def test_each_signature_of_a_transfer_is_verified_once() -> None:
    """§8.1: six hands of three spans each; what a payee verifies is what the message carries."""
    line = Line(limits.HOPS - 1)
    verified: list[tuple[bytes, bytes]] = []
    verifier = P256.verifier

    def counted(public: bytes) -> Verify:
        verify = verifier(public)

        def check(signature: bytes, digest: bytes) -> None:
            verified.append((public, digest))
            verify(signature, digest)

        return check

    line.walk()
    fresh = line.world.wallet()
    object.__setattr__(P256, "verifier", counted)
    try:
        line.last = line.world.meet(line.wallets[-1], fresh, 30).run()
    finally:
        object.__setattr__(P256, "verifier", verifier)
    bundle = line.transfer.bundle
    carried = len(bundle.certificates) + len(bundle.tokens) + len(bundle.transfers)
    assert carried > 14
    assert len(set(verified)) == len(verified), "a signature was verified twice"
    assert len(verified) <= carried + 8, "beside what the message carries: Request, Transfer, Receipt, who signed them"

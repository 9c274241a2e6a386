"""``--log-level traffic``: each frame is named once, in order, and nothing that is secret is told."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest

from dualtap import wire
from dualtap.call import Call, Charged, encode_call
from dualtap.context import Charge, Pay
from dualtap.errors import Code, TapError
from dualtap.events import Result
from dualtap.issued import Carrier
from dualtap.suite import P256
from dualtap.wire import Want
from dualtap_apps.traffic import Traffic, TrafficCarrier, TrafficLink, told
from dualtap_devices.driver import Driver, run
from dualtap_devices.wallet import Wallet
from dualtap_testing.toyscheme import ToyScheme
from dualtap_transports.link import Link
from dualtap_transports.loopback import pair

PATIENCE = 20.0


class Recorded:
    """A link that keeps each frame."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.frames = list[bytes]()

    @property
    def max_frame(self) -> int:
        return self._link.max_frame

    def send(self, frame: bytes) -> None:
        self.frames.append(frame)
        self._link.send(frame)

    def receive(self, timeout: float | None) -> bytes:
        self.frames.append(self._link.receive(timeout))
        return self.frames[-1]

    def close(self) -> None:
        self._link.close()


def tap(payer: Wallet, payee: Wallet, initiator: bool = True) -> tuple[list[str], list[str], list[bytes]]:
    """Run a tap; return what each side told, and the frames."""
    left, right = pair()
    told_payer, told_payee = list[str](), list[str]()
    recorded = Recorded(left)
    near = TrafficLink(recorded, Traffic(payer, told_payer.append))
    far = TrafficLink(right, Traffic(payee, told_payee.append))
    pays = Driver.fresh(payer, Pay(), initiator=initiator)
    collects = Driver.fresh(payee, Charge(1250, "CNY", secrets.token_bytes(16)), initiator=not initiator)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(run, collects, far, PATIENCE)
        assert run(pays, near, PATIENCE).result is Result.PAID
        other.result()
    return told_payer, told_payee, recorded.frames


def wallets() -> tuple[Wallet, Wallet]:
    toy = ToyScheme(P256)
    return toy.memory_wallet(Carrier.WATCH, 10_000), toy.memory_wallet(Carrier.POS)


@pytest.mark.parametrize(
    ("initiator", "names"),
    [
        (True, ["Hello (pay)", "Welcome (collect) with Request, sealed", "Transfer, sealed", "Receipt, sealed"]),
        (
            False,
            ["Hello (collect)", "Welcome (pay)", "Request, sealed", "Transfer, sealed", "Receipt, sealed"],
        ),
    ],
)
def test_both_sides_name_every_frame_in_order_with_its_direction_and_length(initiator: bool, names: list[str]) -> None:
    payer, payee, frames = tap(*wallets(), initiator=initiator)
    for lines, first in ((payer, initiator), (payee, not initiator)):
        assert [line.split("bytes")[1].strip() for line in lines] == names
        assert [int(line.split()[1]) for line in lines] == [len(frame) for frame in frames]
        assert [line.split()[0] == "sent" for line in lines] == [first ^ bool(i % 2) for i in range(len(names))]


def test_no_key_amount_salt_or_plaintext_is_ever_told(monkeypatch: pytest.MonkeyPatch) -> None:
    payer, payee = wallets()
    opened = list[bytes]()
    seen = Traffic._seen  # pyright: ignore[reportPrivateUsage]

    def watched(self: Traffic, sealed: bytes, plain: bytes) -> None:
        opened.append(plain)
        seen(self, sealed, plain)

    monkeypatch.setattr(Traffic, "_seen", watched)
    said, heard, _ = tap(payer, payee)
    lines = "\n".join(said + heard)
    assert len(opened) == 6
    for canary in (*opened, payer.book.key, payee.book.key):
        for start in range(0, len(canary) - 8, 4):
            part = canary[start : start + 8]
            assert part.hex() not in lines
            assert repr(part)[2:-1] not in lines
    assert "1250" not in lines
    assert "12.50" not in lines


class Said:
    """A link whose peer says what it was given."""

    max_frame = 100

    def __init__(self, *frames: bytes) -> None:
        self._frames = list(frames)

    def send(self, frame: bytes) -> None:
        del frame

    def receive(self, timeout: float | None) -> bytes:
        del timeout
        if not self._frames:
            raise TapError(Code.TIMEOUT)
        return self._frames.pop(0)

    def exchange(self, frame: bytes) -> bytes:
        self.send(frame)
        return self.receive(None)

    def close(self) -> None:
        self._frames.clear()


def test_garbage_is_told_as_such_and_passed_on_unchanged() -> None:
    lines = list[str]()
    link = TrafficLink(Said(b"garbage", b"more", b"sealed by nobody"), Traffic(wallets()[0], lines.append))
    assert [link.receive(None) for _ in range(3)] == [b"garbage", b"more", b"sealed by nobody"]
    with pytest.raises(TapError):
        link.receive(None)
    link.close()
    assert [line.split("bytes")[1].strip() for line in lines] == [
        "unreadable (MALFORMED)",
        "unreadable (MALFORMED)",
        "sealed, and not opened",
    ]


def test_a_carriers_frames_are_told_of_too() -> None:
    lines = list[str]()
    carrier = TrafficCarrier(Said(b"answer"), Traffic(wallets()[0], lines.append))
    assert carrier.exchange(b"x") == b"answer"
    assert [line.split()[:2] for line in lines] == [["sent", "1"], ["received", "6"]]


def test_nothing_is_watched_that_was_not_asked_for() -> None:
    wallet, link = wallets()[0], Said()
    scheme = wallet.book.scheme
    assert told(link, wallet, "normal") is link
    assert wallet.book.scheme is scheme


def test_a_call_before_the_session_is_named_and_the_session_after_it() -> None:
    """SPEC §25: what a Call wants is told, and no amount."""
    said = list[str]()
    traffic = Traffic(ToyScheme(P256).memory_wallet(Carrier.CARD, 5), said.append)
    call = encode_call(Call(Want.COLLECT, Charged(1250, "CNY", b"a basket to pay.", 0)))
    traffic.received(call)
    traffic.sent(wire.encode_hello(wire.Hello(b"hint", (1,), bytes(33), Want.COLLECT)))
    traffic.received(encode_call(Call(Want.PAY)))
    assert said == [
        f"received {len(call):>5} bytes  Call (collect)",
        "sent        46 bytes  Hello (collect)",
        "received     5 bytes  unreadable (UNEXPECTED_MESSAGE)",
    ]
    said.clear()
    Traffic(ToyScheme(P256).memory_wallet(Carrier.CARD, 5), said.append).received(call[:-1])
    assert said == [f"received {len(call) - 1:>5} bytes  unreadable Call (MALFORMED)"]

"""Two passive cards pay each other through a bridge, every APDU of it, and the bridge sees sealed bytes only."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest

from dualtap import limits, wire
from dualtap.call import Call, Charged, Introduction, encode_call
from dualtap.context import Charge
from dualtap.errors import Code, TapError
from dualtap.events import Ask, Consent, Decline, Report, Result
from dualtap.issued import Carrier
from dualtap.session import Handover, ident
from dualtap.wire import Want
from dualtap_devices.bridge import Bridged, bridge
from dualtap_devices.driver import Driver, run
from dualtap_devices.passive import ANY, Done, Waiting, attend, check_first
from dualtap_devices.wallet import Wallet
from dualtap_transports import loopback
from dualtap_transports.apdu_loopback import pair
from dualtap_transports.link import Link
from tests.playbook import EPOCH, World
from tests.support.virtual import BleHarness

PATIENCE = 20.0
NOW = float(EPOCH * limits.EPOCH_SECONDS)
BASKET = b"the same basket!"
WAITING = Waiting(clock=lambda: NOW)
COLLECT = Call(Want.COLLECT, Charged(120, "CNY", BASKET, 0))
PAY = Call(Want.PAY)


class Seen:
    """A link that keeps what crosses it, and is torn at a frame that all such links count together."""

    def __init__(self, link: Link, frames: list[bytes], at: int | None = None, heard: bool = True) -> None:
        self.link, self.frames, self.at, self.heard = link, frames, at, heard
        self.receive, self.close = link.receive, link.close

    @property
    def max_frame(self) -> int:
        return self.link.max_frame

    def send(self, frame: bytes) -> None:
        now = len(self.frames) == self.at
        self.frames.append(frame)
        if not now or self.heard:
            self.link.send(frame)
        if now:
            raise TapError(Code.LINK_LOST, "the card was taken away")


class Cards:
    """A payer's card and a payee's, each in a reader of one bridge. ``join`` gives a reader's and a card's end."""

    def __init__(
        self, seed: str = "bridge", carrier: Carrier = Carrier.CARD, join: Callable[[], tuple[Link, Link]] = pair
    ) -> None:
        self.join = join
        self.world = World(seed=seed)
        profile = limits.CARD if carrier is Carrier.CARD else limits.FULL
        self.payer = self.world.wallet(carrier, 500, profile=profile)
        self.payee = self.world.wallet(carrier, profile=profile)
        self.frames: list[bytes] = []
        self.person: Waiting = WAITING

    def tap(
        self, call: Call, at: int | None = None, heard: bool = True, swapped: bool = False
    ) -> tuple[Report, Report, Bridged]:
        """Bridge once; return how it ended for payer and payee, and what the bridge knows."""
        payer, payee = (self.payee, self.payer) if swapped else (self.payer, self.payee)
        self.frames = []
        with ThreadPoolExecutor(2) as pool:
            pays, collects = self.join(), self.join()
            called, other = (collects[0], pays[0]) if call.want & Want.COLLECT else (pays[0], collects[0])
            called.send(encode_call(call))
            waits: Waiting = self.person
            jobs: list[Future[Done]] = [pool.submit(attend, payer, pays[1], waits, PATIENCE)]
            if call.want & Want.COLLECT:
                jobs.append(pool.submit(attend, payee, collects[1], WAITING, PATIENCE))
            else:
                jobs.append(pool.submit(charging, self.world, payee, collects[1]))
            ends = [Seen(link, self.frames, at, heard) for link in (called, other)]
            known = bridge(ends[0], ends[1], PATIENCE)
            return ended(jobs[0]), ended(jobs[1]), known


def ended(job: Future[Done]) -> Report:
    """Return how a device's tap ended, if it began at all."""
    try:
        done = job.result(PATIENCE)
    except TapError as error:
        return Report(Result.NOT_PAID, code=error.code)
    assert isinstance(done, Driver)
    return done.result


def charging(world: World, wallet: Wallet, link: Link) -> Driver:
    """Wait as a till does that knows what it charges."""
    driver = Driver(
        wallet, Charge(120, "CNY", BASKET), False, world.suite.ephemeral(world.draw()), world.draw(), clock=lambda: NOW
    )
    run(driver, link, PATIENCE)
    return driver


@pytest.mark.parametrize("call", [COLLECT, PAY], ids=["payee-called", "payer-called"])
@pytest.mark.parametrize("carrier", [Carrier.CARD, Carrier.PHONE])
def test_two_passive_devices_pay_each_other(call: Call, carrier: Carrier) -> None:
    """§25-1, §26-1: whichever is called."""
    cards = Cards(carrier=carrier)
    paid, collected, known = cards.tap(call)
    assert (paid.result, collected.result) == (Result.PAID, Result.COLLECTED)
    assert (collected.amount, cards.payee.book.available(EPOCH)) == (120, 120)
    assert known == Bridged(len(cards.frames), sum(map(len, cards.frames)), Code.LINK_LOST)
    cards.world.check()


def test_a_bridge_sees_sealed_bytes_only() -> None:
    """§26-3: no key, certificate, token, amount, basket or signature of either side crosses in the clear."""
    cards = Cards()
    canaries = {
        "payer": cards.payer.book.key, "payee": cards.payee.book.key, "basket": BASKET,
        "payer's certificate": cards.payer.book.certificate.signature,
        "payee's certificate": cards.payee.book.certificate.signature,
        "token": next(iter(cards.payer.book.graph.tokens.values())).signature, "currency": b"CNY",
    }  # fmt: skip
    paid, _, _ = cards.tap(PAY)
    canaries["transfer"] = paid.transfer
    assert len(cards.frames) == 4, "Hello, Welcome with the Request, Transfer, Receipt"
    for name, canary in canaries.items():
        assert not [frame for frame in cards.frames if canary in frame], name
    hello, welcome = wire.decode_hello(cards.frames[0]), wire.decode_welcome(cards.frames[1])
    assert (hello.want, welcome.want) == (Want.PAY, Want.COLLECT)


@pytest.mark.parametrize("heard", [False, True], ids=["frame-lost", "frame-heard"])
@pytest.mark.parametrize("call", [COLLECT, PAY], ids=["payee-called", "payer-called"])
def test_a_bridge_torn_at_every_frame_and_the_next_one_heals(call: Call, heard: bool) -> None:
    """§1-4, §26-4: whichever frame was the last, the same sale again is paid once."""
    ends = set[Result]()
    at, over = -1, False
    while not over:
        at += 1
        cards = Cards(seed=f"torn {at}")
        torn, _, known = cards.tap(call, at, heard)
        ends.add(torn.result)
        over = len(cards.frames) <= at
        again, _, _ = cards.tap(call)
        assert again.result in (Result.PAID, Result.DONE)
        assert not cards.payer.book.pending
        assert (cards.payee.book.available(EPOCH), cards.payer.book.available(EPOCH)) == (120, 380)
        cards.world.check()
        assert known.ended is Code.LINK_LOST
    assert at >= 4
    assert ends == {Result.NOT_PAID, Result.IN_DOUBT, Result.PAID}


def test_value_goes_back_the_same_way() -> None:
    """Either card is payer or payee, as it is called."""
    cards = Cards()
    cards.tap(COLLECT)
    back = Call(Want.COLLECT, Charged(50, "CNY", b"back again......", 0))
    paid, _, _ = cards.tap(back, swapped=True)
    assert paid.result is Result.PAID
    assert (cards.payee.book.available(EPOCH), cards.payer.book.available(EPOCH)) == (70, 430)


# What a Call may not do


def decline(ask: Ask) -> Consent | Decline:
    del ask
    return Decline()


def test_a_call_to_pay_is_no_consent() -> None:
    """§25-3."""
    cards = Cards()
    cards.person = replace(WAITING, person=decline)
    paid, _, _ = cards.tap(PAY)
    assert (paid.result, paid.code) == (Result.NOT_PAID, Code.DECLINED)


@contextmanager
def waiting(wallet: Wallet, waits: Waiting = WAITING) -> Generator[tuple[Link, Callable[[], TapError]]]:
    """Yield the other end of a link at which a wallet waits, and what gives its refusal."""
    near, far = loopback.pair()
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(attend, wallet, far, waits, PATIENCE)

        def refusal() -> TapError:
            with pytest.raises(TapError) as caught:
                job.result(PATIENCE)
            return caught.value

        try:
            yield near, refusal
        finally:
            near.close()


CHARGED = Charged(1, "CNY", BASKET, 0)
TOLD = Introduction(bytes(64), bytes(16))
REFUSED: dict[str, tuple[bytes, Want, Code]] = {
    "nothing": (encode_call(Call(Want(0))), ANY, Code.WRONG_ROLE),
    "two things": (encode_call(Call(Want.PAY | Want.SYNC)), ANY, Code.WRONG_ROLE),
    "authorities too": (encode_call(Call(Want.PAY | Want.AUTHORITIES)), ANY, Code.WRONG_ROLE),
    "to pay where it only collects": (encode_call(PAY), Want.COLLECT, Code.WRONG_ROLE),
    "to collect where it only pays": (encode_call(COLLECT), Want.PAY, Code.WRONG_ROLE),
    "to sync where it only pays": (encode_call(Call(Want.SYNC)), Want.PAY, Code.WRONG_ROLE),
    "to collect nothing": (encode_call(Call(Want.COLLECT)), ANY, Code.MALFORMED),
    "to pay a charge": (encode_call(Call(Want.PAY, CHARGED)), ANY, Code.MALFORMED),
    "an introduced issuer": (encode_call(Call(Want.SYNC, None, TOLD)), ANY, Code.MALFORMED),
    "an amount of 0": (encode_call(Call(Want.COLLECT, CHARGED._replace(amount=0))), ANY, Code.MALFORMED),
    "no currency": (encode_call(Call(Want.COLLECT, CHARGED._replace(currency="yen"))), ANY, Code.MALFORMED),
    "bytes after it": (encode_call(PAY) + b"\0", ANY, Code.MALFORMED),
    "cut off": (encode_call(PAY)[:-1], ANY, Code.MALFORMED),
    "too long": (b"\x94\x20" + bytes(limits.MESSAGE - 2), ANY, Code.TOO_LARGE),
    "garbage": (b"garbage", ANY, Code.MALFORMED),
    "a Hello to nobody's taste": (wire.encode_hello(wire.Hello(b"hint", (1,), bytes(32), Want.PAY)), ANY,
                                  Code.WRONG_ROLE),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_call_that_is_refused_is_refused_in_silence(case: str) -> None:
    """§25-2: nothing is said, the link ends, and the wallet is as it was."""
    frame, allowed, code = REFUSED[case]
    cards = Cards()
    before = cards.payee.book.snapshot()
    with waiting(cards.payee, replace(WAITING, allowed=allowed)) as (link, refusal):
        link.send(frame)
        assert refusal().code is code
        with pytest.raises(TapError) as silent:
            link.receive(PATIENCE)
        assert silent.value.code is Code.LINK_LOST
    assert cards.payee.book.snapshot() == before


def test_a_device_that_obeys_owners_is_not_called_to_own() -> None:
    """§25-2: a Call of OWN asks an owner to begin; a device that waits is owned, and owns nobody."""
    with pytest.raises(TapError) as caught:
        check_first(encode_call(Call(Want.OWN)), ANY | Want.OWN)
    assert caught.value.code is Code.WRONG_ROLE


def test_a_call_within_a_session_is_no_message() -> None:
    """§25-1: the device called says Hello; a second Call is no Welcome."""
    cards = Cards()
    near, far = loopback.pair()
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(attend, cards.payer, far, WAITING, PATIENCE)
        near.send(encode_call(PAY))
        assert wire.decode_hello(near.receive(PATIENCE)).want == Want.PAY
        near.send(encode_call(PAY))
        done = job.result(PATIENCE)
    assert isinstance(done, Driver)
    assert done.result.code is Code.UNEXPECTED_MESSAGE


def call_and_leave(cards: Cards, basket: bytes) -> Code | int | None:
    """Call the payee to collect, play a payer up to its Request, and go."""
    near, far = loopback.pair()
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(attend, cards.payee, far, WAITING, PATIENCE)
        near.send(encode_call(Call(Want.COLLECT, Charged(1, "CNY", basket, 0))))
        try:
            near.receive(PATIENCE)
            ephemeral = cards.world.suite.ephemeral(cards.world.draw())
            near.send(wire.encode_welcome(wire.Welcome(1, ephemeral.public, Want.PAY, b"")))
            near.receive(PATIENCE)
        except TapError:
            pass
        near.close()
        try:
            done = job.result(PATIENCE)
        except TapError as error:
            return error.code
    assert isinstance(done, Driver)
    return done.result.code


def test_strangers_that_call_do_not_fill_a_payees_log() -> None:
    """§25-4: a few requests stay open, the same sale may be tried again, and a person may still charge."""
    cards = Cards()
    baskets = [bytes([n]) * 16 for n in range(limits.CALLED + 1)]
    for basket in baskets[:-1]:
        assert call_and_leave(cards, basket) is Code.LINK_LOST
    assert call_and_leave(cards, baskets[-1]) is Code.BASKET_WAITS
    assert call_and_leave(cards, baskets[0]) is Code.LINK_LOST
    assert len(cards.payee.book.open) == limits.CALLED
    for _ in range(limits.BASKET_REQUESTS - 2):
        assert call_and_leave(cards, baskets[0]) is Code.LINK_LOST
    assert call_and_leave(cards, baskets[0]) is Code.BASKET_WAITS, "no person asks"
    paid, _, _ = cards.tap(PAY)
    assert paid.result is Result.PAID


def test_a_called_device_uses_the_handover_that_it_is_told_and_no_other() -> None:
    """§25-5."""
    cards = Cards()
    own = replace(WAITING, handover=Handover(b"\1" * 64, bytes(16)), ephemeral=cards.world.suite.ephemeral(bytes(32)))
    cards.person = own
    paid, _, _ = cards.tap(PAY)
    assert paid.result is Result.PAID, "its own introduced the bridge"
    wrong, _, _ = cards.tap(Call(Want.PAY, None, TOLD))
    assert wrong.code is Code.BAD_KEY, "the ident names another key"


@pytest.mark.parametrize("told", [True, False])
def test_one_card_in_the_reader_and_a_phone_over_bluetooth(told: bool) -> None:
    """§25-5, §26-1: the card is called and told what introduced the phone; untold, it is in no session with it."""
    cards = Cards()
    ephemeral = cards.world.suite.ephemeral(cards.world.draw())
    handover = Handover(b"\2" * 64, ident(ephemeral.public))
    phone = replace(WAITING, ephemeral=ephemeral, handover=handover)
    call = COLLECT._replace(introduction=Introduction(*vars_of(handover)) if told else None)
    with ExitStack() as stack:
        central, peripheral = BleHarness().open(stack)
        reader, card = pair()
        pool = stack.enter_context(ThreadPoolExecutor(2))
        pays = pool.submit(attend, cards.payer, peripheral, phone, PATIENCE)
        collects = pool.submit(attend, cards.payee, card, WAITING, PATIENCE)
        reader.send(encode_call(call))
        bridge(reader, central, PATIENCE)
        paid, collected = ended(pays), ended(collects)
    if told:
        assert (paid.result, collected.result) == (Result.PAID, Result.COLLECTED)
    else:
        assert paid.code is Code.BAD_SEAL
    cards.world.check()


def vars_of(handover: Handover) -> tuple[bytes, bytes]:
    return handover.said, handover.ident


# What a bridge bears


def test_a_bridge_ends_in_time() -> None:
    """§26-2: by a clock that runs, however much is said."""
    seconds = iter(range(10**6))
    a, near = loopback.pair()
    b, far = loopback.pair()
    for link in (near, far):
        for _ in range(limits.SESSION_SECONDS):
            link.send(b"and on and on")
    known = bridge(a, b, None, clock=lambda: float(next(seconds)))
    assert known.ended is Code.TIMEOUT
    assert known.frames < limits.SESSION_SECONDS
    for link in (a, b):
        with pytest.raises(TapError):
            link.send(b"x")


def test_a_bridge_gives_up_who_says_nothing_and_lets_go_of_the_other() -> None:
    """§26-2."""
    (a, near), (b, far) = loopback.pair(), loopback.pair()
    near.send(b"hello")
    known = bridge(a, b, 0.01)
    assert (known.frames, known.ended) == (1, Code.TIMEOUT)
    assert far.receive(PATIENCE) == b"hello"
    with pytest.raises(TapError) as caught:
        far.receive(PATIENCE)
    assert caught.value.code is Code.LINK_LOST


def test_a_bridge_takes_one_frame_at_a_time_from_whose_turn_it_is() -> None:
    """§26-1: a device that talks out of turn, or on and on, is heard when its turn comes."""
    (a, near), (b, far) = loopback.pair(), loopback.pair()
    for frame in (b"one", b"three"):
        near.send(frame)
    far.send(b"two")
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(bridge, a, b, PATIENCE)
        assert [far.receive(PATIENCE), far.receive(PATIENCE)] == [b"one", b"three"]
        assert near.receive(PATIENCE) == b"two"
        far.close()
        assert job.result(PATIENCE) == Bridged(3, 11, Code.LINK_LOST)

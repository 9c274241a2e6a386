"""A link over two characteristics, on stacks that hold, fail and fall silent: everything ends, and in good order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from dualtap import limits
from dualtap.errors import Code, TapError
from dualtap_transports import ble_link
from dualtap_transports.ble_link import GattLink
from dualtap_transports.gatt import END, GRANT, GRANTED, WINDOW, decode_opening

PATIENCE = 20.0
SOON = 0.05


class Cable:
    """A port whose values go to ``far``; it can hold them, fail, or lose them without a word."""

    def __init__(self, most: int = 512) -> None:
        self.most = most
        self.far: GattLink | None = None
        self.said: list[bytes] = []
        self.drops = 0
        self.holds = asyncio.Event()
        self.holds.set()
        self.fails = False
        self.silent = False

    async def put(self, value: bytes) -> None:
        await self.holds.wait()
        if self.fails:
            raise TapError(Code.LINK_LOST, "unplugged")
        self.said.append(value)
        if self.far is not None and not self.silent:
            asyncio.get_running_loop().call_soon(self.far.arrived, value)

    async def drop(self) -> None:
        self.drops += 1
        if self.far is not None:
            asyncio.get_running_loop().call_soon(self.far.lost, "disconnected")


class Ends:
    """A central and a peripheral, and the cable that each of them says its values into."""

    def __init__(self, most: int = 512) -> None:
        self.up, self.down = Cable(most), Cable(most)
        self.central, self.peripheral = GattLink(self.up, central=True), GattLink(self.down, central=False)
        self.up.far, self.down.far = self.peripheral, self.central

    async def close(self) -> None:
        await self.central.close()
        await self.peripheral.close()


def played(story: Callable[[Ends], Coroutine[Any, Any, None]], most: int = 512) -> None:
    """Play a story with two ends that have been joined, and close them."""

    async def play() -> None:
        ends = Ends(most)
        await ends.central.open()
        await asyncio.sleep(0)
        assert ends.peripheral.opened
        try:
            await asyncio.wait_for(story(ends), PATIENCE)
        finally:
            await asyncio.wait_for(ends.close(), PATIENCE)

    asyncio.run(play())


async def refusal(work: Awaitable[object]) -> TapError:
    with pytest.raises(TapError) as caught:
        await work
    return caught.value


def test_values_fit_the_smallest_mtu() -> None:
    """§19-3, §19-4: 20 bytes each way, the opening first, and nothing from the peripheral before it."""

    async def story(ends: Ends) -> None:
        for near, far in ((ends.central, ends.peripheral), (ends.peripheral, ends.central)):
            frame = bytes(range(250))
            await near.send(frame)
            assert await far.receive(PATIENCE) == frame
        assert decode_opening(ends.up.said[0]) == 20
        for cable in (ends.up, ends.down):
            assert max(map(len, cable.said)) == 20

    played(story, most=20)


def test_a_notification_is_no_longer_than_the_central_takes() -> None:
    """§19-4: though the peripheral's own stack would carry more."""

    async def run() -> None:
        ends = Ends()
        ends.up.most = 100
        central = GattLink(ends.up, central=True)
        await central.open()
        await asyncio.sleep(0)
        await ends.peripheral.send(b"x" * 1000)
        assert max(map(len, ends.down.said)) == 100
        await central.close()
        await ends.close()

    asyncio.run(run())


def test_the_mtu_may_be_agreed_upon_after_the_connection() -> None:
    """§19-4: what a peripheral sends fits the MTU that it has when the link is opened."""

    async def run() -> None:
        ends = Ends(most=20)
        ends.up.most = ends.down.most = 180
        central = GattLink(ends.up, central=True)
        ends.down.far = central
        await central.open()
        await asyncio.sleep(0)
        await ends.peripheral.send(b"x" * 1000)
        assert await central.receive(PATIENCE) == b"x" * 1000
        assert max(map(len, ends.down.said)) == 180
        await central.close()
        await ends.close()

    asyncio.run(run())


def test_long_talks_are_granted_and_short_ones_cost_nothing() -> None:
    """§19-7."""

    async def story(ends: Ends) -> None:
        for _ in range(3):
            await ends.central.send(b"a tap")
            assert await ends.peripheral.receive(PATIENCE) == b"a tap"
        assert GRANT not in ends.down.said
        for _ in range(20):
            await ends.central.send(b"x" * limits.MESSAGE)
            await ends.peripheral.receive(PATIENCE)
        await asyncio.sleep(0)
        assert ends.down.said.count(GRANT) == sum(map(len, ends.up.said)) // GRANTED

    played(story)


def test_a_side_waits_for_a_grant(monkeypatch: pytest.MonkeyPatch) -> None:
    """§19-7, §19-9: whoever reads nothing is given up, and never gets more than the window."""
    monkeypatch.setattr(limits, "SESSION_SECONDS", SOON)

    async def story(ends: Ends) -> None:
        async def send_on() -> None:
            while True:
                await ends.central.send(b"x" * limits.MESSAGE)

        assert (await refusal(send_on())).code is Code.TIMEOUT
        assert sum(map(len, ends.up.said[1:])) <= WINDOW
        assert (await refusal(ends.central.send(b"x"))).code is Code.LINK_LOST
        assert (await refusal(ends.central.receive(None))).code is Code.LINK_LOST

    played(story)


def test_a_stack_that_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """§19-9."""
    monkeypatch.setattr(limits, "SESSION_SECONDS", SOON)

    async def story(ends: Ends) -> None:
        ends.up.holds.clear()
        assert (await refusal(ends.central.send(b"x"))).code is Code.TIMEOUT
        await ends.central.close()
        assert ends.up.drops == 1

    played(story)


def test_a_silent_peer_costs_the_time_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """§19-9: also in a close, which waits for an END that never comes."""
    monkeypatch.setattr(ble_link, "LINGER_SECONDS", SOON)

    async def story(ends: Ends) -> None:
        ends.down.silent = True
        assert (await refusal(ends.central.receive(SOON))).code is Code.TIMEOUT
        await ends.central.close()
        assert (END in ends.up.said, ends.up.drops) == (True, 1)

    played(story)


def test_a_close_says_end_once_and_is_answered() -> None:
    """§19-8."""

    async def story(ends: Ends) -> None:
        await ends.central.send(b"last words")
        await asyncio.gather(ends.central.close(), ends.central.close())
        await ends.central.close()
        assert ends.up.said.count(END) == ends.down.said.count(END) == 1
        assert ends.up.said[-1] == END
        assert ends.up.drops == 1
        assert await ends.peripheral.receive(PATIENCE) == b"last words"
        error = await refusal(ends.peripheral.receive(PATIENCE))
        assert (error.code, error.detail) == (Code.LINK_LOST, "the other device closed")
        assert (await refusal(ends.peripheral.send(b"too late"))).code is Code.LINK_LOST

    played(story)


def test_a_frame_cut_off_by_the_end_is_told() -> None:
    """§19-8."""

    async def story(ends: Ends) -> None:
        for value in (b"\x80\x00\x05xx", END):
            ends.peripheral.arrived(value)
        error = await refusal(ends.peripheral.receive(PATIENCE))
        assert (error.code, error.detail) == (Code.LINK_LOST, "the other device closed in the middle of a frame")

    played(story)


def test_what_came_before_a_loss_is_delivered() -> None:
    async def story(ends: Ends) -> None:
        await ends.central.send(b"before")
        await asyncio.sleep(0)
        ends.peripheral.lost("gone")
        ends.peripheral.arrived(b"\x00\x00\x05after")
        assert await ends.peripheral.receive(0) == b"before"
        for _ in range(2):
            error = await refusal(ends.peripheral.receive(None))
            assert (error.code, error.detail) == (Code.LINK_LOST, "gone")

    played(story)


def test_a_stack_that_fails_is_a_lost_link() -> None:
    async def story(ends: Ends) -> None:
        ends.up.fails = True
        for _ in range(2):
            assert (await refusal(ends.central.send(b"x"))).code is Code.LINK_LOST
        assert (await refusal(ends.central.receive(None))).detail == "unplugged"

    played(story)


def test_a_stack_that_fails_when_a_grant_is_due_is_a_lost_link() -> None:
    async def story(ends: Ends) -> None:
        for _ in range(3):
            await ends.central.send(b"x" * limits.MESSAGE)
        await asyncio.sleep(0)
        ends.down.fails = True
        for _ in range(3):
            await ends.peripheral.receive(PATIENCE)
        assert (await refusal(ends.peripheral.receive(PATIENCE))).detail == "unplugged"

    played(story)


def test_a_peer_that_breaks_the_rules_is_told_once_and_for_all() -> None:
    """§19-6: what it said before counts; its link ends at once, without waiting for an END from it."""

    async def story(ends: Ends) -> None:
        await ends.central.send(b"good")
        await asyncio.sleep(0)
        ends.peripheral.arrived(b"\x7f")
        assert await ends.peripheral.receive(PATIENCE) == b"good"
        for _ in range(2):
            assert (await refusal(ends.peripheral.receive(PATIENCE))).code is Code.MALFORMED
        assert (await refusal(ends.peripheral.send(b"x"))).code is Code.LINK_LOST
        ends.up.silent = True
        await asyncio.wait_for(ends.peripheral.close(), ble_link.LINGER_SECONDS / 2)

    played(story)


def test_a_cancelled_receive_loses_nothing() -> None:
    async def story(ends: Ends) -> None:
        waiting = asyncio.ensure_future(ends.peripheral.receive(None))
        await asyncio.sleep(0)
        waiting.cancel()
        await ends.central.send(b"frame")
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        assert await ends.peripheral.receive(PATIENCE) == b"frame"

    played(story)


@pytest.mark.parametrize("started", [False, True])
def test_a_send_cancelled_in_the_middle_ends_the_link(started: bool) -> None:
    """Half a frame may be out; before anything is out, nothing is lost."""

    async def story(ends: Ends) -> None:
        if started:
            ends.up.holds.clear()
        sending = asyncio.ensure_future(ends.central.send(b"x" * limits.MESSAGE))
        if started:
            await asyncio.sleep(0)
        sending.cancel()
        await asyncio.wait([sending])
        assert sending.cancelled()
        ends.up.holds.set()
        if started:
            assert (await refusal(ends.central.send(b"x"))).code is Code.LINK_LOST
        else:
            await ends.central.send(b"x")
            assert await ends.peripheral.receive(PATIENCE) == b"x"

    played(story)


def test_two_senders_take_turns() -> None:
    async def story(ends: Ends) -> None:
        frames = [bytes([i]) * 2000 for i in range(4)]
        await asyncio.gather(*(ends.central.send(frame) for frame in frames))
        assert [await ends.peripheral.receive(PATIENCE) for _ in frames] == frames

    played(story)

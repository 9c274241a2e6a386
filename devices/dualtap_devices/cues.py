"""What a person sees, hears and feels (DESIGN §8): one row for each outcome, in English and Chinese.

A device without a screen plays the tone, one without sound the haptic pattern; no meaning rests on colour alone.
"""

from __future__ import annotations

from typing import NamedTuple

from dualtap.events import Result


class Cue(NamedTuple):
    """Text by language (``{amount}`` is filled in), tone, vibration (ms on-off-on), and whether it interrupts."""

    english: str
    chinese: str
    tone: str
    haptic: tuple[int, ...]
    assertive: bool


CUES: dict[Result, Cue] = {
    Result.PAID: Cue(
        "Paid {amount}, not yet synced", "已付款 {amount}，待同步", "rising", (60, 40, 60), assertive=False
    ),
    Result.COLLECTED: Cue(
        "Received {amount}, not yet synced", "已收款 {amount}，待同步", "rising", (60, 40, 60), assertive=False
    ),
    Result.HEALED_PAID: Cue(
        "An earlier payment of {amount} had arrived",
        "先前的付款 {amount} 已成功",
        "rising",
        (60, 40, 60),
        assertive=False,
    ),
    Result.HEALED_RESTORED: Cue(
        "An earlier payment of {amount} is restored", "先前的付款 {amount} 已退回", "short", (40,), assertive=False
    ),
    Result.NOT_PAID: Cue("Not paid", "未付款", "falling twice", (200, 100, 200), assertive=True),
    Result.IN_DOUBT: Cue(
        "Unsure about {amount}: tap the same device again",
        "{amount} 状态未知：请再碰一次同一设备",
        "three",
        (80, 80, 80, 80, 80),
        assertive=True,
    ),
    Result.DONE: Cue("Nothing to pay", "无需付款", "short", (40,), assertive=False),
}

"""What a person sees, hears and feels (DESIGN §8): one row for each outcome, in English and Chinese.

A device without a screen plays the tone, one without sound the haptic pattern; no meaning rests on colour alone.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from dualtap.events import Result
from dualtap.standing import Standing


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

NEWS: dict[Standing, Cue] = {
    Standing.RECEIVED: Cue(
        "Deposit of {amount} received, to be credited by {date} once the rest of its history comes",
        "{amount} 的存款已收到，缺少的记录须在 {date} 前补齐才能入账",
        "short",
        (40,),
        assertive=False,
    ),
    Standing.AT_RISK: Cue(
        "Deposit of {amount} credited, at risk until {date}",
        "{amount} 的存款已入账，{date} 前仍有风险",
        "short",
        (40,),
        assertive=False,
    ),
    Standing.FINAL: Cue(
        "{amount} is final since {date}", "{amount} 已于 {date} 最终结算", "rising", (60, 40, 60), assertive=False
    ),
    Standing.RENEWED: Cue("{amount} replaced by fresh tokens", "{amount} 已换成新币", "short", (40,), assertive=False),
    Standing.IN_DOUBT: Cue(
        "Payment of {amount} in doubt until {date}: tap the same device again",
        "{amount} 的付款状态未知，最迟 {date} 确定：请再碰一次同一设备",
        "three",
        (80, 80, 80, 80, 80),
        assertive=True,
    ),
}
"""What the issuer's last word on a transfer means to a person; ``{date}`` is a day, as ``2030-01-31``."""


class Moment(Enum):
    """What a person is told while the PIN is asked for."""

    ENTER_PIN = "enter pin"
    NO_PIN = "no pin"
    PIN_WRONG = "pin wrong"
    PIN_BLOCKED = "pin blocked"


PROMPTS: dict[Moment, Cue] = {
    Moment.ENTER_PIN: Cue("Enter your PIN", "请输入密码", "two", (40, 40), assertive=True),
    Moment.NO_PIN: Cue(
        "A PIN has 4 to 12 digits: enter it again", "密码为 4 至 12 位数字：请重新输入", "two", (40, 40), True
    ),
    Moment.PIN_WRONG: Cue(
        "Wrong PIN, {tries} left", "密码错误，还可尝试 {tries} 次", "falling", (200, 100, 40), assertive=True
    ),
    Moment.PIN_BLOCKED: Cue(
        "The PIN is blocked: unblock it with the issuer's code",
        "密码已锁定：请用发行机构的解锁码解锁",
        "falling twice",
        (200, 100, 200, 100, 200),
        assertive=True,
    ),
}
"""For eyes, ears and fingers alike; ``{tries}`` is how many are left."""

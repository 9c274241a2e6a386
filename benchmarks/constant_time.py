"""Whether a comparison's time tells how much of a secret was right: ``python benchmarks/constant_time.py``.

Two classes of guesses are timed by turns, in random order: wrong in the first byte, and wrong in the last. Welch's t
of the two says whether their times differ; below 4.5 either way nothing was found (TVLA's bound). ``==`` is
the control, which must be found. The slowest tenth of each class is left out: that is the machine, not the
comparison.
"""

from __future__ import annotations

import argparse
import hmac
import json
import math
import random
import statistics
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from dualtap import limits
from dualtap.errors import TapError
from dualtap.pin import PinCell
from dualtap_devices import pin

BOUND = 4.5
KEPT = 0.9
INNER = 400
"""Comparisons in one measurement: one alone is shorter than the clock can tell."""


class Found(NamedTuple):
    """Welch's t, and the mean of each class in nanoseconds for one comparison."""

    t: float
    first: float
    last: float


def equal(one: bytes, two: bytes) -> bool:
    """Compare as nobody should."""
    return one == two


def measure(act: Callable[[bytes], object], guess: Callable[[int], bytes], rounds: int, inner: int, seed: int) -> Found:
    """Time both classes of guesses (0: wrong in the first byte) by turns, in an order that the seed gives.

    Each guess is a new object, and both run through one line of code: where a byte string lies in memory tells too.
    """
    chance, times = random.Random(seed), (list[float](), list[float]())
    for _ in range(rounds):
        for which in (0, 1) if chance.random() < 0.5 else (1, 0):
            tried = guess(which)
            began = time.perf_counter_ns()
            for _ in range(inner):
                act(tried)
            times[which].append((time.perf_counter_ns() - began) / inner)
    first, last = (sorted(found)[: int(len(found) * KEPT)] for found in times)
    spread = statistics.variance(first) / len(first) + statistics.variance(last) / len(last)
    means = statistics.fmean(first), statistics.fmean(last)
    return Found((means[0] - means[1]) / math.sqrt(spread), *means)


def comparing(compare: Callable[[bytes, bytes], bool], rounds: int, seed: int) -> Found:
    """Measure a comparison of 32 bytes, as kept of a PIN, an unblocking code or the administration's token."""
    right = random.Random(seed).randbytes(32)
    places, spaces = (0, 31), random.Random(seed + 1)
    held: list[bytearray] = []

    def guess(which: int) -> bytes:
        held[:] = [bytearray(spaces.randrange(16, 256)) for _ in range(4)]
        wrong = bytearray(right)
        wrong[places[which]] ^= 1
        return bytes(wrong)

    return measure(lambda tried: compare(right, tried), guess, rounds, INNER, seed)


def typing(rounds: int, seed: int) -> Found:
    """Measure a whole PIN that is wrong: digests that are wrong in their first byte, and digests that are not."""
    key = random.Random(seed).randbytes(32)
    right = pin.pin_digest(key, b"pin", b"4071")
    tried = [f"{number:04}".encode() for number in range(10_000) if number != 4071]
    near = [guess for guess in tried if pin.pin_digest(key, b"pin", guess)[0] == right[0]]
    far = [guess for guess in tried if guess not in near][: len(near)]
    cell = PinCell(right, tries=limits.PIN_TRIES)
    chip, chance = pin.KeptPin(key, cell, lambda kept: None), random.Random(seed)

    def type_in(guess: bytes) -> None:
        chip.kept(cell)
        try:
            chip.verify(guess)
        except TapError:
            return
        raise AssertionError("a wrong PIN was taken")

    return measure(type_in, lambda which: bytes(bytearray(chance.choice((far, near)[which]))), rounds, 4, seed)


def main() -> None:
    """Print each t; leave with 1 if a comparison tells something, or the control does not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    found = {
        "compare_digest": comparing(hmac.compare_digest, given.rounds, given.seed),
        "a whole PIN": typing(given.rounds, given.seed),
        "==, the control": comparing(equal, given.rounds, given.seed),
    }
    for name, figure in found.items():
        print(json.dumps({"what": name, "rounds": given.rounds, "seed": given.seed, **figure._asdict()}))
    *ours, control = found.values()
    sys.exit(0 if all(abs(figure.t) < BOUND for figure in ours) and abs(control.t) > BOUND else 1)


if __name__ == "__main__":
    main()

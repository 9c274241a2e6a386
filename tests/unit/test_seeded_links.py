"""Links that fail as a seed says: the same in every run, in virtual time, and a wallet survives all of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from hypothesis import HealthCheck, given, settings

from dualtap.context import Pay
from dualtap.errors import TapError
from dualtap_devices.driver import Driver, run
from dualtap_testing import strategies as taps
from dualtap_testing.links import Delay, Faulty, Plan, VirtualClock, faulty_pair, random_plan
from dualtap_testing.seeded import SeededScheme
from dualtap_transports.link import Link
from dualtap_transports.loopback import pair


def arrives(seed: int) -> tuple[list[bytes], list[bytes], float]:
    """Return what arrives at each end of what both send, and how late it is by then."""
    clock = VirtualClock(1000.0)
    ends = faulty_pair(seed, clock)
    for number in range(8):
        for end in ends:
            try:
                end.send(b"frame %d" % number)
            except TapError:
                break
    got: list[list[bytes]] = [[], []]
    for place, end in enumerate(ends):
        try:
            while True:
                got[place].append(end.receive(0))
        except TapError:
            pass
    return got[0], got[1], clock.now()


def test_a_seed_names_what_goes_wrong_in_each_direction() -> None:
    stories = [arrives(seed) for seed in range(24)]
    assert stories == [arrives(seed) for seed in range(24)]
    assert len({str(story) for story in stories}) > 12
    assert any(there != back for there, back, _ in stories), "both directions fail alike"
    late = [seed for seed in range(24) if any(isinstance(fault, Delay) for fault in random_plan(seed).faults)]
    assert any(stories[seed][2] > 1000.0 for seed in late)


def test_a_delay_takes_virtual_time_only() -> None:
    clock, (near, far) = VirtualClock(), pair()
    Faulty(near, Plan((Delay(0, 3600.0),)), clock.sleep).send(b"late")
    assert far.receive(0) == b"late"
    assert clock.now() == 3600.0


def tapped(payer: Driver, payee: Driver, ends: tuple[Link, Link]) -> None:
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(run, payee, ends[1], 0.05)
        run(payer, ends[0], 0.05)
        other.result()


@given(taps.plans(5), taps.plans(5))
@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_after_any_plan_one_clean_tap_heals(there: Plan, back: Plan) -> None:
    scheme = SeededScheme("links", "ed25519")
    clock, (near, far) = VirtualClock(scheme.clock()), pair()
    payer, payee = scheme.wallet(10), scheme.wallet()
    ends = Faulty(near, there, clock.sleep), Faulty(far, back, clock.sleep)
    tapped(scheme.driver(payer, Pay(), True), scheme.driver(payee, scheme.charge(4), False), ends)
    scheme.pay(payer, payee, 1)
    assert not payer.book.pending
    held = payer.book.available(scheme.epoch) + payee.book.available(scheme.epoch)
    assert held == 10

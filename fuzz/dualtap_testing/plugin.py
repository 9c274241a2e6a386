"""A pytest plugin: fixtures for tests of payments, and ``--tap-trace``. Loaded wherever dualtap is installed.

So nothing of dualtap is imported before a fixture is used, and no hook runs for tests that do not ask for it.

| fixture | is |
|---|---|
| ``tap_scheme`` | a :class:`~dualtap_testing.seeded.SeededScheme`, new for each test and the same in every run |
| ``tap_wallet`` | a function: ``tap_wallet(balance, carrier)`` gives a wallet of that scheme |
| ``tap_link`` | a function: ``tap_link()`` gives two joined ends, ``tap_link(seed)`` two that fail as the seed says |
| ``tap_suite`` | the scheme's suite, ``p256``; override it for another |
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, cast

import pytest

if TYPE_CHECKING:
    from dualtap.issued import Carrier
    from dualtap_devices.wallet import Wallet
    from dualtap_testing.seeded import SeededScheme
    from dualtap_transports.link import Link


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--tap-trace``."""
    parser.getgroup("dualtap").addoption(
        "--tap-trace",
        action="store_true",
        help="of a test that fails, show what its tap_wallets, or a device under test, said, as a sequence chart",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Watch for failures, if somebody wants charts of them."""
    if config.getoption("--tap-trace"):
        config.pluginmanager.register(_Charts(), "dualtap-charts")


class _Charts:
    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        trace = getattr(getattr(item, "funcargs", {}).get("tap_scheme"), "trace", None)
        chart = _carried(call.excinfo.value) if call.excinfo is not None else ""
        if not chart and trace is not None:
            chart = trace.chart()
        if report.failed and chart:
            report.sections.append(("taps", chart))
        return report


def _carried(error: BaseException) -> str:
    """Return the chart that an error carries, or the first one of a group's, which Hypothesis may raise."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return next((chart for chart in map(_carried, group.exceptions) if chart), "")
    return str(vars(error).get("tap_chart", ""))


@pytest.fixture
def tap_suite() -> str:
    """Return the suite of ``tap_scheme``."""
    return "p256"


@pytest.fixture
def tap_scheme(tap_suite: str) -> SeededScheme:
    """Return a scheme with a ledger."""
    from dualtap_testing.seeded import SeededScheme  # noqa: PLC0415
    from dualtap_testing.trace import Trace  # noqa: PLC0415

    scheme = SeededScheme("pytest", tap_suite)
    scheme.trace = Trace()
    return scheme


@pytest.fixture
def tap_wallet(tap_scheme: SeededScheme) -> Callable[..., Wallet]:
    """Return a function that makes wallets."""

    def wallet(balance: int = 0, carrier: Carrier | str = "phone") -> Wallet:
        from dualtap_testing.checked import carrier_of  # noqa: PLC0415

        return tap_scheme.wallet(balance, carrier_of(carrier))

    return wallet


@pytest.fixture
def tap_link(tap_scheme: SeededScheme) -> Generator[Callable[..., tuple[Link, Link]]]:
    """Return a function that opens links; they are closed when the test ends."""
    from dualtap_testing.links import VirtualClock, faulty_pair  # noqa: PLC0415
    from dualtap_transports.loopback import pair  # noqa: PLC0415

    opened: list[Link] = []

    def link(seed: int | None = None) -> tuple[Link, Link]:
        ends = pair() if seed is None else faulty_pair(seed, VirtualClock(tap_scheme.clock()))
        opened.extend(ends)
        return ends

    yield link
    for end in opened:
        end.close()

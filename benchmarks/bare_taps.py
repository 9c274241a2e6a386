"""Taps without cryptography, for a tool that counts instructions: what of a tap is ours.

``python -m benchmarks.bare_taps N`` makes 100 payers and has N of them pay: the difference of two runs is taps alone.
"""

from __future__ import annotations

import secrets
import sys

from dualtap.context import Charge, Pay
from dualtap.events import Result
from dualtap.issued import Carrier
from dualtap_devices.driver import Driver, exchange
from dualtap_testing.stub import STUB
from dualtap_testing.toyscheme import ToyScheme

PAYERS = 100


def main(taps: int) -> None:
    """Play this many taps, at most :data:`PAYERS`."""
    toy = ToyScheme(STUB)
    payee = toy.memory_wallet(Carrier.POS)
    payers = [toy.memory_wallet(Carrier.WATCH, 10_000) for _ in range(PAYERS)]
    for payer in payers[:taps]:
        charge = Charge(1250, "CNY", secrets.token_bytes(16))
        initiator = Driver.fresh(payer, Pay(), initiator=True)
        exchange(initiator, Driver.fresh(payee, charge, initiator=False))
        if initiator.result.result is not Result.PAID:
            raise AssertionError(str(initiator.result))


if __name__ == "__main__":
    main(int(sys.argv[1]))

"""How the payer's user is verified (SPEC §22): asked by a payee, and given or refused by a payer."""

from __future__ import annotations

from dualtap.errors import Code
from dualtap.statements import Verification
from dualtap.states import Part
from dualtap.wire import RefuseMessage, TransferMessage
from dualtap_conform.bench import Bench
from dualtap_conform.check import check
from dualtap_conform.customer import Customer
from dualtap_conform.puppet import Failure, NotHereError, must, named
from dualtap_conform.till import Till


@check("22-5", "22-6", part=Part.PAYER)
def pays_as_verified_as_asked(bench: Bench) -> None:
    """A payer gives the verification that is asked for, or pays nothing"""
    for least in (Verification.PRESENCE, Verification.PIN, Verification.DEVICE):
        with bench.case("22-5"), bench.tap() as tap:
            till = Till(bench)
            asked = till.request(tap, 10, verification=least)
            tap.say(asked.message)
            message = tap.hear_any(f"a Transfer that says {least.name}", "22-5")
            if message == RefuseMessage(Code.UNVERIFIED):
                continue
            if not isinstance(message, TransferMessage):
                raise Failure(f"a Transfer, or Refuse UNVERIFIED, where {least.name} is asked for", named(message))
            paid = till.judge(message, asked)
            till.settle(tap, paid, till.receipt(paid))
            said = message.verification
            must(said >= least, "22-5", f"a Transfer that says {least.name}, or Refuse UNVERIFIED", said.name)


@check("22-9", part=Part.PAYEE)
def closes_what_is_less_verified(bench: Bench) -> None:
    """A transfer that says less of its user than was asked for is closed, and shown again it stays so"""
    for _ in range(2):
        customer = Customer(bench)
        with bench.tap() as tap:
            wanted = customer.wanted(tap)
            least = wanted.request.body.verification
            if least is Verification.NONE:
                message = customer.pay(wanted)
                tap.say(message)
                customer.receipt(tap, wanted, message)
                continue
            less = Verification(least - 1)
            message = customer.pay(wanted, verification=less)
            tap.say(message)
            why = f"{less.name} where {least.name} is asked for"
            customer.close(tap, wanted, message, (Code.UNVERIFIED,), "22-9", why)
        with bench.tap() as tap:
            wanted = customer.wanted(tap)
            message = customer.pay(wanted, verification=wanted.request.body.verification)
            tap.say(message)
            customer.receipt(tap, wanted, message, "22-9")
        return
    raise NotHereError("this device asks for no verification")


CHECKS = (pays_as_verified_as_asked, closes_what_is_less_verified)

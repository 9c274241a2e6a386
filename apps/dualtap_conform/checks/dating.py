"""Dates (SPEC §5.2, §7): which are believed, and who is told of them."""

from __future__ import annotations

from dualtap import limits
from dualtap.errors import Code, TapError
from dualtap.issued import Authority, AuthorityCertificate, Header
from dualtap.states import Part
from dualtap.wire import DoneMessage, RefuseMessage, TransferMessage
from dualtap_conform.bench import Bench
from dualtap_conform.check import check
from dualtap_conform.customer import Customer
from dualtap_conform.puppet import Failure, must
from dualtap_conform.till import Till


def after_its_key(bench: Bench) -> tuple[AuthorityCertificate, Header]:
    """Return a policy key whose last day is today, and the date of tomorrow that it signed."""
    name = bench.fresh("policy key")
    key = bench.stage.authority(name, Authority.POLICY, number=0, expires=bench.date)
    return key, bench.stage.header(bench.date + 1, issuer=name)


@check("7-9", "7-10", "7-11", "4.1-7", "11.3-13", part=Part.PAYER)
def dates(bench: Bench) -> None:
    """A date that comes with an outcome is taken iff the policy key signed it, for a bounded step, and forwards"""
    stage, date = bench.stage, bench.date
    key, late = after_its_key(bench)
    till = Till(bench)
    clause, why = "4.1-7", "none"
    for then, told, header in (
        ("7-9", "a date that the bank signed", stage.header(date + 1, issuer="bank")),
        ("7-9", "a date with an altered epoch", stage.header(date + 1)._replace(epoch=date + 2)),
        ("7-10", "a date too far ahead", stage.header(date + limits.EPOCH_STEP + 1)),
        ("7-11", "an older date", stage.header(date - 1)),
        ("7-9", "a date after the last epoch of its policy key", late),
        ("7-9", "a date that the policy key signed", stage.header(date + 1)),
    ):
        _dated(till, clause, why, header, (key,) if header is late else ())
        clause, why = then, told
    bench.date = date + 1
    _dated(till, clause, why, None, ())


def _dated(
    till: Till, clause: str, why: str, header: Header | None, authorities: tuple[AuthorityCertificate, ...]
) -> None:
    """See what the device made of the Receipt before and its date; then bring it a date with another Receipt."""
    bench = till.bench
    with bench.tap() as tap:
        asked = till.request(tap, 150, authorities=authorities)
        tap.say(asked.message)
        message = tap.hear(TransferMessage, clause)
        must(not message.request, "11.3-13", f"nothing in doubt after a Receipt with {why}", "a Resume")
        if message.epoch != bench.date:
            expected, bench.date = bench.date, message.epoch
            raise Failure(f"epoch {expected} after {why}", f"epoch {message.epoch}", clause)
        paid = till.judge(message, asked)
        till.settle(tap, paid, till.receipt(paid)._replace(header=header))


def _brings(bench: Bench, header: Header | None, why: str) -> None:
    """Raise unless a message brings the device's date."""
    must(header is not None, "5.2-5", f"a header, for {why}", "none")
    trust = bench.trust(header=bench.stage.header(bench.date - 1))
    try:
        trust.adopt(header or bench.stage.header())
    except TapError as error:
        raise Failure("a header that the policy key signed", str(error), "5.2-5") from None
    must(trust.epoch == bench.date, "5.2-5", f"a header of epoch {bench.date}", trust.epoch)


@check("5.2-5", part=Part.PAYER)
def an_older_payee_is_told(bench: Bench) -> None:
    """A payee whose date is older is told the payer's with the Transfer, and again when it is shown again"""
    till, old = Till(bench), bench.date - 1
    with bench.tap() as tap:
        asked = till.request(tap, 148, epoch=old)
        tap.say(asked.message)
        message = tap.hear(TransferMessage)
        paid = till.judge(message, asked)
        _brings(bench, message.header, "a Request of yesterday")
    with bench.tap() as tap:
        tap.say(till.present(tap, epoch=old))
        again = till.shown(tap, paid)
        _brings(bench, again.message.header, "a Present of yesterday")
        till.settle(tap, paid, till.receipt(paid))
        tap.hear(DoneMessage, "11.3-1")


@check("5.2-5", part=Part.PAYEE)
def an_older_payer_is_told(bench: Bench) -> None:
    """A payer whose date is older is told the payee's with the outcome, and again when it is told again"""
    customer = Customer(bench)
    with bench.tap() as tap:
        wanted = customer.wanted(tap)
        message = customer.pay(wanted, epoch=bench.date - 1)
        tap.say(message)
        told = customer.receipt(tap, wanted, message)
        _brings(bench, told.header, "a Transfer of yesterday")
    with bench.tap() as tap:
        customer.wanted(tap)
        tap.say(message._replace(request=wanted.request.id))
        _brings(bench, customer.receipt(tap, wanted, message, "11.4-4").header, "a Transfer of yesterday, shown again")
        tap.say(RefuseMessage(Code.DECLINED))


@check("7-9", "7-11", "4.1-7", part=Part.PAYEE)
def dates_with_transfers(bench: Bench) -> None:
    """A date that comes with a Transfer is taken iff it is later, and dates what follows"""
    for clause, header in (("7-11", bench.stage.header(bench.date - 1)), ("7-9", bench.stage.header(bench.date + 1))):
        customer = Customer(bench)
        with bench.tap() as tap:
            wanted = customer.wanted(tap)
            message = customer.pay(wanted)._replace(header=header)
            tap.say(message)
            bench.date = max(bench.date, header.epoch)
            told = customer.receipt(tap, wanted, message, clause)
            must(told.epoch == bench.date, clause, f"a Receipt of epoch {bench.date}", f"epoch {told.epoch}")
        with bench.tap() as tap:
            customer.wanted(tap, clause)
            tap.say(RefuseMessage(Code.DECLINED))


CHECKS = (an_older_payee_is_told, an_older_payer_is_told, dates, dates_with_transfers)

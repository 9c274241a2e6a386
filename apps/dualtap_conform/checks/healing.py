"""A payer that is in doubt (SPEC §11.4): to whom it shows what, when, and what it does then."""

from __future__ import annotations

from dualtap.errors import Code, TapError
from dualtap.forms import signed
from dualtap.statements import PresentBody
from dualtap.states import Part
from dualtap.wire import DoneMessage, PresentMessage, ProceedMessage, RefuseMessage, TransferMessage
from dualtap_conform.bench import Bench
from dualtap_conform.check import check
from dualtap_conform.puppet import Puppet, must
from dualtap_conform.till import Till, in_doubt


@check("11.4-2", "11.3-4", "11.4-7", "11.4-6", part=Part.PAYER)
def another_basket_is_paid_after_healing(bench: Bench) -> None:
    """A torn tap heals first; then another basket is paid"""
    till = Till(bench)
    torn = till.tear(130)
    with bench.tap() as tap:
        asked = till.ask(tap, 131)
        till.shown(tap, torn, "11.3-4")
        till.settle(tap, torn, till.receipt(torn))
        paid = till.hear(tap, asked, "11.4-7")
        till.settle(tap, paid, till.receipt(paid))


@check("11.4-7", "11.4-8", part=Part.PAYER)
def the_same_basket_is_not_paid_twice(bench: Bench) -> None:
    """A torn tap that heals as paid is not paid again for the same basket and part"""
    till, basket = Till(bench), bench.draw(16)
    torn = till.tear(132, basket=basket)
    with bench.tap() as tap:
        till.ask(tap, 132, basket=basket)
        till.shown(tap, torn, "11.4-8")
        till.settle(tap, torn, till.receipt(torn))
        tap.hear(DoneMessage, "11.4-7")


@check("11.4-6", "11.4-7", part=Part.PAYER)
def a_closed_basket_is_paid_anew(bench: Bench) -> None:
    """A torn tap that heals by a Close is paid anew for the same basket"""
    till, basket = Till(bench), bench.draw(16)
    torn = till.tear(133, basket=basket)
    with bench.tap() as tap:
        asked = till.ask(tap, 133, basket=basket)
        till.shown(tap, torn)
        till.settle(tap, torn, till.close(torn))
        paid = till.hear(tap, asked, "11.4-7")
        till.settle(tap, paid, till.receipt(paid))


@check("11.4-7", part=Part.PAYER)
def another_part_is_another_payment(bench: Bench) -> None:
    """Another part of the basket that was paid is paid too"""
    till, basket = Till(bench), bench.draw(16)
    torn = till.tear(134, basket=basket)
    with bench.tap() as tap:
        asked = till.request(tap, 135, basket=basket, part=1)
        tap.say(asked.message)
        till.shown(tap, torn)
        till.settle(tap, torn, till.receipt(torn))
        paid = till.hear(tap, asked, "11.4-7")
        till.settle(tap, paid, till.receipt(paid))


@check("11.4-1", part=Part.PAYER)
def strangers_are_shown_nothing(bench: Bench) -> None:
    """What is in doubt is shown to the payee's key only, and blocks nobody else"""
    torn, stranger = in_doubt(bench), Till(bench)
    with bench.tap() as tap:
        asked = stranger.ask(tap, 137)
        message = tap.hear(TransferMessage, "11.4-1")
        must(not message.request, "11.4-1", "a Transfer", "a Resume of another payee's transfer")
        paid = stranger.judge(message, asked)
        stranger.settle(tap, paid, stranger.receipt(paid))
    with bench.tap() as tap:
        tap.say(stranger.present(tap))
        tap.hear(DoneMessage, "11.4-1")
    bench.doubt = torn


@check("11.4-1", "6-11", part=Part.PAYER)
def a_stolen_certificate_proves_nothing(bench: Bench) -> None:
    """Whoever shows the payee's certificate without its key is shown nothing"""
    torn, thief = in_doubt(bench), Till(bench)
    till = torn.till
    for session, signer, why in ((None, thief.name, "signed by another key"), (bytes(32), till.name, "replayed")):
        with bench.tap() as tap:
            body = PresentBody(tap.established().transcript if session is None else session, True, bench.date)
            proof = bench.stage.sign(signer, body).signature
            tap.say(PresentMessage(False, bench.date, proof, till.certificate, ()))
            tap.hear_refusal(Code.BAD_SIGNATURE, "6-11", f"a Present {why}")
    bench.doubt = torn


@check("11.3-1", part=Part.PAYER)
def nothing_to_charge(bench: Bench) -> None:
    """A payee with nothing to charge heals what is in doubt, and is told that nothing is left"""
    till = Till(bench)
    with bench.tap() as tap:
        tap.say(till.present(tap))
        tap.hear(DoneMessage, "11.3-1")
    torn = till.tear(139)
    till.heal(torn)
    with bench.tap() as tap:
        tap.say(till.present(tap))
        tap.hear(DoneMessage, "11.4-6")


@check("11.4-2", part=Part.PAYER)
def shown_again_and_again(bench: Bench) -> None:
    """What is in doubt is shown in every tap until its outcome has come"""
    torn = in_doubt(bench)
    for _ in range(2):
        with bench.tap() as tap:
            torn.till.ask(tap, 142)
            torn.till.shown(tap, torn)
            tap.say(RefuseMessage(Code.STORE_FAILED))
    bench.doubt = torn


def _proved(bench: Bench, tap: Puppet) -> None:
    """Hear the device prove its key."""
    message = tap.hear(PresentMessage, "11.3-3")
    must(not message.prove, "11.3-3", "a payer's Present that asks for nothing", "prove")
    must(message.certificate == bench.setup.certificate, "11.3-3", "the device's certificate", "another")
    body = PresentBody(tap.established().transcript, False, message.epoch)
    statement = signed(bench.scheme.id, bench.key, body, b"", message.signature)
    try:
        bench.trust().verify_statement(statement)
    except TapError as error:
        must(False, "6-11", "a Present over this session and the responder's role", error)


@check("11.3-3", "6-11", "5.2-4", part=Part.PAYER)
def proves_its_key(bench: Bench) -> None:
    """Asked to prove its key, a payer presents it, waits for Proceed, and pays"""
    till = Till(bench)
    with bench.tap() as tap:
        asked = till.ask(tap, 143, prove=True)
        _proved(bench, tap)
        tap.say(ProceedMessage())
        paid = till.hear(tap, asked, "11.3-3")
        till.settle(tap, paid, till.receipt(paid))


@check("11.4-3", "4.1-11", part=Part.PAYER)
def no_outcome_from_ignorance(bench: Bench) -> None:
    """Shown a transfer for a request that it never made, a payer refuses, and signs no outcome"""
    torn, till = in_doubt(bench), Till(bench)
    with bench.tap() as tap:
        till.ask(tap, 145, prove=True)
        _proved(bench, tap)
        tap.say(torn.message._replace(request=bench.draw(32)))
        tap.hear_refusal(Code.UNKNOWN_REQUEST, "11.4-3", "a request that the device never made")
    bench.doubt = torn


@check("11.4-2", "11.3-3", part=Part.PAYER)
def proves_and_heals(bench: Bench) -> None:
    """A payer that is asked to prove its key heals, too, before it pays"""
    till = Till(bench)
    torn = till.tear(146)
    with bench.tap() as tap:
        asked = till.ask(tap, 147, prove=True)
        _proved(bench, tap)
        tap.say(ProceedMessage())
        till.shown(tap, torn)
        till.settle(tap, torn, till.receipt(torn))
        paid = till.hear(tap, asked, "11.4-7")
        till.settle(tap, paid, till.receipt(paid))


@check("7-17", part=Part.PAYER)
def expiry_does_not_block_healing(bench: Bench) -> None:
    """A payee whose certificate has expired still gets what is in doubt to it"""
    torn = in_doubt(bench)
    torn.till.certificate = bench.stage.certificate(torn.till.name, expires=bench.date - 1)
    torn.till.heal(torn, "7-17")


CHECKS = (
    another_basket_is_paid_after_healing, the_same_basket_is_not_paid_twice, a_closed_basket_is_paid_anew,
    another_part_is_another_payment, nothing_to_charge, proves_its_key, proves_and_heals, strangers_are_shown_nothing,
    a_stolen_certificate_proves_nothing, shown_again_and_again, no_outcome_from_ignorance,
    expiry_does_not_block_healing,
)  # fmt: skip

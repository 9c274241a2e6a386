"""A payee's Request, and what it makes of a Transfer (SPEC §8.1, §11.2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from dualtap.codec import pack, unpack
from dualtap.errors import Code
from dualtap.issued import Authority
from dualtap.statements import Kind, PresentBody, ReceiptBody
from dualtap.states import Part
from dualtap.wire import (
    DoneMessage,
    OutcomeMessage,
    PresentMessage,
    ProceedMessage,
    RefuseMessage,
    TransferMessage,
    Want,
    encode,
)
from dualtap_conform.bench import Bench
from dualtap_conform.check import check
from dualtap_conform.checks.behind import behind, fits, passed_on, restored, valid_when_it_signed
from dualtap_conform.checks.forged import Forgery, direct, token_of
from dualtap_conform.customer import Customer, Wanted
from dualtap_conform.puppet import must
from dualtap_conform.purse import Purse


@check(
    "11.2-7", "3-1", "3-3", "3-4", "3-7", "3-9", "4.1-1", "4.1-2", "4.1-4", "4.1-7", "4.2-3", "4.2-1", "4.2-2",
    "4.2-5", "5.1-1", "5.2-1", "5.2-4", "5.2-5", "5.7-1", "6-1", "6-2", "6-11", "7-4", "10-2", "11.2-6",
    part=Part.PAYEE,
)  # fmt: skip
def collects(bench: Bench) -> None:
    """The Welcome holds a Request of this session; an honest Transfer is receipted"""
    Customer(bench).buy()


@check("7-4", part=Part.PAYEE)
def sends_its_chain(bench: Bench) -> None:
    """A payer that lacks authorities is sent the chain, issuers first"""
    customer = Customer(bench)
    with bench.tap(Want.PAY | Want.AUTHORITIES) as tap:
        wanted = customer.wanted(tap)
        found = [item.authority for item in wanted.message.authorities]
        keys = {item.key for item in wanted.message.authorities}
        needed = {item.key for item in bench.stage.authorities if item.authority is not Authority.POLICY}
        names = ", ".join(item.name for item in found) or "none"
        must(needed <= keys, "7-4", "the institution and the bank", names)
        must(found.index(Authority.INSTITUTION) < found.index(Authority.BANK), "7-4", "issuers first", names)
        tap.say(RefuseMessage(Code.DECLINED))


def _two_tokens(customer: Customer, wanted: Wanted) -> TransferMessage:
    purse = Purse(customer.bench, customer.certificate)
    spans: list[tuple[int, ...]] = []
    for amount in (10, wanted.amount - 10):
        spans.append((purse.token(token_of(customer, amount + 3)), 3, amount + 3))
    return purse.transfer(customer.name, spans, wanted.request.id, customer.place())


def _new_bank(customer: Customer, wanted: Wanted) -> TransferMessage:
    stage, bank = customer.bench.stage, customer.bench.fresh("bank")
    chain = (stage.authorities[1], stage.authority(bank, Authority.BANK, "institution", quota=1000))
    customer.certificate = stage.certificate(customer.name, issuer=bank)
    return customer.pay(wanted)._replace(authorities=chain)


@check("11.2-7", "7-5", "7-15", "8.2-2", "8.2-4", "5.4-4", "8.1-12", part=Part.PAYEE)
def takes_what_is_good(bench: Bench) -> None:
    """Good value is receipted, whatever its history: several spans, hands, restored, by a bank not known before"""
    for clause, make in (
        ("8.1-12", _two_tokens),
        ("5.4-4", passed_on),
        ("7-15", valid_when_it_signed),
        ("8.2-4", restored(1)),
        ("8.2-2", restored(2)),
        ("7-5", _new_bank),
    ):
        customer = Customer(bench)
        with bench.case(clause), bench.tap() as tap:
            wanted = customer.wanted(tap)
            message = make(customer, wanted)
            if fits(bench, message):
                tap.say(message)
                customer.receipt(tap, wanted, message, clause)


def _closed(bench: Bench, forgery: Forgery) -> None:
    """Show a transfer that must be closed; then show it again, and hear the same Close."""
    customer = Customer(bench)
    with bench.case(forgery.clause):
        with bench.tap() as tap:
            wanted = customer.wanted(tap)
            message = forgery.make(customer, wanted)
            if not fits(bench, message):
                return
            tap.say(message)
            told = customer.close(tap, wanted, message, forgery.codes, forgery.clause, forgery.why)
        with bench.tap() as tap:
            customer.wanted(tap, "4.1-10")
            tap.say(message._replace(request=wanted.request.id))
            _same(told, tap.hear(OutcomeMessage, "4.1-10"))


def _same(told: OutcomeMessage, again: OutcomeMessage) -> None:
    """Raise unless an outcome is told as it was signed."""
    got = "another" if again.signature != told.signature else "the same signature with other fields"
    must(again._replace(header=None) == told._replace(header=None), "4.1-10", "the outcome as it was signed", got)


@check(
    "8.1-1", "8.1-3", "4.1-10", "3-6", "3-11", "4.2-1", "5.2-4", "5.3-4", "5.3-6", "5.4-2", "5.6-1", "5.6-2",
    "5.7-1", "7-1", "7-2", "7-5", "7-6", "7-9", "7-10", "8.1-6", "8.1-7", "8.1-8", "8.1-9", "8.1-11", "8.1-12",
    "8.1-14", "8.2-1", "8.3-6", part=Part.PAYEE,
)  # fmt: skip
def closes_what_is_wrong(bench: Bench) -> None:
    """A Transfer that does not hold is closed for its reason, durably"""
    for forgery in direct(bench):
        _closed(bench, forgery)


@check(
    "8.1-10", "8.1-3", "4.1-10", "5.3-2", "5.3-3", "5.3-4", "5.3-5", "5.4-2", "5.4-5", "7-15", "7-20", "8.2-1",
    "8.2-2", "8.2-4", "8.2-5", "8.2-6", "8.3-1", "8.3-6", part=Part.PAYEE,
)  # fmt: skip
def closes_what_is_wrong_behind(bench: Bench) -> None:
    """A Transfer with a history that does not hold is closed for its reason, durably"""
    for forgery in behind(bench):
        _closed(bench, forgery)


@check("7-20", "8.1-8", part=Part.PAYEE)
def hotlisted_payer(bench: Bench) -> None:
    """A payer on the hotlist does not pay"""

    def make(customer: Customer, wanted: Wanted) -> TransferMessage:
        customer.name, customer.certificate = "hotlisted", bench.stage.certificate("hotlisted")
        return customer.pay(wanted)

    _closed(bench, Forgery("7-20", (Code.HOTLISTED,), "a payer on the hotlist", make))


@check("6-12", "6-11", part=Part.PAYEE)
def replayed_transfer(bench: Bench) -> None:
    """A Transfer of an earlier session, shown as one of this, is closed"""
    old = Customer(bench)
    with bench.tap() as tap:
        kept = old.pay(old.wanted(tap))

    def again(customer: Customer, wanted: Wanted) -> TransferMessage:
        del customer, wanted
        return kept

    _closed(bench, Forgery("6-12", (Code.BAD_SIGNATURE,), "a transfer of an earlier session", again))


def _undecodable(message: TransferMessage) -> Iterator[tuple[str, Code, str, bytes]]:
    plaintext = encode(message)
    items = tuple(cast("list[object]", unpack(plaintext)))
    yield "5.1-3", Code.MALFORMED, "a byte after it", plaintext + b"\0"
    yield "5.1-6", Code.MALFORMED, "an item too many", pack((*items, 0))
    yield "5.1-6", Code.MALFORMED, "an item missing", pack(items[:-1])
    yield "5.1-7", Code.MALFORMED, "no spans", pack((*items[:2], (), *items[3:]))
    yield "5.1-7", Code.MALFORMED, "a seed of 15 bytes", pack((*items[:5], bytes(15), *items[6:]))
    yield "4.3-8", Code.MALFORMED, "an unknown verification", pack((*items[:8], 4, *items[9:]))
    long = b"\xdc" + len(items).to_bytes(2, "big") + plaintext[1:]
    yield "5.1-4", Code.NOT_CANONICAL, "a header that is too long", long


@check("8.1-4", "5.1-3", "5.1-4", "5.1-6", "5.1-7", "4.3-8", part=Part.PAYEE)
def undecodable_transfers(bench: Bench) -> None:
    """A Transfer that cannot be decoded is refused, and its request closed before the next"""
    with bench.tap() as tap:
        customer = Customer(bench)
        count = len(list(_undecodable(customer.pay(customer.wanted(tap)))))
    for place in range(count):
        with bench.case("8.1-4"):
            _undecoded(bench, place)


def _undecoded(bench: Bench, place: int) -> None:
    customer = Customer(bench)
    with bench.tap() as tap:
        wanted = customer.wanted(tap)
        message = customer.pay(wanted)
        clause, code, why, plaintext = list(_undecodable(message))[place]
        tap.say_bytes(plaintext)
        tap.hear_refusal(code, clause, f"a Transfer with {why}")
    with bench.tap() as tap:
        customer.wanted(tap)
        tap.say(message._replace(request=wanted.request.id))
        shown = customer.transfer_id(message, wanted.request.id)
        outcome, _ = customer.outcome(tap, wanted.request.id, shown, "8.1-4")
        must(not isinstance(outcome.body, ReceiptBody), "8.1-4", "a Close", "a Receipt")


@check("11.1-3", "6-16", part=Part.PAYEE)
def wrong_moment(bench: Bench) -> None:
    """A message at the wrong moment is refused as such"""
    customer = Customer(bench)
    for message in (
        ProceedMessage(),
        OutcomeMessage(Kind.CLOSE, b"", 0, 0, bytes(16), 0, 1, bytes(64), None),
    ):
        with bench.case("11.1-3"), bench.tap() as tap:
            customer.wanted(tap)
            tap.say(message)
            tap.hear_refusal(Code.UNEXPECTED_MESSAGE, "11.1-3", f"a {type(message).__name__} in place of a Transfer")


@check("11.2-8", "11.1-4", part=Part.PAYEE)
def ends(bench: Bench) -> None:
    """Done and Refuse end the tap without an answer"""
    for message in (DoneMessage(), RefuseMessage(Code.INSUFFICIENT)):
        with bench.case("11.2-8"), bench.tap() as tap:
            Customer(bench).wanted(tap)
            tap.say(message)
            tap.silence("11.2-8", f"a {type(message).__name__} ends the tap")


@check("11.2-8", "6-11", "4.1-3", part=Part.PAYEE)
def a_payer_proves_its_key(bench: Bench) -> None:
    """A payer that presents its key is told to proceed; one that does not hold the key is refused"""
    customer, thief = Customer(bench), Customer(bench)
    for session, signer, why in ((True, thief.name, "signed by another key"), (False, customer.name, "replayed")):
        with bench.case("6-11"), bench.tap() as tap:
            customer.wanted(tap)
            transcript = tap.established().transcript if session else bytes(32)
            proof = bench.stage.sign(signer, PresentBody(transcript, True, bench.date)).signature
            tap.say(PresentMessage(False, bench.date, proof, customer.certificate, ()))
            tap.hear_refusal(Code.BAD_SIGNATURE, "6-11", f"a Present {why}")
    with bench.tap() as tap:
        wanted = customer.wanted(tap)
        proof = bench.stage.sign(customer.name, PresentBody(tap.established().transcript, True, bench.date)).signature
        tap.say(PresentMessage(False, bench.date, proof, customer.certificate, ()))
        tap.hear(ProceedMessage, "11.2-8")
        message = customer.pay(wanted)
        tap.say(message)
        customer.receipt(tap, wanted, message)


CHECKS = (
    collects, sends_its_chain, takes_what_is_good, closes_what_is_wrong, closes_what_is_wrong_behind, hotlisted_payer,
    replayed_transfer, undecodable_transfers, wrong_moment, ends, a_payer_proves_its_key,
)  # fmt: skip

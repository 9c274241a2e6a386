"""Requests that a payer must refuse (SPEC §6, §7, §11.3), each by its code and before anything is signed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from dualtap import limits
from dualtap.codec import pack
from dualtap.errors import Code
from dualtap.forms import signed
from dualtap.issued import Authority, Carrier, Role, WalletCertificate
from dualtap.statements import Kind, PresentBody, Scheme
from dualtap.states import Part
from dualtap.suite import ED25519, P256, TAG
from dualtap.wire import DoneMessage, OutcomeMessage, ProceedMessage, RequestMessage
from dualtap_conform.bench import Bench
from dualtap_conform.check import check
from dualtap_conform.puppet import Puppet
from dualtap_conform.stage import TIER, Stage
from dualtap_conform.till import Till

_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_L = 2**252 + 27742317777372353535851937790883648493
AMOUNT = 101


class Case(NamedTuple):
    """A Request that must be refused: under which clause, by which code, why, and how it is made."""

    clause: str
    code: Code
    why: str
    make: Callable[[Till, Puppet], RequestMessage]


def _simple(clause: str, code: Code, why: str, amount: int = AMOUNT, **changes: Any) -> Case:
    def make(till: Till, tap: Puppet) -> RequestMessage:
        return till.request(tap, amount, **changes).message

    return Case(clause, code, why, make)


def _certified(
    clause: str, code: Code, why: str, certificate: Callable[[Till], WalletCertificate], **more: int
) -> Case:
    def make(till: Till, tap: Puppet) -> RequestMessage:
        return till.request(tap, more.get("amount", AMOUNT), certificate=certificate(till)).message

    return Case(clause, code, why, make)


def malleated(suite_is_p256: bool, signature: bytes) -> bytes:
    """Return the other signature that some verifiers take for the same digest: high s, or S + l."""
    if suite_is_p256:
        return signature[:32] + (_N - int.from_bytes(signature[32:], "big")).to_bytes(32, "big")
    return signature[:32] + (int.from_bytes(signature[32:], "little") + _L).to_bytes(32, "little")


def _malleated(till: Till, tap: Puppet) -> RequestMessage:
    message = till.request(tap, AMOUNT).message
    return message._replace(signature=malleated(till.bench.scheme.suite is P256, message.signature))


def _altered(till: Till, tap: Puppet) -> RequestMessage:
    message = till.request(tap, AMOUNT).message
    return message._replace(amount=AMOUNT + 1)


def _by_another(till: Till, tap: Puppet) -> RequestMessage:
    return till.request(tap, AMOUNT, signer=till.bench.fresh("stranger")).message


def _of_another_scheme(till: Till, tap: Puppet) -> RequestMessage:
    stage, asked = till.bench.stage, till.request(tap, AMOUNT)
    other = Scheme.of(stage.suite, stage.key("another root"))
    blank = signed(other.id, till.key, asked.request.body)
    return asked.message._replace(signature=stage.signer(till.name).sign(blank.id))


def _of_another_kind(till: Till, tap: Puppet) -> RequestMessage:
    asked = till.request(tap, AMOUNT)
    present = till.bench.stage.sign(till.name, PresentBody(tap.established().transcript, True, till.bench.date))
    return asked.message._replace(signature=present.signature)


def _other_suite(till: Till) -> WalletCertificate:
    stage = till.bench.stage
    key = Stage(ED25519 if stage.suite is P256 else P256).key(till.name)
    ordinal = 999
    blank = WalletCertificate(key, Carrier.POS, TIER.number, Role.COLLECT, 0, b"", till.bench.date, ordinal, b"", b"")
    return till.bench.certify(blank)


def _cases(bench: Bench) -> Iterator[Case]:
    stage, date = bench.stage, bench.date
    name = "3-6" if stage.suite is P256 else "3-11"
    bad = Code.BAD_SIGNATURE
    yield Case("11.3-2", bad, "a Request whose amount was altered", _altered)
    yield Case("11.3-2", bad, "a Request signed by another key", _by_another)
    yield _simple("6-11", bad, "a Request of another session", session=bytes(32))
    yield _simple("6-11", bad, "a Request of the other role, as one reflected", initiator=False)
    yield Case(name, bad, "a signature in its other form", _malleated)
    yield Case("3-16", bad, "a signature of another scheme", _of_another_scheme)
    yield Case("4.1-3", bad, "a Present's signature", _of_another_kind)
    yield _certified("5.1-8", Code.BAD_KEY, "a certified key of the other suite", _other_suite)
    yield _certified(
        "7-1",
        bad,
        "an altered certificate",
        lambda till: till.certificate._replace(category=till.certificate.category + 1),
    )
    yield _certified(
        "7-2",
        Code.UNKNOWN_ISSUER,
        "a certificate of an unknown issuer",
        lambda till: stage.certificate(till.name, issuer="stranger"),
    )
    yield _certified(
        "7-1",
        Code.WRONG_CERTIFICATE,
        "a certificate that the policy key signed",
        lambda till: stage.certificate(till.name, issuer="policy"),
    )
    yield _certified(
        "7-14",
        Code.CERTIFICATE_EXPIRED,
        "a certificate that expired yesterday",
        lambda till: stage.certificate(till.name, expires=date - 1),
    )
    yield _certified(
        "7-18",
        Code.WRONG_CERTIFICATE,
        "a certificate without the role COLLECT",
        lambda till: stage.certificate(till.name, role=Role.PAY),
    )
    yield _certified(
        "11.3-5",
        Code.CERTIFICATE_EXPIRED,
        "an expired certificate and a zero amount: the certificate is judged first",
        lambda till: stage.certificate(till.name, expires=date - 1),
        amount=0,
    )
    yield _simple("11.3-5", Code.ZERO_AMOUNT, "an amount of zero", 0)
    yield _simple("11.3-5", Code.EPOCH_AHEAD, "a Request too far ahead", epoch=date + limits.EPOCH_STEP + 1)
    yield _simple("11.3-5", Code.WRONG_CURRENCY, "a currency that the device never had", currency="XXX")
    yield _simple("11.3-5", Code.OVER_LIMIT, "an amount above the tier's", TIER.payment + 1)
    yield _simple("11.3-7", Code.INSUFFICIENT, "more than the device has", TIER.payment)
    yield _simple("8.4-2", Code.INSUFFICIENT, "a payee that takes no transfer", hops=0)
    yield _simple("8.4-3", Code.TOO_LARGE, "a payee that takes frames of 200 bytes only", size=200)


@check(
    "11.3-2", "11.3-5", "11.3-7", "3-6", "3-11", "3-16", "5.1-8", "4.1-3", "5.2-4", "5.2-5", "6-11", "7-1", "7-2",
    "7-14", "7-18", "8.4-2", "8.4-3", "8.1-5", part=Part.PAYER,
)  # fmt: skip
def bad_requests(bench: Bench) -> None:
    """A Request that does not hold is refused by name"""
    for case in _cases(bench):
        with bench.case(case.clause), bench.tap() as tap:
            tap.say(case.make(Till(bench), tap))
            tap.hear_refusal(case.code, case.clause, case.why)


@check("7-20", part=Part.PAYER)
def hotlisted_payee(bench: Bench) -> None:
    """A payee on the hotlist is not paid"""
    till = Till(bench, certificate=bench.stage.certificate("hotlisted"))
    till.name = "hotlisted"
    with bench.tap() as tap:
        tap.say(till.request(tap, AMOUNT).message)
        tap.hear_refusal(Code.HOTLISTED, "7-20", "a payee on the hotlist")


def _bad_fields(message: RequestMessage) -> Iterator[tuple[str, str, tuple[object, ...]]]:
    """Yield clause, what is wrong, and a Request's items with one out of its type."""

    def with_item(place: int, value: object) -> tuple[object, ...]:
        return (3, *message[:place], value, *message[place + 1 :])

    yield "5.1-7", "an amount above 2^53 - 1", with_item(1, limits.AMOUNT + 1)
    yield "5.1-7", "a currency in small letters", with_item(2, "cny")
    yield "5.1-7", "a currency as bytes", with_item(2, b"CNY")
    yield "5.1-7", "a basket of 15 bytes", with_item(3, bytes(15))
    yield "5.1-7", "part 256", with_item(4, 256)
    yield "5.1-7", "details of 31 bytes", with_item(5, bytes(31))
    yield "5.1-7", "a size above 16384", with_item(8, limits.MESSAGE + 1)
    yield "4.3-8", "an unknown verification", with_item(9, 4)
    yield "5.1-7", "an epoch above 2^24", with_item(10, 2**24 + 1)
    yield "5.1-7", "a signature of 63 bytes", with_item(11, bytes(63))
    yield "5.1-7", "a certificate that is none", with_item(12, ())
    yield (
        "4.3-8",
        "a certificate of an unknown carrier",
        with_item(12, (message.certificate.key, 99, *message.certificate[2:])),
    )
    yield (
        "4.3-8",
        "a certificate with an unknown role",
        with_item(12, (*message.certificate[:3], 8, *message.certificate[4:])),
    )
    yield "5.1-7", "nine authorities", with_item(13, (((bytes(32), 1, 0, 0, 0, bytes(4), bytes(64)),) * 9))
    yield "5.1-6", "an item missing", (3, *message[:-1])


@check("5.1-7", "4.3-8", "5.1-6", part=Part.PAYER)
def fields_out_of_type(bench: Bench) -> None:
    """A Request with a value outside its type is malformed"""
    till = Till(bench)
    with bench.tap() as tap:
        count = len(list(_bad_fields(till.request(tap, AMOUNT).message)))
    for place in range(count):
        with bench.case("5.1-7"), bench.tap() as tap:
            clause, why, items = list(_bad_fields(till.request(tap, AMOUNT).message))[place]
            data = pack(items)
            if len(data) + TAG > bench.setup.profile.message:
                continue
            tap.say_bytes(data)
            tap.hear_refusal(Code.MALFORMED, clause, why)


@check("11.1-3", "11.1-4", "6-16", part=Part.PAYER)
def wrong_moment(bench: Bench) -> None:
    """A message at the wrong moment is refused as such"""
    for message in (
        ProceedMessage(),
        DoneMessage(),
        OutcomeMessage(Kind.CLOSE, b"", 0, 0, bytes(16), 0, 1, bytes(64), None),
    ):
        with bench.tap() as tap:
            tap.say(message)
            tap.hear_refusal(Code.UNEXPECTED_MESSAGE, "11.1-3", f"a {type(message).__name__} before any Request")


@check("7-5", "7-6", "7-7", "7-2", "7-16", part=Part.PAYER)
def chains(bench: Bench) -> None:
    """A chain that comes with a Request is believed whole or not at all"""
    stage, date = bench.stage, bench.date
    banks = [bench.fresh("bank") for _ in range(3)]
    good, forged, old = (
        stage.authority(banks[0], Authority.BANK, "institution", quota=1000),
        stage.authority(banks[1], Authority.BANK, "institution", quota=1000)._replace(quota=2000),
        stage.authority(banks[2], Authority.BANK, "institution", quota=1000, expires=date - 1),
    )
    tills = [Till(bench, certificate=None) for _ in banks]
    for till, bank in zip(tills, banks, strict=True):
        till.certificate = stage.certificate(till.name, issuer=bank)
    with bench.tap() as tap:
        tap.say(tills[1].request(tap, AMOUNT, authorities=(good, forged)).message)
        tap.hear_refusal(Code.BAD_SIGNATURE, "7-5", "a chain with a forged certificate")
    with bench.case("7-6"), bench.tap() as tap:
        tap.say(Till(bench).request(tap, AMOUNT, authorities=stage.twins).message)
        tap.hear_refusal(Code.WRONG_CERTIFICATE, "7-6", "two institutions with one hint")
    for till, why in ((tills[1], "forged"), (tills[0], "genuine, but beside a forged one")):
        with bench.tap() as tap:
            tap.say(till.request(tap, AMOUNT).message)
            tap.hear_refusal(Code.UNKNOWN_ISSUER, "7-7", f"a bank whose certificate was {why}")
    with bench.tap() as tap:
        tap.say(tills[2].request(tap, AMOUNT, authorities=(old,)).message)
        tap.hear_refusal(Code.CERTIFICATE_EXPIRED, "7-16", "a bank that expired yesterday")
    with bench.tap() as tap:
        asked = tills[0].request(tap, AMOUNT, authorities=(good,))
        tap.say(asked.message)
        paid = tills[0].hear(tap, asked, "7-5")
        tills[0].settle(tap, paid, tills[0].receipt(paid))


CHECKS = (bad_requests, hotlisted_payee, fields_out_of_type, wrong_moment, chains)

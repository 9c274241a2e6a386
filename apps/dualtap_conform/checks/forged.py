"""Transfers that a payee must close (SPEC §5.3-§5.6, §7, §8), each wrong in one way only: so its code is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from dualtap import limits
from dualtap.errors import Code
from dualtap.issued import Condition, Header, Role, Token, WalletCertificate
from dualtap.suite import P256
from dualtap.wire import TransferMessage
from dualtap_conform.bench import DEVICE, Bench
from dualtap_conform.checks.dating import after_its_key
from dualtap_conform.checks.requests import malleated
from dualtap_conform.customer import Customer, Wanted
from dualtap_conform.personal import UNKNOWN_CONDITION
from dualtap_conform.purse import PAYEE, Purse

Make = Callable[[Customer, Wanted], TransferMessage]


class Forgery(NamedTuple):
    """A transfer to be closed: the clause, the codes that are right, why, and how it is made."""

    clause: str
    codes: tuple[Code, ...]
    why: str
    make: Make


def token_of(customer: Customer, amount: int, **changes: Any) -> Token:
    """Return a new token of a customer's."""
    stage, bench = customer.bench.stage, customer.bench
    return stage.token(customer.name, amount, bench.fresh("token"), **changes)


def _plain(change: Callable[[TransferMessage], TransferMessage]) -> Make:
    """Return an honest transfer's message, changed after it was signed."""
    return lambda customer, wanted: change(customer.pay(wanted))


def _with_token(**changes: Any) -> Make:
    """Return an honest transfer of a token that is otherwise than it should be."""

    def make(customer: Customer, wanted: Wanted) -> TransferMessage:
        purse = Purse(customer.bench, customer.certificate)
        issuer = str(changes.get("issuer", "institution"))
        token = purse.token(token_of(customer, wanted.amount, **changes), issuer=issuer)
        return purse.transfer(customer.name, ((token, 0, wanted.amount),), wanted.request.id, customer.place())

    return make


def _placed(ahead: int = 0, **changes: int) -> Make:
    """Return a transfer at another place, or dated some days ahead."""

    def make(customer: Customer, wanted: Wanted) -> TransferMessage:
        purse = Purse(customer.bench, customer.certificate)
        token = purse.token(token_of(customer, wanted.amount))
        place = customer.place(epoch=customer.bench.date + ahead, **changes)
        return purse.transfer(customer.name, ((token, 0, wanted.amount),), wanted.request.id, place)

    return make


def _certified(change: Callable[[Customer], WalletCertificate]) -> Make:
    """Return an honest transfer by a payer with another certificate."""

    def make(customer: Customer, wanted: Wanted) -> TransferMessage:
        customer.certificate = change(customer)
        return customer.pay(wanted)

    return make


def _spans(pieces: Callable[[int], tuple[tuple[int, int], ...]], held: int = 0) -> Make:
    """Return a transfer of these pieces of one token, which holds ``held`` units more than are asked."""

    def make(customer: Customer, wanted: Wanted) -> TransferMessage:
        purse = Purse(customer.bench, customer.certificate)
        token = purse.token(token_of(customer, wanted.amount + held))
        spans = tuple((token, start, end) for start, end in pieces(wanted.amount))
        return purse.transfer(customer.name, spans, wanted.request.id, customer.place())

    return make


def _self_payment(customer: Customer, wanted: Wanted) -> TransferMessage:
    bench = customer.bench
    purse = Purse(bench, bench.setup.certificate._replace(role=Role.PAY | Role.COLLECT))
    purse.certificates = [bench.certify(purse.certificates[0])]
    token = bench.stage.token("nobody", wanted.amount, bench.fresh("token"))._replace(owner=bench.key)
    mine = purse.token(bench.issue(token))
    place = customer.place(prev=2**40, ctr=2**40 + 1)
    return purse.transfer(DEVICE, ((mine, 0, wanted.amount),), wanted.request.id, place)


def _to_another(customer: Customer, wanted: Wanted) -> TransferMessage:
    bench = customer.bench
    purse = Purse(bench, customer.certificate)
    token = purse.token(token_of(customer, wanted.amount))
    spans = ((token, 0, wanted.amount),)
    other = bench.stage.key(bench.fresh("other"))
    return purse.transfer(customer.name, spans, wanted.request.id, customer.place(), payee=other)


def _for_another_request(customer: Customer, wanted: Wanted) -> TransferMessage:
    purse = Purse(customer.bench, customer.certificate)
    token = purse.token(token_of(customer, wanted.amount))
    spans = ((token, 0, wanted.amount),)
    return purse.transfer(customer.name, spans, customer.bench.draw(32), customer.place())


def _unknown_authority(customer: Customer, wanted: Wanted) -> TransferMessage:
    stage = customer.bench.stage
    forged = stage.authorities[2]._replace(key=stage.key(customer.bench.fresh("bank")))
    return customer.pay(wanted)._replace(authorities=(stage.authorities[1], forged))


def _after_its_key(customer: Customer, wanted: Wanted) -> TransferMessage:
    key, header = after_its_key(customer.bench)
    return customer.pay(wanted)._replace(authorities=(key,), header=header)


def _malleated(customer: Customer, wanted: Wanted) -> TransferMessage:
    message = customer.pay(wanted)
    return message._replace(signature=malleated(customer.bench.scheme.suite is P256, message.signature))


def _extra_token(customer: Customer, wanted: Wanted) -> TransferMessage:
    purse = Purse(customer.bench, customer.certificate)
    token = purse.token(token_of(customer, wanted.amount))
    purse.token(token_of(customer, 5))
    return purse.transfer(customer.name, ((token, 0, wanted.amount),), wanted.request.id, customer.place())


def _extra_certificate(customer: Customer, wanted: Wanted) -> TransferMessage:
    purse = Purse(customer.bench, customer.certificate)
    token = purse.token(token_of(customer, wanted.amount))
    purse.certificate(Customer(customer.bench).certificate)
    return purse.transfer(customer.name, ((token, 0, wanted.amount),), wanted.request.id, customer.place())


BAD, BROKEN = Code.BAD_SIGNATURE, Code.BROKEN_PROVENANCE


def direct(bench: Bench) -> Iterator[Forgery]:
    """Yield transfers of tokens that must be closed."""
    stage, date = bench.stage, bench.date
    name = "3-6" if stage.suite is P256 else "3-11"
    flip = _plain(lambda found: found._replace(signature=found.signature[:-1] + bytes([found.signature[-1] ^ 1])))
    yield Forgery("8.1-11", (BAD,), "an altered signature", flip)
    yield Forgery(name, (BAD,), "a signature in its other form", _malleated)
    yield Forgery("5.2-4", (BAD,), "an altered verification", _plain(lambda found: found._replace(refund_of=bytes(32))))
    yield Forgery("5.7-1", (BAD,), "a transfer to another payee", _to_another)
    yield Forgery("5.7-1", (BAD,), "a transfer for another request", _for_another_request)
    yield Forgery("8.1-7", (Code.SELF_PAYMENT,), "a transfer of the device's own", _self_payment)
    yield Forgery("4.2-1", (Code.MALFORMED,), "a transfer at no place on a tape", _placed(prev=7, ctr=7))
    yield Forgery("8.1-6", (Code.EPOCH_AHEAD,), "a transfer of tomorrow", _placed(ahead=1))
    for clause, code, why, change in _certificates(bench):
        yield Forgery(clause, (code,), why, _certified(change))
    yield Forgery("8.1-14", (Code.WRONG_AMOUNT,), "a unit too little", _spans(lambda asked: ((0, asked - 1),)))
    yield Forgery("8.1-14", (Code.WRONG_AMOUNT,), "a unit too much", _spans(lambda asked: ((0, asked + 1),), 1))
    yield Forgery("5.3-4", (Code.SPAN_OUTSIDE,), "a span beyond its token", _spans(lambda asked: ((1, asked + 1),)))
    yield Forgery("5.3-4", (Code.SPAN_OUTSIDE,), "an empty span", _spans(lambda n: ((0, n), (n + 1, n + 1)), 9))
    overlap = _spans(lambda asked: ((0, 10), (9, asked - 1)))
    yield Forgery("5.3-6", (Code.SPANS_OVERLAP,), "a unit twice in one transfer", overlap)
    yield Forgery("8.1-9", (Code.WRONG_CERTIFICATE,), "a token that a bank signed", _with_token(issuer="bank"))
    yield Forgery("7-2", (Code.UNKNOWN_ISSUER,), "a token of a stranger", _with_token(issuer="stranger"))
    yield Forgery("8.1-12", (Code.WRONG_CURRENCY,), "another currency", _with_token(currency="XXX"))
    yield Forgery("8.1-12", (Code.TOKEN_EXPIRED,), "a token of yesterday", _with_token(spend_by=date - 1))
    yield Forgery("8.2-1", (Code.TOO_MANY_HOPS,), "a token that may not change hands", _with_token(hops=0))
    bound = _with_token(conditions=(UNKNOWN_CONDITION,))
    yield Forgery("5.6-2", (Code.UNKNOWN_CONDITION,), "a token with an unknown condition", bound)
    capped = _with_token(conditions=(Condition(4, bytes(7) + b"\1"),))
    yield Forgery("5.6-1", (Code.CONDITION_UNMET,), "a token of which one unit may be paid", capped)
    yield Forgery("5.4-2", (BROKEN,), "a token that is not there", _spans_of(lambda asked: ((1, 0, asked),)))
    yield Forgery("5.4-2", (BROKEN,), "a hand that is not there", _spans_of(lambda asked: ((0, PAYEE, 0, 0, asked),)))
    yield Forgery("8.3-6", (BROKEN,), "a token that nothing spends", _extra_token)
    yield Forgery("8.1-8", (BROKEN,), "a certificate of no hand", _extra_certificate)
    banks = _dated(lambda: stage.header(date + 1, issuer="bank"))
    yield Forgery("8.1-6", (Code.WRONG_CERTIFICATE,), "a header that the bank signed", banks)
    altered = _dated(lambda: stage.header(date + 1)._replace(epoch=date + 2))
    yield Forgery("8.1-6", (BAD,), "an altered header", altered)
    far = _dated(lambda: stage.header(date + limits.EPOCH_STEP + 1))
    yield Forgery("7-10", (Code.EPOCH_AHEAD,), "a header too far ahead", far)
    yield Forgery("7-9", (Code.CERTIFICATE_EXPIRED,), "a header after its policy key's last epoch", _after_its_key)
    twins = _plain(lambda message: message._replace(authorities=stage.twins))
    yield Forgery("7-6", (Code.WRONG_CERTIFICATE,), "two institutions with one hint", twins)
    yield Forgery("7-5", (BAD,), "a forged bank among the authorities", _unknown_authority)
    if bench.setup.profile.spans < limits.SPANS:
        most = bench.setup.profile.spans
        many = _spans(lambda asked: (*((n, n + 1) for n in range(most)), (most, asked)))
        yield Forgery("8.1-11", (Code.TOO_LARGE,), "a span too many", many)


def _spans_of(spans: Callable[[int], tuple[tuple[int, ...], ...]]) -> Make:
    def make(customer: Customer, wanted: Wanted) -> TransferMessage:
        purse = Purse(customer.bench, customer.certificate)
        purse.token(token_of(customer, wanted.amount))
        return purse.transfer(customer.name, spans(wanted.amount), wanted.request.id, customer.place())

    return make


def _dated(header: Callable[[], Header]) -> Make:
    return lambda customer, wanted: customer.pay(wanted)._replace(header=header())


def _certificates(bench: Bench) -> Iterator[tuple[str, Code, str, Callable[[Customer], WalletCertificate]]]:
    """Yield clause, code, why, and a payer's certificate."""
    stage, date = bench.stage, bench.date
    yield (
        "8.1-8",
        Code.CERTIFICATE_EXPIRED,
        "a payer whose certificate expired yesterday",
        lambda customer: stage.certificate(customer.name, expires=date - 1),
    )
    yield (
        "8.1-7",
        Code.WRONG_CERTIFICATE,
        "a payer without the role PAY",
        lambda customer: stage.certificate(customer.name, role=Role.COLLECT),
    )
    yield (
        "8.1-8",
        Code.BAD_SIGNATURE,
        "a payer with an altered certificate",
        lambda customer: stage.certificate(customer.name)._replace(tier=2),
    )
    yield (
        "7-2",
        Code.UNKNOWN_ISSUER,
        "a payer whom a stranger certified",
        lambda customer: stage.certificate(customer.name, issuer="stranger"),
    )
    yield (
        "7-1",
        Code.WRONG_CERTIFICATE,
        "a payer whom the policy key certified",
        lambda customer: stage.certificate(customer.name, issuer="policy"),
    )

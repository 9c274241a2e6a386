"""A payer that the tester plays: it is asked by a payee under test, pays by anything, and judges the outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dualtap.errors import Code, TapError
from dualtap.forms import signed
from dualtap.issued import WalletCertificate
from dualtap.statements import CloseBody, Kind, Opening, Outcome, ReceiptBody, Request, RequestBody
from dualtap.wire import OutcomeMessage, RequestMessage, TransferMessage, Want
from dualtap_conform.bench import Bench
from dualtap_conform.puppet import Failure, NotHereError, Puppet, code_name, must
from dualtap_conform.purse import Place, Purse

LEAST, MOST = 100, 100_000
"""Minor units that a payee under test charges: enough to be cut in pieces, and less than a test's tokens."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A Request that the device made."""

    request: Request
    message: RequestMessage

    @property
    def amount(self) -> int:
        """Minor units."""
        return self.request.body.amount


class Customer:
    """A payer with a key of its own, whose tape it keeps."""

    def __init__(self, bench: Bench, what: str = "customer", certificate: WalletCertificate | None = None) -> None:
        self.bench = bench
        self.name = bench.fresh(what)
        self.certificate = certificate or bench.stage.certificate(self.name)
        self.counter = 0

    @property
    def key(self) -> bytes:
        """The customer's key."""
        return self.bench.stage.key(self.name)

    # Hearing a Request

    def wanted(self, tap: Puppet, clause: str = "6-1") -> Wanted:
        """Hear the Request with which a payee begins, and judge it as an honest payer."""
        message = tap.hear(RequestMessage, clause)
        bench, profile = self.bench, self.bench.setup.profile
        body = RequestBody(tap.established().transcript, False, *message[1:11])
        request = signed(bench.scheme.id, bench.key, body, b"", message.signature)
        must(message.certificate == bench.setup.certificate, "5.2-5", "the device's certificate", "another")
        try:
            bench.trust().verify_statement(request)
        except TapError:
            raise Failure("a Request over this session and the responder's role", "another signature", "6-11") from None
        must(body.amount > 0, "11.3-5", "an amount above zero", body.amount)
        if not LEAST <= body.amount <= MOST:
            raise NotHereError(f"for a test a payee charges {LEAST} to {MOST} units, not {body.amount}")
        must(body.size <= profile.message, "10-2", f"a size of at most {profile.message}", body.size)
        must(body.hops <= profile.hops, "10-2", f"at most {profile.hops} hops", body.hops)
        must(body.spans <= profile.spans, "10-2", f"at most {profile.spans} spans", body.spans)
        must(body.epoch == bench.date, "4.1-7", f"its date, {bench.date}", f"epoch {body.epoch}")
        must(not message.prove, "11.2-6", "no prove: the device has nothing in doubt", "prove")
        if not tap.want & Want.AUTHORITIES:
            must(not message.authorities, "7-4", "no authorities: none were asked for", len(message.authorities))
        bench.memory.saw_request(request.id, body.basket, body.part)
        return Wanted(request, message)

    # Paying

    def place(self, **changes: Any) -> Place:
        """Return the next place on this customer's tape."""
        self.counter += 1
        found = Place(self.counter - 1, self.counter, self.bench.date, self.bench.draw(16))
        return found._replace(**changes) if changes else found

    def pay(self, wanted: Wanted, **changes: Any) -> TransferMessage:
        """Return an honest transfer of one token; ``changes`` are of its place."""
        purse = Purse(self.bench, self.certificate)
        token = purse.token(self.bench.stage.token(self.name, wanted.amount + 1, self.bench.fresh("token")))
        return purse.transfer(self.name, ((token, 0, wanted.amount),), wanted.request.id, self.place(**changes))

    # Judging an outcome

    def outcome(self, tap: Puppet, request: bytes, shown: bytes, clause: str) -> tuple[Outcome, OutcomeMessage]:
        """Hear the outcome of a request, verify it, and keep what it shows; ``shown`` is the transfer just shown."""
        message = tap.hear(OutcomeMessage, clause)
        return self.judge(message, request, shown, clause), message

    def judge(
        self, message: OutcomeMessage, request: bytes, shown: bytes, clause: str, dated: str = "4.1-7"
    ) -> Outcome:
        """Verify an outcome by the device's key; a wrong date counts under the clause ``dated``, once."""
        bench = self.bench
        body: ReceiptBody | CloseBody
        if message.kind is Kind.RECEIPT:
            must(message.reason == 0, "5.2-1", "reason 0 in a Receipt", message.reason)
            body = ReceiptBody(request, message.transfer or shown, message.epoch)
        else:
            must(message.kind is Kind.CLOSE, "5.2-1", "a Receipt or a Close", message.kind.name)
            must(not message.transfer, "5.2-1", "no transfer in a Close", message.transfer.hex())
            body = CloseBody(request, message.reason, message.epoch)
        must(message.ctr > message.prev, "4.2-1", "ctr > prev", f"({message.prev}, {message.ctr}]")
        opening = Opening(message.seed, message.prev, message.ctr)
        outcome: Outcome = signed(bench.scheme.id, bench.key, body, opening, message.signature)
        try:
            bench.trust().verify_statement(outcome)
        except TapError:
            raise Failure("an outcome signed by the device's key", "another signature", clause) from None
        if outcome.id not in bench.memory.entries and message.epoch != bench.date:
            expected, bench.date = bench.date, message.epoch
            raise Failure(f"its date, {expected}", f"epoch {message.epoch}", dated)
        bench.memory.saw_entry(outcome.id, message.seed, message.prev, message.ctr, message.epoch)
        bench.memory.saw_outcome(request, outcome)
        return outcome

    def receipt(self, tap: Puppet, wanted: Wanted, message: TransferMessage, clause: str = "11.2-7") -> OutcomeMessage:
        """Hear the Receipt of a transfer that was just shown."""
        transfer = self.transfer_id(message, wanted.request.id)
        outcome, told = self.outcome(tap, wanted.request.id, transfer, clause)
        body = outcome.body
        if isinstance(body, CloseBody):
            raise Failure("a Receipt", f"a Close, {code_name(body.reason)}", clause)
        must(body.transfer == transfer, clause, "a Receipt of the transfer shown", "of another transfer")
        return told

    def close(
        self, tap: Puppet, wanted: Wanted, message: TransferMessage, codes: tuple[Code, ...], clause: str, why: str
    ) -> OutcomeMessage:
        """Hear the Close of a transfer that was just shown, for one of these reasons."""
        names = " or ".join(code.name for code in codes)
        answer = tap.hear_any(f"a Close, {names}, for {why}", "8.1-3")
        if not isinstance(answer, OutcomeMessage):
            raise Failure(f"a Close, {names}, for {why}", type(answer).__name__.removesuffix("Message"), "8.1-3")
        dated = clause if message.header is not None else "4.1-7"
        outcome = self.judge(answer, wanted.request.id, self.transfer_id(message, wanted.request.id), "8.1-3", dated)
        if not isinstance(outcome.body, CloseBody):
            raise Failure(f"a Close, {names}, for {why}", "a Receipt", clause)
        must(
            outcome.body.reason in codes,
            clause,
            f"a Close, {names}, for {why}",
            f"a Close, {code_name(outcome.body.reason)}",
        )
        return answer

    def transfer_id(self, message: TransferMessage, request: bytes) -> bytes:
        """Return the id of the transfer in a message, or of none where it cannot be told."""
        try:
            return self.bench.rebuilt(message, request).id
        except TapError:
            return bytes(32)

    # Whole taps

    def buy(self, make: Callable[[Wanted], TransferMessage] | None = None) -> tuple[Wanted, TransferMessage]:
        """Meet the device once, pay, and hear the Receipt."""
        with self.bench.tap() as tap:
            wanted = self.wanted(tap)
            message = (make or self.pay)(wanted)
            tap.say(message)
            self.receipt(tap, wanted, message)
        return wanted, message

"""A payee that the tester plays: it asks a payer under test, judges what comes, and answers by any outcome."""

from __future__ import annotations

from dataclasses import dataclass

from dualtap import limits
from dualtap.errors import Code, TapError
from dualtap.forms import signed
from dualtap.issued import AuthorityCertificate, WalletCertificate
from dualtap.provenance import Acceptance, rebuild, verify
from dualtap.statements import (
    CloseBody,
    Kind,
    Opening,
    Outcome,
    PresentBody,
    ReceiptBody,
    Request,
    RequestBody,
    Transfer,
    Verification,
    Warrant,
)
from dualtap.suite import TAG
from dualtap.trust import Trust
from dualtap.wire import DoneMessage, OutcomeMessage, PresentMessage, RequestMessage, TransferMessage, encode
from dualtap_conform.bench import Bench
from dualtap_conform.puppet import Failure, Puppet, must
from dualtap_conform.stage import CURRENCY

CLAUSE = {
    Code.BAD_SIGNATURE: "4.1-1",
    Code.NOT_OWNER: "5.3-3",
    Code.SPAN_OUTSIDE: "5.3-4",
    Code.EPOCH_BACKWARDS: "5.3-5",
    Code.SPANS_OVERLAP: "8.4-1",
    Code.BROKEN_PROVENANCE: "5.4-1",
}
"""Where an honest payee's refusal of a payer's transfer counts; all others count as a bad choice of spans."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A Request that was made: its statement and its message."""

    request: Request
    message: RequestMessage


@dataclass(frozen=True, slots=True)
class Paid:
    """A transfer that came, with its message and the Request that it answers."""

    transfer: Transfer
    message: TransferMessage
    asked: Asked
    till: Till


class Till:
    """A payee with a key of its own. ``issuer`` certifies it."""

    def __init__(self, bench: Bench, what: str = "till", certificate: WalletCertificate | None = None) -> None:
        self.bench = bench
        self.name = bench.fresh(what)
        self.certificate = certificate or bench.stage.certificate(self.name)
        self.counter = 0
        self.requests: frozenset[bytes] = frozenset()
        self.trust: Trust = bench.trust()

    @property
    def key(self) -> bytes:
        """The till's key."""
        return self.certificate.key

    # Asking

    def request(
        self,
        tap: Puppet,
        amount: int,
        *,
        currency: str = CURRENCY,
        basket: bytes = b"",
        part: int = 0,
        hops: int = limits.HOPS,
        spans: int = limits.SPANS,
        size: int = limits.MESSAGE,
        epoch: int | None = None,
        prove: bool = False,
        session: bytes | None = None,
        initiator: bool = True,
        certificate: WalletCertificate | None = None,
        authorities: tuple[AuthorityCertificate, ...] = (),
        signer: str = "",
        verification: Verification = Verification.NONE,
    ) -> Asked:
        """Return a Request of this session, not yet said; what is changed is signed all the same."""
        bench = self.bench
        body = RequestBody(
            tap.established().transcript if session is None else session,
            initiator,
            amount,
            currency,
            basket or bench.draw(16),
            part,
            b"",
            hops,
            spans,
            size,
            verification,
            bench.date if epoch is None else epoch,
        )
        request = bench.stage.sign(signer or self.name, body)
        self.requests |= {request.id}
        tap.known = self.requests
        shown = certificate or self.certificate
        return Asked(request, RequestMessage(prove, *body[2:], request.signature, shown, authorities))

    def ask(
        self, tap: Puppet, amount: int, *, currency: str = CURRENCY, basket: bytes = b"", prove: bool = False
    ) -> Asked:
        """Make an honest Request and say it."""
        asked = self.request(tap, amount, currency=currency, basket=basket, prove=prove)
        tap.say(asked.message)
        return asked

    def present(
        self, tap: Puppet, *, prove: bool = False, session: bytes | None = None, epoch: int | None = None
    ) -> PresentMessage:
        """Return a Present: there is nothing to charge."""
        bench, tap.known = self.bench, self.requests
        date = bench.date if epoch is None else epoch
        body = PresentBody(tap.established().transcript if session is None else session, True, date)
        statement = bench.stage.sign(self.name, body)
        return PresentMessage(prove, date, statement.signature, self.certificate, ())

    # Judging

    def hear(self, tap: Puppet, asked: Asked, clause: str = "11.3-10") -> Paid:
        """Hear the Transfer that answers a Request, and judge it as an honest payee."""
        message = tap.hear(TransferMessage, clause)
        must(not message.request, clause, "a Transfer", "a Resume")
        return self.judge(message, asked)

    def judge(self, message: TransferMessage, asked: Asked) -> Paid:
        """Verify a Transfer or Resume that answers a Request of this till, and keep what it shows."""
        bench, body = self.bench, asked.request.body
        size = len(encode(message)) + TAG
        must(size <= body.size, "8.4-3", f"a frame of at most {body.size} bytes", f"{size} bytes")
        must(
            message.bundle.certificates[0] == bench.setup.certificate,
            "5.4-3",
            "the device's certificate first",
            message.bundle.certificates[0].key.hex(),
        )
        must(message.ctr > message.prev, "4.2-1", "ctr > prev", f"({message.prev}, {message.ctr}]")
        transfer = self.verified(message, asked)
        fresh = transfer.id not in bench.memory.entries
        bench.memory.saw_entry(transfer.id, message.seed, message.prev, message.ctr, message.epoch)
        bench.memory.unjudged.pop(message.signature, None)
        wrong = bench.holdings.pays(transfer)
        if wrong:
            bench.memory.fault(
                "11.3-11" if "doubt" in wrong else "1-1", "units that the device holds", f"units {wrong}"
            )
        if fresh:
            must(message.epoch == bench.date, "4.1-7", f"its date, {bench.date}", f"epoch {message.epoch}")
        return Paid(transfer, message, asked, self)

    def verified(self, message: TransferMessage, asked: Asked) -> Transfer:
        """Return the transfer in a message, if an honest payee may accept it."""
        body = asked.request.body
        try:
            self.trust.learn(message.authorities)
            if message.header is not None:
                self.trust.adopt(message.header)
            received = rebuild(self.trust, message, self.key, asked.request.id)
            accept = Acceptance(body.currency, self.bench.date, body.hops, body.spans)
            amount = verify(self.trust, received, accept)
        except TapError as error:
            clause = CLAUSE.get(error.code, "8.4-2") if isinstance(error.code, Code) else "8.4-2"
            raise Failure("a Transfer that an honest payee accepts", str(error), clause) from None
        must(amount == body.amount, "8.4-2", f"spans of {body.amount} units", f"{amount} units")
        return received.transfer

    # Answering

    def outcome(self, body: ReceiptBody | CloseBody) -> Outcome:
        """Return an outcome, signed on this till's tape."""
        self.counter += 1
        opening = Opening(self.bench.draw(16), self.counter - 1, self.counter)
        return self.bench.stage.sign(self.name, body, opening)

    def receipt(self, paid: Paid, transfer: bytes = b"") -> OutcomeMessage:
        """Return the Receipt of a transfer, or of another one for the same request."""
        body = ReceiptBody(paid.asked.request.id, transfer or paid.transfer.id, self.bench.date)
        return self.told(self.outcome(body), transfer)

    def close(self, paid: Paid, reason: Code = Code.TIMEOUT) -> OutcomeMessage:
        """Return the Close of a transfer's request."""
        return self.told(self.outcome(CloseBody(paid.asked.request.id, reason, self.bench.date)))

    @staticmethod
    def told(outcome: Outcome, other: bytes = b"") -> OutcomeMessage:
        """Return the message of an outcome."""
        body, opening = outcome.body, outcome.shown()
        kind, reason = (Kind.CLOSE, body.reason) if isinstance(body, CloseBody) else (Kind.RECEIPT, 0)
        return OutcomeMessage(
            kind, other, reason, body.epoch, opening.seed, opening.prev, opening.ctr, outcome.signature, None
        )

    def settle(self, tap: Puppet, paid: Paid, message: OutcomeMessage) -> None:
        """Say an outcome, and keep in mind what the device must now hold."""
        tap.say(message)
        body: ReceiptBody | CloseBody = CloseBody(paid.asked.request.id, message.reason, message.epoch)
        if message.kind is Kind.RECEIPT:
            body = ReceiptBody(paid.asked.request.id, message.transfer or paid.transfer.id, message.epoch)
        opening = Opening(message.seed, message.prev, message.ctr)
        outcome = signed(self.bench.scheme.id, self.key, body, opening, message.signature)
        if isinstance(body, ReceiptBody) and body.transfer == paid.transfer.id:
            self.bench.holdings.heard(paid.transfer, None)
        else:
            warrant = Warrant(paid.transfer.shown().answered(), outcome)
            self.bench.holdings.heard(paid.transfer, warrant)

    # Whole taps

    def collect(self, amount: int, *, currency: str = CURRENCY, basket: bytes = b"") -> Paid:
        """Meet the device once, and be paid."""
        with self.bench.tap() as tap:
            asked = self.ask(tap, amount, currency=currency, basket=basket)
            paid = self.hear(tap, asked)
            self.settle(tap, paid, self.receipt(paid))
        return paid

    def tear(self, amount: int, *, currency: str = CURRENCY, basket: bytes = b"") -> Paid:
        """Meet the device once, and leave when its Transfer has come."""
        with self.bench.tap() as tap:
            return self.hear(tap, self.ask(tap, amount, currency=currency, basket=basket))

    def shown(self, tap: Puppet, paid: Paid, clause: str = "11.4-2") -> Paid:
        """Hear the Resume of a transfer that came before."""
        message = tap.hear(TransferMessage, clause)
        must(bool(message.request), clause, "a Resume", "a Transfer")
        must(
            message.request == paid.asked.request.id, clause, "a Resume of the transfer in doubt", "of another request"
        )
        again = self.judge(message, paid.asked)
        must(again.transfer.id == paid.transfer.id, clause, "the same transfer again", "another transfer")
        return again

    def heal(self, paid: Paid, clause: str = "11.4-2") -> None:
        """Meet the device once with nothing to charge, and give it the Receipt of what it shows."""
        with self.bench.tap() as tap:
            tap.say(self.present(tap))
            self.shown(tap, paid, clause)
            self.settle(tap, paid, self.receipt(paid))
            tap.hear(DoneMessage, "11.3-1")

    def see(self, paid: Paid, clause: str) -> None:
        """Meet the device once with nothing to charge, and see that a transfer is still in doubt."""
        with self.bench.tap() as tap:
            tap.say(self.present(tap))
            self.shown(tap, paid, clause)


def in_doubt(bench: Bench) -> Paid:
    """Return a transfer that is in doubt to a till of its own.

    A check that leaves it so puts it back (``bench.doubt``), so that a run needs few entries of a card's tape.
    """
    found, bench.doubt = bench.doubt, None
    return found or Till(bench).tear(116)

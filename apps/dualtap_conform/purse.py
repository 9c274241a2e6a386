"""Value as a payer shows it (SPEC §5.4), put together piece by piece, so that any piece can be wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dualtap.compact import Bundle, CompactSpan, CompactToken, CompactTransfer, CompactWarrant
from dualtap.forms import signed
from dualtap.issued import AuthorityCertificate, Header, Token, WalletCertificate
from dualtap.statements import (
    CloseBody,
    Opening,
    Outcome,
    Parent,
    Private,
    ReceiptBody,
    Side,
    Span,
    Transfer,
    TransferBody,
    Verification,
)
from dualtap.trust import issued_id
from dualtap.wire import TransferMessage
from dualtap_conform.bench import Bench

PAYEE, PAYER = int(Side.PAYEE), int(Side.PAYER)


class Place(NamedTuple):
    """Where on a tape, when, and how the user was verified."""

    prev: int
    ctr: int
    epoch: int
    seed: bytes
    verification: Verification = Verification.DEVICE
    """Whatever a device under test may ask for."""


class Purse:
    """A bundle that grows: certificates (the payer's first), tokens, and hands. References are their places."""

    def __init__(self, bench: Bench, payer: WalletCertificate) -> None:
        self.bench = bench
        self.certificates = [payer]
        self.tokens: list[CompactToken] = []
        self.hands: list[CompactTransfer] = []
        self._parents: list[bytes] = []
        self._transfers: list[Transfer] = []

    def certificate(self, certificate: WalletCertificate) -> int:
        """Return the place of a certificate, which is added if it is not there."""
        if certificate not in self.certificates:
            self.certificates.append(certificate)
        return self.certificates.index(certificate)

    def token(self, token: Token, owner: int = 0, issuer: str = "institution") -> int:
        """Add a token; ``issuer`` is who signed it."""
        self._parents.append(issued_id(self.bench.scheme, token, self.bench.stage.key(issuer)))
        fields = (token.serial, token.amount, token.currency, owner, *token[4:])
        self.tokens.append(CompactToken(*fields))
        return len(self.tokens) - 1

    def spans(self, spans: Sequence[CompactSpan]) -> tuple[Span, ...]:
        """Return what compact spans stand for; a reference to nothing stands for a parent that nobody knows."""
        found: list[Span] = []
        for item in spans:
            ids = self._parents if len(item) == 3 else [hand.id for hand in self._transfers]
            parent = ids[item[0]] if item[0] < len(ids) else bytes(32)
            side = Side.TOKEN if len(item) == 3 else Side(item[1])
            found.append(Span(Parent(parent, side, 0 if len(item) == 3 else item[2]), item[-2], item[-1]))
        return tuple(found)

    def hand(
        self,
        payer: str,
        payee: bytes,
        spans: Sequence[CompactSpan],
        *,
        by: int,
        to: int | None = None,
        epoch: int | None = None,
        request: bytes = b"",
        outcome: Outcome | None = None,
    ) -> int:
        """Add a hand, signed by a name whose certificate is at ``by``; ``to`` is its payee's, if that signs a hand.

        With an outcome of its request it is a dead one, and that is its warrant.
        """
        stage, draw = self.bench.stage, self.bench.draw
        date = self.bench.date if epoch is None else epoch
        start = int.from_bytes(draw(5), "big")
        opening = Opening(draw(16), start, start + 1, request=request)
        transfer = stage.sign(payer, TransferBody(payee, self.spans(spans), date, ()), opening)
        proof: bytes | CompactWarrant = transfer.commitment
        if outcome is not None:
            answered, body = opening.answered(), outcome.body
            accepted, reason = (body.transfer, 0) if isinstance(body, ReceiptBody) else (b"", body.reason)
            proof = CompactWarrant(*answered, accepted, reason, body.epoch, outcome.commitment, outcome.signature)
        where: int | bytes = payee if to is None else to
        self._transfers.append(transfer)
        self.hands.append(CompactTransfer(by, where, tuple(spans), date, (), proof, transfer.signature))
        return len(self.hands) - 1

    def take(self, transfer: Transfer, spans: Sequence[CompactSpan], *, by: int, to: int) -> int:
        """Add a hand that was signed before, as its payee would show it: without its warrant."""
        body = transfer.body
        self._transfers.append(transfer)
        self.hands.append(
            CompactTransfer(by, to, tuple(spans), body.epoch, (), transfer.commitment, transfer.signature)
        )
        return len(self.hands) - 1

    def last(self) -> Transfer:
        """Return the hand that was added last."""
        return self._transfers[-1]

    def dead(self, payer: str, payee: str, spans: Sequence[CompactSpan], *, by: int = 0, closer: str = "") -> int:
        """Add a hand whose request its payee closed; ``closer`` signs the Close in the payee's place."""
        request = self.bench.draw(32)
        start = int.from_bytes(self.bench.draw(5), "big")
        close = CloseBody(request, 0, self.bench.date)
        place = Opening(self.bench.draw(16), start, start + 1)
        stage = self.bench.stage
        outcome = stage.sign(closer or payee, close, place)
        return self.hand(payer, stage.key(payee), spans, by=by, request=request, outcome=outcome)

    def transfer(
        self,
        payer: str,
        spans: Sequence[CompactSpan],
        request: bytes,
        place: Place,
        *,
        payee: bytes = b"",
        header: Header | None = None,
        authorities: tuple[AuthorityCertificate, ...] = (),
    ) -> TransferMessage:
        """Return the message of a transfer to the device, or as if to another payee."""
        private = Private(place.verification)
        body = TransferBody(payee or self.bench.key, self.spans(spans), place.epoch, ())
        opening = Opening(place.seed, place.prev, place.ctr, private, request)
        key = self.certificates[0].key
        blank = signed(self.bench.scheme.id, key, body, opening)
        return TransferMessage(
            b"",
            tuple(spans),
            place.epoch,
            (),
            place.seed,
            place.prev,
            place.ctr,
            place.verification,
            b"",
            self.bench.signer(payer).sign(blank.id),
            Bundle(tuple(self.certificates), tuple(self.tokens), tuple(self.hands)),
            header,
            authorities,
        )

"""Purpose-bound value in a scene: tokens with conditions, and what proves that they are met (SPEC §5.6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dualtap.codec import pack
from dualtap.conditions import Rule
from dualtap.errors import Code
from dualtap.forms import signed
from dualtap.issued import Condition, WalletCertificate
from dualtap.statements import GrantBody, Parent, Span, Transfer
from dualtap.wire import TransferMessage
from dualtap_conform.setup import unhex, whole
from dualtap_conform.stage import POS_CATEGORY, TODAY, Stage
from dualtap_conform.value.scene import TILL, Scene
from dualtap_conform.vector import Vector

UNMET, USELESS = Code.CONDITION_UNMET, Code.MALFORMED


def u16(*numbers: int) -> bytes:
    """Return merchant categories, joined."""
    return b"".join(number.to_bytes(2, "big") for number in numbers)


def window(first: int, last: int) -> bytes:
    """Return a window of epochs."""
    return first.to_bytes(4, "big") + last.to_bytes(4, "big")


def cap(amount: int) -> bytes:
    """Return a cap, in minor units."""
    return amount.to_bytes(8, "big")


def times(number: int) -> bytes:
    """Return a count of uses."""
    return number.to_bytes(4, "big")


def shown(certificate: WalletCertificate) -> bytes:
    """Return a certificate as a witness."""
    return unhex(whole(certificate))


class Purpose(Scene):
    """A scene in which anna owns bound value, and the till is a shop."""

    def shop(self, name: str = TILL, category: int = POS_CATEGORY, **more: Any) -> bytes:
        """Give somebody a certificate with a category, and return it as a witness."""
        self.certificates[name] = self.stage.certificate(name, category=category, **more)
        return shown(self.certificates[name])

    def bound(self, *conditions: tuple[Rule | int, bytes], serial: str = "", owner: str = "anna") -> Parent:
        """Take in a token with conditions."""
        self.key(owner)
        listed = tuple(Condition(int(code), value) for code, value in conditions)
        return self.put(self.stage.token(owner, serial=serial, conditions=listed))

    def grant(
        self,
        token: Parent,
        *,
        payee: bytes = b"",
        category: int = 0,
        amount: int = 60,
        basket: bytes = b"",
        first: int = TODAY,
        last: int = TODAY,
        by: str = "parent",
        key: str = "parent",
    ) -> bytes:
        """Return a Grant in the name of ``key``, signed ``by`` somebody, as a witness."""
        body = GrantBody(token.id, payee, category, amount, basket, first, last)
        statement = signed(self.stage.scheme.id, self.stage.key(key), body)
        return pack((*body, self.stage.signer(by).sign(statement.id)))

    def spend(self, token: Parent, *witness: bytes, amount: int = 60, epoch: int = TODAY) -> TransferMessage:
        """Return what anna shows to the till."""
        return self.pay("anna", Span(token, 0, amount), witness=witness, epoch=epoch)

    def give(self, token: Parent, payee: str, *witness: bytes, amount: int = 60, epoch: int = TODAY) -> Transfer:
        """Take in a transfer of anna's to somebody."""
        return self.hand("anna", payee, Span(token, 0, amount), witness=witness, epoch=epoch)

    def met(self, flags: str, comment: str, message: TransferMessage, clauses: str = "5.6-1") -> Vector:
        """Return the case in which the conditions are met."""
        return self.accepted(clauses, f"Condition {flags}".strip(), comment, message)

    def unmet(self, flags: str, comment: str, message: TransferMessage, clauses: str = "5.6-1 5.3-9") -> Vector:
        """Return the case in which some condition is not met."""
        return self.refused(UNMET, clauses, f"Condition {flags}".strip(), comment, message)

    def useless(self, comment: str, message: TransferMessage) -> Vector:
        """Return the case in which a witness serves no condition."""
        return self.refused(USELESS, "5.6-9 5.3-9", "Condition UselessWitness", comment, message)


def simple(
    stage: Stage, flag: str, cases: tuple[tuple[str, tuple[Rule, bytes], bool], ...], **more: int
) -> Iterator[Vector]:
    """Yield cases in which anna spends 60 units under one condition, without a witness."""
    for comment, condition, good in cases:
        scene = Purpose(stage)
        message = scene.spend(scene.bound(condition), **more)
        yield scene.met(flag, comment, message) if good else scene.unmet(flag, comment, message)

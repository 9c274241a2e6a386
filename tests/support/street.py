"""Anna, who pays, and a till, both honest; Mallory, who has a certificate; and somebody between any two of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from dualtap.context import Charge
from dualtap.events import Result
from dualtap.forms import signed
from dualtap.statements import Body
from dualtap_devices.wallet import Wallet
from tests.playbook import Actor, Meeting, Rewrite, Said
from tests.support.arena import Arena, Attack

APPLES = Charge(100, "CNY", b"basket of apples")
PEARS = Charge(20, "CNY", b"basket of pears.")


class Street:
    """Anna and a till, who are honest, and Mallory, who has a certificate."""

    def __init__(self, suite: str, payer_starts: bool = True) -> None:
        self.arena = arena = Arena(suite)
        self.anna, self.till = arena.wallet(fund=1000), arena.wallet(fund=500)
        self.purse = arena.wallet(fund=50)
        self.mallory = arena.corrupt("mallory", self.purse)
        arena.issued -= 50
        self.payer_starts = payer_starts
        self.meetings: list[Meeting] = []

    def meet(self, payer: Wallet, payee: Wallet, charge: Charge = APPLES, **more: Any) -> Meeting:
        meeting = self.arena.meet(payer, payee, charge=charge, payer_starts=self.payer_starts, **more)
        self.meetings.append(meeting)
        return meeting

    def pay(self, rewrite: Rewrite | None = None, **more: Any) -> Meeting:
        """Anna pays the till, and somebody who has the keys of the session rewrites what is said."""
        return self.meet(self.anna, self.till).run(rewrite=rewrite, **more)

    def torn(self) -> None:
        """Anna has paid the till, and has not heard of it."""
        self.meet(self.anna, self.till, Charge(30, "CNY", self.arena.draw(16))).run(
            stop_after=3 if self.payer_starts else 4
        )
        assert self.anna.book.in_doubt() == 30

    def sign(self, body: Body) -> bytes:
        return self.mallory.signer.sign(signed(self.arena.scheme.id, self.mallory.key, body).id)

    def said(self, meeting: Meeting, kind: type[Any]) -> Any:
        return next(seen.message for seen in meeting.heard if type(seen.message) is kind)


def on(kind: type[Said], change: Callable[[Any], Any]) -> Rewrite:
    """Return a rewrite of the messages of this kind."""
    return lambda said: cast("Said", change(said)) if type(said) is kind else said


def sets(kind: type[Said], /, **fields: object) -> Rewrite:
    return on(kind, lambda said: said._replace(**fields))


def judge(street: Street, attack: Attack[Any], victim: Actor) -> None:
    assert victim.report.code is attack.code, (victim.report, attack.bug)
    if attack.code is not None:
        assert victim.report.result in (Result.NOT_PAID, Result.IN_DOUBT)
        if attack.doubt is not None:
            assert (victim.report.result is Result.IN_DOUBT) is attack.doubt, victim.report
    arena = street.arena
    arena.check()
    arena.meet(street.till, street.anna, charge=Charge(3, "CNY", arena.draw(16))).run()
    healed = arena.meet(street.anna, street.till, charge=Charge(7, "CNY", arena.draw(16))).run()
    assert healed.payer.report.result is Result.PAID, "one clean tap heals"
    assert (street.anna.book.pending_to(street.till.book.key), street.till.book.in_doubt()) == ([], 0)
    arena.check()
    arena.upload()
    arena.judge(attack.named, street.anna, street.till)

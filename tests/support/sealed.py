"""An issuer for sealed syncs, without a service."""

from __future__ import annotations

from collections.abc import Callable

from dualtap.events import Received, Send
from dualtap.sealedsync import IssuerSync, Prove, Proved, Take, Taken
from tests.mint import Mint

MOST = 1 << 20
"""Bytes of the greatest upload that it takes."""


class Host:
    """The issuer's end of one sync after another, over a mint's ledger. It keeps every frame that it was carried."""

    def __init__(self, mint: Mint, most: int = MOST) -> None:
        self.mint, self.most = mint, most
        self.frames: list[bytes] = []
        self.session = self.fresh()
        self.applied = 0
        self.prove: Callable[[bytes, bytes], Proved] = mint.authority.proof_for

    def fresh(self) -> IssuerSync:
        self.session = IssuerSync(self.mint.scheme, self.mint.suite.ephemeral(self.mint.draw()), self.most)
        return self.session

    def exchange(self, frame: bytes) -> bytes:
        self.frames.append(frame)
        effect = self.session.step(Received(frame))
        while not isinstance(effect, Send):
            match effect:
                case Prove(session):
                    effect = self.session.step(self.prove(session, self.mint.challenge()))
                case Take(upload):
                    effect = self.session.step(Taken(self.mint.sync(upload)))
                    self.applied += 1
        self.frames.append(effect.frame)
        return effect.frame

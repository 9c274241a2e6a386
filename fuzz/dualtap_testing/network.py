"""How syncs reach a simulated world's ledger, and what the network does to them on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualtap.errors import Code, TapError
from dualtap_testing.checkers import PromiseBroken
from dualtap_testing.devices import Device
from dualtap_testing.taps import LinkFault, TapPlan

if TYPE_CHECKING:
    from dualtap_testing.world import World


class Network:
    """What a device reaches its issuer by: what goes wrong in the next sync, and uploads still on their way."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.fault = "none"
        self.limbo: list[bytes] = []
        self.faults = 0
        self.syncing: Device | None = None
        self._taken: set[bytes] = set()

    def challenge(self) -> bytes:
        """Give a device a challenge, if the network does."""
        if self.fault == "unreachable":
            self.faults += 1
            raise TapError(Code.ISSUER_UNREACHABLE)
        return self._world.ledger.challenge(self._world.draw())

    def sync(self, signed_upload: bytes) -> bytes:
        """Carry an upload to the ledger and its reply back, as the network does today."""
        fault = self.fault
        self.faults += fault not in {"none", "unreachable"}
        if fault == "slow":
            self.limbo.append(signed_upload)
            raise TapError(Code.ISSUER_UNREACHABLE)
        reply = self.deliver(signed_upload)
        if fault == "twice":
            self.limbo.append(signed_upload)
        if fault == "meanwhile":
            self._meanwhile()
        if fault == "reply lost":
            raise TapError(Code.ISSUER_UNREACHABLE)
        return reply

    def deliver(self, upload: bytes) -> bytes:
        """Give the ledger an upload; the checkers see both."""
        reply = self._world.guild.desk(self.syncing, self._world.random).sync(upload, self._world.epoch)
        if upload in self._taken:
            raise PromiseBroken(5, "the ledger took an upload twice")
        self._taken.add(upload)
        self._world.rules.uploaded(upload, self._world.epoch)
        if self._world.guild.refused and not self._world.checkers.bad:
            raise PromiseBroken(2, "the ledger left out a genuine statement")
        self._world.checkers.uploaded(upload)
        self._world.dues.uploaded(upload)
        self._world.checkers.replied(reply)
        self._world.heirs.replied(upload, reply, self._named)
        return reply

    def _named(self) -> set[bytes]:
        return {name.key for name in self._world.checkers.told.names()}

    def _meanwhile(self) -> None:
        """While a reply is on its way, its device is used."""
        device = self.syncing
        others = [one for one in self._world.devices if one is not device and one.key not in self._world.checkers.bad]
        if device is None or device.is_moving or not self._world.honest(device) or not others:
            return
        draw = self._world.random
        other = draw.choice(others)
        pair = (device, other) if draw.random() < 0.6 else (other, device)
        plan = TapPlan(LinkFault("lose", draw.randint(2, 5))) if draw.random() < 0.5 else TapPlan()
        self._world.tap(*pair, draw.randint(1, 5), plan)

    def late(self) -> None:
        """Deliver what the network had kept; an answered challenge or a settled epoch is refused."""
        waiting, self.limbo = self.limbo, []
        for upload in waiting:
            try:
                self.deliver(upload)
            except TapError as error:
                if error.code not in {Code.REPLAYED_REQUEST, Code.BAD_INPUT}:
                    raise

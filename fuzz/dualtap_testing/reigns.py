"""How long a simulated scheme's authorities last, how it renews them, and whom that must not keep from paying.

A scheme renews in time, some of them on the last day; then devices that have synced since meet devices that have not.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

from dualtap import limits
from dualtap.account import ENTRY_ROOM
from dualtap.errors import Code
from dualtap.events import Report
from dualtap.issued import Authority
from dualtap_testing.chains import Chain
from dualtap_testing.checkers import PromiseBroken
from dualtap_testing.devices import Device

if TYPE_CHECKING:
    from dualtap_testing.world import World

_TERMS = ((4, 12), (10, 60), (60, 400), (2_000, 2_000))
_AHEAD = (0, 0, 2, 20)


class Reign:
    """When each authority's certificate ends, and when the scheme renews it."""

    def __init__(self, seed: str, epoch: int) -> None:
        draw = random.Random(f"{seed}/reign")  # noqa: S311 - a simulation's, to be repeated
        self._draw, self._term, self._ahead = draw, draw.choice(_TERMS), draw.choice(_AHEAD)
        self.first = epoch + draw.randint(*self._term)
        """The last day of the certificates with which the scheme begins."""
        self.ends = dict.fromkeys(Authority, self.first)
        self.forgets = False
        """Whether nobody sees to the policy key's certificate now."""
        self.dated = epoch
        """The latest date that the policy key could sign."""

    def pass_to(self, world: World, epoch: int) -> None:
        """Renew what would end before this day: that is done while the certificate still holds, or a few days ahead."""
        for what in Authority:
            forgotten = self.forgets and what is Authority.POLICY
            if self.ends[what] < epoch + self._ahead and not forgotten:
                self.renew(world, what, epoch + self._ahead)
        self.dated = max(self.dated, min(epoch, self.ends[Authority.POLICY]))

    def renew(self, world: World, what: Authority, least: int = 0) -> None:
        """Give an authority a certificate that ends later, on day ``least`` at the earliest."""
        last = max(self.ends[what], least, world.epoch) + self._draw.randint(*self._term)
        self.ends[what] = last
        world.ledger.admit(world.guild.certified(what, last), world.epoch)
        if what is Authority.POLICY:
            self.dated = world.epoch
            world.guild.date(world)


class Footing(NamedTuple):
    """What a device's store and clock say before a tap; nothing of one whose store no rule reads."""

    chain: Chain = Chain()
    asks: bool = False


def footing(world: World, device: Device) -> Footing:
    """Return how a device stands before a tap."""
    if not world.honest(device) or device not in world.devices:
        return Footing()
    world.watch.read()
    chain = world.rules.chain(device.chests[-1].shelf).copy()
    book = device.wallet.book
    room = (
        book.free >= book.reserved() + book.profile.message + 3 * ENTRY_ROOM
    )  # a full log asks for nothing (SPEC §7-25)
    return Footing(chain, room and chain.asks(_today(world, device)))


def _today(world: World, device: Device) -> int:
    shelf = device.chests[-1].shelf
    return max(world.rules.date(shelf), int(world.now(device)) // limits.EPOCH_SECONDS)


def check_expiry(world: World, report: Report | None, pair: tuple[Device, Device], before: list[Footing]) -> None:
    """Raise if a clean tap of two honest devices ends with ``CERTIFICATE_EXPIRED``, and nothing that matters has."""
    if report is None or report.code is not Code.CERTIFICATE_EXPIRED or any(one not in world.devices for one in pair):
        return
    payer, payee = pair
    if not _refuses(world, payer, payee, before[0]) and not _refuses(world, payee, payer, before[1]):
        raise PromiseBroken(4, "a payment is refused for an expiry, and the payer could show that nothing has expired")


def _refuses(world: World, judge: Device, peer: Device, stood: Footing) -> bool:
    """Whether a device may take its peer's certificate, or one above it, or above its date, for ended."""
    chains = [world.rules.chain(one.chests[-1].shelf) for one in (judge, peer)]
    certificate, today = peer.wallet.book.certificate, _today(world, judge)
    if min(certificate.expires, max(chain.until(certificate.issuer) for chain in chains)) < today:
        return True
    # The peer's date came with its payment: by it the judge, which did not ask, may first see that something has ended.
    # It asks for none above earlier hands alone, whose certificates are judged at their own statements' dates.
    return not stood.asks and stood.chain.has_ended(max(today, world.rules.date(peer.chests[-1].shelf)))

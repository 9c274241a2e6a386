"""A process of its own that syncs wallets which deposit, renew and cheat, and stops at each dangerous instant.

It speaks as :mod:`tests.support.rival` does; a job is an :class:`Errand`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterable
from contextlib import closing
from typing import NamedTuple

from dualtap.statements import Side
from dualtap_issuer.ledger import Ledger
from dualtap_issuer.rows import TodoRow
from dualtap_issuer.store import Store
from dualtap_testing import frauds
from dualtap_testing.forging import authority_over
from dualtap_testing.honest import deposits, hand_in, is_refused, is_torn_before, pays
from dualtap_testing.planting import TERMS, signed
from dualtap_testing.quarter import Quarter
from dualtap_testing.theft import Theft
from tests.support.rival import say, stop


class Errand(NamedTuple):
    """Which parcels of which story to bring, in order."""

    url: str
    seed: int
    parcels: list[int]
    process: int


class Story(NamedTuple):
    """What was played: the renewals of honest wallets' value, and those that a thief asked for."""

    quarter: Quarter
    honest: list[bytes]
    stolen: list[bytes]


def tell(seed: int) -> Story:
    """Play a day: payments, some dead; then everybody hands in what it was paid, and a thief the same twice."""
    quarter = Quarter("ed25519", "race", seed, people=5)
    for _ in range(20):
        quarter.draw.choice([pays, pays, pays, is_refused, is_torn_before, deposits])(quarter)
    honest: list[bytes] = []
    for person in quarter.people:
        paid = [piece for piece in person.pieces if piece.span.parent.side is not Side.TOKEN]
        for piece in paid[:2]:
            person.pieces.remove(piece)
            honest.append(hand_in(quarter, person, [piece], renew=quarter.draw.random() < 0.7).id)
    renewed = {one.id for one in quarter.signed if one.id in quarter.transfers and _asks(quarter, one.id)}
    it = Theft(quarter, "renewed twice")
    sold = [it.sell(quarter.shop(), it.span(0, 400))]
    stolen: list[bytes] = []
    for start, end, renew in ((300, 700, True), (600, 1_000, True), (650, 900, False)):
        sold.append(hand_in(quarter, it.thief, [it.piece._replace(span=it.span(start, end))], renew=renew))
        stolen += [sold[-1].id] if renew else []
        quarter.send(it.thief)
    it.forks(sold)
    quarter.draw.choice([frauds.second_hand, frauds.dead_deposited, frauds.restored_twice])(quarter)
    for person in quarter.people:
        quarter.send(person)
        person.due += sum(piece.amount for piece in person.pieces)
    return Story(quarter, [one for one in honest if one in renewed], stolen)


def _asks(quarter: Quarter, transfer: bytes) -> bool:
    return bool(quarter.transfers[transfer].body.witness) and quarter.transfers[transfer].body.payee == (
        quarter.institution
    )


def work(errand: Errand) -> None:
    """Bring these parcels."""
    story = tell(errand.seed)
    with closing(Store.open(errand.url)) as store:
        ledger = Ledger(store, authority_over("ed25519", store), TERMS)
        real, last = store.publish, store.finish

        def publish(todo: Iterable[TodoRow] = ()) -> bool:
            stop()
            shown = real(todo)
            stop()
            return shown

        def finish(todo: Collection[TodoRow]) -> None:
            last(todo)
            stop()

        store.publish, store.finish = publish, finish  # type: ignore[method-assign]
        for number in errand.parcels:
            parcel = story.quarter.parcels[number]
            ledger.sync(signed("ed25519", ledger, parcel, f"{errand.process} {number}"), parcel.day)


def main() -> None:
    """Go on errands until stdin ends."""
    for line in iter(sys.stdin.readline, ""):
        try:
            work(Errand(*json.loads(line)))
        except Exception as error:
            say(f"error {type(error).__name__} {error}")
        else:
            say("done")


if __name__ == "__main__":
    main()

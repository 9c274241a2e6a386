"""Thieves' plans of several steps, each told by who would be its victim in SPEC: false warrants, two successors."""

from __future__ import annotations

import random

from dualtap.forms import signed
from dualtap.keystore import sign_with
from dualtap.records import Holding
from dualtap.statements import Parent, ReceiptBody, Side, SuccessorBody, Warrant
from dualtap.sync import SignedUpload, Upload, encode_signed_upload, encode_upload, sync_statement, upload_of
from dualtap_testing.devices import Device, Power, PoweredKeystore
from dualtap_testing.taps import TapPlan
from dualtap_testing.thieves import clone
from dualtap_testing.world import World


def pretend(world: World, thief: Device, paid: Device, other: Device, warrant: str) -> None:
    """Spend again, to ``other``, what ``paid`` took, with an outcome of another of its requests for a warrant.

    ``warrant`` is ``another's`` for that, ``none``, or ``told``: then the ledger is told so, and ``other`` is not paid.
    """
    given = [one.outcome for one in paid.wallet.book.questions.values() if one.outcome is not None]
    took = {one.body.transfer for one in given if isinstance(one.body, ReceiptBody)}  # what is dead may be spent again
    mine = [one for one in thief.wallet.book.graph.transfers.values() if one.id in took and one.opening]
    twin = clone(world, thief)
    world.devices.remove(twin)
    book = twin.wallet.book
    for sent in mine:
        accepted = [one for one in given if sent.body.payee == paid.key and one.signature]
        accepted = [one for one in accepted if one.body.request != sent.shown().request]
        if accepted and sent.id in book.graph.transfers and len(sent.body.spans) == 1:
            _, start, end = sent.body.spans[0]
            token = book.graph.origin(sent.body.spans[0].parent).token
            if warrant != "none":
                book.graph.warrants[sent.id] = Warrant(sent.shown().answered(), accepted[-1])
            world.faults += 1
            if warrant == "told":
                whole = upload_of(thief.wallet.book)
                false = (sent.id, Warrant(sent.shown().answered(), accepted[-1]))
                _tell(world, thief, whole._replace(warrants=(*whole.warrants, false)))
                return
            book.holdings[:] = [Holding(Parent(sent.id, Side.PAYER, 0), token, start, end)]
            world.tap(twin, other, end - start, TapPlan())
            return


def two_heirs(world: World, thief: Device, draw: random.Random) -> None:
    """Name two successors, each of which proves its key."""
    world.fall(thief)
    scheme, chest = world.scheme, thief.chests[-1]
    signer = world.suite.signer(chest.keystore.secret)
    for _ in range(2):
        heir = PoweredKeystore(scheme, draw.randbytes(32), Power())
        world.checkers.bad.add(heir.public)
        book = thief.wallet.book
        said = signed(scheme.id, thief.key, SuccessorBody(heir.public, book.trust.epoch))
        world.faults += 1
        _tell(world, thief, upload_of(book)._replace(successor=said.sealed(signer.sign(said.id))), heir)


def _tell(world: World, thief: Device, upload: Upload, heir: PoweredKeystore | None = None) -> None:
    """Upload this in a thief's name, and in its heir's."""
    data, challenge = encode_upload(upload), world.ledger.challenge(world.draw())
    epoch = thief.wallet.book.trust.epoch
    words = [
        sign_with(one, sync_statement(world.scheme, one.public, data, challenge, epoch))
        for one in (thief.chests[-1].keystore, heir)
        if one is not None
    ]
    world.network.deliver(encode_signed_upload(SignedUpload(data, challenge, epoch, *words)))

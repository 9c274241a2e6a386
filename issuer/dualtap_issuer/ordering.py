"""What an institution orders of a wallet, as its people say it (SPEC §23-12); who owns the wallet hears it too."""

from __future__ import annotations

from typing import cast

from dualtap.errors import Code, TapError
from dualtap.statements import Errand, OrderBody, OwnerOrder
from dualtap.ties import FREE, Restraint
from dualtap_issuer.ingest import Ingest
from dualtap_issuer.ledger import Ledger
from dualtap_issuer.people import People
from dualtap_issuer.proofs import values
from dualtap_issuer.registry import people_of

ERRANDS = {errand.name.lower(): errand for errand in (Errand.RESTRAIN, Errand.UNBIND, Errand.LOST, Errand.MOVE)}
"""What an institution can order, by the names that people use."""


def known_of(ledger: Ledger, wallet: bytes) -> People:
    """Return what a ledger knows of a wallet's people."""
    return people_of(ledger.store, ledger.scheme, ledger.institutions, [wallet])


def give(
    ledger: Ledger,
    wallet: bytes,
    errand: Errand,
    epoch: int,
    restraint: Restraint = FREE,
    to: bytes = b"",
    binding: int = 0,
) -> OwnerOrder:
    """Sign an order about a wallet, keep it, stamped ``epoch``, and return it.

    ``restraint`` is of RESTRAIN, ``to`` (a wallet's key) of MOVE, ``binding`` (its number) of UNBIND: of one that the
    ledger does not know, since nobody told it. Raises ``BAD_KEY``, ``BAD_INPUT`` for what has no place in such an order
    or is missing, or would take back in passing that the wallet is lost, or ``NOT_BOUND`` where a wallet is to be
    unbound that nobody owns, as far as is known or said.
    """
    office = ledger.authority.office.key
    if restraint != FREE and errand is not Errand.RESTRAIN:
        raise TapError(Code.BAD_INPUT, f"limits have no place in an order {errand.name}; give another")
    if bool(to) != (errand is Errand.MOVE):
        raise TapError(Code.BAD_INPUT, "MOVE names the key to which value is moved, and no other order does")
    if to == wallet and to:
        raise TapError(Code.BAD_INPUT, "value is moved to another wallet's key")
    if errand is Errand.RESTRAIN and restraint != FREE and known_of(ledger, wallet).says_lost(office, wallet):
        raise TapError(Code.BAD_INPUT, "this would take back that it is lost; if it was found, free it first")
    tie = known_of(ledger, wallet).tie(wallet) if errand is Errand.UNBIND else None
    if binding and errand is not Errand.UNBIND:
        raise TapError(Code.BAD_INPUT, "a binding's number has a place in an order UNBIND alone")
    if errand is Errand.UNBIND and tie is None and not binding:
        raise TapError(
            Code.NOT_BOUND, "the ledger knows no owner of this wallet; give its binding's number, 1 is the first"
        )
    bind = binding or (tie.number if tie is not None else 0)
    return sign_order(ledger, OrderBody(wallet, bind, 0, errand, *restraint, 0, to, epoch), epoch)


def sign_order(ledger: Ledger, body: OrderBody, epoch: int) -> OwnerOrder:
    """Sign an order of the ledger's institution about a wallet, keep it, and return it (SPEC §23-12).

    It is stamped ``epoch``, or with the epoch up to which the ledger has settled: what was paid out by the words
    seen before that stays right (SPEC §16-22).

    Its ``number`` is the next of that institution's about this wallet, whatever ``body`` says. Raises ``BAD_KEY``.
    """
    for key in (body.wallet, *([body.to] if body.to else [])):
        ledger.scheme.suite.verifier(key)
    with ledger.store.transaction():
        ledger.store.lock("order " + body.wallet.hex())
        office = ledger.authority.office
        ids = [row.id for row in ledger.store.words_said([(body.wallet, office.key)])]
        known = cast("list[OwnerOrder]", values(ledger.store, ledger.scheme, ids))
        number = 1 + max((one.body.number for one in known), default=0)
        word, epoch = office.order(body._replace(number=number)), max(epoch, ledger.store.closed_epoch())
        ingest = Ingest(ledger.store, ledger.trust, ledger.institutions, epoch)
        ingest.word(word)
        ingest.finish()
    return word

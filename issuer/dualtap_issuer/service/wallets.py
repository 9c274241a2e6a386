"""Administrative calls about single wallets: whose they are, what the institution orders, what is redeemed."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from dualtap import limits
from dualtap.forms import signed
from dualtap.statements import PresentBody
from dualtap.ties import Restraint
from dualtap_issuer.ledger import Ledger
from dualtap_issuer.ordering import ERRANDS, give, known_of
from dualtap_issuer.payouts import redeem
from dualtap_issuer.service.calls import COUNT, DIGEST, EPOCH, KEY, Fields, Work, bytes_of, call, int_of
from dualtap_issuer.service.openapi import Operation
from dualtap_issuer.service.shapes import Shape, hexes, integer, one_of, record

_AMOUNT = integer(0, limits.AMOUNT)
_YES = one_of("yes", "no")
_KEY: Shape = {"type": "string", "pattern": "^([0-9a-f]{64}|[0-9a-f]{66})?$"}
_WALLET = record(
    {"owner": _KEY, "bind": COUNT, "frozen": _YES, "lost": _YES, "payment": COUNT, "day": COUNT, "heir": _KEY}
)

CALLS: tuple[Operation, ...] = (
    call("/admin/wallet", "POST", "Whose a wallet is, what owner and institutions leave it, and who is paid in its"
         " place (SPEC §16-21, §16-22)", _WALLET, record({"key": KEY})),
    call(
        "/admin/orders", "POST", "Order something of a wallet, as this institution (SPEC §23-12): restrain it (frozen,"
        " payment, day), unbind it (binding: its number, where its owner never told), take it as lost, move what it is"
        " credited to another wallet's key (to)",
        record({"id": DIGEST, "number": COUNT}),
        record({"wallet": KEY, "errand": one_of(*ERRANDS)},
               {"frozen": _YES, "payment": _AMOUNT, "day": _AMOUNT, "to": KEY, "binding": _AMOUNT}),
    ),
    call(
        "/admin/redeem", "POST", "Pay an anonymous wallet's expired value out to it: signature over a Present whose"
        " session is a challenge, as initiator (SPEC §16-23). It comes with its next sync", record({"redeemed": COUNT}),
        record({"challenge": DIGEST, "key": KEY, "epoch": EPOCH, "signature": hexes(64)}), (403, 409),
    ),
)  # fmt: skip


def works(epoch: Callable[[], int]) -> tuple[Work, ...]:
    """Return what the calls do, in their order."""
    return (_wallet, _order(epoch), _redeem(epoch))


def _wallet(ledger: Ledger, given: Fields) -> Fields:
    key = bytes_of(given, "key")
    people = known_of(ledger, key)
    tie, restraint = people.tie(key), people.restraint(key)
    return {
        "owner": tie.owner.hex() if tie else "", "bind": tie.number if tie else 0,
        "frozen": _word(said=restraint.frozen), "lost": _word(said=people.is_lost(key)),
        "payment": restraint.payment, "day": restraint.day, "heir": people.heir(key, ledger.authority.office.key).hex(),
    }  # fmt: skip


def _word(*, said: bool) -> str:
    return "yes" if said else "no"


def _order(epoch: Callable[[], int]) -> Work:
    def order(ledger: Ledger, given: Fields) -> Fields:
        payment, day = (int_of(given, name) if name in given else limits.AMOUNT for name in ("payment", "day"))
        restraint = Restraint(given.get("frozen") == "yes", payment, day)
        errand = ERRANDS[cast("str", given["errand"])]
        number = int_of(given, "binding") if "binding" in given else 0
        word = give(ledger, bytes_of(given, "wallet"), errand, epoch(), restraint, bytes_of(given, "to"), number)
        return {"id": word.id.hex(), "number": word.body.number}

    return order


def _redeem(epoch: Callable[[], int]) -> Work:
    def paid(ledger: Ledger, given: Fields) -> Fields:
        key = bytes_of(given, "key")
        ledger.scheme.suite.verifier(key)
        body = PresentBody(bytes_of(given, "challenge"), initiator=True, epoch=int_of(given, "epoch"))
        proof = signed(ledger.scheme.id, key, body).sealed(bytes_of(given, "signature"))
        return {"redeemed": redeem(ledger, proof, epoch())}

    return paid

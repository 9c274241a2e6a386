"""Attacks on a tap: somebody between two devices, or at one end of it, says what the protocol does not say.

Anna pays a till; both are honest. Mallory sits between them with or without keys, or is one of the two. After each
attack everybody honest still has what it had, one clean tap heals, and the ledger names nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from dualtap import limits
from dualtap.context import Charge, Pay
from dualtap.errors import Code
from dualtap.events import Begin, Received, Result, Send
from dualtap.evidence import Fraud
from dualtap.issued import Role, WalletCertificate
from dualtap.records import News
from dualtap.statements import CloseBody, Kind, Opening, PresentBody, ReceiptBody, RequestBody
from dualtap.states import Part, State
from dualtap.wire import (
    DoneMessage,
    OutcomeMessage,
    PresentMessage,
    ProceedMessage,
    RefuseMessage,
    RequestMessage,
    TransferMessage,
    decode_welcome,
)
from tests.playbook import EPOCH, SUITE_NAMES, Actor, Meeting, refuse
from tests.support.arena import Attack, By, names
from tests.support.street import APPLES, PEARS, Street, judge, on, sets

Play: TypeAlias = Callable[[Street], Actor]
Row: TypeAlias = Attack[Play]
"""Plays an attack; returns the honest device that must answer it."""


# Misbinding, unknown key-share


def relayed(street: Street, kind: type[Any], charge: Charge = APPLES) -> Any:
    """Return what the till says in a session with Mallory."""
    other = street.arena.meet(street.purse, street.till, charge=charge, person=refuse)
    return street.said(other.run(), kind)


def misbound(street: Street) -> Actor:
    """Anna, at Mallory's device, is shown the till's Request: she would pay for Mallory's basket."""
    request = relayed(street, RequestMessage)
    return street.meet(street.anna, street.purse).run(rewrite=on(RequestMessage, lambda _: request)).payer


def misbound_present(street: Street) -> Actor:
    street.torn()
    street.arena.pay(street.purse, street.till, 20)
    street.arena.issued += 20
    paid = street.till.book.questions[list(street.till.book.questions)[-1]].asked
    present = relayed(street, PresentMessage, Charge(20, "CNY", paid.basket))
    meeting = street.meet(street.anna, street.purse).run(rewrite=on(RequestMessage, lambda _: present))
    assert TransferMessage not in {type(seen.message) for seen in meeting.heard}
    return meeting.payer


def lent(certificate: Callable[[Street], WalletCertificate]) -> Play:
    """Mallory's Request under a certificate of somebody else."""

    def play(street: Street) -> Actor:
        other = certificate(street)
        return street.meet(street.anna, street.purse).run(rewrite=sets(RequestMessage, certificate=other)).payer

    return play


def taken_over(street: Street) -> Actor:
    """The till's own Request, under Mallory's certificate: the till's customer would pay Mallory."""
    return street.pay(sets(RequestMessage, certificate=street.mallory.certificate)).payer


def passed_on(street: Street) -> Actor:
    """Anna pays Mallory, who shows the transfer to the till as her own payment."""
    meeting = street.meet(street.anna, street.purse).run()
    transfer = street.said(meeting, TransferMessage)
    street.arena.issued -= 100
    return street.meet(street.purse, street.till, PEARS).run(rewrite=on(TransferMessage, lambda _: transfer)).payee


# Reflection


def own_hello(street: Street) -> Actor:
    meeting = street.meet(street.anna, street.till)
    actor = meeting.initiator
    (hello,) = [effect for effect in actor.step(Begin()) if isinstance(effect, Send)]
    actor.step(Received(hello.frame))
    return actor


def own_frame(street: Street) -> Actor:
    meeting = street.meet(street.anna, street.till)
    actor = meeting.until(Part.PAYEE, State.AWAIT_TRANSFER)
    sent = [effect.frame for effect in actor.effects if isinstance(effect, Send)][-1]
    if street.payer_starts:
        sent = decode_welcome(sent).sealed
    actor.step(Received(sent))
    return actor


def own_request(street: Street) -> Actor:
    """One who has the keys sends the till its own Request."""
    meeting = street.meet(street.anna, street.till)
    actor = meeting.until(Part.PAYEE, State.AWAIT_TRANSFER)
    meeting.settle(actor)
    request = street.said(meeting, RequestMessage)
    actor.step(Received(meeting.forge(meeting.payer, request)))
    return actor


def own_request_elsewhere(street: Street) -> Actor:
    request = relayed(street, RequestMessage)
    return street.meet(street.till, street.purse, PEARS).run(rewrite=on(RequestMessage, lambda _: request)).payer


_DERIVED = ("session", "initiator")


def asks(**fields: Callable[[RequestBody], Any]) -> Play:
    """Mallory's Request, signed with these fields of hers."""

    def play(street: Street) -> Actor:
        meeting = street.meet(street.anna, street.purse)

        def change(said: RequestMessage) -> RequestMessage:
            channel = meeting.channel(meeting.payee)
            assert channel is not None
            body = RequestBody(channel.transcript, channel.initiator, *said[1:11])
            made = {name: value(body) for name, value in fields.items()}
            shown = {name: value for name, value in made.items() if name not in _DERIVED}
            return said._replace(**shown, signature=street.sign(body._replace(**made)))

        return meeting.run(rewrite=on(RequestMessage, change)).payer

    return play


def present_flipped(street: Street) -> Actor:
    """Mallory's Present, as payer, with the role of the other end."""
    street.torn()
    meeting = street.meet(street.purse, street.anna, PEARS)

    def change(said: PresentMessage) -> PresentMessage:
        channel = meeting.channel(meeting.payer)
        assert channel is not None
        return said._replace(
            signature=street.sign(PresentBody(channel.transcript, not street.payer_starts, said.epoch))
        )

    return meeting.run(rewrite=on(PresentMessage, change)).payee


def claims_till(street: Street) -> Actor:
    """Mallory, as payer, says that she is the till, to whom something is in doubt."""
    street.torn()
    meeting = street.meet(street.purse, street.anna, PEARS)
    meeting.run(rewrite=sets(PresentMessage, certificate=street.till.book.certificate))
    assert TransferMessage not in {type(seen.message) for seen in meeting.heard}
    return meeting.payee


def stranger_proves_herself(street: Street) -> Actor:
    street.torn()
    meeting = street.meet(street.purse, street.anna, PEARS).run()
    assert meeting.said[-3:] == ["Recall", "Transfer", "Outcome"], "no Resume to a key that is not its payee's"
    street.arena.issued += 20
    return meeting.payee


def stranger_collects(street: Street) -> Actor:
    street.torn()
    meeting = street.meet(street.anna, street.purse).run()
    assert [seen.message.request for seen in meeting.heard if isinstance(seen.message, TransferMessage)] == [b""]
    street.arena.issued -= 100
    return meeting.payer


# Replay


def replays(kind: type[Any], who: Part, prepare: Callable[[Street], Meeting]) -> Play:
    """What was said in one session is said in the next of the same kind."""

    def play(street: Street) -> Actor:
        old = street.said(prepare(street).run(), kind)
        return prepare(street).run(rewrite=on(kind, lambda _: old)).actor(who)

    return play


def fresh(street: Street) -> Meeting:
    return street.meet(street.anna, street.till, Charge(100, "CNY", street.arena.draw(16)))


def refused(street: Street) -> Meeting:
    return street.meet(street.anna, street.till, Charge(100, "CNY", street.arena.draw(16)), person=refuse)


def reversed_parts(street: Street) -> Meeting:
    """The till pays Anna, to whom she shows first what she has in doubt: every kind of message but Refuse and Done."""
    street.torn()
    return street.meet(street.till, street.anna, Charge(20, "CNY", street.arena.draw(16)))


def paid_again(street: Street) -> Meeting:
    """Anna is asked to pay a basket that she has paid: Present and Done."""
    if street.till.book.accepted(APPLES.basket, 0) is None:
        street.pay()
    return street.meet(street.anna, street.till)


def close_replayed(street: Street) -> Actor:
    """A Close of an earlier session, for the transfer of this one."""
    first = fresh(street)
    first.until(Part.PAYER, State.AWAIT_OUTCOME)
    street.till.write(News(None, (), None, street.arena.ruled(2, hotlist=(street.anna.book.key,))))
    old = street.said(first.run(), OutcomeMessage)
    assert old.kind is Kind.CLOSE
    street.till.write(News(None, (), None, street.arena.ruled(3)))
    return fresh(street).run(rewrite=on(OutcomeMessage, lambda _: old)).payer


# What a message may not say, and when


def instead(kind: type[Any], message: Any, who: Part) -> Play:
    return lambda street: street.meet(street.anna, street.till).run(rewrite=on(kind, lambda _: message)).actor(who)


def outcome_first(street: Street) -> Actor:
    """An Outcome comes before anything was shown."""
    old = street.said(fresh(street).run(), OutcomeMessage)
    return street.pay(on(RequestMessage, lambda _: old)).payer


def hotlisted_payee(street: Street) -> Actor:
    street.anna.write(News(None, (), None, street.arena.ruled(2, hotlist=(street.mallory.key,))))
    return street.meet(street.anna, street.purse).run().payer


def refund(amount: int, times: int = 1) -> Play:
    """The till refunds to Anna, who asks for this much, so many times."""

    def play(street: Street) -> Actor:
        sale = street.arena.pay(street.anna, street.till, 100)
        for _ in range(times - 1):
            street.arena.meet(street.till, street.anna, amount, pay=Pay(sale)).run()
        return street.arena.meet(street.till, street.anna, amount, pay=Pay(sale)).run().payer

    return play


def refund_of_another(street: Street) -> Actor:
    sale = street.arena.pay(street.anna, street.till, 100)
    return street.meet(street.till, street.purse, pay=Pay(sale)).run().payer


def certified(**more: Any) -> Play:
    return lent(lambda street: street.arena.certificate(street.mallory.key, **more))


PAYER, PAYEE = Part.PAYER, Part.PAYEE
SEAL, SIGN, ODD, FALSE = Code.BAD_SEAL, Code.BAD_SIGNATURE, Code.UNEXPECTED_MESSAGE, Code.MALFORMED
BY_WIRE, PEER, BAD_PAYEE, BAD_PAYER = By.WIRE, By.PEER, By.PAYEE, By.PAYER
FAR_AHEAD = EPOCH + limits.EPOCH_STEP + 1

ATTACKS: tuple[Row, ...] = (
    Row("a tap that nobody touches is paid", BY_WIRE, "none", "§11.3-12", lambda s: s.pay().payer, None),
    # Misbinding and unknown key-share
    Row("the till's Request relayed to Mallory's customer", PEER,
        "identity misbinding: a Request is not bound to its session", "§6-11", misbound, SIGN),
    Row("the till's Present relayed to Mallory's customer", PEER,
        "identity misbinding: whoever relays a proof is shown what is in doubt", "§6-11", misbound_present, SIGN),
    Row("the till's Request under Mallory's certificate", PEER,
        "unknown key-share: the certificate is not bound to the signature", "§5.2-5", taken_over, SIGN),
    Row("Mallory's Request under the till's certificate", BAD_PAYEE,
        "unknown key-share: she is paid in the till's name", "§5.2-5", lent(lambda s: s.till.book.certificate), SIGN),
    Row("Anna's payment to Mallory passed on to the till", BAD_PAYEE, "a payee pays on with what it was shown",
        "§5.2-4", passed_on, SIGN),
    Row("the payer's own certificate in a Request", PEER, "a wallet pays itself", "§8.1-7",
        lent(lambda s: s.anna.book.certificate), Code.SELF_PAYMENT),
    # Reflection
    Row("a Hello reflected", BY_WIRE, "a device talks to itself", "§6-1", own_hello, ODD),
    Row("a sealed frame reflected", BY_WIRE, "both directions share a key", "§6-2", own_frame, SEAL),
    Row("a Request reflected by who has the keys", PEER, "parts are not told apart", "§11.1-3", own_request, ODD),
    Row("a till is shown its own Request in another session", PEER, "a wallet pays itself", "§8.1-7",
        own_request_elsewhere, Code.SELF_PAYMENT),
    Row("a Request with the role flag flipped", BAD_PAYEE,
        "roles are not signed, so that one end's word is the other's", "§6-11",
        asks(initiator=lambda b: not b.initiator), SIGN),
    Row("a Present with the role flag flipped", BAD_PAYER,
        "roles are not signed, so that one end's word is the other's", "§6-11", present_flipped, SIGN),
    Row("a Request of no session", BAD_PAYEE, "a Request made beforehand is good anywhere", "§6-11",
        asks(session=lambda _: bytes(32)), SIGN),
    # Flags that are not signed, in the hands of who has the keys
    Row("prove set where nothing is in doubt does no harm", PEER, "a needless proof ends the tap", "§11.3-3",
        lambda s: s.pay(sets(RequestMessage, prove=True)).payer, None),
    # Healing only with a key that proved itself
    Row("Mallory claims to be the till", BAD_PAYER, "what is in doubt is shown to who asks", "§11.4-1", claims_till,
        SIGN),
    Row("Mallory proves only herself and is shown nothing", BAD_PAYER, "any proof opens every doubt", "§11.4-1",
        stranger_proves_herself, None),
    Row("Mallory collects and is shown nothing but her payment", BAD_PAYEE, "any proof opens every doubt", "§11.4-1",
        stranger_collects, None),
    # Replay
    Row("a Request replayed", PEER, "a Request is not bound to its session", "§6-11",
        replays(RequestMessage, PAYER, fresh), SIGN),
    Row("a payer's Present replayed", PEER, "a proof is not bound to its session", "§6-11",
        replays(PresentMessage, PAYEE, reversed_parts), SIGN),
    Row("a payee's Present replayed", PEER, "a proof is not bound to its session", "§6-11",
        replays(PresentMessage, PAYER, paid_again), SIGN),
    Row("a Receipt replayed", PEER, "an outcome is not bound to its request", "§11.3-12",
        replays(OutcomeMessage, PAYER, fresh), SIGN, doubt=True),
    Row("a Close replayed", PEER, "an old Close restores a new payment", "§11.3-12", close_replayed, SIGN, doubt=True),
    # What may not be said
    Row("a Receipt before a Transfer", BAD_PAYEE, "an outcome of what was never shown is kept", "§11.1-3",
        outcome_first, ODD),
    Row("Proceed instead of a Request", PEER, "proof of the payee's key is skipped", "§11.1-3",
        instead(RequestMessage, ProceedMessage(), PAYER), ODD),
    Row("Done instead of a Request", PEER, "parts are not told apart", "§11.1-3",
        instead(RequestMessage, DoneMessage(), PAYER), ODD),
    Row("Proceed instead of a Transfer", PEER, "parts are not told apart", "§11.1-3",
        instead(TransferMessage, ProceedMessage(), PAYEE), ODD),
    Row("Done instead of a Transfer is not collected", PEER, "a till reads Done as paid", "§11.2-9",
        instead(TransferMessage, DoneMessage(), PAYEE), Code.DECLINED),
    Row("Refuse instead of a Receipt leaves the doubt", BAD_PAYEE, "a Refuse is taken for an outcome", "§11.3-11",
        instead(OutcomeMessage, RefuseMessage(int(Code.BASKET_PAID)), PAYER), Code.BASKET_PAID, doubt=True),
    Row("Done instead of a Receipt leaves the doubt", BAD_PAYEE, "a Done is taken for an outcome", "§11.3-11",
        instead(OutcomeMessage, DoneMessage(), PAYER), ODD, doubt=True),
    Row("an outcome of a third kind", BAD_PAYEE, "whatever is no Receipt is a Close", "§5.2-4",
        lambda s: s.pay(sets(OutcomeMessage, kind=Kind.TRANSFER)).payer, FALSE, doubt=True),
    Row("an outcome at no place", BAD_PAYEE, "a Receipt off the tape is not counted", "§4.2-1",
        lambda s: s.pay(on(OutcomeMessage, lambda m: m._replace(prev=m.ctr))).payer, FALSE, doubt=True),
    Row("a Receipt made a Close", PEER, "the kind of an outcome is not signed", "§4.1-3",
        lambda s: s.pay(sets(OutcomeMessage, kind=Kind.CLOSE)).payer, SIGN, doubt=True),
    Row("a Receipt for another transfer", PEER, "the transfer is not signed", "§11.3-12",
        lambda s: s.pay(sets(OutcomeMessage, transfer=bytes(32))).payer, SIGN, doubt=True),
    # What a certified payee may not ask
    Row("nothing asked", BAD_PAYEE, "a free transfer is a free signature", "§11.3-5", asks(amount=lambda _: 0),
        Code.ZERO_AMOUNT),
    Row("more asked than there is", BAD_PAYEE, "a balance below zero", "§11.3-7", asks(amount=lambda _: 1001),
        Code.INSUFFICIENT),
    Row("more asked than a tier allows", BAD_PAYEE, "limits are the payee's to keep", "§11.3-5",
        asks(amount=lambda _: 1_000_001), Code.OVER_LIMIT),
    Row("another currency asked", BAD_PAYEE, "units are compared without their currency", "§11.3-5",
        asks(currency=lambda _: "EUR"), Code.WRONG_CURRENCY),
    Row("a Request dated far ahead", BAD_PAYEE, "a request whose outcome is kept for ever", "§11.3-5",
        asks(epoch=lambda _: FAR_AHEAD), Code.EPOCH_AHEAD),
    Row("a payee that may only pay", BAD_PAYEE, "roles are not looked at", "§7-18", certified(role=Role.PAY),
        Code.WRONG_CERTIFICATE),
    Row("a payee whose certificate has expired", BAD_PAYEE, "nobody asks how old a certificate is", "§7-14",
        certified(expires=EPOCH - 1), Code.CERTIFICATE_EXPIRED),
    Row("a payee on the hotlist", BAD_PAYEE, "only payers are looked up", "§11.3-5", hotlisted_payee, Code.HOTLISTED),
    # Refunds
    Row("a refund of more than was paid", BAD_PAYEE, "a refund is a gift", "§11.3-6", refund(101), Code.NOT_A_REFUND),
    Row("a refund twice", BAD_PAYEE, "what was refunded is not counted", "§11.3-6", refund(100, 2), Code.NOT_A_REFUND),
    Row("a refund of another's payment", BAD_PAYEE, "any receipt is a claim", "§11.3-6", refund_of_another,
        Code.NOT_A_REFUND),
)  # fmt: skip


@pytest.mark.parametrize("suite", SUITE_NAMES)
@pytest.mark.parametrize("payer_starts", [True, False], ids=["payer starts", "payee starts"])
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_on_a_tap(attack: Row, payer_starts: bool, suite: str) -> None:
    """§4.1-3, §4.2-1, §5.2-4, §5.2-5, §6-1, §6-2, §6-11, §7-14, §7-18, §8.1-7, §11.1-3, §11.2-9, §11.3-3, §11.3-5,
    §11.3-6, §11.3-7, §11.3-11, §11.3-12, §11.4-1."""
    street = Street(suite, payer_starts)
    judge(street, attack, attack.do(street))


@pytest.mark.parametrize("suite", SUITE_NAMES)
@pytest.mark.parametrize("kind", [Kind.CLOSE, Kind.RECEIPT], ids=["a Close", "a Receipt of a transfer never shown"])
def test_a_payee_that_takes_the_money_and_denies_it(kind: Kind, suite: str) -> None:
    """§11.4-6, §4.1-12, §8.3-2: the payer has its money again, the till takes no second, and Mallory is named."""
    street = Street(suite)
    arena = street.arena

    def lie(said: OutcomeMessage) -> OutcomeMessage:
        request = next(iter(street.anna.book.pending.values())).transfer.shown().request
        opening = Opening(arena.draw(16), 10**6, 10**6 + 1)
        body = CloseBody(request, 81, EPOCH) if kind is Kind.CLOSE else ReceiptBody(request, b"x" * 32, EPOCH)
        outcome = arena.sign(street.mallory.signer, body, opening)
        other, reason = (b"", 81) if kind is Kind.CLOSE else (b"x" * 32, 0)
        return OutcomeMessage(kind, other, reason, EPOCH, *opening[:3], outcome.signature, None)

    meeting = street.meet(street.anna, street.purse).run(rewrite=on(OutcomeMessage, lie))
    assert meeting.payer.report.result is Result.NOT_PAID
    assert street.anna.book.available(EPOCH) == 1000
    street.purse.book.holdings = [held for held in street.purse.book.holdings if held.amount == 100]
    arena.meet(street.anna, street.till, charge=Charge(1000, "CNY", arena.draw(16))).run()
    denied = street.meet(street.purse, street.till).run()
    assert denied.payee.report.code is Code.DOUBLE_SPENT
    arena.check()
    arena.upload()
    arena.judge(names(("mallory", Fraud.DEAD_SPENT)), street.anna, street.till)

"""Attacks on Recalls (SPEC §20.1): what they give away, to whom, and how often one can be made to answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest

from dualtap import limits
from dualtap.context import Charge
from dualtap.errors import Code
from dualtap.events import Received, Report, Result, Send
from dualtap.forms import signed
from dualtap.keystore import sign_with
from dualtap.recall import recall_digest
from dualtap.statements import Kind, PresentBody
from dualtap.states import Part, State
from dualtap.suite import sha256
from dualtap.wire import Message, PresentMessage, ProceedMessage, RecallMessage, RequestMessage, TransferMessage
from dualtap_devices.wallet import Wallet
from tests.playbook import Actor, Meeting, World
from tests.unit.test_states import doubts

PAYER, PAYEE = Part.PAYER, Part.PAYEE
STARTS = pytest.mark.parametrize("starts", [PAYER, PAYEE], ids=["payer starts", "payee starts"])


def messages(meeting: Meeting, kind: type[Message]) -> list[Message]:
    return [seen.message for seen in meeting.heard if isinstance(seen.message, kind)]


def signatures(actor: Actor) -> int:
    return actor.signed.count(Kind.PRESENT)


@STARTS
def test_a_clean_world_says_nothing(starts: Part) -> None:
    """§20.1-1. Neither in a plain tap nor where all that is in doubt is shown anyhow."""
    for story in (doubts(starts), doubts(starts, payer="p"), doubts(starts, payee="p")):
        meeting = story(World()).run()
        assert meeting.payer.report.result is Result.PAID
        assert not messages(meeting, RecallMessage)


@STARTS
def test_a_recall_follows_the_proof_of_a_key(starts: Part) -> None:
    """§20.1-1. Nobody collects digests who has not proved a key of this session."""
    for story, sender in ((doubts(starts, payer="s"), PAYER), (doubts(starts, payee="s"), PAYEE)):
        meeting = story(World()).run()
        order = [(seen.sender.tap.part, type(seen.message)) for seen in meeting.heard]
        other = PAYEE if sender is PAYER else PAYER
        proof = RequestMessage if other is PAYEE else PresentMessage
        assert order.index((other, proof)) < order.index((sender, RecallMessage))
    meeting = doubts(PAYER, payer="s")(World())
    forged = meeting.run(rewrite=lambda said: said._replace(amount=1) if isinstance(said, RequestMessage) else said)
    assert forged.payer.report.code is Code.BAD_SIGNATURE
    assert not messages(forged, RecallMessage)


def test_digests_are_of_this_session_this_side_and_this_request() -> None:
    """§20.1-2, §20.1-3. A stranger who knows every key of the scheme learns nothing from them."""
    world = World()
    meeting = doubts(PAYEE, payer="sso")(world).run()
    (one,) = messages(meeting, RecallMessage)[:1]
    channel = meeting.channel(meeting.payer)
    assert channel is not None
    sent = list(meeting.payer.book.pending.values())
    keys = [wallet.book.key for wallet in world.wallets]
    asked = [found.transfer for found in sent if found.transfer.shown().request]
    digests = cast("RecallMessage", one).digests
    assert len(digests) == 3
    for transfer in asked:
        named = recall_digest(channel.transcript, False, transfer.body.payee, transfer.shown().request)
        assert named in digests
    guessed = {recall_digest(channel.transcript, side, key, b"") for key in keys for side in (False, True)}
    guessed |= {sha256(b"dualtap recall 1" + channel.transcript + key) for key in keys}
    assert not guessed.intersection(digests)
    again = doubts(PAYEE, payer="sso")(World(seed="another")).run()
    other = messages(again, RecallMessage)[0]
    assert not set(digests).intersection(cast("RecallMessage", other).digests)


def in_transfer(starts: Part, recall: Callable[[Meeting], RecallMessage]) -> tuple[Meeting, Actor]:
    """A payee that has had another key is told this Recall by the payer."""
    meeting = doubts(starts, payer="o")(World())
    actor = meeting.until(PAYEE, State.AWAIT_TRANSFER)
    meeting.settle(actor)
    actor.step(Received(meeting.forge(meeting.payer, recall(meeting))))
    return meeting, actor


def digest_in(meeting: Meeting, *, mine: bool, session: bytes = b"") -> bytes:
    """Return the digest of what is in doubt to the payee's former key, as the payer or the payee would make it."""
    (sent,) = meeting.payer.book.pending.values()
    actor = meeting.payer if mine else meeting.payee
    channel = meeting.channel(actor)
    assert channel is not None
    return recall_digest(
        session or channel.transcript, actor.initiator, sent.transfer.body.payee, sent.transfer.shown().request
    )


@STARTS
@pytest.mark.parametrize(
    ("what", "answers"),
    [("as it is", True), ("reflected", False), ("of another session", False), ("of no key", False)],
)
def test_what_is_not_of_this_session_and_side_matches_nothing(starts: Part, what: str, answers: bool) -> None:
    """§20.1-3, §20.1-4."""

    def recall(meeting: Meeting) -> RecallMessage:
        match what:
            case "reflected":
                return RecallMessage((digest_in(meeting, mine=False),))
            case "of another session":
                return RecallMessage((digest_in(meeting, mine=True, session=bytes(32)),))
            case "of no key":
                return RecallMessage((bytes(32),) * limits.RECALLS)
            case _:
                return RecallMessage((digest_in(meeting, mine=True),))

    meeting, actor = in_transfer(starts, recall)
    assert actor.tap.state is (State.SIGN_RECALL if answers else State.AWAIT_TRANSFER)
    if not answers:
        sent = [effect for effect in actor.effects if isinstance(effect, Send)][-1]
        assert meeting.peek(actor, sent.frame) == [ProceedMessage()]


@STARTS
def test_a_flood_ends_after_one_recall_in_vain(starts: Part) -> None:
    """§20.1-4. However many are sent: one signature for each retired key, and one search in vain."""
    meeting, actor = in_transfer(starts, lambda meeting: RecallMessage((digest_in(meeting, mine=True),)))
    actor.step(actor.signature())
    said = len(meeting.heard)
    for count in range(2):
        again = RecallMessage((digest_in(meeting, mine=True),))
        effects = actor.step(Received(meeting.seal_next(meeting.payer, again, count)))
        codes = [effect.code for effect in effects if isinstance(effect, Report)]
        assert codes == ([] if count == 0 else [Code.UNEXPECTED_MESSAGE])
    assert signatures(actor) == 1
    assert len(meeting.heard) == said
    assert actor.tap.ended


def proof(meeting: Meeting, wallet: Wallet, actor: Actor) -> PresentMessage:
    channel = meeting.channel(actor)
    assert channel is not None
    body = PresentBody(channel.transcript, actor.initiator, wallet.book.trust.epoch)
    blank = signed(wallet.book.scheme.id, wallet.book.key, body)
    signature = sign_with(wallet.keystore, blank)
    return PresentMessage(False, body.epoch, signature, wallet.book.certificate, ())


@STARTS
@pytest.mark.parametrize("whose", ["a stranger's", "its own again", "the right one, signed by another"])
def test_a_present_of_another_key_is_refused(starts: Part, whose: str) -> None:
    """§20.1-5. Nothing is shown for it."""
    world = World()
    meeting = doubts(starts, payer="o")(world)
    actor = meeting.until(PAYER, State.AWAIT_RECALL)
    till = meeting.payee.wallet
    code = Code.UNEXPECTED_MESSAGE
    match whose:
        case "a stranger's":
            found = proof(meeting, world.wallet(), meeting.payee)
        case "its own again":
            found = proof(meeting, till, meeting.payee)
        case _:
            found = proof(meeting, till, meeting.payee)._replace(certificate=till.retired[0].book.certificate)
            code = Code.BAD_SIGNATURE
    effects = actor.step(Received(meeting.forge(meeting.payee, found)))
    assert [effect.code for effect in effects if isinstance(effect, Report)] == [code]
    assert not messages(meeting, TransferMessage)
    assert actor.book.in_doubt() == 7
    meeting.lose()
    world.check()


@STARTS
def test_a_retired_key_collects_nothing(starts: Part) -> None:
    """§20.1-7. Its Present, in the place of a Request, heals; what is paid goes to the key of the Request."""
    meeting = doubts(starts, payer="o")(World())
    old = meeting.payee.wallet.retired[0]
    meeting.run()
    receipts = {report.transfer for report in meeting.payer.reports if report.result is Result.PAID}
    (transfer,) = [meeting.payer.book.graph.transfers[key] for key in receipts]
    assert transfer.body.payee == meeting.payee.book.key
    assert old.book.key != transfer.body.payee
    world = World()
    payer, till = world.wallet(fund=1000), world.wallet()
    world.succeed(till, world.wallet())
    ended = world.meet(payer, till, charge=Charge(100, "CNY", world.draw(16)), payer_starts=starts is PAYER).run()
    assert {ended.payer.report.code, ended.payee.report.code} >= {Code.RETIRED}
    assert payer.book.available(world.epoch) == 1000
    assert ended.payer.report.result is Result.NOT_PAID

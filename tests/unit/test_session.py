"""The session: both sides mean the same tap, or nothing opens; and what a certified payee may sign in it."""

from __future__ import annotations

import pytest

from dualtap import codec, limits, wire
from dualtap.context import Charge
from dualtap.errors import Code, TapError
from dualtap.events import Result
from dualtap.forms import signed
from dualtap.keystore import sign_with
from dualtap.session import check_hello, establish, transcript
from dualtap.statements import Kind, RequestBody
from dualtap.wire import Hello, RequestMessage, Want, Welcome
from tests.playbook import EPOCH, SUITE_NAMES, Said, World, refuse


@pytest.mark.parametrize("suite", SUITE_NAMES)
def test_a_transcript_names_all_that_was_offered(suite: str) -> None:
    """§6-2."""
    world = World(suite)
    near, far = (world.suite.ephemeral(world.draw()) for _ in range(2))
    hello = Hello(world.scheme.hint, (1,), near.public, Want.PAY)
    welcome = Welcome(1, far.public, Want.COLLECT, b"")
    check_hello(world.scheme, hello, Want.COLLECT)
    named = transcript(world.scheme, hello, welcome)
    others = [
        transcript(World(suite, seed="other").scheme, hello, welcome),
        *(transcript(world.scheme, other, welcome) for other in (
            hello._replace(scheme=bytes(4)), hello._replace(versions=(1, 2)), hello._replace(ephemeral=far.public),
            hello._replace(want=Want.PAY | Want.AUTHORITIES))),
        *(transcript(world.scheme, hello, other) for other in (
            welcome._replace(version=2), welcome._replace(ephemeral=near.public), welcome._replace(want=Want.SYNC))),
    ]  # fmt: skip
    assert len({named, *others}) == 1 + len(others)
    assert transcript(world.scheme, hello, welcome._replace(sealed=b"x")) == named, "what is sealed is bound by its key"
    one, two = establish(world.scheme, near, True, hello, welcome), establish(world.scheme, far, False, hello, welcome)
    assert one.transcript == two.transcript == named
    assert two.open(one.seal(b"hello")) == b"hello"
    assert one.open(two.seal(b"welcome")) == b"welcome"
    misbound = establish(world.scheme, far, False, hello._replace(versions=(1, 2)), welcome)
    with pytest.raises(TapError) as caught:
        misbound.open(one.seal(b"hello"))
    assert caught.value.code is Code.BAD_SEAL


def test_both_directions_have_keys_of_their_own() -> None:
    world = World()
    near, far = (world.suite.ephemeral(world.draw()) for _ in range(2))
    hello = Hello(world.scheme.hint, (1,), near.public, Want.PAY)
    welcome = Welcome(1, far.public, Want.COLLECT, b"")
    channel = establish(world.scheme, near, True, hello, welcome)
    other = establish(world.scheme, far, False, hello, welcome)
    assert channel.seal(b"same") != other.seal(b"same")


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"amount": 0}, Code.ZERO_AMOUNT),
        ({"epoch": EPOCH + limits.EPOCH_STEP + 1}, Code.EPOCH_AHEAD),
        ({"spans": 0}, Code.INSUFFICIENT),
        ({"hops": 0}, Code.INSUFFICIENT),
        ({"amount": 11}, Code.INSUFFICIENT),
        ({"initiator": True}, Code.BAD_SIGNATURE),
        ({"session": bytes(32)}, Code.BAD_SIGNATURE),
    ],
)
def test_what_a_payee_signs_is_checked_by_the_payer(changed: dict[str, object], code: Code) -> None:
    """§6-11, §11.3-2, §11.3-5."""
    world = World()
    watch, till = world.wallet(fund=10), world.wallet()
    meeting = world.meet(watch, till, 5)

    def sign(said: Said) -> Said:
        if not isinstance(said, RequestMessage):
            return said
        channel = meeting.channel(meeting.payee)
        assert channel is not None
        body = RequestBody(channel.transcript, False, *said[1:11])._replace(**changed)  # type: ignore[arg-type]
        request = signed(world.scheme.id, till.book.key, body)
        shown = {name: value for name, value in changed.items() if name not in ("session", "initiator")}
        return said._replace(**shown, signature=sign_with(till.keystore, request))  # type: ignore[arg-type]

    meeting.run(rewrite=sign)
    assert (meeting.payer.report.result, meeting.payer.report.code) == (Result.NOT_PAID, code)
    assert meeting.payer.signed == []
    world.check()


def test_an_abandoned_sale_gives_its_room_to_the_next_customer() -> None:
    """§11.2-3."""
    world = World()
    watch, till = world.wallet(fund=100), world.wallet()
    world.meet(watch, till, 5, person=refuse).run()
    till.book.free = till.book.reserved() + limits.MESSAGE
    blocked = world.meet(watch, till, 5)
    blocked.run()
    assert blocked.payee.signed[0] is Kind.CLOSE
    assert blocked.payer.report.result is Result.PAID
    world.check()


def test_a_span_without_a_form_is_refused() -> None:
    """§5.1-6, §5.1-7."""
    world = World()
    meeting = world.meet(world.wallet(fund=10), world.wallet(), charge=Charge(5, "CNY", bytes(16))).run()
    for said in (seen.message for seen in meeting.heard if isinstance(seen.message, wire.TransferMessage)):
        for bad in ((), ((1,),), ((1, 2, 3, 4),), (7,), ((0, 3, 0, 0, 5),), ((0, 1, 16, 0, 5),), ((0, 0, 1),) * 17):
            with pytest.raises(TapError) as caught:
                wire.decode(wire.encode(said._replace(spans=bad)))  # type: ignore[arg-type]
            assert caught.value.code is Code.MALFORMED
        with pytest.raises(TapError) as caught:
            wire.decode(wire.encode(said._replace(bundle=7)))  # type: ignore[arg-type]
        assert caught.value.code is Code.MALFORMED


def test_a_boolean_is_no_number() -> None:
    with pytest.raises(TapError) as caught:
        codec.boolean(1)
    assert caught.value.code is Code.MALFORMED

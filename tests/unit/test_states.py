"""Every cell of part x state x event, written down here and driven for real.

``GRID`` and ``MOVES`` are this test's own: they are not derived from :mod:`dualtap.states`, which has to agree.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import product
from typing import NamedTuple, TypeAlias

import pytest

from dualtap import limits
from dualtap.codec import pack
from dualtap.context import Charge
from dualtap.errors import Code, TapError
from dualtap.events import Begin, Consent, Decline, Event, Received, Report, Result, Send, Signature, Stop
from dualtap.records import News
from dualtap.states import LOCAL, TABLE, TELLING, Move, On, Part, State, refusal
from dualtap.suite import Drbg
from dualtap.wire import (
    DoneMessage,
    Hello,
    Message,
    NewsHave,
    NewsPiece,
    OutcomeMessage,
    PingMessage,
    PongMessage,
    PresentMessage,
    ProceedMessage,
    RecallMessage,
    RefuseMessage,
    RequestMessage,
    TransferMessage,
    Welcome,
    encode,
    encode_hello,
    encode_welcome,
)
from dualtap_devices.syncing import prepare
from dualtap_devices.wallet import Wallet
from tests.playbook import TIER, Actor, Meeting, Person, Said, World, agree, refuse, remembered

S = State
PAYEE, PAYER = Part.PAYEE, Part.PAYER
APPLES = Charge(100, "CNY", b"basket of apples")
PEARS = Charge(100, "CNY", b"basket of pears.")

REFUSALS = {
    "U": "a frame at the wrong moment: UNEXPECTED_MESSAGE, and the peer is told",
    "u": "the same before there is a session: nobody can be told",
    "L": "before there is a session, a frame that is longer than a Hello: TOO_LARGE, before it is read",
    "S": "a Hello or Welcome is never sealed, and once there is a session nothing else is read: BAD_SEAL",
    "B": "the device itself is confused: BAD_INPUT is raised, and nothing changes",
    "E": "the tap is over: ENDED is raised",
}
"""``>`` is a move, and ``-`` a state that this part never stands in: no move of this part leads there."""

GRID = {
    PAYEE: """
                   Hel Wel Req Pre Tra Res Out Pro Ref Don Rec Hav Pie Pin Pon  beg sig con dec stop
    READY          u   u   L   L   L   L   u   u   u   u   u   u   L   u   u    >   B   B   B   >
    CLEARING       u   u   L   L   L   L   u   u   u   u   u   u   L   u   u    B   >   B   B   >
    AWAIT_HELLO    >   u   L   L   L   L   u   u   u   u   u   u   L   u   u    B   B   B   B   >
    AWAIT_WELCOME  u   >   u   u   u   u   u   u   u   u   u   u   u   u   u    B   B   B   B   >
    SIGN_REQUEST   S   S   U   U   U   U   U   U   U   U   U   U   U   U   U    B   >   B   B   >
    SIGN_PRESENT   S   S   U   U   U   U   U   U   U   U   U   U   U   U   U    B   >   B   B   >
    AWAIT_REQUEST  -   -   -   -   -   -   -   -   -   -   -   -   -   -   -    -   -   -   -   -
    AWAIT_PROCEED  -   -   -   -   -   -   -   -   -   -   -   -   -   -   -    -   -   -   -   -
    AWAIT_RECALL   -   -   -   -   -   -   -   -   -   -   -   -   -   -   -    -   -   -   -   -
    AWAIT_TRANSFER S   S   U   >   >   >   U   U   >   >   >   >   U   >   U    B   B   B   B   >
    AWAIT_PONG     -   -   -   -   -   -   -   -   -   -   -   -   -   -   -    -   -   -   -   -
    AWAIT_CONSENT  -   -   -   -   -   -   -   -   -   -   -   -   -   -   -    -   -   -   -   -
    SIGN_TRANSFER  -   -   -   -   -   -   -   -   -   -   -   -   -   -   -    -   -   -   -   -
    SIGN_RECALL    S   S   U   U   U   U   U   U   U   U   U   U   U   U   U    B   >   B   B   >
    SIGN_OUTCOME   S   S   U   U   U   U   U   U   U   U   U   U   U   U   U    B   >   B   B   >
    AWAIT_OUTCOME  S   S   U   U   U   U   >   U   >   U   U   U   U   U   U    B   B   B   B   >
    AWAIT_NEWS     S   S   U   U   U   U   U   U   >   U   U   >   U   U   U    B   B   B   B   >
    TAKE_NEWS      S   S   U   U   U   U   U   >   >   U   U   U   >   U   U    B   B   B   B   >
    GIVE_NEWS      S   S   U   U   U   U   U   >   >   U   U   U   U   U   U    B   B   B   B   >
    ENDED          E   E   E   E   E   E   E   E   E   E   E   E   E   E   E    E   E   E   E   E
    """,
    PAYER: """
                   Hel Wel Req Pre Tra Res Out Pro Ref Don Rec Hav Pie Pin Pon  beg sig con dec stop
    READY          u   L   L   L   L   L   u   u   u   u   u   u   L   u   u    >   B   B   B   >
    CLEARING       -   -   -   -   -   -   -   -   -   -   -   -   -   -   -    -   -   -   -   -
    AWAIT_HELLO    >   L   L   L   L   L   u   u   u   u   u   u   L   u   u    B   B   B   B   >
    AWAIT_WELCOME  u   >   u   u   u   u   u   u   u   u   u   u   u   u   u    B   B   B   B   >
    SIGN_REQUEST   -   -   -   -   -   -   -   -   -   -   -   -   -   -   -    -   -   -   -   -
    SIGN_PRESENT   S   S   U   U   U   U   U   U   U   U   U   U   U   U   U    B   >   B   B   >
    AWAIT_REQUEST  S   S   >   >   U   U   U   U   >   U   U   U   U   U   U    B   B   B   B   >
    AWAIT_PROCEED  S   S   U   U   U   >   U   >   >   U   >   U   U   U   U    B   B   B   B   >
    AWAIT_RECALL   S   S   U   >   U   U   U   >   >   U   U   U   U   U   U    B   B   B   B   >
    AWAIT_TRANSFER -   -   -   -   -   -   -   -   -   -   -   -   -   -   -    -   -   -   -   -
    AWAIT_PONG     S   S   U   U   U   U   U   U   >   U   U   U   U   U   >    B   B   B   B   >
    AWAIT_CONSENT  S   S   U   U   U   U   U   U   U   U   U   U   U   U   U    B   B   >   >   >
    SIGN_TRANSFER  S   S   U   U   U   U   U   U   U   U   U   U   U   U   U    B   >   B   B   >
    SIGN_RECALL    S   S   U   U   U   U   U   U   U   U   U   U   U   U   U    B   >   B   B   >
    SIGN_OUTCOME   S   S   U   U   U   U   U   U   U   U   U   U   U   U   U    B   >   B   B   >
    AWAIT_OUTCOME  S   S   U   U   U   U   >   U   >   U   U   U   U   U   U    B   B   B   B   >
    AWAIT_NEWS     S   S   U   U   U   U   U   U   >   U   U   >   U   U   U    B   B   B   B   >
    TAKE_NEWS      S   S   U   U   U   U   U   >   >   U   U   U   >   U   U    B   B   B   B   >
    GIVE_NEWS      S   S   U   U   U   U   U   >   >   U   U   U   >   U   U    B   B   B   B   >
    ENDED          E   E   E   E   E   E   E   E   E   E   E   E   E   E   E    E   E   E   E   E
    """,
}
EVENTS = (
    On.HELLO, On.WELCOME, On.REQUEST, On.PRESENT, On.TRANSFER, On.RESUME, On.OUTCOME, On.PROCEED, On.REFUSE, On.DONE,
    On.RECALL, On.HAVE, On.PIECE, On.PING, On.PONG, On.BEGIN, On.SIGNED, On.CONSENT, On.DECLINE, On.STOP,
)  # fmt: skip
CODES = {
    "U": Code.UNEXPECTED_MESSAGE, "u": Code.UNEXPECTED_MESSAGE, "L": Code.TOO_LARGE, "S": Code.BAD_SEAL,
    "B": Code.BAD_INPUT, "E": Code.ENDED,
}  # fmt: skip
Cell: TypeAlias = tuple[Part, State, On]


def cells() -> dict[Cell, str]:
    found: dict[Cell, str] = {}
    for part, grid in GRID.items():
        for line in grid.strip().splitlines()[1:]:
            name, *marks = line.split()
            found |= {(part, State[name], on): mark for on, mark in zip(EVENTS, marks, strict=True)}
    return found


CELLS = cells()

# Stories: what came before, so that a tap gets into a state


def pay(starts: Part, charge: Charge = APPLES, declined: bool = False) -> Callable[[World], Meeting]:
    def story(world: World) -> Meeting:
        return meet(world, world.wallet(fund=1000), world.wallet(), starts, charge, declined)

    return story


def meet(
    world: World, payer: Wallet, payee: Wallet, starts: Part, charge: Charge = APPLES, declined: bool = False
) -> Meeting:
    person: Person = refuse if declined else agree
    return world.meet(payer, payee, charge=charge, payer_starts=starts is PAYER, person=person)


def refused_before(starts: Part) -> Callable[[World], Meeting]:
    """The same part of the same basket was asked for and declined: its request is open."""

    def story(world: World) -> Meeting:
        payer, payee = world.wallet(fund=1000), world.wallet()
        meet(world, payer, payee, starts, declined=True).run()
        return meet(world, payer, payee, starts)

    return story


def two_lanes(starts: Part) -> Callable[[World], Meeting]:
    """Two taps of one till asked for the same part at the same time: two requests are open."""

    def story(world: World) -> Meeting:
        till = world.wallet()
        lanes = [meet(world, world.wallet(fund=1000), till, starts, declined=True) for _ in range(2)]
        for lane in lanes:
            lane.until(PAYEE, S.AWAIT_HELLO if starts is PAYER else S.AWAIT_WELCOME)
        for lane in lanes:
            lane.run()
        return meet(world, world.wallet(fund=1000), till, starts)

    return story


def closed_by_another_lane(world: World) -> Meeting:
    """While the payer's person thinks, another tap of the till closes the request and opens its own."""
    till = world.wallet()
    first = meet(world, world.wallet(fund=1000), till, PAYEE)
    first.until(PAYER, S.AWAIT_CONSENT)
    meet(world, world.wallet(fund=1000), till, PAYEE, declined=True).run()
    return first


def paid_before(starts: Part) -> Callable[[World], Meeting]:
    def story(world: World) -> Meeting:
        payer, payee = world.wallet(fund=1000), world.wallet()
        meet(world, payer, payee, starts).run()
        return meet(world, payer, payee, starts)

    return story


def torn_before(starts: Part, *, frames: int, charge: Charge = PEARS) -> Callable[[World], Meeting]:
    """The payer is in doubt: its transfer (2 frames) or the receipt (3) was lost."""

    def story(world: World) -> Meeting:
        payer, payee = world.wallet(fund=1000), world.wallet()
        meet(world, payer, payee, PAYER).run(stop_after=frames)
        return meet(world, payer, payee, starts, charge)

    return story


def reversed_before(starts: Part, *, frames: int) -> Callable[[World], Meeting]:
    """The payee is in doubt to the payer, whose roles were the other way round."""

    def story(world: World) -> Meeting:
        payer, payee = world.wallet(fund=1000), world.wallet(fund=1000)
        meet(world, payee, payer, PAYER).run(stop_after=frames)
        return meet(world, payer, payee, starts, PEARS)

    return story


def in_doubt_to_another(starts: Part, *, payer_too: bool = False) -> Callable[[World], Meeting]:
    """The payee is in doubt to somebody else, so that it asks whoever comes for proof."""

    def story(world: World) -> Meeting:
        payer, payee = world.wallet(fund=1000), world.wallet(fund=1000)
        if payer_too:
            meet(world, payer, payee, PAYER).run(stop_after=3)
        meet(world, payee, world.wallet(), PAYER).run(stop_after=2)
        return meet(world, payer, payee, starts, PEARS)

    return story


def doubts(starts: Part, *, payer: str = "", payee: str = "", charge: Charge = PEARS) -> Callable[[World], Meeting]:
    """Each side is in doubt to those named: ``p`` its peer, ``o`` the peer's former key, ``s`` a stranger.

    ``d`` is a deposit, to which nobody answers in a tap.

    What a peer or its former key was paid, it has accepted. The part that ``charge`` asks for is paid if it is APPLES.
    """

    def story(world: World) -> Meeting:
        sides = world.wallet(fund=1000), world.wallet(fund=1000)
        if charge is APPLES:
            meet(world, *sides, starts).run()
        lanes: list[tuple[Meeting, bool]] = []
        former: list[tuple[Wallet, Wallet]] = []
        one, two = sides
        for side, other, whom in ((one, two, payer), (two, one, payee)):
            for letter in whom.replace("d", ""):
                to = other if letter == "p" else world.wallet()
                if letter == "o":
                    former.append((to, other))
                lanes.append((meet(world, side, to, PAYER, Charge(7, "CNY", world.draw(16))), letter != "s"))
        for lane, _ in lanes:
            lane.until(PAYER, S.AWAIT_CONSENT)
        for lane, accepted in lanes:
            lane.until(*((PAYEE, S.ENDED) if accepted else (PAYER, S.AWAIT_OUTCOME)))
            lane.lose()
        for old, present in former:
            world.succeed(old, present)
        for side, whom in ((one, payer), (two, payee)):
            if "d" in whom:
                prepare(side, Drbg(world.draw()), deposit=True)
        return meet(world, *sides, starts, charge)

    return story


def paid_and_in_doubt_to_another(starts: Part) -> Callable[[World], Meeting]:
    """The basket is paid, and the payee is in doubt to somebody else."""

    def story(world: World) -> Meeting:
        payer, payee = world.wallet(fund=1000), world.wallet(fund=1000)
        meet(world, payer, payee, PAYER).run()
        meet(world, payee, world.wallet(), PAYER).run(stop_after=2)
        return meet(world, payer, payee, starts)

    return story


def twice_in_doubt(world: World, doubter: Wallet, to: Wallet) -> None:
    """Two taps of one wallet at the same time, both torn."""
    lanes = [meet(world, doubter, to, PAYER, Charge(10, "CNY", world.draw(16))) for _ in range(2)]
    for lane in lanes:
        lane.until(PAYER, S.AWAIT_CONSENT)
    for lane in lanes:
        lane.until(PAYER, S.AWAIT_OUTCOME)
        lane.lose()


def payer_twice_in_doubt(world: World) -> Meeting:
    payer, payee = world.wallet(fund=1000), world.wallet()
    twice_in_doubt(world, payer, payee)
    return meet(world, payer, payee, PAYEE)


def payee_twice_in_doubt(world: World) -> Meeting:
    payer, payee = world.wallet(fund=1000), world.wallet(fund=1000)
    twice_in_doubt(world, payee, payer)
    return meet(world, payer, payee, PAYEE)


def timed(story: Callable[[World], Meeting], latency: float = 0.0, rounds: int = 0) -> Callable[[World], Meeting]:
    """The same, where the payer may pay nothing without a timed round; ``rounds`` were made, all too slow."""

    def told(world: World) -> Meeting:
        world.within = 0.1
        meeting = story(world)
        rule = world.ruled(2, (TIER._replace(untimed=0),))
        meeting.payer.wallet.write(News(None, (), None, rule))
        meeting.latency = latency
        for _ in range(rounds):
            payer = meeting.until(PAYER, S.AWAIT_PONG)
            meeting.post(payer, payer.step(meeting.next_for(payer), meeting.seconds))
        return meeting

    return told


def ahead(part: Part, story: Callable[[World], Meeting], tiers: int = 1) -> Callable[[World], Meeting]:
    """The same, where one side has a newer policy, with so many tiers."""

    def told(world: World) -> Meeting:
        meeting = story(world)
        rule = world.ruled(2, tuple(TIER._replace(number=number) for number in range(1, tiers + 1)))
        meeting.actor(part).wallet.write(News(None, (), None, rule))
        return meeting

    return told


def to_a_card(part: Part, tiers: int) -> Callable[[World], Meeting]:
    """The payee starts; this part is a card, and the other has a policy of several pieces for it."""

    def story(world: World) -> Meeting:
        profiles = {part: limits.CARD}
        payer = world.wallet(fund=1000, profile=profiles.get(PAYER, limits.FULL))
        return meet(world, payer, world.wallet(profile=profiles.get(PAYEE, limits.FULL)), PAYEE)

    return ahead(PAYEE if part is PAYER else PAYER, story, tiers)


TWO, THREE = 20, 39
"""Tiers of a policy that takes a card so many pieces."""
SMALL = NewsPiece(100, bytes(limits.NEWS_LEAST))
NOTHING = NewsPiece(0, pack(((), None, ())))


# Moves: what each is called, and a real way into every state that it leads to


class Way(NamedTuple):
    """Play ``story`` until the state, then take what comes next, or the message that somebody forges."""

    to: State
    story: Callable[[World], Meeting]
    forged: Message | None = None
    seen: State | None = None


REFUSE = RefuseMessage(int(Code.DECLINED))
MOVES: dict[Cell, tuple[str, tuple[Way, ...]]] = {
    (PAYEE, S.READY, On.BEGIN): (
        "begin",
        (Way(S.CLEARING, refused_before(PAYER)), Way(S.AWAIT_HELLO, pay(PAYER)), Way(S.AWAIT_WELCOME, pay(PAYEE))),
    ),
    (PAYEE, S.CLEARING, On.SIGNED): (
        "cleared",
        (
            Way(S.CLEARING, two_lanes(PAYER)),
            Way(S.AWAIT_HELLO, refused_before(PAYER)),
            Way(S.AWAIT_WELCOME, refused_before(PAYEE)),
        ),
    ),
    (PAYEE, S.AWAIT_HELLO, On.HELLO): (
        "hello",
        (Way(S.SIGN_REQUEST, pay(PAYER)), Way(S.SIGN_PRESENT, paid_before(PAYER))),
    ),
    (PAYEE, S.AWAIT_WELCOME, On.WELCOME): (
        "welcome",
        (Way(S.SIGN_REQUEST, pay(PAYEE)), Way(S.SIGN_PRESENT, paid_before(PAYEE))),
    ),
    (PAYEE, S.SIGN_REQUEST, On.SIGNED): ("requested", (Way(S.AWAIT_TRANSFER, pay(PAYEE)),)),
    (PAYEE, S.SIGN_PRESENT, On.SIGNED): ("presented", (Way(S.AWAIT_TRANSFER, paid_before(PAYEE)),)),
    (PAYEE, S.AWAIT_TRANSFER, On.TRANSFER): (
        "transfer",
        (
            Way(S.SIGN_OUTCOME, pay(PAYEE)),
            Way(S.AWAIT_NEWS, ahead(PAYER, closed_by_another_lane)),
            Way(S.ENDED, closed_by_another_lane),
        ),
    ),
    (PAYEE, S.AWAIT_TRANSFER, On.RESUME): (
        "resume",
        (
            Way(S.SIGN_OUTCOME, torn_before(PAYEE, frames=2)),
            Way(S.AWAIT_TRANSFER, torn_before(PAYEE, frames=3)),
        ),
    ),
    (PAYEE, S.AWAIT_TRANSFER, On.PRESENT): (
        "proved",
        (
            Way(S.AWAIT_OUTCOME, reversed_before(PAYEE, frames=2)),
            Way(S.AWAIT_TRANSFER, in_doubt_to_another(PAYEE)),
        ),
    ),
    (PAYEE, S.AWAIT_TRANSFER, On.REFUSE): ("refused", (Way(S.ENDED, pay(PAYEE, declined=True)),)),
    (PAYEE, S.AWAIT_TRANSFER, On.DONE): ("done", (Way(S.ENDED, paid_before(PAYEE)),)),
    (PAYEE, S.AWAIT_TRANSFER, On.RECALL): (
        "recalled",
        (Way(S.SIGN_RECALL, doubts(PAYEE, payer="o")), Way(S.AWAIT_TRANSFER, doubts(PAYEE, payer="s"))),
    ),
    (PAYEE, S.SIGN_RECALL, On.SIGNED): ("answered", (Way(S.AWAIT_TRANSFER, doubts(PAYEE, payer="o")),)),
    (PAYEE, S.AWAIT_TRANSFER, On.HAVE): ("told", (Way(S.TAKE_NEWS, ahead(PAYEE, paid_before(PAYEE))),)),
    (PAYEE, S.AWAIT_TRANSFER, On.PING): ("ping", (Way(S.AWAIT_TRANSFER, timed(pay(PAYEE))),)),
    (PAYEE, S.SIGN_OUTCOME, On.SIGNED): (
        "decided",
        (
            Way(S.AWAIT_NEWS, ahead(PAYEE, pay(PAYEE))),
            Way(S.ENDED, pay(PAYEE)),
            Way(S.AWAIT_TRANSFER, torn_before(PAYEE, frames=2)),
        ),
    ),
    (PAYEE, S.AWAIT_OUTCOME, On.OUTCOME): (
        "healed",
        (Way(S.AWAIT_OUTCOME, payee_twice_in_doubt), Way(S.AWAIT_TRANSFER, reversed_before(PAYEE, frames=2))),
    ),
    (PAYEE, S.AWAIT_NEWS, On.HAVE): ("have", (Way(S.TAKE_NEWS, ahead(PAYEE, pay(PAYEE))),)),
    (PAYEE, S.AWAIT_NEWS, On.REFUSE): ("refused", (Way(S.ENDED, ahead(PAYEE, pay(PAYEE)), REFUSE),)),
    (PAYEE, S.TAKE_NEWS, On.PIECE): (
        "piece",
        (
            Way(S.TAKE_NEWS, to_a_card(PAYEE, TWO)),
            Way(S.GIVE_NEWS, to_a_card(PAYER, TWO), NOTHING),
            Way(S.ENDED, ahead(PAYER, pay(PAYEE))),
        ),
    ),
    (PAYEE, S.TAKE_NEWS, On.PROCEED): (
        "went_on",
        (Way(S.GIVE_NEWS, to_a_card(PAYER, TWO)), Way(S.ENDED, ahead(PAYEE, pay(PAYEE)))),
    ),
    (PAYEE, S.TAKE_NEWS, On.REFUSE): ("refused", (Way(S.ENDED, ahead(PAYEE, pay(PAYEE)), REFUSE),)),
    (PAYEE, S.GIVE_NEWS, On.PROCEED): (
        "went_on",
        (Way(S.GIVE_NEWS, to_a_card(PAYER, THREE)), Way(S.ENDED, to_a_card(PAYER, TWO))),
    ),
    (PAYEE, S.GIVE_NEWS, On.REFUSE): ("refused", (Way(S.ENDED, to_a_card(PAYER, TWO), REFUSE),)),
    (PAYER, S.AWAIT_NEWS, On.HAVE): (
        "have",
        (Way(S.GIVE_NEWS, ahead(PAYER, pay(PAYEE))), Way(S.TAKE_NEWS, ahead(PAYEE, pay(PAYEE)))),
    ),
    (PAYER, S.AWAIT_NEWS, On.REFUSE): ("refused", (Way(S.ENDED, ahead(PAYEE, pay(PAYEE)), REFUSE),)),
    (PAYER, S.GIVE_NEWS, On.PROCEED): (
        "went_on",
        (Way(S.GIVE_NEWS, to_a_card(PAYEE, TWO)), Way(S.ENDED, ahead(PAYER, pay(PAYEE)))),
    ),
    (PAYER, S.GIVE_NEWS, On.PIECE): (
        "piece",
        (
            Way(S.TAKE_NEWS, ahead(PAYER, pay(PAYEE)), SMALL),
            Way(S.ENDED, ahead(PAYER, pay(PAYEE)), NOTHING),
        ),
    ),
    (PAYER, S.GIVE_NEWS, On.REFUSE): ("refused", (Way(S.ENDED, ahead(PAYER, pay(PAYEE)), REFUSE),)),
    (PAYER, S.TAKE_NEWS, On.PIECE): (
        "piece",
        (Way(S.TAKE_NEWS, to_a_card(PAYER, TWO)), Way(S.ENDED, ahead(PAYEE, pay(PAYEE)))),
    ),
    (PAYER, S.TAKE_NEWS, On.PROCEED): (
        "went_on",
        (Way(S.ENDED, ahead(PAYEE, pay(PAYEE)), ProceedMessage()),),
    ),
    (PAYER, S.TAKE_NEWS, On.REFUSE): ("refused", (Way(S.ENDED, ahead(PAYEE, pay(PAYEE)), REFUSE),)),
    (PAYEE, S.AWAIT_OUTCOME, On.REFUSE): ("refused", (Way(S.ENDED, reversed_before(PAYEE, frames=2), REFUSE),)),
    (PAYER, S.READY, On.BEGIN): ("begin", (Way(S.AWAIT_HELLO, pay(PAYEE)), Way(S.AWAIT_WELCOME, pay(PAYER)))),
    (PAYER, S.AWAIT_HELLO, On.HELLO): ("hello", (Way(S.AWAIT_REQUEST, pay(PAYEE)),)),
    # The payee's message is inside the Welcome and is taken in the same step: AWAIT_REQUEST is passed through.
    (PAYER, S.AWAIT_WELCOME, On.WELCOME): ("welcome", (Way(S.AWAIT_REQUEST, pay(PAYER), seen=S.AWAIT_CONSENT),)),
    (PAYER, S.AWAIT_REQUEST, On.REQUEST): (
        "request",
        (
            Way(S.SIGN_PRESENT, in_doubt_to_another(PAYEE)),
            Way(S.AWAIT_OUTCOME, torn_before(PAYEE, frames=2)),
            Way(S.AWAIT_RECALL, doubts(PAYEE, payer="s")),
            Way(S.AWAIT_PONG, timed(pay(PAYEE))),
            Way(S.AWAIT_CONSENT, pay(PAYEE)),
        ),
    ),
    (PAYER, S.AWAIT_REQUEST, On.PRESENT): (
        "present",
        (
            Way(S.SIGN_PRESENT, paid_and_in_doubt_to_another(PAYEE)),
            Way(S.AWAIT_OUTCOME, torn_before(PAYEE, frames=3, charge=APPLES)),
            Way(S.AWAIT_RECALL, doubts(PAYEE, payer="s", charge=APPLES)),
            Way(S.AWAIT_NEWS, ahead(PAYEE, paid_before(PAYEE))),
            Way(S.ENDED, paid_before(PAYEE)),
        ),
    ),
    (PAYER, S.AWAIT_REQUEST, On.REFUSE): ("refused", (Way(S.ENDED, pay(PAYEE), REFUSE),)),
    (PAYER, S.SIGN_PRESENT, On.SIGNED): ("presented", (Way(S.AWAIT_PROCEED, in_doubt_to_another(PAYEE)),)),
    (PAYER, S.AWAIT_PROCEED, On.RESUME): (
        "resume",
        (
            Way(S.SIGN_OUTCOME, reversed_before(PAYEE, frames=2)),
            Way(S.AWAIT_PROCEED, reversed_before(PAYEE, frames=3)),
        ),
    ),
    (PAYER, S.AWAIT_PROCEED, On.PROCEED): (
        "proceed",
        (
            Way(S.AWAIT_OUTCOME, doubts(PAYEE, payer="p", payee="d")),
            Way(S.AWAIT_RECALL, doubts(PAYEE, payer="s", payee="d")),
            Way(S.AWAIT_PONG, timed(doubts(PAYEE, payee="d"))),
            Way(S.AWAIT_CONSENT, doubts(PAYEE, payee="d")),
            Way(S.AWAIT_NEWS, ahead(PAYEE, doubts(PAYEE, payee="d", charge=APPLES))),
            Way(S.ENDED, doubts(PAYEE, payee="d", charge=APPLES)),
        ),
    ),
    (PAYER, S.AWAIT_PROCEED, On.RECALL): (
        "recalled",
        (
            Way(S.SIGN_RECALL, doubts(PAYEE, payee="o")),
            Way(S.AWAIT_OUTCOME, in_doubt_to_another(PAYEE, payer_too=True)),
            Way(S.AWAIT_RECALL, doubts(PAYEE, payer="s", payee="s")),
            Way(S.AWAIT_PONG, timed(in_doubt_to_another(PAYEE))),
            Way(S.AWAIT_CONSENT, in_doubt_to_another(PAYEE)),
            Way(S.AWAIT_NEWS, ahead(PAYEE, paid_and_in_doubt_to_another(PAYEE))),
            Way(S.ENDED, paid_and_in_doubt_to_another(PAYEE)),
        ),
    ),
    (PAYER, S.SIGN_RECALL, On.SIGNED): ("answered", (Way(S.AWAIT_PROCEED, doubts(PAYEE, payee="o")),)),
    (PAYER, S.AWAIT_RECALL, On.PRESENT): ("returned", (Way(S.AWAIT_OUTCOME, doubts(PAYEE, payer="o")),)),
    (PAYER, S.AWAIT_RECALL, On.PROCEED): (
        "unknown",
        (
            Way(S.AWAIT_PONG, timed(doubts(PAYEE, payer="s"))),
            Way(S.AWAIT_CONSENT, doubts(PAYEE, payer="s")),
            Way(S.AWAIT_NEWS, ahead(PAYEE, doubts(PAYEE, payer="s", charge=APPLES))),
            Way(S.ENDED, doubts(PAYEE, payer="s", charge=APPLES)),
        ),
    ),
    (PAYER, S.AWAIT_RECALL, On.REFUSE): ("refused", (Way(S.ENDED, doubts(PAYEE, payer="s"), REFUSE),)),
    (PAYER, S.AWAIT_PROCEED, On.REFUSE): ("refused", (Way(S.ENDED, in_doubt_to_another(PAYEE), REFUSE),)),
    (PAYER, S.SIGN_OUTCOME, On.SIGNED): ("decided", (Way(S.AWAIT_PROCEED, reversed_before(PAYEE, frames=2)),)),
    (PAYER, S.AWAIT_PONG, On.PONG): (
        "pong",
        (
            Way(S.AWAIT_PONG, timed(pay(PAYEE), latency=0.06)),
            Way(S.AWAIT_CONSENT, timed(pay(PAYEE), latency=0.04)),
            Way(S.ENDED, timed(pay(PAYEE), latency=0.06, rounds=3)),
        ),
    ),
    (PAYER, S.AWAIT_PONG, On.REFUSE): ("refused", (Way(S.ENDED, timed(pay(PAYEE)), REFUSE),)),
    (PAYER, S.AWAIT_CONSENT, On.CONSENT): ("consent", (Way(S.SIGN_TRANSFER, pay(PAYEE)),)),
    (PAYER, S.AWAIT_CONSENT, On.DECLINE): ("decline", (Way(S.ENDED, pay(PAYEE, declined=True)),)),
    (PAYER, S.SIGN_TRANSFER, On.SIGNED): ("transferred", (Way(S.AWAIT_OUTCOME, pay(PAYEE)),)),
    (PAYER, S.AWAIT_OUTCOME, On.OUTCOME): (
        "outcome",
        (
            Way(S.AWAIT_OUTCOME, payer_twice_in_doubt),
            Way(S.AWAIT_RECALL, doubts(PAYEE, payer="ps")),
            Way(S.AWAIT_PONG, timed(torn_before(PAYEE, frames=2))),
            Way(S.AWAIT_CONSENT, torn_before(PAYEE, frames=2)),
            Way(S.AWAIT_NEWS, ahead(PAYEE, pay(PAYEE))),
            Way(S.ENDED, pay(PAYEE)),
        ),
    ),
    (PAYER, S.AWAIT_OUTCOME, On.REFUSE): ("refused", (Way(S.ENDED, pay(PAYEE), REFUSE),)),
}
"""Every move but ``stop``, which each state but ENDED has, and which ends the tap."""

STORIES: dict[tuple[Part, State], Callable[[World], Meeting]] = {
    (PAYEE, S.READY): pay(PAYER),
    (PAYEE, S.CLEARING): refused_before(PAYER),
    (PAYEE, S.AWAIT_HELLO): pay(PAYER),
    (PAYEE, S.AWAIT_WELCOME): pay(PAYEE),
    (PAYEE, S.SIGN_REQUEST): pay(PAYEE),
    (PAYEE, S.SIGN_PRESENT): paid_before(PAYEE),
    (PAYEE, S.AWAIT_TRANSFER): pay(PAYEE),
    (PAYEE, S.SIGN_RECALL): doubts(PAYEE, payer="o"),
    (PAYEE, S.SIGN_OUTCOME): pay(PAYEE),
    (PAYEE, S.AWAIT_OUTCOME): reversed_before(PAYEE, frames=2),
    (PAYEE, S.AWAIT_NEWS): ahead(PAYEE, pay(PAYEE)),
    (PAYEE, S.TAKE_NEWS): ahead(PAYEE, pay(PAYEE)),
    (PAYEE, S.GIVE_NEWS): to_a_card(PAYER, TWO),
    (PAYEE, S.ENDED): pay(PAYEE),
    (PAYER, S.READY): pay(PAYER),
    (PAYER, S.AWAIT_HELLO): pay(PAYEE),
    (PAYER, S.AWAIT_WELCOME): pay(PAYER),
    (PAYER, S.SIGN_PRESENT): in_doubt_to_another(PAYEE),
    (PAYER, S.AWAIT_REQUEST): pay(PAYEE),
    (PAYER, S.AWAIT_PROCEED): in_doubt_to_another(PAYEE),
    (PAYER, S.AWAIT_RECALL): doubts(PAYEE, payer="s"),
    (PAYER, S.SIGN_RECALL): doubts(PAYEE, payee="o"),
    (PAYER, S.AWAIT_PONG): timed(pay(PAYEE)),
    (PAYER, S.AWAIT_CONSENT): pay(PAYEE),
    (PAYER, S.SIGN_TRANSFER): pay(PAYEE),
    (PAYER, S.SIGN_OUTCOME): reversed_before(PAYEE, frames=2),
    (PAYER, S.AWAIT_OUTCOME): pay(PAYEE),
    (PAYER, S.AWAIT_NEWS): ahead(PAYEE, pay(PAYEE)),
    (PAYER, S.TAKE_NEWS): ahead(PAYEE, pay(PAYEE)),
    (PAYER, S.GIVE_NEWS): to_a_card(PAYEE, TWO),
    (PAYER, S.ENDED): pay(PAYEE),
}
"""How to get into each state that a part can stand in, from which refusals are driven."""

IN_SESSION = {
    S.SIGN_REQUEST, S.SIGN_PRESENT, S.AWAIT_REQUEST, S.AWAIT_PROCEED, S.AWAIT_TRANSFER, S.AWAIT_PONG,
    S.AWAIT_CONSENT, S.SIGN_TRANSFER, S.SIGN_OUTCOME, S.AWAIT_OUTCOME,
    S.AWAIT_RECALL, S.SIGN_RECALL,
    *TELLING,
}  # fmt: skip
DOUBTFUL = {(PAYEE, S.AWAIT_OUTCOME), (PAYER, S.SIGN_TRANSFER), (PAYER, S.AWAIT_OUTCOME)}
LOCAL_EVENTS: dict[On, Event] = {
    On.BEGIN: Begin(),
    On.SIGNED: Signature(bytes(64)),
    On.CONSENT: Consent(),
    On.DECLINE: Decline(),
    On.STOP: Stop(),
}


def kind_of(said: Said) -> On:
    kinds: dict[type[Said], On] = {
        Hello: On.HELLO, Welcome: On.WELCOME, RequestMessage: On.REQUEST, PresentMessage: On.PRESENT,
        OutcomeMessage: On.OUTCOME, ProceedMessage: On.PROCEED, RefuseMessage: On.REFUSE, DoneMessage: On.DONE,
        RecallMessage: On.RECALL, NewsHave: On.HAVE, NewsPiece: On.PIECE, PingMessage: On.PING, PongMessage: On.PONG,
    }  # fmt: skip
    if isinstance(said, TransferMessage):
        return On.RESUME if said.request else On.TRANSFER
    return kinds[type(said)]


@cache
def gallery() -> dict[tuple[Part, On], Said]:
    """One real message of every kind, as each part receives it, or as it would."""
    world = World(seed="gallery")
    said: dict[tuple[Part, On], Said] = {}
    for story in (
        pay(PAYER), pay(PAYEE), pay(PAYEE, declined=True), paid_before(PAYEE), reversed_before(PAYEE, frames=2),
        timed(pay(PAYER)), ahead(PAYEE, pay(PAYER)), doubts(PAYER, payer="s"),
    ):  # fmt: skip
        for seen in story(world).run().heard:
            receiver = PAYEE if seen.sender.tap.part is PAYER else PAYER
            said[receiver, kind_of(seen.message)] = seen.message
    for part, on in product(Part, EVENTS):
        other = PAYEE if part is PAYER else PAYER
        if on not in LOCAL:
            said.setdefault((part, on), said.get((other, on), ProceedMessage()))
    return said


def stand(part: Part, state: State, story: Callable[[World], Meeting]) -> tuple[Meeting, Actor]:
    meeting = story(World())
    if state is S.ENDED:
        meeting.run()
    actor = meeting.until(part, state)
    if state in IN_SESSION:
        meeting.settle(actor)
    return meeting, actor


def frame_of(meeting: Meeting, actor: Actor, state: State, said: Said) -> bytes:
    """Return the frame by which the other side says this: sealed if there is a session."""
    if isinstance(said, Hello):
        return encode_hello(said)
    if isinstance(said, Welcome):
        return encode_welcome(said)
    return meeting.forge(meeting.other(actor), said) if state in IN_SESSION else encode(said)


# The tests


def test_the_grid_is_whole_and_agrees_with_the_code() -> None:
    """§11.1-3, §11.1-4."""
    assert len(CELLS) == len(Part) * len(State) * len(On) == 2 * 20 * 20
    assert {cell for cell, mark in CELLS.items() if mark == ">" and cell[2] is not On.STOP} == set(MOVES)
    for (part, state, on), mark in CELLS.items():
        move = TABLE.get((part, state, on))
        if on is On.STOP and state is not S.ENDED:
            assert move == Move("stop", (S.ENDED,))
        elif mark == ">":
            name, ways = MOVES[part, state, on]
            assert move == Move(name, tuple(way.to for way in ways))
        else:
            assert move is None
            if mark != "-":
                named = Code.UNEXPECTED_MESSAGE if mark in "uULS" else CODES[mark]
                assert refusal(state, on) is named


@pytest.mark.parametrize("part", list(Part))
def test_no_move_leads_to_a_state_that_a_part_never_stands_in(part: Part) -> None:
    reached = {S.READY, S.ENDED}
    for (whose, _, _), (_, ways) in MOVES.items():
        if whose is part:
            reached |= {way.to for way in ways}
    assert {state for whose, state, _ in CELLS if whose is part and state not in reached} == {
        state for (whose, state, _), mark in CELLS.items() if whose is part and mark == "-"
    }
    assert all(TABLE[cell].to for cell in TABLE)
    assert reached == {state for whose, state in STORIES if whose is part}


@pytest.mark.parametrize(
    ("part", "state", "on", "way"),
    [pytest.param(*cell, way, id=f"{cell[0].value} {cell[1].value}: {cell[2].value} -> {way.to.value}")
     for cell, (_, ways) in MOVES.items() for way in ways],
)  # fmt: skip
def test_a_move(part: Part, state: State, on: On, way: Way) -> None:
    """§6-1, §11.1-4."""
    meeting, actor = stand(part, state, way.story)
    if way.forged is not None:
        event: Event = Received(frame_of(meeting, actor, state, way.forged))
    else:
        event = meeting.next_for(actor)
        if isinstance(event, Received):
            said = meeting.heard[-1].message
            if on is On.WELCOME:
                said = next(seen.message for seen in meeting.heard if isinstance(seen.message, Welcome))
            assert kind_of(said) is on
        else:
            assert type(event) is type(LOCAL_EVENTS[on])
    actor.step(event, meeting.seconds)
    assert actor.tap.state is (way.seen or way.to)


REFUSED = [
    pytest.param(*cell, mark, id=f"{cell[0].value} {cell[1].value}: {cell[2].value}")
    for cell, mark in CELLS.items()
    if mark not in ">-"
]


@pytest.mark.parametrize(("part", "state", "on", "mark"), REFUSED)
def test_a_refusal(part: Part, state: State, on: On, mark: str) -> None:
    """§5.2-3, §6-3, §6-10, §6-16, §11.1-2, §11.1-3."""
    meeting, actor = stand(part, state, STORIES[part, state])
    before = remembered(actor.book)
    event = LOCAL_EVENTS.get(on) or Received(frame_of(meeting, actor, state, gallery()[part, on]))
    if mark in "BE":
        with pytest.raises(TapError) as caught:
            actor.step(event)
        assert caught.value.code is CODES[mark]
        assert actor.tap.state is state
    else:
        told = list(actor.step(event))
        if state not in TELLING:  # there, the payment has been reported
            report = told.pop()
            assert isinstance(report, Report)
            assert report.code is CODES[mark]
            assert report.result is (Result.IN_DOUBT if (part, state) in DOUBTFUL else Result.NOT_PAID)
        assert actor.tap.ended
        if mark == "U":
            (frame,) = [effect.frame for effect in told if isinstance(effect, Send)]
            assert meeting.peek(actor, frame) == [RefuseMessage(int(CODES[mark]))]
        else:
            assert told == []
    assert remembered(actor.book) == before, "a refusal moves nothing"
    if mark == "B":
        meeting.run()
        assert {actor.report.code for actor in (meeting.payer, meeting.payee)} <= {None, Code.BASKET_PAID}
    else:
        meeting.lose()
    meeting.world.check()


@pytest.mark.parametrize(("part", "state"), [key for key in STORIES if key[1] is not S.ENDED])
def test_a_stop(part: Part, state: State) -> None:
    meeting, actor = stand(part, state, STORIES[part, state])
    told = actor.step(Stop(Code.TIMEOUT))
    if state in TELLING:
        assert told == ()
    else:
        (report,) = told
        assert isinstance(report, Report)
        assert report.code is Code.TIMEOUT
        assert report.result is (Result.IN_DOUBT if (part, state) in DOUBTFUL else Result.NOT_PAID)
    assert actor.tap.ended
    meeting.lose()
    meeting.world.check()


@pytest.mark.parametrize("number", [1, 2, 10])
@pytest.mark.parametrize(("part", "state"), [key for key in STORIES if key[1] in IN_SESSION])
def test_a_sealed_message_of_an_unknown_kind(part: Part, state: State, number: int) -> None:
    meeting, actor = stand(part, state, STORIES[part, state])
    effects = actor.step(Received(meeting.seal(meeting.other(actor), pack((number,)))))
    told = [] if state in TELLING else [Code.UNKNOWN_MESSAGE]
    assert [effect.code for effect in effects if isinstance(effect, Report)] == told
    assert actor.tap.ended

"""Attacks on frames: somebody on the radio, with no key at all, alters, drops, repeats, replays and reflects.

The greeting travels in the clear: what is altered there must be refused where it is read, or make both ends derive
other keys. Everything after it is sealed. Nothing may be paid twice, or for something else, whatever comes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import pytest

from dualtap.codec import pack
from dualtap.context import Charge
from dualtap.errors import Code, TapError
from dualtap.events import Result
from dualtap.wire import Hello, Want, Welcome, decode_hello, decode_welcome, encode_welcome
from tests.playbook import SUITE_NAMES, Actor, Intercept, Meeting, refuse
from tests.support import weak
from tests.support.arena import Attack, By
from tests.support.street import APPLES, Street, judge, on

ENDS = pytest.mark.parametrize("payer_starts", [True, False], ids=["payer starts", "payee starts"])
SUITES = pytest.mark.parametrize("suite", SUITE_NAMES)
SEAL = Code.BAD_SEAL

# The greeting


@dataclass(frozen=True)
class Greeting:
    """What is altered in a greeting, and who notices: the payer (P), the responder (R) or the initiator (I)."""

    who: str
    kind: type[Hello] | type[Welcome]
    change: Callable[[Any], Any]


def sets(who: str, kind: type[Hello] | type[Welcome], **fields: object) -> Greeting:
    return Greeting(who, kind, lambda said: said._replace(**fields))


def flips(who: str, kind: type[Hello] | type[Welcome], flag: Want) -> Greeting:
    return Greeting(who, kind, lambda said: said._replace(want=said.want ^ flag))


Greeted: TypeAlias = Attack[Greeting]
BOTH, LACKS = Want.COLLECT | Want.PAY, Want.AUTHORITIES
GREETINGS: tuple[Greeted, ...] = (
    Greeted("another scheme's hint", By.WIRE, "downgrade to a weaker scheme", "§6-6", sets("R", Hello, scheme=b"weak"),
            Code.WRONG_SCHEME),
    Greeted("versions stripped to an old one", By.WIRE, "downgrade to an older version", "§6-7",
            sets("R", Hello, versions=(0,)), Code.WRONG_VERSION),
    Greeted("versions of the future only", By.WIRE, "an unknown version is taken for this one", "§6-7",
            sets("R", Hello, versions=(2, 3)), Code.WRONG_VERSION),
    Greeted("an old version put first", By.WIRE, "the list of versions is not in the transcript", "§6-2",
            sets("P", Hello, versions=(0, 1)), SEAL),
    Greeted("a version more", By.WIRE, "the list of versions is not in the transcript", "§6-2",
            sets("P", Hello, versions=(1, 2)), SEAL),
    Greeted("no versions", By.WIRE, "an empty list means any version", "§5.2-1", sets("R", Hello, versions=()),
            Code.MALFORMED),
    Greeted("a version twice", By.WIRE, "the list is compared as a set", "§6-2", sets("P", Hello, versions=(1, 1)),
            SEAL),
    Greeted("parts exchanged in the Hello", By.WIRE, "a payer becomes a payee", "§6-8", flips("R", Hello, BOTH),
            Code.WRONG_ROLE),
    Greeted("both parts in the Hello", By.WIRE, "a device chooses the part that suits the attacker", "§6-8",
            Greeting("R", Hello, lambda said: said._replace(want=BOTH)), Code.WRONG_ROLE),
    Greeted("no part in the Hello", By.WIRE, "no part passes for every part", "§6-8", sets("R", Hello, want=Want(0)),
            Code.WRONG_ROLE),
    Greeted("SYNC added to the Hello", By.WIRE, "a reserved flag is not in the transcript", "§6-2",
            flips("P", Hello, Want.SYNC), SEAL),
    Greeted("AUTHORITIES flipped in the Hello", By.WIRE, "flags are not in the transcript", "§6-2",
            flips("P", Hello, LACKS), SEAL),
    Greeted("an older version in the Welcome", By.WIRE, "downgrade to an older version", "§6-7",
            sets("I", Welcome, version=0), Code.WRONG_VERSION),
    Greeted("a version never offered", By.WIRE, "the choice is not compared with the offer", "§6-7",
            sets("I", Welcome, version=2), Code.WRONG_VERSION),
    Greeted("parts exchanged in the Welcome", By.WIRE, "a payer becomes a payee", "§6-8", flips("I", Welcome, BOTH),
            Code.WRONG_ROLE),
    Greeted("both parts in the Welcome", By.WIRE, "a device chooses the part that suits the attacker", "§6-8",
            Greeting("I", Welcome, lambda said: said._replace(want=BOTH)), Code.WRONG_ROLE),
    Greeted("AUTHORITIES flipped in the Welcome", By.WIRE, "flags are not in the transcript", "§6-2",
            flips("P", Welcome, LACKS), SEAL),
    Greeted("a sealed part for the other role", By.WIRE, "a message is read in the wrong part", "§6-9",
            Greeting("I", Welcome, lambda said: said._replace(sealed=b"" if said.sealed else bytes(40))),
            Code.MALFORMED),
)  # fmt: skip


@SUITES
@ENDS
@pytest.mark.parametrize("attack", GREETINGS, ids=lambda attack: attack.name)
def test_a_greeting_that_was_altered(attack: Greeted, payer_starts: bool, suite: str) -> None:
    """§5.2-1, §6-2, §6-6, §6-7, §6-8, §6-9."""
    street = Street(suite, payer_starts)
    meeting = street.pay(on(attack.do.kind, attack.do.change))
    victim = {"P": meeting.payer, "R": meeting.responder, "I": meeting.initiator}[attack.do.who]
    assert {actor.report.code for actor in (meeting.payer, meeting.payee)} == {attack.code, Code.LINK_LOST}, attack.bug
    judge(street, attack, victim)


KEYS = [
    *[(suite, name, key, Code.BAD_KEY) for suite in SUITE_NAMES for name, key in weak.EPHEMERAL[suite].items()],
    *[(suite, "of the other suite", weak.OTHER_SUITE[suite], Code.BAD_KEY) for suite in SUITE_NAMES],
    *[(suite, name, key, Code.MALFORMED) for suite in SUITE_NAMES for name, key in weak.WRONG_LENGTH[suite].items()],
]


@pytest.mark.parametrize("end", ["Hello", "Welcome"])
@pytest.mark.parametrize(("suite", "name", "key", "code"), KEYS, ids=lambda value: value if type(value) is str else "")
def test_an_ephemeral_key_that_gives_no_secret(suite: str, name: str, key: bytes, code: Code, end: str) -> None:
    """§3-5, §3-12, §3-13, §5.1-8: small order, off the curve, a second encoding, another suite, another length."""
    street = Street(suite)
    victim = rekeyed(street, end, lambda _: key)
    judge(street, Attack(name, By.WIRE, "weak keys", "§3-13", None, code), victim)


@SUITES
@ENDS
@pytest.mark.parametrize("end", ["Hello", "Welcome"])
def test_an_ephemeral_key_that_is_reflected(end: str, payer_starts: bool, suite: str) -> None:
    """§6-5: a device that agrees with itself lets somebody in between answer in its own words."""
    street = Street(suite, payer_starts)
    victim = rekeyed(street, end, lambda actor: actor.ephemeral.public)
    judge(street, Attack("reflected", By.WIRE, "reflection", "§6-5", None, Code.BAD_KEY), victim)


def rekeyed(street: Street, end: str, key: Callable[[Actor], bytes]) -> Actor:
    """Play a tap in which a greeting has another ephemeral key, of whatever length; return who reads it."""
    meeting = street.meet(street.anna, street.till)
    victim = meeting.responder if end == "Hello" else meeting.initiator

    def change(frame: bytes) -> list[bytes]:
        if end == "Hello":
            return [pack((1, *decode_hello(frame)._replace(ephemeral=key(victim))))]
        return [pack((2, *decode_welcome(frame)._replace(ephemeral=key(victim))))]

    meeting.run(intercept=at(0 if end == "Hello" else 1, change))
    return victim


# Sealed frames

Spoil: TypeAlias = Callable[[bytes], list[bytes]]
Spoilt: TypeAlias = Attack[Spoil]


def at(place: int, spoil: Spoil) -> Intercept:
    """Return an intercept that spoils one frame, the first being 0."""
    count = -1

    def intercept(frame: bytes) -> list[bytes]:
        nonlocal count
        count += 1
        return spoil(frame) if count == place else [frame]

    return intercept


def flipped(bit: int) -> Spoil:
    def spoil(frame: bytes) -> list[bytes]:
        changed = bytearray(frame)
        changed[bit // 8] ^= 1 << bit % 8
        return [bytes(changed)]

    return spoil


def sealed(spoil: Spoil) -> Spoil:
    """Spoil what is sealed: in a Welcome, only its sealed part."""

    def inner(frame: bytes) -> list[bytes]:
        try:
            welcome = decode_welcome(frame)
        except TapError:
            return spoil(frame)
        return [encode_welcome(welcome._replace(sealed=part)) for part in spoil(welcome.sealed)]

    return inner


SPOILT: tuple[Spoilt, ...] = (
    Spoilt("the first bit flipped", By.WIRE, "encryption without authentication", "§6-3", flipped(0), SEAL),
    Spoilt("a bit in the middle flipped", By.WIRE, "encryption without authentication", "§6-3", flipped(131), SEAL),
    Spoilt("the last bit flipped", By.WIRE, "the tag is not compared whole", "§6-3", flipped(-1), SEAL),
    Spoilt("a byte cut", By.WIRE, "a truncated tag is compared as far as it goes", "§6-3", lambda frame: [frame[:-1]],
           SEAL),
    Spoilt("the tag cut", By.WIRE, "a missing tag is no wrong tag", "§6-3", lambda frame: [frame[:-16]], SEAL),
    Spoilt("a byte more", By.WIRE, "trailing bytes are ignored", "§6-3", lambda frame: [frame + b"\0"], SEAL),
    Spoilt("nothing", By.WIRE, "an empty frame is an empty message", "§6-3", lambda _: [b""], SEAL),
    Spoilt("less than a tag", By.WIRE, "a short frame is no wrong frame", "§6-3", lambda frame: [frame[:5]], SEAL),
    Spoilt("only a tag", By.WIRE, "an empty message passes", "§6-3", lambda frame: [frame[-16:]], SEAL),
    Spoilt("the first half", By.WIRE, "a message is read while it comes", "§6-3",
           lambda frame: [frame[: len(frame) // 2]], SEAL),
    Spoilt("twice the same in one", By.WIRE, "two frames in one", "§6-3", lambda frame: [frame + frame], SEAL),
)  # fmt: skip


def receivers(meeting: Meeting) -> list[Actor]:
    """Return who receives each sealed frame of a payment, in order: the Request, the Transfer, the Outcome."""
    return [meeting.payer, meeting.payee, meeting.payer]


@SUITES
@ENDS
@pytest.mark.parametrize("message", [0, 1, 2], ids=["Request", "Transfer", "Outcome"])
@pytest.mark.parametrize("attack", SPOILT, ids=lambda attack: attack.name)
def test_a_sealed_frame_that_was_altered(attack: Spoilt, message: int, payer_starts: bool, suite: str) -> None:
    """§6-3."""
    street = Street(suite, payer_starts)
    if payer_starts and message == 0 and attack.name == "nothing":
        attack = replace(attack, code=Code.MALFORMED, clause="§6-9")
    meeting = street.meet(street.anna, street.till)
    meeting.run(intercept=at(message + (1 if payer_starts else 2), sealed(attack.do)))
    judge(street, replace(attack, doubt=message == 2), receivers(meeting)[message])


@SUITES
@ENDS
@pytest.mark.parametrize("message", [0, 1, 2], ids=["Request", "Transfer", "Outcome"])
def test_a_sealed_frame_that_comes_twice(message: int, payer_starts: bool, suite: str) -> None:
    """§6-3: the second is BAD_SEAL, or comes after the end; and nothing is paid twice."""
    street = Street(suite, payer_starts)
    meeting = street.meet(street.anna, street.till)

    def twice(frame: bytes) -> list[bytes]:
        return [frame, decode_welcome(frame).sealed if payer_starts and message == 0 else frame]

    meeting.run(intercept=at(message + (1 if payer_starts else 2), twice))
    if message == 2:
        assert meeting.payer.report.result is Result.PAID, "the tap is over: the second is not heard"
        judge(street, Attack("twice", By.WIRE, "a Receipt counts twice", "§6-3", None, None), meeting.payer)
    else:
        judge(street, Attack("twice", By.WIRE, "no counter of frames", "§6-3", None, SEAL), receivers(meeting)[message])
    assert street.anna.book.since.payments <= 2


@SUITES
@ENDS
def test_an_earlier_frame_of_the_same_session(payer_starts: bool, suite: str) -> None:
    """§6-3: the payer is given its Request's frame again where it awaits the Outcome."""
    street = Street(suite, payer_starts)
    meeting = street.meet(street.anna, street.till)
    seen: list[bytes] = []

    def again(frame: bytes) -> list[bytes]:
        seen.append(frame)
        if len(seen) < (4 if payer_starts else 5):
            return [frame]
        return [decode_welcome(seen[1]).sealed if payer_starts else seen[2]]

    meeting.run(intercept=again)
    judge(street, Attack("again", By.WIRE, "no counter of frames", "§6-3", None, SEAL, doubt=True), meeting.payer)


# Whole frames of an earlier session

Play: TypeAlias = Callable[[Street], Meeting]


def paying(street: Street) -> Meeting:
    return street.meet(street.anna, street.till, Charge(100, "CNY", street.arena.draw(16)))


def refusing(street: Street) -> Meeting:
    return street.meet(street.anna, street.till, Charge(100, "CNY", street.arena.draw(16)), person=refuse)


def healing(street: Street) -> Meeting:
    """The till pays Anna, who shows it first what she has in doubt."""
    street.torn()
    return street.meet(street.till, street.anna, Charge(20, "CNY", street.arena.draw(16)))


def presenting(street: Street) -> Meeting:
    if street.till.book.accepted(APPLES.basket, 0) is None:
        street.pay()
    return street.meet(street.anna, street.till)


STORIES: dict[str, tuple[Play, list[str]]] = {
    "paying": (paying, ["Hello", "Welcome", "Request", "Transfer", "Outcome"]),
    "refusing": (refusing, ["Hello", "Welcome", "Request", "Refuse"]),
    "presenting": (presenting, ["Hello", "Welcome", "Present", "Done"]),
    "healing": (
        healing,
        ["Hello", "Welcome", "Request", "Present", "Transfer", "Outcome", "Proceed", "Transfer", "Outcome"],
    ),
}
FRAMES = [
    (name, starts, place)
    for name, (_, said) in STORIES.items()
    for starts in (True, False)
    for place in range(len(said) - starts)
]
"""A payee that responds has its first message in its Welcome: one frame less where the payer starts."""


@SUITES
@pytest.mark.parametrize(("name", "payer_starts", "place"), FRAMES)
def test_a_frame_of_an_earlier_session(name: str, place: int, payer_starts: bool, suite: str) -> None:
    """§6-2, §6-3, §6-4: keys are made anew in each tap, so that no frame of another opens, whatever was in it."""
    prepare, said = STORIES[name]
    street = Street(suite, payer_starts)
    first = prepare(street).run()
    assert first.said == said
    meeting = prepare(street).run(intercept=at(place, lambda _: [first.frames[place]]))
    assert SEAL in (meeting.payer.report.code, meeting.payee.report.code), meeting.payer.report
    victim = meeting.payer if meeting.payer.report.code is SEAL else meeting.payee
    if place < 2:
        assert victim is meeting.payer, "an old greeting gives other keys: what comes next does not open"
    judge(street, Attack(name, By.WIRE, "replayed frames", "§6-4", None, SEAL, doubt=None), victim)

"""Writes whole taps down: two of our own devices meet, somebody may alter what the other one says, and every
event and effect of the device in question is kept as a vector.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, cast

from dualtap import limits, wire
from dualtap.context import Charge, Order, Pay
from dualtap.errors import Code, TapError
from dualtap.events import (
    Ask,
    Begin,
    Consent,
    Decline,
    Effect,
    Event,
    Received,
    Report,
    Send,
    Sign,
    Signature,
    Stop,
)
from dualtap.forms import signed
from dualtap.keystore import sign_with
from dualtap.logcodec import decoder
from dualtap.session import Channel, establish
from dualtap.statements import KIND, ON_TAPE, RequestBody, Span, TransferBody, Verification
from dualtap.states import State
from dualtap.suite import Drbg, sha256
from dualtap.tap import Tap
from dualtap.timed import NONCE
from dualtap.wire import Hello, Message, RequestMessage, Welcome
from dualtap_conform.ops.taps import carry_out, order_json, span_json, step_json, vouch
from dualtap_conform.setup import Json, Object, Setup
from dualtap_conform.stage import CURRENCY, TODAY, Stage, private_of
from dualtap_conform.vector import Vector
from dualtap_devices.wallet import Wallet

NOW = TODAY * limits.EPOCH_SECONDS
Said: TypeAlias = Hello | Message


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame as it stands, sealed or not."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Plain:
    """A plaintext that is no message, to be sealed."""

    data: bytes


Alter: TypeAlias = Callable[[Said], Said | Frame | Plain]
"""What becomes of the other side's Hello and messages on their way."""


def unaltered(said: Said) -> Said:
    """Alter nothing."""
    return said


@dataclass(frozen=True, slots=True)
class Play:
    """How one tap goes: what the other device alters, after how many frames each way the link is lost, and so on.

    ``heard`` and ``told`` are the most frames that the device in question receives and that its frames reach the
    other side. ``late`` seconds pass before the last frame that it receives.
    """

    alter: Alter = unaltered
    heard: int = 99
    told: int = 99
    agrees: bool = True
    ask: Callable[[RequestBody], RequestBody] | None = None
    """What the other device's Request says in truth: it is signed so."""
    late: int = 0
    pongs: tuple[int, ...] = ()
    """Milliseconds that pass before each Pong arrives, in turn."""
    verification: Verification = Verification.PIN
    """How the user of the device in question is verified; another's is with its PIN."""


class Chance(Drbg):
    """Chance that remembers the last Ping that was made of it."""

    ping = b""

    def take(self, size: int) -> bytes:
        """Return the next bytes."""
        found = super().take(size)
        if size == NONCE:
            self.ping = found
        return found


class Actor:
    """One device of ours in one tap."""

    def __init__(
        self, wallet: Wallet, order: Order, initiator: bool, secret: bytes, chance: bytes, within: int | None
    ) -> None:
        wallet.check()
        self.wallet = wallet
        self.order = order
        self.initiator = initiator
        self.secret = secret
        self.ephemeral = wallet.book.scheme.suite.ephemeral(secret)
        self.chance = Chance(chance)
        allowed = None if within is None else within / 1000
        self.tap = Tap(wallet.book, order, initiator, self.ephemeral, self.chance, within=allowed, news=False)


class Recorder:
    """One device in question, whoever it meets, and the taps that they make."""

    def __init__(self, stage: Stage, name: str, setup: Setup, within: int | None = None) -> None:
        """``name`` seeds all chance here; ``within`` is what the link allows a timed round, in milliseconds."""
        self.stage = stage
        self.setup = setup
        self.within = within
        self.wallet = setup.wallet()
        self._name, self._drawn = name, 0
        self._record_of = decoder(stage.scheme.id)
        self._asked: list[Json] = []
        self._answered: list[Json] = []
        self._ends: list[str] = []

    def _draw(self) -> bytes:
        self._drawn += 1
        return self.stage.draw(f"recorder {self._name} {self._drawn}")

    def basket(self, name: str = "basket") -> bytes:
        """Return the number of a basket."""
        return self.stage.draw(f"basket {name}", 16)

    def charge(self, amount: int = 1_250, basket: str = "basket", currency: str = CURRENCY, part: int = 0) -> Charge:
        """Return an order to collect, for a person."""
        return Charge(amount, currency, self.basket(basket), part, sha256(b"goods"), person=True)

    def collect(self, peer: Wallet, charge: Charge, *, initiator: bool = False, play: Play | None = None) -> None:
        """The device in question collects from another."""
        self._meet(charge, peer, Pay(), initiator, play or Play())

    def pay(
        self,
        peer: Wallet,
        charge: Charge,
        *,
        initiator: bool = False,
        play: Play | None = None,
        order: Pay | None = None,
    ) -> None:
        """The device in question pays another."""
        self._meet(order or Pay(), peer, charge, initiator, play or Play())

    def _meet(self, order: Order, peer: Wallet, its: Order, initiator: bool, play: Play) -> None:
        mine = Actor(self.wallet, order, initiator, self._draw(), self._draw(), self.within)
        other = Actor(peer, its, not initiator, self._draw(), self._draw(), self.within)
        told = _Tap(self, mine, other, play).run()
        asked: Object = {
            "order": order_json(order),
            "initiator": initiator,
            "private": private_of(self.stage.suite, mine.secret).hex(),
            "now": NOW,
            "events": told.events,
        }
        self._asked.append(asked if self.within is None else asked | {"within": self.within})
        self._answered.append({"steps": told.steps})

    def record(self, tap: Tap, effects: tuple[Effect, ...]) -> Object:
        """Return one step as it stands in an answer."""
        for effect in effects:
            if isinstance(effect, Report):
                code = effect.code.name if isinstance(effect.code, Code) else effect.code
                self._ends.append(effect.result.value if code is None else f"{effect.result.value} {code}")
        return step_json(tap, effects, self._record_of)

    def vector(self, clauses: str, flags: str, comment: str, *ends: str) -> Vector:
        """Return all that was played as one vector; clauses and flags are separated by spaces.

        ``ends`` says what each report must be: its result, and the code if there is one. It is written by hand: a
        device of ours that does anything else writes no vector.
        """
        found = tuple(self._ends)
        if found != ends:
            raise AssertionError(f"{self._name}: {found}, not {ends}")
        given: Object = {"setup": self.setup.to_json(), "taps": self._asked}
        names = self.stage.suite.name, tuple(clauses.split()), tuple(flags.split())
        return Vector("taps", *names, comment, given, {"taps": self._answered})


class _Tap:
    """One tap between two machines, seen from the one in question."""

    def __init__(self, recorder: Recorder, mine: Actor, other: Actor, play: Play) -> None:
        self.recorder, self.mine, self.other, self.play = recorder, mine, other, play
        self.events: list[Json] = []
        self.steps: list[Json] = []
        self._inward: deque[bytes] = deque()
        self._outward: deque[bytes] = deque()
        self._heard = self._told = 0
        self._now = NOW
        self._ms = 0
        self._pongs = deque(play.pongs)
        self._hello: Hello | None = None
        self._opener: Channel | None = None
        self._sealer: Channel | None = None

    def run(self) -> _Tap:
        """Let them talk until nothing more is said; then the link is lost for whoever still waits."""
        first, second = (self.mine, self.other) if self.mine.initiator else (self.other, self.mine)
        self._do(second, Begin())
        self._do(first, Begin())
        while self._inward or self._outward:
            if self._outward:
                frame = self._outward.popleft()
                if self._told < self.play.told and not self.other.tap.ended:
                    self._told += 1
                    self._do(self.other, Received(frame))
            elif self._heard < self.play.heard and not self.mine.tap.ended:
                self._heard += 1
                frame = self._altered(self._inward.popleft())
                if self._heard == self.play.heard:
                    self._now += self.play.late
                self._do(self.mine, Received(frame))
            else:
                self._inward.clear()
        for actor in (self.mine, self.other):
            if not actor.tap.ended:
                self._do(actor, Stop(Code.LINK_LOST))
        return self

    def _do(self, actor: Actor, event: Event) -> None:
        """Feed one event and all that follows from it at once: signatures and consent."""
        if actor.tap.state is State.AWAIT_PONG and self._pongs:
            self._ms += self._pongs.popleft()
        events = deque([event])
        while events:
            taken = events.popleft()
            vouch(actor.wallet, taken)
            effects = actor.tap.step(taken, self._now + self._ms / 1000)
            if actor is self.mine:
                self.events.append(self._event_json(taken, effects))
                self.steps.append(self.recorder.record(actor.tap, effects))
            carry_out(actor.wallet, effects)
            for effect in effects:
                match effect:
                    case Sign(statement):
                        events.append(Signature(sign_with(actor.wallet.keystore, statement)))
                    case Ask():
                        agrees = actor is self.other or self.play.agrees
                        given = self.play.verification if actor is self.mine else Verification.PIN
                        events.append(Consent(given) if agrees else Decline())
                    case Send(frame):
                        (self._outward if actor is self.mine else self._inward).append(frame)
                        self._watch(frame)
                    case _:
                        pass

    def _asked(self, said: RequestMessage, ask: Callable[[RequestBody], RequestBody]) -> RequestMessage:
        """Return the other device's Request, as it signs it when it asks for something else."""
        session = cast("Channel", self._sealer).transcript
        body = ask(RequestBody(session, self.other.initiator, *said[1:11]))
        keystore = self.other.wallet.keystore
        request = signed(self.recorder.stage.scheme.id, keystore.public, body)
        return RequestMessage(said.prove, *body[2:], sign_with(keystore, request), *said[12:])

    def _event_json(self, event: Event, effects: tuple[Effect, ...]) -> Object:
        found: Object
        spans: tuple[Span, ...] = ()
        entry: Object | None = None
        for effect in effects:
            if isinstance(effect, Sign) and KIND[type(effect.statement.body)] in ON_TAPE:
                opening = effect.statement.shown()
                entry = {"seed": opening.seed.hex(), "ctr": opening.ctr.to_bytes(8, "big").hex()}
                if isinstance(effect.statement.body, TransferBody):
                    spans = effect.statement.body.spans
        match event:
            case Begin():
                found = {"on": "begin"}
            case Received(frame):
                found = {"on": "frame", "frame": frame.hex()}
            case Signature(signature):
                found = {"on": "signed", "signature": signature.hex()}
            case Consent(verification):
                found = {"on": "consent", "verification": int(verification), "spans": [span_json(s) for s in spans]}
            case Decline():
                found = {"on": "decline"}
            case Stop(code):
                found = {"on": "stop", "code": code.name}
        if entry is not None:
            found["entry"] = entry
        if self._now != NOW:
            found["now"] = self._now
        if self._ms:
            found["ms"] = self._ms
        if self.mine.chance.ping and self.mine.tap.state is State.AWAIT_PONG:
            found["ping"] = self.mine.chance.ping.hex()
        return found

    # What the other side says, opened and sealed again

    def _watch(self, frame: bytes) -> None:
        """Take the Hello and the Welcome as they pass: whoever knows an ephemeral key can then open all."""
        if self._hello is None:
            self._hello = wire.decode_hello(frame)
        elif self._opener is None and self._sealer is None:
            welcome: Welcome = wire.decode_welcome(frame)
            scheme = self.recorder.stage.scheme
            try:
                self._opener = establish(scheme, self.mine.ephemeral, self.mine.initiator, self._hello, welcome)
                self._sealer = establish(scheme, self.other.ephemeral, self.other.initiator, self._hello, welcome)
            except TapError:
                return
            if welcome.sealed and not self.other.initiator:
                self._opener.open(welcome.sealed)
                self._sealer.seal(b"")

    def _altered(self, frame: bytes) -> bytes:
        if self._opener is None or self._sealer is None:
            if self.mine.initiator:
                return frame
            found = self.play.alter(wire.decode_hello(frame))
            if isinstance(found, Frame):
                return found.data
            if isinstance(found, Hello):
                return wire.encode_hello(found)
            raise TapError(Code.BAD_INPUT, "a Hello is not sealed")
        if self.mine.initiator and self._heard == 1:
            return frame  # the Welcome
        said = wire.decode(self._opener.open(frame))
        if self.play.ask is not None and isinstance(said, RequestMessage):
            said = self._asked(said, self.play.ask)
        found = self.play.alter(said)
        match found:
            case Frame(data):
                return data
            case Plain(data):
                return self._sealer.seal(data)
            case Hello():
                raise TapError(Code.BAD_INPUT, "a Hello is not sealed")
            case _:
                return self._sealer.seal(wire.encode(found))

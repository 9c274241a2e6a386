"""Behaviours of the model, played on the code: ``python -m model.replay`` from the repository's root.

TLC draws random behaviours of ``Tap.tla`` with three honest wallets. Each step becomes frames between real machines:
a tap is begun, goes on, is torn, is healed in a later one; and between steps, where a seed says so, the power goes and
wallets are opened again from what was durable. After every step what the wallets hold must be the model's state:
requests, transfers, outcomes, open, held and doubt.

Where the code is more eager than the model (it heals before it pays, in the same tap), a behaviour is played up to
there. Then the code is broken, in one way after another, and the replay must see each.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

from dualtap import limits
from dualtap.book import Book
from dualtap.context import Charge, Pay
from dualtap.errors import Code
from dualtap.events import Ask, Begin, Consent, Decline, Event, Received, Send, Stop
from dualtap.logcodec import decoder
from dualtap.records import Answered, News, Sent
from dualtap.records import Record as LogRecord
from dualtap.statements import CloseBody, ReceiptBody, Scheme, Side
from dualtap.suite import ED25519, Drbg, sha256
from dualtap_devices.syncing import close
from dualtap_devices.wallet import Wallet
from model.run import HERE, jar
from model.traces import Record, State, Value, record, states
from tests.playbook import TIER, Actor, World
from tests.support.devices import remembering

TOKENS = {"a": "anna", "b": "ben", "c": "anna"}
"""Token and owner, as ``Rich`` in ``Town.tla``; each has a currency of its own, so that a request chooses it."""
COMPARED = ("requests", "transfers", "outcomes", "open", "held", "doubt")
SUITE = remembering(ED25519)
"""One suite for all towns, which are made of the same bytes: each result is computed once."""
DEPTH, RESTORED = 16, limits.WARRANTS


class Eager(Exception):
    """The code goes further than the model here, or not so far offline: the behaviour ends."""


class Session:
    """One tap of two wallets, frame by frame; what was sent and has not arrived waits in ``frames``."""

    def __init__(self, payer: Actor, payee: Actor) -> None:
        self.payer, self.payee = payer, payee
        self.frames: list[tuple[Actor, bytes]] = []
        self._feed(payee, Begin())
        self._feed(payer, Begin())

    @property
    def over(self) -> bool:
        """Whether nothing more can be heard."""
        return not self.frames

    def _feed(self, actor: Actor, event: Event) -> None:
        """Give a machine an event, and all that its keystore and person answer."""
        events = [event]
        while events and not actor.tap.ended:
            effects = actor.step(events.pop(0))
            events += actor.answers(effects)
            other = self.payee if actor is self.payer else self.payer
            self.frames += [(other, effect.frame) for effect in effects if isinstance(effect, Send)]

    def until(self, done: Callable[[], bool]) -> None:
        """Let frames arrive until something is so; raise :class:`Eager` if it never is."""
        while not done():
            if not self.frames:
                raise Eager("the tap ended before")
            actor, frame = self.frames.pop(0)
            self._feed(actor, Received(frame))

    def lose(self, *actors: Actor) -> None:
        """Lose the link, on both sides or one."""
        for actor in actors or (self.payer, self.payee):
            if not actor.tap.ended:
                actor.step(Stop(Code.LINK_LOST))
            self.frames = [item for item in self.frames if item[0] is not actor]


class Town:
    """Three wallets, and the names that the model has for what they do."""

    def __init__(self, seed: str) -> None:
        self.world = World("ed25519", seed="model")
        scheme = self.world.scheme
        self.world.scheme = Scheme(SUITE, scheme.root, scheme.id)
        self.chance = random.Random(seed)
        self.wallets = {name: self.world.wallet() for name in ("anna", "ben", "carl")}
        self.keys = {wallet.book.key: name for name, wallet in self.wallets.items()}
        self.tokens: dict[bytes, str] = {}
        for token, owner in TOKENS.items():
            issued = self.world.fund(self.wallets[owner], 1, token.upper() * 3)
            self.tokens[self.wallets[owner].book.trust.token_id(issued)] = token
        self.policy = 1
        self.requests: dict[bytes, Record] = {}
        self.transfers: dict[bytes, Record] = {}
        self.sessions: dict[Record, Session] = {}
        self.cuts = 0

    def book(self, name: str) -> Book:
        """Return what a wallet is now."""
        return self.wallets[name].book

    def actor(self, name: str, order: Charge | Pay, *, initiator: bool, agrees: bool = True) -> Actor:
        """Return one side of a tap; its person agrees to pay, or does not."""

        def person(ask: Ask) -> Consent | Decline:
            del ask
            return Consent() if agrees else Decline()

        return Actor(self.world, self.wallets[name], order, initiator, person)

    # The model's steps

    def ask(self, by: str, payer: str, basket: int, currency: str) -> None:
        """A payee asks, in a session with that payer."""
        before = set(self.book(by).questions)
        mine = [item for item in self.requests.values() if item["by"] == by]
        named = record(by=by, n=len(mine) + 1, basket=basket, **{"with": payer})
        charge = Charge(1, currency, sha256(f"{by} {basket}".encode())[:16], person=True)
        session = Session(self.actor(payer, Pay(), initiator=True), self.actor(by, charge, initiator=False))
        session.until(lambda: set(self.book(by).questions) != before)
        (request,) = set(self.book(by).questions) - before
        self.requests[request] = named
        self.sessions[named] = session

    def pay(self, by: str, transfer: Record) -> None:
        """A payer signs the transfer that answers a request, in its session."""
        payee = str(cast("Record", transfer["request"])["by"])
        if self.book(payee).pending_to(self.book(by).key):
            raise Eager("the payee heals first")
        before = set(self.book(by).pending)
        self.sessions[cast("Record", transfer["request"])].until(lambda: set(self.book(by).pending) != before)
        (made,) = set(self.book(by).pending) - before
        self.transfers[made] = transfer

    def answer(self, payee: str, transfer: Record, accept: bool) -> None:
        """The payee is shown a transfer, now or in a later tap, and decides; it refuses who is on the hotlist."""
        request = self.id_of(self.requests, transfer["request"])
        if not accept:
            self.rule(payee, (self.book(str(transfer["by"])).key,))
        session = self.session_of(transfer)
        session.until(lambda: self.book(payee).questions[request].outcome is not None)
        if not accept:
            self.rule(payee, ())

    def close(self, request: Record) -> None:
        """A till gives up, and closes its request."""
        name = str(request["by"])
        session = self.sessions[request]
        session.lose(session.payee)
        close(self.wallets[name], self.id_of(self.requests, request), Drbg(self.world.draw()))

    def take(self, payer: str, transfer: Record) -> None:
        """The payer hears the outcome, now or in a later tap."""
        named = self.id_of(self.transfers, transfer)
        session = self.session_of(transfer)
        session.until(lambda: named not in self.book(payer).pending)
        session.lose()

    def rule(self, name: str, hotlist: tuple[bytes, ...]) -> None:
        """Give a wallet a newer policy."""
        self.policy += 1
        self.wallets[name].write(News(None, (), None, self.world.ruled(self.policy, (TIER,), hotlist)))

    def session_of(self, transfer: Record) -> Session:
        """Return the session in which a transfer can be shown or answered: its own, or a new one that heals."""
        request = cast("Record", transfer["request"])
        session = self.sessions[request]
        if not session.over and not session.payee.tap.ended and not session.payer.tap.ended:
            return session
        payer, payee = str(transfer["by"]), str(transfer["to"])
        if self.book(payee).pending or len(self.book(payer).pending_to(self.book(payee).key)) > 1:
            raise Eager("more than one thing is healed")
        charge = Charge(1, "XXX", self.world.draw(16), person=True)
        again = Session(
            self.actor(payer, Pay(), initiator=True, agrees=False), self.actor(payee, charge, initiator=False)
        )
        self.sessions[request] = again
        return again

    @staticmethod
    def id_of(known: dict[bytes, Record], sought: Value) -> bytes:
        """Return the id of what the model names so."""
        return next(key for key, named in known.items() if named == sought)

    # Faults

    def power_cut(self, name: str) -> None:
        """A wallet's sessions are lost, and it opens again from what is durable."""
        for session in self.sessions.values():
            if self.wallets[name] in (session.payer.wallet, session.payee.wallet):
                session.lose()
        self.wallets[name] = self.world.reopen(self.wallets[name])
        self.cuts += 1

    # What the wallets hold, in the model's words

    def state(self) -> State:
        """Return the abstraction of all wallets. A request that healing made, and that took nothing, is none."""
        questions = {key: found for name in self.wallets for key, found in self.book(name).questions.items()}
        outcomes: set[Value] = set()
        for key, found in questions.items():
            if key not in self.requests:
                assert found.outcome is None or isinstance(found.outcome.body, CloseBody), "paid, and nobody asked"
            elif found.outcome is not None:
                body, accepts = found.outcome.body, frozenset[Value]()
                if isinstance(body, ReceiptBody):
                    accepts = frozenset({self.transfers[body.transfer]})
                named = self.requests[key]
                outcomes.add(record(by=named["by"], request=named, accepts=accepts))
        mine = {name: self.book(name) for name in self.wallets}
        known = {entry.id for book in mine.values() for entry in book.tape}
        return {
            "requests": frozenset(self.requests[key] for key in questions if key in self.requests),
            "transfers": frozenset(named for key, named in self.transfers.items() if key in known),
            "outcomes": frozenset(outcomes),
            "open": frozenset(
                self.requests[key] for book in mine.values() for key in book.open if key in self.requests
            ),
            "held": record(**{name: self.held(book) for name, book in mine.items()}),
            "doubt": record(**{n: frozenset(self.transfers[key] for key in book.pending) for n, book in mine.items()}),
        }

    def held(self, book: Book) -> frozenset[Value]:
        """Return the parents that a wallet holds."""
        found: set[Value] = set()
        for holding in book.holdings:
            token, side = self.tokens[holding.token], holding.parent.side
            of = frozenset[Value]() if side is Side.TOKEN else frozenset({self.transfers[holding.parent.id]})
            found.add(record(side=side.name.lower(), token=token, of=of))
        return frozenset(found)


def restorations(holding: Value) -> int:
    """Return how many dead transfers are behind what is held."""
    found = cast("Record", holding)
    behind = max((restorations(cast("Record", x)["parent"]) for x in cast("frozenset[Value]", found["of"])), default=0)
    return behind + (found["side"] == "payer")


class Played:
    """What was compared."""

    def __init__(self) -> None:
        self.traces = self.steps = self.cuts = self.eager = 0


def play(trace: list[State], seed: str, played: Played) -> str:
    """Play a behaviour; return what differs first, or nothing."""
    town = Town(seed)
    steps = [cast("tuple[Value, ...]", state["last"]) for state in trace[1:]]
    paid: dict[Value, str] = {}
    for _, *rest in (step for step in steps if step[0] == "pay"):
        transfer = cast("Record", rest[1])
        paid[transfer["request"]] = str(cast("Record", transfer["parent"])["token"]).upper() * 3
    asked: dict[str, int] = {}
    for at, (step, state) in enumerate(zip(steps, trace[1:], strict=True)):
        try:
            perform(town, step, paid, asked)
        except Eager:
            played.eager += 1
            break
        played.steps += 1
        for again in (False, True):
            real = town.state()
            for name in COMPARED:
                if real[name] != state[name]:
                    told = "after a power cut " if again else ""
                    return f"{told}step {at + 1} {step}: {name} is {real[name]}, not {state[name]}"
            if again or not cut(town, steps[at + 1 :]):
                break
    played.traces += 1
    played.cuts += town.cuts
    return ""


def perform(town: Town, step: tuple[Value, ...], paid: dict[Value, str], asked: dict[str, int]) -> None:
    """Do one step of the model."""
    match step:
        case ("ask", str(by), str(payer), int(basket)):
            asked[by] = asked.get(by, 0) + 1
            named = record(by=by, n=asked[by], basket=basket, **{"with": payer})
            town.ask(by, payer, basket, paid.get(named, "AAA"))
        case ("pay", str(by), Record() as transfer):
            if restorations(transfer["parent"]) > RESTORED:
                raise Eager("restored too often for offline")
            town.pay(by, transfer)
        case ("answer", str(payee), Record() as transfer, _, bool(accept)):
            town.answer(payee, transfer, accept)
        case ("close", Record() as request):
            town.close(request)
        case ("take", str(payer), Record() as transfer, _):
            town.take(payer, transfer)
        case _:
            raise ValueError(f"no such step: {step}")


def cut(town: Town, later: list[tuple[Value, ...]]) -> bool:
    """Perhaps cut a wallet's power, if none of its sessions is to see a payment yet; return whether it was."""
    needed = {cast("Record", step[2])["request"] for step in later if step[0] == "pay"}
    free = [
        name
        for name, wallet in town.wallets.items()
        if not any(wallet in (s.payer.wallet, s.payee.wallet) for r, s in town.sessions.items() if r in needed)
    ]
    if not free or town.chance.random() > 0.4:
        return False
    town.power_cut(town.chance.choice(free))
    return True


# Mutants of the code


def _dropping(kind: type[LogRecord], body: type[object]) -> Callable[[], None]:
    """Return what keeps a wallet from writing a record whose statement says this."""

    def install() -> None:
        persist = Wallet.persist

        def forgetful(self: Wallet, records: object) -> None:
            decode = decoder(self.book.scheme.id)
            kept: list[bytes] = []
            for item in cast("tuple[bytes, ...]", records):
                found = decode(item)
                statement = getattr(found, "outcome", None) or getattr(found, "transfer", None)
                if statement is None or not (isinstance(found, kind) and isinstance(statement.body, body)):
                    kept.append(item)
            persist(self, kept)

        Wallet.persist = forgetful  # type: ignore[method-assign]

    return install


def _not_cut() -> None:
    """A payer keeps what it pays."""
    Book._cut = lambda self, parent, start, end: None  # type: ignore[method-assign]


MUTANTS: dict[str, Callable[[], None]] = {
    "close-not-persisted": _dropping(Answered, CloseBody),
    "receipt-not-persisted": _dropping(Answered, ReceiptBody),
    "transfer-not-persisted": _dropping(Sent, object),
    "not-debited": _not_cut,
}


def behaviours(number: int, seed: int, folder: Path) -> Iterator[list[State]]:
    """Have TLC draw behaviours."""
    for file in HERE.glob("*.tla"):
        (folder / file.name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    command = ["java", "-Xmx1g", "-cp", str(jar()), "tlc2.TLC", "-workers", "1", "-deadlock", "-seed", str(seed)]
    command += ["-simulate", f"num={number},file={folder}/trace", "-depth", str(DEPTH)]
    command += ["-config", str(HERE / "Traces.cfg"), "Town.tla"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    found = sorted(folder.glob("trace_*"))
    if len(found) < number:
        sys.exit(f"TLC did not finish:\n{done.stdout}")
    for file in found:
        yield states(file.read_text(encoding="utf-8"))


def main() -> None:
    """Play behaviours; leave with 1 where the code and the model differ, or where a mutant is not seen to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mutant", choices=MUTANTS, default="")
    given = parser.parse_args()
    if given.mutant:
        MUTANTS[given.mutant]()
    began, played, different = time.monotonic(), Played(), set[str]()
    wrong = ""
    with tempfile.TemporaryDirectory() as name:
        for at, trace in enumerate(behaviours(given.traces, given.seed, Path(name))):
            different.add(repr([state["last"] for state in trace]))
            try:
                wrong = play(trace, f"{given.seed} {at}", played)
            except Exception as error:
                if not given.mutant:
                    raise
                wrong = f"{type(error).__name__}: {error}"
            if wrong:
                print(f"trace {at} of seed {given.seed}: {wrong}"[:2000])
                break
    figures = {"seed": given.seed, "different": len(different), **vars(played)}
    print(json.dumps({**figures, "seconds": round(time.monotonic() - began, 1), "mutant": given.mutant}))
    if given.mutant or wrong:
        sys.exit(bool(wrong) != bool(given.mutant))
    again = [sys.executable, "-m", "model.replay", "--traces", "40", "--seed", str(given.seed), "--mutant"]
    missed = [mutant for mutant in MUTANTS if subprocess.run([*again, mutant], check=False).returncode]
    sys.exit(f"not seen: {', '.join(missed)}" if missed else 0)


if __name__ == "__main__":
    main()

"""Behaviours of the model, played on the code: ``python -m model.replay`` from the repository's root.

TLC draws random behaviours of ``Tap.tla`` with three honest wallets. Each step becomes frames between real machines
(:mod:`model.town`); and between steps, where a seed says so, the power goes and wallets are opened again from what was
durable. After every step what the wallets hold must be the model's state: requests, transfers, outcomes, open, held and
doubt.

Where the code is more eager than the model (it heals before it pays, in the same tap), a behaviour is played up to
there. Then the code is broken, in one way after another, and the replay must see each.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

from dualtap import limits
from dualtap.book import Book
from dualtap.logcodec import decoder
from dualtap.records import Answered, Sent
from dualtap.records import Record as LogRecord
from dualtap.statements import CloseBody, ReceiptBody
from dualtap_devices.wallet import Wallet
from model.run import HERE, jar
from model.town import Eager, Town
from model.traces import Record, State, Value, record, states

COMPARED = ("requests", "transfers", "outcomes", "open", "held", "doubt")
DEPTH, RESTORED = 16, limits.WARRANTS


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

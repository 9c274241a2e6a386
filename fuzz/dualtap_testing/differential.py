"""Your device beside ours: the same steps for both, and the first difference in words.

Keys, places on the tape and which units are taken are chosen at random, so bytes differ between any two devices. What
is compared is what each frame is, the fields that the law fixes, and how each tap ends for our side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from typing import NamedTuple, TypeAlias, cast

from dualtap.context import Charge
from dualtap.errors import decode_code
from dualtap.events import Report
from dualtap.issued import Carrier
from dualtap.statements import Kind
from dualtap.wire import (
    Hello,
    NewsHave,
    OutcomeMessage,
    PresentMessage,
    RefuseMessage,
    RequestMessage,
    TransferMessage,
    Welcome,
)
from dualtap_devices.frames import said_name, wants
from dualtap_testing.candidate import Device, Reference
from dualtap_testing.checked import Unfit
from dualtap_testing.counter import Broken, Counter, Fate, Fault, Tapped
from dualtap_testing.overhear import Said
from dualtap_testing.seeded import SeededScheme
from dualtap_testing.trace import attach

MakeDevice: TypeAlias = Callable[[SeededScheme], Device]
Facts: TypeAlias = dict[str, object]


class Step(NamedTuple):
    """One tap. ``again`` repeats the basket of the step before; ``first`` says that the device speaks first."""

    pays: bool
    amount: int
    peer: int = 0
    first: bool = True
    fault: Fault | None = None
    again: bool = False

    def __str__(self) -> str:
        """Say it in words."""
        does = f"it {'pays' if self.pays else 'collects'} {self.amount}{' for the same basket' if self.again else ''}"
        speaks = "speaking first" if self.first else "spoken to"
        fate = "" if self.fault is None else f", frame {self.fault.frame} {self.fault.fate.value}"
        return f"{does}, {speaks}{fate}"


def _torn(pays: bool) -> list[Step]:
    steps: list[Step] = []
    for frame in range(1, 6):
        for first in (True, False):
            fault = Fault(frame)
            steps += [Step(pays, 2, first=first, fault=fault), Step(pays, 2, first=not first, again=True)]
            steps += [Step(pays, 1, first=first, fault=fault), Step(pays, 1, first=first)]
    return steps


def _cut(pays: bool) -> list[Step]:
    steps: list[Step] = []
    for frame in range(1, 6):
        steps += [Step(pays, 1, fault=Fault(frame, Fate.POWER)), Step(pays, 1, again=True)]
    return steps


PAYER: tuple[Step, ...] = (
    Step(True, 3),
    Step(True, 4, 1, first=False),
    Step(True, 4, 1, again=True),
    *_torn(True),
    Step(True, 1, fault=Fault(3, Fate.CUT_SHORT)),
    Step(True, 1, fault=Fault(2, Fate.TWICE)),
    *_cut(True),
    Step(True, 1_000_000),
)
"""What a payer goes through: payments clean, torn at each frame and cut there, a basket again, more than it has."""
PAYEE: tuple[Step, ...] = (
    Step(False, 3),
    Step(False, 4, 1, first=False),
    Step(False, 4, again=True),
    *_torn(False),
    Step(False, 1, fault=Fault(4, Fate.CUT_SHORT)),
    Step(False, 1, fault=Fault(2, Fate.TWICE)),
    *_cut(False),
    Step(False, 2, fault=Fault(4)),
    Step(False, 2, 1, again=True, fault=Fault(5, Fate.POWER)),
    Step(False, 1),
    Step(False, 1, 1),
)
"""What a payee goes through; at the end a sale that another pays, and then the first comes back."""


class Different(AssertionError):
    """Two devices answer differently."""


def compare(
    yours: MakeDevice,
    steps: Iterable[Step] = (*PAYER, *PAYEE),
    ours: MakeDevice = Reference,
    *,
    suite: str = "p256",
    carrier: Carrier | str = Carrier.CARD,
    initiates: bool = True,
) -> int:
    """Take both devices through these steps; return how many frames were alike.

    ``suite``, ``carrier`` and ``initiates`` are what they are of a :class:`~.machine.TapMachine`.

    Raises :class:`Different` with the first difference in words, or with the promise that only one of them breaks.
    """
    made, played = cast("object", yours), [step._replace(first=step.first and initiates) for step in steps]
    if not callable(made):
        raise Unfit("compare takes what makes a device of a scheme, as in compare(MyDevice), and not the device itself")
    if not played:
        raise Unfit("compare was given no steps: there is nothing to compare")
    with closing(_Run(yours, suite, carrier)) as one, closing(_Run(ours, suite, carrier)) as other:
        try:
            return sum(_same(number, step, one, other) for number, step in enumerate(played, 1))
        except Different as difference:
            charts = [f"{who}\n{run.counter.trace.chart(1)}" for who, run in (("YOURS", one), ("OURS", other))]
            attach(difference, "\n\n".join(charts))
            raise


def _same(number: int, step: Step, one: _Run, other: _Run) -> int:
    (mine, broken), (theirs, ours_broken) = one.play(step), other.play(step)
    try:
        count = alike(mine, theirs)
    except Different as difference:
        raise Different(f"step {number} ({step}): {difference}") from None
    if broken != ours_broken:
        raise Different(f"step {number} ({step}): with {'yours' if broken else 'ours'}, {broken or ours_broken}")
    return count


class _Run:
    """One of both devices, in a scheme of its own that is drawn as the other's is."""

    def __init__(self, make: MakeDevice, suite: str, carrier: Carrier | str) -> None:
        self.scheme = SeededScheme("differential", suite)
        self.counter = Counter(self.scheme, make(self.scheme), carrier=carrier)
        self.counter.fund(10_000)
        for peer in range(len(self.counter.peers)):
            self.counter.fund_peer(peer, 10_000)
        self._charge: Charge | None = None
        self._sales = 0

    def close(self) -> None:
        """Let the device close."""
        self.counter.close()

    def play(self, step: Step) -> tuple[Tapped, str]:
        """Return what crossed, and which promise is broken by then, if one is."""
        if self._charge is None or not step.again:
            self._sales += 1  # not drawn: a device may draw from the scheme more often than ours
            self._charge = self.scheme.charge(step.amount, self._sales.to_bytes(16, "big"))
        run = self.counter.pay if step.pays else self.counter.collect
        try:
            return run(step.peer, self._charge, first=step.first, fault=step.fault), ""
        except Broken as error:
            return self.counter.taps[-1], str(error)


def alike(yours: Tapped, ours: Tapped) -> int:
    """Return how many frames were compared; raise what differs first."""
    for number, (mine, theirs) in enumerate(zip(yours.frames, ours.frames, strict=False), 1):
        if mine.by_device != theirs.by_device:
            raise Different(f"frame {number} comes from {_who(mine.by_device)} with yours, from the other with ours")
        names = [_name(heard.said) for heard in (mine, theirs)]
        if names[0] != names[1]:
            raise Different(f"frame {number}, from {_who(mine.by_device)}: yours has {names[0]}, ours {names[1]}")
        facts, wanted = structure(mine.said), structure(theirs.said)
        for field, value in wanted.items():
            if facts.get(field) != value:
                place = f"frame {number}, from {_who(mine.by_device)}: in {names[0]}, {field}"
                raise Different(f"{place} is {facts.get(field)} with yours, {value} with ours")
    if len(yours.frames) != len(ours.frames):
        more, longer = ("yours", yours) if len(yours.frames) > len(ours.frames) else ("ours", ours)
        extra = longer.frames[min(len(yours.frames), len(ours.frames))]
        raise Different(f"only with {more} {_who(extra.by_device)} goes on, with {_name(extra.said)}")
    ends = [_outcome(tapped.report) for tapped in (yours, ours)]
    if ends[0] != ends[1]:
        raise Different(f"it ends for our side as {ends[0]} with yours, {ends[1]} with ours")
    return len(ours.frames)


def structure(said: Said) -> Facts:
    """Return the fields of a frame that the law fixes: not keys, not what is drawn, not what a device can carry."""
    facts = _structure(said.message)
    if said.inner is not None:
        facts |= {f"its message's {field}": value for field, value in _structure(said.inner).items()}
    return facts


def _structure(message: object) -> Facts:
    match message:
        case Hello():
            return {"versions": message.versions, "want": wants(message.want)}
        case Welcome():
            return {"version": message.version, "want": wants(message.want)}
        case RequestMessage():
            wanted = "prove", "amount", "currency", "basket", "part", "details", "epoch"
            facts: Facts = {field: getattr(message, field) for field in wanted}
            return facts | {"number of authorities": len(message.authorities)}
        case PresentMessage():
            return {"prove": message.prove, "epoch": message.epoch, "number of authorities": len(message.authorities)}
        case TransferMessage():
            return {
                "kind": "a Resume" if message.request else "new",
                "amount": sum(span[-1] - span[-2] for span in message.spans),
                "epoch": message.epoch,
                "refund": bool(message.refund_of),
                "header": message.header is not None,
                "number of authorities": len(message.authorities),
            }
        case OutcomeMessage():
            of = "another transfer" if message.transfer else "the transfer shown"
            reason = 0 if message.kind is Kind.RECEIPT else decode_code(message.reason)
            return {"transfer": of, "reason": getattr(reason, "name", reason), "epoch": message.epoch}
        case RefuseMessage():
            return {"code": getattr(decode_code(message.code), "name", message.code)}
        case NewsHave():
            return {"policy": message.policy, "number of blocked keys": len(message.blocked)}
        case _:
            return {}


def _name(said: Said) -> str:
    return said_name(said.message, said.inner)


def _who(by_device: bool) -> str:
    return "the device" if by_device else "our side"


def _outcome(report: Report) -> str:
    why = "" if report.code is None else f" ({getattr(report.code, 'name', report.code)})"
    return f"{report.result.value}{why}, {report.amount}"

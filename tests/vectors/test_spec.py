"""SPEC.md says what the code does: errors, limits, states, kinds, and every field of every message.

Fields are compared by behaviour: an example is built from the specification alone, each field of it is replaced
by values on both sides of every bound, and the decoder must take exactly what the specification says.
"""

from __future__ import annotations

import ast
import hashlib
import hmac
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from enum import IntEnum, IntFlag
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias, cast

import pytest

from dualtap import (
    call,
    codec,
    compact,
    conditions,
    errors,
    evidence,
    forms,
    issued,
    limits,
    logcodec,
    ownermessages,
    provenance,
    records,
    standing,
    statements,
    sync,
    syncmessages,
    telling,
    wire,
)
from dualtap.errors import TABLE as ERRORS
from dualtap.errors import Code, TapError
from dualtap.issued import ISSUED
from dualtap.session import establish
from dualtap.statements import KIND, ON_TAPE, Kind, Scheme
from dualtap.states import LOCAL, On, Part, State, refusal
from dualtap.states import TABLE as STATES
from dualtap.suite import P256, SUITES, Suite
from dualtap_transports import apdu, ble, gatt, loopback, nfc, pcsc, tcp, vpcd
from dualtap_transports.nearness import round_trip_of

ROOT = Path(__file__).parents[2]
SPEC = (ROOT / "protocol" / "SPEC.md").read_text(encoding="utf-8")
SCHEME = Scheme.of(P256, P256.signer(bytes(32)).public)
MODULES = (
    statements,
    issued,
    compact,
    wire,
    records,
    sync,
    syncmessages,
    evidence,
    provenance,
    call,
    standing,
    telling,
    ownermessages,
)

Tree: TypeAlias = "int | bool | str | bytes | list[Tree] | None"


# Reading the Markdown


def tables(text: str, first: str, second: str) -> Iterator[list[list[str]]]:
    """Yield the rows of each table whose header begins with these two cells."""
    rows: list[list[str]] | None = None
    for line in text.splitlines():
        cells = [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")] if line[:1] == "|" else []
        if not cells:
            if rows is not None:
                yield rows
            rows = None
        elif cells[:2] == [first, second]:
            rows = []
        elif rows is not None and set(cells[0]) != {"-"}:
            rows.append(cells)
    if rows is not None:
        yield rows


def table(text: str, first: str, second: str) -> list[list[str]]:
    found = list(tables(text, first, second))
    assert len(found) == 1, f"{len(found)} tables of {first} and {second}"
    return found[0]


def headings(text: str) -> set[str]:
    return set(re.findall(r"^#+ §(\d+(?:\.\d+)*) ", text, re.MULTILINE))


# Types, as the specification writes them


@dataclass(frozen=True)
class Uint:
    least: int
    most: int


@dataclass(frozen=True)
class Bytes:
    size: int | None


@dataclass(frozen=True)
class Word:
    name: str


@dataclass(frozen=True)
class Enumerated:
    values: frozenset[int]
    flags: bool


@dataclass(frozen=True)
class ListOf:
    of: Type
    least: int
    most: int


@dataclass(frozen=True)
class Ref:
    name: str


@dataclass(frozen=True)
class Either:
    options: tuple[Type, ...]


Type: TypeAlias = Uint | Bytes | Word | Enumerated | ListOf | Ref | Either
WORDS: dict[str, Tree] = {"bool": False, "currency": "CNY", "text": "", "nil": None}
OPAQUE = {"Statement"}
LARGE = 1000
"""Longer lists are not built: their bound is compared by name only."""


def power(text: str) -> int:
    found = re.fullmatch(r"(?:(\d+)\^)?(\d+)(?:-(\d+))?", text)
    assert found, text
    base, number, less = found.groups()
    return (int(base) ** int(number) if base else int(number)) - int(less or 0)


def refs(kind: Type) -> Iterator[str]:
    """Yield the names that a type refers to."""
    match kind:
        case Ref(name):
            yield name
        case ListOf(of, _, _):
            yield from refs(of)
        case Either(options):
            for option in options:
                yield from refs(option)
        case _:
            pass


def one_form(name: str, fields: list[Tree]) -> bool:
    """Return whether an outcome says nothing that its kind does not: §5.2-6, which no single field's type can say."""
    match name, fields:
        case "OutcomeMessage", [kind, transfer, reason, *_]:
            return not (reason if kind == Kind.RECEIPT else transfer)
        case "CompactWarrant", [_, _, _, transfer, reason, *_]:
            return not (transfer and reason)
        case _:
            return True


class Spec:
    """The types in one text of the specification."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.enums = {
            name: {label: int(number) for number, label in (item.split() for item in values.split("; "))}
            for name, values, *_ in table(text, "enumeration", "values")
        }
        self.enums["Kind"] = {name: int(number) for number, name, *_ in table(text, "number", "kind")}
        self.names = {name: self.parse(is_) for name, is_, *_ in table(text, "type", "is")}
        self.rows: dict[str, list[tuple[str, Type]]] = {}
        self.unions: dict[str, Type] = {}
        for header in ("body", "opening", "issued", "type"):
            for rows in tables(text, header, "fields"):
                for name, listed, *_ in rows:
                    if ": " not in listed:
                        self.unions[name] = self.parse(listed)
                        continue
                    pairs = [item.split(": ") for item in listed.split("; ")]
                    self.put(name, [(field, self.parse(kind)) for field, kind in pairs])
        self.messages: dict[int, str] = {}
        for part in re.split(r"^(?=\*\*\w+\*\* \(\d)", text, flags=re.MULTILINE)[1:]:
            caption = re.match(r"\*\*(\w+)\*\* \((\d+)\)", part)
            assert caption
            name, number = caption.group(1), int(caption.group(2))
            rows = [row for rows in tables(part.split("\n**")[0].split("\n#")[0], "field", "type") for row in rows]
            assert number not in self.messages
            self.messages[number] = name
            self.put(name, [(field, self.parse(kind)) for field, kind, *_ in rows])

    def put(self, name: str, row: list[tuple[str, Type]]) -> None:
        assert name not in self.rows, f"{name} twice"
        self.rows[name] = row

    def parse(self, text: str) -> Type:
        if text.startswith("["):
            inner, bounds = text[1:].rsplit("] ", 1)
            least, most = bounds.split("..")
            return ListOf(self.parse(inner), power(least), power(most))
        options = text.split(" or ")
        if len(options) > 1:
            return Either(tuple(self.parse(option) for option in options))
        word, _, rest = text.partition(" ")
        match word:
            case "uint":
                least, most = rest.split("..")
                return Uint(power(least), power(most))
            case "bytes":
                return Bytes(int(rest) if rest else None)
            case "enum" | "flags":
                return Enumerated(frozenset(self.enums[rest].values()), word == "flags")
            case _:
                assert not rest, text
                return Word(text) if text in WORDS else Ref(text)

    def resolve(self, kind: Type) -> Type:
        if isinstance(kind, Ref):
            found = self.names.get(kind.name) or self.unions.get(kind.name)
            return self.resolve(found) if found else kind
        return kind

    def example(self, kind: Type) -> Tree:
        """Return the least value of a type."""
        match self.resolve(kind):
            case Uint(least, _):
                return least
            case Bytes(size):
                return bytes(size or 0)
            case Word(name):
                return WORDS[name]
            case Enumerated(values, _):
                return min(values)
            case ListOf(of, least, _):
                return [self.example(of) for _ in range(least)]
            case Ref("Statement"):
                return self.statement(Kind.CLOSE, "CloseBody")
            case Ref(name):
                return [self.example(field) for _, field in self.rows[name]]
            case Either(options):
                return self.example(options[0])

    def statement(self, kind: Kind, body: str) -> list[Tree]:
        return [int(kind), bytes(33), self.example(Ref(body)), bytes(32), b""]

    def accepts(self, kind: Type, value: Tree) -> bool:
        """Return whether the specification allows a value."""
        match self.resolve(kind):
            case Uint(least, most):
                return type(value) is int and least <= value <= most
            case Bytes(size):
                return isinstance(value, bytes) and size in (None, len(value))
            case Word("bool"):
                return isinstance(value, bool)
            case Word("nil"):
                return value is None
            case Word("currency"):
                return isinstance(value, str) and re.fullmatch("[A-Z]{3}", value) is not None
            case Word(_):
                return isinstance(value, str)
            case Enumerated(values, flags):
                every = range(sum(values) + 1) if flags else values  # flags are 1, 2, 4 and so on
                return type(value) is int and value in every
            case ListOf(of, least, most):
                if not isinstance(value, list) or not least <= len(value) <= most:
                    return False
                return all(self.accepts(of, item) for item in value)
            case Ref(name):
                row = self.rows[name]
                if not isinstance(value, list) or len(value) != len(row):
                    return False
                fields = zip(row, value, strict=True)
                return name in OPAQUE or (all(self.accepts(k, v) for (_, k), v in fields) and one_form(name, value))
            case Either(options):
                return any(self.accepts(option, value) for option in options)

    def samples(self, kind: Type) -> list[Tree]:
        """Return values on both sides of a type's bounds, besides those that are tried everywhere."""
        match self.resolve(kind):
            case ListOf(of, least, most) if most < LARGE:
                return [[self.example(of)] * count for count in {max(least - 1, 0), least, most, most + 1}]
            case ListOf(of, least, _):
                return [[self.example(of)] * count for count in (least, least + 1)]
            case Ref() as ref:
                whole = cast("list[Tree]", self.example(ref))
                return [whole, whole[:-1], [*whole, None]]
            case Either(options):
                return [self.example(option) for option in options] + [
                    sample for option in options for sample in self.samples(option)
                ]
            case _:
                return []

    def variants(self, kind: Type) -> Iterator[tuple[str, Tree]]:
        """Yield values of a type, or nearly: one place differs from the example, and its path says which."""
        for sample in [*BASIC, *self.samples(kind)]:
            yield "", sample
        found = self.resolve(kind)
        for option in found.options if isinstance(found, Either) else (found,):
            match self.resolve(option):
                case ListOf(of, least, _):
                    for path, item in self.variants(of):
                        yield f"[]{path}", [item] * max(least, 1)
                case Ref(name) as ref if name not in OPAQUE:
                    whole = cast("list[Tree]", self.example(ref))
                    for place, (field, inner) in enumerate(self.rows[name]):
                        for path, item in self.variants(inner):
                            yield f".{field}{path}", [*whole[:place], item, *whole[place + 1 :]]
                case Either() as nested:
                    yield from self.variants(nested)
                case _:
                    pass


_SMALL = [0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 63, 64, 255, 256, 9999, 10_000, 16_383, 16_384, 16_385]
_BOUNDS = [*_SMALL, *[2**power + step for power in (24, 32, 53, 63) for step in (-1, 0, 1)], 2**64 - 1, -1]
_SIZES = [0, 1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 34, 63, 64, 65]
_OTHERS: list[Tree] = [True, False, None, "CNY", "cny", "CN", "CNYX", "", [], [0], [b""]]
BASIC: list[Tree] = [*_BOUNDS, *[bytes(size) for size in _SIZES], *_OTHERS]


# What the code says


def taken(decode: Callable[[Tree], object], value: Tree) -> bool:
    try:
        decode(value)
    except TapError as error:
        if error.code is not Code.MALFORMED:
            raise
        return False
    return True


def short(value: Tree) -> str:
    found = re.sub(r"(\\\\x00){4,}", "...", repr(value))
    return found if len(found) < 200 else f"{found[:200]}..."


def packed(value: Tree) -> bytes:
    return codec.pack(value)


def compare(spec: Spec, name: str, decode: Callable[[Tree], object]) -> None:
    """Assert that the decoder takes exactly what the specification's row says."""
    assert taken(decode, spec.example(Ref(name))), f"{name}: the specification's own example is refused"
    for path, value in spec.variants(Ref(name)):
        expected = spec.accepts(Ref(name), value)
        if isinstance(value, list) or not path:
            assert taken(decode, value) is expected, f"{name}{path}: {short(value)}"


def check_messages(text: str) -> None:
    spec = Spec(text)
    known = {number: kind.__name__ for kind, number in _numbers(wire).items()} | {1: "Hello", 2: "Welcome"}
    assert spec.messages == known
    for number, name in spec.messages.items():
        if number > 2:

            def decode(value: Tree, number: int = number) -> object:
                return wire.decode(packed([number, *value] if isinstance(value, list) else value))

            compare(spec, name, decode)
            example = cast("list[Tree]", spec.example(Ref(name)))
            assert type(decode(example)).__name__ == name
    compare(spec, "Hello", lambda value: wire.decode_hello(packed([1, *value] if isinstance(value, list) else value)))
    compare(
        spec, "Welcome", lambda value: wire.decode_welcome(packed([2, *value] if isinstance(value, list) else value))
    )


def check_issued(text: str) -> None:
    spec = Spec(text)
    for kind in ISSUED:
        compare(spec, kind.__name__, forms.issued_check(kind))


def check_statements(text: str) -> None:
    spec = Spec(text)
    whole = forms.statement_check(SCHEME.id)

    def within(start: list[Tree], place: int) -> Callable[[Tree], object]:
        return lambda value: whole([*start[:place], value, *start[place + 1 :]])

    for body, kind in KIND.items():
        compare(spec, body.__name__, within(spec.statement(kind, body.__name__), 2))
    start = spec.statement(Kind.CLOSE, "CloseBody")
    row = spec.rows["Statement"]
    assert [field for field, _ in row] == ["kind", "key", "body", "shown", "signature"]
    for place, (field, of) in enumerate(row):
        if field not in ("kind", "body"):
            for _, value in spec.variants(of):
                assert taken(within(start, place), value) is spec.accepts(of, value), f"{field}: {short(value)}"
    compare(spec, "Warrant", forms.warrant_check(SCHEME.id))
    compare(spec, "Dead", forms.warrants_check(SCHEME.id))


def check_sync(text: str) -> None:
    spec = Spec(text)
    compare(spec, "SignedUpload", lambda value: sync.decode_signed_upload(packed(value)))
    compare(spec, "Upload", lambda value: sync.decode_upload(SCHEME, packed(value)))
    compare(spec, "SignedReply", lambda value: sync.decode_signed_reply(packed(value)))
    compare(spec, "Reply", lambda value: sync.decode_reply(SCHEME, packed(value)))
    for kind, number in _numbers(syncmessages).items():
        if kind is not wire.RefuseMessage:
            assert f"| message {number}, " in next(row for row in text.splitlines() if f"| `{kind.__name__}` |" in row)

            def decode(value: Tree, number: int = number) -> object:
                return syncmessages.decode(packed([number, *value] if isinstance(value, list) else value))

            compare(spec, kind.__name__, decode)


def check_owner(text: str) -> None:
    spec = Spec(text)
    for kind, number in _numbers(ownermessages).items():
        if kind not in (wire.RefuseMessage, wire.DoneMessage):
            assert f"| message {number}, " in next(row for row in text.splitlines() if f"| `{kind.__name__}` |" in row)

            def decode(value: Tree, number: int = number) -> object:
                return ownermessages.decode(packed([number, *value] if isinstance(value, list) else value))

            compare(spec, kind.__name__, decode)


def check_call(text: str) -> None:
    assert "| frame 32, in the clear, " in next(row for row in text.splitlines() if "| `Call` |" in row)
    compare(
        Spec(text), "Call", lambda value: call.decode_call(packed([32, *value] if isinstance(value, list) else value))
    )


def _numbers(module: object) -> dict[type[object], int]:
    return cast("dict[type[object], int]", vars(module)["_NUMBER"])


def check_names(text: str) -> None:
    """Every row's fields have the code's names, in its order; nothing is left out."""
    spec = Spec(text)
    named = [kind for row in spec.rows.values() for _, kind in row] + [*spec.names.values(), *spec.unions.values()]
    missing = {name for kind in named for name in refs(kind)} - {*spec.rows, *spec.names, *spec.unions, "body"}
    assert not missing
    assert {"SignedUpload", "SignedReply", "Upload", "Reply", "Evidence", "Warrant", "Dead"} <= set(spec.rows)
    assert {"SyncProof", "SyncPiece", "SyncNext", "Handed", "Call"} <= set(spec.rows)
    assert {"ClaimMessage", "BoundMessage", "StateMessage", "OrderMessage"} <= set(spec.rows)
    for name, row in spec.rows.items():
        listed = [field for field, _ in row]
        if name in ("Statement", "Dead", "TokenSpan", "HandSpan"):
            continue
        found = next(vars(module)[name] for module in MODULES if name in vars(module))
        if name == "Evidence":
            assert set(listed) == {"version", *(field.name for field in fields(found))}
        elif is_dataclass(found):
            assert listed == [field.name for field in fields(found)], name
        else:
            assert listed == list(found._fields), name
    bodies = {name for name, *_ in table(text, "body", "fields")} - {"Span", "Parent"}
    assert bodies == {body.__name__ for body in KIND}
    issued = {name for name, *_ in table(text, "issued", "fields")} - {"Condition", "Tier"}
    assert issued == {kind.__name__ for kind in ISSUED}
    logged = [(int(number), name, row.split(", ")) for number, name, row, *_ in table(text, "number", "record")]
    expected = _numbers(logcodec).items()
    assert logged == [(number, kind.__name__, list(vars(kind)["_fields"])) for kind, number in expected]


def check_kinds(text: str) -> None:
    rows = [(int(number), name, tape == "yes") for number, name, _, tape in table(text, "number", "kind")]
    assert rows == [(int(kind), kind.name, kind in ON_TAPE) for kind in Kind]
    enums: list[type[IntEnum] | type[IntFlag]] = [statements.Side, issued.Carrier, issued.Role]
    enums += [
        issued.Authority,
        statements.Verification,
        wire.Want,
        statements.Errand,
        evidence.Fraud,
        standing.Standing,
    ]
    said = {name: values for name, values, *_ in table(text, "enumeration", "values")}
    assert said == {kind.__name__: "; ".join(f"{int(item)} {item.name}" for item in kind) for kind in enums}
    suites = [(int(number), name, int(key), int(seal)) for number, name, _, key, _, _, seal in _suites(text)]
    assert suites == [(suite.number, suite.name, suite.public_size, suite.seal_key_size) for suite in SUITES.values()]


def _suites(text: str) -> list[list[str]]:
    return table(text, "number", "suite")


def check_errors(text: str) -> None:
    rows = [(int(code), name, fault, meaning) for code, name, fault, meaning in table(text, "code", "name")]
    known = [(code, ERRORS[code]) for code in errors.PRECEDENCE]
    assert rows == [(int(code), code.name, row.fault.value, row.meaning) for code, row in known]


@cache
def reasons() -> tuple[tuple[str, int, str], ...]:
    """Return the limits and the docstrings under them, in the file's order."""
    body = ast.parse(Path(limits.__file__).read_text(encoding="utf-8")).body
    found: list[tuple[str, int, str]] = []
    for one, following in pairwise(body):
        if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name):
            name = one.targets[0].id
            value: object = vars(limits)[name]
            if isinstance(value, int):
                assert isinstance(following, ast.Expr), f"{name} has no reason"
                assert isinstance(following.value, ast.Constant), f"{name} has no reason"
                found.append((name, value, " ".join(str(following.value.value).split())))
    return tuple(found)


def check_limits(text: str) -> None:
    rows = [(name, int(value), reason) for name, value, reason in table(text, "limit", "value")]
    assert rows == list(reasons())
    profiles = {name: [int(value) for value in values] for name, *values in table(text, "profile", "message")}
    found = {name: value for name, value in vars(limits).items() if isinstance(value, limits.Profile)}
    assert profiles == {name: [p.message, p.hops, p.spans, p.log] for name, p in found.items()}


def check_conditions(text: str) -> None:
    rows = [(int(code), name) for code, name, *_ in table(text, "code", "condition")]
    assert rows == [(int(rule), rule.name) for rule in conditions.Rule]


Cells: TypeAlias = dict[tuple[Part, State, On], tuple[str, tuple[State, ...]]]


def check_states(text: str) -> None:
    cells: Cells = {}
    for played, stands, event, move, to in table(text, "part", "state"):
        parts = list(Part) if played == "either" else [Part(played)]
        found = [s for s in State if s is not State.ENDED] if stands == "any but ended" else [State(stands)]
        ends = tuple(State(name) for name in to.split(", "))
        for key in [(p, s, On(event)) for p in parts for s in found]:
            assert key not in cells, f"{key} twice"
            cells[key] = (move, ends)
    assert cells == {key: (move.name, move.to) for key, move in STATES.items()}
    said = {(where, what): code.split()[0].strip("`") for where, what, code in table(text, "state", "event")}
    assert len(said) == 3
    for part in Part:
        for state in State:
            for on in On:
                if (part, state, on) not in STATES:
                    local = "from the device" if on in LOCAL else "from the peer"
                    cell = ("ended", "any") if state is State.ENDED else ("any other", local)
                    assert said[cell] == refusal(state, on).name


def check_figure(text: str) -> None:
    for part in Part:
        below = text.split(f"**{part.value.capitalize()}** (besides", 1)[1]
        figure = below.split("```mermaid", 1)[1].split("```", 1)[0]
        edges = re.findall(r"^ +(\w+) --> (\w+): (.+)$", figure, re.MULTILINE)
        listed = [(State(a.replace("_", " ")), State(b.replace("_", " ")), On(event)) for a, b, event in edges]
        moves = [(key[1], to, key[2]) for key, move in STATES.items() if key[0] is part for to in move.to]
        assert listed == [edge for edge in moves if edge[2] is not On.STOP]


def cited() -> dict[str, str]:
    """Return every section that a Python file cites, and one file that does."""
    found: dict[str, str] = {}
    for folder in ("protocol", "transports", "devices", "issuer", "apps", "fuzz", "tests", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            for group in re.findall(r"SPEC ((?:(?:, | and )?§\d+(?:\.\d+)*)+)", path.read_text(encoding="utf-8")):
                for section in re.findall(r"\d+(?:\.\d+)*", group):
                    found[section] = str(path)
    return found


def check_sections(text: str) -> None:
    have = headings(text)
    sections = [int(section) for section in re.findall(r"^## §(\d+) ", text, re.MULTILINE)]
    assert sections[:19] == list(range(1, 20))
    assert sections == sorted(set(sections))
    missing = {section: path for section, path in cited().items() if section not in have}
    assert not missing
    prose = set(re.findall(r"§(\d+(?:\.\d+)*)", text))
    assert prose <= have


def check_apdus(text: str) -> None:
    commands = table(text, "command", "INS")
    assert [(row[0], int(row[1], 16)) for row in commands] == [(ins.name, ins.value) for ins in apdu.Ins]
    assert table(text, "status", "name") == [
        [f"{status:04X}", status.name, meaning.code.name if meaning.code else "–", meaning.text]
        for status, meaning in apdu.MEANINGS.items()
    ]
    assert list(apdu.MEANINGS) == list(apdu.Status)


def check_gatt(text: str) -> None:
    assert [row[:2] for row in table(text, "characteristic", "property")] == [
        [str(gatt.UP), "write without response"],
        [str(gatt.DOWN), "notify"],
    ]


def check_nearness(text: str) -> None:
    """Each kind of link of the table is a scheme's, with this threshold; no other scheme allows more than all."""
    rows = {name: int(milliseconds) / 1000 for name, milliseconds, *_ in table(text, "link", "ms")}
    schemes = {"nfc": nfc.SCHEME, "ble": ble.SCHEME, "tcp": tcp.SCHEME, "loopback": loopback.SCHEME}
    assert rows == {name: round_trip_of(scheme) for name, scheme in schemes.items()}
    assert {round_trip_of(scheme) for scheme in (pcsc.SCHEME, vpcd.SCHEME)} == {rows["nfc"]}


CHECKS: tuple[Callable[[str], None], ...] = (
    check_sections, check_errors, check_limits, check_conditions, check_states, check_figure, check_kinds, check_names,
    check_messages, check_issued, check_statements, check_sync, check_owner, check_call, check_apdus, check_gatt,
    check_nearness,
)  # fmt: skip


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: cast("str", check.__name__))
def test_the_specification_says_what_the_code_does(check: Callable[[str], None]) -> None:
    """§4.3-8, §5.1-6, §5.1-7, §9-1, §10-1, §11.1-3, §11.1-4."""
    check(SPEC)


# The formulas, from the prose alone


def h(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


@pytest.mark.parametrize("suite", SUITES.values(), ids=repr)
def test_ids_and_commitments_are_as_written(suite: Suite) -> None:
    """SPEC §3, §4.1 and §4.2. §4.1-1, §4.1-2, §4.2-2, §4.2-3."""
    key = suite.signer(b"k" * 32).public
    scheme = Scheme.of(suite, key)
    assert scheme.id == h(b"dualtap scheme 1", bytes([suite.number]), key)
    seed, request, refunded = b"s" * 16, b"r" * 32, b"f" * 32
    private = statements.Private(statements.Verification.PIN, refunded)
    opening = statements.Opening(seed, 5, 2**40, private, request)
    place = h(h(b"place", seed), (5).to_bytes(8, "big"), (2**40).to_bytes(8, "big"), h(b"\x02", refunded))
    commitment = h(place, h(h(b"request", seed), request))
    body = statements.ReceiptBody(request, b"t" * 32, 20_000)
    public = b"\x93" + b"\xc4\x20" + request + b"\xc4\x20" + b"t" * 32 + b"\xcd\x4e\x20"
    made = forms.signed(scheme.id, key, body, opening)
    assert made.commitment == opening.answered().commitment() == commitment
    assert made.id == h(scheme.id, b"\x21", key, h(public), commitment)
    assert forms.signed(scheme.id, key, statements.SyncBody(request, request, 1)).commitment == bytes(32)
    deposit = statements.Opening(seed, 0, 1)
    first = h(h(b"place", seed), bytes(8), (1).to_bytes(8, "big"), h(b"\x00"))
    assert deposit.tape().commitment() == h(first, bytes(32))


@pytest.mark.parametrize("suite", SUITES.values(), ids=repr)
def test_the_key_schedule_is_as_written(suite: Suite) -> None:
    """SPEC §6, with HKDF written out (RFC 5869: two blocks are enough). §3-3, §6-2."""
    scheme = Scheme.of(suite, suite.signer(b"k" * 32).public)
    ours, theirs = suite.ephemeral(b"i" * 32), suite.ephemeral(b"r" * 32)
    hello = wire.Hello(scheme.hint, (1,), ours.public, wire.Want.PAY)
    welcome = wire.Welcome(1, theirs.public, wire.Want.COLLECT, b"not covered")
    channel = establish(scheme, ours, True, hello, welcome)
    chosen = b"\x93\x01\xc4" + bytes([len(theirs.public)]) + theirs.public + b"\x01"
    transcript = h(b"dualtap tap 1", scheme.id, h(wire.encode_hello(hello)), chosen)
    assert channel.transcript == transcript
    extracted = hmac.digest(transcript, ours.exchange(theirs.public), "sha256")
    one = hmac.digest(extracted, b"dualtap keys 1\x01", "sha256")
    keys = one + hmac.digest(extracted, one + b"dualtap keys 1\x02", "sha256")
    sealer = suite.sealer(keys[: suite.seal_key_size])
    channel.seal(b"first")
    assert channel.seal(b"second") == sealer.encrypt(bytes(11) + b"\x01", b"second", None)
    answer = suite.sealer(keys[suite.seal_key_size : 2 * suite.seal_key_size]).encrypt(bytes(12), b"answer", None)
    assert channel.open(answer) == b"answer"


# Each of these is an error that somebody might make in the specification, or in the code


@pytest.mark.parametrize(
    ("check", "old", "new"),
    [
        (check_sections, "### §11.4 Healing", "### Healing"),
        (check_sections, "the keystore's id (§13)", "the keystore's id (§13.7)"),
        (check_errors, "| `54` | `OVER_LIMIT` | me |", "| `54` | `OVER_LIMIT` | peer |"),
        (check_errors, "| `33` | `BAD_KEY`", "| `39` | `BAD_KEY`"),
        (check_errors, "the link ended before the tap did", "the link ended"),
        (check_limits, "| `WARRANTS` | 2 |", "| `WARRANTS` | 3 |"),
        (check_limits, "| `CARD` | 1024 | 2 |", "| `CARD` | 1024 | 3 |"),
        (check_states, "| `payee` | sign outcome | signed | decided |", "| `payee` | sign outcome | signed | paid |"),
        (check_states, "| any other | from the peer | `UNEXPECTED", "| any other | from the peer | `BAD"),
        (check_figure, "    await_hello --> await_request: Hello", "    await_hello --> await_outcome: Hello"),
        (check_kinds, "| `34` | `CLOSE` | wallet | yes |", "| `34` | `CLOSE` | wallet | no |"),
        (check_conditions, "| `4` | `CAP` |", "| `8` | `CAP` |"),
        (check_kinds, "3 POS; 4 PHONE", "4 POS; 3 PHONE"),
        (check_kinds, "| AES-128-CCM, 16-byte tag | 16 |", "| AES-128-CCM, 16-byte tag | 32 |"),
        (check_names, "seed: seed; prev: counter; ctr", "seed: seed; previous: counter; ctr"),
        (check_names, "| request, basket, part, amount,", "| request, part, basket, amount,"),
        (check_messages, "| `versions` | [uint 0..255] 1..8 |", "| `versions` | [uint 0..255] 1..9 |"),
        (check_messages, "| `header` | nil or Header |", "| `header` | Header |"),
        (check_messages, "| `size` | uint 0..16384 |", "| `size` | uint 0..16383 |"),
        (check_messages, "| `refund_of` | bytes 0 or digest |", "| `refund_of` | digest |"),
        (check_messages, "transfer: index; side: uint 1..2", "transfer: index; side: uint 0..2"),
        (check_messages, "| `index` | uint 0..63 |", "| `index` | uint 0..64 |"),
        (check_messages, "**RefuseMessage** (8)", "**RefuseMessage** (10)"),
        (check_issued, "category: uint 0..9999", "category: uint 0..10000"),
        (check_issued, "role: flags Role", "role: enum Role"),
        (check_statements, "| payee: key; spans: [Span] 1..16", "| payee: key; spans: [Span] 0..16"),
        (check_statements, "shown: digest or Opening", "shown: Opening"),
        (check_sync, "| `News` | certificate: nil or", "| `News` | certificate:"),
        (check_sync, "challenge: digest; epoch: epoch", "challenge: digest; epoch: number"),
    ],
)  # fmt: skip
def test_a_changed_row_is_noticed(check: Callable[[str], None], old: str, new: str) -> None:
    assert old in SPEC
    with pytest.raises((AssertionError, ValueError, KeyError)):
        check(SPEC.replace(old, new))


CHEAP = (
    check_errors, check_limits, check_conditions, check_states, check_figure, check_kinds, check_names, check_apdus,
    check_gatt, check_nearness,
)  # fmt: skip


def test_every_missing_row_is_noticed() -> None:
    """Deleting any row that begins with code makes a check fail, in all tables but those of prose."""
    lines = SPEC.splitlines()
    places = [place for place, line in enumerate(lines) if line.startswith("| `")]
    assert len(places) > 200
    for place in places:
        text = "\n".join(lines[:place] + lines[place + 1 :])
        assert any(_fails(check, text) for check in CHEAP), lines[place]


def _fails(check: Callable[[str], None], text: str) -> bool:
    try:
        check(text)
    except (AssertionError, ValueError, KeyError, StopIteration):
        return True
    return False

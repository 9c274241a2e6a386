"""The vector files: each is what its generator writes and keeps to the schema, and our core gives each answer."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, cast

import jsonschema
import pytest

from dualtap.errors import TABLE, Code, Fault
from dualtap.suite import SUITES
from dualtap_conform import files
from dualtap_conform.files import FILES, text_of, write
from dualtap_conform.port import answer, answer_frame, is_question
from dualtap_conform.setup import Object

FOLDER = Path(__file__).parents[2] / "protocol" / "vectors"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
SCHEMA = cast("dict[str, Any]", json.loads((FOLDER / "schema.json").read_text(encoding="utf-8")))
UNPROVOKED = {
    Code.ENDED: "no frame can reach a tap that has ended",
    Code.FROZEN: "a wallet that its owner turned off: tests/unit/test_owning.py",
    Code.NOT_BOUND: "an owner's session: tests/unit/test_owning.py",
    Code.BOUND: "an owner's session: tests/unit/test_owning.py",
    Code.BASKET_WAITS: "nine requests for one basket: tests/unit/test_taps.py",
    Code.STORE_FULL: "stores differ in size: tests/unit/test_taps.py",
    Code.STORE_FAILED: "a medium that fails: tests/scenarios/test_power_cut.py",
    Code.QUARANTINED: "a store that was rolled back: tests/unit/test_wallet.py",
    Code.IN_USE: "two processes: tests/scenarios/test_cli.py",
    Code.LEDGER_CORRUPT: "the issuer's: tests/unit/test_ledger.py",
    Code.ISSUER_UNREACHABLE: "the issuer's: tests/scenarios/test_cli.py",
    Code.QUOTA_USED: "the issuer's: tests/scenarios/test_institutions.py",
    Code.NOT_ATTESTED: "the issuer's: tests/scenarios/test_service_scheme.py",
}
"""Errors that no vector can bring about, why, and where they are tested."""


@cache
def cases(name: str) -> tuple[dict[str, Any], ...]:
    text = (FOLDER / f"{name}.jsonl").read_text(encoding="ascii")
    return tuple(json.loads(line) for line in text.splitlines())


def every_case() -> Iterator[dict[str, Any]]:
    for name in FILES:
        yield from cases(name)


def errors_in(value: object) -> Iterator[str]:
    """Yield the names of all errors in an answer: refused outright, reported, or given for one call."""
    if isinstance(value, dict):
        for key, item in cast("dict[str, object]", value).items():
            if key in {"error", "code"} and isinstance(item, str):
                yield item
            yield from errors_in(item)
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            yield from errors_in(item)


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_what_its_generator_writes(name: str) -> None:
    """One changed byte anywhere fails here."""
    assert (FOLDER / f"{name}.jsonl").read_bytes() == text_of(name).encode("ascii"), "run `make vectors`"


def test_nobody_left_a_file_that_no_generator_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {found.stem for found in FOLDER.glob("*.jsonl")} == set(FILES)
    assert {found.name for found in FOLDER.iterdir()} == {f"{name}.jsonl" for name in FILES} | {
        "README.md",
        "schema.json",
    }
    monkeypatch.setattr(files, "FILES", {"codes": FILES["codes"]})
    (tmp_path / "old.jsonl").write_text("{}\n")
    write(tmp_path)
    assert [found.name for found in tmp_path.iterdir()] == ["codes.jsonl"]
    assert (tmp_path / "codes.jsonl").read_bytes() == (FOLDER / "codes.jsonl").read_bytes()


@pytest.mark.parametrize("name", FILES)
def test_every_line_keeps_to_the_schema(name: str) -> None:
    validator: Any = jsonschema.Draft202012Validator(SCHEMA)
    for number, case in enumerate(cases(name), 1):
        validator.validate(case)
        assert case["tcId"] == number
        assert case["result"] == ("invalid" if "error" in case["out"] else "valid")


def test_the_schema_is_one_and_names_every_member() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)

    def objects(value: object) -> Iterator[dict[str, Any]]:
        if isinstance(value, dict):
            found = cast("dict[str, Any]", value)
            if "properties" in found and found.get("type") == "object":
                yield found
            for item in found.values():
                yield from objects(item)
        elif isinstance(value, list):
            for item in cast("list[object]", value):
                yield from objects(item)

    described = list(objects(SCHEMA))
    assert len(described) > 10
    for found in described:
        assert found.get("additionalProperties") is False or "unevaluatedProperties" in found, found


@pytest.mark.parametrize("member", ["surplus", "in", "out", "clauses"])
def test_the_schema_refuses_what_is_no_case(member: str) -> None:
    case = dict(cases("signatures")[0])
    case[member] = {"surplus": 1}
    with pytest.raises(jsonschema.ValidationError):
        cast("Any", jsonschema.Draft202012Validator(SCHEMA)).validate(case)


@pytest.mark.parametrize("name", FILES)
def test_our_core_gives_every_answer(name: str) -> None:
    for case in cases(name):
        found = answer(case["op"], case["suite"], cast("Object", case["in"]))
        assert found == case["out"], f"{name} {case['tcId']}: {case['comment']}"


def test_the_test_port_takes_a_line_without_its_answer() -> None:
    case = cases("digests")[0]
    frame = json.dumps({key: value for key, value in case.items() if key not in {"out", "result"}}).encode()
    assert is_question(frame)
    assert json.loads(answer_frame(frame)) == {"tcId": 1, "out": case["out"]}
    unknown = json.dumps({**case, "op": "fly"}).encode()
    assert json.loads(answer_frame(unknown)) == {"tcId": 1, "out": None}


def test_every_error_has_its_vectors() -> None:
    """Each number has one, and each error that a peer, a key or a date can cause is caused by one (SPEC §9)."""
    assert {case["in"]["number"] for case in cases("codes")} >= {int(code) for code in Code}
    caused = Counter(name for case in every_case() if case["op"] != "code" for name in errors_in(case["out"]))
    missing = {code for code in Code if not caused[code.name]}
    assert missing == set(UNPROVOKED)
    assert all(TABLE[code].fault is not Fault.PEER or code is Code.ENDED for code in UNPROVOKED)


def test_most_cases_refuse_something() -> None:
    refusing = Counter(bool(list(errors_in(case["out"]))) for case in every_case() if case["op"] != "code")
    assert refusing[True] > 2 * refusing[False]


def test_every_flag_is_explained_and_used() -> None:
    section = README.split("## Flags", 1)[1]
    explained = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert explained == sorted(set(explained))
    assert set(explained) == {flag for case in every_case() for flag in case["flags"]}


def test_every_operation_is_in_the_table() -> None:
    section = README.split("## Operations", 1)[1].split("##", 1)[0]
    rows = re.findall(r"^\| `(\w+)` \| ([\w, ]+) \|", section, re.MULTILINE)
    told = {(op, name) for op, names in rows for name in names.split(", ")}
    assert told == {(case["op"], name) for name in FILES for case in cases(name)}


def test_both_suites_are_covered() -> None:
    for name in FILES:
        if name != "codes":
            assert {case["suite"] for case in cases(name)} == set(SUITES), name


def test_a_line_is_short_enough_to_stream() -> None:
    """Bytes: a small device is fed one case at a time."""
    for name in FILES:
        text = (FOLDER / f"{name}.jsonl").read_text(encoding="ascii")
        assert max(map(len, text.splitlines())) <= 34 * 1024, name

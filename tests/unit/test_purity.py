"""The core is pure: it loads nothing that has a clock, a socket or chance in it, and imports nothing of ours."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from dualtap.errors import PRECEDENCE, TABLE, Code, Fault, TapError, decode_code

ROOT = Path(__file__).parents[2]
CORE = sorted((ROOT / "protocol" / "dualtap").glob("*.py"))
IMPURE = {"asyncio", "bleak", "http", "logging", "nfc", "os", "pathlib", "random", "secrets", "selectors", "serial",
          "smartcard", "socket", "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time"}  # fmt: skip
ARROWS = {
    "dualtap": set[str](),
    "dualtap_transports": {"dualtap"},
    "dualtap_devices": {"dualtap", "dualtap_transports"},
    "dualtap_issuer": {"dualtap", "dualtap_transports"},
    "dualtap_conform": {"dualtap", "dualtap_transports", "dualtap_devices"},
    "dualtap_testing": {"dualtap", "dualtap_transports", "dualtap_devices", "dualtap_issuer"},
    "dualtap_apps": {
        "dualtap",
        "dualtap_transports",
        "dualtap_devices",
        "dualtap_issuer",
        "dualtap_conform",
        "dualtap_testing",
    },
}
HOUSE = {
    "dualtap": "protocol",
    "dualtap_transports": "transports",
    "dualtap_devices": "devices",
    "dualtap_issuer": "issuer",
    "dualtap_conform": "apps",
    "dualtap_testing": "fuzz",
    "dualtap_apps": "apps",
}


def imported(source: Path) -> set[str]:
    """Return the top-level packages that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    return found


@pytest.mark.parametrize("source", CORE, ids=lambda source: source.stem)
def test_a_module_of_the_core_imports_nothing_impure(source: Path) -> None:
    assert imported(source).isdisjoint(IMPURE)


@pytest.mark.parametrize("source", CORE, ids=lambda source: source.stem)
def test_a_module_of_the_core_opens_and_prints_nothing(source: Path) -> None:
    called = {
        node.func.id
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert called.isdisjoint({"open", "print", "input", "exec", "eval", "__import__"})


def test_importing_the_core_loads_nothing_that_can_reach_out() -> None:
    """What is loaded is compared with what the two dependencies load by themselves."""
    modules = ", ".join(f"dualtap.{source.stem}" for source in CORE if source.stem != "__init__")
    program = (
        "import sys, collections, dataclasses, enum, typing, functools, itertools, hashlib, bisect, contextlib\n"
        "import msgpack\n"
        "import cryptography.exceptions\n"
        "from cryptography.hazmat.primitives import hashes, serialization\n"
        "from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519, utils\n"
        "from cryptography.hazmat.primitives.ciphers import aead\n"
        "from cryptography.hazmat.primitives.kdf import hkdf\n"
        "from cryptography.hazmat.backends import openssl\n"
        "before = set(sys.modules)\n"
        f"import {modules}\n"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))\n"
        "reaching = {'asyncio', 'socket', 'ssl', 'bleak', 'nfc', 'random', 'logging', 'sqlite3'}\n"
        "print(*sorted(reaching & (set(sys.modules) - before)))"
    )
    shown = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    new, reaching = shown.splitlines()
    assert set(new.split()) == {"dualtap"}
    assert reaching == ""


@pytest.mark.parametrize("package", ARROWS)
def test_arrows_point_one_way(package: str) -> None:
    for source in (ROOT / HOUSE[package] / package).rglob("*.py"):
        ours = {name for name in imported(source) if name.startswith("dualtap")}
        assert ours <= ARROWS[package] | {package}, source


# The table of errors


def test_every_code_has_its_row() -> None:
    assert set(TABLE) == set(Code)
    assert len(PRECEDENCE) == len(Code) == len(set(PRECEDENCE))
    assert list(PRECEDENCE) == sorted(PRECEDENCE), "numbers and precedence go together"
    for code, row in TABLE.items():
        assert isinstance(row.fault, Fault)
        for text in (row.meaning, row.remedy):
            assert text
            assert text == text.strip()
            assert not text.endswith(".")
        assert row.meaning in str(TapError(code))
        assert row.remedy in str(TapError(code))
        assert decode_code(int(code)) is code


def test_each_party_is_sometimes_at_fault() -> None:
    assert {row.fault for row in TABLE.values()} == set(Fault)


def test_a_code_of_a_later_version_is_its_number() -> None:
    assert decode_code(4711) == 4711
    assert type(decode_code(4711)) is int
    assert "4711" in str(TapError(4711))
    assert str(TapError(4711, "why")).endswith(": why")
    assert str(TapError(Code.DECLINED, "why")) == "DECLINED: the person declined (why); ask again"

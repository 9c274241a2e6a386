"""What is secret is compared in constant time: found in the source, where it is not; how long it takes is measured by
``benchmarks/constant_time.py``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

HERE = Path(__file__).parents[2]
PACKAGES = (
    "protocol/dualtap", "transports/dualtap_transports", "devices/dualtap_devices", "issuer/dualtap_issuer",
    "apps/dualtap_apps",
)  # fmt: skip
SECRET = re.compile(r"(^|_)(secrets?|pins?|macs?|passwords?|shared|seeds?|entropy|preimage|unblock)(_|$)")
TOKEN_IS_SECRET = ("issuer/dualtap_issuer/service/admin.py", "issuer/dualtap_issuer/service/run.py")
"""Where a token is the administration's password, and not value."""
EQUALITIES = (ast.Eq, ast.NotEq, ast.In, ast.NotIn)
ALLOWED = {
    ("devices/dualtap_devices/keystore.py", "cell != self._pin.cell"): "a chip's own state before and after; no guess",
    ("devices/dualtap_devices/pin.py", "pin == _NONE"): "a chip reads its own flash: is a PIN set?",
}
"""Comparisons that may tell their time, and why."""
CONSTANT = {
    ("devices/dualtap_devices/pin.py", "hmac.compare_digest(digest, self._cell.pin)"),
    ("devices/dualtap_devices/pin.py", "hmac.compare_digest(pin_digest(self.key, _CODE, code), cell.code)"),
    (
        "issuer/dualtap_issuer/service/admin.py",
        "hmac.compare_digest(hashlib.sha256(given.encode()).digest(), hashlib.sha256(self.token).digest())",
    ),
}
"""Every place where a guess meets a secret. Tags are compared by the AEAD's library; signatures are public."""


class Place(NamedTuple):
    """A comparison: its file, and how it is written."""

    file: str
    text: str


def names(node: ast.AST) -> Iterator[str]:
    """Yield each name in an expression."""
    for found in ast.walk(node):
        if isinstance(found, ast.Name):
            yield found.id
        elif isinstance(found, ast.Attribute):
            yield found.attr


def leaky(file: str, source: str) -> set[Place]:
    """Return the comparisons of something secret that end at the first difference."""
    found: set[Place] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare) and any(isinstance(item, EQUALITIES) for item in node.ops):
            sides = (node.left, *node.comparators)
            if all(isinstance(side, ast.Constant) for side in sides[1:]) and not isinstance(sides[1], ast.Constant):
                continue
            said = {name for side in sides if not _counted(side) for name in names(side)}
            if any(SECRET.search(name) or (name == "token" and file in TOKEN_IS_SECRET) for name in said):
                found.add(Place(file, ast.unparse(node)))
    return found


def _counted(node: ast.AST) -> bool:
    """Return whether an expression is a length: that is public."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len"


def sources() -> Iterator[tuple[str, str]]:
    """Yield each file of ours that is installed."""
    for package in PACKAGES:
        for path in sorted((HERE / package).rglob("*.py")):
            yield path.relative_to(HERE).as_posix(), path.read_text(encoding="utf-8")


def test_no_secret_is_compared_until_the_first_difference() -> None:
    """§22-11: neither a PIN, nor a code, nor a password."""
    found = {place for file, source in sources() for place in leaky(file, source)}
    assert found == {Place(*place) for place in ALLOWED}, "compare with hmac.compare_digest, or say why not"


def test_every_guess_is_compared_in_constant_time() -> None:
    found = {
        (file, ast.unparse(node))
        for file, source in sources()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("compare_digest")
    }
    assert found == CONSTANT


@pytest.mark.parametrize(
    "line",
    ["digest == self._cell.pin", "secret != other", "code in secrets", "a < b == pin_of(c)", "given.encode() == token"],
)
def test_control_an_equality_is_found(line: str) -> None:
    assert leaky(TOKEN_IS_SECRET[0], f"if {line}:\n    pass") == {Place(TOKEN_IS_SECRET[0], line)}


@pytest.mark.parametrize("line", ["len(secret) == 32", "tries < pins", "token.owner == key", "pin is None"])
def test_control_what_tells_nothing_is_left_alone(line: str) -> None:
    assert leaky("protocol/dualtap/book.py", f"if {line}:\n    pass") == set()

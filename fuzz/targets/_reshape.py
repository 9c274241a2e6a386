"""Edits on a message's tree, so that what is altered is still canonical msgpack and gets past the first check."""

from __future__ import annotations

from typing import TypeAlias, cast

from dualtap import codec
from dualtap.limits import AMOUNT
from targets._said import Said

Tree: TypeAlias = "bool | int | str | bytes | list[Tree] | None"
EDITS = 6
"""Edits in one story: more only break what the first ones found."""
_EDGES = (0, 1, 2, 15, 16, 32, 33, 34, 63, 64, 127, 128, 255, 256, 2**16, 2**24, 2**24 + 1, 2**32 - 1, 2**32, AMOUNT,
          AMOUNT + 1, 2**63 - 1, 2**63, 2**64 - 1)  # fmt: skip
_SMALL: tuple[Tree, ...] = (None, True, False, b"", [], "", "CNY", "EUR", bytes(4), bytes(16), bytes(32), bytes(64))


def tree_of(data: bytes, most: int = 1 << 24) -> Tree:
    """Return the tree of canonical bytes."""
    return cast("Tree", codec.unpack(data, most, 1 << 16))


def reshaped(tree: Tree, said: Said) -> bytes:
    """Return the bytes of a tree after the edits that are said; without any, those that it had."""
    root: list[Tree] = [_copy(tree)]
    for _ in range(EDITS):
        if not said:
            break
        _edit(root, said)
    return codec.pack(root[0])


def _copy(tree: Tree) -> Tree:
    return [_copy(item) for item in tree] if isinstance(tree, list) else tree


def _places(root: list[Tree]) -> list[tuple[list[Tree], int]]:
    """Return where each node stands, parents first."""
    found: list[tuple[list[Tree], int]] = []
    stack = [root]
    while stack:
        branch = stack.pop()
        for place, item in enumerate(branch):
            found.append((branch, place))
            if isinstance(item, list):
                stack.append(item)
    return found


def _edit(root: list[Tree], said: Said) -> None:
    places = _places(root)
    branch, place = places[said.below(len(places))]
    node = branch[place]
    match said.below(10):
        case 0:
            branch[place] = said.pick(_EDGES)
        case 1 if type(node) is int:
            branch[place] = abs(node + said.byte() - 128) % 2**64
        case 2 if isinstance(node, bytes) and node:
            at = said.below(len(node))
            branch[place] = node[:at] + bytes([node[at] ^ (said.byte() or 1)]) + node[at + 1 :]
        case 3 if isinstance(node, bytes):
            branch[place] = said.blob()
        case 4 if branch is not root:
            del branch[place]
        case 5 if branch is not root:
            branch.insert(place, _copy(node))
        case 6:
            other, there = places[said.below(len(places))]
            branch[place] = _copy(other[there])
        case 7:
            branch[place] = _copy(said.pick(_SMALL))
        case 8:
            alike = [found[at] for found, at in places if type(found[at]) is type(node)]
            branch[place] = _copy(said.pick(alike))
        case _ if isinstance(node, list):
            node.reverse()
        case _:
            branch[place] = said.number(8)

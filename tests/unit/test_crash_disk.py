"""The disk of `make crash`: what was synced stays, what was not is kept, lost or torn by sectors."""

from __future__ import annotations

import random

from crash.disk import SECTOR, Create, Delete, Disk, Image, Sync, Truncate, Write

OLD, NEW = b"o" * (3 * SECTOR), b"n" * (3 * SECTOR)


def states(disk: Disk, torn: int = 60) -> list[Image]:
    return list(disk.states(random.Random(1), torn))


def synced() -> Disk:
    disk = Disk()
    for operation in (Create("f"), Write("f", 0, OLD), Sync("f")):
        disk.take(operation)
    return disk


def test_what_was_synced_is_all_that_there_is() -> None:
    assert states(synced()) == [{"f": OLD}]


def test_each_sector_of_a_write_is_kept_or_lost_alone() -> None:
    disk = synced()
    disk.take(Write("f", 0, NEW))
    found = [image["f"] for image in states(disk)]
    assert found[:2] == [OLD, NEW]
    assert {tuple(data[at : at + 1] for at in range(0, len(data), SECTOR)) for data in found} == {
        (a, b, c) for a in (b"o", b"n") for b in (b"o", b"n") for c in (b"o", b"n")
    }


def test_a_later_sector_may_be_there_and_an_earlier_one_not() -> None:
    disk = synced()
    disk.take(Write("f", 3 * SECTOR, NEW))
    lengths = {len(image["f"]) for image in states(disk)}
    assert lengths == {3 * SECTOR, 4 * SECTOR, 5 * SECTOR, 6 * SECTOR}
    holes = [image["f"] for image in states(disk) if image["f"][3 * SECTOR : 4 * SECTOR] == bytes(SECTOR)]
    assert holes, "no hole reads as zeros"


def test_names_come_and_go_in_order() -> None:
    disk = synced()
    for operation in (Create("g"), Write("g", 0, b"x"), Delete("f")):
        disk.take(operation)
    assert {tuple(sorted(image)) for image in states(disk)} == {("f",), ("f", "g"), ("g",)}
    disk.take(Sync("g"))
    assert {tuple(sorted(image)) for image in states(disk)} == {("f", "g"), ("g",)}


def test_a_file_made_anew_is_not_the_one_before() -> None:
    disk = synced()
    for operation in (Delete("f"), Create("f"), Write("f", 0, b"new")):
        disk.take(operation)
    assert {image.get("f") for image in states(disk)} == {OLD, None, b"", b"new"}


def test_a_truncation_that_was_not_synced_may_not_have_happened() -> None:
    disk = synced()
    disk.take(Truncate("f", SECTOR))
    assert {len(image["f"]) for image in states(disk)} == {SECTOR, 3 * SECTOR}
    disk.take(Sync("f"))
    assert states(disk) == [{"f": OLD[:SECTOR]}]

"""How a wallet's folder passes from one key to the next, one rename at a time (SPEC §20).

``next`` holds the heir's keystore and store until it has joined the scheme. Then the folder becomes ``coming-N``, which
decides it: file by file, the old key's goes to ``retired/N`` and the heir's takes its place. Each step can be done
again, so that a power cut between any two of them only delays the rest.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from dualtap.errors import Code, TapError
from dualtap.statements import Scheme
from dualtap_devices.flash import FileFlash
from dualtap_devices.keystore import SIZE, EmulatedKeystore
from dualtap_devices.models import Model
from dualtap_devices.slots import SlotStore
from dualtap_devices.wallet import Wallet

NEXT, RETIRED = "next", "retired"
PARTS = ("keystore.bin", "store.bin")
_COMING = "coming-"


def retired(folder: Path) -> list[Path]:
    """Return the folders of the former keys, oldest first."""
    place = folder / RETIRED
    found = [one for one in place.iterdir() if one.name.isdigit()] if place.is_dir() else []
    return sorted(found, key=lambda one: int(one.name))


def prepare(folder: Path) -> None:
    """Make the folder of an heir, unless there is one."""
    with _explained(folder):
        (folder / NEXT).mkdir(exist_ok=True)
        _confirm(folder)


def heir_joined(folder: Path, scheme: Scheme, model: Model) -> bool:
    """Return whether there is an heir that has joined the scheme: a rotation was cut just before its end."""
    place = folder / NEXT
    if not all((place / part).is_file() for part in PARTS):
        return False
    keys = FileFlash(place / PARTS[0], SIZE)
    try:
        if not SlotStore.open(keys).records:
            return False
        log = FileFlash(place / PARTS[1], model.store_size)
        try:
            return Wallet(scheme, model.profile, EmulatedKeystore(scheme, keys), SlotStore.open(log)).book.joined
        finally:
            log.close()
    finally:
        keys.close()


def promote(folder: Path) -> None:
    """Make the heir, which has joined, the folder's wallet, and retire the one before."""
    with _explained(folder), _alone(folder):
        number = int(retired(folder)[-1].name) + 1 if retired(folder) else 1
        (folder / NEXT).rename(folder / f"{_COMING}{number}")
        _confirm(folder)
    settle(folder)


def settle(folder: Path) -> None:
    """Finish what a power cut left of a succession, and of a deletion."""
    if not any(folder.glob(_COMING + "*")) and not any((folder / RETIRED).glob("*.gone")):
        return
    with _explained(folder), _alone(folder):
        for gone in (folder / RETIRED).glob("*.gone"):
            shutil.rmtree(gone)
        for coming in folder.glob(_COMING + "*"):
            old = folder / RETIRED / coming.name.removeprefix(_COMING)
            old.mkdir(parents=True, exist_ok=True)
            _confirm(folder, folder / RETIRED)
            for part in PARTS:
                if not (coming / part).exists():
                    continue
                if (folder / part).exists():
                    (folder / part).rename(old / part)
                    _confirm(old, folder)
                (coming / part).rename(folder / part)
                _confirm(folder, coming)
            shutil.rmtree(coming)
            _confirm(folder)


def delete(place: Path) -> None:
    """Delete a retired key for good; a cut leaves nothing that looks like one."""
    with _explained(place):
        gone = place.with_suffix(".gone")
        place.rename(gone)
        _confirm(place.parent)
        shutil.rmtree(gone)


@contextmanager
def _alone(folder: Path) -> Generator[None]:
    """Keep other processes out of a folder's renames."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def _explained(folder: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise TapError(Code.STORE_FAILED, f"{folder}: {error.strerror}") from error


def _confirm(*folders: Path) -> None:
    """Make the names in these folders durable."""
    for folder in folders:
        handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

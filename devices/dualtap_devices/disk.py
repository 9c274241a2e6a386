"""A wallet in a folder: ``wallet.json`` says what it is, ``keystore.bin`` and ``store.bin`` are its chip.

``retired/1``, ``retired/2`` … hold the same two files of its former keys, and ``next`` those of a key that is about to
take over (:mod:`dualtap_devices.succession`). A copy of the folder is a clone of the chip. That is what an emulation
is for.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from dualtap.errors import Code, TapError
from dualtap.statements import Scheme
from dualtap.suite import SUITES
from dualtap_devices import succession
from dualtap_devices.durable import write_durably
from dualtap_devices.flash import FileFlash
from dualtap_devices.keystore import SIZE, EmulatedKeystore
from dualtap_devices.models import MODELS, Model
from dualtap_devices.rotation import is_over
from dualtap_devices.shifts import Shifts
from dualtap_devices.slots import SlotStore
from dualtap_devices.small import parsed
from dualtap_devices.wallet import Wallet


@dataclass(frozen=True, slots=True)
class Label:
    """What ``wallet.json`` says: name, model, currency, the scheme's suite and root key, where its issuer is."""

    name: str
    model: str
    currency: str
    suite: str
    root: str
    scheme: str

    @property
    def device(self) -> Model:
        """The model."""
        return MODELS[self.model]

    def anchor(self) -> Scheme:
        """Return the scheme that this wallet belongs to."""
        return Scheme.of(SUITES[self.suite], bytes.fromhex(self.root))


def read_label(folder: Path) -> Label:
    """Return a folder's label; raise ``BAD_INPUT`` if it is no wallet."""
    try:
        found = parsed(folder / "wallet.json")
    except (OSError, ValueError) as error:
        raise TapError(Code.BAD_INPUT, f"{folder} is not a wallet; make one with `dualtap wallet new`") from error
    fields = cast("dict[str, object]", found) if isinstance(found, dict) else {}
    names = ("name", "model", "currency", "suite", "root", "scheme")
    values = [fields.get(name) for name in names]
    if not all(isinstance(value, str) for value in values) or fields.get("model") not in MODELS:
        raise TapError(Code.BAD_INPUT, f"{folder}/wallet.json is damaged")
    if fields["suite"] not in SUITES:
        raise TapError(Code.BAD_INPUT, f"{folder}/wallet.json names an unknown suite")
    label = Label(*cast("list[str]", values))
    try:
        label.anchor()
    except (ValueError, TapError) as error:
        raise TapError(Code.BAD_INPUT, f"{folder}/wallet.json names no root key") from error
    return label


@contextmanager
def opened(folder: Path) -> Generator[Wallet]:
    """Open the wallet in a folder, alone; raise ``BAD_INPUT``, ``STORE_FAILED`` or ``KEYSTORE_REFUSED``."""
    label = read_label(folder)
    succession.settle(folder)
    if succession.heir_joined(folder, label.anchor(), label.device):
        succession.promote(folder)
    with ExitStack() as stack:
        wallet = stack.enter_context(_existing(folder, label))
        wallet.retired = tuple([stack.enter_context(_existing(old, label)) for old in succession.retired(folder)])
        if label.device.deposits:
            _note(folder, wallet)
            stack.callback(_note_at_last, folder, wallet)
        yield wallet


def _note(folder: Path, wallet: Wallet) -> None:
    """Take what is new in a till's history over into its shifts, before its log forgets it."""
    shifts = Shifts(folder)
    for one in (*wallet.retired, wallet):
        shifts.take(one.book, int(time.time()))


def _note_at_last(folder: Path, wallet: Wallet) -> None:
    with suppress(TapError):  # what cannot be written now is taken over at the next opening
        _note(folder, wallet)


@contextmanager
def rotating(folder: Path) -> Generator[tuple[Wallet, Wallet]]:
    """Open the wallet in a folder and an heir with a fresh key: the one of a rotation that was torn, or a new one.

    If the heir has joined the scheme at the end, it is the folder's wallet from then on. Raises as :func:`opened`, and
    ``BOUND`` for a wallet that is bound, or owns another (SPEC §23-17).
    """
    label = read_label(folder)
    with opened(folder) as wallet:
        if wallet.book.successor is None:
            wallet.book.ties.check_none()
        succession.prepare(folder)
        with _wallet(folder / succession.NEXT, label, secrets.token_bytes(32)) as heir:
            yield wallet, heir
            joined = heir.book.joined
    if joined:
        succession.promote(folder)


def forget(folder: Path, wallet: Wallet) -> int:
    """Delete the retired keys that nothing can need any more, after a sync; return how many (SPEC §20-10)."""
    over = [is_over(old, wallet.book.trust.epoch) for old in wallet.retired]
    for place, gone in zip(succession.retired(folder), over, strict=True):
        if gone:
            succession.delete(place)
    return sum(over)


@contextmanager
def _existing(folder: Path, label: Label) -> Generator[Wallet]:
    for part in succession.PARTS:
        if not (folder / part).is_file():
            raise TapError(Code.STORE_FAILED, f"{folder}/{part} is missing")
    with _wallet(folder, label, b"") as wallet:
        yield wallet


@contextmanager
def created(folder: Path, label: Label) -> Generator[Wallet]:
    """Make a folder with a new key in it and open it; raise ``BAD_INPUT`` if something is there already."""
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise TapError(Code.BAD_INPUT, f"{folder} exists; name a new folder")
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TapError(Code.BAD_INPUT, f"cannot make {folder}: {error.strerror}") from error
    try:
        with _wallet(folder, label, secrets.token_bytes(32)) as wallet:
            yield wallet
    except BaseException:
        # Nobody has certified it, or it does not know: the key is of no use, and the folder free for another.
        for part in ("keystore.bin", "store.bin"):
            (folder / part).unlink(missing_ok=True)
        with suppress(OSError):
            folder.rmdir()
        raise
    # Written last: a folder without a label is no wallet, so that a cut leaves none half made.
    write_durably(folder / "wallet.json", json.dumps(asdict(label), indent=2) + "\n")


@contextmanager
def _wallet(folder: Path, label: Label, secret: bytes) -> Generator[Wallet]:
    """Open a wallet; ``secret`` is for a keystore that holds none yet."""
    scheme, model = label.anchor(), label.device
    keys = FileFlash(folder / "keystore.bin", SIZE)
    try:
        log = FileFlash(folder / "store.bin", model.store_size)
        try:
            new = bool(secret) and not SlotStore.open(keys).records
            keystore = EmulatedKeystore.create(scheme, keys, secret) if new else EmulatedKeystore(scheme, keys)
            yield Wallet(scheme, model.profile, keystore, SlotStore.open(log))
        finally:
            log.close()
    finally:
        keys.close()

"""``sync`` and ``wallet rotate``: a device reaches its issuer, with all the keys that it has had (SPEC §14, §20)."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from dualtap.suite import Drbg
from dualtap.sync import Reply
from dualtap_apps.carrying import through
from dualtap_apps.exits import Exit
from dualtap_apps.output import emit, note, wallet_id
from dualtap_apps.traffic import TRAFFIC, told_carrier
from dualtap_apps.wallets import doubts, home_of, sentences, summary, synced
from dualtap_devices.disk import Label, forget, opened, read_label, rotating
from dualtap_devices.remote import HttpCarrier, is_address, tell_sealed
from dualtap_devices.rotation import rotate, sync_device
from dualtap_devices.syncing import Prepared, tell
from dualtap_devices.wallet import Wallet


@dataclass(frozen=True, slots=True)
class Ways:
    """How a wallet reaches its issuer: an address in place of its label's, or a device that carries its syncs."""

    issuer: str = ""
    via: str = ""
    timeout: float = 60.0
    log_level: str = ""


class Desk:
    """The issuer as one device reaches it: each upload is a session of its own."""

    def __init__(self, label: Label, ways: Ways) -> None:
        self._where, self._ways = ways.issuer or label.scheme, ways
        if not ways.via and not is_address(self._where) and ways.log_level == TRAFFIC:
            note("this sync is with a folder of this machine: there are no frames")

    def __call__(self, wallet: Wallet, prepared: Prepared) -> Reply:
        """Return the reply to an upload; raise what the carrier or the issuer raises."""
        ways, entropy = self._ways, secrets.token_bytes(32)
        if ways.via:
            with through(ways.via, ways.issuer, ways.timeout) as carrier:
                return tell_sealed(wallet, prepared, told_carrier(carrier, wallet, ways.log_level), entropy)
        if ways.issuer or is_address(self._where):
            with HttpCarrier(self._where) as http:
                return tell_sealed(wallet, prepared, told_carrier(http, wallet, ways.log_level), entropy)
        with home_of(wallet, Path(self._where)) as office:
            return tell(wallet, prepared, office)


def sync_wallet(folder: Path, as_json: bool, ways: Ways, *, renew: bool = True) -> Exit:
    """Sync a wallet, and its former keys if they have business; go on with a rotation that was torn.

    ``renew`` replaces restored and far-travelled value by fresh tokens; a till deposits, and keeps nothing of the kind.
    """
    label = read_label(folder)
    with opened(folder) as wallet:
        torn = wallet.book.successor is not None
        if not torn:
            entropy = Drbg(secrets.token_bytes(32))
            report = sync_device(wallet, Desk(label, ways), entropy, deposit=label.device.deposits, renew=renew)
            forget(folder, wallet)
            synced(report, wallet, label, as_json)
    return rotate_wallet(folder, as_json, ways) if torn else Exit.OK


def rotate_wallet(folder: Path, as_json: bool, ways: Ways) -> Exit:
    """Give a wallet a fresh key, certified in place of the old one, and move to it what it holds."""
    label = read_label(folder)
    with rotating(folder) as (wallet, heir):
        report = rotate(wallet, heir, Desk(label, ways), secrets.token_bytes(32))
        old, found, unsure = wallet_id(wallet.book.key), summary(heir, label), doubts(heir)
    emit(
        as_json,
        {"retired": old, **asdict(report), **found._asdict()},
        f"{label.name} is wallet {found.wallet_id} now; wallet {old} answers for the past, and pays nothing",
        *sentences(report, label),
        *unsure,
    )
    return Exit.OK

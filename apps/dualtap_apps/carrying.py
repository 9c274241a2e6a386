"""``carry`` and ``sync --via``: a device without a network syncs through another, which sees sealed bytes only."""

from __future__ import annotations

import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from dualtap.errors import Code, TapError
from dualtap.events import Received, Send
from dualtap.sealedsync import IssuerSync, Prove, Take, Taken
from dualtap_apps.exits import Exit
from dualtap_apps.linking import reach, saying, wait, waits
from dualtap_apps.output import emit, note
from dualtap_apps.schemes import Office
from dualtap_devices.disk import read_label
from dualtap_devices.remote import Carrier, HttpCarrier, LinkCarrier, call_to_sync, carry, is_address
from dualtap_transports.link import open_scheme

UPLOAD = 8 * 1024 * 1024
"""Bytes of the longest upload, as the service takes it."""


class FolderIssuer:
    """The issuer in a folder of this machine, reached as any other: in one sealed session."""

    def __init__(self, office: Office) -> None:
        self._office = office
        scheme = office.ledger.scheme
        self._session = IssuerSync(scheme, scheme.suite.ephemeral(secrets.token_bytes(32)), UPLOAD)

    def exchange(self, frame: bytes) -> bytes:
        """Take a frame and return the answer; raise what the session raises."""
        effect = self._session.step(Received(frame))
        while not isinstance(effect, Send):
            match effect:
                case Prove(session):
                    proved = self._office.ledger.authority.office.proof_for(session, self._office.challenge())
                    effect = self._session.step(proved)
                case Take(upload):
                    effect = self._session.step(self._take(upload))
        return effect.frame

    def _take(self, upload: bytes) -> Taken:
        try:
            return Taken(self._office.sync(upload))
        except TapError as error:
            return Taken(b"", error.code)


@contextmanager
def issuer_at(where: str) -> Generator[Carrier]:
    """Reach the issuer at an address or in a folder; raise ``ISSUER_UNREACHABLE`` or ``BAD_INPUT``."""
    if is_address(where):
        with HttpCarrier(where) as http:
            yield http
    else:
        with Office.open(Path(where)) as office:
            yield FolderIssuer(office)


@contextmanager
def through(via: str, issuer: str, timeout: float) -> Generator[Carrier]:
    """Reach the issuer through a device: a wallet's folder, or TRANSPORT:ADDRESS where ``carry`` waits."""
    if (Path(via) / "wallet.json").is_file():
        with issuer_at(issuer or read_label(Path(via)).scheme) as onward:
            yield onward
        return
    if issuer:
        raise TapError(Code.BAD_INPUT, "the device that carries knows the issuer; leave --issuer to it")
    scheme, address = open_scheme(via)
    link = scheme.connect(address, timeout)
    try:
        yield LinkCarrier(link, timeout)
    finally:
        link.close()


def carry_one(folder: Path, on: str, issuer: str, timeout: float, as_json: bool, side: str | None = None) -> Exit:
    """Carry one sync to this wallet's issuer: of the device that comes, or of the card that is read."""
    where = issuer or read_label(folder).scheme
    if waits(on, side, otherwise=True):
        nobody = saying(f"nobody came to sync within {timeout:g} s; carry again")
        link = wait(on, None, "carrying one sync", timeout, nobody).link
    else:
        note(f"Ready: carrying one sync, reading {on}")
        link = reach(on, timeout, saying(f"no card that waits to sync at {on}; carry again")).link
        call_to_sync(link)
    try:
        with issuer_at(where) as onward:
            frames = carry(link, onward, timeout)
    finally:
        link.close()
    emit(as_json, {"result": "carried", "frames": frames}, f"Carried {frames} sealed frames")
    return Exit.OK if frames else Exit.LOST

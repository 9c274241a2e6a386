"""``carry`` and ``sync --via``: a device without a network syncs through another, which sees sealed bytes only."""

from __future__ import annotations

import secrets
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from dualtap.errors import Code, TapError
from dualtap.events import Received, Send
from dualtap.sealedsync import IssuerSync, Prove, Take, Taken
from dualtap.wire import Want, decode_hello
from dualtap_apps.exits import Exit
from dualtap_apps.hosting import host
from dualtap_apps.linking import Met, opened_door, reach, saying, waits
from dualtap_apps.output import emit, note
from dualtap_apps.schemes import Office, check_there
from dualtap_devices.disk import read_label
from dualtap_devices.remote import Carrier, HttpCarrier, LinkCarrier, call_to_sync, carry, is_address
from dualtap_transports.link import open_scheme

UPLOAD = 8 * 1024 * 1024
"""Bytes of the longest upload, as the service takes it."""
JOINED = 4
"""Frames, there and back, after which the issuer has opened one that was sealed: it knows who syncs."""


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


class Counted:
    """``carrier``, the frames that it has exchanged counted."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier, self.frames = carrier, 0

    def exchange(self, frame: bytes) -> bytes:
        """Exchange frames; see :class:`Carrier`."""
        answer = self._carrier.exchange(frame)
        self.frames += 2
        return answer


@contextmanager
def issuer_at(where: str) -> Generator[Carrier]:
    """Reach the issuer at an address or in a folder; raise ``ISSUER_UNREACHABLE`` or ``BAD_INPUT``."""
    if is_address(where):
        with HttpCarrier(where) as http:
            yield http
    else:
        check_there(Path(where))
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
    where, carried = issuer or read_label(folder).scheme, 0

    def serve(met: Met) -> TapError | None:
        nonlocal carried
        with closing(met.link), issuer_at(where) as onward:
            counted = Counted(onward)
            try:
                carry(met.link, counted, timeout)
            except TapError as error:
                if counted.frames >= JOINED or (error.code is Code.ISSUER_UNREACHABLE and not counted.frames):
                    raise
                return error
            finally:
                carried = counted.frames
        return None if carried >= JOINED else TapError(Code.LINK_LOST, "it left before it was known to the issuer")

    if waits(on, side, otherwise=True):
        nobody = saying(f"nobody came to sync within {timeout:g} s; carry again")
        host(opened_door(on, None, "carrying one sync", nobody), timeout, nobody, check_syncs, serve)
    else:
        note(f"Ready: carrying one sync, reading {on}")
        met = reach(on, timeout, saying(f"no card that waits to sync at {on}; carry again"))
        call_to_sync(met.link)
        serve(met)
    emit(as_json, {"result": "carried", "frames": carried}, f"Carried {carried} sealed frames")
    return Exit.OK if carried else Exit.LOST


def check_syncs(first: bytes) -> None:
    """Raise ``WRONG_ROLE``, or why it cannot be read, unless a session's first frame asks for a sync."""
    if decode_hello(first).want != Want.SYNC:
        raise TapError(Code.WRONG_ROLE, "this device carries syncs only")

"""NFC through nfcpy: ``nfc:DEVICE``, DEVICE as nfcpy names it (``usb``, ``tty:USB0:pn532``, ``udp:127.0.0.1:54321``).

To connect is to be the reader; to listen is to be the card, over ISO-DEP.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Thread
from typing import TypeVar

from dualtap import limits
from dualtap.errors import Code, TapError

from .apdu import SHORT, Window, split_address
from .card_link import CardEnd, CardListener
from .foreign import Frontend, Nfcpy, Tag, nfcpy
from .iso_dep import ATS, FRAME_WAITING_SECONDS, Deliver, IsoDepCard, Leave, Say
from .nearness import NFC_SECONDS
from .reader_link import ReaderLink, Slot, opened
from .tcp import parse_address

T = TypeVar("T")

TRANSCEIVE_SECONDS = 5.0
"""Seconds for one APDU, every S(WTX) included: the longest frame waiting time that ISO-DEP has."""
_ANSWER_BYTES = limits.MESSAGE + 4096
"""Bytes for one APDU's answer, with what its blocks add."""
_LOOK_SECONDS = 0.2
"""Seconds between two looks at whether anybody still needs this card."""
_SLICE_SECONDS = FRAME_WAITING_SECONDS / 2
"""Seconds that an answer may take before S(WTX) asks for more."""
_UDP = "udp"


class ExhaustedError(Exception):
    """A card has had its time, or its bytes, for one APDU."""


class Guard:
    """Stands between nfcpy's ISO-DEP and the device: nfcpy itself would follow a card's S(WTX) or chaining for ever."""

    def __init__(self, frontend: Frontend, library: Nfcpy, clock: Callable[[], float]) -> None:
        self._frontend = frontend
        self._library = library
        self._clock = clock
        self.arm()

    @property
    def max_send_data_size(self) -> int:
        """As the device says."""
        return self._frontend.max_send_data_size

    @property
    def max_recv_data_size(self) -> int:
        """As the device says."""
        return self._frontend.max_recv_data_size

    def arm(self) -> None:
        """Begin another APDU."""
        self._until = self._clock() + TRANSCEIVE_SECONDS
        self._bytes = _ANSWER_BYTES

    def exchange(self, send_data: bytes | None, timeout: float) -> bytearray | None:
        """Exchange one block, as nfcpy's frontend does. Raises :class:`ExhaustedError`."""
        if self._clock() >= self._until or self._bytes <= 0:
            raise ExhaustedError
        try:
            # A timeout of zero would not wait, and return nothing, which nfcpy's callers do not expect.
            answer = self._frontend.exchange(send_data, max(timeout, 0.001))
        except (ValueError, IndexError) as error:  # what nfcpy's UDP device makes of bytes that are no frame
            raise self._library.transmission_error(str(error)) from error
        self._bytes -= len(answer or b"") + 16
        return answer


class NfcSlot:
    """A card in the field of a device that it owns."""

    def __init__(self, frontend: Frontend, library: Nfcpy, guard: Guard, tag: Tag) -> None:
        self._frontend = frontend
        self._library = library
        self._guard = guard
        self._tag = tag
        self._lost = 0

    def transceive(self, apdu: bytes) -> bytes | None:
        """See :meth:`.reader_link.Slot.transceive`. ISO-DEP has tried six times before an answer counts as lost."""
        self._guard.arm()
        try:
            answer = bytes(self._tag.transceive(apdu))
        except (self._library.tag_error, self._library.communication_error):
            self._lost += 1
            if self._lost > 1:
                raise TapError(Code.LINK_LOST, "the card has left the field") from None
            return None
        except ExhaustedError:
            raise TapError(Code.TIMEOUT, "the card answers a command without end") from None
        except OSError as error:
            raise TapError(Code.LINK_LOST, f"the NFC device has gone: {error}") from error
        except (IndexError, TypeError, ValueError) as error:  # blocks too short for what nfcpy reads of them
            raise TapError(Code.MALFORMED, f"the card breaks ISO-DEP: {error}") from error
        self._lost = 0
        return answer

    def release(self) -> None:
        """Switch the field off and let the device go."""
        self._frontend.close()


class NfcListener(CardListener):
    """A device that plays the card; it owns the device and the thread that serves it."""

    def __init__(
        self, frontend: Frontend, library: Nfcpy, address: str, end: CardEnd, longest: int, clock: Callable[[], float]
    ) -> None:
        super().__init__(address, end)
        self._frontend = frontend
        self._library = library
        self._longest = longest
        self._clock = clock
        Thread(target=self._work, name="dualtap nfc", daemon=True).start()

    def _work(self) -> None:
        reason = "the device stopped being a card"
        # 08 says that the identifier is made up for each activation, as a phone's is; it names nobody.
        target = self._library.local_target(b"\x04\x00", b"\x08\x01\x02\x03", b"\x20", ATS)
        try:
            while self._end.serving:
                self._serve(target)
        except self._library.unsupported_error:
            reason = "this NFC device cannot play the card; a PN532 or an RC-S380 can"
        except OSError as error:
            reason = f"the NFC device has gone: {error}"
        finally:
            self._frontend.close()
            self._end.finish(reason)

    def _serve(self, target: object) -> None:
        """Wait a moment for a reader, and serve it until it leaves."""
        try:
            found = self._frontend.listen(target, _LOOK_SECONDS)
        except (self._library.communication_error, ValueError, IndexError):
            return  # bytes that are no frame
        if found is None or found.tt4_cmd is None:
            return
        card = IsoDepCard(self._longest)
        try:
            self._converse(card, bytes(found.tt4_cmd))
        except self._library.broken_link_error:
            self._end.reset("the reader took the field away")
        except TapError as error:
            self._end.reset(error.detail)

    def _converse(self, card: IsoDepCard, first: bytes) -> None:
        """Carry one activation. Raises what ends it; returns once the reader deselects, or is silent for too long."""
        data: bytes | None = first
        silent_at = self._clock() + limits.SESSION_SECONDS
        while self._end.serving:
            step = Say(None) if data is None else card.block(data)
            match step:
                case Say(block):
                    data = self._exchange(block)
                case Deliver(apdu):
                    silent_at = self._clock() + limits.SESSION_SECONDS
                    data = self._exchange(self._answer(card, apdu))
                case Leave(block):
                    self._frontend.exchange(block, 0)
                    return self._end.reset("the reader deselected this card")
            if self._clock() >= silent_at:
                return self._end.reset("the reader is silent")
        return None

    def _answer(self, card: IsoDepCard, apdu: bytes) -> bytes:
        """Return the first block of the answer, asking the reader for time while there is none."""
        answer = self._end.respond(apdu, _SLICE_SECONDS)
        while answer is None:
            granted = self._exchange(card.wait())
            if granted is None or not card.is_waiting(granted):
                continue  # lost: to ask again does no harm
            answer = self._end.more(_SLICE_SECONDS)
        return card.answer(answer)

    def _exchange(self, block: bytes | None) -> bytes | None:
        """Send a block, or nothing, and return the next; ``None`` if none came, or none that can be read."""
        try:
            return bytes(self._frontend.exchange(block, _LOOK_SECONDS) or b"")
        except (self._library.timeout_error, self._library.transmission_error, ValueError, IndexError):
            return None


@dataclass(frozen=True, slots=True)
class NfcScheme:
    """Opens links through nfcpy. ``clock`` gives seconds; ``load`` gives nfcpy."""

    round_trip = NFC_SECONDS

    clock: Callable[[], float] = time.monotonic
    load: Callable[[], Nfcpy] = nfcpy

    def connect(self, address: str, timeout: float | None) -> ReaderLink:
        """Return the link to a card in the field of a device, waiting for one; see :meth:`.link.Scheme.connect`."""
        path, window = split_address(address)
        return self.held(path, timeout, lambda slot: opened(slot, window))

    def held(self, address: str, timeout: float | None, take: Callable[[Slot], T]) -> T:
        """Wait for a card, and return what ``take`` makes of it; see :meth:`.nfc_handover.Reads.held`."""
        library = self.load()
        deadline = None if timeout is None else self.clock() + timeout
        while True:
            slot = self._find(library, address, deadline)
            try:
                return take(slot)
            except TapError as error:
                # A card without dualtap, or torn away: there may be another in a moment.
                if error.code is not Code.LINK_LOST or (deadline is not None and self.clock() >= deadline):
                    raise

    def _find(self, library: Nfcpy, path: str, deadline: float | None) -> NfcSlot:
        """Look for a card until there is one, or the deadline has passed."""
        frontend = _open(library, path)
        try:
            while True:
                slot = _sense(frontend, library, self.clock)
                if slot is not None:
                    return slot
                if deadline is not None and self.clock() >= deadline:
                    raise TapError(Code.LINK_LOST, f"no card in the field of nfc:{path}")
        except OSError as error:
            frontend.close()
            raise TapError(Code.LINK_LOST, f"the NFC device has gone: {error}") from error
        except BaseException:
            frontend.close()
            raise

    def listen(self, address: str) -> NfcListener:
        """Make a device play the card; see :meth:`.link.Scheme.listen`."""
        window = split_address(address)[1]
        return self.present(address, CardEnd(window, clock=self.clock), window)

    def present(self, address: str, end: CardEnd, window: Window = SHORT) -> NfcListener:
        """Make a device play the card that ``end`` is, until the listener is closed."""
        path = split_address(address)[0]
        library = self.load()
        udp = _udp_address(path)
        if udp is not None:
            host, port = udp
            try:
                frontend, port = library.open_udp_card(host, port)
            except OSError as error:
                raise TapError(Code.BAD_INPUT, f"cannot listen at nfc:{address}: {error}") from error
            where = f"{_UDP}:{host}:{port}" + address[len(path) :]
        else:
            frontend, where = _open(library, path), address
        return NfcListener(frontend, library, where, end, window.command + 12, self.clock)


SCHEME = NfcScheme()


def _open(library: Nfcpy, path: str) -> Frontend:
    _udp_address(path)
    try:
        return library.open(path)
    except OSError as error:
        raise TapError(Code.BAD_INPUT, _remedy(path, error)) from error
    except ValueError as error:
        raise TapError(Code.BAD_INPUT, f"{path!r} is no NFC device as nfcpy names them: {error}") from error


def _udp_address(path: str) -> tuple[str, int] | None:
    """Return host and port of nfcpy's UDP device; ``None`` for any other. Raises ``BAD_INPUT``."""
    name, _, address = path.partition(":")
    return parse_address(address) if name == _UDP else None


def _remedy(path: str, error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"no permission for the NFC device {path!r}: add a udev rule, or your user to its group"
    if error.errno == errno.EBUSY:
        return f"the NFC device {path!r} is claimed: stop pcscd, and unload the kernel's pn533_usb"
    if error.errno == errno.EIO:
        return f"cannot look for the NFC device {path!r}: {error.strerror}"
    return f"no NFC device at {path!r}: plug one in, or name it as nfcpy does, as in usb or tty:USB0:pn532"


def _sense(frontend: Frontend, library: Nfcpy, clock: Callable[[], float]) -> NfcSlot | None:
    """Look once for a card that speaks ISO-DEP."""
    guard = Guard(frontend, library, clock)
    try:
        target = frontend.sense(library.remote_target(), iterations=1, interval=0.0)
        tag = None if target is None else library.activate(guard, target)
    except (library.communication_error, ExhaustedError, IndexError, TypeError, ValueError):
        return None  # not a card that can be read, or torn away meanwhile
    return None if tag is None else NfcSlot(frontend, library, guard, tag)

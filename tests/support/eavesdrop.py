"""What each link lets a stranger see before the channel is sealed: every byte of each end, as our own code sends them.

A :class:`Greeting` is what the two machines say in the clear; a link adds what it needs to carry it. Whatever a link
draws at random comes from the :class:`random.Random` that it is given.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import socket
from collections.abc import Callable
from contextlib import closing
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast
from uuid import UUID

import pytest
from bumble.controller import Controller
from bumble.host import Host
from bumble.transport.common import AsyncPipeSink
from zeroconf._protocol.outgoing import DNSOutgoing

from dualtap_transports import apdu_card, mdns, tag
from dualtap_transports.apdu import SHORT
from dualtap_transports.apdu_reader import Reader
from dualtap_transports.ble_dongle import Dongle, make_device
from dualtap_transports.card_link import CardEnd
from dualtap_transports.foreign import Frontend, Nfcpy
from dualtap_transports.handover import COLLISION, Offer, check_request, encode_request, encode_select
from dualtap_transports.iso_dep import IsoDepCard, Say
from dualtap_transports.lan import LanScheme
from dualtap_transports.nfc import NfcListener
from dualtap_transports.reader_link import converse
from dualtap_transports.tcp import TcpLink
from tests.support.virtual import DATA_LENGTH, PATIENCE, Space, connect, listen

if TYPE_CHECKING:
    from bumble.core import PhysicalTransport
    from bumble.hci import Address
    from bumble.ll import AdvertisingPdu
    from zeroconf import ServiceInfo

Shown: TypeAlias = list[bytes]
"""What one end shows, in order."""


class Greeting(NamedTuple):
    """What is said in the clear in a tap, and what names the key that answers."""

    hello: bytes
    welcome: bytes
    ident: bytes


class Seen(NamedTuple):
    """What a stranger sees of the two ends."""

    initiator: Shown
    responder: Shown


Link: TypeAlias = Callable[[Greeting, random.Random], Seen]


def tcp(greeting: Greeting, draw: random.Random) -> Seen:
    """Greet over a real socket: what is sent before and around the frames is seen too."""
    del draw
    ends = socket.socketpair()
    with closing(ends[0]), closing(ends[1]):
        seen: list[Shown] = []
        for here, there, frame in ((*ends, greeting.hello), (*ends[::-1], greeting.welcome)):
            TcpLink(here).send(frame)
            there.setblocking(True)
            seen.append([there.recv(1 << 16)])
    return Seen(*seen)


class _Heard:
    """Stands for zeroconf's responder: keeps what is registered."""

    def __init__(self) -> None:
        self.infos: list[ServiceInfo] = []

    def register_service(self, info: ServiceInfo, *, cooperating_responders: bool) -> None:
        del cooperating_responders
        self.infos.append(info)

    def close(self) -> None:
        """Nothing is open."""


def lan(greeting: Greeting, draw: random.Random) -> Seen:
    """Be announced on a local network, in zeroconf's own packets, and greet over TCP."""
    heard = _Heard()

    def opened(library: ModuleType, host: str) -> _Heard:
        del library, host
        return heard

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mdns, "_open", opened)
        listener = LanScheme(mdns.Mdns()).listen("new@127.0.0.1")
        listener.introduce(greeting.ident)
        listener.close()
    packet = DNSOutgoing(0x8400)
    for info in heard.infos:
        for record in (info.dns_pointer(), info.dns_service(), info.dns_text(), *info.dns_addresses()):
            packet.add_answer_at_time(record, 0)
    carried = tcp(greeting, draw)
    return Seen(carried.initiator, [*packet.packets(), *carried.responder])


class _Field:
    """A card in the field, that answers in the reader's own thread; all that either says is kept."""

    def __init__(self, card: Callable[[bytes], bytes | None]) -> None:
        self._card = card
        self.said: Shown = []
        self.answered: Shown = []

    def transceive(self, apdu: bytes) -> bytes | None:
        self.said.append(apdu)
        answer = self._card(apdu)
        self.answered.append(answer or b"")
        return answer

    def release(self) -> None:
        """Nothing is held."""


class _Chip:
    """Stands for nfcpy: keeps what a card is to be found as, and can play none."""

    communication_error = broken_link_error = timeout_error = transmission_error = tag_error = OSError

    class unsupported_error(Exception):
        """It cannot be a card."""

    def __init__(self) -> None:
        self.target: Shown = []

    def local_target(self, *answers: bytes) -> object:
        self.target = [bytes(answer) for answer in answers]
        return self

    def listen(self, target: object, timeout: float) -> object:
        raise self.unsupported_error

    def close(self) -> None:
        """Nothing is open."""


def _found_as() -> Shown:
    """Return how a card answers before it is selected: SENS, SDD with its identifier, SEL, and the ATS."""
    chip, end = _Chip(), CardEnd()
    NfcListener(cast("Frontend", chip), cast("Nfcpy", chip), "usb", end, 300, lambda: 0.0)
    with end.changed:
        assert end.changed.wait_for(lambda: end.finished, PATIENCE)
    rats = IsoDepCard(300).block(b"\xe0\x80")
    assert isinstance(rats, Say)
    return [*chip.target, rats.block or b""]


def nfc(greeting: Greeting, draw: random.Random) -> Seen:
    """Select the application on a card, and greet by APDUs."""
    applet = apdu_card.Applet()

    def card(apdu: bytes) -> bytes | None:
        answer = applet.command(apdu)
        session = applet.session
        if answer is None and session is not None and session.take() is not None:
            session.offer(greeting.welcome)
            answer = session.poll(late=True)
        return answer

    field, reader = _Field(card), Reader(draw.randrange(1 << 16), SHORT)
    converse(reader.select(), field, lambda: None)
    assert converse(reader.exchange(greeting.hello), field, lambda: None) == greeting.welcome
    return Seen(field.said, [*_found_as(), *field.answered])


def handover(greeting: Greeting, draw: random.Random) -> Seen:
    """Read a tag that leads to Bluetooth; the reader asks first."""
    offer = Offer(UUID(bytes=draw.randbytes(16), version=4), greeting.ident, draw.randbytes(6))
    held = tag.Tag(encode_select(offer), check_request)
    field = _Field(held.command)
    talk = tag.read_message(encode_request(draw.randbytes(COLLISION)))
    command = next(talk)
    try:
        while True:
            command = talk.send(field.transceive(command))
    except StopIteration:
        pass
    return Seen(field.said, [*_found_as(), *field.answered])


class _OpenSpace(Space):
    """An air in which everything is heard: advertisements, connections, and data of the link layer."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: dict[str, Shown] = {}

    def send_acl_data(
        self, sender_controller: Controller, destination_address: Address, transport: PhysicalTransport, data: bytes
    ) -> None:
        self.heard.setdefault(sender_controller.name, []).append(data)
        super().send_acl_data(sender_controller, destination_address, transport, data)

    def send_advertising_pdu(self, sender_controller: Controller, packet: AdvertisingPdu) -> None:
        addresses = [getattr(packet, name, None) for name in ("advertiser_address", "initiator_address")]
        said = b"".join(bytes(one) for one in addresses if one is not None) + cast(
            "bytes", getattr(packet, "data", b"")
        )
        mine = self.heard.setdefault(sender_controller.name, [])
        if said not in mine:  # how often it is said is a matter of time
            mine.append(said)
        super().send_advertising_pdu(sender_controller, packet)


def ble(greeting: Greeting, draw: random.Random) -> Seen:
    """Advertise, be found and connected to by Bluetooth LE, and greet in GATT values."""

    async def story() -> Seen:
        space = _OpenSpace()

        async def dongle(name: str) -> Dongle:
            controller = Controller(name, link=space, public_address=f"F0:00:00:00:00:0{len(space.controllers)}")
            controller.le_acl_data_packet_length = DATA_LENGTH
            found = Dongle(make_device(Host(controller, AsyncPipeSink(controller))), None)
            await found.device.power_on()
            return found

        near, far = await dongle("near"), await dongle("far")
        listener = await listen(far)
        central = await connect(near, listener)
        peripheral = await listener.accept(PATIENCE)
        await central.send(greeting.hello)
        assert await peripheral.receive(PATIENCE) == greeting.hello
        await peripheral.send(greeting.welcome)
        assert await central.receive(PATIENCE) == greeting.welcome
        held = cast("list[Any]", far.device.gatt_server.attributes)  # pyright: ignore[reportUnknownMemberType]
        read = [bytes(one.type) + one.value for one in held if isinstance(one.value, bytes)]
        seen = Seen(list(space.heard["near"]), [*space.heard["far"], *read])
        for one in (central, peripheral, listener, near, far):
            await cast("Any", one).close()
        return seen

    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((secrets, "token_bytes"), (os, "urandom")):
            patch.setattr(module, name, draw.randbytes)
        return asyncio.run(asyncio.wait_for(story(), 2 * PATIENCE))


LINKS: dict[str, Link] = {"tcp": tcp, "lan": lan, "nfc": nfc, "nfc handover": handover, "ble": ble}
"""By name; what Bluetooth stacks of operating systems and real radios add is not here."""

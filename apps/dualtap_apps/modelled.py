"""A real tap, frame by frame, in a model's time: whose turn it is, what it computes, and how the radio carries it."""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import cast

from dualtap.context import Charge, Pay
from dualtap.errors import TapError
from dualtap.events import Result
from dualtap.issued import Carrier
from dualtap.suite import P256, Suite
from dualtap_apps.metered import Meter, MeteredKeystore
from dualtap_devices.driver import Driver
from dualtap_devices.driver import exchange as exchange_frames
from dualtap_devices.wallet import Wallet
from dualtap_testing.toyscheme import ToyScheme
from dualtap_transports.apdu_card import Applet
from dualtap_transports.apdu_reader import Reader, Talk
from dualtap_transports.chunks import split
from dualtap_transports.gatt import OPENING
from dualtap_transports.timing.ble import Ble
from dualtap_transports.timing.cards import Crypto, Work
from dualtap_transports.timing.nfc import ACTIVATION_SECONDS, Nfc


@dataclass(frozen=True, slots=True)
class Turn:
    """One side's turn: what it computed, and the frames that it then said."""

    payer: bool
    work: Work
    said: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One APDU and its answer, in bytes; before answering, the card took turn ``turn``, if any."""

    command: int
    answer: int
    turn: int | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """A tap that was paid: its turns, the initiator's first; the payer is the card, the responder of an NFC tap."""

    turns: tuple[Turn, ...]
    exchanges: tuple[Exchange, ...]
    hops: int

    def work(self, payer: bool) -> Work:
        """Return what one side computed, all turns together."""
        return sum((turn.work for turn in self.turns if turn.payer is payer), Work())

    @property
    def frames(self) -> list[int]:
        """Return the bytes of each frame."""
        return [len(frame) for turn in self.turns for frame in turn.said]


@dataclass(frozen=True, slots=True)
class Split:
    """Seconds of a modelled tap: the frames' own bytes on the air and the set-up of the link; cryptography; the rest.

    ``protocol`` is what carries the frames beside their bytes: commands, headers, acknowledgements, turns, waiting
    for an event.
    """

    radio: float
    crypto: float
    protocol: float

    @property
    def total(self) -> float:
        """The whole tap."""
        return self.radio + self.crypto + self.protocol


class _Side:
    """A wallet's part, with its own meter."""

    def __init__(self, driver: Driver, meter: Meter, payer: bool) -> None:
        self.driver, self.meter, self.payer = driver, meter, payer

    def take(self, frame: bytes | None) -> Turn:
        with self.meter.running():
            said = self.driver.begin() if frame is None else self.driver.receive(frame)
        return Turn(self.payer, self.meter.taken(), tuple(said))


def trace(hops: int = 1, suite: Suite = P256) -> Trace:
    """Run a tap of the ``hops``-th hand between our machines, through the real APDU mapping, and count it all.

    The payer is a card, the payee the till that reads it. Authorities' certificates are cached, and both ephemeral
    keys were made before the tap. Each wallet has tapped before, so that authorities' keys are loaded.
    """
    toy = ToyScheme(suite)
    meters = Meter(), Meter()
    card = _metered(_hand(toy, hops), meters[0])
    till = _metered(toy.memory_wallet(Carrier.POS), meters[1])
    _pass_on(card, toy.memory_wallet(Carrier.POS), 1)
    _pass_on(toy.memory_wallet(Carrier.WATCH, 100), till, 1)
    pays = _Side(Driver.fresh(card, Pay(), initiator=False), meters[0], payer=True)
    order = Charge(200, "CNY", secrets.token_bytes(16))
    collects = _Side(Driver.fresh(till, order, initiator=True), meters[1], payer=False)
    for meter in meters:
        meter.taken()
    turns: list[Turn] = []
    exchanges = _carry(pays, collects, turns)
    if pays.driver.result.result is not Result.PAID:
        raise AssertionError(str(pays.driver.result))
    return Trace(tuple(turns), tuple(exchanges), hops)


def nfc_tap(found: Trace, field: Nfc, card: Crypto, till: Crypto) -> Split:
    """Return the seconds of a tap over NFC, from the card's answer to the field until its last word."""
    bare = sum(found.frames) * 9 * field.etu
    crypto = waits = air = 0.0
    for exchange in found.exchanges:
        computing = 0.0 if exchange.turn is None else card.seconds(found.turns[exchange.turn].work)
        crypto += computing
        waits += field.waits(computing)
        air += field.apdu(exchange.command, exchange.answer)
    crypto += till.seconds(found.work(payer=False))
    return Split(ACTIVATION_SECONDS + bare, crypto, air + waits - bare)


def ble_tap(found: Trace, link: Ble, card: Crypto, till: Crypto) -> Split:
    """Return the seconds of a tap over Bluetooth, from the connection until the last frame was taken in.

    The initiator is the central. To find each other is not counted.
    """
    setup = now = link.arrival(link.opening(), [OPENING])
    crypto = bare = 0.0
    for turn in found.turns:
        computing = (card if turn.payer else till).seconds(turn.work)
        crypto += computing
        now += computing
        for frame in turn.said:
            values = [len(chunk) for chunk in split(frame, link.value)]
            bare += sum(link.pair(size) for value in values for size in link.packets(value))
            now = link.arrival(now, values)
    return Split(setup + bare, crypto, now - setup - bare - crypto)


def _hand(toy: ToyScheme, hops: int) -> Wallet:
    """Return a wallet that holds value which passed through ``hops - 1`` hands before."""
    wallet = toy.memory_wallet(Carrier.WATCH, 1000)
    for hop in range(1, hops):
        onward = toy.memory_wallet(Carrier.WATCH)
        _pass_on(wallet, onward, 1000 - 50 * hop)
        wallet = onward
    return wallet


def _metered(wallet: Wallet, meter: Meter) -> Wallet:
    """Open a wallet again, with its cryptography counted."""
    scheme = wallet.book.scheme
    counted = replace(scheme, suite=meter.suite(scheme.suite))
    return Wallet(counted, wallet.book.profile, MeteredKeystore(wallet.keystore, meter), wallet.store)


def _pass_on(payer: Wallet, payee: Wallet, amount: int) -> None:
    charge = Charge(amount, "CNY", secrets.token_bytes(16))
    pays = Driver.fresh(payer, Pay(), initiator=False)
    exchange_frames(Driver.fresh(payee, charge, initiator=True), pays)
    if pays.result.result is not Result.PAID:
        raise AssertionError(str(pays.result))


def _carry(card: _Side, till: _Side, turns: list[Turn]) -> list[Exchange]:
    """Run a tap through the reader's and the card's end of the APDU mapping; note each turn and exchange."""
    applet, exchanges = Applet(), list[Exchange]()

    def answer(apdu: bytes) -> bytes:
        said, turn = applet.command(apdu), None
        session = applet.session
        if said is None and session is not None:
            frame = session.take()
            if frame is not None:
                turn = len(turns)
                turns.append(card.take(frame))
                for out in turns[-1].said:
                    session.offer(out)
            if card.driver.ended:
                session.close()
            said = session.poll(late=True)
        if said is None:
            raise AssertionError("a card that is asked answers")
        exchanges.append(Exchange(len(apdu), len(said), turn))
        return said

    def talk(what: Talk) -> bytes | None:
        try:
            command = next(what)
            while True:
                command = what.send(answer(command))
        except StopIteration as end:
            return cast("bytes | None", end.value)

    reader = Reader(0)
    talk(reader.select())
    card.driver.begin()
    turns.append(till.take(None))
    while not till.driver.ended or turns[-1].said:
        heard = None
        for frame in turns[-1].said if not turns[-1].payer else ():
            with suppress(TapError):  # the card's last answer says that it has ended
                heard = talk(reader.exchange(frame))
        if heard is None:
            break
        turns.append(till.take(heard))
    return exchanges

"""How a command gets its link: as the end that listens (a card, a peripheral), or as the one that connects."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import click

from dualtap.errors import Code, TapError
from dualtap.session import NO_HANDOVER, Handover, ident
from dualtap.suite import Ephemeral, Suite
from dualtap_apps.output import note, show_code
from dualtap_transports.handover import handover_of, introduce
from dualtap_transports.lan import compares
from dualtap_transports.link import Link, Listener, Scheme, open_scheme

CARD, READER = "card", "reader"
SIDE = click.option(
    "--as",
    "side",
    type=click.Choice([CARD, READER]),
    help="Which end of the link: the one that waits, or the one that connects.  [default: as ADDRESS allows]",
)
_ONLY_READ = {"pcsc", "pcsc+ble"}
_ONLY_WAIT = {"vpcd", "vpcd+ble"}

Fail: TypeAlias = Callable[[TapError], TapError]
"""Says in a command's own words that nobody was met."""


@dataclass(frozen=True, slots=True)
class Met:
    """A link and what is to be known of it: ``ephemeral`` is the key that this side's own handover named.

    ``compare``: people must compare a code before a payment (SPEC §19.1-4).
    """

    link: Link
    initiator: bool
    scheme: Scheme
    ephemeral: Ephemeral | None = None
    handover: Handover = NO_HANDOVER
    compare: bool = False


@dataclass(frozen=True, slots=True)
class Door:
    """Where this side waits, and the key that will answer, if the address names it."""

    scheme: Scheme
    listener: Listener
    ephemeral: Ephemeral | None
    handover: Handover

    def met(self, link: Link, ephemeral: Ephemeral | None, heard: Link | None = None) -> Met:
        """Return who came by ``link``, which is read through ``heard`` if something was heard of it already."""
        # Where the other device said something too, only now is it known what both have said.
        handover = handover_of(link) if handover_of(link) != NO_HANDOVER else self.handover
        return Met(heard or link, False, self.scheme, ephemeral, handover, compares(link))


def waits(on: str, side: str | None, otherwise: bool) -> bool:
    """Return whether a command waits at an address: as asked, else as the address allows, else as is its custom."""
    name, _, address = on.partition(":")
    if side is not None:
        return side == CARD
    if name in _ONLY_READ | _ONLY_WAIT:
        return name in _ONLY_WAIT
    if name in ("ble", "lan"):
        return address.partition("@")[0] == "new"
    return otherwise


def must_compare(on: str, listens: bool) -> bool:
    """Tell whether only a code that two people compare can say who is at the other end of a link (SPEC §19.1-4)."""
    name, _, address = on.partition(":")
    return name == "lan" and (listens or address.partition("@")[0].strip().lower() == "any")


def opened_door(on: str, suite: Suite | None, ready: str, fail: Fail) -> Door:
    """Wait at an address from now on, having said on stderr that ``ready`` is so, and where.

    With a ``suite`` the address names the key that will answer, if it can; without, nothing is introduced.
    """
    scheme, address = open_scheme(on)
    listener = scheme.listen(address)
    ephemeral, handover = None, NO_HANDOVER
    try:
        if suite is not None:
            ephemeral = suite.ephemeral(secrets.token_bytes(32))
            handover = introduce(listener, ident(ephemeral.public))
    except TapError as error:
        listener.close()
        raise fail(error) from error
    where = f"{on.partition(':')[0]}:{listener.address}"
    note(f"Ready: {ready}, on {where}")
    if handover != NO_HANDOVER and "+" not in on.partition(":")[0]:
        show_code(where)  # what NFC hands over, nobody scans
    return Door(scheme, listener, ephemeral, handover)


def wait(on: str, suite: Suite | None, ready: str, timeout: float, fail: Fail) -> Met:
    """Wait for one device at an address; see :func:`opened_door`."""
    door = opened_door(on, suite, ready, fail)
    try:
        return door.met(door.listener.accept(timeout), door.ephemeral)
    except TapError as error:
        raise fail(error) from error
    finally:
        door.listener.close()


def reach(on: str, timeout: float, fail: Fail) -> Met:
    """Connect to the device at an address."""
    scheme, address = open_scheme(on)
    try:
        link = scheme.connect(address, timeout)
    except TapError as error:
        if error.code is Code.BAD_INPUT:
            raise
        raise fail(error) from error
    return Met(link, True, scheme, None, handover_of(link), compares(link))


def saying(text: str) -> Fail:
    """Return what puts ``text`` in the place of an error's detail, but where that has a remedy of its own."""

    def fail(error: TapError) -> TapError:
        kept = error.code is Code.BAD_INPUT and error.detail  # such as an extra that is missing
        return TapError(error.code, error.detail if kept else text)

    return fail

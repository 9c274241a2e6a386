"""``card`` and ``sync --on``: a device that only listens, and does what comes to it once."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from dualtap.errors import TABLE as ERRORS
from dualtap.errors import Code, Fault, TapError
from dualtap.events import Consent, Decline
from dualtap.owning import AskOwner, Told
from dualtap.wire import Want
from dualtap_apps.exits import Exit
from dualtap_apps.hosting import Torn, host
from dualtap_apps.linking import Met, opened_door, saying
from dualtap_apps.output import emit, wallet_id
from dualtap_apps.paying_once import PayingOnce
from dualtap_apps.taps import Confirm, asks, tell
from dualtap_apps.traffic import told
from dualtap_apps.wallets import synced
from dualtap_devices.disk import Label, opened, read_label
from dualtap_devices.driver import Driver, always
from dualtap_devices.owning import Press, typed
from dualtap_devices.passive import ANY, Done, Waiting, attend, check_first
from dualtap_devices.verifying import Keypad
from dualtap_transports.nearness import round_trip_of

_WANTS = {"pay": Want.PAY, "collect": Want.COLLECT, "sync": Want.SYNC, "own": Want.OWN}


def card_once(
    folder: Path, on: str, only: tuple[str, ...], confirm: Confirm | None, timeout: float, as_json: bool,
    log_level: str = "", keypad: Keypad | None = None,
) -> Exit:  # fmt: skip
    """Be a card until one thing is done: pay whoever charges, or begin what a reader calls for.

    Strangers, and links that are torn, leave it waiting, ``timeout`` seconds in all. It pays once.
    """
    label = read_label(folder)
    allowed = ANY | Want.OWN
    if only:
        allowed = Want(sum(_WANTS[item] for item in set(only)))
    with opened(folder) as wallet:
        ended, once = list[Done](), PayingOnce(wallet)

        def serve(met: Met) -> TapError | None:
            link = told(met.link, wallet, log_level)
            # A card has no screen: what it is held to, and its tier's limits, are its owner's word (SPEC §10.1-8).
            person = asks(confirm, link) if confirm is not None and label.device.screen else always
            waiting = Waiting(
                allowed, person=once.only(person), ephemeral=met.ephemeral, handover=met.handover,
                deposits=label.device.deposits, within=round_trip_of(met.scheme), begun=once.taps.append,
                press=typed(wallet, keypad, _press(label, confirm, named="own" in only)),
            )  # fmt: skip
            try:
                done = attend(wallet, link, waiting, timeout)
            except TapError as error:
                return _left(error)
            why = once.in_vain() if isinstance(done, Driver) else None
            ended[:] = [*once.taps[-1:]] if isinstance(done, Driver) else [done]
            return why

        nobody = saying(f"nobody came within {timeout:g} s; try again")
        said = f"{label.name} waits to {' or '.join(only or tuple(_WANTS))}"
        door = opened_door(on, wallet.book.scheme.suite, said, nobody)
        try:
            host(door, timeout, nobody, partial(check_first, allowed=allowed), serve)
        except TapError as error:
            if error.code is not Code.TIMEOUT or not ended:
                raise
        if not ended:
            raise nobody(TapError(Code.LINK_LOST))
        done = ended[-1]
        if isinstance(done, Driver):
            return tell(done, done.result, as_json)
        if isinstance(done, Told):
            owner = "" if done.peer is None else wallet_id(done.peer.key)
            bound = wallet_id(wallet.book.ties.owner)
            whose = f"it is bound to wallet {bound}" if bound else "it is bound to nobody"
            emit(as_json, {"result": "owned", "peer": owner, "owner": bound}, f"Served wallet {owner}; {whose}")
            return Exit.OK
        synced(done, wallet, label, as_json)
    return Exit.OK


def _left(error: TapError) -> TapError:
    """Return why a sync or an owner's session leaves a card waiting; raise what waiting on would not help."""
    fault = ERRORS[error.code].fault if isinstance(error.code, Code) else Fault.ME
    if fault is Fault.LINK:
        return Torn(error.code, error.detail)
    if fault is Fault.PEER:
        return error
    raise error


def _press(label: Label, confirm: Confirm | None, *, named: bool) -> Press:
    """Return who is asked whether this wallet may be bound: a person at a screen, or whoever typed ``--only own``."""

    def press(ask: AskOwner) -> Consent | Decline:
        what = "Bind this wallet to" if ask.bind else "Show what this wallet holds to"
        if confirm is not None and label.device.screen:
            return Consent() if confirm(f"{what} wallet {wallet_id(ask.owner.key)}?") else Decline()
        return Consent() if named else Decline()

    return press

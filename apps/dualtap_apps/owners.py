"""``wallet bind|look|limit|freeze|unbind|lost``: a soft wallet, and the wallets that it owns (SPEC §23)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from dualtap import limits
from dualtap.account import ENTRY_ROOM
from dualtap.errors import Code, TapError
from dualtap.keystore import sign_with
from dualtap.ownerend import OwnerEnd, errand_of, order_of
from dualtap.ownermessages import StateMessage
from dualtap.owning import Bond, Look, Release, Restrain, Told, Wish
from dualtap.records import Ordered
from dualtap.statements import Errand, OrderBody, Signed
from dualtap.ties import Restraint
from dualtap.walletend import WalletEnd
from dualtap_apps.exits import Exit
from dualtap_apps.linking import must_compare, reach, saying, wait, waits
from dualtap_apps.money import parse
from dualtap_apps.money import show as money
from dualtap_apps.output import emit, is_name, restrained, wallet_id
from dualtap_apps.traffic import told
from dualtap_devices.disk import opened, read_label
from dualtap_devices.owning import Session, called, exchange, fresh, least, typed
from dualtap_devices.owning import run as serve
from dualtap_devices.verifying import Keypad
from dualtap_devices.wallet import Wallet

NONE = "none"
"""How a limit is lifted."""


@dataclass(frozen=True, slots=True)
class Where:
    """How an owner meets a wallet: by its folder on this machine, or over a link; by its name alone, it does not.

    ``wallet`` is a folder, or the 16 hex digits of a wallet; without it, the only one that is owned is meant.
    ``keypad`` takes the PIN of a wallet in a folder that has one.
    """

    wallet: str = ""
    on: str = ""
    side: str | None = None
    timeout: float = 60.0
    log_level: str = ""
    keypad: Keypad | None = None

    @property
    def folder(self) -> Path | None:
        """The wallet's folder, if that is meant."""
        return Path(self.wallet) if self.wallet and not self.on and not is_name(self.wallet) else None

    @property
    def meets(self) -> bool:
        """Whether owner and wallet meet now."""
        return bool(self.on) or self.folder is not None


def owned(wallet: Wallet, name: str = "") -> bytes:
    """Return the key of a wallet that this one owns, by its name, or of the only one.

    Raises ``NOT_BOUND`` if there is none, and ``BAD_INPUT`` if it is not plain which is meant.
    """
    keys = list(wallet.book.ties.owned)
    found = [key for key in keys if name in ("", wallet_id(key))]
    if len(found) == 1:
        return found[0]
    if not keys:
        raise TapError(Code.NOT_BOUND, "it owns no wallet")
    raise TapError(Code.BAD_INPUT, f"it owns {', '.join(map(wallet_id, keys))}: name one")


def carry_out(folder: Path, wallet: Wallet, wish: Wish, where: Where) -> Told:
    """Let an owner carry out a wish at a wallet that it meets now; raise the error with which that ended."""
    if where.folder is not None:
        if where.folder.resolve() == folder.resolve():
            raise TapError(Code.SELF_PAYMENT, "a wallet cannot own itself")
        with opened(where.folder) as other:
            owner = Session(wallet, OwnerEnd(wallet.book, wish, fresh(wallet)))
            end = WalletEnd(other.book, fresh(other), least(other))
            exchange(owner, Session(other, end, typed(other, where.keypad)))
            return owner.result()
    expected = owned(wallet, where.wallet) if where.wallet and not isinstance(wish, Bond) else b""
    if waits(where.on, where.side, otherwise=False):
        nobody = saying(f"no bridge called within {where.timeout:g} s; try again")
        met = wait(where.on, None, "an owner that a bridge calls", where.timeout, nobody)
        handover = called(met.link, where.timeout)
    else:
        if must_compare(where.on, listens=False):
            raise TapError(Code.BAD_INPUT, f"name the text that the wallet shows, in place of {where.on}")
        nobody = saying(f"no wallet waits at {where.on}: start `dualtap card FOLDER --on {where.on} --only own` there")
        met = reach(where.on, where.timeout, nobody)
        handover = met.handover
    mine = OwnerEnd(wallet.book, wish, fresh(wallet), expected, handover)
    return serve(Session(wallet, mine), told(met.link, wallet, where.log_level), where.timeout)


def bind(folder: Path, where: Where, as_json: bool) -> Exit:
    """Bind a wallet to the one in a folder."""
    with opened(folder) as wallet:
        name = _peer(carry_out(folder, wallet, Bond(), where))
        mine = wallet_id(wallet.book.key)
    label = read_label(folder)
    text = f"Wallet {name} is bound to {label.name}, wallet {mine}"
    emit(as_json, {"result": "bound", "wallet": name, "owner": mine}, text, "The issuer learns of it at the next sync")
    return Exit.OK


def unbind(folder: Path, where: Where, as_json: bool) -> Exit:
    """Give up a wallet, which then obeys nobody."""
    with opened(folder) as wallet:
        name = _peer(carry_out(folder, wallet, Release(), where))
    emit(as_json, {"result": "unbound", "wallet": name}, f"Wallet {name} is bound to nobody: what you ordered is over")
    return Exit.OK


def look(folder: Path, where: Where, lines: int, as_json: bool) -> Exit:
    """Show what an owned wallet holds, as it says itself."""
    currency = read_label(folder).currency
    with opened(folder) as wallet:
        if not where.meets and not where.wallet:
            return _mine(wallet, currency, as_json)
        found = carry_out(folder, wallet, Look(lines), where)
    state = found.state
    assert state is not None
    fields = {"wallet": _peer(found), **_fields(state)}
    emit(as_json, fields, *_lines(_peer(found), state, currency))
    return Exit.OK


def restrain(
    folder: Path, where: Where, as_json: bool, *, frozen: bool | None = None, payment: str = "", day: str = ""
) -> Exit:
    """Turn an owned wallet off or on, or limit it, now or, where it is not met, by the next syncs of both.

    Either takes back that it is lost (SPEC §16-22). So one that is not met is turned on first: it was found.
    """
    currency = read_label(folder).currency
    wish = Restrain(frozen, _limit(payment, currency), _limit(day, currency))
    if wish == Restrain():
        raise TapError(Code.BAD_INPUT, f"say what to limit: --payment or --day, an amount or {NONE}")
    with opened(folder) as wallet:
        if where.meets:
            key = _key(carry_out(folder, wallet, wish, where))
        else:
            key = owned(wallet, where.wallet)
            if frozen is not False and wallet.book.ties.reported_lost(key):
                again = f"`dualtap wallet freeze {folder} {wallet_id(key)} --off`"
                raise TapError(Code.BAD_INPUT, f"this would take back that it is lost; if it was found: {again}")
            keep(wallet, order_of(wallet.book, key, wish))
        restraint = wallet.book.ties.given_to(key)
    when = "It obeys from now on" if where.meets else "It obeys once this wallet has synced, and then that one"
    fields = {"wallet": wallet_id(key), **restraint._asdict(), "obeyed": where.meets}
    emit(as_json, fields, f"Wallet {wallet_id(key)} {restrained(restraint, currency)}", when)
    return Exit.OK


def lost(folder: Path, name: str, as_json: bool) -> Exit:
    """Order that an owned wallet is lost, to be told by the next sync."""
    with opened(folder) as wallet:
        key = theirs(name, folder, wallet)
        keep(wallet, errand_of(wallet.book, key, Errand.LOST))
    emit(
        as_json,
        {"result": "lost", "wallet": wallet_id(key)},
        f"Wallet {wallet_id(key)} is lost: tell the issuer now, by `dualtap sync {folder}`",
        "What it held is paid to this wallet when the last day to claim it is past; until then a finder may spend it",
        f"Found again: `dualtap wallet freeze {folder} {wallet_id(key)} --off`",
    )
    return Exit.OK


def theirs(name: str, folder: Path, wallet: Wallet) -> bytes:
    """Return the key of an owned wallet by its name, or by its folder if that is at hand; raise ``NOT_BOUND``."""
    if (Path(name) / "wallet.json").is_file() and name:
        return owned(wallet, wallet_id(key_of(Path(name), folder, wallet)))
    return owned(wallet, name)


def key_of(other: Path, folder: Path, wallet: Wallet) -> bytes:
    """Return the key of the wallet in a folder; ``wallet``, of ``folder``, is open already."""
    if other.resolve() == folder.resolve():
        return wallet.book.key
    with opened(other) as found:
        return found.book.key


def keep(wallet: Wallet, order: Signed[OrderBody]) -> None:
    """Sign an order and make it durable, in room that nothing is reserved for: it goes up with the next sync."""
    wallet.check()
    wallet.tidy()
    wallet.book.reserve(ENTRY_ROOM)
    wallet.write(Ordered(order.sealed(sign_with(wallet.keystore, order))))


def _key(found: Told) -> bytes:
    assert found.peer is not None
    return found.peer.key


def _peer(found: Told) -> str:
    return wallet_id(_key(found))


def _limit(text: str, currency: str) -> int | None:
    if not text:
        return None
    return limits.AMOUNT if text == NONE else parse(text, currency)


def _mine(wallet: Wallet, currency: str, as_json: bool) -> Exit:
    """Show which wallets one owns, by whom it is owned, and what was ordered."""
    ties = wallet.book.ties
    rows = [
        {"wallet": wallet_id(key), **ties.given_to(key)._asdict(), "lost": ties.reported_lost(key)}
        for key in ties.owned
    ]
    lines = [
        f"Owns wallet {wallet_id(key)}, which "
        + ("is reported lost" if ties.reported_lost(key) else restrained(ties.given_to(key), currency))
        for key in ties.owned
    ]
    owner = wallet_id(ties.owner)
    if owner:
        lines.append(f"Bound to wallet {owner}; it {restrained(ties.restraint(), currency)}")
    emit(as_json, {"owns": rows, "owner": owner}, *(lines or ["Owns no wallet, and is bound to none"]))
    return Exit.OK


def _day(epoch: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=epoch)).isoformat()


def _fields(state: StateMessage) -> dict[str, object]:
    return {
        "bound": bool(state.bind),
        "balance": state.balance,
        "in_doubt": state.doubt,
        "available": state.available,
        "frozen": state.frozen,
        "payment": state.payment,
        "day": state.day,
        "expiries": [one._asdict() for one in state.expiries],
        "history": [{**line._asdict(), "peer": line.peer.hex()} for line in state.lines],
    }


def _lines(name: str, state: StateMessage, currency: str) -> list[str]:
    """Return what a wallet said of itself, as people read it."""
    found = [
        f"Wallet {name}: {money(state.available, currency)} can be paid, of {money(state.balance, currency)} held",
        f"  {restrained(Restraint(state.frozen, state.payment, state.day), currency)}",
    ]
    if state.doubt:
        found.append(f"  {money(state.doubt, currency)} in doubt: tap the same device again")
    if not state.bind:
        found.append("  bound to nobody")
    found += [f"  {money(amount, currency)} until {_day(epoch)}" for epoch, amount in state.expiries]
    found += [
        f"  {_day(line.epoch)}  {line.what:<10} {money(line.amount, line.currency):>16}  {line.peer.hex() or '-'}"
        for line in state.lines
    ]
    return found

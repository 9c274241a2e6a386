"""What thieves do in a simulated world: they clone, rewind, sign whatever helps them, and collude.

Their machines are the production ones with a chip that signs anything; what no machine signs is made here by hand.
"""

from __future__ import annotations

import random
from contextlib import suppress
from typing import cast

from dualtap import codec
from dualtap.book import Book
from dualtap.errors import TapError
from dualtap.forms import plain, signed
from dualtap.keystore import Head, sign_with
from dualtap.records import Healed, Holding
from dualtap.statements import (
    Body,
    CloseBody,
    Kind,
    Opening,
    Outcome,
    Parent,
    ReceiptBody,
    Side,
    Signed,
    Span,
    TapeStatement,
    TransferBody,
    Warrant,
)
from dualtap.sync import SignedUpload, encode_signed_upload, encode_upload, sync_statement, upload_of
from dualtap_devices.syncing import sync
from dualtap_devices.wallet import Wallet
from dualtap_testing.checkers import PromiseBroken
from dualtap_testing.devices import Chest, Device, Power, PoweredKeystore, PoweredStore
from dualtap_testing.people import THIEVES
from dualtap_testing.reading import Word, unpack, word
from dualtap_testing.taps import LinkFault, TapPlan
from dualtap_testing.world import World

LIES = ("fork", "tape fork", "dead spent", "two outcomes", "another's", "one unit twice", "not dead")


def clone(world: World, device: Device) -> Device:
    """Copy a device, chip and all; the copy is in the world from now on."""
    world.fall(device)
    power, chest = Power(), device.chests[-1]
    chest.keystore.lax = True
    keystore = chest.keystore.clone(power)
    copied = Chest(keystore, PoweredStore(power, list(chest.store.log)), world.checkers.shelf(chest.key))
    twin = Device(f"{device.name}'", world.scheme, device.profile, copied, power)
    world.devices.append(twin)
    world.watch.read()
    return twin


def rewind(world: World, device: Device, share: float) -> None:
    """Take a thief's device back to an older store; its chip says that it signed no more than that."""
    world.fall(device)
    chest = device.chests[-1]
    records = chest.store.log[: max(1, int(len(chest.store.log) * share))]
    keystore = chest.keystore.clone(device.power)
    store = PoweredStore(device.power, records)
    book = Wallet(world.scheme, device.profile, keystore, PoweredStore(Power(), records)).book
    keystore.head = Head(book.counter, book.tail_ids()[0])
    device.chests[-1] = Chest(keystore, store, world.checkers.shelf(chest.key))
    device.reopen()
    world.watch.read()


def restore_backup(world: World, device: Device, share: float) -> None:
    """Open an old copy of an honest store beside its chip: quarantined if it misses what was signed; it may sync."""
    if not world.honest(device):
        return
    chest = device.chests[-1]
    records = chest.store.log[: max(1, int(len(chest.store.log) * share))]
    power = Power()
    keystore = PoweredKeystore(world.scheme, chest.keystore.secret, power)
    keystore.head = chest.keystore.head
    old = Wallet(world.scheme, device.profile, keystore, PoweredStore(power, records))
    known = {entry.id for entry in (*old.book.tape, *old.book.graph.transfers.values())} | {old.book.previous}
    missing = [entry for entry in device.wallet.book.tape if entry.signature and entry.id not in known]
    if missing and not old.quarantined:
        raise PromiseBroken(3, "a store that misses what was signed is not quarantined")
    if old.quarantined and old.book.joined:
        sync(old, _Reach(world), world.draw(), deposit=True)


def confuse(world: World, device: Device, draw: random.Random) -> None:
    """A confused host asks an honest chip to sign at a place that is taken: it must refuse."""
    chest = device.chests[-1]
    head = chest.keystore.head
    # A chip that never signed has taken no place: a counter that skipped before stands in no cell.
    if not world.honest(device) or head.ctr < 2 or not (head.id or head.successor):
        return
    last = world.checkers.last_place(device.key)
    prev, ctr = last if last is not None and draw.random() < 0.5 else (head.ctr - 1, head.ctr + 1)
    opening = Opening(draw.randbytes(16), prev, ctr)
    close = signed(world.scheme.id, chest.key, CloseBody(draw.randbytes(32), 0, world.epoch), opening)
    with suppress(TapError):
        sign_with(chest.keystore, close)
    for old in [chest for one in world.devices if world.honest(one) for chest in one.chests[:-1]]:
        _ask_retired(world, old, draw)
    device.touched = True
    world.watch.read()


def _ask_retired(world: World, chest: Chest, draw: random.Random) -> None:
    """A confused host asks a chip that was retired to pay: it must refuse."""
    head = chest.keystore.head
    opening = Opening(draw.randbytes(16), head.ctr, head.ctr + 1, request=draw.randbytes(32))
    span = Span(Parent(draw.randbytes(32), Side.TOKEN, 0), 0, 1)
    body = TransferBody(draw.choice(world.devices).key, (span,), world.epoch, ())
    if head.successor:
        with suppress(TapError):
            sign_with(chest.keystore, signed(world.scheme.id, chest.key, body, opening))
            raise PromiseBroken(3, "a chip that was retired signs a payment")


class _Reach:
    def __init__(self, world: World) -> None:
        self._world = world

    def challenge(self) -> bytes:
        return self._world.ledger.challenge(self._world.draw())

    def sync(self, signed_upload: bytes) -> bytes:
        return self._world.network.deliver(signed_upload)


def sealed(world: World, device: Device, statement: Signed[Body]) -> TapeStatement:
    """Return a statement signed by the bare secret; the checkers learn of it."""
    secret = device.chests[-1].keystore.secret
    found = cast("TapeStatement", statement.sealed(world.suite.signer(secret).sign(statement.id)))
    world.checkers.bag.word(word(world.scheme.id, unpack(codec.pack(plain(found)))))
    return found


def place(draw: random.Random) -> Opening:
    """Return a place on the tape that no machine takes."""
    prev = 1_000_000 + 10 * draw.randrange(1 << 24)
    return Opening(draw.randbytes(16), prev, prev + 1)


def lie(world: World, device: Device, draw: random.Random, only: str = "") -> None:
    """Sign what no honest machine signs, and upload it; ``only`` one of :data:`LIES`."""
    first = draw.randrange(len(LIES))
    for kind in (only,) if only else (*LIES[first:], *LIES[:first]):
        found = _lie(world, device, kind, draw)
        if found is not None:
            world.fall(device)
            upload(world, device, sealed(world, device, found))
            world.faults += 1
            return


def upload(world: World, device: Device, statement: TapeStatement) -> None:
    """Tell the ledger of a statement, in a thief's name."""
    book, scheme = device.wallet.book, world.scheme
    whole = upload_of(book)
    data = encode_upload(whole._replace(tape=(*whole.tape, statement)))
    challenge = world.ledger.challenge(world.draw())
    said = sync_statement(scheme, book.key, data, challenge, book.trust.epoch)
    signature = sign_with(device.chests[-1].keystore, said)
    world.network.deliver(encode_signed_upload(SignedUpload(data, challenge, book.trust.epoch, signature)))


def _lie(world: World, device: Device, kind: str, draw: random.Random) -> Signed[Body] | None:
    bag, key, opening = world.checkers.bag, device.key, place(draw)
    spans: tuple[Span, ...] = ()
    mine = [one for one in bag.transfers.values() if one.key == key and bag.good(one.id) and _alive(world, one)]
    match kind:
        case "fork" | "tape fork" if mine:
            transfer = draw.choice(mine)
            parent, start, end = transfer.pieces[0]
            spans = (Span(Parent(parent[0], Side(parent[1]), parent[2]), start, end),)
            if kind == "tape fork" and transfer.place is not None:
                opening = opening._replace(prev=transfer.place[0], ctr=transfer.place[1])
        case "dead spent":
            dead = [one for one in bag.transfers.values() if one.payee == key and bag.dead(one) and _alive(world, one)]
            if dead:
                transfer = draw.choice(dead)
                _, start, end = transfer.pieces[0]
                spans = (Span(Parent(transfer.id, Side.PAYEE, 0), start, end),)
        case "not dead":
            alive = [one for one in mine if not bag.dead(one) and one.payee not in bag.offices]
            if alive:
                transfer = draw.choice(alive)
                _, start, end = transfer.pieces[0]
                spans = (Span(Parent(transfer.id, Side.PAYER, 0), start, end),)
        case "another's":
            other = [named for named, coin in bag.coins.items() if coin.owner != key]
            spans = (Span(Parent(draw.choice(other), Side.TOKEN, 0), 0, 2),)
        case "one unit twice":
            own = [named for named, coin in bag.coins.items() if coin.owner == key]
            if own:
                root = Parent(draw.choice(own), Side.TOKEN, 0)
                spans = (Span(root, 0, 3), Span(root, 2, 4))
        case "two outcomes":
            return _other_outcome(world, key, opening, draw)
        case _:
            pass
    if not spans:
        return None
    body = TransferBody(world.ledger.authority.institution, spans, world.epoch, ())
    return signed(world.scheme.id, key, body, opening)


def _alive(world: World, transfer: Word) -> bool:
    return not world.checkers.is_settled(transfer)


def _other_outcome(world: World, key: bytes, opening: Opening, draw: random.Random) -> Signed[Body] | None:
    bag, scheme = world.checkers.bag, world.scheme.id
    asked = [(request, given) for (payee, request), given in bag.answers.items() if payee == key]
    if not asked:
        return None
    request, given = draw.choice(asked)
    if b"" not in given:
        return signed(scheme, key, CloseBody(request, 0, world.epoch), opening)
    for transfer, answered in bag.requests.items():
        if answered == request and transfer not in given:
            return signed(scheme, key, ReceiptBody(request, transfer, world.epoch), opening)
    return None


def swell(world: World, device: Device, draw: random.Random) -> None:
    """Pay somebody with units that a thief does not own or has spent; what pays is a copy, which no log can open."""
    tokens = device.wallet.book.graph.tokens
    if not tokens:
        return
    twin = clone(world, device)
    book = twin.wallet.book
    named = draw.choice(list(tokens))
    roots = [Parent(named, Side.TOKEN, 0)]
    for transfer in book.graph.transfers.values():
        roots += [Parent(transfer.id, Side.PAYER if transfer.key == device.key else Side.PAYEE, 0)]
    parent = draw.choice(roots)
    if parent.side is Side.TOKEN:
        start = draw.randrange(tokens[named].amount)
        end = min(tokens[named].amount + draw.choice([1, 9]), start + draw.randint(1, 9))
    else:
        named = book.graph.origin(parent).token
        _, start, end = book.graph.transfers[parent.id].body.spans[0]
        end += draw.random() < 0.3
    if parent.side is Side.PAYER and parent.id not in book.graph.warrants:
        _pretend(world, book, parent.id, draw)
    book.holdings[:] = [Holding(parent, named, start, end)]
    other = draw.choice([one for one in world.devices if not set(one.keys) & set(device.keys)])
    world.faults += 1
    world.tap(twin, other, end - start, TapPlan())
    world.devices.remove(twin)


def _pretend(world: World, book: Book, transfer: bytes, draw: random.Random) -> None:
    """Let a thief's wallet believe that a transfer is dead, by its payee's outcome of another request."""
    sent = book.graph.transfers[transfer]
    questions = [one for device in world.devices for one in device.wallet.book.questions.values()]
    given = [one.outcome for one in questions if one.outcome is not None and one.outcome.key == sent.body.payee]
    given = [one for one in given if one.signature and sent.opening is not None]
    if given:
        book.graph.warrants[transfer] = Warrant(sent.shown().answered(), draw.choice(given))


def scrawl(world: World, device: Device, draw: random.Random) -> None:
    """Answer a payment by an outcome without a signature; who answers is a copy, of which nobody else reads."""
    payer = draw.choice(world.devices)
    if not world.honest(payer) or payer.key == device.key:
        return
    twin = clone(world, device)
    world.devices.remove(twin)
    twin.chests[-1].keystore.scrawls = frozenset({Kind.RECEIPT, Kind.CLOSE})
    world.faults += 1
    world.tap(payer, twin, draw.randint(1, 9), TapPlan())


def misname(world: World, device: Device, draw: random.Random, payer: Device | None = None, amount: int = 0) -> bool:
    """Answer a payment by the Receipt of another transfer, which nobody made: it is dead by that.

    Return whether it came to that.
    """
    payer = payer or draw.choice(world.devices)
    if not world.honest(payer) or payer.key == device.key:
        return False
    world.fall(device)
    world.tap(payer, device, amount or draw.randint(1, 9), TapPlan(LinkFault("lose", 2)), payer_starts=True)
    twin = clone(world, device)
    world.devices.remove(twin)
    book = twin.wallet.book
    for sent in payer.wallet.book.pending.values():
        request = sent.transfer.shown().request
        if sent.transfer.body.payee == device.key and request in book.open:
            body = ReceiptBody(request, draw.randbytes(32), world.epoch)
            given = sealed(world, device, cast("Signed[Body]", signed(world.scheme.id, device.key, body, place(draw))))
            book.questions[request] = book.questions[request]._replace(outcome=cast("Outcome", given))
            book.open.pop(request)
            world.faults += 1
            world.tap(payer, twin, 1, TapPlan())
            return True
    return False


def collude(world: World, draw: random.Random) -> None:
    """One thief pays another, who keeps the money and closes the request as well: now both have it."""
    payer, payee = (next(one for one in world.devices if one.name == name) for name in draw.sample(THIEVES, 2))
    starts = draw.random() < 0.5
    world.fall(payer)
    world.fall(payee)
    world.tap(payer, payee, draw.randint(1, 9), TapPlan(LinkFault("lose", 3 if starts else 4)), payer_starts=starts)
    for sent in list(payer.wallet.book.pending.values()):
        request = sent.transfer.shown().request
        if sent.transfer.body.payee == payee.key and sent.transfer.id in payee.wallet.book.taken:
            close = signed(world.scheme.id, payee.key, CloseBody(request, 0, world.epoch), place(draw))
            closed = cast("Outcome", sealed(world, payee, cast("Signed[Body]", close)))
            payer.wallet.write(Healed(sent.transfer.id, closed))
            payer.touched = True
            world.faults += 1
            world.watch.read()
            return

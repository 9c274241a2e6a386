"""What honest wallets do, day after day: all of it legal, most of it suspicious to whoever looks at one part only."""

from __future__ import annotations

from collections.abc import Callable

from dualtap.renewal import RENEWAL
from dualtap.statements import Side, Transfer
from dualtap.sync import Upload
from dualtap_testing.forging import CLAIM_BY, EPOCH, Hand, Piece
from dualtap_testing.quarter import DAYS, Quarter

Deed = Callable[[Quarter], None]


def _customers(quarter: Quarter) -> tuple[Hand, Hand]:
    payer = quarter.person()
    payee = quarter.shop() if quarter.draw.random() < 0.7 else quarter.person()
    return (payer, payee) if payer is not payee else (payer, quarter.person(payer))


def pays(quarter: Quarter) -> None:
    """A clean tap; the payer hears the Receipt, and may tell it too."""
    payer, payee = _customers(quarter)
    pieces = quarter.choose(payer, payee.key)
    if pieces:
        transfer = quarter.offer(payer, payee.key, pieces)
        receipt = quarter.accept(transfer, payee)
        if quarter.draw.random() < 0.5:
            payer.heard.append(receipt)


def is_torn_before(quarter: Quarter) -> None:
    """The transfer never arrives: the payee closes its open request later, and the payer hears it later, or never."""
    payer, payee = _customers(quarter)
    pieces = quarter.choose(payer, payee.key)
    if pieces:
        transfer = quarter.offer(payer, payee.key, pieces)
        payer.pending[transfer.id] = transfer
        payee.unanswered.append(transfer)
        payer.due += sum(piece.amount for piece in pieces)


def is_torn_after(quarter: Quarter) -> None:
    """The Receipt never arrives: the value is the payee's, and the payer is in doubt."""
    payer, payee = _customers(quarter)
    pieces = quarter.choose(payer, payee.key)
    if pieces:
        transfer = quarter.offer(payer, payee.key, pieces)
        payer.pending[transfer.id] = transfer
        quarter.accept(transfer, payee)


def is_refused(quarter: Quarter) -> None:
    """The payee refuses by a Close; the payer goes elsewhere, with the same units."""
    payer, payee = _customers(quarter)
    pieces = quarter.choose(payer, payee.key)
    if pieces:
        transfer = quarter.offer(payer, payee.key, pieces)
        if quarter.draw.random() < 0.5:
            quarter.show(transfer, payee)
        quarter.dies(transfer, payer, payee)


def heals(quarter: Quarter) -> None:
    """A second tap: the payee closes what never arrived, and the payer spends it again at once."""
    payees = [person for person in quarter.people if person.unanswered]
    if not payees:
        return
    payee = quarter.draw.choice(payees)
    transfer = payee.unanswered.pop()
    payer = quarter.hands[transfer.key]
    quarter.dies(transfer, payer, payee)
    payer.due -= sum(span.end - span.start for span in transfer.body.spans)


def refunds(quarter: Quarter) -> None:
    """A payee gives back a part of what it was paid."""
    payee = quarter.person()
    fresh = [one for one in payee.pieces if one.span.parent.side is Side.PAYEE and one.hops < 4 and one.restored < 3]
    if not fresh:
        return
    piece = quarter.draw.choice(fresh)
    received = quarter.transfers[piece.span.parent.id]
    payer = quarter.hands[received.key]
    amount = quarter.draw.randint(1, piece.amount)
    if payer.bad or payer.retired or payer is payee or not quarter.fits(piece, payee, payer.key, amount):
        return
    taken, left = quarter.cut(piece, amount)
    payee.pieces.remove(piece)
    payee.pieces += left
    quarter.accept(quarter.offer(payee, payer.key, [taken], refund=received.id), payer)


def deposits(quarter: Quarter) -> None:
    """Somebody deposits a part of what it holds, however often restored, and goes on spending the rest."""
    person = quarter.person()
    if person.pieces:
        piece = quarter.draw.choice(person.pieces)
        taken, left = quarter.cut(piece, quarter.draw.randint(1, piece.amount))
        person.pieces.remove(piece)
        person.pieces += left
        hand_in(quarter, person, [taken])


def hand_in(quarter: Quarter, person: Hand, pieces: list[Piece], *, renew: bool = False) -> Transfer:
    """Deposit these pieces, or ask for fresh tokens in their place."""
    person.due += sum(piece.amount for piece in pieces)
    spans = [piece.span for piece in pieces]
    witness = (RENEWAL,) if renew else ()
    transfer = quarter.transfer(person, quarter.institution, spans, b"", witness=witness)
    quarter.show(transfer, person)
    del person.transfers[transfer.id]
    return transfer


def skips(quarter: Quarter) -> None:
    """A secure element skips counters: many, and none is missing."""
    quarter.person().skip += quarter.draw.choice([1, 100, 10**6])


def syncs(quarter: Quarter) -> None:
    """A sync, after which the same bag may come again later, by itself or within the next."""
    person = quarter.person()
    close_open(quarter, person)
    upload = quarter.upload(person)
    quarter.send(person, upload=upload)
    if quarter.draw.random() < 0.3:
        quarter.send(person, quarter.day + quarter.draw.randint(0, 5), upload)


def close_open(quarter: Quarter, person: Hand) -> None:
    """Close what was asked and never answered (SPEC §14-1); only that payer's sync will tell it."""
    for transfer in person.unanswered:
        outcome = quarter.close(person, transfer)
        payer = quarter.hands[transfer.key]
        if quarter.draw.random() < 0.5 and not payer.retired:
            quarter.hears(transfer, payer, outcome)
            payer.due -= sum(span.end - span.start for span in transfer.body.spans)
    person.unanswered.clear()


def rotates(quarter: Quarter) -> None:
    """A wallet changes its key: the old one closes, hands in all, and names its heir; it signs no payment again."""
    person = quarter.person()
    if person.certificate.category or quarter.draw.random() < 0.7:
        return
    close_open(quarter, person)
    for piece in person.pieces:
        hand_in(quarter, person, [piece])
    person.pieces.clear()
    retire(quarter, person)


def retire(quarter: Quarter, person: Hand) -> None:
    """Let a key name its heir, and sync."""
    person.retired = True
    secret = quarter.draw.randbytes(32)
    heir = quarter.suite.signer(secret)
    quarter.heirs[person.key] = heir.public
    upload: Upload = quarter.upload(person, successor=quarter.successor(person, heir))
    quarter.send(person, upload=upload, heir=secret)


DEEDS: dict[Deed, int] = {
    pays: 60, is_torn_before: 5, is_torn_after: 5, is_refused: 6, heals: 5, refunds: 6, deposits: 5, skips: 3,
    syncs: 8, rotates: 1,
}  # fmt: skip
"""What happens, and how often."""


def live(quarter: Quarter, statements: int, plots: list[Callable[[Quarter], None]]) -> None:
    """Let a quarter live until it has signed about so many statements; each plot has its hour among the deeds."""
    hours = sorted((quarter.draw.randrange(statements), number) for number in range(len(plots)))
    deeds, weights = list(DEEDS), list(DEEDS.values())
    while len(quarter.signed) < statements or hours:
        quarter.day = EPOCH + min(DAYS, len(quarter.signed) * DAYS // statements)
        while hours and hours[0][0] <= len(quarter.signed):
            plots[hours.pop(0)[1]](quarter)
        deed = quarter.draw.choices(deeds, weights)[0]
        deed(quarter)
        quarter.done[deed.__name__] += 1
    end(quarter)


def end(quarter: Quarter) -> None:
    """Everybody syncs before ``claim_by``, some late; what they still hold is theirs then."""
    for person in quarter.people:
        close_open(quarter, person)
    for person in quarter.people:
        quarter.send(person, quarter.draw.randint(quarter.day, CLAIM_BY))
        person.due += sum(piece.amount for piece in person.pieces)

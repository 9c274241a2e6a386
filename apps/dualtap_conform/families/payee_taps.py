"""Whole taps of a till: collected, refused, torn, healed. What a till accepts is in :mod:`.provenance`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dualtap.context import Charge
from dualtap.errors import Code
from dualtap.issued import Tier
from dualtap.suite import SUITES
from dualtap.wire import (
    DoneMessage,
    Hello,
    PresentMessage,
    ProceedMessage,
    RefuseMessage,
    TransferMessage,
    Want,
    encode,
)
from dualtap_conform.families.payer_taps import flipped, on_hello, on_outcome
from dualtap_conform.recorder import Alter, Frame, Plain, Play, Recorder, Said
from dualtap_conform.setup import Setup, set_up
from dualtap_conform.stage import CURRENCY, TIER, TODAY, Stage
from dualtap_conform.vector import Vector
from dualtap_devices.wallet import Wallet

LOST = "not_paid LINK_LOST"


def till(stage: Stage) -> Setup:
    """Return a till, without value of its own."""
    return set_up(stage, "pos")


def payer(stage: Stage, name: str = "card", amount: int = 10_000) -> Wallet:
    """Return a payer's card."""
    return set_up(stage, name, tokens=(stage.token(name, amount),)).wallet()


def on_transfer(change: Callable[[TransferMessage], Said | Frame | Plain]) -> Alter:
    """Alter the Transfer on its way."""
    return lambda said: change(said) if isinstance(said, TransferMessage) else said


def _collected(stage: Stage) -> Iterator[Vector]:
    for initiator in (False, True):
        scene = Recorder(stage, f"collects {initiator}", till(stage))
        scene.collect(payer(stage), scene.charge(), initiator=initiator)
        begins = "begins" if initiator else "answers"
        yield scene.vector("6-2 11.1-4 11.2-7", "Basic", f"The till {begins}, and collects 12.50.", "collected")
    scene = Recorder(stage, "collects hand", till(stage))
    friend = set_up(stage, "friend").wallet()
    giver = Recorder(stage, "gives", set_up(stage, "friend"))
    giver.wallet = friend
    giver.collect(payer(stage), giver.charge(3_000, "gift"))
    scene.collect(friend, scene.charge(1_000))
    scene.collect(friend, scene.charge(2_000, "second"))
    comment = "Value that has been through another hand, in two payments."
    yield scene.vector("5.4-4 8.1-10", "Basic", comment, "collected", "collected")
    scene = Recorder(stage, "declined", till(stage))
    scene.collect(payer(stage, amount=100), scene.charge())
    comment = "The payer refuses, for it has too little; the request stays open."
    yield scene.vector("11.1-4 11.2-8", "Refused", comment, "not_paid INSUFFICIENT")
    scene = Recorder(stage, "paid basket", till(stage))
    scene.collect(payer(stage), scene.charge())
    scene.collect(payer(stage, "other"), scene.charge())
    comment = "The basket is paid: a second card sees the till's key, and no Request."
    yield scene.vector("11.2-5", "OneBasket", comment, "collected", "done BASKET_PAID")
    scene = Recorder(stage, "two parts", till(stage))
    scene.collect(payer(stage), scene.charge(500))
    scene.collect(payer(stage, "other"), scene.charge(750, part=1))
    comment = "Two parts of one basket are paid by two cards."
    yield scene.vector("11.2-1 8.1-14", "OneBasket", comment, "collected", "collected")


def _dated(stage: Stage) -> Iterator[Vector]:
    """Cards with another date than the till's: one whose date is older is told the till's with the outcome."""
    for days, comment in (
        (-1, "The card's date is a day older: the header goes with the Receipt."),
        (0, "The card's date is the till's: no header goes with the Receipt."),
    ):
        scene = Recorder(stage, f"dated {days}", till(stage))
        card = set_up(stage, "card", tokens=(stage.token("card"),), header=stage.header(TODAY + days)).wallet()
        scene.collect(card, scene.charge())
        yield scene.vector("5.2-5 11.2-7", "HeaderSent Basic", comment, "collected")
    scene = Recorder(stage, "dated torn", till(stage))
    card = set_up(stage, "card", tokens=(stage.token("card"),), header=stage.header(TODAY - 1)).wallet()
    scene.collect(card, scene.charge(), play=Play(heard=2, told=1))
    scene.collect(card, scene.charge(200, "other"))
    comment = "The card's date is a day older, and the Receipt is lost: the header goes with it when it is told again."
    yield scene.vector("5.2-5 11.4-4", "HeaderSent Torn Healed", comment, "collected", "collected")


def _torn(stage: Stage) -> Iterator[Vector]:
    again = "the card comes back"
    for heard, told, comment, *ends in (
        (1, 0, f"The Request is lost; {again}: closed, and asked anew.", LOST, "collected"),
        (1, 1, f"The Transfer is lost; {again}: closed, then paid anew.", LOST, "collected"),
        (2, 1, f"The Receipt is lost; {again}: it is repeated.", "collected", "done BASKET_PAID"),
    ):
        scene = Recorder(stage, f"torn {heard} {told}", till(stage))
        card = payer(stage)
        scene.collect(card, scene.charge(), play=Play(heard=heard, told=told))
        scene.collect(card, scene.charge())
        yield scene.vector("11.2-1 11.4-4 4.1-10", "Torn Healed", comment, *ends)
    scene = Recorder(stage, "torn other card", till(stage))
    scene.collect(payer(stage), scene.charge(), play=Play(heard=1))
    scene.collect(payer(stage, "other"), scene.charge())
    comment = "Torn, and started again with another card: the first request is closed before the second is made."
    yield scene.vector("11.2-1", "Torn OneBasket", comment, LOST, "collected")
    scene = Recorder(stage, "torn other basket", till(stage))
    card = payer(stage)
    scene.collect(card, scene.charge(), play=Play(heard=1))
    scene.collect(card, scene.charge(300, "other"))
    comment = "The Transfer is lost; another basket is charged: it is shown, accepted late, then the other is paid."
    yield scene.vector("11.4-5 11.2-8", "Torn Healed", comment, LOST, "collected")


def _hellos(stage: Stage) -> Iterator[Vector]:
    def one(clauses: str, flag: str, comment: str, end: str, change: Callable[[Hello], Hello | Frame]) -> Vector:
        scene = Recorder(stage, comment, till(stage))
        scene.collect(payer(stage), scene.charge(), play=Play(alter=on_hello(change)))
        return scene.vector(clauses, flag, f"A Hello {comment}", f"not_paid {end}")

    yield one("6-6 6-10", "WrongScheme", "of another scheme: silence, and no Request is made.", "WRONG_SCHEME",
              lambda m: m._replace(scheme=flipped(m.scheme)))  # fmt: skip
    yield one(
        "6-7 6-10", "Downgrade", "without version 1: silence.", "WRONG_VERSION", lambda m: m._replace(versions=(0,))
    )
    yield one(
        "6-8 6-10", "WrongRole", "of another till: silence.", "WRONG_ROLE", lambda m: m._replace(want=Want.COLLECT)
    )
    bad = bytes(32) if stage.suite is SUITES["ed25519"] else b"\x02" + b"\xff" * 32
    yield one("3-13 6-10", "BadKey", "with an invalid ephemeral key: silence.", "BAD_KEY",
              lambda m: m._replace(ephemeral=bad))  # fmt: skip


def _frames(stage: Stage) -> Iterator[Vector]:
    """What comes in the place of the Transfer. Where no transfer can be read, the request stays open."""

    def one(clauses: str, flag: str, comment: str, end: str, found: Said | Frame | Plain) -> Vector:
        scene = Recorder(stage, comment, till(stage))
        scene.collect(payer(stage), scene.charge(), play=Play(alter=on_transfer(lambda m: found)))
        return scene.vector(clauses, flag, comment, f"not_paid {end}")

    yield one(
        "6-3 6-16", "BadSeal", "A frame that does not open: the tap ends, unanswered.", "BAD_SEAL", Frame(bytes(300))
    )
    yield one(
        "5.1-3 8.1-4", "Malformed", "A plaintext that is no message: Refuse, and no Close.", "MALFORMED", Plain(b"\x90")
    )
    yield one("5.2-2", "UnknownMessage", "A message of an unknown number.", "UNKNOWN_MESSAGE", Plain(b"\x91\x20"))
    yield one("11.1-3", "Unexpected", "A Proceed where a Transfer is due.", "UNEXPECTED_MESSAGE", ProceedMessage())
    yield one("11.2-9", "Refused", "A Done before anything is paid: declined.", "DECLINED", DoneMessage())
    yield one("11.1-4", "Refused", "A Refuse.", "DECLINED", RefuseMessage(Code.DECLINED))
    yield one("9-2", "Refused", "A Refuse with a code of a later version.", "4711", RefuseMessage(4711))


def _undecodable(message: TransferMessage) -> Plain:
    return Plain(encode(message) + b"\0")


def _forged(stage: Stage) -> Iterator[Vector]:
    """Transfers that are refused: by a Close, which the payer is shown again when it comes back."""

    def one(
        clauses: str, flag: str, comment: str, end: str, change: Callable[[TransferMessage], TransferMessage]
    ) -> Vector:
        scene = Recorder(stage, comment, till(stage))
        card = payer(stage)
        scene.collect(card, scene.charge(), play=Play(alter=on_transfer(change)))
        scene.collect(card, scene.charge(100, "next"))
        comment = f"{comment} The Close stands when the payer comes back."
        return scene.vector(clauses, f"{flag} Closed", comment, f"not_paid {end}", "collected")

    stands = "8.1-3 4.1-10"
    yield one(f"8.1-11 {stands}", "AlteredTransfer", "The Transfer's signature is altered.", "BAD_SIGNATURE",
              lambda m: m._replace(signature=flipped(m.signature)))  # fmt: skip
    yield one(f"8.1-11 {stands}", "AlteredTransfer", "Its seed is altered.", "BAD_SIGNATURE",
              lambda m: m._replace(seed=flipped(m.seed)))  # fmt: skip
    yield one(f"8.1-6 {stands}", "EpochAhead", "Its date is the payee's tomorrow.", "EPOCH_AHEAD",
              lambda m: m._replace(epoch=TODAY + 1))  # fmt: skip
    own = stage.certificate("pos")
    yield one(f"8.1-7 {stands}", "SelfPayment", "The payee's own certificate stands as the payer's.", "SELF_PAYMENT",
              lambda m: m._replace(bundle=m.bundle._replace(certificates=(own,))))  # fmt: skip
    extra = stage.certificate("someone")
    yield one(f"5.4-3 {stands}", "Certificates", "A certificate of no hand comes along.", "BROKEN_PROVENANCE",
              lambda m: m._replace(bundle=m.bundle._replace(certificates=(*m.bundle.certificates, extra))))  # fmt: skip
    scene = Recorder(stage, "undecodable", till(stage))
    card = payer(stage)
    scene.collect(card, scene.charge(), play=Play(alter=on_transfer(_undecodable)))
    scene.collect(card, scene.charge(100, "next"))
    comment = "The Transfer has one byte too many: a Refuse, no outcome; shown again in order, it is accepted."
    yield scene.vector("8.1-4 11.4-5", "TrailingBytes Healed", comment, "not_paid MALFORMED", "collected")
    limited = set_up(stage, "pos", policy=stage.policy(2, (Tier(1, 10_000, 9, 1, 10_000),)))
    scene = Recorder(stage, "limited", limited)
    scene.collect(payer(stage), scene.charge(100, "one"))
    scene.collect(payer(stage, "other"), scene.charge(100, "two"))
    comment = "The tier allows one receipt between two syncs: the second transfer is closed."
    yield scene.vector("8.1-14", "OverLimit", comment, "collected", "not_paid OVER_LIMIT")
    scene = Recorder(stage, "balance", set_up(stage, "pos", policy=stage.policy(2, (TIER._replace(balance=200),))))
    for amount in (201, 200, 1):
        scene.collect(payer(stage), scene.charge(amount, f"{amount}"))
    comment = "201 is more than the till may hold: it makes no Request, to heal only. 200 is not, and then 1 is."
    yield scene.vector("22-7 22-8", "OverLimit", comment, "not_paid OVER_LIMIT", "collected", "not_paid OVER_LIMIT")


def _double(stage: Stage) -> Iterator[Vector]:
    scene = Recorder(stage, "double", till(stage))
    setup = set_up(stage, "thief", tokens=(stage.token("thief", 1_000),))
    scene.collect(setup.wallet(), scene.charge(1_000, "one"))
    scene.collect(setup.wallet(), scene.charge(1_000, "two"))
    comment = "A thief's clone pays with the same token: closed, and kept for the next sync."
    yield scene.vector("8.3-1 8.3-5", "ConflictSeen", comment, "collected", "not_paid DOUBLE_SPENT")
    scene = Recorder(stage, "tape", till(stage))
    two = set_up(stage, "thief", tokens=(stage.token("thief", 1_000, "a"),))
    three = set_up(stage, "thief", tokens=(stage.token("thief", 2_000, "b"),))
    scene.collect(two.wallet(), scene.charge(1_000, "one"))
    scene.collect(three.wallet(), scene.charge(2_000, "two"))
    comment = "A clone pays with other value, at a counter that is taken."
    yield scene.vector("8.3-3 8.3-5", "TapeFork", comment, "collected", "not_paid TAPE_FORKED")


def _shown(stage: Stage) -> Iterator[Vector]:
    """Resumes: what a payer shows of earlier taps."""
    scene = Recorder(stage, "unknown", till(stage))
    elsewhere = Recorder(stage, "elsewhere", till(stage))
    card = payer(stage)
    elsewhere.collect(card, elsewhere.charge(), play=Play(heard=1))
    scene.collect(card, scene.charge(100, "next"))
    comment = "A transfer for a request that this till does not remember: a Refuse, never a Close."
    yield scene.vector("4.1-11 11.4-3", "UnknownRequest", comment, "not_paid UNKNOWN_REQUEST")


def _replayed(stage: Stage) -> Iterator[Vector]:
    scene = Recorder(stage, "replayed", till(stage))
    kept: list[TransferMessage] = []

    def keep(said: Said) -> Said:
        if isinstance(said, TransferMessage):
            kept.append(said)
        return kept[0] if isinstance(said, DoneMessage) else said

    card = payer(stage)
    scene.collect(card, scene.charge(), play=Play(alter=keep))
    scene.collect(card, scene.charge(), play=Play(alter=keep))
    comment = "The basket is paid, and nothing was asked: the old Transfer comes again where Done is due."
    yield scene.vector("6-12", "Replayed", comment, "collected", "not_paid REPLAYED_REQUEST")


def _proves(stage: Stage) -> Iterator[Vector]:
    """The till owes a card's owner: it paid, and never heard the outcome."""

    def owing(name: str) -> tuple[Recorder, Wallet]:
        scene = Recorder(stage, name, set_up(stage, "pos", tokens=(stage.token("pos"),)))
        card = payer(stage)
        back = Charge(400, CURRENCY, scene.basket("back"), person=True)
        scene.pay(card, back, play=Play(heard=2))
        return scene, card

    doubt = "in_doubt LINK_LOST"
    scene, card = owing("owes")
    scene.collect(card, scene.charge())
    comment = "The till asks the card to prove its key, shows what is in doubt, and then collects."
    yield scene.vector("11.2-6 11.4-1", "Healed", comment, doubt, "healed_paid", "collected")
    scene, card = owing("owes paid")
    scene.collect(payer(stage, "other"), scene.charge())
    scene.collect(card, scene.charge())
    comment = "The basket is paid, and yet the till heals what it owes."
    yield scene.vector("11.2-5 11.2-6", "Healed", comment, doubt, "collected", "healed_paid", "done BASKET_PAID")
    scene, card = owing("owes forged")
    scene.collect(
        card, scene.charge(), play=Play(alter=on_outcome(lambda m: m._replace(signature=flipped(m.signature))))
    )
    comment = "The outcome that the card gives is altered: it stays in doubt."
    yield scene.vector("11.3-12", "ForgedOutcome", comment, doubt, "in_doubt BAD_SIGNATURE")
    scene, card = owing("owes stranger")
    stranger = payer(stage, "stranger")
    scene.collect(stranger, scene.charge())
    comment = "A stranger proves its own key: nothing is shown to it, and it pays."
    yield scene.vector("11.4-1", "ShownToStranger", comment, doubt, "collected")
    scene, card = owing("owes imposter")
    forged = stage.certificate("card")

    def imposter(said: Said) -> Said:
        return said._replace(certificate=forged) if isinstance(said, PresentMessage) else said

    scene.collect(payer(stage, "stranger"), scene.charge(), play=Play(alter=imposter))
    comment = "A stranger shows the card's certificate beside its own signature: nothing is shown to it."
    yield scene.vector("6-11 11.4-1", "UnknownKeyShare", comment, doubt, "not_paid BAD_SIGNATURE")


def vectors() -> Iterator[Vector]:
    """Yield every tap of a till, for both suites."""
    for suite in SUITES.values():
        stage = Stage(suite)
        for family in (_collected, _dated, _torn, _hellos, _frames, _forged, _double, _shown, _replayed, _proves):
            yield from family(stage)

"""Whole taps of a payer's card: paid, refused, torn, healed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dualtap import limits
from dualtap.context import Pay
from dualtap.errors import Code
from dualtap.issued import Role, Tier
from dualtap.statements import Kind, RequestBody
from dualtap.suite import SUITES
from dualtap.wire import (
    DoneMessage,
    Hello,
    OutcomeMessage,
    ProceedMessage,
    RefuseMessage,
    RequestMessage,
    Want,
    encode_hello,
)
from dualtap_conform.families.payer_limits import limited
from dualtap_conform.recorder import Alter, Frame, Plain, Play, Recorder, Said
from dualtap_conform.setup import Setup, set_up
from dualtap_conform.stage import TODAY, Stage
from dualtap_conform.vector import Vector
from dualtap_devices.wallet import Wallet

DOUBT = "in_doubt LINK_LOST"


def card(stage: Stage, *amounts: int) -> Setup:
    """Return a payer's card with a token for each amount, of 100.00 if none is given."""
    tokens = tuple(stage.token("card", amount, f"{place}") for place, amount in enumerate(amounts or (10_000,)))
    return set_up(stage, "card", tokens=tokens, profile=limits.CARD)


def pos(stage: Stage, name: str = "pos") -> Wallet:
    """Return a till in good order."""
    return set_up(stage, name).wallet()


def strict(stage: Stage) -> Wallet:
    """Return a till that may receive nothing before its next sync: it closes whatever is paid."""
    return set_up(stage, "strict", policy=stage.policy(2, (Tier(1, 1_000_000, 1_000, 0, 0),))).wallet()


def on_request(change: Callable[[RequestMessage], Said | Frame | Plain]) -> Alter:
    """Alter the Request on its way."""
    return lambda said: change(said) if isinstance(said, RequestMessage) else said


def on_outcome(change: Callable[[OutcomeMessage], Said | Frame | Plain]) -> Alter:
    """Alter the outcome on its way."""
    return lambda said: change(said) if isinstance(said, OutcomeMessage) else said


def on_hello(change: Callable[[Hello], Hello | Frame]) -> Alter:
    """Alter the Hello on its way."""
    return lambda said: change(said) if isinstance(said, Hello) else said


def flipped(data: bytes) -> bytes:
    """Return data with its last bit changed."""
    return data[:-1] + bytes([data[-1] ^ 1])


def _paid(stage: Stage) -> Iterator[Vector]:
    for initiator in (False, True):
        scene = Recorder(stage, f"pays {initiator}", card(stage))
        scene.pay(pos(stage), scene.charge(), initiator=initiator)
        begins = "begins" if initiator else "answers"
        yield scene.vector("6-2 11.1-4 11.3-10", "Basic", f"The card {begins}, and pays 12.50 of its 100.00.", "paid")
    scene = Recorder(stage, "pays twice", card(stage))
    till = pos(stage)
    scene.pay(till, scene.charge(1_250, "one"))
    scene.pay(till, scene.charge(8_750, "two"))
    yield scene.vector("4.1-5 11.3-10", "Basic Change", "Two payments take a token to its last unit.", "paid", "paid")
    scene = Recorder(stage, "two tokens", card(stage, 700, 600))
    scene.pay(pos(stage), scene.charge(1_300))
    yield scene.vector("8.4-1 11.3-10", "Basic", "No token suffices: two spans.", "paid")
    scene = Recorder(stage, "no", card(stage))
    scene.pay(pos(stage), scene.charge(), play=Play(agrees=False))
    comment = "The person declines: a Refuse, and nothing is durable."
    yield scene.vector("11.3-9 11.3-11", "Declined", comment, "not_paid DECLINED")
    scene = Recorder(stage, "silence", card(stage))
    scene.pay(pos(stage), scene.charge(), play=Play(heard=0))
    yield scene.vector("11.1-4", "Torn", "Nobody speaks: nothing happened.", "not_paid LINK_LOST")


def _dated(stage: Stage) -> Iterator[Vector]:
    """Tills with another date than the card's: one whose date is older is told the card's, or it would refuse."""
    clauses, flag = "5.2-5 8.1-6", "HeaderSent"
    for days, comment in (
        (-1, "The till's date is a day older: the header goes with the Transfer."),
        (1, "The till's date is a day later: no header goes with the Transfer."),
    ):
        scene = Recorder(stage, f"dated {days}", card(stage))
        scene.pay(set_up(stage, "pos", header=stage.header(TODAY + days)).wallet(), scene.charge())
        yield scene.vector(clauses, f"{flag} Basic", comment, "paid")
    scene = Recorder(stage, "dated torn", card(stage))
    till = set_up(stage, "pos", header=stage.header(TODAY - 1)).wallet()
    scene.pay(till, scene.charge(), play=Play(heard=2, told=1))
    scene.pay(till, scene.charge(200, "other"))
    comment = "The till's date is a day older, and the Transfer is lost: the header goes with what is shown again."
    yield scene.vector(clauses, f"{flag} Torn Healed", comment, DOUBT, "healed_paid", "paid")


def _torn(stage: Stage) -> Iterator[Vector]:
    lost, again, other = "The Transfer is lost", "the same basket is charged again", "another basket is charged"
    arrived = "The outcome is lost"
    for told, basket, comment, *ends in (
        (1, "basket", f"{lost}; {again}: closed, and paid anew.", "healed_restored", "paid"),
        (1, "other", f"{lost}; {other}: accepted late, then the other is paid.", "healed_paid", "paid"),
        (2, "basket", f"{arrived}; {again}: it is paid, and Done is said.", "healed_paid", "done BASKET_PAID"),
        (2, "other", f"{arrived}; {other}: it is paid, and so is the other.", "healed_paid", "paid"),
    ):
        scene = Recorder(stage, f"torn {told} {basket}", card(stage))
        till = pos(stage)
        scene.pay(till, scene.charge(), play=Play(heard=2, told=told))
        scene.pay(till, scene.charge(basket=basket))
        yield scene.vector("11.3-4 11.4-1 11.4-6 11.4-7", "Torn Healed", comment, DOUBT, *ends)
    scene = Recorder(stage, "torn stranger", card(stage))
    scene.pay(pos(stage), scene.charge(), play=Play(heard=2))
    scene.pay(pos(stage, "stranger"), scene.charge(100))
    comment = "In doubt to one till: another till is not shown it, but asked whether it was that one (§20.1)."
    yield scene.vector("11.4-1 20.1-1 20.1-2", "Torn ShownToStranger", comment, DOUBT, "paid")
    scene = Recorder(stage, "torn twice", card(stage))
    till = pos(stage)
    scene.pay(till, scene.charge(100, "one"), play=Play(heard=2))
    scene.pay(pos(stage, "other"), scene.charge(200, "two"), play=Play(heard=3))
    scene.pay(till, scene.charge(300, "three"), play=Play(heard=4))
    scene.pay(till, scene.charge(400, "four"))
    comment = "In doubt to two tills, and a third time: all that is in doubt to this till is shown, oldest first."
    yield scene.vector("11.4-2", "Torn Healed", comment, DOUBT, DOUBT, "healed_paid", DOUBT, "healed_paid", "paid")
    scene = Recorder(stage, "restored", card(stage))
    till = pos(stage)
    scene.pay(till, scene.charge(9_000), play=Play(heard=2, told=1))
    scene.pay(till, scene.charge(9_000))
    scene.pay(pos(stage, "other"), scene.charge(1_000, "rest"))
    comment = "Torn, closed and paid anew; the rest goes to another till."
    yield scene.vector("8.2-5 11.4-6", "Torn Warrant", comment, DOUBT, "healed_restored", "paid", "paid")


def _closed(stage: Stage) -> Iterator[Vector]:
    till = strict(stage)
    scene = Recorder(stage, "closed at once", card(stage))
    scene.pay(till, scene.charge(9_000))
    scene.pay(pos(stage), scene.charge(9_500, "next"))
    comment = "A till at its limit closes: all of it is spent again, with the warrant."
    yield scene.vector("8.2-5 11.4-6", "Warrant", comment, "not_paid OVER_LIMIT", "paid")
    scene = Recorder(stage, "closed thrice", card(stage))
    for place in range(3):
        scene.pay(till, scene.charge(10_000, f"{place}"))
    scene.pay(pos(stage), scene.charge(10_000, "next"))
    comment = "Closed three times: no payee takes it offline, so it is not offered."
    ends = ["not_paid OVER_LIMIT"] * 3
    yield scene.vector("8.2-2 8.4-2", "Restorations", comment, *ends, "not_paid INSUFFICIENT")


def _hellos(stage: Stage) -> Iterator[Vector]:
    def one(clauses: str, flag: str, comment: str, end: str, change: Callable[[Hello], Hello | Frame]) -> Vector:
        scene = Recorder(stage, comment, card(stage))
        scene.pay(pos(stage), scene.charge(), play=Play(alter=on_hello(change)))
        return scene.vector(clauses, flag, f"A Hello {comment}", f"not_paid {end}")

    yield one("6-6 6-10", "WrongScheme", "of another scheme: silence.", "WRONG_SCHEME",
              lambda m: m._replace(scheme=flipped(m.scheme)))  # fmt: skip
    yield one("6-7 6-10", "Downgrade", "that offers versions 2 and 3 only: silence.", "WRONG_VERSION",
              lambda m: m._replace(versions=(2, 3)))  # fmt: skip
    yield one("6-8 6-10", "WrongRole", "of another payer: silence.", "WRONG_ROLE", lambda m: m._replace(want=Want.PAY))
    yield one("6-8 6-10", "WrongRole", "that pays and collects: silence.", "WRONG_ROLE",
              lambda m: m._replace(want=Want.PAY | Want.COLLECT))  # fmt: skip
    yield one("6-8 6-10", "WrongRole", "that wants nothing: silence.", "WRONG_ROLE", lambda m: m._replace(want=Want(0)))
    yield one("5.1-6 6-10", "Truncated", "without its last byte: silence.", "MALFORMED",
              lambda m: Frame(encode_hello(m)[:-1]))  # fmt: skip
    yield one("5.1-6 6-10", "TrailingBytes", "and one byte more: silence.", "MALFORMED",
              lambda m: Frame(encode_hello(m) + b"\0"))  # fmt: skip
    yield one("5.2-3 6-10", "TooLarge", "of 129 bytes: silence.", "TOO_LARGE", lambda m: Frame(bytes(129)))
    yield one("6-2 6-3", "Misbinding", "with AUTHORITIES set on its way: no frame opens.", "BAD_SEAL",
              lambda m: m._replace(want=m.want | Want.AUTHORITIES))  # fmt: skip
    yield one("6-2 6-3", "Downgrade", "with version 2 added on its way: no frame opens.", "BAD_SEAL",
              lambda m: m._replace(versions=(1, 2)))  # fmt: skip
    other = stage.ephemeral("nobody").public
    yield one("6-2 6-3", "Misbinding", "with another ephemeral key on its way: no frame opens.", "BAD_SEAL",
              lambda m: m._replace(ephemeral=other))  # fmt: skip
    bad = bytes(32) if stage.suite is SUITES["ed25519"] else b"\x02" + b"\xff" * 32
    yield one("3-13 6-10", "BadKey", "with an invalid ephemeral key: silence.", "BAD_KEY",
              lambda m: m._replace(ephemeral=bad))  # fmt: skip
    cross = bytes(33) if stage.suite is SUITES["ed25519"] else bytes(32)
    yield one("3-2 5.1-8", "BadKey", "with a key of the other suite's length: silence.", "BAD_KEY",
              lambda m: m._replace(ephemeral=cross))  # fmt: skip


def _frames(stage: Stage) -> Iterator[Vector]:
    """What comes in the place of the Request."""

    def one(clauses: str, flag: str, comment: str, end: str, found: Said | Frame | Plain) -> Vector:
        scene = Recorder(stage, comment, card(stage))
        scene.pay(pos(stage), scene.charge(), play=Play(alter=on_request(lambda m: found)))
        return scene.vector(clauses, flag, comment, f"not_paid {end}")

    yield one(
        "6-3 6-16", "BadSeal", "A frame that does not open: the tap ends, unanswered.", "BAD_SEAL", Frame(bytes(200))
    )
    yield one("6-3 6-16", "BadSeal", "A frame shorter than a tag.", "BAD_SEAL", Frame(b"\1\2\3"))
    yield one("6-3 6-16", "BadSeal", "An empty frame.", "BAD_SEAL", Frame(b""))
    long = Frame(bytes(limits.CARD_MESSAGE + 1))
    yield one("5.2-3 6-16", "TooLarge", "A frame longer than the card takes.", "TOO_LARGE", long)
    yield one("5.1-3 6-16", "Malformed", "A plaintext that is no message.", "MALFORMED", Plain(b"\xc1"))
    yield one("5.1-3 6-16", "Malformed", "An empty plaintext.", "MALFORMED", Plain(b""))
    yield one("5.2-2 6-16", "UnknownMessage", "A message of an unknown number.", "UNKNOWN_MESSAGE", Plain(b"\x91\x7f"))
    yield one(
        "5.1-4 6-16", "NotCanonical", "A Done whose number takes two bytes.", "NOT_CANONICAL", Plain(b"\x91\xcc\x09")
    )
    early = "where a Request is due."
    yield one("11.1-3 6-16", "Unexpected", f"A Proceed {early}", "UNEXPECTED_MESSAGE", ProceedMessage())
    yield one("11.1-3 6-16", "Unexpected", f"A Done {early}", "UNEXPECTED_MESSAGE", DoneMessage())
    yield one("11.1-4", "Refused", "The till refuses instead of asking.", "DECLINED", RefuseMessage(Code.DECLINED))
    yield one("9-2", "Refused", "A Refuse with a code of a later version.", "4711", RefuseMessage(4711))


def _requests(stage: Stage) -> Iterator[Vector]:
    def one(
        clauses: str, flag: str, comment: str, end: str, change: Callable[[RequestMessage], RequestMessage]
    ) -> Vector:
        scene = Recorder(stage, comment, card(stage))
        scene.pay(pos(stage), scene.charge(), play=Play(alter=on_request(change)))
        return scene.vector(clauses, flag, comment, f"not_paid {end}")

    forged = "6-11 11.3-2"
    yield one(forged, "ForgedRequest", "The Request's signature is altered.", "BAD_SIGNATURE",
              lambda m: m._replace(signature=flipped(m.signature)))  # fmt: skip
    yield one(forged, "ForgedRequest", "The amount is altered.", "BAD_SIGNATURE", lambda m: m._replace(amount=1))
    yield one(forged, "ForgedRequest", "The basket is altered.", "BAD_SIGNATURE",
              lambda m: m._replace(basket=flipped(m.basket)))  # fmt: skip
    yield one(forged, "ForgedRequest", "The part is altered.", "BAD_SIGNATURE", lambda m: m._replace(part=1))
    yield one(forged, "ForgedRequest", "The details are left out.", "BAD_SIGNATURE", lambda m: m._replace(details=b""))
    yield one(forged, "ForgedRequest", "The date is altered.", "BAD_SIGNATURE", lambda m: m._replace(epoch=m.epoch - 1))
    stolen = stage.certificate("someone")
    yield one(forged, "UnknownKeyShare", "Another wallet's certificate beside the till's signature.", "BAD_SIGNATURE",
              lambda m: m._replace(certificate=stolen))  # fmt: skip
    yield one(forged, "SelfPayment", "The card's own certificate comes back.", "SELF_PAYMENT",
              lambda m: m._replace(certificate=stage.certificate("card")))  # fmt: skip
    yield one("11.3-2 7-1", "AlteredCertificate", "The certificate's tier is altered.", "BAD_SIGNATURE",
              lambda m: m._replace(certificate=m.certificate._replace(tier=2)))  # fmt: skip
    yield one("11.3-2 7-1", "WrongIssuer", "The certificate is issued by the policy key.", "WRONG_CERTIFICATE",
              lambda m: m._replace(certificate=stage.certificate("pos", issuer="policy")))  # fmt: skip
    yield one("11.3-2 7-2", "WrongIssuer", "The certificate is issued by a wallet.", "UNKNOWN_ISSUER",
              lambda m: m._replace(certificate=stage.certificate("pos", issuer="someone")))  # fmt: skip


def _asked(stage: Stage) -> Iterator[Vector]:
    """Requests that are signed as they should be, and yet not to be paid."""

    def one(
        clauses: str, flag: str, comment: str, end: str, till: Wallet, amount: int, currency: str = "CNY"
    ) -> Vector:
        scene = Recorder(stage, comment, card(stage))
        scene.pay(till, scene.charge(amount, currency=currency))
        return scene.vector(clauses, flag, comment, f"not_paid {end}")

    expired = set_up(stage, "pos", certificate=stage.certificate("pos", expires=TODAY - 1)).wallet()
    comment = "The till's certificate expired yesterday."
    yield one("7-14 11.3-5", "Expired", comment, "CERTIFICATE_EXPIRED", expired, 100)
    payer_only = set_up(stage, "pos", certificate=stage.certificate("pos", role=Role.PAY)).wallet()
    comment = "The till's certificate lets it pay only."
    yield one("7-18 11.3-5", "WrongRole", comment, "WRONG_CERTIFICATE", payer_only, 100)
    yield one("11.3-5", "WrongCurrency", "The card has no euros.", "WRONG_CURRENCY", pos(stage), 100, "EUR")
    yield one("11.3-7", "Insufficient", "One unit more than the card has.", "INSUFFICIENT", pos(stage), 10_001)
    comment = "More than the tier allows in one payment."
    yield one("11.3-5", "OverLimit", comment, "OVER_LIMIT", pos(stage), 1_000_001)
    late = set_up(stage, "pos", header=stage.header(TODAY + limits.EPOCH_STEP + 1)).wallet()
    comment = "The Request is dated further ahead than one tap may move a date."
    yield one("11.3-5", "EpochAhead", comment, "EPOCH_AHEAD", late, 100)

    listed = set_up(stage, "card", tokens=(stage.token("card"),), policy=stage.policy(2, hotlist=[stage.key("pos")]))
    scene = Recorder(stage, "hotlisted", listed)
    scene.pay(pos(stage), scene.charge())
    yield scene.vector("11.3-5", "Hotlist", "The till is on the card's hotlist.", "not_paid HOTLISTED")
    poor = set_up(stage, "card", tokens=(stage.token("card", spend_by=TODAY - 1),))
    scene = Recorder(stage, "token expired", poor)
    scene.pay(pos(stage), scene.charge())
    comment = "The card's only token could be spent until yesterday."
    yield scene.vector("8.4-2", "TokenExpired", comment, "not_paid INSUFFICIENT")
    few = set_up(stage, "card", tokens=(stage.token("card"),), policy=stage.policy(2, (Tier(1, 10_000, 1, 9, 9),)))
    scene = Recorder(stage, "one payment", few)
    till = pos(stage)
    scene.pay(till, scene.charge(100, "one"))
    scene.pay(till, scene.charge(100, "two"))
    comment = "The tier allows one payment between two syncs."
    yield scene.vector("11.3-5", "OverLimit", comment, "paid", "not_paid OVER_LIMIT")
    scene = Recorder(stage, "late", card(stage))
    scene.pay(pos(stage), scene.charge(), play=Play(heard=2, late=limits.SESSION_SECONDS + 1))
    comment = "The Request comes a second after the session's time."
    yield scene.vector("6-15", "Timeout", comment, "not_paid TIMEOUT")


def _demands(stage: Stage) -> Iterator[Vector]:
    """Requests that a till in good standing signs, and an honest one would not."""

    def one(clauses: str, flag: str, comment: str, end: str, ask: Callable[[RequestBody], RequestBody]) -> Vector:
        scene = Recorder(stage, comment, card(stage))
        scene.pay(pos(stage), scene.charge(), play=Play(ask=ask))
        return scene.vector(clauses, flag, comment, f"not_paid {end}" if end else DOUBT)

    yield one("11.3-5", "ZeroAmount", "A Request of nothing.", "ZERO_AMOUNT", lambda b: b._replace(amount=0))
    yield one("6-11 11.3-2", "OtherSession", "A Request of another session.", "BAD_SIGNATURE",
              lambda b: b._replace(session=flipped(b.session)))  # fmt: skip
    yield one("6-11 11.3-2", "Reflected", "A Request signed as the responder, by the initiator.", "BAD_SIGNATURE",
              lambda b: b._replace(initiator=not b.initiator))  # fmt: skip
    yield one(
        "8.4-3", "TooLarge", "A till that takes frames of 400 bytes.", "TOO_LARGE", lambda b: b._replace(size=400)
    )
    yield one("8.4-2", "Hops", "A till that takes no hand at all.", "INSUFFICIENT", lambda b: b._replace(hops=0))
    yield one("8.4-2", "SpanCount", "A till that takes no span.", "INSUFFICIENT", lambda b: b._replace(spans=0))


def _outcomes(stage: Stage) -> Iterator[Vector]:
    def one(
        clauses: str,
        flag: str,
        comment: str,
        end: str,
        change: Callable[[OutcomeMessage], OutcomeMessage | RefuseMessage | DoneMessage],
    ) -> Vector:
        scene = Recorder(stage, comment, card(stage))
        till = pos(stage)
        scene.pay(till, scene.charge(), play=Play(alter=on_outcome(change)))
        scene.pay(till, scene.charge())
        comment = f"{comment} It stays in doubt, and the next tap heals it."
        return scene.vector(clauses, f"{flag} Healed", comment, f"in_doubt {end}", "healed_paid", "done BASKET_PAID")

    forged = "11.3-11 11.3-12"
    yield one(forged, "ForgedOutcome", "The Receipt's signature is altered.", "BAD_SIGNATURE",
              lambda m: m._replace(signature=flipped(m.signature)))  # fmt: skip
    yield one("4.2-1 11.3-12", "ForgedOutcome", "The Receipt has no place on a tape: ctr is prev.", "MALFORMED",
              lambda m: m._replace(prev=m.ctr))  # fmt: skip
    yield one(forged, "ForgedOutcome", "The Receipt's place is altered.", "BAD_SIGNATURE",
              lambda m: m._replace(ctr=m.ctr + 1))  # fmt: skip
    yield one(forged, "ForgedOutcome", "A Close is made of the Receipt.", "BAD_SIGNATURE",
              lambda m: m._replace(kind=Kind.CLOSE, reason=81))  # fmt: skip
    yield one(forged, "ForgedOutcome", "The Receipt is said to be another transfer's.", "BAD_SIGNATURE",
              lambda m: m._replace(transfer=bytes(32)))  # fmt: skip
    yield one(forged, "Refused", "A Refuse is no outcome.", "DECLINED", lambda m: RefuseMessage(Code.DECLINED))
    yield one("11.1-3 11.3-11", "Unexpected", "A Done where an outcome is due.", "UNEXPECTED_MESSAGE",
              lambda m: DoneMessage())  # fmt: skip


def _backwards(stage: Stage) -> Iterator[Vector]:
    """The card collects, pays back, and answers for what it collected."""
    friend = set_up(stage, "friend", tokens=(stage.token("friend"),)).wallet()
    scene = Recorder(stage, "refund", card(stage))
    scene.collect(friend, scene.charge(2_000))
    taken = next(iter(scene.wallet.book.taken))
    scene.pay(friend, scene.charge(500, "back"), order=Pay(taken, 500))
    scene.pay(friend, scene.charge(1_501, "more"), order=Pay(taken))
    scene.pay(pos(stage), scene.charge(100, "else"), order=Pay(taken))
    comment = "5.00 of a received 20.00 go back; 15.01 more, or anything to another, do not."
    ends = "collected", "paid", "not_paid NOT_A_REFUND", "not_paid NOT_A_REFUND"
    yield scene.vector("11.3-6", "Refund", comment, *ends)
    for heard, comment, first in (
        (1, "The friend's Transfer never came: it is shown in the next tap, and decided then.", "not_paid LINK_LOST"),
        (2, "The friend never heard the Receipt: it is shown in the next tap, and repeated.", "collected"),
    ):
        friend = set_up(stage, "friend", tokens=(stage.token("friend"),)).wallet()
        scene = Recorder(stage, f"shown {heard}", card(stage))
        scene.collect(friend, scene.charge(2_000), play=Play(heard=heard, told=1))
        scene.pay(friend, scene.charge(300, "later"))
        yield scene.vector("11.3-3 11.4-4 11.4-5", "Torn Healed", comment, first, "paid")
    scene = Recorder(stage, "heal only", card(stage))
    till = pos(stage)
    scene.pay(till, scene.charge(), play=Play(heard=2))
    scene.pay(till, scene.charge(100, "paid"))
    scene.pay(till, scene.charge(100, "paid"))
    comment = "The till charges a basket that is paid: it only presents its key, and Done is said."
    yield scene.vector("11.3-1", "Healed", comment, DOUBT, "healed_paid", "paid", "done BASKET_PAID")


def vectors() -> Iterator[Vector]:
    """Yield every tap of a payer's card, for both suites."""
    for suite in SUITES.values():
        stage = Stage(suite)
        for family in (
            _paid,
            _dated,
            _torn,
            _closed,
            _hellos,
            _frames,
            _requests,
            _asked,
            _demands,
            _outcomes,
            _backwards,
            limited,
        ):
            yield from family(stage)

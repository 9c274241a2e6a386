"""Conditions on payee, amount and time, and where they bind (SPEC §5.6)."""

from __future__ import annotations

from collections.abc import Iterator

from dualtap import limits
from dualtap.conditions import Rule
from dualtap.errors import Code
from dualtap.issued import Authority
from dualtap.statements import Span
from dualtap.suite import sha256
from dualtap_conform.stage import POS_CATEGORY, TODAY, Stage
from dualtap_conform.value.bound import Purpose, cap, shown, simple, u16, window
from dualtap_conform.value.scene import TILL, back, of
from dualtap_conform.vector import Vector


def conditions(stage: Stage) -> Iterator[Vector]:
    """Yield each condition but second signatures, and where conditions bind."""
    for cases in (_payee, _categories, _categories_proved, _cap, _window, _preimage, _together, _where, _unknown):
        yield from cases(stage)


def _payee(stage: Stage) -> Iterator[Vector]:
    till = stage.key(TILL)
    others = [stage.key(f"shop {number}") for number in range(limits.LISTED)]
    yield from simple(stage, "Payee", (
        ("For this payee alone.", (Rule.PAYEE, till), True),
        ("The payee is the last of as many as can be listed.", (Rule.PAYEE, b"".join((*others[1:], till))), True),
        ("For another payee.", (Rule.PAYEE, others[0]), False),
        ("As many payees as can be listed, not this one.", (Rule.PAYEE, b"".join(others)), False),
        ("One payee more than can be listed, this one among them.", (Rule.PAYEE, b"".join((*others, till))), False),
        ("No payee is listed.", (Rule.PAYEE, b""), False),
        ("This payee's key, and a byte.", (Rule.PAYEE, till + b"\x00"), False),
        ("This payee's key without its last byte.", (Rule.PAYEE, till[:-1]), False),
        ("This payee's key at odds with the borders of the list.",
         (Rule.PAYEE, b"\x02" + till + others[0][1:]), False),
    ))  # fmt: skip


def _categories(stage: Stage) -> Iterator[Vector]:
    other = POS_CATEGORY + 1
    many = tuple(range(1, limits.LISTED + 1))
    for rule, value, category, good, how in (
        (Rule.CATEGORY, u16(POS_CATEGORY), POS_CATEGORY, True, "For shops of this category."),
        (Rule.CATEGORY, u16(*many[1:], POS_CATEGORY), POS_CATEGORY, True, "The last of as many as can be listed."),
        (Rule.CATEGORY, u16(9999), 9999, True, "The greatest category."),
        (Rule.CATEGORY, u16(other), POS_CATEGORY, False, "For shops of another category."),
        (Rule.CATEGORY, u16(*many, POS_CATEGORY), POS_CATEGORY, False, "One category more than can be listed."),
        (Rule.CATEGORY, b"", POS_CATEGORY, False, "No category is listed."),
        (Rule.CATEGORY, u16(POS_CATEGORY) + b"\x01", POS_CATEGORY, False, "A category, and a byte."),
        (Rule.CATEGORY, u16(0), 0, False, "Category 0 is none: it is not for persons."),
        (Rule.CATEGORY, u16(POS_CATEGORY, 10_000), POS_CATEGORY, False, "One of two categories cannot be."),
        (Rule.MERCHANT, b"", POS_CATEGORY, True, "For any shop."),
        (Rule.MERCHANT, b"", 0, False, "For shops, paid to a person."),
        (Rule.MERCHANT, b"\x00", POS_CATEGORY, False, "For any shop, with a value that it must not have."),
    ):
        scene = Purpose(stage)
        message = scene.spend(scene.bound((rule, value)), scene.shop(category=category))
        flag = "Category"
        yield scene.met(flag, how, message) if good else scene.unmet(flag, how, message)


def _categories_proved(stage: Stage) -> Iterator[Vector]:
    flag, rule = "Category CertificateWitness", (Rule.CATEGORY, u16(POS_CATEGORY))
    clauses = "5.6-7"
    scene = Purpose(stage)
    scene.shop()
    message = scene.spend(scene.bound(rule))
    yield scene.unmet(flag, "The payee is such a shop, and no witness says so.", message, clauses)
    scene = Purpose(stage)
    scene.shop()
    message = scene.spend(scene.bound(rule), scene.shop("other shop"))
    yield scene.unmet(flag, "The witness certifies another shop of this category.", message, clauses)
    for certificate, good, how in (
        (stage.certificate(TILL, category=POS_CATEGORY, expires=TODAY), True, "on its last day"),
        (stage.certificate(TILL, category=POS_CATEGORY, expires=TODAY - 1), False, "expired yesterday"),
        (stage.certificate(TILL, category=POS_CATEGORY, issuer="institution"), True, "by the institution"),
        (stage.certificate(TILL, category=POS_CATEGORY, issuer="policy"), False, "by the policy key"),
        (stage.certificate(TILL)._replace(category=POS_CATEGORY), False, "altered in its category"),
    ):
        scene = Purpose(stage)
        message = scene.spend(scene.bound(rule), shown(certificate))
        comment = f"The payee's certificate as a witness, {how}."
        yield scene.met(flag, comment, message, clauses) if good else scene.unmet(flag, comment, message, clauses)
    scene = Purpose(stage)
    old = shown(stage.certificate(TILL, category=POS_CATEGORY, expires=TODAY - 1))
    message = scene.spend(scene.bound(rule), old, epoch=TODAY - 1)
    how = "The payee's certificate was valid when the transfer was dated, and has expired by the payee's date."
    yield scene.unmet(f"{flag} AtTheTap", how, message, "5.6-10")
    scene = Purpose(stage)
    stranger = shown(stage.certificate(TILL, category=POS_CATEGORY, issuer="stranger"))
    message = scene.spend(scene.bound(rule), stranger)
    yield scene.refused(
        Code.UNKNOWN_ISSUER,
        clauses,
        f"Condition {flag}",
        "The payee's certificate as a witness, by a stranger.",
        message,
    )
    scene = Purpose(stage)
    token = scene.bound(rule)
    witness = shown(stage.certificate("ben", category=POS_CATEGORY, expires=TODAY - 5))
    first = scene.give(token, "ben", witness, epoch=TODAY - 5)
    message = scene.pay("ben", of(first, 0, 60))
    how = "Behind a hand: the shop's certificate was valid at the hand's epoch, and has expired since."
    yield scene.met(flag, how, message, "5.6-7 5.6-10")
    scene = Purpose(stage)
    first = scene.give(scene.bound(rule), "ben", witness, epoch=TODAY - 4)
    message = scene.pay("ben", of(first, 0, 60))
    yield scene.unmet(flag, "Behind a hand: the shop's certificate had expired at the hand's epoch.", message, clauses)
    bank = stage.authority("old bank", Authority.BANK, "institution", quota=1, expires=TODAY - 9)
    scene = Purpose(stage, authorities=(*stage.authorities, bank))
    by_old = shown(stage.certificate(TILL, category=POS_CATEGORY, issuer="old bank"))
    message = scene.spend(scene.bound(rule), by_old)
    yield scene.met(flag, "The bank that certified the shop has expired: that is not judged.", message, clauses)


def _cap(stage: Stage) -> Iterator[Vector]:
    flag = "Cap"
    yield from simple(stage, flag, (
        ("As much as the cap.", (Rule.CAP, cap(60)), True),
        ("One unit more than the cap.", (Rule.CAP, cap(59)), False),
        ("A cap that no amount can reach.", (Rule.CAP, b"\xff" * 8), True),
        ("A cap of nothing.", (Rule.CAP, cap(0)), False),
        ("A cap in seven bytes.", (Rule.CAP, cap(60)[1:]), False),
        ("A cap in nine bytes.", (Rule.CAP, b"\x00" + cap(60)), False),
        ("A cap without value.", (Rule.CAP, b""), False),
    ))  # fmt: skip
    for most, good, how in ((60, True, "together at the cap"), (59, False, "together a unit above the cap")):
        scene = Purpose(stage)
        token = scene.bound((Rule.CAP, cap(most)))
        message = scene.pay("anna", Span(token, 0, 30), Span(token, 100, 130))
        comment = f"Two spans of one token, {how}."
        yield scene.met(flag, comment, message) if good else scene.unmet(flag, comment, message)
    scene = Purpose(stage)
    pair = [scene.bound((Rule.CAP, cap(60)), serial=name) for name in ("one", "two")]
    message = scene.pay("anna", *(Span(token, 0, 60) for token in pair))
    yield scene.met(flag, "Two tokens, each at its own cap.", message)
    scene = Purpose(stage)
    message = scene.pay("anna", Span(scene.bound((Rule.CAP, cap(60))), 0, 60), Span(scene.token("anna"), 0, 500))
    yield scene.met(flag, "A capped token, and more from one without conditions.", message)
    scene = Purpose(stage)
    token = scene.bound((Rule.CAP, cap(60)))
    scene.see(scene.spend(token))
    message = scene.pay("anna", Span(token, 60, 120))
    yield scene.met(flag, "The cap is for each payment, not for all together.", message)


def _window(stage: Stage) -> Iterator[Vector]:
    flag = "Window"
    yield from simple(stage, flag, (
        ("A window of this day alone.", (Rule.WINDOW, window(TODAY, TODAY)), True),
        ("A window that opens tomorrow.", (Rule.WINDOW, window(TODAY + 1, TODAY + 9)), False),
        ("A window that closed yesterday.", (Rule.WINDOW, window(TODAY - 9, TODAY - 1)), False),
        ("A window backwards.", (Rule.WINDOW, window(TODAY + 1, TODAY - 1)), False),
        ("A window in seven bytes.", (Rule.WINDOW, window(TODAY, TODAY)[:-1]), False),
        ("A window in nine bytes.", (Rule.WINDOW, window(TODAY, TODAY) + b"\x00"), False),
    ))  # fmt: skip
    open_now = (Rule.WINDOW, window(TODAY, TODAY))
    scene = Purpose(stage)
    message = scene.spend(scene.bound(open_now), epoch=TODAY - 1)
    how = "The window is open by the payee's date, and was not when the transfer was dated."
    yield scene.unmet(flag, how, message, "5.6-1 5.6-6")
    closed = (Rule.WINDOW, window(TODAY - 9, TODAY - 1))
    scene = Purpose(stage)
    message = scene.spend(scene.bound(closed), epoch=TODAY - 1)
    how = "The window was open when the transfer was dated, and has closed by the payee's date."
    yield scene.unmet(f"{flag} AtTheTap", how, message, "5.6-10")
    late = (TODAY + 1) * limits.EPOCH_SECONDS
    for now, good, how in ((late - 1, True, "in its last second"), (late, False, "a second after its last day")):
        scene = Purpose(stage, now=now)
        message = scene.spend(scene.bound(open_now))
        comment, flags, clause = f"A window {how}, by the payee's clock.", f"{flag} AtTheTap", "5.6-10"
        yield scene.met(flags, comment, message, clause) if good else scene.unmet(flags, comment, message, clause)
    scene = Purpose(stage)
    first = scene.give(scene.bound(closed), "ben", epoch=TODAY - 1)
    message = scene.pay("ben", of(first, 0, 60))
    yield scene.met(f"{flag} AtTheTap", "Behind a hand whose window has closed since.", message, "5.6-6 5.6-10")


def _preimage(stage: Stage) -> Iterator[Vector]:
    flag, secret = "Preimage", stage.draw("secret")
    for preimage, witness, good, how in (
        (secret, (secret,), True, "The preimage is shown."),
        (b"", (b"",), True, "The preimage of no bytes is shown."),
        (bytes(limits.WITNESS), (bytes(limits.WITNESS),), True, "As long a preimage as a witness can be."),
        (bytes(limits.WITNESS + 1), (bytes(limits.WITNESS + 1),), False, "A preimage longer than a witness can be."),
        (secret, (), False, "The preimage is not shown."),
        (secret, (secret[:-1],), False, "The preimage lacks a byte."),
        (secret, (sha256(secret),), False, "The hash is shown in place of the preimage."),
    ):
        scene = Purpose(stage)
        message = scene.spend(scene.bound((Rule.PREIMAGE, sha256(preimage))), *witness)
        yield scene.met(flag, how, message) if good else scene.unmet(flag, how, message)
    scene = Purpose(stage)
    message = scene.spend(scene.bound((Rule.PREIMAGE, sha256(secret)[:-1])), secret)
    yield scene.unmet(flag, "A hash of 31 bytes.", message)
    scene = Purpose(stage)
    pair = [scene.bound((Rule.PREIMAGE, sha256(secret)), serial=name) for name in ("one", "two")]
    message = scene.pay("anna", *(Span(token, 0, 60) for token in pair), witness=(secret,))
    yield scene.met(flag, "One preimage serves two tokens.", message)


def _together(stage: Stage) -> Iterator[Vector]:
    secret, other = stage.draw("secret"), stage.draw("other secret")
    locked = (Rule.PREIMAGE, sha256(secret))
    for rules, witness, good, how in (
        ((locked, (Rule.CAP, cap(60))), (secret,), True, "Two conditions, both met."),
        (((Rule.CAP, cap(59)), locked), (secret,), False, "Two conditions, the first unmet."),
        ((locked, (Rule.CAP, cap(59))), (secret,), False, "Two conditions, the second unmet."),
        ((locked, (Rule.PREIMAGE, sha256(other))), (secret, other), True, "Two preimages, both shown."),
        ((locked, (Rule.PREIMAGE, sha256(other))), (other, secret), True, "Two preimages, in the other order."),
        ((locked, (Rule.PREIMAGE, sha256(other))), (secret,), False, "Two preimages, one shown."),
        ((locked, locked), (secret,), True, "One condition twice, served once."),
    ):
        scene = Purpose(stage)
        message = scene.spend(scene.bound(*rules), *witness)
        yield scene.met("Several", how, message) if good else scene.unmet("Several", how, message)
    scene = Purpose(stage)
    pair = Span(scene.bound((Rule.CAP, cap(60))), 0, 60), Span(scene.bound((Rule.CAP, cap(59)), serial="two"), 0, 60)
    yield scene.unmet("Several", "Two tokens, the second one's condition unmet.", scene.pay("anna", *pair))
    excess: tuple[tuple[tuple[tuple[Rule, bytes], ...], tuple[bytes, ...], str], ...] = (
        ((), (secret,), "A witness, and no condition."),
        (((Rule.CAP, cap(60)),), (secret,), "A witness, and a condition that needs none."),
        ((locked,), (secret, other), "A witness beside the one that serves."),
        ((locked,), (secret, secret), "The witness that serves, twice."),
        ((locked,), (secret, shown(stage.certificate(TILL))), "The payee's certificate, where no condition needs it."),
    )
    for listed, material, how in excess:
        scene = Purpose(stage)
        yield scene.useless(how, scene.spend(scene.bound(*listed), *material))


def _where(stage: Stage) -> Iterator[Vector]:
    """Yield on which transfers conditions bind: all that the owner signs, and no other."""
    ben, both = (Rule.PAYEE, stage.key("ben")), (Rule.PAYEE, stage.key("ben") + stage.key(TILL))
    flag = "Owner"
    scene = Purpose(stage)
    message = scene.pay("ben", of(scene.give(scene.bound(ben), "ben"), 0, 60))
    yield scene.met(flag, "In the payee's hands a condition falls away.", message)
    scene = Purpose(stage)
    message = scene.pay("ben", of(scene.give(scene.bound((Rule.PAYEE, stage.key(TILL))), "ben"), 0, 60))
    how = "The last hand would meet it, but the owner's did not."
    yield scene.unmet(f"{flag} LaterHand", how, message)
    scene = Purpose(stage)
    message = scene.pay("ben", of(scene.give(scene.bound((Rule.CAP, cap(59))), "ben"), 0, 10))
    how = "The owner spent more than the cap; a later hand spends less."
    yield scene.unmet(f"{flag} LaterHand", how, message)
    for rule, good, how in ((both, True, "met again"), (ben, False, "unmet now")):
        scene = Purpose(stage)
        dead = scene.give(scene.bound(rule), "ben")
        scene.close(dead)
        message = scene.pay("anna", back(dead, 0, 60))
        comment = f"Restored value: the owner spends it again, its condition {how}."
        yield scene.met(flag, comment, message) if good else scene.unmet(flag, comment, message)
        scene = Purpose(stage)
        there = scene.give(scene.bound(rule), "ben")
        message = scene.pay("anna", of(scene.hand("ben", "anna", of(there, 0, 60)), 0, 60))
        comment = f"Refunded value: the owner spends it again, its condition {how}."
        yield scene.met(flag, comment, message) if good else scene.unmet(flag, comment, message)
    scene = Purpose(stage)
    free = scene.give(scene.bound(ben), "ben")
    dead = scene.hand("ben", "carla", of(free, 0, 60))
    scene.close(dead)
    message = scene.pay("ben", back(dead, 0, 60))
    yield scene.met(flag, "Restored to a later hand, whom the condition does not bind.", message)
    scene = Purpose(stage)
    capped = scene.bound((Rule.CAP, cap(60)))
    dead = scene.give(capped, "ben", amount=30)
    scene.close(dead)
    message = scene.pay("anna", back(dead, 0, 30), Span(capped, 30, 61))
    how = "Restored and other units of one token, together a unit above its cap."
    yield scene.unmet(f"{flag} Cap", how, message)
    yield from _behind(stage)


def _behind(stage: Stage) -> Iterator[Vector]:
    """Yield hands behind that carry witnesses, or that need none."""
    flag, secret = "Owner", stage.draw("secret")
    scene = Purpose(stage)
    first = scene.give(scene.bound((Rule.PREIMAGE, sha256(secret))), "ben", secret)
    message = scene.pay("ben", of(first, 0, 60))
    yield scene.met(flag, "The witness stands in the hand that it served.", message)
    scene = Purpose(stage)
    first = scene.give(scene.bound((Rule.PREIMAGE, sha256(secret))), "ben", secret)
    message = scene.pay("ben", of(first, 0, 60), witness=(secret,))
    yield scene.useless("A later hand repeats the witness, which serves nothing there.", message)
    scene = Purpose(stage)
    first = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60), witness=(secret,))
    message = scene.pay("ben", of(first, 0, 60))
    yield scene.useless("A witness in a hand behind, of a token without conditions.", message)
    scene = Purpose(stage)
    deposit = scene.hand("anna", "institution", Span(scene.bound((Rule.CAP, cap(59))), 0, 60), request=b"")
    scene.certificates["institution"] = stage.certificate("institution")
    message = scene.pay("institution", of(deposit, 0, 60))
    how = "A deposit behind, which the institution's own key hands on, with a wallet's certificate."
    yield scene.refused(Code.WRONG_CERTIFICATE, "7-28", "Deposit", how, message)


def _unknown(stage: Stage) -> Iterator[Vector]:
    for code in (0, 9, 10, 11, 12, 2**32 - 1):
        scene = Purpose(stage)
        message = scene.spend(scene.bound((code, b"")))
        how = f"A condition with the code {code}, which this version does not have."
        yield scene.refused(Code.UNKNOWN_CONDITION, "5.6-2", "Condition UnknownCondition", how, message)
    scene = Purpose(stage)
    message = scene.spend(scene.bound((Rule.CAP, cap(60)), (9, b"")))
    how = "A known condition that is met, and an unknown one."
    yield scene.refused(Code.UNKNOWN_CONDITION, "5.6-2", "Condition UnknownCondition", how, message)
    scene = Purpose(stage)
    message = scene.pay("ben", of(scene.give(scene.bound((9, b"")), "ben"), 0, 60))
    how = "A hand behind was bound by a condition that is unknown here."
    yield scene.refused(Code.UNKNOWN_CONDITION, "5.6-2", "Condition UnknownCondition", how, message)

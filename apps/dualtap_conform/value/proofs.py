"""Signatures, certificates, tokens and dates: whom a payee believes (SPEC §7, §8.1)."""

from __future__ import annotations

from collections.abc import Iterator

from dualtap import limits
from dualtap.errors import Code
from dualtap.issued import Authority, Condition, Role, WalletCertificate
from dualtap.statements import Private, Scheme, Span, Verification
from dualtap_conform.stage import TODAY, Stage
from dualtap_conform.value.bundles import two, with_bundle, with_hand
from dualtap_conform.value.scene import Scene, back, of
from dualtap_conform.vector import Vector

FORGED = Code.BAD_SIGNATURE


def refused(stage: Stage) -> Iterator[Vector]:
    """What nobody signed, what the wrong one signed, and whom not to take value from."""
    yield from _bound(stage)
    yield from _transfer(stage)
    yield from _hand(stage)
    yield from _tokens(stage)
    yield from _certificates(stage)
    yield from _expired(stage)
    yield from _hotlisted(stage)
    yield from _along(stage)


def _bound(stage: Stage) -> Iterator[Vector]:
    """Yield transfers that were made for another request, session or payee."""
    flag = "OtherRequest"
    for what, change in (
        ("session", {"session": stage.draw("another session")}),
        ("basket", {"basket": stage.draw("another basket", 16)}),
        ("part", {"part": 1}),
        ("amount", {"amount": 61}),
        ("day", {"epoch": TODAY - 1}),
        ("side of the tap", {"initiator": True}),
    ):
        scene = Scene(stage, asked=60)
        other = scene.request._replace(**change)
        message = scene.pay("anna", Span(scene.token("anna"), 0, 60), answering=other)
        yield scene.refused(FORGED, "5.2-4 6-12", flag, f"A transfer for a request of another {what}.", message)
    scene = Scene(stage)
    message = scene.pay("anna", Span(scene.token("anna"), 0, 60), payee="carla")
    yield scene.refused(FORGED, "5.2-4", "OtherPayee", "A transfer to another payee, for this request.", message)
    scene = Scene(stage)
    message = scene.pay("anna", Span(scene.token("anna"), 0, 60))._replace(request=stage.draw("unknown"))
    yield scene.refused(
        Code.UNKNOWN_REQUEST, "11.4-3", "Resume", "A Resume of a request that this payee never made.", message
    )
    scene = Scene(stage)
    message = scene.pay("till", Span(scene.token("till"), 0, 60))
    yield scene.refused(Code.SELF_PAYMENT, "8.1-7", "SelfPayment", "The payee's own key pays.", message)


def _transfer(stage: Stage) -> Iterator[Vector]:
    """Yield transfers that were altered after they were signed."""
    flag = "AlteredTransfer"
    for what, change in (
        ("span", {"spans": ((0, 1, 61),)}),
        ("epoch", {"epoch": TODAY - 1}),
        ("seed", {"seed": bytes(16)}),
        ("prev", {"prev": 0}),
        ("ctr", {"ctr": 9}),
        ("verification", {"verification": Verification.DEVICE}),
        ("refund_of", {"refund_of": b""}),
        ("signature", {"signature": bytes(64)}),
    ):
        scene, private = Scene(stage), Private(Verification.PIN, stage.draw("a received transfer"))
        message = scene.pay("anna", Span(scene.token("anna"), 0, 60), place=(4, 6), private=private)
        altered = message._replace(**change)
        yield scene.refused(FORGED, "8.1-11 4.1-1 4.2-2", flag, f"A transfer altered in its {what}.", altered)
    scene = Scene(stage)
    token = scene.token("anna")
    message = scene.pay("anna", Span(token, 0, 30), Span(token, 30, 60))
    turned = message._replace(spans=message.spans[::-1])
    yield scene.refused(FORGED, "8.1-11 4.1-1", flag, "A transfer's two spans in the other order.", turned)
    scene = Scene(stage)
    message = scene.pay("anna", Span(scene.token("anna"), 0, 60), by="carla")
    yield scene.refused(FORGED, "8.1-11", "OtherSigner", "A transfer that another wallet signed.", message)
    for prev, ctr, how in ((5, 5, "An empty place on the tape."), (9, 5, "A place backwards on the tape.")):
        scene = Scene(stage)
        message = scene.pay("anna", Span(scene.token("anna"), 0, 60), place=(prev, ctr))
        yield scene.refused(Code.MALFORMED, "4.2-1", "TapePlace", how, message)
    scene = Scene(stage)
    foreign = Scheme.of(stage.suite, stage.key("another root"))
    message = scene.pay("anna", Span(scene.token("anna"), 0, 60), scheme=foreign.id)
    yield scene.refused(FORGED, "3-16 4.1-1", "OtherScheme", "A transfer that was signed in another scheme.", message)


def _hand(stage: Stage) -> Iterator[Vector]:
    """Yield hands that were altered, or that the wrong one signed."""
    flag = "AlteredHand"
    for what, change in (
        ("span, upwards", {"spans": ((0, 0, 101),)}),
        ("epoch", {"epoch": TODAY - 1}),
        ("commitment", {"proof": bytes(32)}),
        ("signature", {"signature": bytes(64)}),
    ):
        scene, message = two(stage)
        altered = with_hand(message, 0, **change)
        yield scene.refused(FORGED, "8.1-10 5.4-4", flag, f"The first hand is altered in its {what}.", altered)
    scene, message = two(stage)
    one, other = message.bundle.transfers
    turned = with_bundle(
        message, transfers=(one._replace(signature=other.signature), other._replace(signature=one.signature))
    )
    yield scene.refused(FORGED, "8.1-10", flag, "Two hands with each other's signatures.", turned)
    for by, place in (("ben", "first"), ("till", "last")):
        scene = Scene(stage)
        first = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 100), by=by if place == "first" else "")
        second = scene.hand("ben", "carla", of(first, 0, 80), by=by if place == "last" else "")
        message = scene.pay("carla", of(second, 0, 60))
        yield scene.refused(
            FORGED, "8.1-10", "OtherSigner", f"The {place} hand was signed by whom it benefits.", message
        )
    scene = Scene(stage)
    dead = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60), by="ben")
    scene.close(dead)
    message = scene.pay("anna", back(dead, 0, 60))
    yield scene.refused(FORGED, "8.1-10", "OtherSigner", "A dead transfer that its payer never signed.", message)


def _tokens(stage: Stage) -> Iterator[Vector]:
    """Yield tokens that no institution signed as they stand."""
    flag = "AlteredToken"
    good = stage.token("anna")
    for what, token in (
        ("serial", good._replace(serial=bytes(8))),
        ("amount", good._replace(amount=10_001)),
        ("currency", stage.token("anna", currency="EUR")._replace(currency="CNY")),
        ("owner", stage.token("ben")._replace(owner=stage.key("anna"))),
        ("spend_by", stage.token("anna", spend_by=TODAY - 1)._replace(spend_by=TODAY)),
        ("claim_by", good._replace(claim_by=good.claim_by + 1)),
        ("hops", stage.token("anna", hops=0)._replace(hops=1)),
        ("conditions", stage.token("anna", conditions=(Condition(200, b""),))._replace(conditions=())),
        ("signature", good._replace(signature=bytes(64))),
    ):  # fmt: skip
        scene = Scene(stage)
        scene.key("anna")
        message = scene.pay("anna", Span(scene.put(token), 0, 60))
        yield scene.refused(FORGED, "8.1-9 4.3-1", flag, f"A token altered in its {what}.", message)
    scene = Scene(stage)
    scene.key("anna")
    token = stage.token("anna", issuer="bank")._replace(issuer=good.issuer)
    message = scene.pay("anna", Span(scene.put(token), 0, 60))
    yield scene.refused(
        FORGED, "8.1-9", "TokenSigner", "A token signed by a bank, with the institution's hint.", message
    )
    for issuer in ("bank", "policy"):
        scene = Scene(stage)
        scene.key("anna")
        message = scene.pay("anna", Span(scene.put(stage.token("anna", issuer=issuer), issuer), 0, 60))
        yield scene.refused(
            Code.WRONG_CERTIFICATE, "7-1", "TokenSigner", f"A token signed and issued by the {issuer}.", message
        )
    for issuer, who in (
        ("stranger", "an institution that nobody knows"), ("anna", "its owner"), ("root", "the root itself"),
    ):  # fmt: skip
        scene = Scene(stage)
        scene.key("anna")
        message = scene.pay("anna", Span(scene.put(stage.token("anna", issuer=issuer), issuer), 0, 60))
        yield scene.refused(Code.UNKNOWN_ISSUER, "7-2", "TokenSigner", f"A token issued by {who}.", message)
    for hands, how in ((0, "of the payer"), (1, "behind one hand"), (2, "behind two hands")):
        scene = Scene(stage)
        scene.key("anna")
        token = stage.token("anna", conditions=(Condition(200, b""),))
        span, payer = Span(scene.put(token), 0, 60), "anna"
        for name in ("ben", "carla")[:hands]:
            span, payer = of(scene.hand(payer, name, span), 0, 60), name
        message = scene.pay(payer, span)
        yield scene.refused(
            Code.UNKNOWN_CONDITION, "5.6-2", "UnknownCondition", f"A token with an unknown condition, {how}.", message
        )


def _certificates(stage: Stage) -> Iterator[Vector]:
    """Yield certificates that prove nothing, or not this."""
    flag, good = "AlteredCertificate", stage.certificate("anna", tier=1, category=1)
    for what, certificate in (
        ("carrier", good._replace(carrier=stage.certificate("anna").carrier.POS)),
        ("tier", good._replace(tier=2)),
        ("role", stage.certificate("anna", role=Role.COLLECT)._replace(role=Role.PAY)),
        ("category", good._replace(category=0)),
        ("attestation", good._replace(attestation=bytes(32))),
        ("expiry", stage.certificate("anna", expires=TODAY - 1)._replace(expires=TODAY)),
        ("ordinal", good._replace(ordinal=good.ordinal + 1)),
        ("signature", good._replace(signature=bytes(64))),
    ):
        yield _as(stage, certificate, FORGED, "8.1-8 4.3-1", flag, f"The payer's certificate, altered in its {what}.")
    for issuer, code in (
        ("policy", Code.WRONG_CERTIFICATE), ("stranger", Code.UNKNOWN_ISSUER), ("root", Code.UNKNOWN_ISSUER),
    ):  # fmt: skip
        how = f"The payer's certificate is signed by the {issuer} key."
        yield _as(stage, stage.certificate("anna", issuer=issuer), code, "7-1 7-2", "CertificateSigner", how)
    forged = stage.certificate("anna", issuer="anna")._replace(issuer=good.issuer)
    how = "The payer signed its certificate itself, with the bank's hint."
    yield _as(stage, forged, FORGED, "7-1 8.1-8", "CertificateSigner", how)
    collector = stage.certificate("anna", role=Role.COLLECT)
    yield _as(stage, collector, Code.WRONG_CERTIFICATE, "7-18 8.1-7", "Role", "The payer may only collect.")
    for name in ("anna", "ben"):
        scene = Scene(stage)
        scene.certificates[name] = stage.certificate(name)._replace(signature=bytes(64))
        first = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 100))
        second = scene.hand("ben", "carla", of(first, 0, 100))
        message = scene.pay("carla", of(second, 0, 60))
        yield scene.refused(
            FORGED, "8.1-10", flag, f"A certificate of a hand behind ({name}'s) that nobody signed.", message
        )


def _as(
    stage: Stage, certificate: WalletCertificate, code: Code, clauses: str, flags: str, comment: str, now: int = 0
) -> Vector:
    """Return the case in which anna pays with this certificate."""
    scene = Scene(stage, now=now)
    scene.certificates["anna"] = certificate
    return scene.refused(code, clauses, flags, comment, scene.pay("anna", Span(scene.token("anna"), 0, 60)))


def _expired(stage: Stage) -> Iterator[Vector]:
    """Yield certificates past their last day, and those that were valid when it mattered."""
    flag, code = "Expired", Code.CERTIFICATE_EXPIRED
    old, last = stage.certificate("anna", expires=TODAY - 1), stage.certificate("anna", expires=TODAY)
    yield _as(stage, old, code, "7-14", flag, "The payer's certificate expired yesterday.")
    late = (TODAY + 1) * limits.EPOCH_SECONDS
    yield _as(stage, last, code, "7-14", f"{flag} Clock", "The payer's certificate has expired by the clock.", late)
    scene = Scene(stage, now=late - 1)
    scene.certificates["anna"] = last
    message = scene.pay("anna", Span(scene.token("anna"), 0, 60))
    yield scene.accepted("7-14", f"{flag} Clock", "The payer's certificate is in its last second.", message)
    scene = Scene(stage)
    scene.certificates["anna"] = old
    message = scene.pay("anna", Span(scene.token("anna"), 0, 60), epoch=TODAY - 1)
    yield scene.refused(
        code,
        "7-14",
        f"{flag} BackDated",
        "An expired payer dates its transfer back into its certificate's life.",
        message,
    )
    scene = Scene(stage)
    scene.certificates["anna"] = last
    message = scene.pay("anna", Span(scene.token("anna"), 0, 60))._replace(header=stage.header(TODAY + 1))
    yield scene.refused(code, "7-14", flag, "A header that comes along shows that the payer has expired.", message)
    for epoch, good in ((TODAY - 1, True), (TODAY, False)):
        scene = Scene(stage)
        scene.certificates["anna"] = old
        first = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60), epoch=epoch)
        message = scene.pay("ben", of(first, 0, 60))
        if good:
            how = "A hand's certificate has expired since: it was valid at the hand's own epoch."
            yield scene.accepted("7-15", flag, how, message)
        else:
            how = "A hand's certificate had expired at the hand's own epoch."
            yield scene.refused(code, "7-15", flag, how, message)
    bank = stage.authority("old bank", Authority.BANK, "institution", quota=10, expires=TODAY - 1)
    for epoch, payer in ((TODAY - 1, False), (TODAY, False), (TODAY, True)):
        scene = Scene(stage, authorities=(*stage.authorities, bank))
        scene.certificates["anna"] = stage.certificate("anna", issuer="old bank")
        span = Span(scene.token("anna"), 0, 60)
        spent = span if payer else of(scene.hand("anna", "ben", span, epoch=epoch), 0, 60)
        message = scene.pay("anna" if payer else "ben", spent)
        flags = f"{flag} Chain"
        if payer:
            yield scene.refused(code, "7-16", flags, "The payer's bank has expired.", message)
        elif epoch < TODAY:
            yield scene.accepted("7-16", flags, "A hand's bank has expired since.", message)
        else:
            yield scene.refused(code, "7-16", flags, "A hand's bank had expired at the hand's own epoch.", message)


def _hotlisted(stage: Stage) -> Iterator[Vector]:
    for name, how in (("carla", "The payer"), ("ben", "The last hand behind"), ("anna", "The first hand behind")):
        scene, message = two(stage)
        scene.policy = stage.policy(hotlist=(stage.key("eve"), stage.key(name)))
        yield scene.refused(Code.HOTLISTED, "7-20 8.1-10", "Hotlist", f"{how} is on the hotlist.", message)
    scene = Scene(stage, policy=stage.policy(hotlist=(stage.key("anna"),)))
    first = scene.hand("anna", "carla", Span(scene.token("anna"), 0, 60), epoch=TODAY - 30)
    message = scene.pay("carla", of(first, 0, 60))
    yield scene.refused(Code.HOTLISTED, "7-20", "Hotlist", "A hotlisted hand, dated before anybody knew.", message)


def _along(stage: Stage) -> Iterator[Vector]:
    """Yield what comes along with a transfer and does not verify."""
    for header, code, how in (
        (stage.header(TODAY + 1)._replace(epoch=TODAY + 2), FORGED, "A header altered in its epoch."),
        (stage.header(TODAY + 1)._replace(policy=2), FORGED, "A header altered in its policy version."),
        (stage.header(TODAY + 1, issuer="institution"), Code.WRONG_CERTIFICATE, "A header signed by the institution."),
        (stage.header(TODAY + 1, issuer="stranger"), Code.UNKNOWN_ISSUER, "A header signed by a stranger."),
        (stage.header(TODAY + limits.EPOCH_STEP + 1), Code.EPOCH_AHEAD, "A header one day too far ahead for a tap."),
    ):
        scene = Scene(stage)
        message = scene.pay("anna", Span(scene.token("anna"), 0, 60))._replace(header=header)
        yield scene.refused(code, "8.1-6 7-9 7-10", "HeaderAlong", how, message)
    scene = Scene(stage)
    message = scene.pay("anna", Span(scene.token("anna"), 0, 60), epoch=TODAY + 1)
    yield scene.refused(Code.EPOCH_AHEAD, "8.1-6", "EpochAhead", "A transfer of tomorrow.", message)
    scene = Scene(stage, now=(TODAY + 1) * limits.EPOCH_SECONDS)
    message = scene.pay("anna", Span(scene.token("anna"), 0, 60), epoch=TODAY + 1)
    yield scene.refused(
        Code.EPOCH_AHEAD,
        "8.1-6 7-13",
        "EpochAhead Clock",
        "A transfer dated by the clock, ahead of the header.",
        message,
    )
    other = stage.authority("other bank", Authority.BANK, "institution", quota=10)
    wild = stage.authority("other bank", Authority.BANK, "bank", quota=10)
    upstart = stage.authority("other bank", Authority.INSTITUTION, "institution", number=2)
    for authorities, code, how in (
        ((), Code.UNKNOWN_ISSUER, "A payer of an unknown bank, whose certificate does not come along."),
        ((other._replace(quota=11),), FORGED, "A bank's certificate that comes along, altered in its quota."),
        ((wild,), Code.WRONG_CERTIFICATE, "A bank that comes along was certified by another bank."),
        ((upstart,), Code.WRONG_CERTIFICATE, "An institution that comes along was certified by an institution."),
    ):
        scene = Scene(stage)
        if not authorities:
            scene.certificates["anna"] = stage.certificate("anna", issuer="other bank")
        message = scene.pay("anna", Span(scene.token("anna"), 0, 60))._replace(authorities=authorities)
        yield scene.refused(code, "7-1 7-2 7-5 8.1-6", "AuthoritiesAlong", how, message)

"""Attacks on trust: certificates, tokens and dates by the wrong signer, at the wrong level, of another scheme.

The thief is at an honest till, as in :mod:`tests.scenarios.attacks.test_value`; here a bank, an institution or a
policy key may be its accomplice.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import pytest

from dualtap import limits
from dualtap.compact import CompactWarrant
from dualtap.errors import Code
from dualtap.issued import Authority, AuthorityCertificate, Header, Role, Token, WalletCertificate
from dualtap.records import News
from dualtap.statements import Kind, Scheme, Span, TransferBody, statement_id
from dualtap.suite import Signer
from dualtap.trust import issue
from dualtap.wire import TransferMessage
from tests.playbook import EPOCH, SUITE_NAMES, World
from tests.support import weak
from tests.support.arena import Arena, Attack, By, Thief, payee_side, payer_side
from tests.support.till import Till

Show: TypeAlias = Callable[[Till], TransferMessage]
Row: TypeAlias = Attack[Show]
Certify: TypeAlias = Callable[[Till, WalletCertificate], WalletCertificate]


def twin(arena: World) -> Scheme:
    """Return another scheme of the same suite, under another root, in which all the same keys are certified."""
    return Scheme.of(arena.suite, arena.suite.signer(b"another root".ljust(32)).public)


def other_world(arena: World) -> World:
    """Return a world of the same suite, of which nobody here has heard."""
    return World(arena.suite.name, seed="elsewhere")


# A wallet's certificate: the payer's, or that of a hand behind it

CERTIFICATES: tuple[tuple[str, By, str, str, Certify, Code], ...] = (
    ("signed by a wallet", By.PAYER, "any certified key certifies others", "§7-2",
     lambda t, c: issue(t.arena.scheme, t.mallory.signer, c), Code.UNKNOWN_ISSUER),
    ("signed by its own key", By.PEER, "a certificate is believed by itself", "§7-2",
     lambda t, c: issue(t.arena.scheme, t.eve.signer, c), Code.UNKNOWN_ISSUER),
    ("signed by the policy key", By.BANK, "any authority certifies wallets", "§7-1",
     lambda t, c: issue(t.arena.scheme, t.arena.policy_key, c), Code.WRONG_CERTIFICATE),
    ("signed by the root", By.BANK, "a level of the chain can be skipped", "§7-1",
     lambda t, c: issue(t.arena.scheme, t.arena.root, c), Code.UNKNOWN_ISSUER),
    ("of another scheme's bank", By.BANK, "one scheme vouches for another", "§7-2",
     lambda t, c: issue(other_world(t.arena).scheme, other_world(t.arena).bank, c), Code.UNKNOWN_ISSUER),
    ("by this bank, in another scheme", By.BANK, "the scheme is not part of what is signed", "§3-16",
     lambda t, c: issue(twin(t.arena), t.arena.bank, c), Code.BAD_SIGNATURE),
    ("with more rights", By.PAYER, "a certificate's fields are not all under its signature", "§4.3-1",
     lambda t, c: c._replace(tier=c.tier + 1), Code.BAD_SIGNATURE),
    ("that lives longer", By.PAYER, "expiry is not under the signature", "§4.3-1",
     lambda t, c: c._replace(expires=c.expires + 999), Code.BAD_SIGNATURE),
    ("that was for another key", By.PEER, "an unknown key-share: a certificate lends its name to another key", "§4.3-1",
     lambda t, c: t.ben.book.certificate._replace(key=c.key), Code.BAD_SIGNATURE),
    ("that has expired", By.PAYER, "nobody asks how old a certificate is", "§7-14",
     lambda t, c: t.arena.certificate(c.key, expires=EPOCH - 1), Code.CERTIFICATE_EXPIRED),
)  # fmt: skip


def as_payer(change: Certify) -> Show:
    def do(t: Till) -> TransferMessage:
        t.present("eve", Thief(t.eve.signer, change(t, t.eve.certificate)))
        return t.spend(t.own(0, 100))

    return do


def as_hand(change: Certify) -> Show:
    def do(t: Till) -> TransferMessage:
        t.present("mallory", Thief(t.mallory.signer, change(t, t.mallory.certificate)))
        return t.spend(t.chain(t.mallory))

    return do


# A token

Issue: TypeAlias = Callable[[Arena, Token], Token]
TOKENS: tuple[tuple[str, By, str, str, Issue, Code], ...] = (
    ("signed by a bank", By.BANK, "a bank prints money", "§7-1", lambda a, x: issue(a.scheme, a.bank, x),
     Code.WRONG_CERTIFICATE),
    ("signed by the policy key", By.BANK, "any authority prints money", "§7-1",
     lambda a, x: issue(a.scheme, a.policy_key, x), Code.WRONG_CERTIFICATE),
    ("signed by the root", By.BANK, "a level of the chain can be skipped", "§7-1",
     lambda a, x: issue(a.scheme, a.root, x), Code.UNKNOWN_ISSUER),
    ("signed by a wallet", By.PAYER, "any certified key prints money", "§7-2",
     lambda a, x: issue(a.scheme, a.thieves["eve"].signer, x), Code.UNKNOWN_ISSUER),
    ("of another scheme's institution", By.BANK, "one scheme's money is another's", "§7-2",
     lambda a, x: issue(other_world(a).scheme, other_world(a).institution, x), Code.UNKNOWN_ISSUER),
    ("by this institution, in another scheme", By.BANK, "play money of a test scheme is taken", "§3-16",
     lambda a, x: issue(twin(a), a.institution, x), Code.BAD_SIGNATURE),
    ("of a larger amount", By.PAYER, "the amount is not under the signature", "§4.3-1",
     lambda a, x: x._replace(amount=x.amount + 1), Code.BAD_SIGNATURE),
    ("that lives longer", By.PAYER, "the dates are not under the signature", "§4.3-1",
     lambda a, x: x._replace(spend_by=x.spend_by + 1), Code.BAD_SIGNATURE),
    ("of more hops", By.PAYER, "the hop limit is not under the signature", "§4.3-1", lambda a, x: x._replace(hops=99),
     Code.BAD_SIGNATURE),
    ("with another serial", By.PAYER, "one signature makes many tokens", "§4.3-1",
     lambda a, x: x._replace(serial=bytes(8)), Code.BAD_SIGNATURE),
)  # fmt: skip


def paid_with(change: Issue) -> Show:
    def do(t: Till) -> TransferMessage:
        token = change(t.arena, t.arena.token(t.eve.key, 100))
        return t.spend(Span(t.keep(token), 0, 100))

    return do


# Authorities that a till lacks, and the date


def cold(t: Till, *shown: AuthorityCertificate) -> TransferMessage:
    """A till that knows only the policy key is shown these authorities."""
    t.replace(news=News(None, t.arena.authorities[:1], t.arena.header, t.arena.policy))
    return t.spend(t.own(0, 100))._replace(authorities=shown)


def authority(t: Till, signer: Signer, what: Authority, key: bytes = b"") -> AuthorityCertificate:
    certificate = AuthorityCertificate(key or t.eve.key, what, 2, 99, EPOCH + 99, b"", b"")
    return issue(t.arena.scheme, signer, certificate)


def shown(t: Till, *more: AuthorityCertificate) -> TransferMessage:
    return t.spend(t.own(0, 100))._replace(authorities=more)


def headed(t: Till, header: Header) -> TransferMessage:
    return t.spend(t.own(0, 100))._replace(header=header)


def by_bank(t: Till, certificate: AuthorityCertificate) -> TransferMessage:
    """Eve, certified by a bank that only this message speaks of."""
    t.present("eve", Thief(t.eve.signer, issue(t.arena.scheme, t.mallory.signer, t.eve.certificate)))
    return t.spend(t.own(0, 100))._replace(authorities=(certificate,))


# The hotlist, roles, and signatures of the wrong kind


def hotlisted(t: Till, place: int) -> TransferMessage:
    hands = [t.thief(f"hand {number}") for number in range(3)]
    t.rule((*hands, t.eve)[place].key)
    return t.spend(t.chain(*hands))


def hotlisted_since(t: Till) -> TransferMessage:
    """The till took value of this hand before the hand was hotlisted."""
    token = t.keep(t.arena.token(t.mallory.key, 200))
    hand = t.give(t.mallory, t.eve, Span(token, 0, 200))
    t.pay(payee_side(hand, 0, 100))
    t.rule(t.mallory.key)
    return t.spend(payee_side(hand, 100, 200))


def expired_since(t: Till) -> TransferMessage:
    t.certify("mallory", expires=EPOCH - 1)
    token = t.keep(t.arena.token(t.mallory.key, 100))
    return t.spend(payee_side(t.give(t.mallory, t.eve, Span(token, 0, 100), epoch=EPOCH - 1), 0, 100))


def role(t: Till, allowed: Role) -> TransferMessage:
    t.certify("eve", role=allowed)
    return t.spend(t.own(0, 100))


def own_certificate(t: Till) -> TransferMessage:
    message = t.spend(t.own(0, 100))
    return message._replace(bundle=message.bundle._replace(certificates=(t.till.book.certificate,)))


def of_kind(t: Till, kind: Kind) -> TransferMessage:
    """The transfer's own fields, signed as a statement of another kind."""
    message = t.spend(t.own(0, 100))
    last = next(one for one in t.arena.loot if one.signature == message.signature)
    t.arena.forget(last.shown().seed)
    wrong = statement_id(t.arena.scheme.id, kind, t.eve.key, last.public, last.commitment)
    return message._replace(signature=t.eve.signer.sign(wrong))


def in_twin(t: Till) -> TransferMessage:
    return t.spend(t.own(0, 100), scheme=twin(t.arena).id)


def hand_in_twin(t: Till) -> TransferMessage:
    token = t.keep(t.arena.token(t.mallory.key, 100))
    real = t.give(t.mallory, t.eve, Span(token, 0, 100))
    t.arena.forget(real.shown().seed)
    again = t.arena.sign(t.mallory.signer, real.body, real.shown(), twin(t.arena).id)
    return t.altered(t.spend(payee_side(real, 0, 100)), 0, signature=again.signature)


def warrant_in_twin(t: Till) -> TransferMessage:
    dead = t.dead()
    outcome = t.graph.warrants[dead.id].outcome
    message = t.spend(payer_side(dead, 0, 100))
    proof = message.bundle.transfers[0].proof
    assert isinstance(proof, CompactWarrant)
    again = t.arena.sign(t.mallory.signer, outcome.body, outcome.shown(), twin(t.arena).id)
    return t.altered(message, 0, proof=proof._replace(signature=again.signature))


def mangled(name: str) -> Show:
    """The payment's signature in another form."""

    def do(t: Till) -> TransferMessage:
        message = t.spend(t.own(0, 100))
        return message._replace(signature=weak.signatures(t.arena.suite.name, message.signature)[name])

    return do


def hand_mangled(t: Till) -> TransferMessage:
    message = t.spend(t.got(0, 0, 100))
    forms = weak.signatures(t.arena.suite.name, t.hands[0].signature)
    return t.altered(message, 0, signature=next(iter(forms.values())))


def weak_key(name: str) -> Show:
    """A bank certified, and an institution funded, a key for which anybody can sign."""

    def do(t: Till) -> TransferMessage:
        key = weak.CERTIFIED[t.arena.suite.name].get(name) or weak.OTHER_SUITE[t.arena.suite.name]
        t.graph.certificates[key] = t.arena.certificate(key)
        token = t.keep(t.arena.token(key, 100))
        body = TransferBody(t.till.book.key, (Span(token, 0, 100),), EPOCH, ())
        opening = t.arena.place(t.eve.signer, t.request)
        honest = t.eve.certificate
        t.eve = t.eve._replace(certificate=t.graph.certificates[key])
        message = t.message(t.arena.sign(t.eve.signer, body, opening))
        t.eve = t.eve._replace(certificate=honest)
        t.graph.tokens.pop(token.id)
        return message

    return do


P, S, U, W = Code.CERTIFICATE_EXPIRED, Code.BAD_SIGNATURE, Code.UNKNOWN_ISSUER, Code.WRONG_CERTIFICATE
I, B, R = Authority.INSTITUTION, Authority.BANK, Role

ATTACKS: tuple[Row, ...] = (
    *(Row(f"a payer's certificate {name}", by, bug, clause, as_payer(change), code)
      for name, by, bug, clause, change, code in CERTIFICATES),
    *(Row(f"a hand's certificate {name}", by, bug, clause.replace("§7-14", "§7-15"), as_hand(change), code)
      for name, by, bug, clause, change, code in CERTIFICATES),
    Row("a hand made while its certificate was good is taken", By.HAND, "none", "§7-15", expired_since, None),
    *(Row(f"a token {name}", by, bug, clause, paid_with(change), code)
      for name, by, bug, clause, change, code in TOKENS),
    Row("authorities that a till lacks are learnt", By.PAYER, "none", "§7-5",
        lambda t: cold(t, *t.arena.authorities[1:]), None),
    Row("no authorities", By.PAYER, "an unknown authority is a good one", "§7-2", cold, U),
    Row("a bank without its institution", By.PAYER, "a chain may begin anywhere", "§7-5",
        lambda t: cold(t, t.arena.authorities[2]), U),
    Row("a chain that lacks its bank", By.PAYER, "what is not shown is taken for granted", "§7-2",
        lambda t: cold(t, t.arena.authorities[1]), U),
    Row("an institution of another scheme", By.BANK, "any root will do", "§7-5",
        lambda t: shown(t, other_world(t.arena).authorities[1]), W),
    Row("an institution signed by an institution", By.BANK, "levels are not told apart", "§7-1",
        lambda t: shown(t, authority(t, t.arena.institution, I)), W),
    Row("an institution signed by a bank", By.BANK, "levels are not told apart", "§7-1",
        lambda t: shown(t, authority(t, t.arena.bank, I)), W),
    Row("a policy key signed by an institution", By.BANK, "an institution rules the scheme", "§7-1",
        lambda t: shown(t, authority(t, t.arena.institution, Authority.POLICY)), W),
    Row("a bank signed by a bank", By.BANK, "banks breed without a quota", "§7-1",
        lambda t: by_bank(t, authority(t, t.arena.bank, B, t.mallory.key)), W),
    Row("a bank signed by the policy key", By.BANK, "levels are not told apart", "§7-1",
        lambda t: by_bank(t, authority(t, t.arena.policy_key, B, t.mallory.key)), W),
    Row("a bank signed by the root", By.BANK, "a level of the chain can be skipped", "§7-1",
        lambda t: by_bank(t, authority(t, t.arena.root, B, t.mallory.key)), U),
    Row("a bank signed by a wallet", By.PAYER, "any certified key certifies banks", "§7-2",
        lambda t: by_bank(t, authority(t, t.eve.signer, B, t.mallory.key)), U),
    Row("a bank with more quota than it has", By.BANK, "the quota is not under the signature", "§4.3-1",
        lambda t: by_bank(t, authority(t, t.arena.institution, B, t.mallory.key)._replace(quota=9999)), S),
    # Dates
    Row("a date too far ahead", By.BANK, "one tap with a stolen policy key expires a device for ever", "§7-10",
        lambda t: headed(t, t.arena.dated(EPOCH + limits.EPOCH_STEP + 1)), Code.EPOCH_AHEAD),
    Row("a date signed by a bank", By.BANK, "any authority moves the date", "§7-9",
        lambda t: headed(t, issue(t.arena.scheme, t.arena.bank, t.arena.dated(EPOCH + 1))), W),
    Row("a date signed by the institution", By.BANK, "any authority moves the date", "§7-9",
        lambda t: headed(t, issue(t.arena.scheme, t.arena.institution, t.arena.dated(EPOCH + 1))), W),
    Row("a date signed by a wallet", By.PAYER, "anybody moves the date", "§7-9",
        lambda t: headed(t, issue(t.arena.scheme, t.eve.signer, t.arena.dated(EPOCH + 1))), U),
    Row("a date of another scheme", By.BANK, "the scheme is not part of what is signed", "§3-16",
        lambda t: headed(t, issue(twin(t.arena), t.arena.policy_key, t.arena.dated(EPOCH + 1))), S),
    Row("a date altered", By.PAYER, "the date is not under the signature", "§7-9",
        lambda t: headed(t, t.arena.dated(EPOCH + 1)._replace(epoch=EPOCH + 2)), S),
    Row("an old date is ignored", By.PAYER, "a replayed header sets a clock back", "§7-11",
        lambda t: headed(t, t.arena.dated(EPOCH - 9)), None),
    # Whom a scheme has shut out
    *(Row(f"a hotlisted key in place {place}", By.HAND, "only the direct payer is looked up", "§7-20",
             partial(hotlisted, place=place), Code.HOTLISTED) for place in range(4)),
    Row("a hand hotlisted since the till knew it", By.HAND, "what was verified once stays good", "§8.1-15",
        hotlisted_since, Code.HOTLISTED),
    Row("a payer that may only collect", By.PAYER, "roles are not looked at", "§7-18", lambda t: role(t, R.COLLECT), W),
    Row("a payer that may do nothing", By.PAYER, "no role passes for every role", "§7-18", lambda t: role(t, R(0)), W),
    Row("a hand that may only collect is taken: roles bind the direct payer", By.HAND, "none", "§7-18",
        lambda t: (t.certify("mallory", role=R.COLLECT), t.spend(t.chain(t.mallory)))[1], None),
    Row("the till's own certificate", By.PEER, "a wallet is paid by itself", "§8.1-7", own_certificate,
        Code.SELF_PAYMENT),
    # Signatures of another kind or scheme, or in another form
    *(Row(f"a transfer signed as {kind.name}", By.PAYEE, "a statement of one kind passes for another", "§4.1-3",
             partial(of_kind, kind=kind), S) for kind in Kind if kind is not Kind.TRANSFER),
    Row("a transfer signed in another scheme", By.PAYER, "the same key in two schemes pays in both at once", "§3-16",
        in_twin, S),
    Row("a hand signed in another scheme", By.HAND, "value crosses from one scheme into another", "§3-16", hand_in_twin,
        S),
    Row("a warrant signed in another scheme", By.HAND, "a Close of another scheme restores value", "§3-16",
        warrant_in_twin, S),
    Row("a hand's signature in another form", By.PAYER, "a second form of a signature makes a second statement", "§3-6",
        hand_mangled, S),
)  # fmt: skip


@pytest.mark.parametrize("suite", SUITE_NAMES)
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_on_trust(attack: Row, suite: str) -> None:
    """§3-5, §3-6, §3-10, §3-11, §3-16, §4.1-3, §4.3-1, §7-1, §7-2, §7-5, §7-9, §7-10, §7-11, §7-14, §7-15, §7-18,
    §7-20, §8.1-7, §8.1-15."""
    Till(suite).judge(attack)


SUITES = {"p256": "§3-5", "ed25519": "§3-10"}
FORMS = [(suite, name) for suite in SUITES for name in weak.signatures(suite, bytes(range(64)))]
KEYS = [(suite, name) for suite in SUITES for name in (*weak.CERTIFIED[suite], "of the other suite")]


@pytest.mark.parametrize(("suite", "name"), FORMS)
def test_a_signature_in_another_form(suite: str, name: str) -> None:
    """§3-6, §3-11: whoever takes two forms of a signature lets strangers make statements out of statements."""
    clause = {"p256": "§3-6", "ed25519": "§3-11"}[suite]
    Till(suite).judge(Attack(name, By.WIRE, "malleable signatures", clause, mangled(name), Code.BAD_SIGNATURE))


@pytest.mark.parametrize(("suite", "name"), KEYS)
def test_a_certified_key_for_which_anybody_can_sign(suite: str, name: str) -> None:
    """§3-5, §3-10, §5.1-8: small order, off the curve, a second encoding, another suite; though a bank certified it."""
    Till(suite).judge(Attack(name, By.BANK, "weak keys", SUITES[suite], weak_key(name), Code.BAD_KEY))

"""What is not sent, a receiver derives: here from the messages and the specification's formulas alone.

One story is overheard: a payment is torn and healed, value is restored and passed on. Every signature in it verifies
over an id that this file computes from the fields of the message, the certificates beside it and the transcript.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import pytest

from dualtap import wire
from dualtap.codec import pack
from dualtap.compact import CompactSpan, CompactWarrant
from dualtap.context import Charge
from dualtap.errors import Code
from dualtap.issued import Role, WalletCertificate
from dualtap.statements import Kind, Side
from dualtap.suite import SUITES
from dualtap.trust import issued_id
from dualtap.wire import OutcomeMessage, PresentMessage, RequestMessage, TransferMessage
from dualtap_devices.wallet import Wallet
from tests.playbook import Meeting, World, refuse

APPLES = Charge(60, "CNY", b"basket of apples", details=b"d" * 32)
PEARS = Charge(60, "CNY", b"basket of pears.")


def h(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def u64(value: int) -> bytes:
    return value.to_bytes(8, "big")


class Listener:
    """Somebody who hears one tap in the clear, knows the scheme, and computes every id by the formulas."""

    def __init__(self, world: World, meeting: Meeting) -> None:
        self.world = world
        self.verified = 0
        hello, welcome = meeting.heard[0].message, meeting.heard[1].message
        assert isinstance(hello, wire.Hello)
        assert isinstance(welcome, wire.Welcome)
        chosen = pack((welcome.version, welcome.ephemeral, int(welcome.want)))
        self.session = h(b"dualtap tap 1", world.scheme.id, h(wire.encode_hello(hello)), chosen)
        self.request = b""
        self.shown: tuple[bytes, bytes, bytes] = b"", b"", b""
        for seen in meeting.heard[2:]:
            self.hear(seen.message, seen.sender.initiator, meeting.other(seen.sender).wallet.book.key)

    def check(self, kind: Kind, key: bytes, fields: tuple[object, ...], commitment: bytes, signature: bytes) -> bytes:
        named = h(self.world.scheme.id, bytes([kind]), key, h(pack(fields)), commitment)
        self.world.suite.verifier(key)(signature, named)
        self.verified += 1
        return named

    def certified(self, certificate: WalletCertificate) -> bytes:
        """Return the certified key; the signer's whole key is found by its hint, H's first four bytes."""
        (bank,) = [one.key for one in self.world.authorities if h(one.key)[:4] == certificate.issuer]
        named = h(self.world.scheme.id, b"\x03", bank, h(pack(tuple(certificate)[:-2])), bytes(32))
        self.world.suite.verifier(bank)(certificate.signature, named)
        return certificate.key

    def hear(self, message: object, initiator: bool, receiver: bytes) -> None:
        match message:
            case RequestMessage():
                key = self.certified(message.certificate)
                fields = (self.session, initiator, *tuple(message)[1:11])
                self.request = self.check(Kind.REQUEST, key, fields, bytes(32), message.signature)
                assert message.authorities == (), "nobody asked for them"
            case PresentMessage():
                key = self.certified(message.certificate)
                self.check(Kind.PRESENT, key, (self.session, initiator, message.epoch), bytes(32), message.signature)
            case TransferMessage():
                self.transfer(message, receiver)
            case OutcomeMessage():
                self.outcome(message)
            case _:
                pass

    def transfer(self, message: TransferMessage, receiver: bytes) -> None:
        payer = message.bundle.certificates[0].key
        request = message.request or self.request
        private = h(bytes([message.verification]), message.refund_of)
        place = h(h(b"place", message.seed), u64(message.prev), u64(message.ctr), private)
        commitment = h(place, h(h(b"request", message.seed), request))
        tokens, hands = self.bundle(message)
        spans = self.spans(message.spans, tokens, hands)
        fields = (receiver, spans, message.epoch, message.witness)
        named = self.check(Kind.TRANSFER, payer, fields, commitment, message.signature)
        self.shown = named, receiver, request
        assert message.authorities == (), "nobody asked for them"

    def bundle(self, message: TransferMessage) -> tuple[list[bytes], list[bytes]]:
        keys = [self.certified(certificate) for certificate in message.bundle.certificates]
        (institution,) = [one.key for one in self.world.authorities if h(one.key)[:4] == self.world_hint()]
        tokens: list[bytes] = []
        for token in message.bundle.tokens:
            whole = (token.serial, token.amount, token.currency, keys[token.owner], *tuple(token)[4:8])
            tokens.append(self.check(Kind.TOKEN, institution, whole, bytes(32), token.signature))
        hands: list[bytes] = []
        for hand in message.bundle.transfers:
            payee = hand.payee if isinstance(hand.payee, bytes) else keys[hand.payee]
            proof = hand.proof
            commitment = h(proof.place, h(proof.salt, proof.request)) if isinstance(proof, CompactWarrant) else proof
            fields = (payee, self.spans(hand.spans, tokens, hands), hand.epoch, hand.witness)
            hands.append(self.check(Kind.TRANSFER, keys[hand.payer], fields, commitment, hand.signature))
            if isinstance(proof, CompactWarrant):
                kind = Kind.RECEIPT if proof.transfer else Kind.CLOSE
                said = (proof.request, proof.transfer or proof.reason, proof.epoch)
                self.check(kind, payee, said, proof.commitment, proof.signature)
        return tokens, hands

    def world_hint(self) -> bytes:
        return h(self.world.institution.public)[:4]

    def spans(self, compact: tuple[CompactSpan, ...], tokens: list[bytes], hands: list[bytes]) -> object:
        return tuple(
            ((tokens[item[0]], int(Side.TOKEN), 0), *item[1:])
            if len(item) == 3
            else ((hands[item[0]], item[1], item[2]), *item[3:])
            for item in compact
        )

    def outcome(self, message: OutcomeMessage) -> None:
        transfer, payee, request = self.shown
        place = h(h(b"place", message.seed), u64(message.prev), u64(message.ctr), h(b"\x00"))
        said = (message.transfer or transfer) if message.kind is Kind.RECEIPT else message.reason
        self.check(message.kind, payee, (request, said, message.epoch), h(place, bytes(32)), message.signature)


class Story(NamedTuple):
    world: World
    wallets: list[Wallet]
    meetings: list[Meeting]


def story(suite: str) -> Story:
    """Anna pays Ben, and the Receipt is lost, then healed; Ben's payment is lost, restored, and passed on by Carla."""
    world = World(suite, seed="derived")
    anna, ben, carla, till = world.wallet(fund=100), *(world.wallet() for _ in range(3))
    meetings = [
        world.meet(anna, ben, charge=APPLES).run(stop_after=3),
        world.meet(ben, anna, charge=PEARS, payer_starts=False, person=refuse).run(),
        world.meet(anna, ben, charge=APPLES, payer_starts=False).run(),
        world.meet(ben, till, charge=PEARS).run(stop_after=2),
        world.meet(ben, till, charge=PEARS, person=refuse).run(),
        world.meet(ben, carla, charge=PEARS).run(),
        world.meet(carla, till, 30, payer_starts=False).run(),
    ]
    return Story(world, [anna, ben, carla, till], meetings)


@pytest.mark.parametrize("suite", SUITES)
def test_every_signature_verifies_by_the_formulas(suite: str) -> None:
    """§3-1, §4.1-1, §4.1-2, §4.2-2, §4.2-5, §4.3-1, §5.2-4, §5.2-5, §5.4-4, §5.7-1, §6-11, §7-4."""
    world, _, meetings = story(suite)
    assert world.scheme.id == h(b"dualtap scheme 1", bytes([world.suite.number]), world.root.public)
    heard = {type(seen.message).__name__ for meeting in meetings for seen in meeting.heard}
    assert {"RequestMessage", "PresentMessage", "TransferMessage", "OutcomeMessage"} <= heard
    assert sum(Listener(world, meeting).verified for meeting in meetings) == 30


def test_a_later_hand_learns_no_place_and_no_request() -> None:
    """§4.2-6: what Anna told Ben of her tape is not in what the till hears; a warrant opens its request, no more."""
    world, (anna, ben, _, _), meetings = story("ed25519")
    said = [seen.message for seen in meetings[0].heard]
    first = next(message for message in said if isinstance(message, TransferMessage))
    plain = [wire.encode(seen.message) for seen in meetings[6].heard if isinstance(seen.message, TransferMessage)]
    assert len(plain) == 1
    request = anna.book.graph.transfers[next(iter(ben.book.taken))].shown().request
    assert first.seed not in plain[0]
    assert request not in plain[0]
    (shown,) = [seen.message for seen in meetings[6].heard if isinstance(seen.message, TransferMessage)]
    warrants = [hand.proof for hand in shown.bundle.transfers if isinstance(hand.proof, CompactWarrant)]
    assert len(warrants) == 1
    assert [len(hand.proof) for hand in shown.bundle.transfers if isinstance(hand.proof, bytes)] == [32, 32]
    opened = ben.book.graph.transfers[next(iter(ben.book.graph.warrants))].shown()
    assert (warrants[0].request, opened.seed in plain[0]) == (opened.request, False)
    world.check()


def test_every_entry_has_a_seed_of_its_own() -> None:
    """§4.2-4 and §4.1-5: no seed comes twice, and no two entries of a key overlap."""
    _, wallets, _ = story("ed25519")
    entries = [entry for wallet in wallets for entry in wallet.book.tape]
    seeds = [entry.shown().seed for entry in entries]
    assert len(set(seeds)) == len(seeds) == 8
    assert {len(seed) for seed in seeds} == {16}
    for wallet in wallets:
        head = 0
        for entry in wallet.book.tape:
            assert head <= entry.shown().prev < entry.shown().ctr
            head = entry.shown().ctr


@pytest.mark.parametrize("suite", SUITES)
def test_nothing_on_the_air_names_a_wallet(suite: str) -> None:
    """§6-13 and §6-14: no frame shows a key, a certificate, an amount's basket or an id."""
    world, wallets, meetings = story(suite)
    secret = [wallet.book.key for wallet in wallets]
    secret += [wallet.book.certificate.signature for wallet in wallets]
    secret += [entry.id for wallet in wallets for entry in wallet.book.tape]
    secret += [APPLES.basket, PEARS.basket, APPLES.details]
    secret += [issued_id(world.scheme, token, world.institution.public)
               for wallet in wallets for token in wallet.book.graph.tokens.values()]  # fmt: skip
    for frame in (frame for meeting in meetings for frame in meeting.frames):
        assert not [item for item in secret if item in frame]


@pytest.mark.parametrize("payer_starts", [True, False])
def test_a_stranger_without_a_certificate_learns_nothing_of_a_payer(payer_starts: bool) -> None:
    """§17-3: all that a payer says to an uncertified payee is its greeting and a Refuse."""
    world = World(seed="stranger")
    watch, till = world.wallet(fund=100), world.wallet()
    forged = till.book.certificate._replace(role=Role.PAY, ordinal=7)

    def lie(said: wire.Hello | wire.Welcome | wire.Message) -> wire.Hello | wire.Welcome | wire.Message:
        return said._replace(prove=True, certificate=forged) if isinstance(said, RequestMessage) else said

    meeting = world.meet(watch, till, 10, payer_starts=payer_starts).run(rewrite=lie)
    said = [type(seen.message).__name__ for seen in meeting.heard if seen.sender is meeting.payer]
    assert said == ["Hello" if payer_starts else "Welcome", "RefuseMessage"]
    assert meeting.payer.report.code is Code.BAD_SIGNATURE

"""A sync that others carry: they see sealed bytes, change nothing, and who plays the issuer is told nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from dualtap import codec, limits, wire
from dualtap.errors import Code, TapError
from dualtap.events import Received, Send, Sign, Signature
from dualtap.issued import Authority, AuthorityCertificate
from dualtap.keystore import sign_with
from dualtap.sealedsync import IssuerSync, Proved, Replied, Take, Taken, WalletSync
from dualtap.session import Channel, establish
from dualtap.suite import sha256
from dualtap.sync import encode_upload, upload_of
from dualtap.syncmessages import SyncMessage, SyncNext, SyncPiece, SyncProof, decode, encode, proof_id
from dualtap.trust import issue
from dualtap.wire import Hello, RefuseMessage, Want, Welcome
from dualtap_devices.remote import sync_sealed
from dualtap_devices.wallet import Wallet
from tests.mint import EPOCH, Mint
from tests.support.sealed import MOST, Host


@pytest.fixture(params=["p256", "ed25519"])
def mint(request: pytest.FixtureRequest) -> Mint:
    return Mint(str(request.param))


class Torn(Exception):
    """The link ended here."""


class Cut:
    """Carries so many frames, of both directions, and then none."""

    def __init__(self, host: Host, frames: int) -> None:
        self.host, self.left = host, frames

    def exchange(self, frame: bytes) -> bytes:
        self.carry()
        answer = self.host.exchange(frame)
        self.carry()
        return answer

    def carry(self) -> None:
        if not self.left:
            raise Torn
        self.left -= 1


def run(mint: Mint, wallet: Wallet, host: Host, deposit: bool = False) -> None:
    sync_sealed(wallet, host, mint.draw(), deposit)


def refused(code: Code, act: Callable[[], object]) -> None:
    with pytest.raises(TapError) as caught:
        act()
    assert caught.value.code is code


def wallet_end(mint: Mint, wallet: Wallet, message: int = limits.MESSAGE) -> WalletSync:
    upload, epoch = encode_upload(upload_of(wallet.book)), wallet.book.trust.epoch
    return WalletSync(mint.scheme, wallet.book.key, upload, epoch, message, mint.suite.ephemeral(mint.draw()))


def test_a_sync_brings_what_it_should_and_its_carrier_sees_none_of_it(mint: Mint) -> None:
    """§14-14, §14-17: no key, amount, serial or certificate's signature is in any frame carried."""
    wallet, shop = mint.wallet(500), mint.wallet()
    assert mint.pay(wallet, shop, 120) == "paid"
    token = mint.ledger.issue(shop.book.key, 77, EPOCH, b"serial 8")
    host = Host(mint)
    before = host.session.stored
    report = sync_sealed(shop, host, mint.draw(), True)
    assert (before, host.session.stored) == (False, True)
    assert (report.deposited, report.funded, shop.book.available(EPOCH)) == (120, 77, 77)
    assert mint.ledger.audit().settled == 120
    carried = b"".join(host.frames)
    held = upload_of(wallet.book)
    for secret in (shop.book.key, wallet.book.key, b"serial 8", token.signature, held.certificate.signature,
                   mint.authority.institution, held.tokens[0].serial):  # fmt: skip
        assert secret not in carried


def test_a_card_syncs_in_frames_of_its_own_size(mint: Mint) -> None:
    """§14-18 and §14-19: nothing longer crosses to it, and many pieces are one upload and one reply."""
    wallet = mint.wallet(10_000)
    for _ in range(6):
        mint.fund(wallet, 10)
    for _ in range(12):
        mint.ledger.issue(wallet.book.key, 50, EPOCH, mint.draw(8))
    host, session = Host(mint), wallet_end(mint, wallet, limits.CARD_MESSAGE)
    effect: Send | Sign | Replied = session.begin()
    answers: list[int] = []
    while not isinstance(effect, Replied):
        match effect:
            case Send(frame):
                answer = host.exchange(frame)
                answers.append(len(answer))
                effect = session.step(Received(answer))
            case Sign(statement):
                effect = session.step(Signature(sign_with(wallet.keystore, statement)))
    assert max(answers) <= limits.CARD_MESSAGE
    assert max(map(len, host.frames)) <= limits.CARD_MESSAGE, "§10.1-1: nor does it send more"
    assert sum(size > limits.CARD_MESSAGE - 64 for size in answers) > 1, "the reply took several pieces"
    assert len(encode_upload(upload_of(wallet.book))) > limits.CARD_MESSAGE, "and so did the upload"
    assert len(effect.reply.tokens) == 12
    assert host.session.ended
    refused(Code.ENDED, lambda: session.step(Received(b"")))
    refused(Code.ENDED, lambda: host.exchange(b""))
    refused(Code.ENDED, session.begin)


def test_torn_at_every_frame_and_repeated_nothing_has_an_effect_twice() -> None:
    """§14-22: another session, another challenge; what was stored before the answer was lost is stored once."""
    cut, done = 0, False
    while not done:
        mint = Mint(seed=f"torn {cut}")
        wallet, shop = mint.wallet(500), mint.wallet()
        mint.pay(wallet, shop, 120)
        mint.ledger.issue(shop.book.key, 77, EPOCH, mint.draw(8))
        host = Host(mint)
        with suppress(Torn):
            assert sync_sealed(shop, Cut(host, cut), mint.draw(), True).funded == 77
            done = True
        digest = mint.ledger.digest() if host.applied else b""
        host.fresh()
        assert sync_sealed(shop, host, mint.draw(), not done).funded == (0 if done else 77)
        assert not digest or mint.ledger.digest() == digest
        assert (shop.book.available(EPOCH), mint.ledger.audit().settled) == (77, 120)
        assert mint.named() == set()
        cut += 1
    assert cut > 4, "not every frame was met"


# Who plays the issuer


def signed_by(mint: Mint, number: int, certificate: AuthorityCertificate) -> Callable[[bytes, bytes], Proved]:
    """Return proofs by the mint's n-th secret (root, policy, institution, bank), with any certificate."""
    key = mint.suite.signer(sha256(sha256(b"mint") + number.to_bytes(4, "big")))

    def prove(session: bytes, challenge: bytes) -> Proved:
        return Proved(challenge, certificate, key.sign(proof_id(mint.scheme, key.public, session, challenge)))

    return prove


def made_up(mint: Mint) -> Callable[[bytes, bytes], Proved]:
    """Return proofs by a key that the root never saw."""
    key, other = mint.suite.signer(b"n" * 32), mint.suite.signer(b"o" * 32)
    blank = AuthorityCertificate(key.public, Authority.INSTITUTION, 9, 0, EPOCH + 9, b"", b"")
    certificate = issue(mint.scheme, other, blank)._replace(issuer=mint.authority.authorities[0].issuer)
    return lambda session, challenge: Proved(
        challenge, certificate, key.sign(proof_id(mint.scheme, key.public, session, challenge))
    )


def of_another_session(mint: Mint) -> Callable[[bytes, bytes], Proved]:
    return lambda _, challenge: mint.authority.proof_for(b"t" * 32, challenge)


def of_another_challenge(mint: Mint) -> Callable[[bytes, bytes], Proved]:
    return lambda session, challenge: replace(mint.authority.proof_for(session, b"c" * 32), challenge=challenge)


FAKES: list[tuple[str, Callable[[Mint], Callable[[bytes, bytes], Proved]], Code]] = [
    ("a key without the root's word", made_up, Code.BAD_SIGNATURE),
    ("the bank", lambda mint: signed_by(mint, 4, mint.authority.authorities[2]), Code.UNKNOWN_ISSUER),
    ("the policy key", lambda mint: signed_by(mint, 2, mint.authority.authorities[0]), Code.WRONG_CERTIFICATE),
    ("its certificate", lambda mint: signed_by(mint, 4, mint.authority.authorities[1]), Code.BAD_SIGNATURE),
    ("a proof of another session, replayed", of_another_session, Code.BAD_SIGNATURE),
    ("a proof of another challenge", of_another_challenge, Code.BAD_SIGNATURE),
]  # fmt: skip


@pytest.mark.parametrize(("prove", "code"), [fake[1:] for fake in FAKES], ids=[fake[0] for fake in FAKES])
def test_who_plays_the_issuer_is_told_nothing(
    prove: Callable[[Mint], Callable[[bytes, bytes], Proved]], code: Code
) -> None:
    """§14-16: the wallet says Hello, and then no more; nothing of it is signed."""
    mint = Mint("p256")
    wallet = mint.wallet(500)
    host = Host(mint)
    host.prove = prove(mint)
    refused(code, lambda: run(mint, wallet, host, deposit=False))
    hello, _ = host.frames
    assert wire.decode_hello(hello).want == Want.SYNC
    assert (host.applied, wallet.book.available(EPOCH)) == (0, 500)
    assert not wallet.book.trust.lacks_authorities
    run(mint, wallet, Host(mint))


def test_the_institution_of_the_proof_may_be_new_to_the_wallet_or_expired() -> None:
    """§14-16 and §7-17: a chain to the root is enough; and what it showed is not kept by a sync that failed."""
    mint = Mint()
    wallet = mint.wallet(5)
    root = mint.suite.signer(sha256(sha256(b"mint") + (1).to_bytes(4, "big")))
    key = mint.suite.signer(b"new institution, with a key of its"[:32])
    certificate = issue(
        mint.scheme, root, AuthorityCertificate(key.public, Authority.INSTITUTION, 2, 0, EPOCH - 9, b"", b"")
    )
    host = Host(mint)
    host.prove = lambda session, challenge: Proved(
        challenge, certificate, key.sign(proof_id(mint.scheme, key.public, session, challenge))
    )
    # §14-21: the first institution answers for the second
    refused(Code.UNKNOWN_ISSUER, lambda: run(mint, wallet, host))
    assert host.applied == 1
    assert certificate not in wallet.book.trust.authorities
    run(mint, wallet, Host(mint))


# What a carrier changes


@pytest.mark.parametrize("at", range(6))
def test_a_changed_frame_ends_the_session_and_nothing_comes_of_it(mint: Mint, at: int) -> None:
    """§14-14 with §6-3: each frame there and back, one bit of it; a clean sync then does it all."""

    class Flip(Host):
        def exchange(self, frame: bytes) -> bytes:
            place = len(self.frames)
            sent = flip(frame) if place == at else frame
            answer = super().exchange(sent)
            return flip(answer) if place + 1 == at else answer

    def flip(frame: bytes) -> bytes:
        return frame[:-1] + bytes([frame[-1] ^ 1])

    wallet = mint.wallet(500)
    mint.ledger.issue(wallet.book.key, 5, EPOCH, mint.draw(8))
    before = mint.ledger.digest()
    host = Flip(mint)
    if at < 4:
        with pytest.raises(TapError):
            run(mint, wallet, host)
        assert wallet.book.available(EPOCH) == 500
        assert mint.ledger.digest() == before
    run(mint, wallet, Host(mint))
    assert wallet.book.available(EPOCH) == 505


# What either end refuses


class Bench:
    """A channel to each end, so that a test can say anything to it."""

    def __init__(self, most: int = MOST) -> None:
        self.mint = Mint()
        self.suite, self.scheme = self.mint.suite, self.mint.scheme
        self.host = Host(self.mint, most)
        self.channel: Channel | None = None

    def to_issuer(self) -> Channel:
        """Return the wallet's end of a session that stands."""
        near = self.suite.ephemeral(self.mint.draw())
        hello = Hello(self.scheme.hint, (1,), near.public, Want.SYNC)
        welcome = wire.decode_welcome(self.host.exchange(wire.encode_hello(hello)))
        self.channel = establish(self.scheme, near, True, hello, welcome)
        self.proof = decode(self.channel.open(welcome.sealed))
        return self.channel

    def say(self, message: SyncMessage) -> SyncMessage:
        assert self.channel is not None
        return decode(self.channel.open(self.host.exchange(self.channel.seal(encode(message)))))

    def to_wallet(self) -> tuple[WalletSync, Channel]:
        """Return a wallet that has sent its first piece, and the issuer's end of its session."""
        session = wallet_end(self.mint, wallet := self.mint.wallet(500))
        hello = wire.decode_hello(session.begin().frame)
        far = self.suite.ephemeral(self.mint.draw())
        welcome = Welcome(1, far.public, Want.SYNC, b"")
        channel = establish(self.scheme, far, False, hello, welcome)
        proved = self.mint.authority.proof_for(channel.transcript, self.mint.challenge())
        proof = SyncProof(proved.challenge, proved.certificate, 200, proved.signature)
        sealed = channel.seal(encode(proof))
        sign = session.step(Received(wire.encode_welcome(welcome._replace(sealed=sealed))))
        assert isinstance(sign, Sign)
        sent = session.step(Signature(sign_with(wallet.keystore, sign.statement)))
        assert isinstance(sent, Send)
        assert len(sent.frame) <= 200
        self.piece = decode(channel.open(sent.frame))
        return session, channel


PIECE = SyncPiece(10, 1024, b"ten more")
SAID_TO_ISSUER: list[tuple[list[SyncMessage], Code]] = [
    ([PIECE._replace(left=MOST)], Code.TOO_LARGE),
    ([PIECE._replace(data=b"")], Code.MALFORMED),
    ([PIECE, PIECE._replace(left=3)], Code.MALFORMED),
    ([PIECE, PIECE._replace(left=10)], Code.MALFORMED),
    ([PIECE, PIECE._replace(left=11, data=b"")], Code.MALFORMED),
    ([SyncNext(0)], Code.UNEXPECTED_MESSAGE),
    ([PIECE, SyncNext(8)], Code.UNEXPECTED_MESSAGE),
    ([RefuseMessage(81)], Code.UNEXPECTED_MESSAGE),
    ([PIECE._replace(left=0)], Code.MALFORMED),
]


@pytest.mark.parametrize(("said", "code"), SAID_TO_ISSUER)
def test_what_an_issuer_refuses_it_refuses_sealed(said: list[SyncMessage], code: Code) -> None:
    """§14-17, §14-19, §14-22."""
    bench = Bench()
    bench.to_issuer()
    answers = [bench.say(message) for message in said]
    assert answers[-1] == RefuseMessage(int(code))
    assert answers[:-1] == [SyncNext(8)] * (len(said) - 1)
    assert bench.host.session.ended
    assert bench.host.applied == 0


def test_an_upload_of_another_session_is_refused() -> None:
    """§14-20: whoever may speak to the issuer cannot bring it what a wallet said in a session with somebody else."""
    bench = Bench()
    wallet = bench.mint.wallet(5)
    other = bench.mint.signed_upload(wallet)
    bench.to_issuer()
    refusal = bench.say(SyncPiece(0, 1024, other))
    assert refusal == RefuseMessage(int(Code.REPLAYED_REQUEST))
    assert bench.host.applied == 0
    bench.host.fresh()
    bench.to_issuer()
    assert isinstance(bench.proof, SyncProof)
    mine = bench.mint.signed_upload(wallet, challenge=bench.proof.challenge)
    assert isinstance(bench.say(SyncPiece(0, 1024, mine)), SyncPiece)
    assert bench.host.applied == 1


@pytest.mark.parametrize("size", [0, 127])
def test_who_takes_no_frame_gets_no_reply(size: int) -> None:
    """§14-18: the upload counts all the same."""
    bench = Bench()
    wallet = bench.mint.wallet(5)
    bench.to_issuer()
    assert isinstance(bench.proof, SyncProof)
    mine = bench.mint.signed_upload(wallet, challenge=bench.proof.challenge)
    assert bench.say(SyncPiece(0, size, mine)) == RefuseMessage(int(Code.TOO_LARGE))


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (SyncNext(0), Code.MALFORMED),
        (SyncNext(4_000_000), Code.MALFORMED),
        (SyncPiece(0, 1024, b"a reply before the upload"), Code.UNEXPECTED_MESSAGE),
        (RefuseMessage(54), Code.OVER_LIMIT),
    ],
)
def test_what_a_wallet_refuses(said: SyncMessage, code: Code) -> None:
    """§14-17, §14-19."""
    bench = Bench()
    session, channel = bench.to_wallet()
    assert isinstance(bench.piece, SyncPiece)
    assert bench.piece.left
    refused(code, lambda: session.step(Received(channel.seal(encode(said)))))
    refused(Code.ENDED, lambda: session.step(Received(b"")))


def test_a_wallet_refuses_an_issuer_that_takes_no_frame() -> None:
    """§14-18."""
    mint = Mint()
    session = wallet_end(mint, wallet := mint.wallet(5))
    hello = wire.decode_hello(session.begin().frame)
    far = mint.suite.ephemeral(mint.draw())
    welcome = Welcome(1, far.public, Want.SYNC, b"")
    channel = establish(mint.scheme, far, False, hello, welcome)
    proved = mint.authority.proof_for(channel.transcript, mint.challenge())
    proof = SyncProof(proved.challenge, proved.certificate, 127, proved.signature)
    sign = session.step(Received(wire.encode_welcome(welcome._replace(sealed=channel.seal(encode(proof))))))
    assert isinstance(sign, Sign)
    signature = sign_with(wallet.keystore, sign.statement)
    refused(Code.TOO_LARGE, lambda: session.step(Signature(signature)))


@pytest.mark.parametrize("want", [Want.PAY, Want.COLLECT, Want.SYNC | Want.AUTHORITIES, Want.SYNC | Want.PAY, Want(0)])
def test_both_want_a_sync_and_nothing_else(want: Want) -> None:
    """§14-15."""
    mint = Mint()
    hello = Hello(mint.scheme.hint, (1,), mint.suite.ephemeral(mint.draw()).public, want)
    refused(Code.WRONG_ROLE, lambda: Host(mint).exchange(wire.encode_hello(hello)))
    session = wallet_end(mint, mint.wallet(5))
    session.begin()
    welcome = Welcome(1, mint.suite.ephemeral(mint.draw()).public, want, b"sealed")
    refused(Code.WRONG_ROLE, lambda: session.step(Received(wire.encode_welcome(welcome))))


def test_before_the_channel_stands_a_refusal_is_silent() -> None:
    """§14-14 with §6-6, §6-7, §6-9 and §6-10: the issuer's step raises, so that there is nothing to send."""
    mint = Mint()
    hello = Hello(mint.scheme.hint, (1,), mint.suite.ephemeral(mint.draw()).public, Want.SYNC)
    for changed, code in (
        (hello._replace(scheme=b"else"), Code.WRONG_SCHEME),
        (hello._replace(versions=(2,)), Code.WRONG_VERSION),
        (hello._replace(ephemeral=bytes(33)), Code.BAD_KEY),
    ):
        refused(code, lambda changed=changed: Host(mint).exchange(wire.encode_hello(changed)))  # type: ignore[misc]
    refused(Code.MALFORMED, lambda: Host(mint).exchange(b"GET / HTTP/1.1"))
    session = wallet_end(mint, mint.wallet(5))
    session.begin()
    welcome = Welcome(1, mint.suite.ephemeral(mint.draw()).public, Want.SYNC, b"")
    refused(Code.MALFORMED, lambda: session.step(Received(wire.encode_welcome(welcome))))


def test_a_message_of_a_tap_is_none_of_a_sync() -> None:
    """§14-17 and §5.2-2."""
    for number in (0, 1, 3, 7, 9, 13):
        refused(Code.UNKNOWN_MESSAGE, lambda number=number: decode(codec.pack((number,))))  # type: ignore[misc]
    refused(Code.MALFORMED, lambda: decode(codec.pack(())))
    refused(Code.MALFORMED, lambda: decode(codec.pack(("x",))))


def test_a_frame_is_no_longer_than_its_receiver_takes() -> None:
    """§14-18."""
    bench = Bench()
    channel = bench.to_issuer()
    answer = bench.host.exchange(channel.seal(bytes(limits.MESSAGE)))
    assert decode(channel.open(answer)) == RefuseMessage(int(Code.TOO_LARGE))
    session, other = bench.to_wallet()
    refused(Code.TOO_LARGE, lambda: session.step(Received(other.seal(bytes(limits.MESSAGE)))))


def test_the_caller_says_things_in_order() -> None:
    mint = Mint()
    session = wallet_end(mint, mint.wallet(5))
    refused(Code.BAD_INPUT, lambda: session.step(Received(b"")))
    host = IssuerSync(mint.scheme, mint.suite.ephemeral(mint.draw()), MOST)
    refused(Code.BAD_INPUT, lambda: host.step(Taken(b"")))
    assert host.ended


def test_nothing_secret_is_shown() -> None:
    assert "upload" not in repr(Take(b"upload"))
    assert "reply" not in repr(Taken(b"reply"))

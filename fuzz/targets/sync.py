"""Whatever a device uploads, its frames are answered or refused, and the ledger's books balance after it.

A device of a scheme with a past talks to the service's machine and its ledger; every signature is believed, so that
whoever uploads may sign for all the others.
"""

from __future__ import annotations

from sqlite3 import Connection
from typing import NamedTuple

from dualtap import codec, limits, wire
from dualtap.errors import Code, TapError
from dualtap.events import Received, Send
from dualtap.forms import signed
from dualtap.issued import Carrier, Role, Tier
from dualtap.sealedsync import IssuerSync, Prove, Take, Taken
from dualtap.session import Channel, establish
from dualtap.statements import Kind, PresentBody, Scheme
from dualtap.suite import sha256
from dualtap.sync import SignedUpload, encode_signed_upload, encode_upload, upload_of
from dualtap.syncmessages import SyncNext, SyncPiece, encode
from dualtap.wire import VERSION, Hello, Want
from dualtap_devices.keystore import MemoryKeystore
from dualtap_devices.slots import MemoryStore
from dualtap_devices.syncing import sync
from dualtap_devices.wallet import Wallet
from dualtap_issuer.authority import SchemeAuthority, Secrets
from dualtap_issuer.ledger import Ledger, Terms
from dualtap_issuer.sqlite import SqliteStore
from targets._lenient import LENIENT, lenient
from targets._pair import tap
from targets._reshape import Tree, reshaped, tree_of
from targets._said import Said

SHARE = 3
LENGTH = 400
COST = 85
TODAY = 20_000
MOST = 1 << 20
TERMS = Terms("CNY", 200, 400, 4, (Tier(1, 1_000_000, 1000, 1000, 10**9),))
SECRETS = Secrets(*[bytes([number]) * 32 for number in range(1, 5)])
SCHEME = Scheme.of(LENIENT, LENIENT.signer(SECRETS.root).public)
REFUSALS = {
    Code.TOO_LARGE, Code.MALFORMED, Code.NOT_CANONICAL, Code.UNKNOWN_MESSAGE, Code.UNEXPECTED_MESSAGE, Code.ENDED,
    Code.WRONG_SCHEME, Code.WRONG_VERSION, Code.WRONG_ROLE, Code.BAD_KEY, Code.BAD_SEAL, Code.UNKNOWN_ISSUER,
    Code.BAD_SIGNATURE, Code.WRONG_CERTIFICATE, Code.CERTIFICATE_EXPIRED, Code.REPLAYED_REQUEST, Code.BAD_INPUT,
    Code.HOTLISTED, Code.RETIRED, Code.SELF_PAYMENT,
}  # fmt: skip


class Town(NamedTuple):
    """A ledger, its file, and what its wallets would upload."""

    store: SqliteStore
    file: bytes
    uploads: tuple[Tree, ...]


class _Office:
    """The issuer, as a wallet reaches it."""

    def __init__(self, ledger: Ledger, name: str) -> None:
        self._ledger, self._entropy = ledger, sha256(b"challenge " + name.encode())

    def challenge(self) -> bytes:
        return self._ledger.challenge(self._entropy)

    def sync(self, signed_upload: bytes) -> bytes:
        return self._ledger.sync(signed_upload, TODAY)


def _ledger(store: SqliteStore) -> Ledger:
    return Ledger(store, SchemeAuthority(LENIENT, SECRETS, store, TODAY + 900, 1000), TERMS)


def _join(ledger: Ledger, name: str) -> Wallet:
    keystore = MemoryKeystore(SCHEME, sha256(name.encode()))
    wallet = Wallet(SCHEME, limits.FULL, keystore, MemoryStore.open(1 << 22))
    present = signed(SCHEME.id, keystore.public, PresentBody(ledger.challenge(sha256(name.encode())), True, TODAY))
    proof = present.sealed(keystore.sign(Kind.PRESENT, present.public))
    wallet.write(ledger.news(TODAY, ledger.certify(proof, Carrier.PHONE, 1, Role.PAY | Role.COLLECT, TODAY + 800)))
    ledger.issue(keystore.public, 1000, TODAY, sha256(name.encode())[:8])
    sync(wallet, _Office(ledger, name), sha256(name.encode()), deposit=False)
    return wallet


def _town() -> Town:
    """Return a town of three wallets that paid each other; two taps were torn, and one wallet has synced since."""
    with lenient():
        store = SqliteStore(":memory:", create=True)
        ledger = _ledger(store)
        anna, ben, carla = wallets = [_join(ledger, name) for name in ("anna", "ben", "carla")]
        tap(anna, ben, 70, "one")
        tap(ben, carla, 30, "two")
        sync(ben, _Office(ledger, "ben again"), sha256(b"ben"), deposit=True)
        tap(anna, carla, 20, "three", 4)
        tap(carla, anna, 5, "four", 3)
        uploads = tuple([tree_of(encode_upload(upload_of(one.book)), MOST) for one in wallets])
        return Town(store, _database(store).serialize(), uploads)


def _database(store: SqliteStore) -> Connection:
    return store._db  # pyright: ignore[reportPrivateUsage]


TOWN = _town()


def one(data: bytes) -> None:
    """Run a sync, and audit the ledger."""
    said = Said(data)
    with lenient():
        _database(TOWN.store).deserialize(TOWN.file)
        ledger = _ledger(TOWN.store)
        before = {fact.digest for fact, _ in ledger.store.facts()}
        challenge = sha256(b"dualtap challenge" + bytes(32))
        session = Session(ledger, IssuerSync(SCHEME, LENIENT.ephemeral(bytes(32)), MOST), challenge)
        try:
            session.run(said)
        except TapError as error:
            assert error.code in REFUSALS, error
        after = {fact.digest for fact, _ in ledger.store.facts()}
        assert before <= after, "a fact is gone"
        assert session.stored or before == after, "a refused sync changed the ledger"
        if session.stored:
            ledger.audit()


class Session:
    """A device's end of a sync, which need not keep to the rules."""

    def __init__(self, ledger: Ledger, issuer: IssuerSync, challenge: bytes) -> None:
        self.ledger, self.issuer, self.challenge = ledger, issuer, challenge
        self.stored = False
        self.channel: Channel | None = None

    def run(self, said: Said) -> None:
        """Greet, upload in pieces, and fetch the reply."""
        ephemeral = LENIENT.ephemeral(bytes([1]) * 32)
        hello = Hello(SCHEME.hint, (VERSION,), ephemeral.public, Want.SYNC)
        frame = wire.encode_hello(hello)
        frame = reshaped(tree_of(frame), said) if said.byte() == 1 else frame
        welcome = wire.decode_welcome(self.answer(frame))
        self.channel = establish(SCHEME, ephemeral, True, wire.decode_hello(frame), welcome)
        self.channel.open(welcome.sealed)
        item = self.upload(said)
        at = 0
        while at < len(item) and not self.issuer.ended:
            size = said.pick((16_000, 16_000, 4000, 400, 1))
            piece = SyncPiece(max(0, len(item) - at - size), said.pick((limits.MESSAGE, 128, 0)), item[at : at + size])
            at += size
            self.say(encode(piece), said)
        for taken in range(64):
            if self.issuer.ended:
                return
            self.say(encode(SyncNext(said.number(2) if said.byte() == 1 else taken * 16_352)), said)

    def upload(self, said: Said) -> bytes:
        """Return a signed upload: altered within, without, or not at all."""
        upload = reshaped(said.pick(TOWN.uploads), said) if said.byte() % 4 else codec.pack(said.pick(TOWN.uploads))
        whole = encode_signed_upload(SignedUpload(upload, self.challenge, TODAY, bytes(64), b""))
        return reshaped(tree_of(whole, MOST), said) if said.byte() == 1 else whole

    def say(self, plain: bytes, said: Said) -> bytes:
        """Seal a message, perhaps altered, and have it answered."""
        assert self.channel is not None
        what = said.byte()
        plain = reshaped(tree_of(plain), said) if what == 1 else plain
        plain = said.blob() if what == 2 else plain
        frame = self.channel.seal(plain)
        return self.answer(said.blob() if what == 3 else frame)

    def answer(self, frame: bytes) -> bytes:
        """Have the service's machine and its ledger answer a frame, as its desk does."""
        effect = self.issuer.step(Received(frame))
        while not isinstance(effect, Send):
            match effect:
                case Prove(session):
                    proved = self.ledger.authority.office.proof_for(session, self.challenge)
                    effect = self.issuer.step(proved)
                case Take(item):
                    effect = self.issuer.step(self.store(item))
        return effect.frame

    def store(self, item: bytes) -> Taken:
        """Have the ledger take an upload."""
        try:
            self.ledger.challenge(bytes(32))
            reply = self.ledger.sync(item, TODAY)
        except TapError as error:
            assert error.code in REFUSALS, error
            return Taken(b"", error.code)
        self.stored = True
        return Taken(reply)

"""Whatever devices upload, it is answered or refused, a challenge is good once, and no unit is credited that is not.

Devices of a scheme with a past talk to the service's machine and to its ledger; every signature is believed, so that
whoever uploads may sign for all the others. The bytes are a program: payments and outcomes are forged, uploads are made
of them and altered, and given to the ledger piece by piece, or at once, or again. What is credited then is counted here
a second time, by other means.
"""

from __future__ import annotations

from dualtap import wire
from dualtap.errors import Code, TapError
from dualtap.events import Received, Send
from dualtap.limits import MESSAGE
from dualtap.sealedsync import IssuerSync, Prove, Take, Taken
from dualtap.session import Channel, establish
from dualtap.suite import sha256
from dualtap.sync import SignedUpload, encode_signed_upload, encode_upload
from dualtap.syncmessages import SyncMessage, SyncNext, SyncPiece, decode, encode
from dualtap.wire import VERSION, Hello, RefuseMessage, Want
from dualtap_issuer.ledger import Ledger
from targets._lenient import LENIENT, lenient
from targets._reshape import reshaped, tree_of
from targets._said import Said
from targets._town import SCHEME, TODAY, UNSIGNED, Forger, database, town
from targets._units import check_credits

SHARE = 3
LENGTH = 400
COST = 75
MOST = 1 << 20
STEPS = 8
SYNCS = 3
"""Uploads in one story: each costs milliseconds."""
REFUSALS = {
    Code.TOO_LARGE, Code.MALFORMED, Code.NOT_CANONICAL, Code.UNKNOWN_MESSAGE, Code.UNEXPECTED_MESSAGE, Code.ENDED,
    Code.WRONG_SCHEME, Code.WRONG_VERSION, Code.WRONG_ROLE, Code.BAD_KEY, Code.BAD_SEAL, Code.UNKNOWN_ISSUER,
    Code.BAD_SIGNATURE, Code.WRONG_CERTIFICATE, Code.CERTIFICATE_EXPIRED, Code.REPLAYED_REQUEST, Code.BAD_INPUT,
    Code.HOTLISTED, Code.RETIRED, Code.SELF_PAYMENT,
}  # fmt: skip
TOWN = town()


def one(data: bytes) -> None:
    """Tell a story, and audit the ledger."""
    said = Said(data)
    with lenient():
        story = Story(TOWN.opened())
        for _ in range(STEPS):
            if not said or story.syncs >= SYNCS:
                break
            story.step(said)
        known = story.known()
        assert known >= TOWN.facts, "a fact is gone"
        if not story.stored:
            assert known == TOWN.facts, "a refused sync changed the ledger"
            return
        story.ledger.audit()
        check_credits(story.ledger, set(story.ledger.store.credits()) - TOWN.credits)


class Story:
    """A ledger, the challenges that it gave, and what was forged."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.forger = Forger(TOWN, list(TOWN.pieces))
        self.challenges = [sha256(b"a challenge that nobody gave")]
        self.open: set[bytes] = set()
        self.stored = False
        self.syncs = 0

    def known(self) -> frozenset[bytes]:
        """Return the digests of all facts."""
        rows = database(self.ledger.store).execute("SELECT digest FROM fact")
        return frozenset(digest for (digest,) in rows)

    def step(self, said: Said) -> None:
        """Do one thing."""
        match said.below(8):
            case 0 | 1 | 2:
                self.forger.transfer(said)
            case 3:
                self.forger.outcome(said)
            case 4 | 5:
                self.syncs += 1
                self.session(said)
            case _:
                self.syncs += 1
                # Whoever reaches the ledger itself: with a challenge that is fresh, was used, or was never given.
                challenge = said.pick(self.challenges) if said.below(2) else self.challenge()
                try:
                    self.post(self.upload(said, challenge), challenge)
                except TapError as error:
                    assert error.code in REFUSALS, error

    def challenge(self) -> bytes:
        """Return a challenge that the ledger has given just now."""
        entropy = sha256(b"entropy" + bytes([len(self.challenges)]))
        self.challenges.append(self.ledger.challenge(entropy))
        self.open.add(self.challenges[-1])
        return self.challenges[-1]

    def upload(self, said: Said, challenge: bytes) -> bytes:
        """Return a signed upload that tells what was forged: altered within, without, or not at all."""
        base = said.pick(TOWN.uploads)
        upload = encode_upload(self.forger.told(base) if said.below(4) else base)
        altered = said.below(8)
        upload = reshaped(tree_of(upload, MOST), said) if altered & 4 else upload
        whole = encode_signed_upload(SignedUpload(upload, challenge, TODAY, UNSIGNED, b""))
        return reshaped(tree_of(whole, MOST), said) if altered == 1 else whole

    def post(self, item: bytes, challenge: bytes) -> bytes:
        """Have the ledger take an upload: iff its challenge is open, and then never again (SPEC §14-3)."""
        try:
            reply = self.ledger.sync(item, TODAY)
        except TapError as error:
            assert error.code in REFUSALS, error
            raise
        assert challenge in self.open or challenge not in item, "a challenge that was not given, or is used"
        self.open.discard(challenge)
        self.stored = True
        return reply

    def session(self, said: Said) -> None:
        """Carry a sync as a device would that need not keep to the rules."""
        try:
            Session(self, said).run()
        except TapError as error:
            assert error.code in REFUSALS, error


class Session:
    """A device's end of a sync, and the service's machine."""

    def __init__(self, story: Story, said: Said) -> None:
        self.story, self.said = story, said
        self.challenge = story.challenge()
        self.issuer = IssuerSync(SCHEME, LENIENT.ephemeral(self.challenge), MOST)
        self.channel: Channel | None = None
        self.left: int | None = None
        self.reply: int | None = None

    def run(self) -> None:
        """Greet, upload in pieces, and fetch the reply."""
        said, ephemeral = self.said, LENIENT.ephemeral(bytes([1]) * 32)
        frame = wire.encode_hello(Hello(SCHEME.hint, (VERSION,), ephemeral.public, Want.SYNC))
        frame = reshaped(tree_of(frame), said) if said.below(16) == 1 else frame
        welcome = wire.decode_welcome(self.answer(frame))
        self.channel = establish(SCHEME, ephemeral, True, wire.decode_hello(frame), welcome)
        self.channel.open(welcome.sealed)
        item = self.story.upload(said, said.pick(self.story.challenges) if said.below(8) == 1 else self.challenge)
        at, size = 0, said.pick((16_000, 16_000, 4000, 2000, 400))
        while at < len(item) and not self.issuer.ended:
            piece = SyncPiece(max(0, len(item) - at - size), said.pick((MESSAGE, 128, 0)), item[at : at + size])
            at += size
            self.say(piece)
        for _ in range(64):
            if self.issuer.ended:
                return
            self.say(SyncNext(self.reply or 0))

    def say(self, message: SyncMessage) -> None:
        """Seal a message, perhaps altered, and have it answered."""
        assert self.channel is not None
        said, plain = self.said, encode(message)
        match said.byte() % 16:
            case 1:
                plain = reshaped(tree_of(plain), said)
            case 2:
                plain = said.blob()
            case 3 if isinstance(message, SyncPiece):
                left = max(0, message.left + said.byte() - 128)
                plain = encode(message._replace(left=left, data=message.data[said.below(4) :]))
            case 4:
                self.answer(said.blob())
                raise AssertionError("a frame that nobody sealed is answered")
            case _:
                pass
        told = decode(self.channel.open(self.answer(self.channel.seal(plain))))
        self.judge(plain, told)

    def judge(self, plain: bytes, told: SyncMessage) -> None:
        """What does not add up is refused, and what is counted is what came (SPEC §14-17, §14-19)."""
        if isinstance(told, RefuseMessage):
            assert self.issuer.ended, "refused, and not ended"
            return
        heard = decode(plain)
        if isinstance(heard, SyncPiece):
            whole = heard.left + len(heard.data)
            assert heard.data, "a piece without data is taken"
            assert whole == (whole if self.left is None else self.left), "a piece that does not add up is taken"
            assert whole <= MOST, "more than was said to be taken"
            self.left = heard.left
        else:
            assert isinstance(heard, SyncNext), "another message is answered"
            assert heard.taken == self.reply, "another count is answered"
        if isinstance(told, SyncPiece):
            assert not self.left, "the reply begins before the upload ends"
            self.reply = (self.reply or 0) + len(told.data)
        else:
            assert isinstance(told, SyncNext), told
            assert self.left, "an upload that has ended is waited for"

    def answer(self, frame: bytes) -> bytes:
        """Have the service's machine and its ledger answer a frame, as its desk does."""
        effect = self.issuer.step(Received(frame))
        while not isinstance(effect, Send):
            match effect:
                case Prove(session):
                    proved = self.story.ledger.authority.office.proof_for(session, self.challenge)
                    effect = self.issuer.step(proved)
                case Take(item):
                    effect = self.issuer.step(self.store(item))
        return effect.frame

    def store(self, item: bytes) -> Taken:
        """Have the ledger take what has come, and say what it said."""
        try:
            return Taken(self.story.post(item, self.challenge))
        except TapError as error:
            return Taken(b"", error.code)

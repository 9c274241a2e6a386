"""The tables of SPEC §4 and §5, written down once more by hand."""

from __future__ import annotations

from dualtap_conform.grammar import Bin, Bool, Choice, Currency, Either, Fields, Fixed, Form, Items, Maybe, Uint

# The types of SPEC §5.1-7

MONEY, NUMBER, EPOCH, BYTE = Uint(0, 2**53 - 1), Uint(0, 2**32 - 1), Uint(0, 2**24), Uint(0, 255)
PREV, CTR = Uint(0, 2**63 - 1, high=2**63 - 2), Uint(0, 2**63 - 1, low=1)
START, END = Uint(0, 2**53 - 1, high=2**53 - 2), Uint(0, 2**53 - 1, low=1)
INDEX, PLACE = Uint(0, 63), Uint(0, 15)
KEY, DIGEST, SIGNATURE, HINT, SEED, BASKET = Bin((32, 33)), Bin((32,)), Bin((64,)), Bin((4,)), Bin((16,)), Bin((16,))
SOME_DIGEST, ANY = Bin((0, 32)), Bin()

# The enumerations of SPEC §4.3

SIDE, CARRIER, AUTHORITY = Choice((0, 2), (3,)), Choice((1, 7), (0, 8)), Choice((1, 3), (0, 4))
VERIFICATION, ROLE, WANT = Choice((0, 3), (4,)), Choice((0, 3), (4, 128)), Choice((0, 31), (32, 128))

# What authorities sign (SPEC §4.3)

_SIGNED: tuple[tuple[str, Form], ...] = (("issuer", HINT), ("signature", SIGNATURE))
CONDITION = Fields("Condition", (("code", NUMBER), ("value", ANY)))
TOKEN = Fields(
    "Token",
    (
        ("serial", Bin((8,))), ("amount", Uint(1, 2**53 - 1)), ("currency", Currency()), ("owner", KEY),
        ("spend_by", EPOCH), ("claim_by", EPOCH), ("hops", BYTE), ("conditions", Items(CONDITION, 0, 64)), *_SIGNED,
    ),
)  # fmt: skip
AUTHORITY_CERTIFICATE = Fields(
    "AuthorityCertificate",
    (("key", KEY), ("authority", AUTHORITY), ("number", NUMBER), ("quota", NUMBER), ("expires", EPOCH), *_SIGNED),
)
WALLET_CERTIFICATE = Fields(
    "WalletCertificate",
    (
        ("key", KEY), ("carrier", CARRIER), ("tier", BYTE), ("role", ROLE), ("category", Uint(0, 9999)),
        ("attestation", SOME_DIGEST), ("expires", EPOCH), ("ordinal", NUMBER), *_SIGNED,
    ),
)  # fmt: skip
HEADER = Fields("Header", (("epoch", EPOCH), ("policy", NUMBER), *_SIGNED))
TIER = Fields(
    "Tier",
    (
        ("number", NUMBER), ("payment", MONEY), ("payments", NUMBER), ("receipts", NUMBER), ("received", MONEY),
        ("day", MONEY), ("balance", MONEY), ("unverified", MONEY), ("untimed", MONEY),
    ),
)  # fmt: skip
POLICY = Fields(
    "Policy",
    (
        ("version", NUMBER), ("tiers", Items(TIER, 0, 64)), ("hotlist", Items(KEY, 0, 64)),
        ("authorities", Items(HINT, 0, 64)), *_SIGNED,
    ),
)  # fmt: skip
ISSUED = (TOKEN, AUTHORITY_CERTIFICATE, WALLET_CERTIFICATE, HEADER, POLICY)

# What wallets sign, in the whole form (SPEC §4.1-4, §4.2, §5.5)

PARENT = Fields("Parent", (("id", DIGEST), ("side", SIDE), ("place", PLACE)))
SPAN = Fields("Span", (("parent", PARENT), ("start", START), ("end", END)))
WITNESS = Items(ANY, 0, 16)
REQUEST = Fields(
    "RequestBody",
    (
        ("session", DIGEST), ("initiator", Bool()), ("amount", Uint(0, 2**53 - 1, low=1)), ("currency", Currency()),
        ("basket", BASKET), ("part", BYTE), ("details", SOME_DIGEST), ("hops", BYTE), ("spans", BYTE),
        ("size", Uint(0, 16384)), ("verification", VERIFICATION), ("epoch", EPOCH),
    ),
)  # fmt: skip
PRESENT = Fields("PresentBody", (("session", DIGEST), ("initiator", Bool()), ("epoch", EPOCH)))
SYNC = Fields("SyncBody", (("challenge", DIGEST), ("upload", DIGEST), ("epoch", EPOCH)))
SUCCESSOR = Fields("SuccessorBody", (("successor", KEY), ("epoch", EPOCH)))
GRANT = Fields(
    "GrantBody",
    (
        ("token", DIGEST), ("payee", Bin((0, 32, 33))), ("category", Uint(0, 9999)), ("amount", MONEY),
        ("basket", Bin((0, 16))), ("first", EPOCH), ("last", EPOCH),
    ),
)  # fmt: skip
BIND = Fields("BindBody", (("owner", KEY), ("session", DIGEST), ("number", Uint(0, 2**63 - 1)), ("epoch", EPOCH)))
OWN = Fields("OwnBody", (("wallet", KEY), ("session", DIGEST), ("epoch", EPOCH)))
ORDER = Fields(
    "OrderBody",
    (
        ("wallet", KEY), ("bind", Uint(0, 2**63 - 1)), ("number", Uint(0, 2**63 - 1)),
        ("errand", Choice((1, 2, 3, 4, 5), (0, 6))), ("frozen", Bool()), ("payment", MONEY), ("day", MONEY),
        ("amount", MONEY), ("to", Bin((0, 32, 33))), ("epoch", EPOCH),
    ),
)  # fmt: skip
TRANSFER = Fields(
    "TransferBody", (("payee", KEY), ("spans", Items(SPAN, 1, 16)), ("epoch", EPOCH), ("witness", WITNESS))
)
RECEIPT = Fields("ReceiptBody", (("request", DIGEST), ("transfer", DIGEST), ("epoch", EPOCH)))
CLOSE = Fields("CloseBody", (("request", DIGEST), ("reason", NUMBER), ("epoch", EPOCH)))
PRIVATE = Fields("Private", (("verification", VERIFICATION), ("refund_of", SOME_DIGEST)))
OPENING = Fields(
    "Opening", (("seed", SEED), ("prev", PREV), ("ctr", CTR), ("private", PRIVATE), ("request", SOME_DIGEST))
)
REQUEST_OPENING = Fields("RequestOpening", (("place", DIGEST), ("salt", DIGEST), ("request", DIGEST)))


def statement(kind: int, body: Fields) -> Fields:
    """Return the form of a whole statement of this kind (SPEC §5.5)."""
    shown: Form = Fixed(bytes(32))
    if kind == 32:
        shown = Either((DIGEST, OPENING))
    elif kind > 32:
        shown = Either((DIGEST, Fields("Opening", (*OPENING.fields[:3], ("private", Fixed([0, b""])), _EMPTY))))
    fields: tuple[tuple[str, Form], ...] = (("kind", Fixed(kind)), ("key", KEY), ("body", body), ("shown", shown))
    return Fields("Statement", (*fields, ("signature", Bin((0, 64)))))


_EMPTY: tuple[str, Form] = ("request", Fixed(b""))
STATEMENTS = tuple(
    statement(kind, body)
    for kind, body in (
        (16, REQUEST), (17, PRESENT), (18, SYNC), (19, SUCCESSOR), (20, GRANT), (21, BIND), (22, OWN),
        (23, ORDER), (32, TRANSFER), (33, RECEIPT), (34, CLOSE),
    )
)  # fmt: skip
WARRANT = Fields("Warrant", (("opening", REQUEST_OPENING), ("outcome", STATEMENTS[-1])))
DEAD = Fields("Dead", (("transfer", DIGEST), ("warrant", WARRANT)))

# Compact provenance (SPEC §5.4)

TOKEN_SPAN = Fields("TokenSpan", (("token", INDEX), ("start", START), ("end", END)))
HAND_SPAN = Fields(
    "HandSpan", (("transfer", INDEX), ("side", Uint(1, 2)), ("place", PLACE), ("start", START), ("end", END))
)
SPANS = Items(Either((TOKEN_SPAN, HAND_SPAN)), 1, 16, 16)
COMPACT_WARRANT = Fields(
    "CompactWarrant",
    (
        *REQUEST_OPENING.fields, ("transfer", SOME_DIGEST), ("reason", Uint(0, 2**32 - 1, high=0)), ("epoch", EPOCH),
        ("commitment", DIGEST), ("signature", SIGNATURE),
    ),
)  # fmt: skip
COMPACT_TOKEN = Fields(
    "CompactToken", tuple((name, INDEX if name == "owner" else field) for name, field in TOKEN.fields)
)
COMPACT_TRANSFER = Fields(
    "CompactTransfer",
    (
        ("payer", INDEX), ("payee", Either((INDEX, KEY))), ("spans", SPANS), ("epoch", EPOCH), ("witness", WITNESS),
        ("proof", Either((DIGEST, COMPACT_WARRANT))), ("signature", SIGNATURE),
    ),
)  # fmt: skip
BUNDLE = Fields(
    "Bundle",
    (
        ("certificates", Items(WALLET_CERTIFICATE, 1, 64)), ("tokens", Items(COMPACT_TOKEN, 1, 64)),
        ("transfers", Items(COMPACT_TRANSFER, 0, 64)),
    ),
)  # fmt: skip

# Messages (SPEC §5.2)

_CHAIN: tuple[str, Form] = ("authorities", Items(AUTHORITY_CERTIFICATE, 0, 8, 8))
HELLO = Fields(
    "Hello",
    (("scheme", HINT), ("versions", Items(BYTE, 1, 8, 8)), ("ephemeral", KEY), ("want", WANT)),
    1,
)
WELCOME = Fields("Welcome", (("version", BYTE), ("ephemeral", KEY), ("want", WANT), ("sealed", ANY)), 2)
_NEWS: tuple[str, Form] = ("news", Uint(0, 65535))
REQUEST_MESSAGE = Fields(
    "RequestMessage",
    (
        ("prove", Bool()), *REQUEST.fields[2:], ("signature", SIGNATURE), ("certificate", WALLET_CERTIFICATE), _CHAIN,
        _NEWS,
    ),
    3,
)  # fmt: skip
PRESENT_MESSAGE = Fields(
    "PresentMessage",
    (("prove", Bool()), ("epoch", EPOCH), ("signature", SIGNATURE), ("certificate", WALLET_CERTIFICATE), _CHAIN, _NEWS),
    4,
)
TRANSFER_MESSAGE = Fields(
    "TransferMessage",
    (
        ("request", SOME_DIGEST), ("spans", SPANS), ("epoch", EPOCH), ("witness", WITNESS), ("seed", SEED),
        ("prev", PREV), ("ctr", CTR), ("verification", VERIFICATION), ("refund_of", SOME_DIGEST),
        ("signature", SIGNATURE), ("bundle", BUNDLE), ("header", Maybe(HEADER)), _CHAIN, ("news", Bool()),
    ),
    5,
)  # fmt: skip
OUTCOME_MESSAGE = Fields(
    "OutcomeMessage",
    (
        ("kind", Choice((34, 33), (0, 35))), ("transfer", SOME_DIGEST), ("reason", Uint(0, 2**32 - 1, high=0)),
        ("epoch", EPOCH), ("seed", SEED), ("prev", PREV), ("ctr", CTR), ("signature", SIGNATURE),
        ("header", Maybe(HEADER)),
    ),
    6,
)  # fmt: skip
PROCEED_MESSAGE = Fields("ProceedMessage", (), 7)
REFUSE_MESSAGE = Fields("RefuseMessage", (("code", NUMBER),), 8)
DONE_MESSAGE = Fields("DoneMessage", (), 9)
RECALL_MESSAGE = Fields("RecallMessage", (("digests", Items(DIGEST, 1, 16, 16)),), 13)
PING_MESSAGE = Fields("PingMessage", (("nonce", Bin((8,))),), 24)
PONG_MESSAGE = Fields("PongMessage", (("nonce", Bin((8,))),), 25)
NEWS_HAVE = Fields(
    "NewsHave",
    (
        ("policy", NUMBER), ("blocked", Items(HINT, 0, 64)), ("room", Uint(0, 16384)), ("size", Uint(0, 16384)),
    ),
    14,
)  # fmt: skip
NEWS_PIECE = Fields("NewsPiece", (("left", NUMBER), ("data", ANY)), 15)
MESSAGES = (
    REQUEST_MESSAGE, PRESENT_MESSAGE, TRANSFER_MESSAGE, OUTCOME_MESSAGE, PROCEED_MESSAGE, REFUSE_MESSAGE, DONE_MESSAGE,
    RECALL_MESSAGE, NEWS_HAVE, NEWS_PIECE, PING_MESSAGE, PONG_MESSAGE,
)  # fmt: skip

# Syncs (SPEC §14)

SIGNED_UPLOAD = Fields(
    "SignedUpload",
    (
        ("upload", ANY),
        ("challenge", DIGEST),
        ("epoch", EPOCH),
        ("signature", SIGNATURE),
        ("heir", Bin((0, 64))),
    ),
)
SIGNED_REPLY = Fields("SignedReply", (("reply", ANY), ("issuer", HINT), ("signature", SIGNATURE)))
NEWS = Fields(
    "News",
    (
        ("certificate", Maybe(WALLET_CERTIFICATE)), ("authorities", Items(AUTHORITY_CERTIFICATE, 0, 10**6)),
        ("header", Maybe(HEADER)), ("policy", Maybe(POLICY)),
    ),
)  # fmt: skip
SETTLEMENT = Fields(
    "Settlement",
    (("transfer", DIGEST), ("standing", Choice((1, 2, 3, 4, 5), (0, 6))), ("epoch", EPOCH), ("amount", MONEY)),
)
REPLY = Fields(
    "Reply",
    (
        ("news", NEWS), ("outcomes", Items(STATEMENTS[-2], 0, 10**6)), ("deposits", Items(DIGEST, 0, 10**6)),
        ("tokens", Items(TOKEN, 0, 10**6)), ("delivered", Uint(0, 2**63 - 1)),
        ("standing", Items(SETTLEMENT, 0, 10**6)),
        ("successor", Maybe(WALLET_CERTIFICATE)),
        ("words", Items(STATEMENTS[7], 0, 10**6)),
    ),
)  # fmt: skip
UPLOAD = Fields(
    "Upload",
    (
        ("certificate", WALLET_CERTIFICATE), ("tokens", Items(TOKEN, 0, 10**6)),
        ("certificates", Items(WALLET_CERTIFICATE, 0, 10**6)), ("transfers", Items(STATEMENTS[-3], 0, 10**6)),
        ("warrants", Items(DEAD, 0, 10**6)), ("tape", Items(STATEMENTS[-1], 0, 10**6)),
        ("heard", Items(STATEMENTS[-2], 0, 10**6)), ("pending", Items(DIGEST, 0, 10**6)),
        ("delivered", Uint(0, 2**63 - 1)), ("successor", Maybe(STATEMENTS[3])),
        ("words", Items(STATEMENTS[7], 0, 10**6)),
    ),
)  # fmt: skip
SYNCS = (SIGNED_UPLOAD, UPLOAD, SIGNED_REPLY, REPLY)

"""Whatever is asked over HTTP is answered within bounds; an error is a problem, changes nothing and tells no secret.

The bytes are a story of requests to both applications of the issuer's service: each operation with a body of its shape,
mostly, of which fields are altered, left out or added; syncs frame by frame; and what is no request of theirs at all.
Every signature is believed.
"""

from __future__ import annotations

import json
from typing import cast

from starlette.types import ASGIApp

from dualtap import limits, wire
from dualtap.errors import TABLE
from dualtap.session import Channel, establish
from dualtap.sync import SignedUpload, encode_signed_upload, encode_upload
from dualtap.syncmessages import SyncNext, SyncPiece, SyncProof, decode, encode
from dualtap.wire import VERSION, Hello, Want
from dualtap_issuer.ledger import Ledger
from dualtap_issuer.service import admin as admin_module
from dualtap_issuer.service import devices as devices_module
from dualtap_issuer.service.devices import FRAME, JSON
from dualtap_issuer.service.openapi import Operation
from dualtap_issuer.service.problems import PROBLEM_TYPE
from dualtap_issuer.service.shapes import Shape
from targets._lenient import LENIENT, lenient
from targets._reshape import reshaped, tree_of
from targets._said import Said
from targets._town import SCHEME, SECRETS, TODAY, UNSIGNED, Forger, database, town
from targets._web import TOKEN, Answer, Request, Web

SHARE = 4
LENGTH = 300
COST = 60
STEPS = 5
LONGEST = 1 << 18
"""Bytes of an answer: thousands of times what this town has to tell."""
PROBLEM = 4_000
PADDING = 1 << 17
"""Bytes by which a body is longer than any that is taken."""
OUTSIDE = frozenset({404, 405})
"""What is answered where there is no such operation."""
HIDDEN = tuple(form for secret in (*SECRETS, TOKEN) for form in (secret, secret.hex().encode()))
FORGOTTEN = frozenset({"challenge"})
"""A challenge is good once: it may be used up by what is refused afterwards (SPEC §14-3)."""
TOWN = town()
with lenient():
    WEB = Web(TOWN.opened())
TABLES = tuple(
    name
    for (name,) in database(TOWN.store).execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")
    if name not in FORGOTTEN
)
EDGES = (0, 1, -1, 255, 256, TODAY, TODAY + 1, 2**24, limits.AMOUNT, limits.AMOUNT + 1, 2**63, 2**64, 10**30)
ODD: tuple[object, ...] = (
    None,
    True,
    "",
    "0",
    -1,
    0.5,
    1e300,
    list[object](),
    dict[str, object](),
    "é",
    "00" * 32,
    [0],
    {"a": 0},
)


def one(data: bytes) -> None:
    """Tell a story."""
    said = Said(data)
    today = TODAY + said.pick((0, 0, 1, 300, 700))
    with lenient():
        ledger = TOWN.opened()
        with WEB.over(ledger, today):
            story = Story(ledger)
            for _ in range(STEPS):
                if not said:
                    break
                story.step(said)
        told = repr(WEB.said).encode() + repr(WEB.notes.lines).encode()
        assert not any(secret in told for secret in HIDDEN), "a secret is logged"


class Story:
    """Requests, what they left in the ledger, and what a device knows of its sync."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.rows = self.held()
        self.forger = Forger(TOWN, list(TOWN.pieces))
        self.digests = [ledger.challenge(bytes(32)).hex()]
        self.session = "none"
        self.last: tuple[Operation, Request] | None = None
        self.channel: Channel | None = None
        self.challenge = bytes(32)
        self.left = b""

    def held(self) -> list[list[tuple[object, ...]]]:
        """Return every row of the ledger, challenges aside."""
        rows = database(self.ledger.store)
        return [rows.execute(f"SELECT * FROM {name}").fetchall() for name in TABLES]  # noqa: S608 - names of tables

    def step(self, said: Said) -> None:
        """Make one request, or forge something that a later one tells."""
        match said.below(10):
            case 8 | 9 if self.last is not None:
                self.ask(WEB.admin, *self.last)  # as a client does that has not heard the answer
            case 0:
                self.forger.transfer(said)
            case 1 | 2:
                self.hello(said)
            case 3:
                self.frame(said)
            case 4:
                self.anything(said)
            case _:
                self.call(said)

    def ask(self, app: ASGIApp, known: Operation | None, request: Request) -> Answer:
        """Make a request, and judge the answer."""
        answer = WEB.ask(app, request)
        before, self.rows = self.rows, self.held()
        assert answer.status != 500, (request.method, request.path, answer.body, WEB.said)
        assert not any(secret in answer.body for secret in HIDDEN), "a secret is told"
        assert not any(secret in repr(answer.headers).encode() for secret in HIDDEN), "a secret is told"
        assert len(answer.body) <= LONGEST, "an answer without a bound"
        most = limits.MESSAGE if app is WEB.devices else WEB.settings.body
        taken = known is not None and known.takes and answer.status < 400  # a body that nobody takes is not read
        assert not taken or sum(map(len, request.parts)) <= most, "a body without a bound"
        if answer.status >= 400:
            _is_problem(answer)
            assert self.rows == before, "refused, and the ledger has changed"
        else:
            assert known is not None, "nothing of ours, and it is done"
            assert answer.status == known.status, "done, and not as is said"
            assert answer.kind == known.gives, "another media type than is said"
        if known is None:
            return answer
        documented = {known.status, *known.errors, 503, *((401,) if known.secured else ())}
        assert answer.status in documented, (known.path, answer.status, answer.body)
        bearer = [value for name, value in request.headers if name == b"authorization"]
        assert answer.status == 401 or not known.secured or bearer == [b"Bearer " + TOKEN], "done without the token"
        if known.method == "GET":
            assert self.rows == before, "to look changes the ledger"
        return answer

    # The administration

    def call(self, said: Said) -> None:
        """Make an administrative call, with a body of its shape or nearly so."""
        known = said.pick(admin_module.OPERATIONS)
        path = known.path
        for name, shape in known.parameters:
            path = path.replace("{" + name + "}", str(self.value(shape, said)))
        named = self.ledger.conflicts() if known.parameters and said.below(2) else ()
        if named:
            path = f"/admin/evidence/{named[0].first.hex()}/{named[0].second.hex()}"
        body = b""
        if known.body is not None:
            fields = cast("dict[str, object]", self.value(known.body, said))
            if said.below(4) == 1:
                _spoil(fields, said)
            body = json.dumps(fields).encode()
            how = said.below(8)
            body = said.blob() if how == 1 else body[: said.byte()] + said.blob() if how == 2 else body
        token = said.pick((TOKEN,) * 12 + (TOKEN[:-1], b"", b"\xff"))
        kind = said.pick((JSON,) * 8 + ("text/plain", JSON + "; charset=utf-8"))
        headers = ((b"authorization", b"Bearer " + token), (b"content-type", kind.encode()))
        self.last = known, Request(known.method, path, headers, *_parts(body, said))
        answer = self.ask(WEB.admin, *self.last)
        if answer.status == 200 and answer.kind == JSON:
            found = cast("dict[str, object]", json.loads(answer.body))
            self.digests += [item for item in found.values() if isinstance(item, str) and len(item) == 64]

    def value(self, shape: Shape, said: Said) -> object:
        """Return a value of a shape: what this town knows, or an edge."""
        if "enum" in shape:
            return said.pick(cast("list[str]", shape["enum"]))
        match shape["type"]:
            case "integer":
                low, high = cast("int", shape.get("minimum", 0)), cast("int", shape.get("maximum", 2**64))
                return said.pick([*[edge for edge in (1, 1, *EDGES, high) if low <= edge <= high], low + said.byte()])
            case "array":
                return [self.value(cast("Shape", shape["items"]), said) for _ in range(max(0, said.below(6) - 3))]
            case "object":
                fields = cast("dict[str, Shape]", shape.get("properties", {}))
                needed = cast("list[str]", shape.get("required", []))
                return {
                    name: self.value(form, said) for name, form in fields.items() if name in needed or said.below(2)
                }
            case _:
                return self.text(str(shape.get("pattern", "")), said)

    def text(self, pattern: str, said: Said) -> str:
        """Return text for a pattern: a key or a digest of this town, a name, or digits."""
        keys = [upload.certificate.key.hex() for upload in TOWN.uploads]
        if "{64}" in pattern:
            known = said.pick((keys, self.digests[-1:], self.digests, [TOWN.office.hex(), said.full(32).hex()]))
            return said.pick(known)
        if "{128}" in pattern:
            return UNSIGNED.hex()
        if "{16}" in pattern:
            return said.full(8).hex()
        if "a-z0-9_-" in pattern:
            return said.pick(("bank", "a", "x" * 32, "institution"))
        return said.blob()[:64].hex()

    # A device

    def hello(self, said: Said) -> None:
        """Begin a sync."""
        near = LENIENT.ephemeral(bytes([1 + said.below(4)]) * 32)
        frame = wire.encode_hello(Hello(SCHEME.hint, (VERSION,), near.public, Want.SYNC))
        frame = reshaped(tree_of(frame), said) if said.below(8) == 1 else frame
        answer = self.post("/sync", devices_module.OPERATIONS[0], frame, said)
        if answer.status != 200:
            return
        assert len(answer.body) <= limits.MESSAGE, "a frame that is too long"
        self.session = answer.headers["location"].removeprefix("/sync/")
        welcome = wire.decode_welcome(answer.body)
        self.channel = establish(SCHEME, near, True, wire.decode_hello(frame), welcome)
        proof = decode(self.channel.open(welcome.sealed))
        assert isinstance(proof, SyncProof)
        self.challenge, self.left = proof.challenge, self.upload(said)
        self.frame(said)

    def upload(self, said: Said) -> bytes:
        """Return what a device has to tell."""
        upload = encode_upload(self.forger.told(said.pick(TOWN.uploads)))
        upload = reshaped(tree_of(upload), said) if said.below(4) == 1 else upload
        return encode_signed_upload(SignedUpload(upload, self.challenge, TODAY, UNSIGNED, b""))

    def frame(self, said: Said) -> None:
        """Send the next frame of a sync, of this one or of none."""
        session = said.pick((self.session,) * 6 + ("s" * 22, "é", ""))
        if self.channel is None:
            self.post("/sync/" + session, devices_module.OPERATIONS[1], said.blob(), said)
            return
        size = said.pick((16_000, 4_000, 100))
        data, self.left = self.left[:size], self.left[size:]
        plain = encode(SyncPiece(len(self.left), limits.MESSAGE, data) if data else SyncNext(said.byte()))
        plain = reshaped(tree_of(plain), said) if said.below(8) == 1 else plain
        frame = said.blob() if said.below(16) == 1 else self.channel.seal(plain)
        answer = self.post("/sync/" + session, devices_module.OPERATIONS[1], frame, said)
        if answer.status == 200:
            assert len(answer.body) <= limits.MESSAGE, "a frame that is too long"
            decode(self.channel.open(answer.body))

    def post(self, path: str, known: Operation, body: bytes, said: Said) -> Answer:
        """Post a frame."""
        kind = FRAME if said.below(16) != 1 else said.pick(("", JSON))
        found = known if path != "/sync/" else None  # a name that is empty is no name
        request = Request("POST", path, ((b"content-type", kind.encode()),), *_parts(body, said))
        return self.ask(WEB.devices, found, request)

    def anything(self, said: Said) -> None:
        """Ask for what there is not: of either application, another method, another path."""
        method = said.pick(("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "X"))
        path = "/" + said.blob().decode("utf-8", "replace")
        if said.below(2):
            path = said.pick((*admin_module.OPERATIONS, *devices_module.OPERATIONS)).path + said.pick(("", "/", "x"))
        headers = ((b"authorization", said.blob()), (b"content-type", said.blob()), (said.blob().lower(), said.blob()))
        app, known = said.pick(((WEB.admin, admin_module.OPERATIONS), (WEB.devices, devices_module.OPERATIONS)))
        body, whole = _parts(said.blob(), said)
        same = [one for one in known if (one.path, one.method) == (path, "GET" if method == "HEAD" else method)]
        if not same and any("{" in one.path for one in known) and path.startswith(("/sync/", "/admin/evidence/")):
            return  # its template may take this path
        answer = self.ask(app, same[0] if same else None, Request(method, path, headers, body, whole))
        assert same or answer.status in OUTSIDE, "what is not there is answered"


def _parts(body: bytes, said: Said) -> tuple[tuple[bytes, ...], bool]:
    """Cut a body in parts as they come; sometimes the connection ends before the last."""
    how = said.below(16)
    body = body + b" " * PADDING if how == 3 else body
    at = said.byte() if how in {1, 2} else len(body)
    return (body[:at], body[at:])[: 1 if how == 2 else 2], how != 2


def _spoil(fields: dict[str, object], said: Said) -> None:
    """Leave a field out, add one, or put something else in its place."""
    names = [*fields, "other"]
    name = said.pick(names)
    match said.below(3):
        case 0:
            fields.pop(name, None)
        case 1:
            fields[name] = said.pick(ODD)
        case _:
            fields[name] = said.pick(EDGES)


def _is_problem(answer: Answer) -> None:
    """Fail unless an error is a problem document (RFC 9457) that is short and says what it is."""
    assert answer.kind == PROBLEM_TYPE, (answer.status, answer.kind)
    assert len(answer.body) <= PROBLEM, "a problem without a bound"
    found = cast("dict[str, object]", json.loads(answer.body))
    assert {"type", "title", "status", "detail"} <= found.keys() <= {"type", "title", "status", "detail", "code"}
    assert found["status"] == answer.status, "two statuses"
    assert found["detail"], "it does not say what is wrong"
    assert found.get("code", "MALFORMED") in {code.name for code in TABLE}, "a code that is not in SPEC §9"

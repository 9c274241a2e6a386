"""What the institution's people do: certify, issue, settle, audit, fetch evidence. Apart from devices, with a token."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from dualtap import limits
from dualtap.errors import Code, TapError
from dualtap.evidence import Fraud
from dualtap.forms import encode_certificate, signed
from dualtap.issued import Carrier, Condition, Role, Tier
from dualtap.logcodec import encode_record
from dualtap.statements import PresentBody
from dualtap_issuer.audit import wallet_id
from dualtap_issuer.ledger import Ledger
from dualtap_issuer.quotas import Overstep
from dualtap_issuer.rules import Conflict
from dualtap_issuer.service import rulings, wallets
from dualtap_issuer.service.calls import COUNT, DIGEST, EPOCH, KEY, TEXT, Fields, Work, bytes_of, call, int_of
from dualtap_issuer.service.clerk import Clerk
from dualtap_issuer.service.desk import Desk
from dualtap_issuer.service.devices import HEALTH, JSON, Endpoint, health, routes
from dualtap_issuer.service.http import Guard, application, body_of
from dualtap_issuer.service.journal import Journal
from dualtap_issuer.service.metrics import METRICS_TYPE, Metrics
from dualtap_issuer.service.openapi import Operation
from dualtap_issuer.service.problems import Problem
from dualtap_issuer.service.rulings import HEX, NAME
from dualtap_issuer.service.settings import Settings
from dualtap_issuer.service.shapes import array, hexes, integer, one_of, parse, record

_CONFLICT = record(
    {"wallet_id": hexes(8), "kind": one_of(*(fraud.name.lower() for fraud in Fraud)), "first": DIGEST, "second": DIGEST}
)
_CONDITION = record({"code": integer(0, 2**32 - 1), "value": {"type": "string", "pattern": "^([0-9a-f]{2}){0,600}$"}})
_TIER = record(dict.fromkeys(Tier._fields, COUNT))
_POLICY = record(
    {"version": COUNT, "tiers": array(_TIER, 64), "hotlist": array(KEY, 64), "guarantee": rulings.GUARANTEE}
)
_CERTIFY = record(
    {
        "challenge": DIGEST, "key": KEY, "epoch": EPOCH, "signature": hexes(64),
        "carrier": one_of(*(carrier.name.lower() for carrier in Carrier)), "tier": integer(0, 255),
    },
    {"days": integer(1, limits.MAX_LIFE), "category": integer(0, 9999), "bank": NAME, "attestation": HEX},
)  # fmt: skip
_ISSUE = record(
    {"owner": KEY, "amount": integer(1, limits.AMOUNT)},
    {"serial": hexes(8), "conditions": array(_CONDITION, limits.CONDITIONS)},
)
_FAULT = record({"bank": KEY, "fault": one_of(*(found.value for found in Overstep)), "ordinal": COUNT,
                 "certificates": array(DIGEST, 2**31)})  # fmt: skip
_AUDIT = record(
    dict.fromkeys(("issued", "settled", "at_risk", "outstanding", "overspend"), COUNT)
    | {"conflicts": array(_CONFLICT, 2**31), "banks": array(_FAULT, 2**31)}
)
_METRICS = Operation("/metrics", "GET", "Counters, in Prometheus' text format", "text/plain", result=TEXT)


CALLS = (
    call("/admin/challenge", "POST", "A challenge for a wallet's new key", record({"challenge": DIGEST})),
    call(
        "/admin/certify", "POST", "Certify the key that answered a challenge: signature over a Present whose session is"
        " the challenge, as initiator (SPEC §3-15). Gives the certificate, and the News record with which a wallet"
        " joins (SPEC §12)", record({"wallet_id": hexes(8), "certificate": TEXT, "news": TEXT}), _CERTIFY, (403, 409),
    ),
    call(
        "/admin/issue", "POST", "Issue a token, to be fetched by the owner's next sync. A serial given here makes the"
        " call safe to repeat: the second is refused", record({"serial": hexes(8), "amount": COUNT, "spend_by": EPOCH,
        "claim_by": EPOCH}), _ISSUE, (),
    ),
    call("/admin/policy", "GET", "The policy in force, and the caps of the guarantee", _POLICY),
    call(
        "/admin/settle", "POST", "Credit the holders of all tokens whose claim_by is before an epoch, at most today's;"
        " no sync is stamped before it afterwards", record({"settled": COUNT}), record({"epoch": EPOCH}), (409,),
    ),
    call("/admin/audit", "GET", "Recompute everything, compare, and count", _AUDIT),
    call("/admin/conflicts", "GET", "Who is named, and by which two statements",
          record({"conflicts": array(_CONFLICT, 2**31)})),
    *rulings.CALLS,
    *wallets.CALLS,
)  # fmt: skip
EVIDENCE = Operation(
    "/admin/evidence/{first}/{second}", "GET", "The portable evidence of a conflict (SPEC §15)",
    "application/octet-stream", (404,), parameters=(("first", DIGEST), ("second", DIGEST)), secured=True,
)  # fmt: skip
OPERATIONS = (*CALLS, EVIDENCE, _METRICS, *HEALTH)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Guarded:
    """What an administrative call passes through: the token's check, the journal, and a ledger's thread.

    What only reads has a thread, and a connection, of its own: an audit of years holds up no sync.
    """

    clerk: Clerk
    reader: Clerk
    journal: Journal
    token: bytes
    settings: Settings

    def __repr__(self) -> str:
        """Show no token."""
        return "Guarded(…)"

    def check(self, request: Request) -> None:
        """Raise a 401 unless the request has the token. Compared in constant time."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        known = hmac.compare_digest(hashlib.sha256(given.encode()).digest(), hashlib.sha256(self.token).digest())
        if scheme.lower() != "bearer" or not known:
            raise Problem(401, "send the token of this service's file", headers={"WWW-Authenticate": "Bearer"})

    async def carry_out(self, call: str, given: Fields, work: Work) -> Fields:
        """Note a call, do it in the ledger's thread, and note how it ended."""

        def noted(ledger: Ledger) -> Fields:
            number = self.journal.write(at=int(time.time()), call=call, given=given)
            how = "failed"
            try:
                found, how = work(ledger, given), "done"
            except TapError as error:
                how = error.code.name if isinstance(error.code, Code) else str(error.code)
                raise
            finally:
                self.journal.write(at=int(time.time()), of=number, ended=how)
            return found

        return await self.clerk.do(noted)

    async def look(self, work: Callable[[Ledger], T]) -> T:
        """Ask a ledger beside the one that takes syncs, which learns first what that one has."""

        def asked(ledger: Ledger) -> T:
            ledger.trust.refresh(ledger.store)
            return work(ledger)

        return await self.reader.do(asked)


def admin(guarded: Guarded, desk: Desk, metrics: Metrics, guard: Guard, epoch: Callable[[], int]) -> ASGIApp:
    """Return the application. ``epoch`` gives the date with which calls are stamped."""
    works = (
        _challenge,
        _certify(epoch),
        _issue(epoch),
        _policy,
        _settle(epoch),
        _audit,
        _conflicts,
        *rulings.works(epoch),
        *wallets.works(epoch),
    )
    endpoints: list[Endpoint] = [_endpoint(guarded, call, work) for call, work in zip(CALLS, works, strict=True)]

    async def evidence(request: Request) -> Response:
        guarded.check(request)
        first, second = request.path_params["first"], request.path_params["second"]

        def fetch(ledger: Ledger) -> bytes:
            for found in ledger.conflicts():
                if (found.first.hex(), found.second.hex()) == (first, second):
                    return ledger.evidence(found)
            raise Problem(404, "no such conflict; /admin/conflicts lists them")

        return Response(await guarded.look(fetch), media_type=EVIDENCE.gives)

    async def show_metrics(_: Request) -> Response:
        return Response(metrics.text(), media_type=METRICS_TYPE)

    described = health(desk, guarded.clerk, "dualtap issuer: administration", OPERATIONS)
    return application(routes(OPERATIONS, [*endpoints, evidence, show_metrics, *described]), guard)


def _endpoint(guarded: Guarded, call: Operation, work: Work) -> Callable[[Request], Awaitable[Response]]:
    settings = guarded.settings

    async def endpoint(request: Request) -> Response:
        guarded.check(request)
        given: Fields = {}
        if call.body is not None:
            given = parse(await body_of(request, JSON, settings.body, settings.reading), call.body)
        if call.method == "GET":
            return JSONResponse(await guarded.look(lambda ledger: work(ledger, given)))
        return JSONResponse(await guarded.carry_out(f"{call.method} {call.path}", given, work))

    return endpoint


def _challenge(ledger: Ledger, _: Fields) -> Fields:
    return {"challenge": ledger.challenge(secrets.token_bytes(32)).hex()}


def _certify(epoch: Callable[[], int]) -> Work:
    def certify(ledger: Ledger, given: Fields) -> Fields:
        scheme, key, today = ledger.scheme, bytes_of(given, "key"), epoch()
        scheme.suite.verifier(key)
        body = PresentBody(bytes_of(given, "challenge"), True, int_of(given, "epoch"))
        proof = signed(scheme.id, key, body).sealed(bytes_of(given, "signature"))
        # Before the challenge is used up: else who only guesses could spoil another's.
        ledger.trust.verify_statement(proof)
        tier = int_of(given, "tier")
        if tier not in {known.number for known in ledger.policy.tiers}:
            raise TapError(Code.BAD_INPUT, f"no limits are known for tier {tier}; /admin/policy lists them")
        carrier = Carrier[cast("str", given["carrier"]).upper()]
        days = int_of(given, "days") if "days" in given else ledger.terms.spend
        category = int_of(given, "category") if "category" in given else 0
        bank = rulings.bank_named(ledger, cast("str", given["bank"])) if "bank" in given else None
        certificate = ledger.certify(
            proof, carrier, tier, Role.PAY | Role.COLLECT, today + days, category, bytes_of(given, "attestation"), bank
        )
        news = encode_record(ledger.news(today, certificate))
        return {
            "wallet_id": wallet_id(key), "certificate": encode_certificate(certificate).hex(), "news": news.hex()
        }  # fmt: skip

    return certify


def _issue(epoch: Callable[[], int]) -> Work:
    def issue(ledger: Ledger, given: Fields) -> Fields:
        serial = bytes_of(given, "serial") if "serial" in given else secrets.token_bytes(8)
        conditions = tuple(
            Condition(int_of(item, "code"), bytes_of(item, "value"))
            for item in cast("list[Fields]", given.get("conditions", []))
        )
        token = ledger.issue(bytes_of(given, "owner"), int_of(given, "amount"), epoch(), serial, conditions)
        return {
            "serial": serial.hex(), "amount": token.amount, "spend_by": token.spend_by, "claim_by": token.claim_by
        }  # fmt: skip

    return issue


def _policy(ledger: Ledger, _: Fields) -> Fields:
    policy = ledger.policy
    return {
        "version": policy.version,
        "tiers": [tier._asdict() for tier in policy.tiers],
        "hotlist": [key.hex() for key in policy.hotlist],
        "guarantee": {**ledger.guarantee._asdict()},
    }


def _settle(epoch: Callable[[], int]) -> Work:
    def settle(ledger: Ledger, given: Fields) -> Fields:
        until = int_of(given, "epoch")
        if until > epoch():
            raise Problem(409, f"epoch {until} has not come; what is stamped before it could not be stored any more")
        return {"settled": ledger.settle(until)}

    return settle


def _audit(ledger: Ledger, _: Fields) -> Fields:
    found = ledger.audit()
    return {
        "issued": found.issued, "settled": found.settled, "at_risk": found.at_risk,
        "outstanding": found.outstanding, "overspend": found.overspend, **_conflicts(ledger, {}),
        "banks": [
            {"bank": fault.bank.hex(), "fault": fault.overstep.value, "ordinal": fault.ordinal,
             "certificates": [digest.hex() for digest in fault.certificates]}
            for fault in found.banks
        ],
    }  # fmt: skip


def _conflicts(ledger: Ledger, _: Fields) -> Fields:
    return {"conflicts": [_named(found) for found in ledger.conflicts()]}


def _named(found: Conflict) -> Fields:
    return {
        "wallet_id": wallet_id(found.key), "kind": found.fraud.name.lower(),
        "first": found.first.hex(), "second": found.second.hex(),
    }  # fmt: skip

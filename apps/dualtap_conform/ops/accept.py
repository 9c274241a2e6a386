"""What a payee accepts, and whom evidence names: the operations ``accept`` and ``names``."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast, get_type_hints

from dualtap.context import Charge, Context
from dualtap.errors import Code, TapError
from dualtap.forms import signed
from dualtap.outcome import examine
from dualtap.records import Answered, Asked
from dualtap.statements import ReceiptBody, RequestBody, Transfer, Verification
from dualtap.suite import TAG, Drbg
from dualtap.verdict import verify_evidence
from dualtap.wire import TransferMessage, decode
from dualtap_conform.setup import Json, Object, Setup, unhex
from dualtap_devices.wallet import Wallet


def request_json(body: RequestBody) -> Object:
    """Return the fields of a Request, as they stand in a question."""
    fields = zip(RequestBody._fields, cast("tuple[bytes | int | str, ...]", body), strict=True)
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in fields}


def read_request(value: Json) -> RequestBody:
    """Read what :func:`request_json` wrote; raise ``BAD_INPUT``."""
    fields = cast("Object", value)
    kinds = get_type_hints(RequestBody)
    try:
        found = [unhex(fields[name]) if kinds[name] is bytes else fields[name] for name in RequestBody._fields]
        body = RequestBody(*found)  # type: ignore[arg-type] # a question has JSON's types
        return body._replace(verification=Verification(body.verification))
    except (KeyError, TypeError, ValueError) as error:
        raise TapError(Code.BAD_INPUT, f"a request without a usable {error}") from error


def accept(suite: str, given: Object) -> Object:
    """Decide a transfer as its payee does in a tap, after what it accepted before."""
    del suite
    wallet = Setup.from_json(cast("Object", given["setup"])).wallet()
    now = cast("int", given["now"])
    for earlier in cast("list[Object]", given["seen"]):
        try:
            _take(wallet, earlier, now)
        except TapError as error:
            raise TapError(Code.BAD_INPUT, f"refused what was seen: {error}") from error
    transfer, amount = _take(wallet, given, now)
    return {"transfer": transfer.id.hex(), "amount": amount}


def _take(wallet: Wallet, question: Object, now: int) -> tuple[Transfer, int]:
    """Have a wallet make a request and decide the transfer shown in answer to it; return that and its amount."""
    book = wallet.book
    body, raw = read_request(question["request"]), unhex(question["message"])
    asked_id = signed(book.scheme.id, book.key, body).id
    asked = Asked(asked_id, *body[4:6], body.amount, body.currency, body.epoch, body.verification)
    wallet.write(asked)
    random = Drbg(bytes(32))
    charge = Charge(body.amount, body.currency, body.basket, body.part, body.details)
    context = Context(book, charge, body.initiator, book.scheme.suite.ephemeral(bytes(32)), random)
    context.now, context.asked = float(now), asked
    if len(raw) + TAG > book.profile.message:
        raise TapError(Code.TOO_LARGE)
    message = decode(raw)
    if not isinstance(message, TransferMessage):
        raise TapError(Code.UNEXPECTED_MESSAGE, "not a Transfer")
    if message.request and message.request not in book.questions:
        raise TapError(Code.UNKNOWN_REQUEST)
    transfer = examine(context, asked, message)
    outcome = signed(book.scheme.id, book.key, ReceiptBody(asked_id, transfer.id, book.trust.epoch), book.place(random))
    book.apply(Answered(outcome, raw))
    return transfer, sum(end - start for _, start, end in transfer.body.spans)


def names(suite: str, given: Object) -> Object:
    """Say whom evidence names, and for what."""
    del suite
    verdict = verify_evidence(unhex(given["evidence"]), unhex(given["root"]))
    return {"key": verdict.key.hex(), "fraud": verdict.fraud.name}


OPS: dict[str, Callable[[str, Object], Object]] = {"accept": accept, "names": names}

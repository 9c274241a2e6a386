"""How our core answers ``taps``: whole taps of one device, event by event, with every choice given."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, cast

from dualtap import limits
from dualtap.allowance import BY_CHIP
from dualtap.book import Book
from dualtap.context import Charge, Order, Pay
from dualtap.errors import Code, TapError
from dualtap.events import (
    Ask,
    Begin,
    Consent,
    Decline,
    Effect,
    Event,
    Persist,
    Received,
    Report,
    Send,
    Sign,
    Signature,
    Stop,
)
from dualtap.keystore import sign_with
from dualtap.logcodec import decoder
from dualtap.statements import KIND, Parent, Side, Span, Verification
from dualtap.suite import Drbg
from dualtap.tap import Tap
from dualtap.timed import NONCE
from dualtap_conform.setup import Json, Object, Setup, unhex
from dualtap_conform.stage import secret_of
from dualtap_devices.wallet import Wallet

_PIN = b"1234"


class Choices(Drbg):
    """Chance that is not left to chance: the choices which a vector gives a device."""

    def __init__(self, book: Book, spans: deque[Span]) -> None:
        """``spans`` are those that the device pays with, in turn."""
        super().__init__(bytes(32))
        self._book, self._spans = book, spans
        self._seed, self._ctr = b"", 0
        self.ping = b""
        """The 8 bytes of the next Ping."""

    def entry(self, seed: bytes, ctr: int) -> None:
        """Choose the seed and the counter of the next entry of the tape."""
        self._seed, self._ctr = seed, ctr

    def take(self, size: int) -> bytes:
        """Return the seed that was chosen; zeros where nothing will be signed, so that nothing is chosen."""
        if size == NONCE:
            return self.ping
        return self._seed or bytes(size)

    def below(self, bound: int) -> int:
        """Return the skip that was chosen, or the end of a holding from which a span is cut."""
        if bound == limits.COUNTER_STEP:
            return max(0, self._ctr - self._book.counter - 1)
        span = self._spans.popleft() if self._spans else None
        return int(span is not None and not any(held.parent == span.parent and held.start == span.start
                                                for held in self._book.holdings))  # fmt: skip


def read_span(value: Json) -> Span:
    """Return a span from ``[parent id, side, place, start, end]``."""
    parent, side, place, start, end = cast("list[Any]", value)
    return Span(Parent(unhex(parent), Side(side), place), start, end)


def span_json(span: Span) -> Json:
    """Return what :func:`read_span` reads."""
    return [span.parent.id.hex(), int(span.parent.side), span.parent.place, span.start, span.end]


def read_order(value: Object) -> Order:
    """Return the order of a tap."""
    if "pay" in value:
        pay = cast("dict[str, Any]", value["pay"])
        return Pay(unhex(pay["refund_of"]), pay["amount"])
    charge = cast("dict[str, Any]", value["charge"])
    return Charge(
        charge["amount"],
        charge["currency"],
        unhex(charge["basket"]),
        charge["part"],
        unhex(charge["details"]),
        charge["person"],
        Verification(charge["verification"]),
    )


def order_json(order: Order) -> Object:
    """Return what :func:`read_order` reads."""
    if isinstance(order, Pay):
        return {"pay": {"refund_of": order.refund_of.hex(), "amount": order.amount}}
    return {
        "charge": {
            "amount": order.amount,
            "currency": order.currency,
            "basket": order.basket.hex(),
            "part": order.part,
            "details": order.details.hex(),
            "person": order.person,
            "verification": int(order.verification),
        }
    }


def read_event(value: Object) -> Event:
    """Return one event of a tap."""
    match value["on"]:
        case "begin":
            return Begin()
        case "frame":
            return Received(unhex(value["frame"]))
        case "signed":
            return Signature(unhex(value["signature"]))
        case "consent":
            return Consent(Verification(cast("int", value["verification"])))
        case "decline":
            return Decline()
        case "stop":
            return Stop(Code[cast("str", value["code"])])
        case other:
            raise TapError(Code.BAD_INPUT, f"no event {other!r}")


def effect_json(effect: Effect, record_of: Callable[[bytes], object]) -> Object:
    """Return an effect as it stands in an answer."""
    match effect:
        case Persist(records):
            return {"do": "persist", "records": [type(record_of(item)).__name__ for item in records]}
        case Sign(statement):
            return {"do": "sign", "kind": KIND[type(statement.body)].name, "id": statement.id.hex()}
        case Send(frame):
            return {"do": "send", "frame": frame.hex()}
        case Ask(amount, currency, payee, verification):
            return {
                "do": "ask",
                "amount": amount,
                "currency": currency,
                "payee": payee.key.hex(),
                "verification": int(verification),
            }
        case Report(result, amount, currency, transfer, _, code):
            named = code.name if isinstance(code, Code) else code
            return {
                "do": "report",
                "result": result.value,
                "amount": amount,
                "currency": currency,
                "transfer": transfer.hex(),
                "code": named,
            }


def step_json(tap: Tap, effects: tuple[Effect, ...], record_of: Callable[[bytes], object]) -> Object:
    """Return one step of an answer: where the tap stands, and what is to be done."""
    return {"state": tap.state.value, "effects": [effect_json(effect, record_of) for effect in effects]}


def vouch(wallet: Wallet, event: Event) -> None:
    """Verify the user to the keystore, where the vector says that this was done."""
    pin = wallet.keystore.pin
    if pin is not None and isinstance(event, Consent) and event.verification >= BY_CHIP:
        if not pin.cell.pin:
            pin.set(_PIN)
        pin.verify(_PIN)


def carry_out(wallet: Wallet, effects: tuple[Effect, ...]) -> None:
    """Do to the wallet what the effects say. The keystore signs, and what it says is given by the vector."""
    for effect in effects:
        if isinstance(effect, Persist):
            wallet.persist(effect.records)
        elif isinstance(effect, Sign):
            sign_with(wallet.keystore, effect.statement)


def _tap(wallet: Wallet, given: Object) -> Object:
    events = cast("list[Object]", given["events"])
    spans = deque(read_span(span) for event in events for span in cast("list[Json]", event.get("spans", [])))
    choices = Choices(wallet.book, spans)
    suite = wallet.book.scheme.suite
    ephemeral = suite.ephemeral(secret_of(suite, unhex(given["private"])))
    wallet.check()
    order, initiator = read_order(cast("Object", given["order"])), bool(given["initiator"])
    within = cast("int", given["within"]) / 1000 if "within" in given else None
    tap = Tap(wallet.book, order, initiator, ephemeral, choices, within=within, news=False)
    record_of = decoder(wallet.book.scheme.id)
    steps: list[Json] = []
    for event in events:
        if "entry" in event:
            entry = cast("Object", event["entry"])
            choices.entry(unhex(entry["seed"]), int.from_bytes(unhex(entry["ctr"]), "big"))
        if "ping" in event:
            choices.ping = unhex(event["ping"])
        now = cast("int", event.get("now", given["now"])) + cast("int", event.get("ms", 0)) / 1000
        taken = read_event(event)
        vouch(wallet, taken)
        effects = tap.step(taken, now)
        carry_out(wallet, effects)
        steps.append(step_json(tap, effects, record_of))
    return {"steps": steps}


def taps(suite: str, given: Object) -> Object:
    """Run the taps of one device in turn, with the same store; return every step of each."""
    del suite
    wallet = Setup.from_json(cast("Object", given["setup"])).wallet()
    return {"taps": [_tap(wallet, tap) for tap in cast("list[Object]", given["taps"])]}


OPS = {"taps": taps}

"""``bench radio``: a real tap in the time of the radios' models, and the wall time of one over each stack here.

What the models know is in :mod:`dualtap_transports.timing`. Not in them: writes to a card's memory, its own program,
decoding of keys, polling, and any person.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import cast

from dualtap_apps.bench_stacks import stacks
from dualtap_apps.exits import Exit
from dualtap_apps.modelled import Split, Trace, ble_tap, nfc_tap, trace
from dualtap_apps.modelled_round import FRAME, longest_ble_round, nfc_round
from dualtap_apps.output import emit
from dualtap_transports.nearness import BLE_SECONDS, NFC_SECONDS
from dualtap_transports.timing.ble import Ble, Phy
from dualtap_transports.timing.cards import CARDS, Work
from dualtap_transports.timing.nfc import RATES, Nfc

GOAL_MS = 300
HOPS = (1, 2, 3, 7)
_INTERVALS = (0.0075, 0.015, 0.03, 0.05)
_TILL = CARDS["phone"]


def bench_radio(as_json: bool, taps: int = 5) -> Exit:
    """Print modelled taps by radio, rate, carrier and hops, and ``taps`` measured ones over each stack."""
    traces = {hops: trace(hops) for hops in HOPS}
    first, card = traces[1], CARDS["jcop4"]
    work = first.work(payer=True)
    key = nfc_tap(first, Nfc(106), card, _TILL)
    rows = [row for found in traces.values() for row in _rows(found)]
    rounds = _rounds()
    measured = stacks(taps)
    shares = {
        "public_key_ms": _ms(card.public_key(work)),
        "sha256_ms": _ms(card.hashing(work)),
        "aes_ccm_ms": _ms(card.sealing(work)),
        "till_ms": _ms(_TILL.seconds(first.work(payer=False))),
    }
    fields: dict[str, object] = {
        "nfc106_jcop4_ms": _ms(key.total),
        "goal_ms": GOAL_MS,
        "split_ms": _split(key),
        "crypto_ms": shares,
        "card_work": asdict(work),
        "till_work": asdict(first.work(payer=False)),
        "frames": first.frames,
        "apdus": [[item.command, item.answer] for item in first.exchanges],
        "not_modelled": "a card's memory writes and program, decoding of compressed keys, polling, people",
        "cards": {name: asdict(item) for name, item in CARDS.items()},
        "timed_round": rounds,
        "modelled": rows,
        "stacks": measured,
    }
    emit(as_json, fields, *_text(key, shares, work, rounds, rows, measured))
    return Exit.OK


def _rows(found: Trace) -> Iterator[dict[str, object]]:
    for name, card in CARDS.items():
        for rate in RATES:
            yield _row("nfc", f"{rate} kbit/s", name, found, nfc_tap(found, Nfc(rate), card, _TILL))
        for interval in _INTERVALS:
            for phy in Phy:
                link = Ble(interval, phy)
                label = f"{phy.value[0]}, {1000 * interval:g} ms"
                yield _row("ble", label, name, found, ble_tap(found, link, card, _TILL))


def _rounds() -> dict[str, object]:
    """Return what a timed round costs (SPEC §24), beside what each kind of link allows it."""
    nfc = {f"{rate} kbit/s, {name}": _ms(nfc_round(Nfc(rate), card)) for name, card in CARDS.items() for rate in RATES}
    ble = {f"{1000 * interval:g} ms": _ms(longest_ble_round(Ble(interval), _TILL)) for interval in _INTERVALS}
    return {
        "bytes": 2 * FRAME,
        "nfc_ms": nfc,
        "nfc_allowed_ms": _ms(NFC_SECONDS),
        "ble_ms": ble,
        "ble_allowed_ms": _ms(BLE_SECONDS),
    }


def _row(radio: str, rate: str, carrier: str, found: Trace, split: Split) -> dict[str, object]:
    return {
        "radio": radio,
        "rate": rate,
        "carrier": carrier,
        "hops": found.hops,
        "ms": _ms(split.total),
        "split_ms": _split(split),
    }


def _split(split: Split) -> dict[str, float]:
    return {"radio": _ms(split.radio), "crypto": _ms(split.crypto), "protocol": _ms(split.protocol)}


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 1)


def _text(
    key: Split, shares: dict[str, float], work: Work, rounds: dict[str, object], rows: list[dict[str, object]],
    measured: list[dict[str, object]],
) -> Iterator[str]:  # fmt: skip
    missed = 1000 * key.total - GOAL_MS
    verdict = "reached" if missed <= 0 else f"missed by {missed:.0f} ms"
    yield f"NFC at 106 kbit/s, JCOP4 card, first hop: {1000 * key.total:.0f} ms (goal {GOAL_MS}: {verdict})"
    yield "  " + ", ".join(f"{name} {value:.0f}" for name, value in _split(key).items())
    yield "  of its crypto: " + ", ".join(f"{name.removesuffix('_ms')} {value:.0f}" for name, value in shares.items())
    yield "  the card's operations: " + ", ".join(f"{name} {count}" for name, count in asdict(work).items())
    yield "not modelled: a card's memory writes and program, decoding of compressed keys, polling, people"
    yield f"a timed round, above a tier's untimed amount: {rounds['bytes']} bytes"
    for radio in ("nfc", "ble"):
        times = cast("dict[str, float]", rounds[f"{radio}_ms"])
        said = ", ".join(f"{name}: {value}" for name, value in times.items())
        yield f"  {radio} (ms, of {rounds[f'{radio}_allowed_ms']} allowed): {said}"
    yield "modelled taps (ms: total = radio + crypto + protocol):"
    for row in rows:
        yield (
            f"  {row['radio']} {row['rate']!s:<12} {row['carrier']!s:<9} {row['hops']} hops {row['ms']!s:>7}: "
            + ", ".join(f"{name} {value}" for name, value in cast("dict[str, float]", row["split_ms"]).items())
        )
    yield "measured taps on this machine, without a radio:"
    for stack in measured:
        yield f"  {stack['stack']!s:<12} " + (
            f"{stack['ms']} ms, {stack['bytes']} bytes" if "ms" in stack else f"not here: {stack['missing']}"
        )

"""Figures that anyone can repeat: a tap beside the bare cryptography that it needs, and the cost of an import."""

from __future__ import annotations

import gc
import json
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from dualtap import limits
from dualtap.context import Charge, Pay
from dualtap.events import Result
from dualtap.issued import Carrier
from dualtap.suite import SUITES, Suite
from dualtap_apps.exits import Exit
from dualtap_apps.output import emit
from dualtap_devices.driver import Driver
from dualtap_devices.flash import FileFlash
from dualtap_devices.keystore import SIZE, EmulatedKeystore
from dualtap_devices.slots import SlotStore
from dualtap_devices.wallet import Wallet
from dualtap_testing.toyscheme import ToyScheme
from dualtap_transports.loopback import pair

BATCH = 20
"""Taps and floors measured in turn, so that a machine whose speed drifts slows both."""
_MESSAGES = ("hello", "welcome_request", "transfer", "receipt")


def bench_tap(suite_name: str, taps: int, as_json: bool) -> Exit:
    """Print the taps per second, the floor, their ratio, and the bytes of each message."""
    suite = SUITES[suite_name]
    toy = ToyScheme(suite)
    floor, own = floors(suite)
    tap_s: list[float] = []
    floor_s: list[float] = []
    own_s: list[float] = []
    for _ in range(max(1, taps // BATCH)):
        payee, other = toy.memory_wallet(Carrier.POS), toy.memory_wallet(Carrier.POS)
        payers = [toy.memory_wallet(Carrier.WATCH, 10_000) for _ in range(BATCH)]
        for payer in payers:
            # Authorities' keys are loaded at the first tap of a device's life: measure a later one.
            _tap(*_drivers(payer, other, 1))
        gc.collect()
        gc.freeze()  # the benchmark's own heap of wallets is no part of a tap
        tap_s.append(_timed(partial(_taps, payers, payee)) / BATCH)
        floor_s.append(_timed(lambda: [floor() for _ in range(BATCH)]) / BATCH)
        own_s.append(_timed(lambda: [own() for _ in range(BATCH)]) / BATCH)
    ratio = statistics.median(f / t for f, t in zip(floor_s, tap_s, strict=True))
    ratio_own = statistics.median(f / t for f, t in zip(own_s, tap_s, strict=True))
    first, second = _hops(toy, 2)
    cold = _cold(toy)
    fields: dict[str, object] = {
        "suite": suite_name,
        "taps": len(tap_s) * BATCH,
        "ratio": round(ratio, 3),
        "taps_per_s": round(1 / statistics.median(tap_s)),
        "floor_taps_per_s": round(1 / statistics.median(floor_s)),
        "ratio_own_list": round(ratio_own, 3),
        "floor_own_list_taps_per_s": round(1 / statistics.median(own_s)),
        "own_list": "the fixed list, and 4 public keys decoded from the wire: 2 ephemeral, 2 of wallets",
        "bytes_first_hop_cached": sum(first),
        "bytes_first_hop_sent": sum(cold),
        "bytes_per_hop": sum(second) - sum(first),
        "bytes": dict(zip(_MESSAGES, first, strict=True)),
        "disk_taps_per_s": round(1 / _disk(toy)),
    }
    emit(
        as_json,
        fields,
        f"{fields['taps_per_s']} taps/s; bare cryptography {fields['floor_taps_per_s']}/s; "
        f"ratio {ratio:.2f} (goal 0.80)",
        f"with the 4 public keys that it decodes: {fields['floor_own_list_taps_per_s']}/s; ratio {ratio_own:.2f}",
        f"bytes, first hop: {sum(first)} (goal 800), authorities sent: {sum(cold)} (goal 1050), "
        f"each further hop: {fields['bytes_per_hop']} (goal 250)",
        "by message: " + ", ".join(f"{name} {size}" for name, size in zip(_MESSAGES, first, strict=True)),
        f"on disk, durable: {fields['disk_taps_per_s']} taps/s",
    )
    return Exit.OK


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _drivers(payer: Wallet, payee: Wallet, amount: int = 1250) -> tuple[Driver, Driver]:
    charge = Charge(amount, "CNY", secrets.token_bytes(16))
    return Driver.fresh(payer, Pay(), initiator=True), Driver.fresh(payee, charge, initiator=False)


def _tap(initiator: Driver, responder: Driver) -> list[int]:
    """Run one tap over a loopback link; return the bytes of each frame."""
    left, right = pair()
    sizes: list[int] = []
    responder.begin()
    frames = initiator.begin()
    speaker, link, other = initiator, left, right
    while frames:
        for frame in frames:
            sizes.append(len(frame))
            link.send(frame)
        speaker = responder if speaker is initiator else initiator
        link, other = other, link
        frames = [] if speaker.ended else speaker.receive(link.receive(0))
    left.close()
    right.close()
    if initiator.result.result is not Result.PAID:
        raise AssertionError(str(initiator.result))
    return sizes


def _taps(payers: list[Wallet], payee: Wallet) -> None:
    for payer in payers:
        _tap(*_drivers(payer, payee))


def _hops(toy: ToyScheme, hops: int) -> list[list[int]]:
    """Return the frames' sizes of taps that pass value on, hop after hop."""
    wallets = [toy.memory_wallet(Carrier.WATCH, 10_000)]
    wallets += [toy.memory_wallet(Carrier.WATCH) for _ in range(hops)]
    amounts = [1250 - 100 * hop for hop in range(hops)]
    return [_tap(*_drivers(wallets[hop], wallets[hop + 1], amounts[hop])) for hop in range(hops)]


def _cold(toy: ToyScheme) -> list[int]:
    """Return the frames' sizes of a first tap between two institutions: the payer lacks the payee's chain."""
    payer = toy.newcomer(Carrier.WATCH, 10_000)
    payee = toy.stranger_wallet(Carrier.POS)
    return _tap(*_drivers(payer, payee))


def _disk(toy: ToyScheme, taps: int = 40) -> float:
    """Return the seconds of a tap between two wallets on disk."""
    with tempfile.TemporaryDirectory() as folder:
        flashes = [
            FileFlash(Path(folder) / name, size)
            for name, size in (
                ("payer.key", SIZE),
                ("payer.log", 2 * limits.FULL.log),
                ("payee.key", SIZE),
                ("payee.log", 2 * limits.FULL.log),
            )
        ]
        wallets = [
            toy.join(
                EmulatedKeystore.create(toy.scheme, flashes[at], secrets.token_bytes(32)),
                SlotStore.open(flashes[at + 1]),
                carrier,
                amount,
            )
            for at, carrier, amount in ((0, Carrier.WATCH, 10_000_000), (2, Carrier.POS, 0))
        ]
        try:
            return _timed(lambda: [_tap(*_drivers(wallets[0], wallets[1])) for _ in range(taps)]) / taps
        finally:
            for flash in flashes:
                flash.close()


def floors(suite: Suite) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return the bare operations of one tap: the fixed list, and the same with the keys that we decode.

    3 signs, 6 verifies, 2 key generations, 2 exchanges, 2 key derivations, 3 seals, 3 opens: calls of the library
    with everything loaded, so that nothing of ours is in it.
    """
    digest, message, nonce = secrets.token_bytes(32), secrets.token_bytes(250), bytes(12)
    calls = _p256_calls(digest) if suite.name == "p256" else _ed25519_calls(digest)
    sign, verify, generate, exchange, load = calls
    size = 2 * suite.seal_key_size
    key = secrets.token_bytes(suite.seal_key_size)
    sealer = AESCCM(key) if suite.name == "p256" else ChaCha20Poly1305(key)
    sealed = sealer.encrypt(nonce, message, None)

    def fixed() -> None:
        for _ in range(3):
            sign()
        for _ in range(6):
            verify()
        for _ in range(2):
            generate()
            exchange()
            HKDF(hashes.SHA256(), size, digest, b"floor").derive(digest)
        for _ in range(3):
            sealer.encrypt(nonce, message, None)
            sealer.decrypt(nonce, sealed, None)

    def own() -> None:
        fixed()
        for _ in range(4):
            load()

    return fixed, own


_Calls = tuple[
    Callable[[], object], Callable[[], object], Callable[[], object], Callable[[], object], Callable[[], object]
]


def _p256_calls(digest: bytes) -> _Calls:
    curve, ecdsa, ecdh = ec.SECP256R1(), ec.ECDSA(Prehashed(hashes.SHA256())), ec.ECDH()
    key = ec.generate_private_key(curve)
    public = key.public_key()
    signature = key.sign(digest, ecdsa)
    peer = ec.generate_private_key(curve).public_key()
    point = public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return (
        lambda: key.sign(digest, ecdsa),
        lambda: public.verify(signature, digest, ecdsa),
        lambda: ec.generate_private_key(curve),
        lambda: key.exchange(ecdh, peer),
        lambda: ec.EllipticCurvePublicKey.from_encoded_point(curve, point),
    )


def _ed25519_calls(digest: bytes) -> _Calls:
    key = ed25519.Ed25519PrivateKey.generate()
    public = key.public_key()
    signature = key.sign(digest)
    agree, peer = x25519.X25519PrivateKey.generate(), x25519.X25519PrivateKey.generate().public_key()
    raw = public.public_bytes_raw()
    return (
        lambda: key.sign(digest),
        lambda: public.verify(signature, digest),
        x25519.X25519PrivateKey.generate,
        lambda: agree.exchange(peer),
        lambda: ed25519.Ed25519PublicKey.from_public_bytes(raw),
    )


_PROBE = """
import json, sys, time
def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096
before, began = resident(), time.perf_counter()
{imports}
seconds, after = time.perf_counter() - began, resident()
unwanted = sorted(set(sys.modules) & {{"asyncio", "bleak", "nfc", "usb", "serial", "smartcard"}})
print(json.dumps([seconds * 1000, (after - before) / 2**20, unwanted]))
"""
"""Run in a fresh interpreter. Memory is what is resident, by Linux's count of 4 KiB pages."""


def bench_import(as_json: bool, runs: int = 5) -> Exit:
    """Print the median time (ms) and memory (MiB) of importing dualtap, beside its two dependencies alone."""
    ours = _probe("import dualtap", runs)
    bare = _probe(
        "import msgpack\n"
        "from cryptography.hazmat.primitives import hashes\n"
        "from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519\n"
        "from cryptography.hazmat.primitives.ciphers.aead import AESCCM, ChaCha20Poly1305\n"
        "from cryptography.hazmat.primitives.kdf.hkdf import HKDF",
        runs,
    )
    fields: dict[str, object] = {
        "dualtap_ms": round(ours[0], 1),
        "dualtap_mib": round(ours[1], 1),
        "dependencies_ms": round(bare[0], 1),
        "dependencies_mib": round(bare[1], 1),
        "unwanted_modules": ours[2],
    }
    emit(
        as_json,
        fields,
        f"import dualtap: {ours[0]:.0f} ms, {ours[1]:.1f} MiB",
        f"cryptography and msgpack alone: {bare[0]:.0f} ms, {bare[1]:.1f} MiB",
        f"asyncio or radio libraries loaded: {', '.join(ours[2]) or 'none'}",
    )
    return Exit.ERROR if ours[2] else Exit.OK


def _probe(imports: str, runs: int) -> tuple[float, float, list[str]]:
    results: list[list[float | list[str]]] = []
    for _ in range(runs):
        done = subprocess.run(  # noqa: S603 - this interpreter, on a script written above
            [sys.executable, "-c", _PROBE.format(imports=imports)], check=True, capture_output=True, text=True
        )
        results.append(json.loads(done.stdout))
    unwanted = results[0][2]
    return (
        statistics.median(item[0] for item in results if isinstance(item[0], float)),
        statistics.median(item[1] for item in results if isinstance(item[1], float)),
        unwanted if isinstance(unwanted, list) else [],
    )

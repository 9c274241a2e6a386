"""Two machines find each other on a network, and whoever stands between them is found out."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dualtap import limits
from dualtap.context import Charge, Pay
from dualtap.errors import Code, TapError
from dualtap.events import Ask, Consent, Decline, Report, Result
from dualtap.session import Handover, ident
from dualtap.session import code as code_of
from dualtap.suite import sha256
from dualtap.wire import VERSION, Hello, Want, encode_hello
from dualtap_apps import taps
from dualtap_apps.cli import run as command
from dualtap_apps.schemes import Office
from dualtap_devices.bridge import bridge
from dualtap_devices.driver import Driver, run
from dualtap_transports import lan, mdns
from dualtap_transports.handover import handover_of, introduce
from dualtap_transports.lan import LanScheme, compares, ident_of, name_of
from dualtap_transports.mdns import MOST, SERVICE, Mdns, Place
from tests.playbook import EPOCH, World
from tests.support.directory import LOCAL, MemoryDirectory

PATIENCE = 20.0
NOW = float(EPOCH * limits.EPOCH_SECONDS)
IDENT = bytes(range(16))


@pytest.fixture
def scheme() -> LanScheme:
    return LanScheme(MemoryDirectory())


def refused(call: Callable[[], object]) -> TapError:
    with pytest.raises(TapError) as caught:
        call()
    return caught.value


def always(library: object) -> Callable[[str], object]:
    def load(name: str) -> object:
        del name
        return library

    return load


# Names


def test_a_name_is_the_ident_and_nothing_else() -> None:
    """§19.1-1."""
    assert re.fullmatch(r"[a-z2-7]{26}", name_of(IDENT))
    assert ident_of(name_of(IDENT)) == IDENT
    for wrong in ("", "till 5", name_of(IDENT).upper(), name_of(IDENT)[:-1], name_of(IDENT) + "a", "7" * 26, "é" * 26):
        assert ident_of(wrong) == b"", wrong


def test_what_both_put_into_the_transcript_is_as_written() -> None:
    """§19.1-3."""
    assert lan.agreed(IDENT) == Handover(sha256(b"") + sha256(b"dualtap lan 1" + IDENT), IDENT)


@pytest.mark.parametrize("host", [LOCAL, ""])
def test_an_announcement_holds_a_random_name_and_where(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """§19.1-1: no text, no name of this machine; the loopback's address only where it is asked for."""
    told: list[dict[str, Any]] = []
    events: list[str] = []

    class Responder:
        def __init__(self, **more: object) -> None:
            assert more["interfaces"] == ([host] if host else "all")

        def register_service(self, info: dict[str, Any], *, cooperating_responders: bool) -> None:
            assert cooperating_responders
            told.append(info)

        def close(self) -> None:
            events.append("closed")

    def info(kind: str, name: str, **more: object) -> dict[str, object]:
        return {"kind": kind, "name": name, **more}

    address = SimpleNamespace(ip="192.0.2.7"), SimpleNamespace(ip="127.0.0.1"), SimpleNamespace(ip=("fe80::1", 0, 0))
    library = SimpleNamespace(
        Zeroconf=Responder, ServiceInfo=info, InterfaceChoice=SimpleNamespace(All="all"),
        IPVersion=SimpleNamespace(V4Only=4), get_adapters=lambda: [SimpleNamespace(ips=address)],
    )  # fmt: skip
    monkeypatch.setattr(mdns, "_load", always(library))
    with closing(LanScheme(Mdns()).listen(f"new@{host}" if host else "new")) as listener:
        introduce(listener, IDENT)
        name = name_of(IDENT)
        (said,) = told
        assert said.pop("addresses") == [bytes([127, 0, 0, 1]) if host else bytes([192, 0, 2, 7])]
        assert said.pop("port") > 0
        assert said == {"kind": SERVICE, "name": f"{name}.{SERVICE}", "server": f"{name}.local."}
        assert listener.address.replace("-", "").startswith(name[:12])
    assert events == ["closed"]


def test_names_that_a_flood_announces_are_bounded() -> None:
    heard = mdns._Heard()  # pyright: ignore[reportPrivateUsage]
    for n in range(MOST + 9):
        heard.add_service(None, SERVICE, f"{n}.{SERVICE}")
    heard.remove_service(None, SERVICE, f"0.{SERVICE}")
    names = heard.wait(lambda names: len(names) > 1, PATIENCE)
    assert len(names) == MOST - 1
    assert "1" in names


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> object:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", absent)
    listener = lan.SCHEME.listen(f"new@{LOCAL}")
    for call in (lambda: introduce(listener, IDENT), lambda: lan.SCHEME.connect(f"any@{LOCAL}", 0)):
        error = refused(call)
        assert error.code is Code.BAD_INPUT
        assert "pip install 'dualtap[lan]'" in error.detail
    listener.close()


def test_a_network_without_multicast_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**more: object) -> object:
        raise OSError("No such device")

    library = SimpleNamespace(
        Zeroconf=broken, InterfaceChoice=SimpleNamespace(All="all"), IPVersion=SimpleNamespace(V4Only=4)
    )
    monkeypatch.setattr(mdns, "_load", always(library))
    error = refused(lambda: lan.SCHEME.connect("any@192.0.2.1", 0))
    assert error.code is Code.BAD_INPUT
    assert "use tcp:" in error.detail


# Finding


def directory_of(scheme: LanScheme) -> MemoryDirectory:
    assert isinstance(scheme.directory, MemoryDirectory)
    return scheme.directory


@pytest.mark.parametrize("how", ["as shown", "in capitals", "whole", "any"])
def test_who_waits_is_found_by_its_name_or_alone(scheme: LanScheme, how: str) -> None:
    """§19.1-3, §19.1-4: a typed name needs no comparison."""
    with closing(scheme.listen(f"new@{LOCAL}")) as listener:
        agreed = introduce(listener, IDENT)
        text = {
            "as shown": listener.address, "in capitals": listener.address.upper(), "whole": f"{name_of(IDENT)}@{LOCAL}",
            "any": f"any@{LOCAL}",
        }[how]  # fmt: skip
        # A sticker on the network, and a printer.
        directory_of(scheme).places["our printer"] = Place((LOCAL,), 1)
        link = scheme.connect(text, PATIENCE)
        with closing(link), closing(listener.accept(PATIENCE)) as accepted:
            link.send(b"hello")
            assert accepted.receive(PATIENCE) == b"hello"
            assert handover_of(link) == agreed
            assert agreed.ident == IDENT
            assert compares(link) is (how == "any")
            assert compares(accepted)
    assert not [name for name in directory_of(scheme).places if name != "our printer"]


@pytest.mark.parametrize("address", ["", "old", "abcd", "abcd-efgh-jk1m", "abcd-efgh-jklm" * 3, "new", "ünd-abcd-efgh"])
def test_what_is_no_name_is_refused(scheme: LanScheme, address: str) -> None:
    assert refused(lambda: scheme.connect(f"{address}@{LOCAL}", 0)).code is Code.BAD_INPUT
    if address != "new":
        assert refused(lambda: scheme.listen(address)).code is Code.BAD_INPUT


def test_nobody_several_and_gone(scheme: LanScheme) -> None:
    assert refused(lambda: scheme.connect(f"any@{LOCAL}", 0)).code is Code.LINK_LOST
    places = directory_of(scheme).places
    places[name_of(IDENT)] = Place((LOCAL,), 1)
    assert refused(lambda: scheme.connect(f"any@{LOCAL}", 0)).code is Code.LINK_LOST, "announced, and gone"
    places[name_of(IDENT)] = Place((), 1)
    assert refused(lambda: scheme.connect(f"any@{LOCAL}", 0)).code is Code.LINK_LOST, "announced without an address"
    places[name_of(bytes(16))] = Place((LOCAL,), 1)
    error = refused(lambda: scheme.connect(f"any@{LOCAL}", 0))
    assert error.code is Code.BAD_INPUT
    assert name_of(bytes(16))[:12] in error.detail
    assert refused(lambda: scheme.connect(f"bbbb-bbbb-bbbb@{LOCAL}", 0)).code is Code.LINK_LOST


# Whoever stands between


class Between:
    """Mallory: announces a key of her own, and reads, changes and answers both sides with it."""

    def __init__(self, scheme: LanScheme, stack: ExitStack) -> None:
        self.world = World(seed="lan")
        self.payer, self.payee = self.world.wallet(fund=500), self.world.wallet()
        self.scheme, self.stack = scheme, stack
        self.codes: list[str] = []

    def driver(self, part: str, initiator: bool, **more: Any) -> Driver:
        order = Pay() if part == "pay" else Charge(100, "CNY", b"sixteen bytes...")
        wallet = self.payer if part == "pay" else self.payee
        ephemeral = more.pop("ephemeral", None) or self.world.suite.ephemeral(self.world.draw())
        return Driver(wallet, order, initiator, ephemeral, self.world.draw(), clock=lambda: NOW, **more)

    def listening(self) -> tuple[Any, Any, Any]:
        listener = self.scheme.listen(f"new@{LOCAL}")
        self.stack.callback(listener.close)
        ephemeral = self.world.suite.ephemeral(self.world.draw())
        return listener, ephemeral, introduce(listener, ident(ephemeral.public))


def test_an_honest_tap_shows_one_code(scheme: LanScheme) -> None:
    """§19.1-5."""
    with ExitStack() as stack, ThreadPoolExecutor(1) as pool:
        between = Between(scheme, stack)
        listener, ephemeral, handover = between.listening()
        link = scheme.connect(f"any@{LOCAL}", PATIENCE)
        payee = between.driver("charge", False, ephemeral=ephemeral, handover=handover)
        job = pool.submit(run, payee, listener.accept(PATIENCE), PATIENCE)
        payer = between.driver("pay", True, handover=handover_of(link))
        assert run(payer, link, PATIENCE).result is Result.PAID
        assert job.result(PATIENCE).result is Result.COLLECTED
        assert payer.tap.transcript == payee.tap.transcript
        assert re.fullmatch(r"\d{6}", code_of(payer.tap.transcript))


def test_who_only_hands_on_frames_under_another_name_is_in_no_session(scheme: LanScheme) -> None:
    """§19.1-3: the payer has Mallory's name in its transcript, and its ident: the till's key is another."""
    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        between = Between(scheme, stack)
        listener, ephemeral, handover = between.listening()
        till = scheme.connect(f"any@{LOCAL}", PATIENCE)
        payee = between.driver("charge", False, ephemeral=ephemeral, handover=handover)
        job = pool.submit(run, payee, listener.accept(PATIENCE), PATIENCE)
        listener.close()
        fake, _, _ = between.listening()
        link = scheme.connect(f"any@{LOCAL}", PATIENCE)
        pool.submit(bridge, fake.accept(PATIENCE), till, PATIENCE)
        report = run(between.driver("pay", True, handover=handover_of(link)), link, PATIENCE)
        assert report.code is Code.BAD_KEY
        assert job.result(PATIENCE).result is Result.NOT_PAID


def test_who_plays_both_sides_shows_two_codes(scheme: LanScheme) -> None:
    """§19.1-5: a session with each, with keys of Mallory's own: the person who compares sees it."""
    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        between = Between(scheme, stack)
        listener, ephemeral, handover = between.listening()
        till = scheme.connect(f"any@{LOCAL}", PATIENCE)
        payee = between.driver("charge", False, ephemeral=ephemeral, handover=handover)
        jobs = [pool.submit(run, payee, listener.accept(PATIENCE), PATIENCE)]
        listener.close()
        fake, fake_ephemeral, fake_handover = between.listening()
        link = scheme.connect(f"any@{LOCAL}", PATIENCE)
        rogue = between.world.wallet()
        charging = Driver(
            rogue, Charge(100, "CNY", b"mallory's sale.."), False, fake_ephemeral, between.world.draw(),
            clock=lambda: NOW, handover=fake_handover,
        )  # fmt: skip
        jobs.append(pool.submit(run, charging, fake.accept(PATIENCE), PATIENCE))
        asked: list[str] = []

        def person(ask: Ask) -> Consent | Decline:
            asked.append(code_of(payer.tap.transcript))
            return Decline()

        payer = between.driver("pay", True, handover=handover_of(link), person=person)
        assert run(payer, link, PATIENCE).code is Code.DECLINED
        # To the till Mallory pays, and gets its code: not the payer's.
        paying = Driver(
            between.world.wallet(fund=100), Pay(), True, between.world.suite.ephemeral(between.world.draw()),
            between.world.draw(), clock=lambda: NOW, handover=handover_of(till),
        )  # fmt: skip
        run(paying, till, PATIENCE)
        ends: list[Report] = [job.result(PATIENCE) for job in jobs]
        assert ends[0].result is Result.COLLECTED, "her own money, and the till knows no better"
        assert asked == [code_of(charging.tap.transcript)] != [code_of(payee.tap.transcript)]


# Commands


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: LanScheme) -> Path:
    monkeypatch.setattr(lan, "SCHEME", scheme)
    for step in (
        ("scheme", "new", "@town"),
        ("wallet", "new", "@shop", "--scheme", "@town", "--carrier", "pos", "--name", "shop"),
        ("wallet", "new", "@anna", "--scheme", "@town", "--carrier", "phone", "--name", "anna"),
        ("wallet", "fund", "@anna", "50"),
    ):
        assert command([str(tmp_path / part[1:]) if part[0] == "@" else part for part in step]) == 0
    return tmp_path


@pytest.mark.parametrize("waits", ["shop", "anna"])
def test_both_screens_show_one_code_and_the_payer_agrees_to_it(
    town: Path, capsys: pytest.CaptureFixture[str], waits: str
) -> None:
    """§19.1-4: whichever of the two waits."""
    asked: list[str] = []

    def confirm(question: str) -> bool:
        asked.append(question)
        return True

    places, new, any_ = {"shop": town / "shop", "anna": town / "anna"}, f"lan:new@{LOCAL}", f"lan:any@{LOCAL}"
    assert isinstance(lan.SCHEME.directory, MemoryDirectory)
    with ThreadPoolExecutor(1) as pool:
        if waits == "shop":
            job = pool.submit(taps.charge, places["shop"], "5", new, None, PATIENCE, False)
            assert lan.SCHEME.directory.announced.wait(PATIENCE)
            assert taps.pay(places["anna"], any_, confirm, PATIENCE, False) == 0
        else:
            job = pool.submit(taps.pay, places["anna"], new, confirm, PATIENCE, False)
            assert lan.SCHEME.directory.announced.wait(PATIENCE)
            assert taps.charge(places["shop"], "5", any_, None, PATIENCE, False, side="reader") == 0
        assert job.result(PATIENCE) == 0
    shown = re.search(
        r"^Code (\d{3} \d{3}): where the payer's screen shows a code, it must be this one$",
        capsys.readouterr().err,
        re.M,
    )
    assert shown
    (question,) = asked
    assert question.endswith(f"whose screen shows code {shown[1]}?")


@pytest.mark.parametrize(("on", "side"), [("lan:any", "reader"), ("lan:new", "card"), ("lan:ANY@127.0.0.1", None)])
def test_a_consent_given_beforehand_compares_nothing(
    town: Path, capsys: pytest.CaptureFixture[str], on: str, side: str | None
) -> None:
    """§19.1-4."""
    more = ["--as", side] if side else []
    assert command(["pay", str(town / "anna"), "--on", on, "--yes", *more]) == 2
    assert "only a person can compare the code" in capsys.readouterr().err


def test_a_key_that_was_named_answers_once(town: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """§19.1-5: garbage costs a charge nothing; who begins a session has used it up, or could guess at codes."""
    assert isinstance(lan.SCHEME.directory, MemoryDirectory)
    with Office.open(town / "town") as office:
        known = office.ledger.scheme
    hello = encode_hello(Hello(known.hint, (VERSION,), known.suite.ephemeral(bytes(31) + b"\1").public, Want.PAY))
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(taps.charge, town / "shop", "5", f"lan:new@{LOCAL}", None, PATIENCE, False)
        assert lan.SCHEME.directory.announced.wait(PATIENCE)
        for said in (b"garbage", hello):
            link = lan.SCHEME.connect(f"any@{LOCAL}", PATIENCE)
            link.send(said)
            with suppress(TapError):
                link.receive(PATIENCE)
            link.close()
        assert job.result(PATIENCE) == 5
    assert capsys.readouterr().err.count("still waiting") == 1
    with pytest.raises(TapError, match="nobody waits"):
        lan.SCHEME.connect(f"any@{LOCAL}", 0.0)

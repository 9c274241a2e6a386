"""The issuer's service as devices, carriers and the institution meet it: a process of its own, over HTTP."""

from __future__ import annotations

import io
import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext, redirect_stderr, redirect_stdout, suppress
from copy import copy
from pathlib import Path
from typing import cast

import pytest

from dualtap import Charge, Pay, limits, wire
from dualtap.errors import Code, TapError
from dualtap.forms import signed
from dualtap.keystore import sign_with
from dualtap.logcodec import decoder
from dualtap.statements import PresentBody, Scheme
from dualtap.verdict import verify_evidence
from dualtap.wire import Hello, Want
from dualtap_apps.cli import run
from dualtap_apps.schemes import Office, today
from dualtap_devices.disk import opened
from dualtap_devices.driver import Driver, exchange
from dualtap_devices.keystore import MemoryKeystore
from dualtap_devices.remote import HttpCarrier, sync_sealed
from dualtap_devices.slots import MemoryStore
from dualtap_devices.syncing import SyncReport
from dualtap_devices.wallet import Wallet
from tests.support.served import DUALTAP, FRAME, JSON, Answer, Service, Town, ask, serving

PROBLEM = "application/problem+json"


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path / "town")


@pytest.fixture
def service(town: Town) -> Iterator[Service]:
    with serving(town.folder) as found:
        yield found


def tap(payer: Wallet, payee: Wallet, amount: int, basket: bytes) -> str:
    sides = Driver.fresh(payer, Pay(), True), Driver.fresh(payee, Charge(amount, "CNY", basket), False)
    exchange(*sides)
    return sides[0].result.result.value


def sync_at(town: Town, address: str, wallet: Wallet, deposit: bool = False) -> SyncReport:
    with HttpCarrier(address) as carrier:
        return sync_sealed(wallet, carrier, town.draw(), deposit)


def check_problem(answer: Answer, status: int) -> str:
    assert (answer.status, answer.kind) == (status, PROBLEM), answer
    assert answer.json["status"] == status
    assert set(answer.json) - {"code"} == {"type", "title", "status", "detail"}
    return cast("str", answer.json["detail"])


# Syncs


class Recorder:
    """Carries a sync, keeps every frame, and changes or tears one of them."""

    def __init__(self, address: str, tear: int = -1, flip: int = -1) -> None:
        self.http = HttpCarrier(address)
        self.tear, self.flip = tear, flip
        self.frames: list[bytes] = []

    def carry(self, frame: bytes) -> bytes:
        at = len(self.frames)
        if at == self.tear:
            raise TapError(Code.LINK_LOST)
        self.frames.append(frame)
        return frame[:-1] + bytes([frame[-1] ^ 1]) if at == self.flip else frame

    def exchange(self, frame: bytes) -> bytes:
        return self.carry(self.http.exchange(self.carry(frame)))


def test_a_days_payments_are_synced_and_who_carries_them_sees_none(town: Town, service: Service) -> None:
    """§14-14, §16-7."""
    payer, shop = town.wallets(50_000, 0)
    assert sync_at(town, service.devices, payer).funded == 50_000
    for number in range(20):
        assert tap(payer, shop, 100 + number, bytes([number]) * 16) == "paid"
    carried = Recorder(service.devices)
    report = sync_sealed(shop, carried, town.draw(), True)
    carried.http.close()
    assert report.deposited == 20 * 100 + 190
    found = service.call("GET", "/admin/audit").json
    assert (found["issued"], found["settled"], found["conflicts"]) == (50_000, 2_190, [])
    everything = b"".join(carried.frames)
    for canary in (payer.book.key, shop.book.key, shop.book.certificate.signature, b"CNY"):
        assert canary not in everything
        assert canary.hex() not in service.logged
    assert service.token not in service.logged


@pytest.mark.parametrize("answers", [False, True])
def test_torn_at_every_frame_over_http_and_repeated(town: Town, service: Service, answers: bool) -> None:
    """§14-22: whether the frame or its answer was lost, and what was paid is settled once."""
    payer, *shops = town.wallets(1_000, 0, 0, 0)
    sync_at(town, service.devices, payer)
    for number, shop in enumerate(shops):
        tap(payer, shop, 7, bytes([number]) * 16)
        carried = Recorder(service.devices, tear=2 * number + answers)
        with pytest.raises(TapError) if number < 2 else nullcontext():
            sync_sealed(shop, carried, town.draw(), True)
        carried.http.close()
        sync_at(town, service.devices, shop, True)
        assert (shop.book.in_doubt(), shop.book.available(today())) == (0, 0)
        found = service.call("GET", "/admin/audit").json
        assert (found["settled"], found["conflicts"]) == (7 * (number + 1), [])


@pytest.mark.parametrize("at", range(4))
def test_what_a_carrier_changes_changes_nothing(town: Town, service: Service, at: int) -> None:
    """§14-14: any frame, there or back."""
    (wallet,) = town.wallets(500)
    before = town.digest()
    carried = Recorder(service.devices, flip=at)
    with pytest.raises(TapError) as caught:
        sync_sealed(wallet, carried, town.draw(), False)
    carried.http.close()
    assert caught.value.code in {Code.BAD_SEAL, Code.BAD_KEY, Code.ISSUER_UNREACHABLE, Code.MALFORMED}
    assert wallet.book.available(today()) == 0
    assert town.digest() == before or at == 3
    assert sync_at(town, service.devices, wallet).funded == 500


def test_another_schemes_service_learns_nothing(town: Town, tmp_path: Path) -> None:
    other = Town(tmp_path / "other")
    (wallet,) = town.wallets(5)
    with serving(other.folder) as service, pytest.raises(TapError) as caught:
        sync_at(town, service.devices, wallet)
    assert caught.value.code is Code.ISSUER_UNREACHABLE
    assert "400" in caught.value.detail


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n" + bytes(limits.MESSAGE + 1),
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 301 Moved\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1_000 + b"\r\n",
        b"HTTP/1.1 503 Busy\r\nRetry-After: " + b"9" * 5_000 + b"\r\nContent-Length: 0\r\n\r\n",
        b"ICY 200\r\n\r\n",
        b"",
    ],
)
def test_what_is_no_answer_of_an_issuer_is_an_issuer_out_of_reach(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:

        def once() -> None:
            link, _ = server.accept()
            with link:
                link.recv(65_536)
                link.sendall(answer)

        served = pool.submit(once)
        with HttpCarrier(f"http://127.0.0.1:{server.getsockname()[1]}") as carrier:
            with pytest.raises(TapError) as caught:
                carrier.exchange(b"hello")
            assert caught.value.code is Code.ISSUER_UNREACHABLE
            assert carrier._link.sock is None  # pyright: ignore[reportPrivateUsage]
        served.result()


@pytest.mark.parametrize("where", ["http://elsewhere/sync/x", "/admin/issue", "/sync/\xe9", ""])
def test_no_answer_sends_a_wallet_elsewhere(where: str) -> None:
    """Only a path of this service's syncs is followed."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {FRAME}\r\nContent-Length: 1\r\nLocation: "
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:

        def twice() -> None:
            link, _ = server.accept()
            with link:
                for location in (where, ""):
                    said = b""
                    while not said.endswith((b"hello", b"piece")):  # a request's body may come by itself
                        said += link.recv(65_536)
                    asked.append(said.partition(b"\r\n")[0])
                    link.sendall(head.encode() + location.encode("latin-1") + b"\r\n\r\nx")

        served = pool.submit(twice)
        with HttpCarrier(f"http://127.0.0.1:{server.getsockname()[1]}") as carrier:
            assert [carrier.exchange(b"hello"), carrier.exchange(b"piece")] == [b"x", b"x"]
        served.result()
    assert asked == [b"POST /sync HTTP/1.1"] * 2


# The command line


def dualtap(*arguments: str, expect: int = 0) -> str:
    """Run a command in this process; return all that it said."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run(list(arguments))
    said = out.getvalue() + err.getvalue()
    assert code == expect, said
    assert "Traceback" not in said
    return said


def test_a_wallet_in_a_folder_syncs_where_it_is_told_or_where_it_belongs(town: Town, tmp_path: Path) -> None:
    scheme, anna, shop = str(town.folder), str(tmp_path / "anna"), str(tmp_path / "shop")
    with serving(town.folder) as service:
        dualtap("wallet", "new", anna, "--scheme", scheme, "--carrier", "watch", "--name", "Anna")
        dualtap(
            "wallet", "new", shop, "--scheme", scheme, "--carrier", "pos", "--name", "S", "--issuer", service.devices
        )
        said = json.loads(dualtap("wallet", "show", anna, "--json"))
        key = read_key(Path(anna))
        issued = service.call("POST", "/admin/issue", {"owner": key.hex(), "amount": 4_200, "serial": "00" * 8})
        assert issued.status == 200, issued
        synced = json.loads(dualtap("sync", anna, "--issuer", service.devices, "--json"))
        assert (synced["funded"], synced["available"], said["available"]) == (4_200, 4_200, 0)
        assert json.loads(dualtap("sync", shop, "--json"))["funded"] == 0
        assert "administrative call" in dualtap("wallet", "fund", shop, "1.00", expect=2)
        address = service.devices
    assert "ISSUER_UNREACHABLE" in dualtap("sync", anna, "--issuer", address, expect=6)
    assert "ISSUER_UNREACHABLE" in dualtap("sync", shop, expect=6)
    assert json.loads(dualtap("wallet", "show", anna, "--json"))["available"] == 4_200
    for wrong in ("ftp://x", "http://", "nowhere", "http://x:y", "http://x/?a", "http://a b"):
        assert "BAD_INPUT" in dualtap("sync", anna, "--issuer", wrong, expect=2)


def read_key(folder: Path) -> bytes:
    with opened(folder) as wallet:
        return wallet.book.key


@pytest.mark.parametrize("served", [False, True])
def test_a_card_without_a_network_syncs_through_a_phone(town: Town, tmp_path: Path, served: bool) -> None:
    """§10.1-10: in one process, and in two over a link; the phone's issuer is a service or a folder."""
    card, phone = str(tmp_path / "card"), str(tmp_path / "phone")
    with ExitStack() as stack:
        address = stack.enter_context(serving(town.folder)).devices if served else ""
        for path, carrier, issuer in ((card, "card", ""), (phone, "phone", address)):
            where = ["--issuer", issuer] if issuer else []
            dualtap("wallet", "new", path, "--scheme", str(town.folder), "--carrier", carrier, "--name", "N", *where)
        with Office.open(town.folder) as office:
            office.issue(read_key(Path(card)), 300)
        assert json.loads(dualtap("sync", card, "--via", phone, "--json"))["funded"] == 300
        with Office.open(town.folder) as office:
            office.issue(read_key(Path(card)), 40)
        command = [*DUALTAP, "carry", phone, "--on", "tcp:127.0.0.1:0", "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as carries:
            assert carries.stderr is not None
            on = carries.stderr.readline().rsplit(" on ", 1)[1].strip()
            assert json.loads(dualtap("sync", card, "--via", on, "--json"))["available"] == 340
            said, errors = carries.communicate(timeout=60)
        assert (carries.returncode, errors) == (0, "")
        assert json.loads(said)["frames"] >= 4
    for wrong, code in ((str(tmp_path / "nobody"), 2), ("tcp:", 2), ("smoke:signals", 2)):
        dualtap("sync", card, "--via", wrong, expect=code)
    assert "leave --issuer" in dualtap("sync", card, "--via", "tcp:127.0.0.1:1", "--issuer", "http://x", expect=2)
    if served:
        assert "ISSUER_UNREACHABLE" in dualtap("sync", card, "--via", phone, expect=6)


def test_without_the_extra_the_command_says_what_to_install(town: Town) -> None:
    script = (
        "import sys; sys.modules['starlette'] = None\n"
        f"from dualtap_apps.cli import run; sys.exit(run(['issuer', 'serve', {str(town.folder)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done
    assert "pip install 'dualtap[issuer]'" in done.stderr


def test_what_cannot_be_served_is_said_in_one_line(town: Town, tmp_path: Path) -> None:
    scheme = str(town.folder)
    assert "no scheme" in dualtap("issuer", "serve", str(tmp_path / "none"), expect=2)
    for listen in ("nowhere", "127.0.0.1", "127.0.0.1:99999", "127.0.0.1:x", "256.0.0.1:0"):
        assert "BAD_INPUT" in dualtap("issuer", "serve", scheme, "--listen", listen, expect=2)
    (tmp_path / "short").write_text("x")
    assert "no token" in dualtap("issuer", "serve", scheme, "--admin-token", str(tmp_path / "short"), expect=2)
    with serving(town.folder) as service:
        assert "IN_USE" in dualtap("issuer", "serve", scheme, expect=1), "a log is one service's"
        taken = service.devices.removeprefix("http://")
        assert "cannot listen" in dualtap("issuer", "serve", scheme, "--listen", taken, expect=2)


# The administration


def join(town: Town, service: Service) -> Wallet:
    """Have a key certified by calls alone, and let its wallet join."""
    scheme = Scheme.of(town.suite, bytes.fromhex(town.card.root))
    keystore = MemoryKeystore(scheme, town.draw())
    wallet = Wallet(scheme, limits.FULL, keystore, MemoryStore.open(1 << 20))
    given = service.call("POST", "/admin/challenge")
    challenge = cast("str", given.json["challenge"])
    present = signed(scheme.id, keystore.public, PresentBody(bytes.fromhex(challenge), True, today()))
    asked = {
        "challenge": challenge, "key": keystore.public.hex(), "epoch": today(), "carrier": "phone", "tier": 1,
        "signature": sign_with(keystore, present).hex(),
    }  # fmt: skip
    forged = service.call("POST", "/admin/certify", {**asked, "signature": "00" * 64})
    assert check_problem(forged, 403)
    assert check_problem(service.call("POST", "/admin/certify", {**asked, "tier": 9}), 422)
    answer = service.call("POST", "/admin/certify", asked)
    assert answer.status == 200, answer
    assert check_problem(service.call("POST", "/admin/certify", asked), 409)
    wallet.write(decoder(scheme.id)(bytes.fromhex(cast("str", answer.json["news"]))))
    return wallet


def test_a_key_is_certified_and_funded_by_calls_alone(town: Town, service: Service) -> None:
    """§3-15: only whoever signs the challenge; a guess does not use it up."""
    wallet = join(town, service)
    issue = {"owner": wallet.book.key.hex(), "amount": 900, "serial": "0123456789abcdef"}
    assert service.call("POST", "/admin/issue", issue).json["amount"] == 900
    assert check_problem(service.call("POST", "/admin/issue", issue), 422), "a call repeated is refused"
    assert sync_at(town, service.devices, wallet).funded == 900
    assert service.call("GET", "/admin/policy").json["version"] == 1


def test_a_cheat_is_named_and_its_evidence_fetched(town: Town, service: Service) -> None:
    """§15-2."""
    thief, shop, tea = town.wallets(5_000, 0, 0)
    sync_at(town, service.devices, thief)
    store = MemoryStore.open(1 << 23)
    store.append(thief.store.records)
    clone = Wallet(thief.book.scheme, limits.FULL, copy(thief.keystore), store)
    assert tap(thief, shop, 5_000, b"one basket......") == "paid"
    assert tap(clone, tea, 5_000, b"another basket..") == "paid"
    for till in (shop, tea):
        sync_at(town, service.devices, till, True)
    found = cast("list[dict[str, str]]", service.call("GET", "/admin/conflicts").json["conflicts"])
    assert {item["kind"] for item in found} == {"fork", "tape_fork"}
    for item in found:
        path = f"/admin/evidence/{item['first']}/{item['second']}"
        evidence = service.call("GET", path)
        assert verify_evidence(evidence.body, bytes.fromhex(town.card.root)).key == thief.book.key
    assert check_problem(service.call("GET", f"/admin/evidence/{'0' * 64}/{'0' * 64}"), 404)
    policy = service.call("GET", "/admin/policy").json
    assert policy["hotlist"] == [thief.book.key.hex()]
    assert service.call("GET", "/admin/audit").json["overspend"] == 5_000


def test_only_the_token_opens_the_administration_and_devices_cannot_reach_it(town: Town, service: Service) -> None:
    calls = [("GET", "/admin/policy"), ("POST", "/admin/issue"), ("GET", f"/admin/evidence/{'0' * 64}/{'0' * 64}")]
    for method, path in calls:
        for given in ("", "Bearer", "Bearer x", f"Basic {service.token}", f"Bearer {service.token}x"):
            headers = {"Authorization": given} if given else {}
            answer = ask(service.admin, method, path, None, **headers)
            assert service.token not in check_problem(answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"
        assert check_problem(ask(service.devices, method, path, Authorization=f"Bearer {service.token}"), 404)
    assert (town.folder / "admin.token").stat().st_mode & 0o077 == 0
    assert (town.folder / "admin.log").read_bytes() == b"", "who has no token writes nothing"


BAD: list[tuple[str, str, str, bytes, int]] = [
    ("devices", "POST", FRAME, b"", 400),
    ("devices", "POST", FRAME, b"\x00", 400),
    ("devices", "POST", FRAME, b"\xff" * 128, 400),
    ("devices", "POST", FRAME, bytes(limits.MESSAGE), 413),
    ("devices", "POST", FRAME, bytes(limits.MESSAGE + 1), 413),
    ("devices", "POST", "text/plain", b"x", 415),
    ("devices", "POST", "", b"x", 415),
    ("devices", "PUT", FRAME, b"x", 405),
    ("admin", "POST", JSON, b"", 400),
    ("admin", "POST", JSON, b"{", 400),
    ("admin", "POST", JSON, b'{"amount": NaN}', 400),
    ("admin", "POST", JSON, b"[" * 60_000, 400),
    ("admin", "POST", JSON, b"\xff", 400),
    ("admin", "POST", JSON, b" " * (64 * 1024 + 1), 413),
    ("admin", "POST", FRAME, b"{}", 415),
    ("admin", "POST", JSON, b"[]", 422),
    ("admin", "POST", JSON, b"{}", 422),
    ("admin", "PATCH", JSON, b"{}", 405),
]
GOOD = {"owner": "02" + "11" * 32, "amount": 5}
UNMEANT: list[dict[str, object]] = [
    {"owner": "02"}, {"owner": 5}, {"owner": "02" + "FF" * 32}, {"amount": True}, {"amount": 0}, {"amount": -1},
    {"amount": 1.5}, {"amount": "5"}, {"amount": 2**53}, {"more": 1}, {"serial": "00"}, {"conditions": {}},
    {"conditions": [{"code": 1}]}, {"conditions": [{"code": 9, "value": ""}]}, {"owner": "00" * 32},
    {"owner": "02" + "11" * 32 + "\n"},
]  # fmt: skip


def test_bad_input_gives_a_clear_problem_and_changes_nothing(town: Town, service: Service) -> None:
    before = town.digest()
    for side, method, kind, body, status in BAD:
        address, path = (service.devices, "/sync") if side == "devices" else (service.admin, "/admin/issue")
        headers = {"Content_Type": kind} if kind else {}
        answer = ask(address, method, path, body, Authorization=f"Bearer {service.token}", **headers)
        assert check_problem(answer, status), (side, method, kind, body[:20])
    for wrong in UNMEANT:
        assert check_problem(service.call("POST", "/admin/issue", {**GOOD, **wrong}), 422), wrong
    assert check_problem(service.call("POST", "/admin/settle", {"epoch": today() + 1}), 409)
    assert check_problem(ask(service.devices, "POST", "/sync/" + "A" * 22, b"x", Content_Type=FRAME), 404)
    for path in ("/", "/sync/", "/sync/a/b", "/docs", "/metrics", "//sync"):
        assert check_problem(ask(service.devices, "GET", path), 404)
    assert town.digest() == before


def test_the_service_says_how_it_is(town: Town, service: Service) -> None:
    for address in (service.devices, service.admin):
        for path in ("/health", "/ready"):
            assert ask(address, "GET", path).json == {"status": "ok"}
        described = ask(address, "GET", "/openapi.json").json
        for path, methods in cast("dict[str, dict[str, object]]", described["paths"]).items():
            for method in ("get", "post", "put", "delete"):
                answer = ask(address, method.upper(), path, b"")
                assert (answer.status == 405) is (method not in methods), (path, method)
    (wallet,) = town.wallets(5)
    sync_at(town, service.devices, wallet)
    text = ask(service.admin, "GET", "/metrics").body.decode()
    assert 'dualtap_syncs_total{result="stored"} 1\n' in text
    assert 'dualtap_requests_total{method="POST",path="/sync/{session}",status="200"} ' in text
    assert "dualtap_sessions 0\n" in text
    for line in service.logged.splitlines():
        assert {"at", "event"} <= set(json.loads(line))


# Stopping


def test_a_sync_that_is_open_ends_before_the_service_does(town: Town) -> None:
    (wallet,) = town.wallets(500)

    class Stopping(Recorder):
        """Tells the service to stop once the Welcome is there."""

        def exchange(self, frame: bytes) -> bytes:
            answer = super().exchange(frame)
            if len(self.frames) == 2:
                service.process.terminate()
                hello = Hello(wallet.book.scheme.hint, (1,), far.public, Want.SYNC)
                until(lambda: ask(service.devices, "POST", "/sync", wire.encode_hello(hello), Content_Type=FRAME), 503)
                assert ask(service.devices, "GET", "/ready").status == 503
                assert ask(service.devices, "GET", "/health").status == 200
            return answer

    far = town.suite.ephemeral(town.draw())
    with serving(town.folder) as service:
        carried = Stopping(service.devices)
        assert sync_sealed(wallet, carried, town.draw(), False).funded == 500
        carried.http.close()
        assert service.process.wait(30) == 0
    assert '"event": "stopping", "open": 0' in service.logged


def until(act: Callable[[], Answer], status: int) -> Answer:
    """Repeat a request until it is answered so: the signal has arrived."""
    for _ in range(10_000):
        answer = act()
        if answer.status == status:
            assert check_problem(answer, status)
            assert int(answer.headers["retry-after"]) > 0
            return answer
    raise AssertionError("the service did not stop")


# Strangers


def test_who_connects_and_says_nothing_or_too_slowly_is_not_waited_for(town: Town, service: Service) -> None:
    heads = (b"", b"GET /health HT", b"POST /sync HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
             b"Content-Type: application/octet-stream\r\n\r\nslow")  # fmt: skip
    with ExitStack() as stack:
        for_all = [stack.enter_context(connected(service.devices)) for _ in heads]
        for link, said in zip(for_all, heads, strict=True):
            link.sendall(said)
        answers = [everything(link) for link in for_all]
    assert answers[:2] == [b"", b""]
    assert answers[2].startswith(b"HTTP/1.1 408 ")
    assert b"application/problem+json" in answers[2]
    assert ask(service.devices, "GET", "/health").status == 200


def test_so_many_connections_are_open_and_no_more(town: Town, service: Service) -> None:
    with ExitStack() as stack:
        for _ in range(512):
            stack.enter_context(connected(service.devices))
        assert everything(stack.enter_context(connected(service.devices))) == b""
        assert ask(service.admin, "GET", "/health").status == 200


def connected(address: str) -> socket.socket:
    host, _, port = address.removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=60)


def everything(link: socket.socket) -> bytes:
    """Read until the other side closes; a connection that it resets has ended as well."""
    parts = [b"x"]
    with suppress(ConnectionResetError):
        while parts[-1]:
            parts.append(link.recv(65_536))
    return b"".join(parts[1:])


# The log of administrative calls


def test_the_log_of_calls_is_whole_and_a_changed_line_is_found(town: Town) -> None:
    with serving(town.folder) as service:
        service.call("POST", "/admin/challenge")
        service.call("POST", "/admin/settle", {"epoch": 7})
        service.call("POST", "/admin/issue", {**GOOD, "owner": "00" * 32})
    path = town.folder / "admin.log"
    lines = path.read_bytes().splitlines(keepends=True)
    calls = [json.loads(line) for line in lines]
    assert [item.get("call") for item in calls[::2]] == [
        "POST /admin/challenge",
        "POST /admin/settle",
        "POST /admin/issue",
    ]
    assert calls[2]["given"] == {"epoch": 7}
    assert [item.get("ended") for item in calls[1::2]] == ["done", "done", calls[5]["ended"]]
    assert calls[5]["ended"] != "done"
    path.write_bytes(b"".join(lines) + b'{"n": 7, "at"')
    with serving(town.folder) as service:
        service.call("POST", "/admin/challenge")
    grown = path.read_bytes().splitlines(keepends=True)
    assert grown[:6] == lines
    assert [json.loads(line)["n"] for line in grown] == list(range(1, 9))
    for changed in (grown[1:], grown[:2] + grown[3:], [grown[0].replace(b"challenge", b"nothing.."), *grown[1:]]):
        path.write_bytes(b"".join(changed))
        assert "was changed" in dualtap("issuer", "serve", str(town.folder), expect=1)


def test_the_office_and_the_service_share_a_ledger(town: Town, service: Service) -> None:
    """The command line on the folder works beside it, as several processes do on one database."""
    (wallet,) = town.wallets(77)
    assert sync_at(town, service.devices, wallet).funded == 77
    with Office.open(town.folder) as office:
        office.issue(wallet.book.key, 23)
    assert sync_at(town, service.devices, wallet).funded == 23

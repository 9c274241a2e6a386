"""A scheme in a folder and its service in a process of its own, on loopback, at ports that the system chose."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple, cast
from urllib.parse import urlsplit

from dualtap import limits
from dualtap.issued import Carrier
from dualtap.suite import SUITES, sha256
from dualtap_apps.schemes import Office, create
from dualtap_devices.keystore import MemoryKeystore
from dualtap_devices.slots import MemoryStore
from dualtap_devices.wallet import Wallet

DUALTAP = [sys.executable, "-m", "dualtap_apps"]
FRAME, JSON = "application/octet-stream", "application/json"


class Answer(NamedTuple):
    """What came back over HTTP."""

    status: int
    kind: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        return cast("dict[str, object]", json.loads(self.body))


def ask(address: str, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
    """Make one request on a connection of its own."""
    parts = urlsplit(address)
    link = HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    try:
        link.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        with link.getresponse() as response:
            kind = response.headers.get_content_type()
            return Answer(response.status, kind, dict(response.headers.items()), response.read())
    finally:
        link.close()


class Service:
    """A service that runs."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.log = (folder / "service.log").open("ab")
        command = [*DUALTAP, "issuer", "serve", str(folder), "--json", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True)
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        assert said, (folder / "service.log").read_text()
        where = cast("dict[str, str]", json.loads(said))
        self.devices, self.admin = where["devices"], where["admin"]
        self.token = Path(where["token"]).read_text().strip()

    @property
    def logged(self) -> str:
        return (self.folder / "service.log").read_text()

    def call(self, method: str, path: str, body: object = None) -> Answer:
        """Make an administrative call, with the token."""
        data = json.dumps(body).encode() if body is not None else None
        return ask(self.admin, method, path, data, Authorization=f"Bearer {self.token}", Content_Type=JSON)

    def kill(self) -> None:
        self.process.kill()
        self.end()

    def stop(self) -> int:
        self.process.terminate()
        return self.end()

    def end(self) -> int:
        code = self.process.wait(60)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.log.close()
        return code


@contextmanager
def serving(folder: Path, *arguments: str) -> Generator[Service]:
    """Serve a scheme's folder; in the end it stops when it is told, cleanly."""
    service = Service(folder, *arguments)
    try:
        yield service
    except BaseException:
        service.kill()
        raise
    if service.process.poll() is None:
        assert service.stop() == 0
        assert not re.search(r'"event": "failed"|Traceback', service.logged), service.logged
    else:
        service.end()


class Town:
    """A scheme whose wallets are in memory. What is random in them follows from a seed."""

    def __init__(self, folder: Path, seed: str = "town", suite: str = "ed25519", db: str = "") -> None:
        self.folder, self.db = folder, db
        self.card = create(folder, "CNY", suite)
        self.suite = SUITES[suite]
        self._seed, self._drawn = sha256(seed.encode()), 0

    def draw(self) -> bytes:
        self._drawn += 1
        return sha256(self._seed + self._drawn.to_bytes(4, "big"))

    def wallets(self, *funds: int) -> list[Wallet]:
        """Return wallets that joined, with a token of so much waiting for their first sync."""
        made: list[Wallet] = []
        with Office.open(self.folder, self.db) as office:
            for fund in funds:
                keystore = MemoryKeystore(office.ledger.scheme, self.draw())
                wallet = Wallet(office.ledger.scheme, limits.FULL, keystore, MemoryStore.open(1 << 23))
                office.enrol(wallet, Carrier.PHONE if fund else Carrier.POS)
                if fund:
                    office.issue(wallet.book.key, fund)
                made.append(wallet)
        return made

    def digest(self) -> bytes:
        with Office.open(self.folder, self.db) as office:
            return office.ledger.digest()

"""A day of a town in this process: every command that handles a secret, each thing that it prints kept."""

from __future__ import annotations

import io
import queue
import sys
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from dualtap_apps.cli import run

PATIENCE = 30.0
PIN, OTHER, WRONG, CODE = "407198205563", "998875520413", "407198205564", "2007196948133705"
"""Digits that stand nowhere by chance."""
KEPT_BY_DESIGN = ("keystore.bin",)
"""A wallet's chip: the one file of a device that holds a secret."""


class _Output(io.TextIOBase):
    """What is printed, by whatever thread; each whole line is put into ``lines`` as well."""

    def __init__(self) -> None:
        self.text, self._line = "", ""
        self.lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.text += text
        self._line += text
        while "\n" in self._line:
            line, self._line = self._line.split("\n", 1)
            self.lines.put(line)
        return len(text)


class Tour:
    """A scheme and wallets in a folder."""

    def __init__(self, folder: Path, suite: str) -> None:
        self.folder, self.suite = folder / "world", suite
        self.folder.mkdir()
        self._typed = folder / "typed"
        self._typed.mkdir()
        for name, digits in (("pin", PIN), ("other", OTHER), ("wrong", WRONG), ("code", CODE)):
            (self._typed / name).write_text(digits + "\n")
        self.output = _Output()

    def run(self, *words: str, expect: int = 0) -> None:
        """Run a command: @ names a file of the world, % one that a person typed."""
        code = run([self._path(word) for word in words])
        assert code == expect, (words, code, self.output.text[-600:])

    def _path(self, word: str) -> str:
        here = {"@": self.folder, "%": self._typed}.get(word[:1])
        return word if here is None else str(here / word[1:])

    @contextmanager
    def _waiting(self, *words: str) -> Generator[str]:
        """Run a command that waits for another in a thread; give the address at which it does."""
        with ThreadPoolExecutor(1) as pool:
            job = pool.submit(run, [self._path(word) for word in words])
            while True:
                line = self.output.lines.get(timeout=PATIENCE)
                if " on tcp:" in line:
                    break
            yield line.rsplit(" on ", 1)[1].strip()
            job.result(PATIENCE)

    def tap(self, payer: str, payee: str, amount: str, *more: str, expect: int = 0) -> None:
        """Let one wallet pay another, both in this process, every frame of it logged."""
        till = ("charge", f"@{payee}", amount, "--on", "tcp:127.0.0.1:0", "--log-level", "traffic")
        with self._waiting(*till, *(("--verify", "pin") if more else ())) as where:
            self.run("pay", f"@{payer}", "--on", where, "--yes", "--log-level", "traffic", *more, expect=expect)

    def carried(self, wallet: str, by: str) -> None:
        """Let a wallet sync through another one."""
        with self._waiting("carry", f"@{by}", "--on", "tcp:127.0.0.1:0") as where:
            self.run("sync", f"@{wallet}", "--via", where, "--log-level", "traffic")

    def play(self) -> None:
        """Live through the day."""
        self.run("scheme", "new", "@town", "--suite", self.suite)
        for name, carrier in (("anna", "watch"), ("shop", "pos"), ("card", "card")):
            self.run("wallet", "new", f"@{name}", "--scheme", "@town", "--carrier", carrier, "--name", name)
        self.run("wallet", "fund", "@anna", "100.00")
        pin = ("wallet", "pin")
        self.run(*pin, "set", "@anna", "--pin-file", "%pin", "--code-file", "%code")
        self.tap("anna", "shop", "12.50", "--pin-file", "%pin")
        self.tap("anna", "shop", "1.00", "--pin-file", "%wrong", expect=3)
        self.run(*pin, "change", "@anna", "--pin-file", "%wrong", "--new-pin-file", "%other", expect=1)
        self.run(*pin, "change", "@anna", "--pin-file", "%pin", "--new-pin-file", "%other")
        self.run(*pin, "unblock", "@anna", "--code-file", "%code", "--new-pin-file", "%pin")
        self.tap("anna", "card", "5.00")
        self.run("wallet", "rotate", "@anna", "--log-level", "traffic")
        self.tap("anna", "card", "2.00")
        self.carried("card", "anna")
        self.run("sync", "@shop", "--log-level", "traffic")
        for name in ("anna", "shop", "card"):
            self.run("wallet", "show", f"@{name}", "--json")
            self.run("wallet", "history", f"@{name}")
        self.run("pos", "report", "@shop")
        self.run("scheme", "audit", "@town", "--wallet", "@anna", "--wallet", "@shop", "--wallet", "@card")
        self.run("pay", "@nobody", "--on", "tcp:127.0.0.1:1", "--yes", expect=2)

    def places(self) -> Iterator[tuple[str, bytes]]:
        """Yield all that the day left behind: what was printed, and each file but the chips' and the issuer's keys."""
        yield "what was printed", self.output.text.encode()
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and path.name not in KEPT_BY_DESIGN and path.parent.name != "keys":
                yield path.relative_to(self.folder).as_posix(), path.read_bytes()


@contextmanager
def touring(folder: Path, suite: str) -> Generator[Tour]:
    """Make a tour, and keep what is printed meanwhile."""
    tour, before = Tour(folder, suite), (sys.stdout, sys.stderr)
    sys.stdout = sys.stderr = tour.output
    try:
        yield tour
    finally:
        sys.stdout, sys.stderr = before

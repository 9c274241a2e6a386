"""The card that is not ours, as its maker would test it: beside our own device, also where its power is cut."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from dualtap import limits
from dualtap.context import Order
from dualtap.issued import Token
from dualtap.records import News
from dualtap_conform.setup import Setup
from dualtap_testing.candidate import Linked
from dualtap_testing.counter import Fate, Fault
from dualtap_testing.differential import PAYER, Different, Step, compare
from dualtap_testing.seeded import SeededScheme
from dualtap_transports.tcp import SCHEME
from tests.clean_room.test_clean_room import HERE, NODE

PATIENCE = 20.0
"""Seconds for one answer; the card closes its end when it has none left, and nothing waits so long."""
STEPS = (*PAYER[:3], Step(True, 1, fault=Fault(4, Fate.POWER)), Step(True, 1, again=True), PAYER[-1])


class Card:
    """The card in a process of its own, from its first tap on; it takes no money afterwards."""

    def __init__(self, scheme: SeededScheme, folder: Path, remembers: bool) -> None:
        self.suite, self.root, self.secret = scheme.suite, scheme.scheme.root, scheme.draw()
        self.public = self.suite.signer(self.secret).public
        self.setup, self.options = folder / "setup.json", ["--store", str(folder / "log")] if remembers else []
        self.tokens: tuple[Token, ...] = ()
        self.process: subprocess.Popen[str] | None = None

    def load(self, news: News, tokens: tuple[Token, ...]) -> None:
        assert news.certificate is not None
        assert news.header is not None
        assert news.policy is not None
        given = news.certificate, news.authorities, news.header, news.policy
        self.tokens += tokens
        setup = Setup(self.suite, self.root, self.secret, *given, self.tokens, limits.CARD)
        self.setup.write_text(json.dumps({"part": "payer", **setup.to_json()}))

    def restart(self) -> None:
        self.close()
        command = [str(NODE), str(HERE / "card.js"), str(self.setup), "0", *self.options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.address = f"127.0.0.1:{int(self.process.stdout.readline())}"

    def tap(self, order: Order, initiator: bool) -> Linked:
        if self.process is None:
            self.restart()
        return Linked(SCHEME.connect(self.address, PATIENCE), initiator, PATIENCE)

    def close(self) -> None:
        if self.process is not None:
            with self.process:
                self.process.kill()


def test_it_does_what_ours_does_also_after_a_power_cut_and_without_its_store_that_is_seen(tmp_path: Path) -> None:
    def same(remembers: bool) -> int:
        folder = tmp_path / str(remembers)
        folder.mkdir()
        return compare(lambda scheme: Card(scheme, folder, remembers), STEPS, suite="ed25519", initiates=False)

    assert same(remembers=True) > 20
    with pytest.raises(Different, match=r"step 5 .*: in Transfer, kind is new with yours, a Resume with ours"):
        same(remembers=False)

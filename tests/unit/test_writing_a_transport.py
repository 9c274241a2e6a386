"""``docs/writing-a-transport.md`` keeps its word: its transport passes its contract test, and breaking it fails."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from dualtap_transports import loopback
from dualtap_transports.contract import CONTRACT, Ends, refusal

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs/writing-a-transport.md"
MODULE, TEST = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), flags=re.DOTALL)


def ran(folder: Path, module: str, *more: str) -> subprocess.CompletedProcess[str]:
    (folder / "pigeon.py").write_text(module)
    (folder / "test_pigeon.py").write_text(TEST)
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis", *more]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.skipif(sys.platform != "linux", reason="SOCK_SEQPACKET of Unix sockets is Linux's")
def test_the_example_passes_the_contract(tmp_path: Path) -> None:
    done = ran(tmp_path, MODULE)
    assert done.returncode == 0, done.stdout
    assert f"{len(CONTRACT)} passed" in done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="SOCK_SEQPACKET of Unix sockets is Linux's")
def test_an_example_that_forgets_a_duty_fails_it(tmp_path: Path) -> None:
    broken = MODULE.replace("        check_frame(frame, self.max_frame)\n", "")
    assert broken != MODULE
    done = ran(tmp_path, broken, "-k", "what_no_frame_may_be or in_order")
    assert "1 failed, 1 passed" in done.stdout


def test_what_is_not_refused_is_a_breach() -> None:
    with pytest.raises(AssertionError, match="not refused"):
        refusal(lambda: None)


class Swapped(loopback.LoopbackLink):
    """A link that gives two frames in the wrong order."""

    def receive(self, timeout: float | None) -> bytes:
        frame = super().receive(timeout)
        try:
            other = super().receive(0)
        except Exception:
            return frame
        self._inward._frames.appendleft(frame)  # pyright: ignore[reportPrivateUsage]
        return other


def test_frames_out_of_order_are_a_breach() -> None:
    def join() -> Ends:
        left, right = loopback.pair()
        right.__class__ = Swapped
        return left, right

    with pytest.raises(AssertionError, match="was due"):
        CONTRACT["frames_arrive_in_order_in_both_directions"](join)


def test_the_guides_links_exist() -> None:
    for guide in (GUIDE, ROOT / "docs/two-laptops.md"):
        prose = re.sub(r"```.*?```", "", guide.read_text(encoding="utf-8"), flags=re.DOTALL)
        targets = re.findall(r"\]\(([^)#:]+)\)", prose)
        assert targets
        for target in targets:
            assert (guide.parent / target).exists(), target

"""The air in a process of its own: :mod:`tests.support.airserver`, run and ended."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


@contextmanager
def blowing(*options: str) -> Generator[str]:
    """Run an air; yield what stands for a controller in it, after an address."""
    command = [sys.executable, "-m", "tests.support.airserver", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield f"@tcp-client:127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.kill()

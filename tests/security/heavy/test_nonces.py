"""No nonce is used twice: every story, cut at every operation, and more of what a cut may leave."""

from __future__ import annotations

import sys

import pytest

from tests.scenarios.test_power_cut import NAMES, scenes
from tests.security.test_nonces import Observed, cut_everywhere
from tests.support.devices import coarse


@pytest.mark.parametrize("name", NAMES)
def test_no_nonce_is_used_twice_in_any_story(name: str) -> None:
    """§4.2-4, §6-2, §6-4."""
    bench = Observed()
    cuts = cut_everywhere(bench, scenes()[name], coarse)
    sys.stdout.write(f"{cuts} cuts, {bench.trials} trials, {bench.sealed} sealed frames\n")  # `make security` shows it
    assert cuts >= 14

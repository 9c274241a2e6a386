"""What people are told when no link comes about."""

from __future__ import annotations

from dualtap.errors import Code, TapError
from dualtap_apps.linking import saying


def test_a_remedy_is_not_put_out_of_sight() -> None:
    """Who lacks an extra is told so, and not that nobody came."""
    fail = saying("nobody came")
    assert fail(TapError(Code.TIMEOUT, "no frame in time")).detail == "nobody came"
    assert fail(TapError(Code.LINK_LOST)).detail == "nobody came"
    assert fail(TapError(Code.BAD_INPUT, "pip install 'dualtap[lan]'")).detail == "pip install 'dualtap[lan]'"

"""What other people's programs load at their start: so nothing here imports anything before it is used.

Hypothesis loads :func:`hypothesis` wherever dualtap is installed, also where nobody tests a payment.
"""

from __future__ import annotations


def hypothesis() -> None:
    """Tell Hypothesis who knows the strategies of our types, to be asked once ``dualtap`` itself was imported.

    That table is Hypothesis's own, for numpy and the like; where it has gone, ``st.from_type`` goes without us.
    """
    from hypothesis.strategies._internal import types  # noqa: PLC0415

    table = getattr(types, "_global_extra_lookup", None)
    if isinstance(table, dict):
        table["dualtap"] = _of_type


def _of_type(thing: object) -> object:
    """Return the strategy of one of our types, or ``None``."""
    if not getattr(thing, "__module__", "").startswith("dualtap"):
        return None
    from dualtap_testing.strategies import of_type  # noqa: PLC0415

    return of_type(thing)

"""``radios``: what this machine has to reach other devices by, and what is missing, with the remedy."""

from __future__ import annotations

from dualtap_apps.exits import Exit
from dualtap_apps.output import emit
from dualtap_transports.survey import Finding, State, survey


def radios(as_json: bool) -> Exit:
    """Print one line for each way to reach another device."""
    found = survey()
    fields = [
        {
            "name": item.name,
            "address": item.address,
            "ready": item.state is State.READY,
            "detail": item.detail,
            "remedy": item.remedy,
        }
        for item in found
    ]
    emit(as_json, {"radios": fields}, *map(_line, found))
    return Exit.OK


def _line(item: Finding) -> str:
    if item.state is State.READY:
        return f"ready    {item.name:<15} {item.address:<22} {item.detail}"
    return f"missing  {item.name:<15} {item.address:<22} {item.detail}: {item.remedy}"

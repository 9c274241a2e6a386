"""How our core answers ``call``: the first frame of a link, judged by who is asked to begin."""

from __future__ import annotations

from typing import cast

from dualtap.call import check_call, decode_call
from dualtap.wire import Want
from dualtap_conform.setup import Object, unhex


def call(suite: str, given: Object) -> Object:
    """Return what a Call asks of a device that does what ``allowed`` says."""
    del suite
    found = decode_call(unhex(given["bytes"]))
    check_call(found, Want(cast("int", given["allowed"])))
    charge, introduction = found.charge, found.introduction
    return {
        "want": int(found.want),
        "charge": None
        if charge is None
        else {
            "amount": charge.amount,
            "currency": charge.currency,
            "basket": charge.basket.hex(),
            "part": charge.part,
        },
        "introduction": None
        if introduction is None
        else {"said": introduction.said.hex(), "ident": introduction.ident.hex()},
    }


OPS = {"call": call}
"""What answers each operation."""

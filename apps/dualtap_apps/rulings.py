"""``scheme policy set|show``, ``scheme epoch`` and ``scheme net``: what a scheme decides, and who owes whom."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from dualtap import limits
from dualtap.errors import Code, TapError
from dualtap.issued import Carrier, Tier
from dualtap_apps.dates import day
from dualtap_apps.exits import Exit
from dualtap_apps.money import parse
from dualtap_apps.money import show as money
from dualtap_apps.output import emit, wallet_id
from dualtap_apps.schemes import Office, read_scheme, today
from dualtap_issuer import makers
from dualtap_issuer.insured import set_caps
from dualtap_issuer.ledger import Ledger
from dualtap_issuer.listing import INSTITUTION, called, net_fields
from dualtap_issuer.netting import Netting, Sum
from dualtap_issuer.policies import check_tiers

TIERS: Mapping[str, int] = {"wallet": 1, "till": 2, "anonymous": 3, "child": 4}
"""Tiers by the names that people use; any other is named by its number, 0 to 255."""
SUMS = ("payment", "received", "day", "balance", "unverified", "untimed")
COUNTS = ("payments", "receipts")


def tier_number(name: str) -> int:
    """Return the number of a tier; raise ``BAD_INPUT``."""
    if name in TIERS:
        return TIERS[name]
    if name.isascii() and name.isdigit() and int(name) <= 255:
        return int(name)
    raise TapError(Code.BAD_INPUT, f"{name!r} is no tier; write {', '.join(TIERS)}, or a number up to 255")


def tier_name(number: int) -> str:
    """Return the name of a tier."""
    return next((name for name, known in TIERS.items() if known == number), str(number))


def set_policy(
    folder: Path,
    tier: str,
    given: Mapping[str, str | None],
    attested: str | None,
    caps: Mapping[str, str | None],
    db: str,
    as_json: bool,
) -> Exit:
    """Change the limits of a tier, whose chips must be attested, or the guarantee's ``caps``.

    What is not given stays; the hotlist is kept.
    """
    currency = read_scheme(folder).currency
    capped = {name: _sum(text, currency) for name, text in caps.items() if text is not None}
    changes = {name: _limit(name, text, currency) for name, text in given.items() if text is not None}
    if changes and not tier:
        raise TapError(
            Code.BAD_INPUT, "name the tier whose limits change, as in: scheme policy set town wallet --payment 50.00"
        )
    if tier and not changes:
        raise TapError(Code.BAD_INPUT, "name the limits that change, such as --payment 50.00")
    if not tier and attested is None and not capped:
        raise TapError(
            Code.BAD_INPUT, "nothing to set: name a tier and its limits, --attested, or a cap of the guarantee"
        )
    carriers = None if attested is None else _carriers(attested)
    with Office.open(folder, db) as office:
        tiers = _changed(office.ledger.policy.tiers, tier_number(tier), changes) if tier else None
        if tiers is not None:
            check_tiers(tiers)
        if carriers is not None:
            makers.demand(office.ledger.store, carriers)
        if capped:
            set_caps(office.ledger.store, office.ledger.guarantee._replace(**capped))
        if tiers is not None:
            office.ledger.set_tiers(tiers, today())
        return _show(office.ledger, currency, as_json)


def _limit(name: str, text: str, currency: str) -> int:
    if name in SUMS:
        return _sum(text, currency)
    if text == "none":
        return 2**31
    if not (text.isascii() and text.isdigit() and int(text) < 2**32):
        raise TapError(Code.BAD_INPUT, f"{text!r} is no count of {name}; write it like 100, or none for no limit")
    return int(text)


def _sum(text: str, currency: str) -> int:
    """Return an amount, which may be zero, or ``none``."""
    if text == "none":
        return limits.AMOUNT
    return 0 if text.strip(" 0.") == "" else parse(text, currency)


def _carriers(text: str) -> list[Carrier]:
    names = [] if text == "none" else [name.strip() for name in text.split(",")]
    for name in names:
        if name.upper() not in Carrier.__members__:
            known = ", ".join(carrier.name.lower() for carrier in sorted(makers.SECURE))
            raise TapError(Code.BAD_INPUT, f"{name!r} is no carrier; write some of {known}, or none")
    return [Carrier[name.upper()] for name in names]


def _changed(tiers: tuple[Tier, ...], number: int, changes: Mapping[str, int]) -> tuple[Tier, ...]:
    """Return the tiers with one changed; a new one begins with the limits of the first."""
    known = {one.number: one for one in tiers}
    base = known.get(number, tiers[0]._replace(number=number))
    known[number] = Tier(**(base._asdict() | dict(changes)))
    return tuple(known[key] for key in sorted(known))


def show_policy(folder: Path, db: str, as_json: bool) -> Exit:
    """Show the policy in force."""
    with Office.open(folder, db) as office:
        return _show(office.ledger, office.ledger.terms.currency, as_json)


def _show(ledger: Ledger, currency: str, as_json: bool) -> Exit:
    policy = ledger.policy
    demanded = sorted(carrier.name.lower() for carrier in makers.demanded(ledger.store))
    lines = [f"policy {policy.version}"]
    for tier in policy.tiers:
        sums = [f"{name} {money(value, currency)}" for name in SUMS if (value := getattr(tier, name)) < limits.AMOUNT]
        counts = [f"{name} {value}" for name in COUNTS if (value := getattr(tier, name)) < 2**31]
        lines.append(f"  {tier_name(tier.number):<10} " + ", ".join([*sums, *counts]))
    lines.append(f"  {len(policy.hotlist)} keys on the hotlist")
    if demanded:
        lines.append(f"  attested by their makers: {', '.join(demanded)}")
    caps = ledger.guarantee
    bounds = [f"{money(cap, currency)} to {whom}" for cap, whom in zip(caps, ("one payee", "all"), strict=True)
              if cap < limits.AMOUNT]  # fmt: skip
    lines.append("  guarantee, for each overspent token: " + (", ".join(bounds) or "all that is lacking"))
    fields = {
        "version": policy.version, "attested": demanded, "currency": currency, "guarantee": caps._asdict(),
        "tiers": [{"name": tier_name(tier.number), **tier._asdict()} for tier in policy.tiers],
        "hotlist": [wallet_id(key) for key in policy.hotlist],
        "authorities": [hint.hex() for hint in policy.authorities],
    }  # fmt: skip
    emit(as_json, fields, *lines)
    return Exit.OK


def epoch(folder: Path, sign: bool, settle: bool, db: str, as_json: bool) -> Exit:
    """Show the date; sign it for every institution; settle all that is claimable before it."""
    now = today()
    with Office.open(folder, db) as office:
        ledger = office.ledger
        late = sign and ledger.date(now).epoch < now
        settled = ledger.settle(now) if settle else 0
        kept, closed, currency = ledger.policies.kept(now), ledger.store.closed_epoch(), ledger.terms.currency
    fields = {
        "epoch": now,
        "day": day(now),
        "dated": kept.epoch if kept else None,
        "closed": closed,
        "settled": settled,
    }
    lines = [
        f"today is {day(now)}, epoch {now}",
        f"last date signed for everybody: {day(kept.epoch)}, policy {kept.policy}" if kept
        else f"no date signed for everybody yet: dualtap scheme epoch {shlex.quote(str(folder))} --sign",
        f"settled up to {day(closed)}" if closed else "nothing settled yet",
    ]  # fmt: skip
    if late:
        lines.append("the policy key's certificate has ended: no later date can be signed until the root renews it")
    if settle:
        lines.append(f"credited now: {money(settled, currency)}")
    emit(as_json, fields, *lines)
    return Exit.OK


def net(folder: Path, db: str, as_json: bool) -> Exit:
    """Show what the institutions hold of one another's value, after an audit."""
    with Office.open(folder, db) as office:
        found = office.ledger.net()
        names = {key: name for name, key in office.ledger.store.parties(INSTITUTION).items()}
    emit(as_json, net_fields(found, names), *_sentences(found, names))
    return Exit.OK


def _sentences(found: Netting, names: dict[bytes, str]) -> list[str]:
    def amounts(sum_: Sum, currency: str) -> str:
        return f"{_signed(sum_.final, currency)} final, {_signed(sum_.at_risk, currency)} at risk"

    lines = ["between two:"] if found.pairs else []
    lines += [
        f"  {called(one.debtor, names)} owes {called(one.creditor, names)} {amounts(one.sum, one.currency)}"
        for one in found.pairs
    ]
    lines += ["all together, what each is owed (negative: owes):"] if found.positions else ["nothing was issued yet"]
    return lines + [f"  {called(one.institution, names)} {amounts(one.sum, one.currency)}" for one in found.positions]


def _signed(amount: int, currency: str) -> str:
    return f"-{money(-amount, currency)}" if amount < 0 else money(amount, currency)

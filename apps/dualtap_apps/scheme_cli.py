"""The commands of ``dualtap scheme``: make and audit it, who signs in it, what it decides, and who owes whom."""

from __future__ import annotations

from pathlib import Path

import click

from dualtap_apps.exits import end
from dualtap_apps.helps import ExampleGroup
from dualtap_apps.options import AS_JSON, CURRENCY, DB, FOLDER, SUITE


@click.group(cls=ExampleGroup, examples=("dualtap scheme new town --currency CNY", "dualtap scheme audit town"))
def scheme() -> None:
    """A scheme: its root, its institutions and its ledger."""


@scheme.command("new", examples=("dualtap scheme new town", "dualtap scheme new lab --suite ed25519"))
@click.argument("folder", type=FOLDER)
@CURRENCY
@SUITE
@AS_JSON
def scheme_new(folder: Path, currency: str, suite: str, as_json: bool) -> None:
    """Make a scheme in a new FOLDER."""
    from dualtap_apps.schemes import new

    end(new(folder, currency, suite, as_json))


@scheme.command(
    "audit",
    examples=("dualtap scheme audit town", "dualtap scheme audit town --wallet anna --wallet shop --json"),
)
@click.argument("folder", type=FOLDER)
@click.option("--wallet", "wallets", type=FOLDER, multiple=True, help="Count this wallet's store too.")
@AS_JSON
def scheme_audit(folder: Path, wallets: tuple[Path, ...], as_json: bool) -> None:
    """Recompute the ledger from its statements; name who spent twice. Exit code 4 if anybody did."""
    from dualtap_apps.audits import audit

    end(audit(folder, wallets, as_json))


@scheme.group(cls=ExampleGroup, examples=("dualtap scheme institution add town north",))
def institution() -> None:
    """Operating institutions: they issue value, and answer syncs."""


@institution.command("add", examples=("dualtap scheme institution add town north",))
@click.argument("folder", type=FOLDER)
@click.argument("name")
@DB
@AS_JSON
def institution_add(folder: Path, name: str, db: str, as_json: bool) -> None:
    """Make a key for institution NAME and have the root certify it. Its file may then move to a host of its own."""
    from dualtap_apps.parties import add_institution

    end(add_institution(folder, name, db, as_json))


@scheme.group(cls=ExampleGroup, examples=("dualtap scheme bank add town harbour --institution north --quota 1000",))
def bank() -> None:
    """Partner banks: each certifies wallets for an institution, within its quota."""


@bank.command(
    "add",
    examples=(
        "dualtap scheme bank add town harbour --institution north --quota 1000",
        "dualtap scheme bank add town harbour --institution north --quota 5000    # certified again, for more",
    ),
)
@click.argument("folder", type=FOLDER)
@click.argument("name")
@click.option("--institution", "of", default="", metavar="NAME", help="Its institution.  [default: the first]")
@click.option("--quota", type=click.IntRange(1, 2**32 - 1), required=True, help="Wallets that it may certify.")
@click.option("--register", is_flag=True, help="Let it count in a file beside its key, not in the ledger.")
@DB
@AS_JSON
def bank_add(folder: Path, name: str, of: str, quota: int, register: bool, db: str, as_json: bool) -> None:
    """Make a key for bank NAME and have its institution certify it."""
    from dualtap_apps.parties import add_bank

    end(add_bank(folder, name, of, quota, db, as_json, register))


@scheme.group(cls=ExampleGroup, examples=("dualtap scheme maker add town chipworks",))
def maker() -> None:
    """Device makers: their word says what chip a wallet's key is in."""


@maker.command(
    "add", examples=("dualtap scheme maker add town chipworks", "dualtap scheme maker add town chipworks --key 02ab…")
)
@click.argument("folder", type=FOLDER)
@click.argument("name")
@click.option("--key", default="", metavar="HEX", help="The maker's public key.  [default: make one here, for trials]")
@DB
@AS_JSON
def maker_add(folder: Path, name: str, key: str, db: str, as_json: bool) -> None:
    """Register maker NAME."""
    from dualtap_apps.parties import add_maker

    end(add_maker(folder, name, key, db, as_json))


@scheme.group(cls=ExampleGroup, examples=("dualtap scheme policy show town",))
def policy() -> None:
    """The limits of each tier of wallets, whose chips must be attested, and what the guarantee pays."""


@policy.command("show", examples=("dualtap scheme policy show town", "dualtap scheme policy show town --json"))
@click.argument("folder", type=FOLDER)
@DB
@AS_JSON
def policy_show(folder: Path, db: str, as_json: bool) -> None:
    """Show the policy in force."""
    from dualtap_apps.rulings import show_policy

    end(show_policy(folder, db, as_json))


@policy.command(
    "set",
    examples=(
        "dualtap scheme policy set town wallet --payment 500.00 --payments 40",
        "dualtap scheme policy set town anonymous --payment 50.00 --balance 200.00",
        "dualtap scheme policy set town --attested card,watch",
        "dualtap scheme policy set town --guarantee-payee 500.00 --guarantee-token 2000.00",
    ),
)
@click.argument("folder", type=FOLDER)
@click.argument("tier", required=False, default="")
@click.option("--payment", metavar="AMOUNT", help="Greatest payment.")
@click.option("--payments", metavar="COUNT", help="Payments between two syncs.")
@click.option("--receipts", metavar="COUNT", help="Payments received between two syncs.")
@click.option("--received", metavar="AMOUNT", help="Greatest sum received between two syncs.")
@click.option("--day", metavar="AMOUNT", help="Greatest sum paid in a day.")
@click.option("--balance", metavar="AMOUNT", help="Most that it may hold when it collects.")
@click.option("--unverified", metavar="AMOUNT", help="Greatest sum paid since its user was last verified.")
@click.option("--untimed", metavar="AMOUNT", help="Greatest payment without a timed round.")
@click.option("--attested", metavar="CARRIERS", help="Carriers whose chips makers must attest, such as card,watch.")
@click.option("--guarantee-payee", metavar="AMOUNT", help="Most that the guarantee pays to one payee, for each token.")
@click.option("--guarantee-token", metavar="AMOUNT", help="Most that the guarantee pays to all, for each token.")
@DB
@AS_JSON
def policy_set(
    folder: Path,
    tier: str,
    attested: str | None,
    guarantee_payee: str | None,
    guarantee_token: str | None,
    db: str,
    as_json: bool,
    **given: str | None,
) -> None:
    """Change limits of TIER (wallet, till, anonymous, child, or a number), in a new version. `none` is no limit."""
    from dualtap_apps.rulings import set_policy

    caps = {"payee": guarantee_payee, "token": guarantee_token}
    end(set_policy(folder, tier, given, attested, caps, db, as_json))


@scheme.command(name="epoch", examples=("dualtap scheme epoch town", "dualtap scheme epoch town --sign --settle"))
@click.argument("folder", type=FOLDER)
@click.option("--sign", is_flag=True, help="Sign the date, for institutions that do not have the policy key.")
@click.option("--settle", is_flag=True, help="Credit the holders of all that is claimable before today.")
@DB
@AS_JSON
def epoch(folder: Path, sign: bool, settle: bool, db: str, as_json: bool) -> None:
    """Show the date, sign it, settle up to it."""
    from dualtap_apps.rulings import epoch as show

    end(show(folder, sign, settle, db, as_json))


@scheme.command(
    name="order",
    examples=(
        "dualtap scheme order town anna show",
        "dualtap scheme order town anna freeze",
        "dualtap scheme order town anna limit --payment 50.00 --day 100.00",
        "dualtap scheme order town anna move --to spare",
    ),
)
@click.argument("folder", type=FOLDER)
@click.argument("wallet")
@click.argument("what", type=click.Choice(["show", "freeze", "free", "limit", "lost", "unbind", "move"]))
@click.option("--payment", metavar="AMOUNT", help="Greatest payment.")
@click.option("--day", metavar="AMOUNT", help="Greatest sum paid in a day.")
@click.option("--to", default="", metavar="WALLET", help="To which wallet's key value is moved.")
@click.option("--binding", type=click.IntRange(1, 2**63 - 1), default=None, metavar="NUMBER", help="Which is unbound.")
@DB
@AS_JSON
def order(
    folder: Path,
    wallet: str,
    what: str,
    payment: str | None,
    day: str | None,
    to: str,
    binding: int | None,
    db: str,
    as_json: bool,
) -> None:
    """Order something of WALLET (its folder, public key or 16 digits), as the institution; its next sync brings it.

    `freeze` turns it off, and `free` lifts freeze, limits and lost; each replaces what this institution ordered before,
    and nothing that the owner did. `show` orders nothing. What a `lost` or a moved wallet holds is paid, to its
    owner or to the other wallet, when it can no longer be claimed by anybody else, and once. `unbind` ends the binding
    that the ledger knows, or the one of that NUMBER, if its owner never told: a wallet's first has number 1.
    """
    from dualtap_apps.orders import order as give

    end(give(folder, wallet, what, payment, day, to, binding or 0, db, as_json))


@scheme.command(name="redeem", examples=("dualtap scheme redeem town purse",))
@click.argument("folder", type=FOLDER)
@click.argument("wallet", type=FOLDER)
@DB
@AS_JSON
def redeem(folder: Path, wallet: Path, db: str, as_json: bool) -> None:
    """Pay out to an anonymous WALLET, presented here, what expired on it."""
    from dualtap_apps.orders import redeem as pay_out

    end(pay_out(folder, wallet, db, as_json))


@scheme.command(name="net", examples=("dualtap scheme net town", "dualtap scheme net town --json"))
@click.argument("folder", type=FOLDER)
@DB
@AS_JSON
def net(folder: Path, db: str, as_json: bool) -> None:
    """Audit, then show what the institutions hold of one another's value."""
    from dualtap_apps.rulings import net as show

    end(show(folder, db, as_json))


@scheme.command(name="show", examples=("dualtap scheme show town",))
@click.argument("folder", type=FOLDER)
@DB
@AS_JSON
def show(folder: Path, db: str, as_json: bool) -> None:
    """Show who signs in a scheme, and what they may."""
    from dualtap_apps.parties import show as listing

    end(listing(folder, db, as_json))

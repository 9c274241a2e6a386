"""The commands, their options and their help. What they do is in the modules beside this one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from dualtap import limits
from dualtap.errors import TapError
from dualtap_apps.conform_cli import conform
from dualtap_apps.exits import Exit, exit_of
from dualtap_apps.helps import AS_JSON, FOLDER, Address, ExampleGroup
from dualtap_apps.linking import SIDE
from dualtap_apps.links_cli import bridge, card, carry
from dualtap_apps.output import emit, note
from dualtap_apps.owning_cli import COMMANDS as OWNING_COMMANDS
from dualtap_apps.pacing import PACE
from dualtap_apps.pin_cli import PIN_FILE, VERIFY, pin, typed
from dualtap_apps.pos_cli import pos
from dualtap_apps.scheme_cli import COMMANDS as SCHEME_COMMANDS
from dualtap_apps.serve import issuer as serving
from dualtap_apps.simulate_cli import simulate
from dualtap_apps.traffic import LOG_LEVEL

TIMEOUT = click.option(
    "--timeout",
    type=click.FloatRange(0, 86_400, min_open=True),
    default=float(limits.SESSION_SECONDS),
    show_default=True,
    help="Seconds to wait for the other device, and then for each of its frames.",
)
ON = click.option(
    "--on",
    cls=Address,
    required=True,
    metavar="ADDRESS",
    help="Where the other device is: tcp:HOST:PORT, or the ble:TEXT that it shows.",
)


@click.group(
    cls=ExampleGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    examples=(
        "dualtap demo",
        "dualtap scheme new town",
        "dualtap wallet new anna --scheme town --carrier watch --name Anna",
        "dualtap wallet fund anna 100.00",
        "dualtap charge shop 12.50 --on tcp:127.0.0.1:7000",
        "dualtap pay anna --on tcp:127.0.0.1:7000",
    ),
)
@click.version_option(package_name="dualtap")
def cli() -> None:
    """Dual-offline payments: two devices, neither online, move value in one tap.

    Exit codes: 0 ok, 1 error, 2 usage, 3 declined, 4 double spend found, 5 peer or link lost, 6 issuer unreachable.
    """


def _end(code: Exit) -> None:
    raise SystemExit(int(code))


@cli.command(examples=("dualtap demo", "dualtap demo --json | tail -1"))
@AS_JSON
def demo(as_json: bool) -> None:
    """Money moves offline, a torn tap heals, a clone spends twice, and the sync names it."""
    from dualtap_apps.demo import run_demo

    _end(run_demo(as_json))


@cli.group(cls=ExampleGroup, examples=("dualtap scheme new town --currency CNY", "dualtap scheme audit town"))
def scheme() -> None:
    """A scheme: its root, its institutions and its ledger."""


@scheme.command("new", examples=("dualtap scheme new town", "dualtap scheme new lab --suite ed25519"))
@click.argument("folder", type=FOLDER)
@click.option("--currency", default="CNY", show_default=True, help="ISO 4217 code.")
@click.option("--suite", type=click.Choice(["p256", "ed25519"]), default="p256", show_default=True)
@AS_JSON
def scheme_new(folder: Path, currency: str, suite: str, as_json: bool) -> None:
    """Make a scheme in a new FOLDER."""
    from dualtap_apps.schemes import new

    _end(new(folder, currency, suite, as_json))


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

    _end(audit(folder, wallets, as_json))


@cli.group(cls=ExampleGroup, examples=("dualtap wallet new anna --scheme town --carrier watch --name Anna",))
def wallet() -> None:
    """A wallet in a folder."""


@wallet.command(
    "new",
    examples=(
        "dualtap wallet new shop --scheme town --carrier pos --name 'Corner shop' --category 5411",
        "dualtap wallet new card --scheme town --carrier card --name Card --bank harbour --maker chipworks",
    ),
)
@click.argument("folder", type=FOLDER)
@click.option("--scheme", "scheme_folder", type=FOLDER, required=True, help="The scheme's folder.")
@click.option("--carrier", type=click.Choice(["watch", "card", "pos", "phone"]), required=True)
@click.option("--name", required=True, help="What people call it.")
@click.option("--issuer", default="", metavar="URL", help="Where it will sync.  [default: the scheme's folder]")
@click.option("--bank", default="", metavar="NAME", help="Who certifies it.  [default: the scheme's first bank]")
@click.option("--category", default="", metavar="CODE", help="A merchant's code of ISO 18245, such as 5411.")
@click.option("--tier", default="", help="wallet, till, anonymous, child, or a number.  [default: as its carrier]")
@click.option("--maker", default="", metavar="NAME", help="Who made its chip, and attests it.")
@AS_JSON
def wallet_new(
    folder: Path, scheme_folder: Path, carrier: str, name: str, issuer: str, as_json: bool, **options: str
) -> None:
    """Make a wallet in a new FOLDER and have it certified."""
    from dualtap_apps.wallets import Options, new

    _end(new(folder, scheme_folder, carrier, name, as_json, issuer, Options(**options)))


@wallet.command(
    "fund",
    examples=(
        "dualtap wallet fund anna 100.00",
        "dualtap wallet fund anna 50.00 --conditions 'category=5411,5812; cap=20.00'",
        "dualtap wallet fund anna 50.00 --conditions 'payee=shop; window=2026-12-01..2026-12-31'",
        "dualtap wallet fund anna 50.00 --conditions 'merchant; count=3'",
    ),
)
@click.argument("folder", type=FOLDER)
@click.argument("amount")
@click.option(
    "--conditions",
    multiple=True,
    metavar="TEXT",
    help="What it is for: payee=KEY, category=CODE, merchant, cap=AMOUNT, window=DAY..DAY, preimage=HEX, "
    "signed=KEY, count=NUMBER.",
)
@AS_JSON
def wallet_fund(folder: Path, amount: str, conditions: tuple[str, ...], as_json: bool) -> None:
    """Have the wallet's institution issue AMOUNT to it, and sync it. Several conditions must all be met."""
    from dualtap_apps.wallets import fund

    _end(fund(folder, amount, as_json, conditions))


@wallet.command("show", examples=("dualtap wallet show anna", "dualtap wallet show anna --json"))
@click.argument("folder", type=FOLDER)
@AS_JSON
def wallet_show(folder: Path, as_json: bool) -> None:
    """Show what a wallet holds."""
    from dualtap_apps.wallets import show

    _end(show(folder, as_json))


@wallet.command("history", examples=("dualtap wallet history anna",))
@click.argument("folder", type=FOLDER)
@AS_JSON
def wallet_history(folder: Path, as_json: bool) -> None:
    """Show what happened to a wallet, oldest first."""
    from dualtap_apps.wallets import history

    _end(history(folder, as_json))


@cli.command(
    examples=(
        "dualtap charge shop 12.50 --on tcp:127.0.0.1:7000",
        "dualtap charge shop 12.50 --on tcp:127.0.0.1:7000 --basket table-5",
        "dualtap charge shop 12.50 --on pcsc:ACR1252   # read the card of a customer",
        "dualtap charge shop --cancel table-5",
    )
)
@click.argument("folder", type=FOLDER)
@click.argument("amount", required=False)
@click.option("--on", cls=Address, metavar="ADDRESS", help="Where to wait: tcp:HOST:PORT, ble:new; or a card's reader.")
@SIDE
@click.option("--basket", help="What is sold. Charged again after a torn tap, it is paid at most once.")
@click.option("--cancel", metavar="BASKET", help="Close the open requests of a basket instead.")
@VERIFY
@TIMEOUT
@PACE
@LOG_LEVEL
@AS_JSON
def charge(
    folder: Path,
    amount: str | None,
    on: str | None,
    side: str | None,
    basket: str | None,
    cancel: str | None,
    verify: str,
    timeout: float,
    pace: str | None,
    log_level: str,
    as_json: bool,
) -> None:
    """Collect AMOUNT in one tap: of whoever comes, or of the card that is read."""
    from dualtap_apps import taps

    if cancel is not None:
        if amount or on or basket:
            raise click.UsageError("--cancel takes no amount, --on or --basket")
        _end(taps.cancel(folder, cancel, as_json))
    if amount is None or on is None:
        raise click.UsageError("charge needs an amount and --on, as in: charge shop 12.50 --on tcp:127.0.0.1:7000")
    _end(taps.charge(folder, amount, on, basket, timeout, as_json, log_level, side, verify, pace))


@cli.command(examples=("dualtap pay anna --on tcp:127.0.0.1:7000", "dualtap pay anna --on tcp:127.0.0.1:7000 --yes"))
@click.argument("folder", type=FOLDER)
@ON
@SIDE
@click.option("--yes", is_flag=True, help="Agree without being asked.")
@PIN_FILE
@TIMEOUT
@PACE
@LOG_LEVEL
@AS_JSON
def pay(
    folder: Path, on: str, side: str | None, yes: bool, pin_file: Path | None, timeout: float,
    pace: str | None, log_level: str,
    as_json: bool,
) -> None:  # fmt: skip
    """Pay whoever charges at ADDRESS, or reads this card there."""
    from dualtap_apps import taps
    from dualtap_apps.pins import Prompt

    def confirm(question: str) -> bool:
        try:
            return click.confirm(question, err=True)
        except click.Abort:
            return False

    keypad = Prompt(pin_file, typed)
    _end(taps.pay(folder, on, None if yes else confirm, timeout, as_json, log_level, side, keypad, pace))


@cli.command(
    examples=(
        "dualtap charge anna 12.50 --on tcp:127.0.0.1:7000     # the customer collects",
        "dualtap refund shop RECEIPT --on tcp:127.0.0.1:7000   # the shop pays back",
    )
)
@click.argument("folder", type=FOLDER)
@click.argument("receipt")
@ON
@click.option("--amount", help="Refund only this much; the customer charges the same.")
@TIMEOUT
@LOG_LEVEL
@AS_JSON
def refund(
    folder: Path, receipt: str, on: str, amount: str | None, timeout: float, log_level: str, as_json: bool
) -> None:
    """Pay a RECEIPT back to the wallet that paid it.

    A till can refund its last 500 payments and more, a card its last 32: older ones go as its log is compacted.
    """
    from dualtap_apps import taps

    _end(taps.refund(folder, receipt, on, amount, timeout, as_json, log_level))


@wallet.command("rotate", examples=("dualtap wallet rotate anna", "dualtap wallet rotate card --via phone"))
@click.argument("folder", type=FOLDER)
@click.option("--issuer", default="", metavar="URL", help="The issuer's service.  [default: as the wallet was made]")
@click.option("--via", default="", metavar="DEVICE", help="Who carries it: a wallet's folder, or where `carry` waits.")
@TIMEOUT
@LOG_LEVEL
@AS_JSON
def wallet_rotate(folder: Path, issuer: str, via: str, timeout: float, log_level: str, as_json: bool) -> None:
    """Give a wallet a fresh key, certified by the issuer, and move to it what the old one holds."""
    from dualtap_apps.rotating import Ways, rotate_wallet

    _end(rotate_wallet(folder, as_json, Ways(issuer, via, timeout, log_level)))


@cli.command(
    examples=(
        "dualtap sync shop",
        "dualtap sync shop --issuer https://issuer.example",
        "dualtap sync card --via phone",
        "dualtap sync card --via tcp:127.0.0.1:7000",
        "dualtap sync card --on vpcd:127.0.0.1:35963   # wait for a phone or till that reads this card: `carry`",
    )
)
@click.argument("folder", type=FOLDER)
@click.option("--issuer", default="", metavar="URL", help="The issuer's service.  [default: as the wallet was made]")
@click.option("--via", default="", metavar="DEVICE", help="Who carries it: a wallet's folder, or where `carry` waits.")
@click.option("--renew/--no-renew", default=True, help="Replace restored and far-travelled value.  [default: renew]")
@click.option(
    "--on", cls=Address, metavar="ADDRESS", help="Wait there for a device that reads this one and carries it."
)
@TIMEOUT
@LOG_LEVEL
@AS_JSON
def sync(
    folder: Path,
    issuer: str,
    via: str,
    renew: bool,
    on: str | None,
    timeout: float,
    log_level: str,
    as_json: bool,
) -> None:
    """Tell the issuer everything, and take its news. A till deposits what it holds."""
    if on is not None:
        from dualtap_apps.cards import card_once

        if issuer or via:
            raise click.UsageError("--on takes no --issuer or --via: the device that reads this one knows the issuer")
        _end(card_once(folder, on, ("sync",), None, timeout, as_json, log_level))
    from dualtap_apps.rotating import Ways, sync_wallet

    _end(sync_wallet(folder, as_json, Ways(issuer, via, timeout, log_level), renew=renew))


@cli.group(cls=ExampleGroup, examples=("dualtap evidence verify FILE --root p256:02ab…",))
def evidence() -> None:
    """Proof of a double spend."""


@evidence.command("verify", examples=("dualtap evidence verify town/evidence/1f….evidence --root p256:02ab…",))
@click.argument("file", type=FOLDER)
@click.option("--root", required=True, metavar="KEY", help="The scheme's root key, as `scheme new` printed it.")
@AS_JSON
def evidence_verify(file: Path, root: str, as_json: bool) -> None:
    """Check FILE with nothing but the root KEY, and say whom it names."""
    from dualtap_apps.audits import verify

    _end(verify(file, root, as_json))


@cli.group(cls=ExampleGroup, examples=("dualtap bench tap", "dualtap bench import --json"))
def bench() -> None:
    """Measure."""


@bench.command("tap", examples=("dualtap bench tap", "dualtap bench tap --suite ed25519 --json"))
@click.option("--suite", type=click.Choice(["p256", "ed25519"]), default="p256", show_default=True)
@click.option("--taps", type=click.IntRange(20, 100_000), default=400, show_default=True)
@AS_JSON
def bench_tap(suite: str, taps: int, as_json: bool) -> None:
    """Taps per second over the bare cryptography of a tap, in one run; and bytes by message."""
    from dualtap_apps.bench import bench_tap as measure

    _end(measure(suite, taps, as_json))


@bench.command("import", examples=("dualtap bench import",))
@AS_JSON
def bench_import(as_json: bool) -> None:
    """Time and memory of `import dualtap` beside cryptography and msgpack alone."""
    from dualtap_apps.bench import bench_import as measure

    _end(measure(as_json))


@bench.command("issuer", examples=("dualtap bench issuer", "dualtap bench issuer --suite ed25519 --json"))
@click.option("--suite", type=click.Choice(["p256", "ed25519"]), default="p256", show_default=True)
@click.option("--full", is_flag=True, help="10^7 payments stored over 10^5, not 10^6 over 10^4: takes long.")
@AS_JSON
def bench_issuer(suite: str, full: bool, as_json: bool) -> None:
    """Payments per second of a ledger over the bare operations, on SQLite and PostgreSQL; growth; a sync's time."""
    from dualtap_apps.bench_issuer import bench_issuer as measure

    _end(measure(suite, as_json, full))


@bench.command("service", examples=("dualtap bench service --json",))
@click.option("--suite", type=click.Choice(["p256", "ed25519"]), default="p256", show_default=True)
@click.option("--syncs", type=click.IntRange(20, 100_000), default=200, show_default=True)
@AS_JSON
def bench_service(suite: str, syncs: int, as_json: bool) -> None:
    """Time of a sync over HTTP on this machine, alone and beside others."""
    from dualtap_apps.bench_service import bench_service as measure

    _end(measure(suite, syncs, as_json))


@cli.command(examples=("dualtap radios", "dualtap radios --json"))
@AS_JSON
def radios(as_json: bool) -> None:
    """What this machine has to reach other devices by; what is missing, with the remedy."""
    from dualtap_apps.radios import radios as show

    _end(show(as_json))


@bench.command("radio", examples=("dualtap bench radio", "dualtap bench radio --json"))
@AS_JSON
def bench_radio(as_json: bool) -> None:
    """A real tap in the time that models of NFC, Bluetooth LE and cards give it; wall time on stacks without radio."""
    from dualtap_apps.bench_radio import bench_radio as measure

    _end(measure(as_json))


for command in (bridge, card, carry, simulate):
    cli.add_command(command)
for part in SCHEME_COMMANDS:
    scheme.add_command(part)
wallet.add_command(pin)
for part in OWNING_COMMANDS:
    wallet.add_command(part)
cli.add_command(conform)
cli.add_command(pos)
cli.add_command(serving)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code. No traceback ever reaches a person."""
    try:
        cli.main(list(arguments), prog_name="dualtap", standalone_mode=False)
    except TapError as error:
        note(f"dualtap: {error}")
        if "--json" in arguments:
            emit(True, {"error": getattr(error.code, "name", str(error.code)), "detail": error.detail})
        return exit_of(error.code) or Exit.ERROR
    except click.ClickException as error:
        error.show()
        if "--json" in arguments:
            emit(True, {"error": "BAD_INPUT", "detail": error.format_message()})
        return Exit.USAGE
    except click.Abort:
        note("dualtap: stopped")
        return Exit.DECLINED
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else Exit.ERROR
    except OSError as error:
        said = f"{error.strerror or error}: {error.filename or ''}".rstrip(": ")
        note(f"dualtap: {said}")
        if "--json" in arguments:
            emit(True, {"error": "OS_ERROR", "detail": said})
        return Exit.ERROR
    return Exit.OK

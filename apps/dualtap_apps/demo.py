"""``dualtap demo``: a day in a town without a network. Every step is the real thing, on disk."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from dualtap.context import Charge, Pay
from dualtap.errors import Code
from dualtap.events import Report
from dualtap_apps.audits import audit_fields
from dualtap_apps.exits import Exit
from dualtap_apps.money import show
from dualtap_apps.output import emit, report_fields, report_text, wallet_id
from dualtap_apps.schemes import Office, create, read_scheme
from dualtap_devices.disk import Label, created, opened, read_label
from dualtap_devices.driver import Driver, exchange
from dualtap_devices.models import MODELS
from dualtap_devices.syncing import sync

CURRENCY = "CNY"


def run_demo(as_json: bool) -> Exit:
    """Play the story; the last line is the audit, with the counts ``planted``, ``named`` and ``framed``."""
    with tempfile.TemporaryDirectory(prefix="dualtap-demo-") as folder:
        town = Town(Path(folder), as_json)
        town.open_up()
        town.pay_along()
        town.tear_and_heal()
        thief = town.clone_and_spend_twice()
        town.sync_everybody()
        return town.close_the_books(thief)


class Town:
    """A scheme and the wallets of its people, in one folder."""

    def __init__(self, folder: Path, as_json: bool) -> None:
        self.folder = folder
        self.as_json = as_json

    def say(self, step: str, text: str, **fields: object) -> None:
        """Print one step."""
        emit(self.as_json, {"step": step, **fields}, text)

    def title(self, text: str) -> None:
        """Print a heading, for people only."""
        if not self.as_json:
            emit(False, {}, "", text)

    def open_up(self) -> None:
        """Make the scheme and the wallets."""
        self.title("1. A scheme, and wallets that it certifies (the only steps that need a network, with the last)")
        create(self.folder / "scheme", CURRENCY, "p256")
        for name, model, amount in (
            ("phone", "phone", 200_00),
            ("watch", "watch", 0),
            ("card", "card", 0),
            ("shop", "pos", 0),
            ("teahouse", "pos", 0),
            ("thief", "watch", 50_00),
        ):
            identity = self._wallet(name, model, amount)
            funded = f", funded with {show(amount, CURRENCY)}" if amount else ""
            self.say("wallet", f"   {name:<9} a {model}, wallet {identity}{funded}", name=name, wallet_id=identity)

    def _wallet(self, name: str, model: str, amount: int) -> str:
        scheme = self.folder / "scheme"
        card = read_scheme(scheme)
        label = Label(name, model, card.currency, card.suite, card.root, str(scheme))
        with Office.open(scheme) as office, created(self.folder / name, label) as wallet:
            office.enrol(wallet, MODELS[model].carrier)
            if amount:
                office.issue(wallet.book.key, amount)
                sync(wallet, office, secrets.token_bytes(32), deposit=False)
            return wallet_id(wallet.book.key)

    def tap(
        self, payer: str, payee: str, amount: int, basket: bytes, lose_receipt: bool = False
    ) -> tuple[Report, Report]:
        """Run one tap between two folders; with ``lose_receipt`` the link dies before the last frame arrives."""
        with ExitStack() as stack:
            paying = stack.enter_context(opened(self.folder / payer))
            collecting = stack.enter_context(opened(self.folder / payee))
            left = Driver.fresh(paying, Pay(), initiator=True)
            right = Driver.fresh(collecting, Charge(amount, CURRENCY, basket, person=True), initiator=False)
            if lose_receipt:
                right.begin()
                (hello,) = left.begin()
                (request,) = right.receive(hello)
                (transfer,) = left.receive(request)
                right.receive(transfer)
                left.stop(Code.LINK_LOST)
            else:
                exchange(left, right)
            for report in left.reports[:-1]:
                self._tell(payer, payee, report)
            self._tell(payer, payee, left.result)
            return left.result, right.result

    def _tell(self, payer: str, payee: str, report: Report) -> None:
        fields: Mapping[str, object] = report_fields(report)
        text = f"   {payer} -> {payee:<9} {show(report.amount, report.currency):>10}   {report_text(report)}"
        self.say("tap", text, payer=payer, payee=payee, **fields)

    def pay_along(self) -> None:
        """Pass value on, three times, exact change each time."""
        self.title("2. Nobody is online: money passes from hand to hand, exact change each time")
        for payer, payee, amount in (("phone", "watch", 30_00), ("watch", "card", 20_50), ("card", "shop", 12_50)):
            self.tap(payer, payee, amount, secrets.token_bytes(16))

    def tear_and_heal(self) -> None:
        """Tear a tap at its worst moment, then tap again."""
        self.title("3. A tap is torn after the money left and before the receipt arrived; the second tap heals it")
        basket = secrets.token_bytes(16)
        self.tap("phone", "shop", 8_00, basket, lose_receipt=True)
        self.tap("phone", "shop", 8_00, basket)
        with opened(self.folder / "phone") as wallet:
            doubt = wallet.book.in_doubt()
        self.say("healed", f"   in doubt now: {show(doubt, CURRENCY)}; the basket was paid once", in_doubt=doubt)

    def clone_and_spend_twice(self) -> str:
        """Copy a watch, chip and all, and pay with both."""
        self.title("4. A thief copies a watch, chip and all, and pays twice with the same money, at two tills")
        shutil.copytree(self.folder / "thief", self.folder / "clone")
        self.tap("thief", "shop", 50_00, secrets.token_bytes(16))
        self.tap("clone", "teahouse", 50_00, secrets.token_bytes(16))
        with opened(self.folder / "thief") as wallet:
            return wallet_id(wallet.book.key)

    def sync_everybody(self) -> None:
        """The network is back."""
        self.title("5. The network is back: everybody syncs")
        for name in ("phone", "watch", "card", "shop", "teahouse"):
            label = read_label(self.folder / name)
            with opened(self.folder / name) as wallet, Office.open(Path(label.scheme)) as office:
                report = sync(wallet, office, secrets.token_bytes(32), label.device.deposits)
            settled = f", deposits {show(report.deposited, CURRENCY)}" if report.deposited else ""
            self.say("sync", f"   {name} synced{settled}", name=name, deposited=report.deposited)

    def close_the_books(self, thief: str) -> Exit:
        """Audit, and compare who is named with who did it."""
        self.title("6. The audit counts every unit and names who spent twice")
        wallets = [self.folder / name for name in ("phone", "watch", "card", "shop", "teahouse", "thief", "clone")]
        fields = audit_fields(self.folder / "scheme", wallets)
        named = {str(conflict["wallet_id"]) for conflict in fields.conflicts}
        end: dict[str, object] = {
            **fields.as_dict(),
            "planted": 1,
            "named": len(named & {thief}),
            "framed": len(named - {thief}),
        }
        kinds = ", ".join(sorted({str(conflict["kind"]) for conflict in fields.conflicts}))
        emit(
            self.as_json,
            end,
            f"   issued {show(fields.issued, CURRENCY)}, overspent {show(fields.overspend, CURRENCY)}: "
            f"held {show(fields.held, CURRENCY)}, in doubt {show(fields.in_doubt, CURRENCY)}, "
            f"settled {show(fields.settled, CURRENCY)}",
            f"   every unit accounted for: {'yes' if fields.accounted else 'NO'}",
            *(
                f"   named: wallet {identity} ({kinds}), by evidence that anyone can check"
                for identity in sorted(named)
            ),
            f"   planted 1, named {end['named']}, framed {end['framed']}",
        )
        good = fields.accounted and end["named"] == 1 and not end["framed"]
        return Exit.OK if good else Exit.ERROR

"""The anonymous tier: lower limits, and nothing at the issuer that tells who holds it."""

from __future__ import annotations

from pathlib import Path

from dualtap.issued import WalletCertificate
from dualtap_apps.cli import run
from dualtap_apps.schemes import ANONYMOUS_TIER, TIERS, WALLET_TIER
from dualtap_devices.disk import opened, read_label

NAME = "Zhang Wei 13800138000"


def test_nothing_that_identifies_is_kept_by_the_issuer(tmp_path: Path) -> None:
    """§4.3-7: its name stays on the device."""
    town, purse = tmp_path / "town", tmp_path / "purse"
    for words in (
        ("scheme", "new", str(town)),
        ("wallet", "new", str(purse), "--scheme", str(town), "--carrier", "card", "--tier", "anonymous",
         "--name", NAME),
        ("wallet", "fund", str(purse), "20.00"),
        ("sync", str(purse)),
    ):  # fmt: skip
        assert run(words) == 0, words
    assert read_label(purse).name == NAME
    with opened(purse) as wallet:
        assert wallet.book.tier == ANONYMOUS_TIER
        key = wallet.book.key
    kept = b"".join(path.read_bytes() for path in sorted(town.rglob("*")) if path.is_file())
    assert key in kept, "the ledger knows the wallet"
    for part in (NAME, "Zhang", "13800138000"):
        for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
            assert part.encode(encoding) not in kept
            assert part.encode(encoding).hex().encode() not in kept
    assert "name" not in WalletCertificate._fields


def test_its_limits_are_lower() -> None:
    for limit in ("payment", "payments", "receipts", "received", "day", "balance", "unverified"):
        assert getattr(ANONYMOUS_TIER, limit) < getattr(WALLET_TIER, limit), limit
    assert [tier.number for tier in TIERS] == [1, 2, 3]

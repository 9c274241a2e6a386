"""Deposits, what they credit, and what a settlement credited to whom."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from dualtap_issuer.database import ones
from dualtap_issuer.index import Index, selected
from dualtap_issuer.rows import DepositRow
from dualtap_issuer.rules import Credit, Leaf, Lot


class Credits(Index):
    """What was deposited, credited and settled, beside the facts from which it follows."""

    def deposits(self, transfers: Iterable[bytes] | None = None) -> list[DepositRow]:
        """Return all deposits, or those of these transfers that are deposits."""
        if transfers is None:
            return [DepositRow(*row) for row in self.ask("SELECT transfer, credited FROM deposit")]
        query = "SELECT d.transfer, d.credited FROM {wanted} CROSS JOIN deposit d WHERE d.transfer = w.a"
        return [DepositRow(*row) for row in self.ask(query, ones(transfers))]

    def put_credits(
        self, deposits: Collection[bytes], credits: Iterable[Credit], renewals: Collection[bytes] = ()
    ) -> None:
        """Keep what these deposits credit: their provenance is whole. A smaller epoch replaces a greater one.

        Those that are new among ``renewals`` wait for :meth:`take_renewals`: each once, whoever else credits it too.
        """
        new = self.ask(
            "UPDATE deposit SET credited = 1 WHERE transfer IN (SELECT d.transfer FROM {wanted} CROSS JOIN deposit d "
            f"WHERE d.transfer = w.a AND d.credited = 0 ORDER BY d.transfer{self.LOCK}) RETURNING transfer",
            ones(deposits),
        )
        self.ask(
            "INSERT INTO credit (transfer, number, token, key, amount, epoch) SELECT w.a, w.b, w.c, w.d, w.e, w.f "
            "FROM {wanted} WHERE true ORDER BY w.a, w.b ON CONFLICT (transfer, number) "
            "DO UPDATE SET epoch = excluded.epoch WHERE credit.epoch > excluded.epoch RETURNING number",
            sorted(credits),
        )
        self.insert("renewal", ("transfer",), sorted((row[0],) for row in new if row[0] in renewals))

    def drop_credits(self, transfers: Collection[bytes], kept: Iterable[Credit]) -> None:
        """Forget what these transfers were credited, but for what is ``kept``: they are payments, as is known now."""
        rows = self.ask(
            "SELECT c.transfer, c.number FROM {wanted} CROSS JOIN credit c WHERE c.transfer = w.a", ones(transfers)
        )
        gone = {(row[0], row[1]) for row in rows} - {(one.transfer, one.number) for one in kept}
        self.ask(
            "DELETE FROM credit WHERE EXISTS (SELECT 1 FROM {wanted} WHERE w.a = transfer AND w.b = number) "
            "RETURNING number",
            sorted(gone),
        )

    def take_renewals(self, institution: bytes) -> list[bytes]:
        """Return the credited deposits to an institution that ask for fresh tokens, and forget them.

        Of its processes, one gets each, and issues what it asks for, or leaves the credit as it is, before anything
        else is published. Deposits to another institution wait for that one.
        """
        mine = [row.id for row in self.hands(row[0] for row in self.ask("SELECT transfer FROM renewal")).values()
                if row.payee == institution]  # fmt: skip
        found = "SELECT r.transfer FROM {wanted} CROSS JOIN renewal r WHERE r.transfer = w.a ORDER BY r.transfer"
        rows = self.ask(found + self.LOCK, ones(mine))
        query = "DELETE FROM renewal WHERE transfer IN (SELECT w.a FROM {wanted}) RETURNING transfer"
        return sorted(row[0] for row in self.ask(query, ones(row[0] for row in rows)))

    def credits(self) -> list[Credit]:
        """Return what deposits credit."""
        return [Credit(*row) for row in self.ask("SELECT transfer, number, token, key, amount, epoch FROM credit")]

    def settled(self) -> dict[bytes, list[Leaf]]:
        """Return the settled tokens, and who was credited."""
        found: dict[bytes, list[Leaf]] = {row[0]: [] for row in self.ask("SELECT token FROM settled")}
        for row in self.ask(f"SELECT {selected('t', Leaf)} FROM leaf t"):
            found[row[0]].append(Leaf(row[0], row[1], row[2], row[3], Lot(row[4]), row[5]))
        return found

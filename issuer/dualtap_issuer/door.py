"""The few tables of a ledger's front door: what is given out once, counted, queued, or said by its own people."""

from __future__ import annotations

from dualtap_issuer.database import Database


class Door(Database):
    """Challenges, ordinals, deliveries, policies, dates, names and settings, over the same database as the rest."""

    # Challenges

    def put_challenge(self, challenge: bytes) -> None:
        """Remember a challenge until it is answered."""
        self.insert("challenge", ("challenge",), [(challenge,)])

    def is_open(self, challenge: bytes) -> bool:
        """Return whether a challenge waits for an answer."""
        return bool(self.ask("SELECT challenge FROM challenge WHERE challenge = %s", values=(challenge,)))

    def take_challenge(self, challenge: bytes) -> bool:
        """Forget a challenge; return whether it was open."""
        query = "DELETE FROM challenge WHERE challenge = %s RETURNING challenge"
        return bool(self.ask(query, values=(challenge,)))

    # Ordinals

    def ordinal(self, bank: bytes, key: bytes, quota: int) -> int | None:
        """Return a key's ordinal at a bank (its key), taking the next below ``quota`` for a new key; ``None`` if there
        is none left.

        It is durable when this returns, and never another key's.

        SPEC §4.3-6.
        """
        with self.transaction():
            self.lock("ordinal " + bank.hex())
            row = self.ask("SELECT number FROM ordinal WHERE bank = %s AND key = %s", values=(bank, key))
            if row:
                return int(row[0][0])
            query = "SELECT coalesce(max(number) + 1, 0) FROM ordinal WHERE bank = %s"
            number = int(self.ask(query, values=(bank,))[0][0])
            if number >= quota:
                return None
            self.insert("ordinal", ("bank", "number", "key"), [(bank, number, key)])
            return number

    def ordinals(self, bank: bytes) -> int:
        """Return how many keys a bank has certified here."""
        return int(self.ask("SELECT count(*) FROM ordinal WHERE bank = %s", values=(bank,))[0][0])

    def adopt_ordinals(self, bank: bytes) -> None:
        """Give a bank the ordinals of a ledger that knew one bank only, and did not say which."""
        self.ask("UPDATE ordinal SET bank = %s WHERE bank = %s RETURNING number", values=(bank, b""))

    # Deliveries

    def put_delivery(self, owner: bytes, token: bytes) -> None:
        """Queue a token for its owner, under that owner's next number."""
        self.lock("delivery " + owner.hex())
        taken = self.ask("SELECT coalesce(max(number), 0) FROM delivery WHERE owner = %s", values=(owner,))
        self.insert("delivery", ("owner", "number", "token"), [(owner, taken[0][0] + 1, token)])

    def deliveries(self, owner: bytes, after: int) -> list[tuple[int, bytes]]:
        """Return the numbers and tokens that an owner has not taken."""
        query = "SELECT number, token FROM delivery WHERE owner = %s AND number > %s ORDER BY number"
        return [(row[0], row[1]) for row in self.ask(query, values=(owner, after))]

    # Policies and dates

    def put_policy(self, version: int, body: bytes) -> None:
        """Keep a version of the policy."""
        self.insert("policy", ("version", "body"), [(version, body)])

    def policy(self) -> bytes | None:
        """Return the last policy."""
        row = self.ask("SELECT body FROM policy ORDER BY version DESC LIMIT 1")
        return row[0][0] if row else None

    def put_header(self, epoch: int, body: bytes) -> None:
        """Keep the date that the policy key signed for an epoch; the first one of an epoch stays."""
        self.insert("dated", ("epoch", "body"), [(epoch, body)])

    def header(self, epoch: int) -> bytes | None:
        """Return the last date up to an epoch."""
        row = self.ask("SELECT body FROM dated WHERE epoch <= %s ORDER BY epoch DESC LIMIT 1", values=(epoch,))
        return row[0][0] if row else None

    def close_epoch(self, epoch: int) -> None:
        """Remember that everything claimable before this epoch was settled."""
        self.insert("closed", ("epoch",), [(epoch,)])

    def closed_epoch(self) -> int:
        """Return the epoch of the last settlement; 0 before the first."""
        return int(self.ask("SELECT coalesce(max(epoch), 0) FROM closed")[0][0])

    # Names and settings

    def put_party(self, name: str, what: str, key: bytes) -> bool:
        """Give an institution, bank or maker (``what``) a name; return whether neither was taken by another key."""
        kind = what.encode()
        self.lock("party")
        query = "SELECT name, what, key FROM party WHERE what = %s AND (name = %s OR key = %s)"
        known = [tuple(row) for row in self.ask(query, values=(kind, name.encode(), key))]
        if not known:
            self.insert("party", ("what", "name", "key"), [(kind, name.encode(), key)])
        return known in ([], [(name.encode(), kind, key)])

    def parties(self, what: str) -> dict[str, bytes]:
        """Return the keys of all institutions, banks or makers, by name."""
        query = "SELECT name, key FROM party WHERE what = %s ORDER BY name"
        return {row[0].decode(): row[1] for row in self.ask(query, values=(what.encode(),))}

    def put_setting(self, name: str, value: bytes) -> None:
        """Set what the scheme's people decided; it replaces what was set before."""
        known = self.ask("UPDATE setting SET value = %s WHERE name = %s RETURNING name", values=(value, name.encode()))
        if not known:
            self.insert("setting", ("name", "value"), [(name.encode(), value)])

    def setting(self, name: str) -> bytes | None:
        """Return what was set, or ``None``."""
        row = self.ask("SELECT value FROM setting WHERE name = %s", values=(name.encode(),))
        return row[0][0] if row else None

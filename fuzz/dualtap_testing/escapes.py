"""Seeded bugs of a third hand: wrong lines that 40 lives of the simulator did not find when they were thought of.

Whoever wrote these did not write the simulator; each then got the occasion, or the check, that was missing. Add one by
adding to :data:`ESCAPES`.
"""

# What is broken is broken from inside:
# pyright: reportPrivateUsage=false

from __future__ import annotations

from typing import Final

from dualtap import heal, outcome, payee, payer, provenance, recall, sync
from dualtap.account import Account
from dualtap.book import Book
from dualtap.compaction import snapshot_of
from dualtap.context import Context
from dualtap.trust import Trust
from dualtap_devices import rotation
from dualtap_issuer import states
from dualtap_issuer.ledger import Ledger
from dualtap_issuer.rules import World
from dualtap_testing.slip import Slip

_TAPS: Final = {
    "amount not counted": Slip(
        "a payee does not count the sum that it was paid since its sync", Book._answer,
        "since.received + amount)", "since.received)",
    ),
    "amount not checked": Slip(
        "a payee takes any sum between two syncs", outcome.examine,
        " or book.since.received + amount > tier.received", "",
    ),
    "clock ignored": Slip(
        "a device's clock makes nothing stricter", Context.epoch,
        "max(self.book.trust.epoch, int(self.now) // limits.EPOCH_SECONDS)", "self.book.trust.epoch",
    ),
    "in doubt, says nobody": Slip(
        "a payer that is in doubt is told that it has not paid", Context.end,
        "if self.shown is not None and self.shown.transfer.id in self.holder(self.shown.transfer.key).pending:",
        "if False:",
    ),
    "limit before consent": Slip(
        "limits are not looked at again after a person has agreed", payer.consent,
        '    check_request(context, cast("RequestMessage", context.request_message), asked)\n', "",
    ),
    "refund before consent": Slip(
        "a refund is not looked at again after a person has agreed", payer.consent,
        "    check_refund(context, asked)\n", "",
    ),
    "stale choice": Slip(
        "a payer pays with what another tap has spent meanwhile", payer.consent,
        "if chosen.bound or not all(book.holds(span) for span in chosen.spans):", "if chosen.bound:",
    ),
    "healed by two taps": Slip(
        "an outcome is taken in again that another tap brought", heal.take_outcome,
        "if transfer.id in book.pending:", "if True:",
    ),
    "refund lost": Slip(
        "a refund that came back still counts", Book._heal, "if refunded in self.taken:", "if False:"
    ),
    "refunds cleared": Slip(
        "a refund that came back clears all refunds of its payment", Book._heal,
        "refunded=taken.refunded - amount", "refunded=0",
    ),
    "doubt of two tokens": Slip(
        "a doubt ends with the first of its tokens", Account.claim_by, "return max(", "return min("
    ),
}  # fmt: skip

_KEYS: Final = {
    "last former key": Slip(
        "only the last of a device's former keys answers a recall", recall._held,
        "in context.retired:", "in context.retired[-1:]:",
    ),
    "former key's sale": Slip(
        "a till does not see what its former key was paid", payee.accepted,
        "for book in context.books.values()", "for book in (context.book,)",
    ),
    "former key gone": Slip(
        "a former key goes while its outcomes may be asked for", rotation.last_use, "[0, *asked, *sent]", "[0, *sent]"
    ),
}  # fmt: skip

_FORGED: Final = {
    "token not verified": Slip(
        "a token's signature is not verified", provenance.verify, "trust.check_token(token, token_id)", "pass"
    ),
    "hand not verified": Slip(
        "an earlier hand's signature is not verified", provenance._check_hand, "trust.verify_statement(hand)", "pass",
        seed=4,
    ),
    "payment not verified": Slip(
        "a payment's own signature is not verified", provenance.verify, "    trust.verify_statement(transfer)\n", ""
    ),
    "key not proved": Slip(
        "a peer's key is believed without its proof", Context.prove,
        "    verify(statement.signature, statement.id)\n", "",
    ),
}  # fmt: skip

_MET: Final = {
    "hotlist ignored": Slip(
        "who is on the hotlist pays on", Trust.check_hotlist,
        "key in self.blocked or (self.policy is not None and key in self.policy.hotlist)", "key in self.blocked",
    ),
    "hotlisted hand": Slip(
        "what a listed key has paid is taken second-hand", provenance._check_hand,
        "trust.check_hotlist(hand.key)", "pass",
    ),
    "tapes not compared": Slip(
        "a payee does not see that a tape forks", provenance.check_conflicts,
        "if opening is not None and not seen and", "if opening is not None and seen and",
    ),
    "cheat not kept": Slip(
        "a payment that is refused as spent is not kept", outcome.decide, "            kept = context.raw\n", ""
    ),
    "fork not kept": Slip(
        "a payment whose tape forks is not kept", outcome.decide,
        "error.code in _CHEATS", "error.code is Code.DOUBLE_SPENT",
    ),
    "cheat not told": Slip(
        "a payment that was refused as spent is not told", sync.upload_of,
        "graph, seen = book.reported(), seen_of(book)\n    graph.add(seen.graph)",
        "graph, seen = seen_of(book).graph, seen_of(book)\n    graph.add(book.graph)",
    ),
    "cheat forgotten": Slip(
        "a compacted log forgets what was refused as spent", snapshot_of, "tuple(account.witnessed)", "()"
    ),
    "no date from a sync": Slip(
        "what a sync says of the date is not kept", sync.take_reply,
        "return (reply.news, ", "return (reply.news._replace(header=None), ",
    ),
    "outcome forgotten": Slip(
        "a compacted log forgets outcomes that it has not told", snapshot_of, "tuple(account.heard)", "()"
    ),
}  # fmt: skip

_LEDGER: Final = {
    "final too early": Slip(
        "a deposit of two tokens is final when one is settled", states.states,
        "all(span.token in settled for span in cut)", "any(span.token in settled for span in cut)",
    ),
    "line not listed": Slip(
        "a new key takes a named wallet off the hotlist", Ledger._revise,
        "self.lines.spread(named)", "named",
    ),
    "named gets an heir": Slip(
        "a wallet that is named gets a new certificate", Ledger.sync,
        "if successor is not None and self.lines.is_named(key):", "if False:",
    ),
    "no warrant, credited": Slip(
        "a deposit of what came back is credited without its warrant", World._given_at,
        "max(whole, self.dead_at.get(parent.id, NEVER))", "whole",
    ),
}  # fmt: skip

ESCAPES: Final[dict[str, Slip]] = {**_TAPS, **_KEYS, **_FORGED, **_MET, **_LEDGER}
"""By name."""

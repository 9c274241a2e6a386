"""Seeded bugs of a second hand: wrong lines, chosen from SPEC and DESIGN before the checkers were read.

Whoever wrote these did not write the checkers. ``python -m dualtap_testing.killing`` says which life finds each; the
table of what it said is in docs/simulator.md. Add one by adding to :data:`SLIPS`.
"""

# What is broken is broken from inside:
# pyright: reportPrivateUsage=false

from __future__ import annotations

from typing import Final

from dualtap import heal, keystore, outcome, payee, payer, provenance, recall, select, session, sync
from dualtap.book import Book
from dualtap.compaction import snapshot_of
from dualtap.context import Context
from dualtap.graph import Graph, check_origins
from dualtap.limits import Profile
from dualtap.trust import Trust
from dualtap_devices import rotation, syncing
from dualtap_devices.slots import SlotStore
from dualtap_devices.wallet import Wallet
from dualtap_issuer import guarantee, marks, naming, renewals, settling
from dualtap_issuer.following import Following
from dualtap_issuer.ledger import Ledger
from dualtap_issuer.lines import Lines
from dualtap_issuer.rules import World
from dualtap_issuer.store import Store
from dualtap_testing.simulate import TORN_SHARE
from dualtap_testing.slip import Slip

_PAYING: Final = {
    "debit in memory": Slip(
        "a payer debits itself in memory alone", payer.consent, "context.persist(sent)", "book.apply(sent)"
    ),
    "part of a split": Slip(
        "a part that is paid ends the sale of another", payer.already_paid,
        "(sent.basket, sent.part) == (asked.basket, asked.part)", "sent.basket == asked.basket",
    ),
    "refund too much": Slip(
        "a second refund does not count the first", payer.check_refund, "taken.amount - taken.refunded", "taken.amount"
    ),
    "one payment more": Slip(
        "a payer makes one payment above its limit", payer.check_request,
        "book.since.payments >= tier.payments", "book.since.payments > tier.payments",
    ),
    "change lost": Slip(
        "what is left behind a spent span is lost", Book._cut,
        ", Holding(parent, held.token, end, held.end)]", "]",
    ),
    "paid, says the screen": Slip(
        "any Receipt of the request passes for this transfer's", heal.paid_by,
        " and outcome.body.transfer == transfer.id", "",
    ),
    "one key both ways": Slip(
        "both directions are sealed with one key and equal nonces", session.establish,
        "suite.sealer(keys[size:])", "suite.sealer(keys[:size])",
    ),
    "salt of zeros": Slip("every entry has the same salt", Book.place, "random.take(16)", "bytes(16)"),
    "counter repeated": Slip(
        "an entry's interval may be empty", Book.place, "self.counter + 1 + random", "self.counter + random"
    ),
}  # fmt: skip

_COLLECTING: Final = {
    "request in memory": Slip(
        "a Request is sent, and kept in memory alone", payee.ask, "context.persist(asked)", "book.apply(asked)"
    ),
    "close in memory": Slip(
        "a request is closed in memory alone", payee.close,
        'context.persist(Answered(outcome, b""))', 'context.book.apply(Answered(outcome, b""))',
    ),
    "answered twice": Slip(
        "a request that was closed is decided again", outcome.answer,
        "    elif question.outcome is None:",
        "    elif question.outcome is None or not isinstance(question.outcome.body, ReceiptBody):",
    ),
    "repeated wrongly": Slip(
        "a stored Receipt is repeated as if it were for what is shown", outcome.send_outcome,
        "if not fresh and not answers(", "if not fresh and answers(",
        "only who forges shows another transfer: tests/unit/test_taps.py",
    ),
    "receipt without its transfer": Slip(
        "what was accepted is not kept", outcome.decide, "Answered(outcome, kept)", 'Answered(outcome, b"")'
    ),
    "one receipt more": Slip(
        "a payee accepts one payment above its limit", outcome.examine,
        "book.since.receipts >= tier.receipts", "book.since.receipts > tier.receipts",
    ),
    "epoch of the request": Slip(
        "a Close carries its request's date, which may lie before the tape's", Book.close_of,
        "self.trust.epoch", "self.questions[request].asked.epoch",
    ),
    "a date ahead": Slip(
        "a payee accepts what is dated after the day it knows", outcome.examine,
        "if message.epoch > trust.epoch:", "if message.epoch > trust.epoch + limits.EPOCH_STEP:",
    ),
    "no date is brought": Slip(
        "a payer does not prove its date to a payee that is behind", heal.transfer_message,
        "context.peer_epoch < trust.epoch", "context.peer_epoch > trust.epoch",
    ),
    "header too far ahead": Slip(
        "a tap moves the date by any step", Trust.adopt,
        "if not any_step and header.epoch > self.epoch + limits.EPOCH_STEP:", "if False:",
    ),
    "date goes back": Slip(
        "an older header replaces a later one", Trust.adopt, "header.epoch < self.epoch or ", "",
    ),
    "hotlist blocks healing": Slip(
        "a key on the hotlist heals nothing", Context.prove,
        "trust.check_genuine(certificate)", "trust.check_wallet(certificate, 0)",
    ),
    "outcome not verified": Slip(
        "a payer believes an outcome that nobody signed", heal.take_outcome,
        "verify(outcome.signature, outcome.id)", "pass",
    ),
    "former key not asked for": Slip(
        "what is in doubt to a key that was changed is not recalled", recall.recall,
        "payee not in context.proved", "payee in context.proved",
    ),
}  # fmt: skip

_BOOK: Final = {
    "warrant of another": Slip(
        "what is restored is proved by another request's opening", Book._heal,
        "Warrant(transfer.shown().answered(), outcome)", "Warrant(self.tape[-1].shown().answered(), outcome)",
    ),
    "restored in one place": Slip(
        "all spans that come back come from the first", Book._heal,
        "Parent(key, Side.PAYER, index)", "Parent(key, Side.PAYER, 0)",
    ),
    "signature lost": Slip(
        "a tail's signature is not written with the next entry", Book.encoded,
        "return data if unsaved is None", "return data if data",
    ),
    "compaction loses doubts": Slip(
        "a compacted log keeps one transfer in doubt", snapshot_of,
        "tuple(account.pending.values())", "tuple(account.pending.values())[-1:]",
    ),
    "outcomes forgotten": Slip(
        "a compacted log forgets requests after a week", snapshot_of, "limits.MAX_LIFE", "7"
    ),
    "baskets forgotten": Slip(
        "a compacted log keeps one request of each part", Book._restore,
        "self.parts.setdefault((asked.basket, asked.part), []).append(asked.request)",
        "self.parts[asked.basket, asked.part] = [asked.request]",
    ),
    "the past fills a log": Slip(
        "what a small log keeps of the past is not bounded by it", Profile.history,
        "min(HISTORY, self.log // HISTORY_ROOM)", "HISTORY",
        "no life has so long a past: tests/unit/test_kept_history.py",
    ),
    "predecessor unknown": Slip(
        "an unsigned first entry after a sync shuts the wallet", Book.tail_ids, "else self.previous)", 'else b"")'
    ),
    "no room reserved": Slip(
        "room is not kept for outcomes that are to come", Book.reserve, "self.reserved() + size", "size",
        "tests/unit/test_rules_of_taps.py: no log of a life fills up so far",
    ),
    "told too much": Slip(
        "what was signed while a reply was on its way counts as told", syncing.finish,
        "prepared.told_of(wallet.book))", "wallet.book.counter)",
    ),
    "requests left open": Slip(
        "a sync, or a rotation, leaves requests open", syncing.prepare, "list(wallet.book.open)", "[]"
    ),
    "signed, then written": Slip(
        "an entry of a sync is signed before it is durable", syncing.enter,
        "    wallet.write(entry)\n    signature = sign_with(wallet.keystore, statement)\n",
        "    signature = sign_with(wallet.keystore, statement)\n    wallet.write(entry)\n",
    ),
    "a unit twice in a deposit": Slip(
        "spans of one token that overlap are handed in together", syncing._batches, "and not clash", "",
        "a wallet that knows both ways of a unit takes it once: tests/unit/test_rules_of_syncs.py",
    ),
    "a unit twice in a payment": Slip(
        "spans of one token that overlap pay together", select._take,
        "piece.token == c.token and piece.start < c.end and c.start < piece.end", "False",
        "a wallet that knows both ways of a unit takes it once: tests/unit/test_rules_of_taps.py",
    ),
    "another's outcome": Slip(
        "an outcome that a sync brings heals all that its payee was paid", sync.take_reply,
        "transfer.body.payee == outcome.key and transfer.shown().request == outcome.body.request",
        "transfer.body.payee == outcome.key",
        "who heals before it pays has one doubt for each payee's key: tests/unit/test_rules_of_syncs.py",
    ),
    "a doubt ends early": Slip(
        "a transfer in doubt is given up on the last day to claim it", sync.take_reply,
        "book.claim_by(sent.transfer) < trust.epoch", "book.claim_by(sent.transfer) <= trust.epoch",
    ),
    "outcomes of a sync lost": Slip(
        "outcomes that a sync brings are not written", sync.take_reply, "*healed.values(), ", ""
    ),
    "heir joins before it is told": Slip(
        "a retired key does not hand back what it holds", syncing.prepare,
        "deposited += _deposit(wallet, random, list(wallet.book.holdings), ())", "pass",
    ),
    "retired with nothing to do": Slip(
        "a retired wallet with doubts alone does not sync", rotation.has_business,
        "book.tape or book.holdings or book.pending or book.heard or book.witnessed", "book.tape or book.holdings",
    ),
}  # fmt: skip

_VALUE: Final = {
    "warrant for any request": Slip(
        "a warrant need not be an outcome of the request", provenance.check_warrant,
        "or outcome.body.request != warrant.opening.request", "",
        "on the wire a warrant is for its transfer's request: tests/unit/test_provenance.py",
    ),
    "one unit beyond": Slip(
        "a span may end one unit behind its parent", check_origins,
        "start < end <= origin.end:", "start < end <= origin.end + 1:",
    ),
    "any owner": Slip(
        "whoever signs spends", check_origins, "if origin.owner != transfer.key:", "if False:"
    ),
    "hops not counted": Slip(
        "value never travels too far", Graph._trace, "up.hops + 1", "up.hops"
    ),
    "restorations not counted": Slip(
        "value is restored any number of times", Graph._trace, "up.restored + 1", "up.restored"
    ),
    "spent until claimed": Slip(
        "value is taken until its last day to claim", provenance.offline_refusal, "token.spend_by", "token.claim_by"
    ),
    "an expired payer pays": Slip(
        "a payer's certificate need not be valid now", provenance.verify,
        "trust.check_wallet(graph.certificates[transfer.key], accept.epoch)",
        "trust.check_genuine(graph.certificates[transfer.key])",
    ),
    "what it holds is not compared": Slip(
        "a payee accepts what it can see is spent otherwise", provenance.verify,
        "check_conflicts(graph, known)", "check_conflicts(graph, None)",
    ),
    "receipt of another is no warrant": Slip(
        "a warrant that is another's Receipt travels as a Close", provenance._proof,
        "other = outcome.body.transfer", "pass",
    ),
}  # fmt: skip

_CHIP: Final = {
    "place one too low": Slip(
        "a keystore lets places touch by one", keystore.check_tape,
        "opening.prev < head.ctr", "opening.prev < head.ctr - 1",
    ),
    "head stays behind": Slip(
        "a keystore remembers where an entry begins", keystore.check_tape, "Head(opening.ctr,", "Head(opening.prev,"
    ),
    "retired chip pays": Slip(
        "a keystore that was retired signs transfers", keystore.check_tape,
        "if head.successor and kind is Kind.TRANSFER and opening.request != ZERO:", "if False:",
    ),
    "skip not caught up with": Slip(
        "a counter that skipped past a signed entry is not taken over", Wallet._finish_tail,
        "max(book.counter, self.keystore.head.ctr)", "book.counter",
    ),
    "moved too little": Slip(
        "an unsigned tail is moved, and overlaps what the counter skipped", Wallet._finish_tail,
        "Moved(tail.id, head.ctr, head.ctr + 1)", "Moved(tail.id, head.ctr - 1, head.ctr + 1)",
    ),
    "old half retired first": Slip(
        "a log is retired before its successor is durable", SlotStore._move,
        "    self._confirm(target * self._half, entry)\n    self._retire(self._live, generation)\n",
        "    self._retire(self._live, generation)\n    self._confirm(target * self._half, entry)\n",
        seed=TORN_SHARE,
    ),
    "no sync after a write": Slip(
        "an append is acknowledged before it is synced", SlotStore.append, "self._flash.sync()", "pass",
        seed=TORN_SHARE,
    ),
}  # fmt: skip

_LEDGER: Final = {
    "touching is a conflict": Slip(
        "a ledger names who spends two spans that touch", marks.chain, "item[0] < best[1] and", "item[0] <= best[1] and"
    ),
    "long places forgotten": Slip(
        "a ledger does not look for places that begin before", naming.beside, "t.prev > w.b - 64", "t.prev >= w.b"
    ),
    "a receipt kills nothing": Slip(
        "a ledger takes a transfer for dead by a Close alone", Following._name,
        "any(outcome.transfer != row.transfer for", "any(not outcome.transfer for",
    ),
    "stamped as it says": Slip(
        "a ledger stamps an upload with the date that its wallet says", Ledger.sync,
        "Ingest(self.store, self.trust, self.institutions, epoch)",
        "Ingest(self.store, self.trust, self.institutions, item.epoch)",
    ),
    "an upload twice": Slip(
        "a ledger takes an upload again", Ledger.sync, "if not self.store.take_challenge(item.challenge):", "if False:"
    ),
    "a token twice": Slip(
        "a ledger gives out the last token again", Store.deliveries, "number > %s", "number >= %s"
    ),
    "told as deposited": Slip(
        "a deposit that is not credited counts as done", Ledger._reply, " if row.credited", "",
        "what an honest wallet hands in is whole when it is told: tests/unit/test_standing.py",
    ),
    "not on the last day": Slip(
        "a deposit on the last day is not credited", World.credits_of, "epoch <= last", "epoch < last"
    ),
    "in doubt is the payee's": Slip(
        "what is in doubt is settled to its payee", World._follow,
        "[there._replace(holder=payer, lot=Lot.IN_DOUBT)]", "[there]",
    ),
    "settled a day early": Slip(
        "a token is settled on the last day to claim it", settling._due,
        "token.claim_by < epoch", "token.claim_by <= epoch",
    ),
    "a cheat's share": Slip(
        "who is named is paid before the honest", guarantee.backing, "if key not in named}\n    pot", "}\n    pot"
    ),
    "not listed": Slip(
        "who is named is not on the hotlist", Ledger._revise, "if expires >= epoch", "if expires < epoch"
    ),
    "a retired key's token": Slip(
        "a token is issued to a key that was succeeded", Ledger.issue, "self.lines.present(owner)", "owner"
    ),
    "renewed twice": Slip(
        "what a deposit is renewed with counts restored units twice", renewals.fresh_tokens,
        "+= credit.amount", "+= credit.amount + bool(dates)",
    ),
    "any heir": Slip(
        "a key may name a second successor", Lines.admit, "if known is None and self._is_fresh(heir):", "if True:",
    ),
}  # fmt: skip

SLIPS: Final[dict[str, Slip]] = {**_PAYING, **_COLLECTING, **_BOOK, **_VALUE, **_CHIP, **_LEDGER}
"""By name."""

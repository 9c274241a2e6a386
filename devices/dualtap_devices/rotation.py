"""A device that changes its key at a sync (SPEC §20): the old wallet is retired, a fresh one goes on.

A device is then one current wallet and some retired ones. A retired wallet heals what it was part of, and hands back
what comes to it; it goes when nothing can need it any more.
"""

from __future__ import annotations

from typing import Protocol

from dualtap import limits
from dualtap.book import Book
from dualtap.errors import Code, TapError
from dualtap.records import Carried, News, Spent
from dualtap.suite import Drbg
from dualtap.sync import Reply, take_reply
from dualtap_devices.pin import KeptPin
from dualtap_devices.syncing import Prepared, SyncReport, finish, prepare
from dualtap_devices.wallet import Wallet


class Reach(Protocol):
    """How a device reaches its issuer: :func:`dualtap_devices.syncing.tell`, or through a carrier."""

    def __call__(self, wallet: Wallet, prepared: Prepared) -> Reply:
        """Return the reply to this upload; raise ``ISSUER_UNREACHABLE``, or as a link does."""
        ...


def rotate(wallet: Wallet, heir: Wallet, reach: Reach, entropy: bytes) -> SyncReport:
    """Move a device from ``wallet`` to ``heir``, a wallet with a fresh key that has joined no scheme.

    Torn anywhere, it can be repeated, with the same heir. From the moment in which the wallet's log names the heir,
    the wallet is retired; once the heir has its certificate it is the device's wallet, and ``heir.retired`` holds the
    others. Raises what the issuer or the carrier raise, ``RETIRED`` if the wallet has named another heir, or
    ``WRONG_CERTIFICATE`` while the issuer does not certify it. ``entropy`` is 32 fresh bytes. SPEC §20-3 to §20-8.
    """
    random = Drbg(entropy)
    if wallet.book.successor is None:
        # Who cannot reach the issuer must not be left without a key that pays.
        wallet.check()
        _sync(wallet, reach, random, deposit=False)
    inherit(wallet, heir)
    prepared = prepare(wallet, random, deposit=True, heir=heir.keystore)
    reply = reach(wallet, prepared)
    if reply.successor is None:
        finish(wallet, prepared, reply)
        raise TapError(Code.WRONG_CERTIFICATE, "the issuer has not certified the new key")
    _join(heir, reply, wallet.book.spent)
    first = finish(wallet, prepared, reply)
    heir.retired = (*wallet.retired, wallet)
    wallet.retired = ()
    return _sum([first, sync_device(heir, reach, random, deposit=False)])


def inherit(wallet: Wallet, heir: Wallet) -> None:
    """Give the heir's keystore the PIN of the wallet's, where each is emulated: in one chip both keys have one PIN."""
    old, new = wallet.keystore.pin, heir.keystore.pin
    if isinstance(old, KeptPin) and isinstance(new, KeptPin):
        new.inherit(old)


def _join(heir: Wallet, reply: Reply, spent: Spent) -> None:
    """Let the heir take its certificate and what the scheme says, if both are genuine (SPEC §20-7)."""
    news = News(reply.successor, reply.news.authorities, reply.news.header, reply.news.policy)
    heir.write(*take_reply(heir.book, Reply(news, (), (), (), 0), 0), Carried(spent._replace(verified=0)))


def sync_device(wallet: Wallet, reach: Reach, random: Drbg, deposit: bool, *, renew: bool = False) -> SyncReport:
    """Sync a device: first the retired wallets that have something to tell, then the present one.

    What a retired wallet hands back comes to the present one as fresh tokens in the same call (SPEC §20-9). ``deposit``
    and ``renew`` are for the present one, as in :func:`dualtap_devices.syncing.prepare`.
    """
    reports = [_sync(old, reach, random, deposit=False) for old in wallet.retired if has_business(old)]
    return _sum([*reports, _sync(wallet, reach, random, deposit=deposit, renew=renew)])


def _sum(reports: list[SyncReport]) -> SyncReport:
    return SyncReport(
        sum(one.closed for one in reports),
        sum(one.deposited for one in reports),
        sum(one.funded for one in reports),
        sum(one.healed for one in reports),
        sum(one.renewed for one in reports),
    )


def _sync(wallet: Wallet, reach: Reach, random: Drbg, *, deposit: bool, renew: bool = False) -> SyncReport:
    prepared = prepare(wallet, random, deposit, renew=renew)
    return finish(wallet, prepared, reach(wallet, prepared))


def has_business(old: Wallet) -> bool:
    """Return whether a retired wallet has something to tell its issuer, or to ask."""
    book = old.book
    return bool(book.tape or book.holdings or book.pending or book.heard or book.witnessed)


def last_use(book: Book) -> int:
    """Return the last epoch in which a retired key can be needed: to answer for its requests, or to be answered.

    SPEC §20-10.
    """
    asked = [question.asked.epoch + limits.MAX_LIFE for question in book.questions.values()]
    sent = [book.claim_by(item.transfer) for item in book.pending.values()]
    return max([0, *asked, *sent])


def is_over(old: Wallet, epoch: int) -> bool:
    """Return whether a retired wallet can go: its business is told, and its last use is past at ``epoch``."""
    return not has_business(old) and last_use(old.book) < epoch

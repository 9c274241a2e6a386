"""The bench on which a device is tested: the stage, a way to reach the device, and what it showed so far."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dualtap.errors import Code, TapError
from dualtap.issued import AuthorityCertificate, Header, Token, WalletCertificate
from dualtap.provenance import rebuild
from dualtap.statements import Transfer
from dualtap.states import Part
from dualtap.suite import Signer, sha256
from dualtap.trust import Trust, issue
from dualtap.wire import TransferMessage, Want, Welcome
from dualtap_conform.memory import Holdings, Memory
from dualtap_conform.puppet import Failure, Puppet
from dualtap_conform.setup import Setup
from dualtap_conform.stage import Stage, secret_of
from dualtap_transports.link import Link

if TYPE_CHECKING:
    from dualtap_conform.till import Paid

ENOUGH = 4
"""Taps without a Welcome, one after another, after which a device is given up."""
DEVICE = "the device"
"""The name as which the tester signs with the device's own key, which its setup shows."""


class Bench:
    """One run against one device.

    ``connect`` opens a link to it; ``run`` (fresh bytes) makes the peers of this run others than any before;
    ``patience`` and ``quiet`` are seconds to wait: for an answer, and where none should come.
    ``late`` is how long a Pong takes that comes too late on any link (SPEC §24-3), in seconds.
    """

    def __init__(
        self,
        setup: Setup,
        part: Part,
        connect: Callable[[], Link],
        run: bytes,
        patience: float = 10.0,
        quiet: float = 0.5,
        late: float = 0.2,
    ) -> None:
        self.setup, self.part, self.connect, self.run = setup, part, connect, run
        self.patience, self.quiet, self.late = patience, quiet, late
        self.stage = Stage(setup.suite)
        if self.stage.scheme.root != setup.root:
            raise TapError(Code.BAD_INPUT, "a setup of another scheme; write one by `dualtap conform setup`")
        self.scheme = self.stage.scheme
        self.date = setup.header.epoch
        """The date that the device should know."""
        self.memory = Memory()
        trust = self.trust()
        self.holdings = Holdings({trust.token_id(token): token for token in setup.tokens}, setup.certificate.key)
        self.failures: list[Failure] = []
        """What failed in a check of many cases, which goes on all the same."""
        self.doubt: Paid | None = None
        """A transfer that an earlier check left in doubt, for the next that needs one."""
        self.gone = ""
        """Why the device was given up, or nothing."""
        self._count = self._unanswered = 0

    @property
    def key(self) -> bytes:
        """The device's key."""
        return self.setup.certificate.key

    def trust(self, *more: AuthorityCertificate, header: Header | None = None) -> Trust:
        """Return what an honest peer of this scheme believes."""
        trust = Trust(self.scheme)
        trust.learn((*self.setup.authorities, *more))
        trust.adopt(header or self.stage.header(self.date), any_step=True)
        trust.set_policy(self.stage.policy())
        return trust

    def fresh(self, what: str) -> str:
        """Return a name that was never used before."""
        self._count += 1
        return f"{what} {self._count} of {self.run.hex()}"

    def draw(self, size: int) -> bytes:
        """Return bytes that were never used before."""
        return sha256(self.fresh("draw").encode())[:size]

    def token(self, owner: str, amount: int, serial: str = "") -> Token:
        """Return a token of a peer."""
        return self.stage.token(owner, amount, serial)

    def certify(self, blank: WalletCertificate) -> WalletCertificate:
        """Return any certificate, signed by the bank."""
        return issue(self.scheme, self.stage.signer("bank"), blank)

    def signer(self, name: str) -> Signer:
        """Return what signs as a name, or as the device itself."""
        if name == DEVICE:
            return self.scheme.suite.signer(secret_of(self.scheme.suite, self.setup.private))
        return self.stage.signer(name)

    def rebuilt(self, message: TransferMessage, request: bytes) -> Transfer:
        """Return the transfer in a message to the device, answering the request with this id."""
        try:
            trust = self.trust(*message.authorities)
        except TapError:  # they are what is wrong with it
            trust = self.trust()
        return rebuild(trust, message, self.key, request).transfer

    def issue(self, blank: Token) -> Token:
        """Return any token, signed by the institution."""
        return issue(self.scheme, self.stage.signer("institution"), blank)

    @contextmanager
    def case(self, clause: str) -> Generator[None]:
        """Run one of many cases of a check: if it fails, the others are run all the same."""
        try:
            yield
        except Failure as failure:
            self.failures.append(Failure(failure.expected, failure.got, failure.clause or clause))

    @contextmanager
    def meet(self, want: Want | None = None) -> Generator[Puppet]:
        """Yield one tap in which nothing was said yet, as the part that the device does not play."""
        if want is None:
            want = Want.PAY if self.part is Part.PAYEE else Want.COLLECT
        if self.gone:
            raise Failure("the device there for another tap", self.gone)
        try:
            link = self.connect()
        except TapError as error:
            if not self.memory.sessions:
                raise
            self.gone = "the device did not come back"
            raise Failure("the device there for another tap", str(error)) from None
        ephemeral = self.scheme.suite.ephemeral(self.draw(32))
        with Puppet(self.scheme, link, ephemeral, want, self.patience, self.quiet) as puppet:
            puppet.hears = self.memory.heard
            try:
                yield puppet
            finally:
                self._answered(puppet)

    def _answered(self, puppet: Puppet) -> None:
        """Give a device up that did not greet several times running: nobody waits for a dead one."""
        if puppet.channel is not None:
            self._unanswered = 0
        elif puppet.greeted:
            self._unanswered += 1
            if self._unanswered >= ENOUGH:
                self.gone = f"the device gave no Welcome {self._unanswered} times"

    @contextmanager
    def tap(self, want: Want | None = None) -> Generator[Puppet]:
        """Yield one tap whose channel stands."""
        with self.meet(want) as puppet:
            self.saw(puppet.greet())
            yield puppet

    def saw(self, welcome: Welcome) -> None:
        """Keep what a Welcome showed."""
        self.memory.saw_ephemeral(welcome.ephemeral)

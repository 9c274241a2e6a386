"""The sessions of syncs (SPEC §14-14 to §14-22), each under a name that this service chooses. It knows no HTTP.

A session holds its challenge itself. The ledger is told of it together with the upload, so that strangers' Hellos
write nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from dualtap.errors import Code, TapError
from dualtap.events import Received, Send
from dualtap.sealedsync import IssuerSync, Prove, Take, Taken
from dualtap.suite import sha256
from dualtap_issuer.authority import Signers
from dualtap_issuer.ledger import Ledger
from dualtap_issuer.service.clerk import Clerk
from dualtap_issuer.service.logs import Say
from dualtap_issuer.service.metrics import Metrics
from dualtap_issuer.service.problems import Problem
from dualtap_issuer.service.settings import Settings


@dataclass(slots=True)
class _Session:
    """One sync: its machine, the entropy of its challenge, when it began and was last heard of, if it waits."""

    sync: IssuerSync
    entropy: bytes
    began: float
    heard: float
    busy: bool = False


def challenge_of(entropy: bytes) -> bytes:
    """Return the challenge that :meth:`Ledger.challenge` gives for this entropy."""
    return sha256(b"dualtap challenge" + entropy)


class Desk:
    """Takes the frames of many syncs and gives the answers."""

    def __init__(
        self,
        clerk: Clerk,
        authority: Signers,
        settings: Settings,
        metrics: Metrics,
        say: Say,
        clock: Callable[[], float],
        epoch: Callable[[], int],
    ) -> None:
        """``clock`` gives seconds that only grow; ``epoch`` the date that syncs are stamped with."""
        self._clerk, self._authority, self._settings = clerk, authority, settings
        self._metrics, self._say, self._clock, self._epoch = metrics, say, clock, epoch
        self._sessions: dict[str, _Session] = {}
        self.closing = False
        metrics.counter("dualtap_syncs_total", "Syncs by how they ended.")
        metrics.gauge("dualtap_sessions", "Syncs that are open.", lambda: len(self._sessions))
        metrics.gauge("dualtap_session_bytes", "Bytes of uploads and replies in memory.", self._held)

    @property
    def open(self) -> int:
        """Syncs that have not ended."""
        self._forget()
        return len(self._sessions)

    def _held(self) -> int:
        return sum(session.sync.held for session in self._sessions.values())

    def _forget(self) -> None:
        """Drop the sessions that are too old, or silent for too long."""
        now = self._clock()
        silence = self._settings.lull if self.closing else self._settings.idle
        for name, session in list(self._sessions.items()):
            late = now - session.heard > silence or now - session.began > self._settings.life
            if late and not session.busy:
                self._end(name, "expired")

    def _end(self, name: str, how: str) -> None:
        if self._sessions.pop(name, None) is not None:
            self._metrics.add("dualtap_syncs_total", result=how)

    async def begin(self, hello: bytes) -> tuple[str, bytes]:
        """Take a Hello; return the session's name and the Welcome. Raises a 503, or a 400 for what is no Hello."""
        self._forget()
        if self.closing:
            raise Problem.busy("this service is stopping")
        if len(self._sessions) >= self._settings.sessions:
            raise Problem.busy("too many syncs are open")
        suite = self._authority.scheme.suite
        ephemeral = suite.ephemeral(secrets.token_bytes(32))
        now = self._clock()
        session = _Session(
            IssuerSync(self._authority.scheme, ephemeral, self._settings.upload), secrets.token_bytes(32), now, now
        )
        try:
            answer = await self._step(session, hello)
        except TapError as error:
            raise Problem.of(error, 400) from error
        name = secrets.token_urlsafe(16)
        self._sessions[name] = session
        return name, answer

    async def go_on(self, name: str, frame: bytes) -> bytes:
        """Take a later frame; return the answer. Raises a 404 for a session that is not open, 400, 409 or 503."""
        self._forget()
        session = self._sessions.get(name)
        if session is None:
            raise Problem(404, "this sync is not open: it has ended, or was silent for too long; begin another")
        if session.busy:
            raise Problem(409, "this sync is still busy with its last frame; begin another if its answer was lost")
        if self._held() + len(frame) > self._settings.held:
            self._end(name, "shed")
            raise Problem.busy("too much is being uploaded")
        session.busy, session.heard = True, self._clock()
        stored = False
        try:
            answer = await self._step(session, frame)
            stored = session.sync.stored
        except TapError as error:
            self._end(name, "broken")
            raise Problem.of(error, 400) from error
        except Exception:
            self._end(name, "failed")
            raise
        finally:
            session.busy, session.heard = False, self._clock()
        if session.sync.ended:
            self._end(name, "stored" if stored else "refused")
        return answer

    async def _step(self, session: _Session, frame: bytes) -> bytes:
        effect = session.sync.step(Received(frame))
        while not isinstance(effect, Send):
            match effect:
                case Prove(transcript):
                    proved = self._authority.office.proof_for(transcript, challenge_of(session.entropy))
                    effect = session.sync.step(proved)
                case Take(upload):
                    effect = session.sync.step(await self._store(session.entropy, upload))
        return effect.frame

    async def _store(self, entropy: bytes, upload: bytes) -> Taken:
        """Have the ledger take an upload: what it answers is durable."""

        def take(ledger: Ledger) -> bytes:
            ledger.challenge(entropy)
            return ledger.sync(upload, self._epoch())

        try:
            return Taken(await self._clerk.do(take))
        except TapError as error:
            name = error.code.name if isinstance(error.code, Code) else str(error.code)
            self._say("refused", code=name)
            return Taken(b"", error.code)

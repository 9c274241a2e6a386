"""What a tap's driver and an owner's session have in common: events go in, frames come out, until it ends."""

from __future__ import annotations

from abc import ABC, abstractmethod

from dualtap.errors import Code, TapError
from dualtap.events import Begin, Event, Received, Stop
from dualtap_transports.link import Link


class Conversation(ABC):
    """One end of a session, whatever is said in it."""

    @property
    @abstractmethod
    def ended(self) -> bool:
        """Whether it is over."""

    @abstractmethod
    def feed(self, event: Event) -> list[bytes]:
        """Take an event and carry out every effect that follows; return the frames to send."""

    def patience(self, timeout: float | None) -> float | None:
        """Return how long to wait for the next frame, in seconds."""
        return timeout

    def begin(self) -> list[bytes]:
        """Start; return the frames to send."""
        return self.feed(Begin())

    def receive(self, frame: bytes) -> list[bytes]:
        """Take a frame; return the frames to send."""
        return self.feed(Received(frame))

    def stop(self, code: Code) -> None:
        """End it because the link ended, or the person gave up."""
        if not self.ended:
            self.feed(Stop(code))


def hold(conversation: Conversation, link: Link, timeout: float | None) -> None:
    """Hold a conversation over a link, and close that; where it fails, both end. ``timeout``: seconds for a frame."""
    try:
        _send(conversation, link, conversation.begin())
        while not conversation.ended:
            try:
                frame = link.receive(conversation.patience(timeout))
            except TapError as error:
                conversation.stop(error.code if isinstance(error.code, Code) else Code.LINK_LOST)
                break
            _send(conversation, link, conversation.receive(frame))
    finally:
        link.close()


def _send(conversation: Conversation, link: Link, frames: list[bytes]) -> None:
    for frame in frames:
        try:
            link.send(frame)
        except TapError:
            conversation.stop(Code.LINK_LOST)
            return

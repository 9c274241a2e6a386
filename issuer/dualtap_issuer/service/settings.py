"""What the service takes on at most, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """Limits. Who meets one is told to come back (503), or that it asks too much (413), and nothing has changed."""

    sessions: int = 512
    """Syncs at once: each costs some kilobytes before its upload begins."""
    upload: int = 8 * 1024 * 1024
    """Bytes of one upload: several thousand payments, which is more than a device's log holds."""
    held: int = 64 * 1024 * 1024
    """Bytes of uploads and replies in memory at once."""
    waiting: int = 64
    """Calls that wait for the ledger: it takes some hundred syncs a second, so that none waits long."""
    requests: int = 256
    """Requests at once, on each listener."""
    body: int = 64 * 1024
    """Bytes of an administrative call's body."""
    idle: float = 15.0
    """Seconds between two frames of a sync, after which it is forgotten: the wallet begins another."""
    life: float = 120.0
    """Seconds that one sync may last."""
    connections: int = 512
    """Connections at once, on each listener: half of the files that a process may open by default."""
    reading: float = 5.0
    """Seconds in which a request's head must have come, and then its body."""
    draining: float = 10.0
    """Seconds in which syncs may end after the order to stop."""
    lull: float = 2.0
    """Seconds of silence after which a sync is given up then: the wallet is gone, or begins another elsewhere."""

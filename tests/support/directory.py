"""A local network's directory in this process's memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Event

from dualtap_transports.mdns import Announced, Place

LOCAL = "127.0.0.1"


class Announcement:
    def __init__(self, directory: MemoryDirectory, name: str) -> None:
        self._directory, self._name = directory, name

    def close(self) -> None:
        self._directory.places.pop(self._name, None)


class MemoryDirectory:
    """What is announced, at once and to everybody in this process; places may be added by hand."""

    def __init__(self) -> None:
        self.places: dict[str, Place] = {}
        self.announced = Event()

    def announce(self, name: str, port: int, host: str) -> Announced:
        self.places[name] = Place((host,), port)
        self.announced.set()
        return Announcement(self, name)

    def look(self, host: str, wanted: Callable[[Sequence[str]], bool], timeout: float | None) -> tuple[str, ...]:
        assert host == LOCAL
        names = tuple(self.places)
        wanted(names)
        return names

    def resolve(self, name: str, host: str) -> Place | None:
        assert host == LOCAL
        return self.places.get(name)

"""The append-only log of administrative calls: each line names the one before it by its hash.

A line is written and durable before the call is carried out, and another when it has ended. Who cuts out or changes a
line breaks every hash after it; who cuts off the end is found by whoever has noted the last hash elsewhere.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from dualtap.errors import Code, TapError

_FIRST = "0" * 64


class Journal:
    """A file of JSON lines. One process has it open."""

    def __init__(self, path: Path) -> None:
        """Open or make the file; raise ``IN_USE``, or ``STORE_FAILED`` if a line does not follow the one before it."""
        self._file = io.FileIO(path, "ab+", opener=lambda name, flags: os.open(name, flags, 0o600))
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise TapError(Code.IN_USE, f"{path}: each service has its own, name another by --admin-log") from None
        self._file.seek(0)
        data = self._file.read()
        whole, _, torn = data.rpartition(b"\n")
        if torn:
            # A cut before the line was durable: what it announced was not carried out.
            self._file.truncate(len(data) - len(torn))
        self._end = len(data) - len(torn)
        try:
            self.count, self.last = verify(whole)
        except TapError:
            self._file.close()
            raise

    def write(self, **fields: object) -> int:
        """Append a line, durably, and return its number; raise ``STORE_FAILED``, and the next line takes its place."""
        line = json.dumps({"n": self.count + 1, **fields, "prev": self.last}).encode()
        try:
            self._file.truncate(self._end)  # two lines of one number would look like a log that somebody has changed
            if self._file.write(line + b"\n") != len(line) + 1:
                raise OSError(errno.ENOSPC, "no room for a whole line")
            os.fsync(self._file.fileno())
        except OSError as error:
            raise TapError(Code.STORE_FAILED, f"the log of administrative calls: {error.strerror}") from error
        self._end += len(line) + 1
        self.count, self.last = self.count + 1, hashlib.sha256(line).hexdigest()
        return self.count

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def verify(data: bytes) -> tuple[int, str]:
    """Return how many lines there are and the last one's hash; raise ``STORE_FAILED`` where one was changed."""
    count, last = 0, _FIRST
    for line in data.splitlines():
        try:
            found: object = json.loads(line)
        except ValueError:
            found = None
        fields: Mapping[str, object] = cast("Mapping[str, object]", found) if isinstance(found, dict) else {}
        if fields.get("n") != count + 1 or fields.get("prev") != last:
            raise TapError(Code.STORE_FAILED, f"line {count + 1} of the log of administrative calls was changed")
        count, last = count + 1, hashlib.sha256(line).hexdigest()
    return count, last

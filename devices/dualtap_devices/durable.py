"""Small files of text that are there whole, or not at all, whatever cuts the power."""

from __future__ import annotations

import os
from pathlib import Path


def write_durably(path: Path, text: str, mode: int = 0o666) -> None:
    """Put a file of this text at ``path``, durable on return: it gets its name when it is. Raises :class:`OSError`.

    ``mode`` says who may read it, as for :func:`os.open`; a draft that was left is not reused: others may read it.
    """
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    keep_names(path.parent)


def keep_names(folder: Path) -> None:
    """Make durable what a folder's files are called: a new one has no name before. Raises :class:`OSError`."""
    file = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)

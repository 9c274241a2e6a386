"""The files of a tester, read and written: what is wrong with one is said by its name and the system's word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

from dualtap.errors import Code, TapError
from dualtap_conform.setup import Json


def unusable(path: Path, error: OSError) -> TapError:
    """Return what to raise where the system refused a file."""
    return TapError(Code.BAD_INPUT, f"{path}: {error.strerror or error}")


def read_json(path: Path) -> Json:
    """Return what a file holds; raise ``BAD_INPUT``."""
    try:
        return cast("Json", json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise unusable(path, error) from error
    except (ValueError, RecursionError) as error:
        raise TapError(Code.BAD_INPUT, f"{path}: no JSON: {error}") from error


def write_json(path: Path, value: Json) -> None:
    """Write a file, in the place of any that is there; raise ``BAD_INPUT``."""
    try:
        path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise unusable(path, error) from error


def try_to_write(path: Path) -> None:
    """Raise ``BAD_INPUT`` if a file could not be written; what is there is left as it is."""
    new = not path.exists()
    try:
        path.open("ab").close()
        if new:
            path.unlink()
    except OSError as error:
        raise unusable(path, error) from error

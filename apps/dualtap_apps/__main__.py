"""``dualtap``: the command line. click loads here and nowhere below, so that the library needs none of it."""

from __future__ import annotations

import io
import sys

_STOPPED = 3
"""``Exit.DECLINED``: not imported, since a person may stop a command while it is still being loaded."""


def main() -> None:
    """Run the command line; end with one of the exit codes of :mod:`dualtap_apps.exits`."""
    try:
        _main()
    except KeyboardInterrupt:
        sys.stderr.write("dualtap: stopped\n")
        sys.exit(_STOPPED)


def _main() -> None:
    try:
        from dualtap_apps.cli import run
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.stderr.write(f"dualtap needs {error.name}: pip install 'dualtap[cli]'\n")
        sys.exit(1)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that lacks a character must not stop a command that has moved money.
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()

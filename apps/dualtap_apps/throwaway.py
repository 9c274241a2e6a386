"""A PostgreSQL server in a temporary folder, on a Unix socket only: for measurements and tests. Gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from dualtap.errors import Code, TapError


def binaries() -> Path:
    """Return the folder of initdb and pg_ctl, which Debian keeps off the path; raise ``ISSUER_UNREACHABLE``."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    if not folders:
        raise TapError(Code.ISSUER_UNREACHABLE, "PostgreSQL is not installed here: apt-get install postgresql-15")
    return folders[-1]


@contextmanager
def server(options: str) -> Generator[str]:
    """Start a server; yield the URL of its database, and stop it at the end. It refuses to run as root.

    Raises ``ISSUER_UNREACHABLE`` where PostgreSQL is not installed.
    """
    home, user = binaries(), "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        data = Path(folder) / "data"
        data.mkdir()
        if user:
            for owned in (Path(folder), data):
                shutil.chown(owned, user, pwd.getpwnam(user).pw_gid)

        def run(program: str, *arguments: str) -> None:
            subprocess.run(  # noqa: S603 - PostgreSQL's own programs, on a folder made above
                [str(home / program), "-D", str(data), *arguments],
                check=True, stdout=subprocess.DEVNULL, cwd=folder,
                user=user, group=user, extra_groups=[] if user else None,
            )  # fmt: skip

        run("initdb", "-A", "trust", "-U", "ledger", "--no-sync", "-E", "UTF8", "--locale=C")
        run("pg_ctl", "-w", "-l", str(data / "log"), "-o", f"-c listen_addresses='' -k {folder} {options}", "start")
        try:
            yield f"postgresql://ledger@/postgres?host={folder}"
        finally:
            run("pg_ctl", "-w", "-m", "fast", "stop")

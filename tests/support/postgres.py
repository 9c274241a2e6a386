"""A PostgreSQL server of the tests' own: in a temporary folder, on a Unix socket only."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg

OPTIONS = "-c listen_addresses='' -c fsync=off -c max_connections=40 -c deadlock_timeout=200ms"
"""Nothing here cuts the machine's power: what is tested is processes that die."""


def binaries() -> Path:
    """Return the folder of initdb and pg_ctl, version 15 or later; Debian keeps them off the path."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    if not folders:
        raise RuntimeError("PostgreSQL is not installed: apt-get install postgresql-15")
    return folders[-1]


class Postgres:
    """A running server."""

    def __init__(self, socket: Path) -> None:
        self.url = f"postgresql://ledger@/postgres?host={socket}"
        self._numbers = count(1)
        self._places: dict[str, str] = {}

    def place(self, name: str = ":memory:") -> str:
        """Return the URL of a ledger: of an empty one, or of the one with this name."""
        if name not in self._places or name == ":memory:":
            schema = f"ledger{next(self._numbers)}"
            with psycopg.connect(self.url, autocommit=True) as server:
                server.execute(f"CREATE SCHEMA {schema}".encode())
            self._places[name] = f"{self.url}&options=-csearch_path%3D{schema}"
        return self._places[name]

    def waits(self, name: str) -> bool:
        """Return whether the connection with this application name waits for a lock."""
        with psycopg.connect(self.url, autocommit=True) as server:
            query = "SELECT wait_event_type FROM pg_stat_activity WHERE application_name = %s"
            return server.execute(query, (name,)).fetchone() == ("Lock",)


@contextmanager
def running() -> Generator[Postgres]:
    """Start a server, and stop it, by its own pid, at the end. It refuses to run as root: then it is somebody else."""
    user = "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        data, home = Path(folder) / "data", binaries()
        data.mkdir()
        if user:
            shutil.chown(folder, user, pwd.getpwnam(user).pw_gid)
            shutil.chown(data, user, pwd.getpwnam(user).pw_gid)

        def run(program: str, *arguments: str) -> None:
            subprocess.run(
                [str(home / program), "-D", str(data), *arguments],
                check=True, stdout=subprocess.DEVNULL, cwd=folder,
                user=user, group=user, extra_groups=[] if user else None,
            )  # fmt: skip

        run("initdb", "-A", "trust", "-U", "ledger", "--no-sync", "-E", "UTF8", "--locale=C")
        run("pg_ctl", "-w", "-l", str(data / "log"), "-o", f"{OPTIONS} -k {folder}", "start")
        try:
            yield Postgres(Path(folder))
        finally:
            run("pg_ctl", "-w", "-m", "fast", "stop")

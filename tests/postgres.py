"""A Postgres of the test's own: a cluster in a new folder, on a free port."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.service import free_port


def programs() -> Path:
    """The folder of Postgres's programs, which Debian keeps out of the path."""
    places = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    if found := shutil.which("initdb"):
        places.insert(0, Path(found).parent)
    for place in places:
        if (place / "initdb").exists() and (place / "pg_ctl").exists():
            return place
    raise AssertionError("Postgres is not installed: apt-get install postgresql")


# Whatever the developer's own locale is.
_UTF8 = ("--encoding=UTF8", "--locale=C")


class Postgres:
    """Start, crash and stop a Postgres. All who reach its address may use it."""

    def __init__(self, address: str = "127.0.0.1", network: str = "") -> None:
        """`network` is that of other machines which use it, like 10.0.0.0/24."""
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self.address, self.port = address, free_port()
        self.url = f"postgresql+psycopg://postgres@{address}:{self.port}/postgres"
        # It refuses to run as root; as root its own user runs it.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(self.folder, self._user)
        self._run("initdb", "--auth=trust", "--username=postgres", *_UTF8, "--no-sync")
        if network:
            with (self.folder / "data" / "pg_hba.conf").open("a") as rules:
                rules.write(f"host all all {network} trust\n")

    def _run(self, program: str, *arguments: str) -> None:
        data = self.folder / "data"
        command = [str(programs() / program), "-D", str(data), *arguments]
        more = {}
        if self._user:
            account = pwd.getpwnam(self._user)
            more = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        done = subprocess.run(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=self.folder,
            text=True,
            **more,
        )
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        options = f"-h {self.address} -p {self.port} -k {self.folder}"
        self._run("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def crash(self) -> None:
        """As if its machine had died: no goodbye, recovery at the next start."""
        self._run("pg_ctl", "-m", "immediate", "-w", "stop")

    def remove(self) -> None:
        self._run("pg_ctl", "-m", "fast", "-w", "stop")
        shutil.rmtree(self.folder)

"""An SSH server of the test's own: on a port of the loopback, for the user who runs the tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from tests.service import free_port

# Where Debian keeps it, which is not in every user's path.
_PATH = f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin"
# Where a machine is told which processor's kernels to use, so are those that it reaches: sums of
# others differ in the last digit.
_KERNELS = ("OPENBLAS_", "NPY_", "MKL_")


class SshServer:
    """Start and stop the server. `home` holds the client's settings: `ssh 127.0.0.1` gets in."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.home = folder, free_port(), folder / "home"
        program = shutil.which("sshd", path=_PATH)
        assert program, "sshd is not installed: apt-get install openssh-server"
        self._program = program
        ssh = self.home / ".ssh"
        ssh.mkdir(parents=True, mode=0o700)
        for key in (folder / "host_key", ssh / "id_ed25519"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        public = (folder / "host_key.pub").read_text().split()[:2]
        (ssh / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {' '.join(public)}\n")
        (ssh / "config").write_text(f"Host 127.0.0.1\n  Port {self.port}\n")
        kernels = " ".join(f"{n}={v}" for n, v in os.environ.items() if n.startswith(_KERNELS))
        (folder / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\n"
            f"HostKey {folder / 'host_key'}\nAuthorizedKeysFile {ssh / 'id_ed25519.pub'}\n"
            # Folders of tests lie below one that every user may write to.
            "StrictModes no\nPermitRootLogin prohibit-password\nUsePAM no\nPidFile none\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\n"
            + (f"SetEnv {kernels}\n" if kernels else "")
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, seconds: float = 30) -> None:
        if os.geteuid() == 0:
            # Debian makes it when the machine starts, and a container does not start.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        with (self.folder / "sshd.log").open("ab") as log:
            self.process = subprocess.Popen(
                [self._program, "-D", "-e", "-f", str(self.folder / "sshd_config")],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError(f"sshd did not start: {self.log()}")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)

    def log(self) -> str:
        return (self.folder / "sshd.log").read_text(errors="replace")[-5000:]

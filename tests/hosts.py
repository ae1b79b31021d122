"""Machines for tests: Linux network namespaces on a bridge, each with an address and a hostname.

What runs on one of them has its own loopback, and meets this machine's servers at the bridge's
address only. It takes root and `ip`; where a machine does not allow it, the processes run here.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from filelock import FileLock

# Of the range for tests of networks (RFC 2544), which no other network has.
_NETWORK = "198.18.77"
_BRIDGE = "mn-tests"
_CONNECTS = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 60)"
_NAMED = 'hostname "$0" && exec "$@"'


class _Forbidden(Exception):
    """This machine does not allow namespaces; the text says why."""


@dataclass(frozen=True)
class Host:
    """A machine. `apart` is False where it is only a name for processes of this one."""

    name: str
    address: str
    apart: bool

    def command(self, *command: str) -> list[str]:
        """The command as it is started on the host; its process has the id of the one started."""
        if not self.apart:
            return [*command]
        inside = ["ip", "netns", "exec", _namespace(self.name)]
        return [*inside, "unshare", "--uts", "sh", "-c", _NAMED, self.name, *command]

    def hostname(self) -> str:
        done = subprocess.run(self.command("hostname"), check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def reaches(self, address: str, port: int) -> bool:
        """Whether a program on the host can connect to that address."""
        command = self.command(sys.executable, "-S", "-c", _CONNECTS, address, str(port))
        return subprocess.run(command, capture_output=True).returncode == 0

    def leave(self, process: subprocess.Popen[bytes]) -> None:
        """Let the host go away while it runs the process: no packet goes in or out any more.

        Where it is only a name, its processes are killed.
        """
        if self.apart:
            _ip("link", "set", _link(self.name), "down")
        else:
            kill_all(process)

    def come_back(self) -> None:
        _ip("link", "set", _link(self.name), "up")


@dataclass(frozen=True)
class Hosts:
    """Machines that are up, and the address at which they reach the servers of this one.

    `why_not` is the reason where they are processes of this machine, else empty.
    """

    address: str
    network: str
    machines: tuple[Host, ...]
    why_not: str

    @property
    def apart(self) -> bool:
        return not self.why_not

    def __str__(self) -> str:
        names = ", ".join(f"{host.name} {host.address}" for host in self.machines)
        if self.why_not:
            return f"plain processes of this machine, not network namespaces: {self.why_not}"
        return f"network namespaces on a bridge, {names}"


def kill_all(process: subprocess.Popen[bytes]) -> None:
    """A machine is lost: no process of it says goodbye."""
    everything = [*psutil.Process(process.pid).children(recursive=True), process]
    for one in reversed(everything):
        os.kill(one.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def hosts_called(*names: str) -> Iterator[Hosts]:
    """Machines of these names, from here to the block's end.

    One suite of the machine at a time: what is left of a killed one is then no other's.
    """
    lock = Path(tempfile.gettempdir()) / f"{_BRIDGE}-{os.geteuid()}.lock"
    with FileLock(lock):
        try:
            try:
                hosts = _made(names)
            except _Forbidden as reason:
                machines = tuple(Host(name, "127.0.0.1", apart=False) for name in names)
                hosts = Hosts("127.0.0.1", "127.0.0.0/8", machines, str(reason))
            yield hosts
        finally:
            _remove()


def _made(names: tuple[str, ...]) -> Hosts:
    here = f"{_NETWORK}.1"
    if os.geteuid() != 0:
        raise _Forbidden("they need root")
    _remove()
    try:
        _ip("link", "add", _BRIDGE, "type", "bridge")
        _ip("address", "add", f"{here}/24", "dev", _BRIDGE)
        _ip("link", "set", _BRIDGE, "up")
        machines = tuple(
            _joined(name, f"{_NETWORK}.{10 + number}") for number, name in enumerate(names, 1)
        )
    except (subprocess.CalledProcessError, OSError) as error:
        told = getattr(error, "stderr", None) or str(error)
        raise _Forbidden(told.strip()) from error
    return Hosts(here, f"{_NETWORK}.0/24", machines, "")


def _joined(name: str, address: str) -> Host:
    """A namespace with one end of a cable, whose other end is in the bridge."""
    space, link = _namespace(name), _link(name)
    _ip("netns", "add", space)
    _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", space)
    _ip("link", "set", link, "master", _BRIDGE, "up")
    _ip("-n", space, "address", "add", f"{address}/24", "dev", "eth0")
    for device in ("lo", "eth0"):
        _ip("-n", space, "link", "set", device, "up")
    host = Host(name, address, apart=True)
    host.hostname()
    with socket.create_server((f"{_NETWORK}.1", 0)) as server:
        if not host.reaches(*server.getsockname()):
            raise OSError(f"{address} does not reach {_NETWORK}.1: a firewall refuses it")
    return host


def _remove() -> None:
    """Take away all that has these names, and the processes that a killed suite left there."""
    with suppress(OSError):
        spaces = _ip("netns", "list", check=False).split()
        for space in (s for s in spaces if s.startswith(f"{_BRIDGE}-")):
            for process in _ip("netns", "pids", space, check=False).split():
                with suppress(ProcessLookupError):
                    os.kill(int(process), signal.SIGKILL)
            # The ends of its cable go with it, once its processes have ended.
            _ip("link", "delete", _link(space.removeprefix(f"{_BRIDGE}-")), check=False)
            _ip("netns", "delete", space, check=False)
        _ip("link", "delete", _BRIDGE, check=False)


def _namespace(name: str) -> str:
    return f"{_BRIDGE}-{name}"


def _link(name: str) -> str:
    """Of at most 15 letters, as Linux has it."""
    return f"{_BRIDGE}-{name}"[:15]


def _ip(*arguments: str, check: bool = True) -> str:
    return subprocess.run(["ip", *arguments], check=check, capture_output=True, text=True).stdout

"""The hosts of tests leave nothing behind, even where their suite was killed."""

from __future__ import annotations

import subprocess
import sys

import psutil

from tests.hosts import hosts_called

KILLED = """
import subprocess, sys
from tests.hosts import hosts_called
with hosts_called("one", "two") as hosts:
    command = hosts.machines[0].command("sleep", "3600")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    print(process.pid if hosts.apart else 0, flush=True)
    sys.stdin.read()
"""


def links_and_namespaces() -> str:
    shown = [
        subprocess.run(["ip", *what], check=True, capture_output=True, text=True).stdout
        for what in (["-brief", "link"], ["netns", "list"])
    ]
    return "".join(shown)


def test_what_a_killed_suite_left_is_removed_by_the_next(repository):
    killed = subprocess.Popen(
        [sys.executable, "-c", KILLED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=repository,
    )
    left = int(killed.stdout.readline())
    with killed:
        killed.kill()
    if not left:
        with hosts_called("one") as hosts:
            assert hosts.why_not
        return
    process = psutil.Process(left)
    assert "mn-tests-one" in links_and_namespaces()
    with hosts_called("one") as hosts:
        assert process not in psutil.process_iter() or process.status() == psutil.STATUS_ZOMBIE
        (one,) = hosts.machines
        assert one.hostname() == "one"
    assert "mn-tests" not in links_and_namespaces()

"""A suite of several processes, each with several servers, is not red by chance."""

from __future__ import annotations

import subprocess
import sys

from tests import service

DRAWN = """
from tests import service
service.PORTS = range({first}, {first} + 24)
print(*(service.free_port() for _ in range(8)), flush=True)
input()
"""


def test_no_port_is_given_twice_to_two_processes_that_draw_at_once(monkeypatch):
    first = service.free_port()
    source = DRAWN.format(first=first)
    others = [
        subprocess.Popen(
            [sys.executable, "-c", source],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    drawn = [int(port) for other in others for port in other.stdout.readline().split()]
    assert len(drawn) == len({*drawn, first}) - 1 == 16
    for other in others:
        other.communicate("\n")
        assert other.returncode == 0
    # What they held is free again.
    monkeypatch.setattr(service, "PORTS", drawn)
    assert service.free_port() in drawn

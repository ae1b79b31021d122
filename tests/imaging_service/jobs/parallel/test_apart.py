"""Calls in a process of their own."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest

from imaging_service.errors import Busy, ScanError, TooLarge
from imaging_service.jobs.parallel.apart import Apart
from tests.messages import says


@pytest.fixture(scope="module")
def apart():
    made = Apart(most=1, most_bytes=2**30)
    yield made
    made.close()


def test_a_call_s_result_and_its_errors_come_back(apart):
    process = apart.call(os.getpid, seconds=60)
    assert process != os.getpid()
    assert apart.call(pow, 2, 5, seconds=60) == 32
    with pytest.raises(ValueError, match=says("own_error.apart")):
        apart.call(int, "x", seconds=60)
    with pytest.raises(FileNotFoundError):
        apart.call(os.stat, "/no/such/file", seconds=60)
    assert apart.call(os.getpid, seconds=60) == process


def refuse():
    raise ScanError("no plate")


def test_a_refusal_keeps_its_kind(apart):
    with pytest.raises(ScanError):
        apart.call(refuse, seconds=60)


def test_what_takes_too_long_is_ended_and_the_next_call_is_answered(apart):
    first = apart.call(os.getpid, seconds=60)
    with pytest.raises(TooLarge):
        apart.call(time.sleep, 60, seconds=0.5)
    assert not Path(f"/proc/{first}").exists()
    assert apart.call(os.getpid, seconds=60) not in (first, os.getpid())


def test_what_takes_too_much_memory_is_refused(apart):
    with pytest.raises(TooLarge):
        apart.call(bytearray, 2**31, seconds=60)
    assert apart.call(pow, 2, 5, seconds=60) == 32


def test_a_process_that_ends_in_the_middle_is_a_refusal(apart):
    with pytest.raises(TooLarge):
        apart.call(os._exit, 9, seconds=60)
    assert apart.call(pow, 2, 5, seconds=60) == 32


def test_more_calls_than_places_are_refused_and_never_wait_for_ever(apart):
    apart.warm()
    slow = threading.Thread(target=apart.call, args=(time.sleep, 3), kwargs={"seconds": 60})
    slow.start()
    time.sleep(0.2)
    with pytest.raises(Busy):
        apart.call(os.getpid, seconds=0.2)
    slow.join()


def test_a_process_is_replaced_after_so_many_calls(monkeypatch):
    monkeypatch.setattr("imaging_service.jobs.parallel.apart.MOST_CALLS", 2)
    made = Apart(most=1)
    numbers = [made.call(os.getpid, seconds=60) for _ in range(3)]
    made.close()
    assert numbers[0] == numbers[1] != numbers[2]


def test_a_process_that_was_ended_while_it_waited_refuses_no_call(apart):
    first = apart.call(os.getpid, seconds=60)
    os.kill(first, signal.SIGKILL)
    while psutil.Process(first).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert apart.call(os.getpid, seconds=60) not in (first, os.getpid())

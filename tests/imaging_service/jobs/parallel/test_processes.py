from __future__ import annotations

import os
import platform
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from imaging_service.jobs.parallel.processes import (
    HEAP,
    VARIABLES,
    prepare_heaps,
    start_worker,
    thread_count,
    worker_count,
)


def threads_of_each_library() -> dict[str, int]:
    """In a process for wells, once it has computed."""
    import cv2
    import numpy as np
    from threadpoolctl import threadpool_info

    np.ones((300, 300)) @ np.ones((300, 300))
    loaded_before = "torch" in sys.modules
    import torch

    return {
        "torch was loaded": loaded_before,
        "torch": torch.get_num_threads(),
        "cv2": cv2.getNumThreads(),
        "most of BLAS and OpenMP": max(pool["num_threads"] for pool in threadpool_info()),
    } | {name: int(os.environ[name]) for name in VARIABLES}


@pytest.mark.parametrize("threads", [1, 3])
def test_a_worker_computes_with_the_threads_that_it_was_given(threads):
    with ProcessPoolExecutor(
        1, mp_context=get_context("spawn"), initializer=start_worker, initargs=(threads,)
    ) as pool:
        counts = pool.submit(threads_of_each_library).result()
    assert not counts.pop("torch was loaded")
    # Libraries take no more threads than there are cores.
    assert {min(threads, os.cpu_count())} == {min(n, os.cpu_count()) for n in counts.values()}


def faults_of_large_arrays() -> int:
    """Pages that the system must fetch to fill the same large array again and again."""
    import resource

    import numpy as np

    np.ones(20_000_000, np.uint8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(20_000_000, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_a_worker_keeps_its_memory_between_two_fields(monkeypatch):
    for name in HEAP:
        monkeypatch.delenv(name, raising=False)
    prepare_heaps()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        kept = pool.submit(faults_of_large_arrays).result()
    assert kept < 20_000_000 // 4096  # of one filling, where twenty were made


def test_what_the_user_has_set_for_the_heap_stays(monkeypatch):
    for name in HEAP:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MALLOC_ARENA_MAX", "4")
    prepare_heaps()
    assert {name: os.environ[name] for name in HEAP} == HEAP | {"MALLOC_ARENA_MAX": "4"}


@pytest.mark.parametrize(
    ("cores", "processes", "threads"), [(2, 2, 1), (2, 1, 2), (16, 1, 16), (16, 16, 1), (4, 8, 1)]
)
def test_processes_share_the_cores(monkeypatch, cores, processes, threads):
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert thread_count(processes) == threads


def test_there_is_a_process_per_core(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 12)
    assert worker_count() == 12
    assert worker_count(3) == 3

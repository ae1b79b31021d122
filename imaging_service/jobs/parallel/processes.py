"""Processes that analyse wells: how many there are, and how many threads each of them uses.

Wells are independent, so one process per core with one thread is the fastest: two processes that
each start a thread per core fight for the same cores. A process that works alone uses all of them.
"""

from __future__ import annotations

import os
import sys
import threading
from importlib import import_module
from multiprocessing import parent_process
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imaging_service.jobs.parallel.network import Address

# What the libraries of numbers read when they are first imported.
VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "POLARS_MAX_THREADS",
)
# glibc's settings, read when a process starts; other C libraries ignore them. One heap for all
# threads, so that their peaks do not add up, and none of it given back between two fields, since
# fetching it again page by page takes a sixth of the time of a large field.
HEAP = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "2000000000",
    "MALLOC_TRIM_THRESHOLD_": "2000000000",
}


def prepare_heaps() -> None:
    """Set the heap of the processes that this one starts; what the user has set stays."""
    for name, value in HEAP.items():
        os.environ.setdefault(name, value)


def worker_count(wanted: int = 0) -> int:
    """Number of processes for wells: one per core if not given."""
    return wanted or os.cpu_count() or 1


def thread_count(processes: int) -> int:
    """Threads of each of so many processes: together they use each core once."""
    return max(1, (os.cpu_count() or 1) // processes)


def limit_threads(count: int) -> None:
    """Let this process compute with `count` threads, in every library that starts its own.

    Libraries that are imported later read the environment; those that are loaded are told.
    """
    os.environ |= dict.fromkeys(VARIABLES, str(count))
    import cv2
    from threadpoolctl import threadpool_limits

    cv2.setNumThreads(count)
    threadpool_limits(count)
    if "torch" in sys.modules:
        # Its own count hides what was told to OpenMP.
        sys.modules["torch"].set_num_threads(count)


def set_up(threads: int, network: Address | None) -> None:
    """Set what a process for wells works with: its threads, and the network that it asks."""
    from imaging_service.jobs.parallel import engine

    limit_threads(threads)
    engine.Served.network = network


def start_worker(threads: int = 1, network: Address | None = None) -> None:
    """Set a new process's threads, then import slow modules while the plate is planned.

    `network` is where the network process of the GPU listens, if there is one.
    """
    threading.Thread(target=end_with_parent, daemon=True).start()
    set_up(threads, network)
    for name in (
        "imaging_service.jobs.calibrate",
        "imaging_service.jobs.well",
        "imaging_service.ingest.formats.tiff_folder",
        "skimage.segmentation",
        "skimage.morphology",
    ):
        import_module(name)


def end_with_parent() -> None:
    """End this worker when its parent ends.

    Otherwise it would write into the folder in which the next attempt works.
    """
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def warm() -> None:
    """Do nothing: as a first task, make the pool start a process."""

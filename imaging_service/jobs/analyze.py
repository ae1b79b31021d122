"""`analyze`: one plate from folder to report, in this process and a pool beside it, without server or database.

Every well is committed by its own outcome file, so the same command after a kill goes on where it stopped.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib import import_module
from multiprocessing import active_children, get_context
from pathlib import Path

from imaging_service.jobs.records import RunFolder, RunInputs, RunRecord, WellOutcome, load
from imaging_service.store.folders import sweep

Progress = Callable[[WellOutcome, int, int], None]


def worker_count(device: str, wanted: int = 0) -> int:
    """Processes for wells: one a core for CPU engines, one where a GPU does the work."""
    return wanted or (1 if device == "cuda" else os.cpu_count() or 1)


def start_worker() -> None:
    """Run in each worker process: the heavy imports, while the plate is planned."""
    for name in (
        "imaging_service.jobs.well",
        "imaging_service.ingest.tiff_folder",
        "skimage.segmentation",
        "skimage.morphology",
    ):
        import_module(name)


def warm() -> None:
    """A first task that only makes the pool start a process."""


def analyze(
    read: Callable[[], RunInputs],
    out: Path,
    *,
    device: str = "auto",
    workers: int = 0,
    progress: Progress | None = None,
) -> RunRecord:
    """Analyse a plate into the folder `out`.

    `read` gives the inputs; it is called once the first worker process is on its way, so that its imports and the reading
    of protocol, plate map and scan take place at the same time. `progress` is called after each well with its outcome,
    the number done and the number of all. Raises the errors of `read` and `identify`; bad wells are outcomes, not errors.
    """
    folder = RunFolder(out)
    # Spawned, not forked: OpenCV, torch and Polars keep threads that a fork would leave dead.
    pool = ProcessPoolExecutor(worker_count(device, workers), mp_context=get_context("spawn"), initializer=start_worker)
    try:
        # One process is enough until wells come; a second one's imports would compete with the planning.
        pool.submit(warm)
        from imaging_service.jobs.prepare import identify, lay_out

        identified, plan = identify(read())
        record = lay_out(identified, plan, folder)
        sweep(out)
        outcomes = run_wells(pool, folder, record, progress)
    except BaseException:
        # A refused input must be answered at once, not after a worker has finished its imports or its well.
        pool.shutdown(wait=False, cancel_futures=True)
        for child in active_children():
            child.terminate()
        raise
    pool.shutdown()
    from imaging_service.jobs.summary import summarise

    summarise(out, outcomes)
    return record


def run_wells(
    pool: ProcessPoolExecutor, folder: RunFolder, record: RunRecord, progress: Progress | None
) -> dict[str, WellOutcome]:
    """Calibrate, then analyse the wells that have no outcome yet."""
    from imaging_service.jobs.well import begin, calibrate, process_well

    outcomes = {w: load(WellOutcome, folder.outcome(w)) for w in record.wells if folder.outcome(w).is_file()}
    todo = [w for w in record.wells if w not in outcomes]
    if todo:
        pool.submit(begin, record.plate).result()
        pool.submit(calibrate, folder).result()
    futures = [pool.submit(process_well, folder.root, w) for w in todo]
    for future in as_completed(futures):
        outcome = future.result()
        outcomes[outcome.well] = outcome
        if progress is not None:
            progress(outcome, len(outcomes), len(record.wells))
    return outcomes

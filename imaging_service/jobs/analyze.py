"""`analyze`: one plate from folder to report in a process pool, without server or database.

Every well is committed by its own outcome file, so the same command after a kill goes on where it
stopped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from imaging_service.errors import Forbidden, MachineError, Unavailable
from imaging_service.files import only_one, sweep
from imaging_service.jobs.parallel.network import NetworkProcess, is_served, uses_gpu
from imaging_service.jobs.parallel.processes import (
    prepare_heaps,
    start_worker,
    thread_count,
    warm,
    worker_count,
)
from imaging_service.jobs.records import RunFolder, RunInputs, RunRecord, WellOutcome, load

if TYPE_CHECKING:
    from imaging_service.protocol import AssayProtocol
    from imaging_service.review.local import LocalRun

Progress = Callable[[WellOutcome, int, int], None]


def analyze_plate(
    scan: str | PathLike[str],
    plate_map: str | PathLike[str],
    protocol: str | PathLike[str] | AssayProtocol,
    out: str | PathLike[str],
    *,
    engine: str | None = None,
    device: str = "auto",
    plate: str = "",
    workers: int = 0,
    progress: Progress | None = None,
) -> LocalRun:
    """Analyse a plate here and now, as the command `imaging-service analyze` does.

    The same call after a kill goes on where it stopped. Wells are analysed by processes of their
    own, so a script needs `if __name__ == "__main__":` around the call; a notebook does not.

    Parameters
    ----------
    scan
        Folder of the plate's scan; an OME-Zarr plate may lie at `s3://BUCKET/FOLDER`.
    plate_map
        CSV, TSV, XLSX, TOML or XML: what is in each well.
    protocol
        TOML file, or a protocol that is loaded already.
    out
        Folder for tables, labels, report and record.
    engine
        The protocol's if not given.
    device
        "auto", "cpu" or "cuda".
    plate
        Barcode in a map of several plates; the name of the scan's folder if not given.
    workers
        Processes; 0 means one per core. With a GPU one more holds the network for all of them.
    progress
        Called after each well with its outcome, the number done and the number of all.

    Returns
    -------
    LocalRun
        The results in `out`. A well that failed is in its tables, with the reason.

    Raises
    ------
    ServiceError
        An input that cannot be used, each fault with file, row and well.

    Examples
    --------
    >>> import imaging_service
    >>> run = imaging_service.analyze("Phantom-1", "plate_map.csv", "protocol.toml", "results")
    >>> run
    LocalRun('results', plate 'Phantom-1', 24 wells)
    >>> run.table("wells").select("well", "line", "status").head(2).rows()
    [('B04', 'SOD1-07-iso', 'done'), ('B06', 'SOD1-07-iso', 'done')]
    """

    def read() -> RunInputs:
        from imaging_service.jobs.plan import read_inputs
        from imaging_service.protocol import AssayProtocol, load_protocol

        loaded = protocol if isinstance(protocol, AssayProtocol) else load_protocol(protocol)
        return read_inputs(place(scan), Path(plate_map), loaded, engine, device, plate)

    from imaging_service.incoming.s3 import place
    from imaging_service.review.local import LocalRun

    must_be_outside(place(scan), Path(out))
    analyze(read, Path(out), device=device, workers=workers, progress=progress)
    return LocalRun(out)


def must_be_outside(scan: Path, out: Path) -> None:
    """Raise Forbidden for results inside the scan: its next reading would meet its own pictures."""
    if out.resolve().is_relative_to(scan.resolve()):
        raise Forbidden(
            f"{out} lies in the scan {scan}, which is never written to; give an --out outside it"
        )


def analyze(
    read: Callable[[], RunInputs],
    out: Path,
    *,
    device: str = "auto",
    workers: int = 0,
    progress: Progress | None = None,
) -> RunRecord:
    """Analyse a plate into the folder `out`.

    `read` gives the inputs; it is called once the first worker process is on its way, so that its
    imports and the reading of protocol, plate map and scan take place at the same time. `progress`
    is called after each well with its outcome, the number done and the number of all. Raises the
    errors of `read` and `identify`; bad wells are outcomes, not errors.
    """
    with only_one(out):
        return _analyze(read, RunFolder(out), device, worker_count(workers), progress)


def _analyze(
    read: Callable[[], RunInputs],
    folder: RunFolder,
    device: str,
    workers: int,
    progress: Progress | None,
) -> RunRecord:
    network = NetworkProcess(device) if uses_gpu(device) else None
    prepare_heaps()
    others = active_children()
    # Spawned, not forked: OpenCV, torch and Polars keep threads that a fork would leave dead.
    pool = ProcessPoolExecutor(
        workers,
        mp_context=get_context("spawn"),
        initializer=start_worker,
        initargs=(thread_count(workers), None if network is None else network.address),
    )
    try:
        # One process is enough until wells come; a second one's imports would compete with the
        # planning.
        pool.submit(warm)
        from imaging_service.jobs.plan import identify, lay_out

        identified, plan = identify(read())
        record = lay_out(identified, plan, folder)
        sweep(folder.root)
        at_once = workers
        if network is not None and is_served(record.inputs.engine):
            network.start()
        elif network is not None and record.inputs.engine != "classical":
            at_once = 1  # each process would hold a network of its own on the GPU
        outcomes = run_wells(pool, folder, record, progress, at_once)
    except BaseException:
        # A refused input must be answered at once, not after a worker has finished its imports or
        # its well. The pool's own thread is waited for: one that is still closing when Python ends
        # prints a traceback now and then.
        for child in active_children():
            if child not in others:
                child.terminate()
        pool.shutdown(cancel_futures=True)
        raise
    finally:
        if network is not None:
            network.close()
    pool.shutdown()
    from imaging_service.jobs.summary import summarise

    summarise(folder.root, outcomes)
    return record


def run_wells(
    pool: ProcessPoolExecutor,
    folder: RunFolder,
    record: RunRecord,
    progress: Progress | None,
    at_once: int,
) -> dict[str, WellOutcome]:
    """Prepare, then analyse the wells that have no outcome yet, `at_once` at a time.

    A well at which the machine fails (its process is killed, the disk errs) is tried once more,
    alone. If its process is killed twice, the well has failed; an error of the disk ends the run,
    which the same command takes up again.
    """
    from imaging_service.jobs.well import process_well

    outcomes = {
        w: load(WellOutcome, folder.outcome(w)) for w in record.wells if folder.outcome(w).is_file()
    }
    todo = [w for w in record.wells if w not in outcomes]

    def ended(outcome: WellOutcome) -> None:
        outcomes[outcome.well] = outcome
        if progress is not None:
            progress(outcome, len(outcomes), len(record.wells))

    if todo:
        _prepare(pool, folder, record)
    again, waiting, running = [], deque(todo), dict[Future[WellOutcome], str]()
    while waiting or running:
        # One more than can run, so that no process waits for the next.
        while waiting and len(running) < (at_once + 1 if at_once > 1 else 1):
            well = waiting.popleft()
            try:
                running[pool.submit(process_well, folder.root, well)] = well
            except BrokenProcessPool:
                again.append(well)
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            well = running.pop(future)
            try:
                ended(future.result())
            except (BrokenProcessPool, OSError, MemoryError, MachineError):
                again.append(well)
    for well in sorted(again):
        ended(_alone(folder, well))
    return outcomes


def _prepare(pool: ProcessPoolExecutor, folder: RunFolder, record: RunRecord) -> None:
    """Create the plate, look at the scan, and calibrate, which one process does meanwhile.

    The look comes to its end although the calibration refuses the plate: it shows why.
    """
    from imaging_service.jobs.arrival.plate import conclude, give_up, wells_to_look_at
    from imaging_service.jobs.arrival.wells import look_at
    from imaging_service.jobs.calibrate import calibrate
    from imaging_service.jobs.well import begin

    pool.submit(begin, record.plate).result()
    groups = wells_to_look_at(folder)
    calibrating = pool.submit(calibrate, folder)
    try:
        for looking in [pool.submit(look_at, folder.root, wells) for wells in groups]:
            looking.result()
        if groups:
            pool.submit(conclude, folder.root).result()
        calibrating.result()
    except (BrokenProcessPool, MemoryError) as error:
        if not folder.arrival.is_dir():
            give_up(folder, f"a process was killed, most likely for want of memory ({error})")
        with _one_process() as single:
            single.submit(calibrate, folder).result()


def _one_process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        1, mp_context=get_context("spawn"), initializer=start_worker, initargs=(thread_count(1),)
    )


def _alone(folder: RunFolder, well: str) -> WellOutcome:
    from imaging_service.jobs.well import fail_well, process_well

    with _one_process() as single:
        try:
            return single.submit(process_well, folder.root, well).result()
        except (BrokenProcessPool, MemoryError) as error:
            return fail_well(
                folder,
                well,
                f"well {well}: its process was killed twice, most likely for want of memory"
                f" ({error})",
            )
        except (OSError, Unavailable) as error:
            raise MachineError(
                f"well {well}: {error}; repair this and give the same command again: it goes on"
                " where it stopped"
            ) from error

"""The worker process, and the loop that keeps one alive."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import sqlalchemy as sa

from imaging_service.files import locked
from imaging_service.jobs.durable.alive import Beat, name_of, sweep_orphans
from imaging_service.jobs.durable.opening import (
    APPLICATION_VERSION,
    EXPORTS,
    PLATES,
    REVIEWS,
    SCREENS,
    WELLS,
    prepare_database,
)
from imaging_service.jobs.durable.store import prove_store
from imaging_service.jobs.parallel.away import shortage
from imaging_service.settings import Settings, settings

_SUPERVISED = "IMAGING_SERVICE_SUPERVISED"
TRY_AGAIN = 75
# SQLite's own words where its file cannot be written.
_UNWRITABLE = (
    "database or disk is full",
    "disk I/O error",
    "readonly database",
    "unable to open database file",
)


def only_worker(settings: Settings) -> contextlib.AbstractContextManager[None]:
    """Hold the lock of this worker's name in the data folder.

    Two workers with one executor's name would both recover the same wells. An SQLite database is
    one machine's, and has one worker.
    """
    data_dir = settings.data_dir
    if settings.url.startswith("sqlite"):
        return locked(
            data_dir / "worker.lock",
            f"another worker is running on {data_dir.resolve()}; stop it first, or use another data"
            " folder",
        )
    name = name_of(settings)
    return locked(
        data_dir / f"worker-{name}.lock",
        f"another worker called {name} is running on {data_dir.resolve()}; stop it first, or give"
        " this one a name of its own: IMAGING_SERVICE_WORKER_NAME",
    )


def work() -> None:
    """Run queued plates until told to stop.

    Wells that a killed worker left behind are taken up at the start. Ends with exit code 75 once
    the database has failed in a way that only a new start repairs, and is well again.
    """
    print("worker starting …", flush=True)
    stop, begun = threading.Event(), threading.Event()
    if os.environ.get(_SUPERVISED):
        threading.Thread(target=_watch_parent, args=(stop, begun), daemon=True).start()
    from dbos import DBOS, DBOSPortableJSONSerializer

    from imaging_service.jobs.durable.adopt import adopt_older, adopt_reviews
    from imaging_service.jobs.durable.cluster import Cluster
    from imaging_service.jobs.durable.workflows import Context
    from imaging_service.jobs.exports.queue import adopt_exports
    from imaging_service.jobs.screens.queue import adopt_screens

    current = settings()
    with only_worker(current):
        prepare_database(current.url)
        prove_store(current)
        adopt_older(current)
        adopt_reviews(current)
        adopt_screens(current)
        adopt_exports(current)
        stumbled = Context.stumbled
        watch_database(stumbled)
        Context.settings = current
        Context.cluster = Cluster(current)
        DBOS(
            config={
                "name": "imaging-service",
                "system_database_url": current.url,
                # Stable, so that a restarted worker recovers the wells of the killed one.
                "executor_id": name_of(current),
                "application_version": APPLICATION_VERSION,
                "serializer": DBOSPortableJSONSerializer(),
                "log_level": "WARNING",
                "notification_listener_polling_interval_sec": current.poll_seconds,
            }
        )
        begun.set()
        DBOS.launch()
        # Of each laboratory more than are analysed at once: a plate whose scan is away for hours
        # must not keep the others from their turn, and eight of them no other laboratory.
        DBOS.register_queue(
            PLATES,
            partition_worker_concurrency=8,
            polling_interval_sec=current.poll_seconds,
        )
        # One well more than there are processes, so that no process waits for the queue.
        DBOS.register_queue(
            WELLS,
            worker_concurrency=Context.cluster.processes + 1,
            polling_interval_sec=current.poll_seconds,
        )
        # One at a time: two on one run would write the same tables.
        DBOS.register_queue(
            REVIEWS, worker_concurrency=1, polling_interval_sec=current.poll_seconds
        )
        DBOS.register_queue(
            SCREENS, worker_concurrency=1, polling_interval_sec=current.poll_seconds
        )
        # One at a time: a plate's cells as text take memory.
        DBOS.register_queue(
            EXPORTS, worker_concurrency=1, polling_interval_sec=current.poll_seconds
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        beat = Beat(current, _take_over)
        threading.Thread(target=beat.forever, args=(stop,), daemon=True).start()
        sweep_orphans(current.data_dir.resolve(), time.time())
        print("worker ready", flush=True)
        code = 0
        while not stop.wait(1.0):
            if stumbled.is_set() and database_writable(current):
                print("worker: the database was full or away; starting again", flush=True)
                code = TRY_AGAIN
                break
        Context.cluster.close()
        # Threads of unfinished wells would keep the process; what they did not commit is done
        # again.
        os._exit(code)


def _take_over(dead: str) -> int:
    """Send a dead worker's workflows back to their queues; returns how many there were."""
    from dbos import DBOS

    left = DBOS.list_workflows(
        status="PENDING",
        executor_id=dead,
        app_version=APPLICATION_VERSION,
        load_input=False,
        load_output=False,
    )
    for workflow in left:
        DBOS.resume_workflow(workflow.workflow_id, queue_name=workflow.queue_name)
    if left:
        print(f"worker: took over {len(left)} job(s) of worker {dead}, which is gone", flush=True)
    return len(left)


def watch_database(stumbled: threading.Event) -> None:
    """Set the event once any of this process's databases cannot be written.

    The job engine loses the workflows that it could not note down then, until it is started again.
    """

    @sa.event.listens_for(sa.Engine, "handle_error")
    def _notice(context: sa.ExceptionContext) -> None:
        if any(words in str(context.original_exception) for words in _UNWRITABLE):
            stumbled.set()


def database_writable(current: Settings) -> bool:
    """Whether the database takes a row, and its disk has space."""
    if shortage(current.data_dir.resolve()):
        return False
    try:
        Beat(current, lambda _: 0).once()
    except (sa.exc.DBAPIError, OSError):
        return False
    return True


def _watch_parent(stop: threading.Event, begun: threading.Event) -> None:
    """End with the server: its end of this pipe closes, even if it is killed.

    Before work has begun the process ends at once: starting takes seconds, and leaves nothing.
    """
    sys.stdin.buffer.read()
    stop.set()
    if not begun.is_set():
        os._exit(0)


def run_worker() -> None:
    """A worker of its own, without a server: this process keeps it alive until told to stop."""
    if os.environ.get(_SUPERVISED):
        work()
        return
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    current = settings()
    # A fault that only a user can repair is logged once.
    with only_worker(current):
        prepare_database(current.url)
        prove_store(current)
    supervise(current, stop)


def supervise(current: Settings, stop: threading.Event) -> None:
    """Keep one worker process running until `stop`.

    The pause before a start doubles, up to 30 s, while workers end soon after their start.
    """
    pause = 0.5
    while not stop.is_set():
        started = time.monotonic()
        child = subprocess.Popen(
            [sys.executable, "-m", "imaging_service.cli", "worker"],
            stdin=subprocess.PIPE,
            env={
                **os.environ,
                _SUPERVISED: "1",
                "IMAGING_SERVICE_DATA_DIR": str(current.data_dir.resolve()),
            },
        )
        while child.poll() is None and not stop.is_set():
            time.sleep(0.2)
        if stop.is_set():
            if child.stdin is not None:
                child.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=10)
            child.kill()
            return
        pause = 0.5 if time.monotonic() - started > 30 else min(pause * 2, 30)
        print(
            f"worker ended with exit code {child.returncode}; it starts again in {pause:.0f} s",
            file=sys.stderr,
            flush=True,
        )
        stop.wait(pause)

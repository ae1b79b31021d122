"""The worker process, and the loop that keeps one alive."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from imaging_service.files import locked
from imaging_service.settings import Settings, settings

_SUPERVISED = "IMAGING_SERVICE_SUPERVISED"


def only_worker(data_dir: Path) -> contextlib.AbstractContextManager[None]:
    """Hold the data folder's worker lock.

    Two workers with one executor id would both recover the same wells.
    """
    refusal = (
        f"another worker is running on {data_dir.resolve()}; stop it first, or use another data"
        " folder"
    )
    return locked(data_dir / "worker.lock", refusal)


def work() -> None:
    """Run queued plates until told to stop.

    Wells that a killed worker left behind are taken up at the start.
    """
    from dbos import DBOS, DBOSPortableJSONSerializer

    from imaging_service.jobs.durable.cluster import Cluster
    from imaging_service.jobs.durable.queue import APPLICATION_VERSION, prepare_database
    from imaging_service.jobs.durable.workflows import PLATES, REVIEWS, WELLS, Context

    current = settings()
    with only_worker(current.data_dir):
        prepare_database(current.url)
        Context.settings = current
        Context.cluster = Cluster(current)
        DBOS(
            config={
                "name": "imaging-service",
                "system_database_url": current.url,
                # Stable, so that a restarted worker recovers the wells of the killed one.
                "executor_id": "worker",
                "application_version": APPLICATION_VERSION,
                "serializer": DBOSPortableJSONSerializer(),
                "log_level": "WARNING",
                "notification_listener_polling_interval_sec": current.poll_seconds,
            }
        )
        DBOS.launch()
        DBOS.register_queue(PLATES, worker_concurrency=2, polling_interval_sec=current.poll_seconds)
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
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        if os.environ.get(_SUPERVISED):
            threading.Thread(target=_watch_parent, args=(stop,), daemon=True).start()
        print("worker ready", flush=True)
        stop.wait()
        Context.cluster.close()
        # Threads of unfinished wells would keep the process; what they did not commit is done
        # again.
        os._exit(0)


def _watch_parent(stop: threading.Event) -> None:
    """End with the server: its end of this pipe closes, even if it is killed."""
    sys.stdin.buffer.read()
    stop.set()


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
